import SegmentLog

@testable import BrokerCore

/// Shorthands for groups on a whole broker.
extension Harness {
    static func asked(
        _ group: String, _ memberID: String = "", instance: String? = nil, knownID: Bool = false, session: Int32 = 10_000, metadata: [UInt8] = [],
        type: String = "consumer"
    ) -> Request {
        .group(
            .join(
                JoinGroup(
                    group: group, memberID: memberID, instanceID: instance, clientID: "client", clientHost: "/127.0.0.1", sessionTimeoutMilliseconds: session,
                    rebalanceTimeoutMilliseconds: 60_000, protocolType: type, protocols: [GroupProtocol(name: "range", metadata: metadata)],
                    requiresKnownMemberID: knownID, reason: nil)))
    }

    func joined(_ response: Response?) -> JoinedGroup? {
        if case .group(.joined(let joined))? = response { joined } else { nil }
    }

    func join(_ group: String, _ memberID: String = "", instance: String? = nil, metadata: [UInt8] = [], type: String = "consumer") -> JoinedGroup? {
        joined(answer(Harness.asked(group, memberID, instance: instance, metadata: metadata, type: type)))
    }

    func sync(_ group: String, _ joined: JoinedGroup, instance: String? = nil, assign: [String: String] = [:]) -> Request {
        .group(
            .sync(
                SyncGroup(
                    member: GroupMember(group: group, generation: joined.generation, memberID: joined.memberID, instanceID: instance), protocolType: nil,
                    protocolName: nil,
                    assignments: assign.sorted { $0.key < $1.key }.map { GroupAssignment(memberID: $0.key, assignment: Array($0.value.utf8)) })))
    }

    func assignment(_ response: Response?) -> String? {
        if case .group(.synced(let synced))? = response { String(decoding: synced.assignment, as: UTF8.self) } else { nil }
    }

    func heartbeat(_ group: String, _ joined: JoinedGroup, instance: String? = nil) -> Request {
        .group(.heartbeat(GroupMember(group: group, generation: joined.generation, memberID: joined.memberID, instanceID: instance)))
    }

    /// One member that is alone in its group.
    func formGroup(_ group: String, instance: String? = nil, metadata: [UInt8] = [], type: String = "consumer") throws -> JoinedGroup {
        guard let joined = join(group, instance: instance, metadata: metadata, type: type) else { throw Failure.notMade }
        guard assignment(answer(sync(group, joined, instance: instance, assign: [joined.memberID: "everything"]))) == "everything" else {
            throw Failure.notMade
        }
        return joined
    }

    static func commit(
        _ group: String, _ offsets: [(String, Int32, Int64)], generation: Int32 = -1, memberID: String = "", metadata: String = ""
    ) -> Request {
        .group(
            .commitOffsets(
                CommitOffsets(
                    member: GroupMember(group: group, generation: generation, memberID: memberID, instanceID: nil),
                    topics: offsets.map { topic, partition, offset in
                        TopicOffsets(name: topic, partitions: [PartitionOffset(partition: partition, offset: offset, leaderEpoch: 3, metadata: metadata)])
                    })))
    }

    /// What became of each partition, in order; nil for those that went well.
    func outcomes(_ response: Response?) -> [BrokerError.Code?]? {
        if case .group(.committed(let topics))? = response { topics.flatMap { $0.partitions.map(\.error) } } else { nil }
    }

    /// What the group has committed, as `topic/partition=offset`.
    func committed(_ group: String, _ topics: [TopicPartitions]? = nil) -> [String] {
        guard case .group(.offsets(let found))? = answer(.group(.fetchOffsets([OffsetQuery(group: group, topics: topics)]))) else { return ["no answer"] }
        return found.flatMap { $0.topics.flatMap { topic in topic.partitions.map { "\(topic.name)/\($0.partition)=\($0.offset)" } } }
    }

    func described(_ group: String) -> GroupDescription? {
        guard case .group(.groups(let found))? = answer(.group(.describe([group]))) else { return nil }
        return found.first
    }

    func listed(_ states: [GroupState]? = nil, kinds: [GroupKind]? = nil) -> [String] {
        guard case .group(.listed(let found))? = answer(.group(.list(states: states, kinds: kinds))) else { return [] }
        return found.map(\.name)
    }

    /// What a consumer of these topics puts into its metadata.
    static func subscription(_ topics: [String]) -> [UInt8] {
        var bytes: [UInt8] = [0, 1, 0, 0, 0, UInt8(topics.count)]
        for topic in topics { bytes += [0, UInt8(topic.utf8.count)] + Array(topic.utf8) }
        return bytes + [0xff, 0xff, 0xff, 0xff]
    }
}
