import SegmentLog

@testable import BrokerCore

/// One group driven by hand: members ask, the time goes on, answers are kept.
final class GroupBench {
    let group: ConsumerGroup
    var now = Now(instant: Instant(nanoseconds: 1_000_000_000), time: Timestamp(milliseconds: 1_700_000_000_000))
    var responses: [RequestID: Response] = [:]
    var answeredTwice: [RequestID] = []
    private var nextRequest: UInt64 = 1
    private var nextID = 1

    static let one = SessionID(rawValue: 1)

    init(_ adjust: (inout GroupOptions) -> Void = { $0.initialRebalanceMilliseconds = 0 }) {
        var options = GroupOptions()
        adjust(&options)
        group = ConsumerGroup(name: "g", options: options, now: now)
    }

    /// Parks or answers; what is refused at once is an answer as well.
    @discardableResult func join(
        _ memberID: String = "", instance: String? = nil, protocols: [(String, String)] = [("range", "m")], type: String = "consumer", session: Int32 = 10_000,
        rebalance: Int32 = 60_000, knownID: Bool = false, skips: Bool = false, from: SessionID = GroupBench.one, limit: Int = 100
    ) -> RequestID {
        let asked = JoinGroup(
            group: "g", memberID: memberID, instanceID: instance, clientID: "c", clientHost: "h", sessionTimeoutMilliseconds: session,
            rebalanceTimeoutMilliseconds: rebalance, protocolType: type, protocols: protocols.map { GroupProtocol(name: $0.0, metadata: Array($0.1.utf8)) },
            requiresKnownMemberID: knownID, maySkipAssignment: skips, reason: nil)
        return ask(from) { caller throws(BrokerError) in
            try group.join(asked, from: caller, now: now, limit: limit, isFull: {}) { prefix in
                nextID += 1
                return "\(prefix)-\(nextID - 1)"
            }
        }
    }

    @discardableResult func sync(
        _ memberID: String, _ generation: Int32? = nil, instance: String? = nil, type: String? = nil, name: String? = nil, assign: [String: String] = [:],
        from: SessionID = GroupBench.one
    ) -> RequestID {
        let asked = SyncGroup(
            member: member(memberID, generation, instance), protocolType: type, protocolName: name,
            assignments: assign.sorted { $0.key < $1.key }.map { GroupAssignment(memberID: $0.key, assignment: Array($0.value.utf8)) })
        return ask(from) { caller throws(BrokerError) in try group.sync(asked, from: caller, now: now) }
    }

    func heartbeat(_ memberID: String, _ generation: Int32? = nil, instance: String? = nil) -> BrokerError.Code? {
        code { () throws(BrokerError) in try group.heartbeat(member(memberID, generation, instance), now: now) }
    }

    func commit(_ memberID: String, _ generation: Int32? = nil, instance: String? = nil) -> BrokerError.Code? {
        code { () throws(BrokerError) in try group.checkCommit(member(memberID, generation, instance), now: now) }
    }

    func leave(_ memberID: String, instance: String? = nil) -> BrokerError.Code? {
        defer { take() }
        return group.leave([LeavingMember(memberID: memberID, instanceID: instance, reason: nil)], now: now).first?.error
    }

    func close(_ session: SessionID) {
        group.sessionClosed(session, now)
        take()
    }

    /// Lets the time pass, stopping wherever the group wants to be looked at.
    func advance(_ milliseconds: UInt64) {
        let end = now.instant.advanced(byNanoseconds: milliseconds * 1_000_000)
        while group.wake <= end {
            move(to: max(group.wake, now.instant))
            _ = group.expire(now)
            precondition(group.wake > now.instant, "the group asks to be looked at again at once")
            take()
        }
        move(to: end)
    }

    private func move(to instant: Instant) {
        now.time = Timestamp(milliseconds: now.time.rawValue + Int64(instant.nanoseconds(since: now.instant) / 1_000_000))
        now.instant = instant
    }

    private func member(_ id: String, _ generation: Int32?, _ instance: String?) -> GroupMember {
        GroupMember(group: "g", generation: generation ?? group.generation, memberID: id, instanceID: instance)
    }

    private func code(_ act: () throws(BrokerError) -> Void) -> BrokerError.Code? {
        defer { take() }
        do throws(BrokerError) { try act() } catch { return error.code }
        return nil
    }

    private func ask(_ session: SessionID, _ act: (ConsumerGroup.Caller) throws(BrokerError) -> Void) -> RequestID {
        let caller = ConsumerGroup.Caller(session: session, request: RequestID(rawValue: nextRequest))
        nextRequest += 1
        do throws(BrokerError) { try act(caller) } catch { answered(caller.request, .failed(error)) }
        take()
        return caller.request
    }

    private func take() {
        for answer in group.takeAnswers() { answered(answer.caller.request, answer.response) }
    }

    private func answered(_ request: RequestID, _ response: Response) {
        if responses.updateValue(response, forKey: request) != nil { answeredTwice.append(request) }
    }

    // MARK: Answers

    func joined(_ request: RequestID) -> JoinedGroup? {
        if case .group(.joined(let joined))? = responses[request] { joined } else { nil }
    }

    func givenID(_ request: RequestID) -> String? {
        if case .group(.memberIDRequired(let id))? = responses[request] { id } else { nil }
    }

    func assignment(_ request: RequestID) -> String? {
        if case .group(.synced(let synced))? = responses[request] { String(decoding: synced.assignment, as: UTF8.self) } else { nil }
    }

    func error(_ request: RequestID) -> BrokerError.Code? {
        if case .failed(let error)? = responses[request] { error.code } else { nil }
    }

    func isParked(_ request: RequestID) -> Bool { responses[request] == nil }

    /// So many members, joined and synced; the first one leads. Answers their ids.
    func form(_ count: Int, instances: [String] = [], session: Int32 = 10_000) -> [String] {
        var requests = [join(instance: instances.first, session: session)]
        for index in 1..<max(1, count) {
            for (member, request) in zip(group.sortedMembers, requests) where !isParked(request) { requests[0] = join(member.id, instance: member.instanceID) }
            requests.append(join(instance: index < instances.count ? instances[index] : nil, session: session))
            requests = group.sortedMembers.map { member in member.join.map(\.request) ?? join(member.id, instance: member.instanceID, session: session) }
        }
        let ids = group.sortedMembers.map(\.id)
        for id in ids.reversed() { sync(id, instance: group.members[id]?.instanceID, assign: id == group.leader ? assignments(ids) : [:]) }
        precondition(group.state == .stable)
        return ids
    }

    func assignments(_ ids: [String]) -> [String: String] { Dictionary(uniqueKeysWithValues: ids.map { ($0, "for \($0)") }) }
}
