internal import SegmentLog

// A generation from its beginning to its end: who gets what, and who is still there.
extension ConsumerGroup {
    /// A member asks for its assignment; the leader brings everybody's.
    func sync(_ asked: SyncGroup, from caller: Caller, now: Now) throws(BrokerError) {
        let member = try current(asked.member)
        if let type = asked.protocolType, type != protocolType {
            throw BrokerError(.inconsistentProtocol, "the members are of the type '\(protocolType ?? "")'")
        }
        if let name = asked.protocolName, name != protocolName {
            throw BrokerError(.inconsistentProtocol, "this generation speaks '\(protocolName ?? "")'")
        }
        switch state {
        case .empty, .dead: throw BrokerError(.unknownMember, "the group has no members")
        case .preparingRebalance: throw BrokerError(.rebalanceInProgress, "the members are joining")
        case .stable:
            synced(member)
            heard(member, now)
            answer(caller, .group(.synced(assignment(of: member))), isDurable: true)
        case .completingRebalance:
            if let old = member.sync { refuse(old, .rebalanceInProgress, "the member has asked again") }
            member.sync = caller
            member.deadline = .distantFuture
            synced(member)
            guard member.id == leader else { return }
            for member in members.values {
                bytes -= member.assignment.count
                member.assignment = []
            }
            for assigned in asked.assignments {
                guard let member = members[assigned.memberID] else { continue }
                bytes += assigned.assignment.count - member.assignment.count
                member.assignment = assigned.assignment
            }
            state = .stable
            isChanged = true
            for member in sortedMembers {
                guard let caller = member.sync else { continue }
                member.sync = nil
                heard(member, now)
                answer(caller, .group(.synced(assignment(of: member))), isDurable: true)
            }
        }
    }

    private func synced(_ member: Member) {
        unsynced.remove(member.id)
        if unsynced.isEmpty { syncDeadline = .distantFuture }
    }

    private func assignment(of member: Member) -> SyncedGroup {
        SyncedGroup(protocolType: protocolType ?? "", protocolName: protocolName ?? "", assignment: member.assignment)
    }

    /// Members that joined and never asked for their assignment go. Answers how many.
    func syncTimedOut(_ now: Now) -> Int {
        syncDeadline = .distantFuture
        let late = sortedMembers.filter { unsynced.contains($0.id) }
        for member in late { remove(member, now) }
        return late.count
    }

    func heartbeat(_ asked: GroupMember, now: Now) throws(BrokerError) {
        let member = try current(asked)
        heard(member, now)
        if state == .preparingRebalance { throw BrokerError(.rebalanceInProgress, "the members are joining") }
    }

    /// Whether the caller may commit offsets now.
    func checkCommit(_ asked: GroupMember, now: Now) throws(BrokerError) {
        if asked.generation < 0, asked.memberID.isEmpty, asked.instanceID == nil {
            // Who is nobody's member, or an operator.
            guard state == .empty else { throw BrokerError(.unknownMember, "the group has members, and this is none") }
            return
        }
        let member = try current(asked)
        // It knows this generation, but not what it is to read in it.
        if state == .completingRebalance { throw BrokerError(.rebalanceInProgress, "the leader has not said who gets what") }
        heard(member, now)
    }
}
