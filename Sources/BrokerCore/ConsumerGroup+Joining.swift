internal import SegmentLog

// Coming and going, up to the beginning of a generation.
extension ConsumerGroup {
    /// Room for one more, those included who have only been told their id.
    private func checkRoom(_ limit: Int, isFull: () -> Void) throws(BrokerError) {
        guard members.count + pending.count >= limit else { return }
        isFull()
        throw BrokerError(.groupFull, "the group has \(members.count) members, and \(pending.count) who are to join")
    }

    /// A member joins, or joins again. `makeID` makes a member id that begins with the given text.
    func join(_ asked: JoinGroup, from caller: Caller, now: Now, limit: Int, isFull: () -> Void, makeID: (String) -> String) throws(BrokerError) {
        guard supports(asked) else {
            throw BrokerError(.inconsistentProtocol, "the members have no protocol in common with this one")
        }
        if !asked.memberID.isEmpty, pending[asked.memberID] == nil {
            return rejoin(try member(asked.memberID, asked.instanceID), asked, caller, now)
        }
        if asked.memberID.isEmpty {
            if let instance = asked.instanceID, let old = instances[instance].flatMap({ members[$0] }) {
                return replace(old, by: makeID(instance), asked, caller, now)
            }
            try checkRoom(limit, isFull: isFull)
            let id = makeID(asked.instanceID ?? asked.clientID)
            guard asked.instanceID == nil, asked.requiresKnownMemberID else { return add(id, asked, caller, now) }
            let deadline = now.instant.advanced(byNanoseconds: UInt64(asked.sessionTimeoutMilliseconds) * 1_000_000)
            pending[id] = deadline
            bytes += ConsumerGroup.pendingBytes + id.utf8.count
            arm(deadline)
            return answer(caller, .group(.memberIDRequired(id)))
        }
        guard asked.instanceID == nil else { throw BrokerError(.invalidRequest, "a member that was told its id is no static one") }
        dropPending(asked.memberID)
        add(asked.memberID, asked, caller, now)
    }

    private static let pendingBytes = 128

    @discardableResult func dropPending(_ id: String) -> Bool {
        guard pending.removeValue(forKey: id) != nil else { return false }
        bytes -= ConsumerGroup.pendingBytes + id.utf8.count
        return true
    }

    private func supports(_ asked: JoinGroup) -> Bool {
        guard !asked.protocolType.isEmpty, !asked.protocols.isEmpty else { return false }
        if members.isEmpty { return true }
        return protocolType == asked.protocolType && asked.protocols.contains { asked in members.values.allSatisfy { $0.supports(asked.name) } }
    }

    private func add(_ id: String, _ asked: JoinGroup, _ caller: Caller, _ now: Now) {
        if members.isEmpty { protocolType = asked.protocolType }
        let member = Member(
            id: id, instanceID: asked.instanceID, order: nextOrder, clientID: asked.clientID, clientHost: asked.clientHost,
            sessionMilliseconds: asked.sessionTimeoutMilliseconds, rebalanceMilliseconds: asked.rebalanceTimeoutMilliseconds, protocols: asked.protocols,
            isIDKnown: !asked.memberID.isEmpty)
        nextOrder += 1
        members[id] = member
        if let instance = asked.instanceID { instances[instance] = id }
        bytes += member.bytes
        if leader == nil { leader = id }
        if rebalance?.isInitial == true { rebalance?.hasNewMember = true }
        parkJoin(member, caller, now)
        prepareRebalance(now)
    }

    private func update(_ member: Member, _ asked: JoinGroup) {
        bytes -= member.bytes
        member.clientID = asked.clientID
        member.clientHost = asked.clientHost
        member.sessionMilliseconds = asked.sessionTimeoutMilliseconds
        member.rebalanceMilliseconds = asked.rebalanceTimeoutMilliseconds
        member.protocols = asked.protocols
        bytes += member.bytes
    }

    private func rejoin(_ member: Member, _ asked: JoinGroup, _ caller: Caller, _ now: Now) {
        member.isIDKnown = true
        let isSame = member.protocols == asked.protocols
        switch state {
        case .completingRebalance where isSame, .stable where isSame && leader != member.id:
            // Its answer was lost, perhaps: the generation is told once more. A leader's join means that what it assigns has changed.
            update(member, asked)
            heard(member, now)
            answer(caller, .group(.joined(joined(member))))
        default:
            update(member, asked)
            parkJoin(member, caller, now)
            prepareRebalance(now)
        }
    }

