internal import BrokerCore

// Answers to what is asked of groups of consumers: of the right kind and for as many things as were asked for, as a broker's are.
extension ArbitraryAnswers {
    mutating func answer(to request: GroupRequest) -> Response {
        switch request {
        case .join(let join):
            if choose(4) == 0 { return .group(.memberIDRequired(name())) }
            var members: [JoinedMember] = []
            for _ in 0..<choose(4) { members.append(JoinedMember(memberID: name(), instanceID: choose(2) == 0 ? nil : name(), metadata: content())) }
            let chosen = join.protocols.first?.name ?? name()
            return .group(
                .joined(
                    JoinedGroup(
                        generation: small(), protocolType: choose(2) == 0 ? join.protocolType : name(), protocolName: chosen, leader: name(),
                        memberID: name(), members: members, skipsAssignment: choose(2) == 0)))
        case .sync: return .group(.synced(SyncedGroup(protocolType: name(), protocolName: name(), assignment: content())))
        case .heartbeat: return .done
        case .leave(_, let members):
            return .group(.left(members.map { LeftMember(memberID: $0.memberID, instanceID: $0.instanceID, error: error()) }))
        case .commitOffsets(let commit):
            var outcomes: [TopicOutcome] = []
            for topic in commit.topics {
                var partitions: [PartitionOutcome] = []
                for part in topic.partitions { partitions.append(PartitionOutcome(partition: part.partition, error: error())) }
                outcomes.append(TopicOutcome(name: topic.name, partitions: partitions))
            }
            return .group(.committed(outcomes))
        case .deleteOffsets(_, let topics):
            var outcomes: [TopicOutcome] = []
            for topic in topics {
                var partitions: [PartitionOutcome] = []
                for partition in topic.partitions { partitions.append(PartitionOutcome(partition: partition, error: error())) }
                outcomes.append(TopicOutcome(name: topic.name, partitions: partitions))
            }
            return .group(.committed(outcomes))
        case .fetchOffsets(let queries):
            var found: [GroupOffsets] = []
            for query in queries { found.append(GroupOffsets(group: query.group, topics: offsets(query.topics), error: error())) }
            return .group(.offsets(found))
        case .describe(let names):
            var found: [GroupDescription] = []
            for name in names { found.append(description(of: name)) }
            return .group(.groups(found))
        case .list:
            var found: [ListedGroup] = []
            for _ in 0..<choose(4) { found.append(ListedGroup(name: name(), kind: .classic, state: state(), protocolType: name())) }
            return .group(.listed(found))
        case .delete(let names):
            var found: [DeletedGroup] = []
            for name in names { found.append(DeletedGroup(name: name, error: error())) }
            return .group(.deleted(found))
        }
    }

    private mutating func name() -> String { ["", "a", "member", "consumer", String(repeating: "é", count: 200)][choose(5)] }
    private mutating func content() -> [UInt8] { [UInt8](repeating: UInt8(choose(256)), count: choose(40)) }
    private mutating func state() -> GroupState { GroupState.allCases[choose(GroupState.allCases.count)] }
    private mutating func error() -> BrokerError.Code? { choose(3) == 0 ? failure().code : nil }

    private mutating func offsets(_ asked: [TopicPartitions]?) -> [TopicOffsets] {
        var topics: [TopicOffsets] = []
        for topic in asked ?? [TopicPartitions(name: name(), partitions: [0, 7])] {
            var partitions: [PartitionOffset] = []
            for partition in topic.partitions {
                partitions.append(PartitionOffset(partition: partition, offset: number(), leaderEpoch: small(), metadata: name()))
            }
            topics.append(TopicOffsets(name: topic.name, partitions: partitions))
        }
        return topics
    }

    private mutating func description(of group: String) -> GroupDescription {
        var members: [GroupMemberDescription] = []
        for _ in 0..<choose(3) {
            members.append(
                GroupMemberDescription(
                    memberID: name(), instanceID: choose(2) == 0 ? nil : name(), clientID: name(), clientHost: name(), metadata: content(),
                    assignment: content()))
        }
        return GroupDescription(
            name: group, kind: .classic, state: state(), protocolType: name(), protocolName: name(), generation: small(),
            leader: choose(2) == 0 ? nil : name(), members: members, error: error())
    }
}