    /// A static member came back without its id: it takes the place of the one it was, and in a stable group nobody else notices.
    private func replace(_ member: Member, by id: String, _ asked: JoinGroup, _ caller: Caller, _ now: Now) {
        let fenced = "another one has come with the same instance id"
        if let old = unparkJoin(member) { refuse(old, .fencedInstance, fenced) }
        if let old = member.sync {
            member.sync = nil
            unsynced.insert(member.id)
            refuse(old, .fencedInstance, fenced)
        }
        let oldLeader = leader
        members[member.id] = nil
        if unsynced.remove(member.id) != nil { unsynced.insert(id) }
        if leader == member.id { leader = id }
        bytes -= member.bytes
        member.id = id
        bytes += member.bytes
        members[id] = member
        if let instance = member.instanceID { instances[instance] = id }
        update(member, asked)
        if state == .stable, selectProtocol() == protocolName {
            isChanged = true
            heard(member, now)
            var answer = joined(member)
            if asked.maySkipAssignment {
                answer.skipsAssignment = leader == id
            } else {
                // Under its new id it does not find itself to be the leader: an assignment of its own would reach nobody.
                answer.leader = oldLeader ?? ""
                answer.members = []
            }
            self.answer(caller, .group(.joined(answer)), isDurable: true)
        } else {
            parkJoin(member, caller, now)
            prepareRebalance(now)
        }
    }

    /// Members leave, or an operator sends them away. An empty member id stands for whoever has the instance id.
    func leave(_ leaving: [LeavingMember], now: Now) -> [LeftMember] {
        leaving.map { asked in
            var left = LeftMember(memberID: asked.memberID, instanceID: asked.instanceID, error: nil)
            if asked.memberID.isEmpty {
                if let member = asked.instanceID.flatMap({ instances[$0] }).flatMap({ members[$0] }) {
                    remove(member, now)
                } else {
                    left.error = .unknownMember
                }
            } else if dropPending(asked.memberID) {
                completeIfJoined(now)
            } else {
                do throws(BrokerError) { remove(try member(asked.memberID, asked.instanceID), now) } catch { left.error = error.code }
            }
            return left
        }
    }

    /// The member is gone: the others share anew.
    func remove(_ member: Member, _ now: Now) {
        forget(member)
        if state == .preparingRebalance { completeIfJoined(now) } else { prepareRebalance(now) }
    }

    private func forget(_ member: Member) {
        let reason = "the member was taken out of the group"
        if let caller = unparkJoin(member) { refuse(caller, .unknownMember, reason) }
        if let caller = member.sync {
            member.sync = nil
            refuse(caller, .unknownMember, reason)
        }
        members[member.id] = nil
        unsynced.remove(member.id)
        if let instance = member.instanceID, instances[instance] == member.id { instances[instance] = nil }
        if leader == member.id { leader = members.values.min { $0.order < $1.order }?.id }
        bytes -= member.bytes
    }

    // MARK: Parking

    private func parkJoin(_ member: Member, _ caller: Caller, _ now: Now) {
        if let old = unparkJoin(member) { refuse(old, .rebalanceInProgress, "the member has asked again") }
        member.join = caller
        joining += 1
        member.deadline = member.isNew ? now.instant.advanced(byNanoseconds: GroupOptions.newMemberMilliseconds * 1_000_000) : .distantFuture
        arm(member.deadline)
    }

    @discardableResult func unparkJoin(_ member: Member) -> Caller? {
        guard let caller = member.join else { return nil }
        member.join = nil
        joining -= 1
        return caller
    }

    // MARK: The rebalance

    private var rebalanceNanoseconds: UInt64 {
        let longest = members.values.reduce(GroupOptions.leastRebalanceMilliseconds) { longest, member in
            max(longest, member.rebalanceMilliseconds < 0 ? member.sessionMilliseconds : member.rebalanceMilliseconds)
        }
        return UInt64(longest) * 1_000_000
    }

    /// The generation is over: everybody is to join the next one.
    private func prepareRebalance(_ now: Now) {
        if state == .preparingRebalance { return completeIfJoined(now) }
        if state == .completingRebalance {
            for member in sortedMembers {
                bytes -= member.assignment.count
                member.assignment = []
                guard let caller = member.sync else { continue }
                member.sync = nil
                refuse(caller, .rebalanceInProgress, "a member came, went or changed")
                heard(member, now)
            }
        }
        syncDeadline = .distantFuture
        unsynced = []
        var begun = Rebalance(deadline: now.instant.advanced(byNanoseconds: rebalanceNanoseconds))
        if state == .empty {
            let delay = options.initialRebalanceMilliseconds * 1_000_000
            begun = Rebalance(
                deadline: now.instant.advanced(byNanoseconds: delay), isInitial: delay > 0,
                extensible: rebalanceNanoseconds > delay ? rebalanceNanoseconds - delay : 0)
        }
        rebalance = begun
        arm(begun.deadline)
        state = .preparingRebalance
        completeIfJoined(now)
    }

    func completeIfJoined(_ now: Now) {
        guard state == .preparingRebalance, rebalance?.isInitial != true, joining == members.count, pending.isEmpty else { return }
        _ = completeJoin(now)
    }

    /// Answers how many members were left behind.
    func rebalanceTimedOut(_ rebalance: Rebalance, _ now: Now) -> Int {
        guard rebalance.isInitial, rebalance.hasNewMember, rebalance.extensible > 0 else { return completeJoin(now) }
        let delay = min(options.initialRebalanceMilliseconds * 1_000_000, rebalance.extensible)
        self.rebalance = Rebalance(deadline: now.instant.advanced(byNanoseconds: delay), isInitial: true, extensible: rebalance.extensible - delay)
        return 0
    }

    /// The next generation begins with those who have joined. Static members that have not are kept for their session timeout.
    private func completeJoin(_ now: Now) -> Int {
        let before = members.count
        if joining < members.count {
            for member in sortedMembers where member.join == nil && member.instanceID == nil { forget(member) }
        }
        let left = before - members.count
        if !members.isEmpty, joining == 0 {
            // Only static members that are away: until one of them comes or all have timed out.
            let again = Rebalance(deadline: now.instant.advanced(byNanoseconds: rebalanceNanoseconds))
            rebalance = again
            arm(again.deadline)
            return left
        }
        rebalance = nil
        generation = generation == .max ? 1 : generation + 1
        guard !members.isEmpty else {
            state = .empty
            protocolName = nil
            leader = nil
            emptySince = now.time
            isChanged = true
            return left
        }
        let all = sortedMembers
        if leader.flatMap({ members[$0]?.join }) == nil { leader = all.first { $0.join != nil }?.id }
        protocolName = selectProtocol()
        state = .completingRebalance
        unsynced = Set(members.keys)
        syncDeadline = now.instant.advanced(byNanoseconds: rebalanceNanoseconds)
        arm(syncDeadline)
        for member in all {
            guard let caller = unparkJoin(member) else { continue }
            member.isNew = false
            member.isIDKnown = true
            heard(member, now)
            answer(caller, .group(.joined(joined(member))))
        }
        return left
    }

    /// What all support and most like best; among equals what the oldest member likes best.
    func selectProtocol() -> String? {
        let all = sortedMembers
        guard let first = all.first else { return nil }
        let candidates = first.protocols.map(\.name).filter { name in all.allSatisfy { $0.supports(name) } }
        var votes = [Int](repeating: 0, count: candidates.count)
        for member in all {
            guard let choice = member.protocols.first(where: { candidates.contains($0.name) }) else { continue }
            if let index = candidates.firstIndex(of: choice.name) { votes[index] += 1 }
        }
        guard let most = votes.max(), let winner = votes.firstIndex(of: most) else { return nil }
        return candidates[winner]
    }

    private func joined(_ member: Member) -> JoinedGroup {
        var joined = JoinedGroup(
            generation: generation, protocolType: protocolType ?? "", protocolName: protocolName ?? "", leader: leader ?? "", memberID: member.id, members: [])
        if member.id == leader {
            joined.members = sortedMembers.map { JoinedMember(memberID: $0.id, instanceID: $0.instanceID, metadata: $0.metadata(protocolName)) }
        }
        return joined
    }
}
