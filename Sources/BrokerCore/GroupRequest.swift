/// What a session asks about groups of consumers: members that share topics among themselves, and the offsets that they have committed.
///
/// The verbs are those of Kafka's classic groups; protocols without members use the offsets alone.
package enum GroupRequest: Sendable {
    /// Answered with `.joined` when the group's next generation begins, or with `.memberIDRequired`.
    case join(JoinGroup)
    /// Answered with `.synced` when the leader has said who gets what.
    case sync(SyncGroup)
    /// Answers `.done`, or the reason why the member is to join again.
    case heartbeat(GroupMember)
    /// Answers `.left`.
    case leave(group: String, [LeavingMember])
    /// Answers `.committed` once the offsets are durable.
    case commitOffsets(CommitOffsets)
    /// Answers `.offsets`, one for each query.
    case fetchOffsets([OffsetQuery])
    /// Answers `.groups`, one for each name.
    case describe([String])
    /// Answers `.listed` with the groups in one of the states and of one of the kinds; nil: all.
    case list(states: [GroupState]?, kinds: [GroupKind]?)
    /// Answers `.deleted`, one for each name.
    case delete([String])
    /// Answers `.committed`.
    case deleteOffsets(group: String, [TopicPartitions])
}

package enum GroupResponse: Sendable {
    case joined(JoinedGroup)
    /// The new member is to join again with this id; until its session timeout the group waits for it.
    case memberIDRequired(String)
    case synced(SyncedGroup)
    case left([LeftMember])
    case committed([TopicOutcome])
    case offsets([GroupOffsets])
    case groups([GroupDescription])
    case listed([ListedGroup])
    case deleted([DeletedGroup])
}

// MARK: Membership

package struct JoinGroup: Sendable {
    package var group: String
    /// Empty: a new member.
    package var memberID: String
    /// A static member's own name, which outlives its member ids.
    package var instanceID: String?
    package var clientID: String
    package var clientHost: String
    package var sessionTimeoutMilliseconds: Int32
    /// How long the others wait for this member when a generation ends; -1: as the session timeout.
    package var rebalanceTimeoutMilliseconds: Int32
    package var protocolType: String
    /// What the member supports, the one it likes best first.
    package var protocols: [GroupProtocol]
    /// A new dynamic member is first told its id (Kafka's KIP-394), so that a lost answer leaves nobody behind.
    package var requiresKnownMemberID: Bool
    /// Understands a leader's answer that says to assign nothing (KIP-814).
    package var maySkipAssignment: Bool
    /// Why it joins, for people.
    package var reason: String?
    package init(
        group: String, memberID: String, instanceID: String?, clientID: String, clientHost: String, sessionTimeoutMilliseconds: Int32,
        rebalanceTimeoutMilliseconds: Int32, protocolType: String, protocols: [GroupProtocol], requiresKnownMemberID: Bool,
        maySkipAssignment: Bool = false, reason: String?
    ) {
        self.group = group
        self.memberID = memberID
        self.instanceID = instanceID
        self.clientID = clientID
        self.clientHost = clientHost
        self.sessionTimeoutMilliseconds = sessionTimeoutMilliseconds
        self.rebalanceTimeoutMilliseconds = rebalanceTimeoutMilliseconds
        self.protocolType = protocolType
        self.protocols = protocols
        self.requiresKnownMemberID = requiresKnownMemberID
        self.maySkipAssignment = maySkipAssignment
        self.reason = reason
    }
}

package struct GroupProtocol: Equatable, Sendable {
    package var name: String
    /// Not looked into, but for the topics of members of the type `consumer`.
    package var metadata: [UInt8]
    package init(name: String, metadata: [UInt8]) {
        self.name = name
        self.metadata = metadata
    }
}

package struct JoinedGroup: Equatable, Sendable {
    package var generation: Int32
    package var protocolType: String
    package var protocolName: String
    package var leader: String
    package var memberID: String
    /// Everybody, for the leader; empty for the others.
    package var members: [JoinedMember]
    /// The leader came back to a stable group: all have their assignments already.
    package var skipsAssignment: Bool
    package init(
        generation: Int32, protocolType: String, protocolName: String, leader: String, memberID: String, members: [JoinedMember], skipsAssignment: Bool = false
    ) {
        self.generation = generation
        self.protocolType = protocolType
        self.protocolName = protocolName
        self.leader = leader
        self.memberID = memberID
        self.members = members
        self.skipsAssignment = skipsAssignment
    }
}

package struct JoinedMember: Equatable, Sendable {
    package var memberID: String
    package var instanceID: String?
    /// What it gave for the protocol that was chosen.
    package var metadata: [UInt8]
    package init(memberID: String, instanceID: String?, metadata: [UInt8]) {
        self.memberID = memberID
        self.instanceID = instanceID
        self.metadata = metadata
    }
}

/// Who asks: a member of one generation. An empty `memberID` with generation -1 is nobody's member.
package struct GroupMember: Equatable, Sendable {
    package var group: String
    package var generation: Int32
    package var memberID: String
    package var instanceID: String?
    package init(group: String, generation: Int32, memberID: String, instanceID: String?) {
        self.group = group
        self.generation = generation
        self.memberID = memberID
        self.instanceID = instanceID
    }
}

package struct SyncGroup: Sendable {
    package var member: GroupMember
    /// What the member believes was chosen; nil: it does not say.
    package var protocolType: String?
    package var protocolName: String?
    /// From the leader; empty from the others.
    package var assignments: [GroupAssignment]
    package init(member: GroupMember, protocolType: String?, protocolName: String?, assignments: [GroupAssignment]) {
        self.member = member
        self.protocolType = protocolType
        self.protocolName = protocolName
        self.assignments = assignments
    }
}

package struct GroupAssignment: Equatable, Sendable {
    package var memberID: String
    package var assignment: [UInt8]
    package init(memberID: String, assignment: [UInt8]) {
        self.memberID = memberID
        self.assignment = assignment
    }
}

package struct SyncedGroup: Equatable, Sendable {
    package var protocolType: String
    package var protocolName: String
    package var assignment: [UInt8]
    package init(protocolType: String, protocolName: String, assignment: [UInt8]) {
        self.protocolType = protocolType
        self.protocolName = protocolName
        self.assignment = assignment
    }
}

/// With an empty `memberID` whoever has the instance id now.
package struct LeavingMember: Equatable, Sendable {
    package var memberID: String
    package var instanceID: String?
    package var reason: String?
    package init(memberID: String, instanceID: String?, reason: String?) {
        self.memberID = memberID
        self.instanceID = instanceID
        self.reason = reason
    }
}

package struct LeftMember: Equatable, Sendable {
    package var memberID: String
    package var instanceID: String?
    /// nil: it is gone.
    package var error: BrokerError.Code?
    package init(memberID: String, instanceID: String?, error: BrokerError.Code?) {
        self.memberID = memberID
        self.instanceID = instanceID
        self.error = error
    }
}

// MARK: Offsets

package struct CommitOffsets: Sendable {
    package var member: GroupMember
    package var topics: [TopicOffsets]
    package init(member: GroupMember, topics: [TopicOffsets]) {
        self.member = member
        self.topics = topics
    }
}

/// Offsets of one topic, to be committed or as they are committed.
package struct TopicOffsets: Equatable, Sendable {
    package var name: String
    package var partitions: [PartitionOffset]
    package init(name: String, partitions: [PartitionOffset]) {
        self.name = name
        self.partitions = partitions
    }
}

package struct PartitionOffset: Equatable, Sendable {
    package var partition: Int32
    /// The next one to be read; -1: nothing is committed.
    package var offset: Int64
    /// -1: not known.
    package var leaderEpoch: Int32
    package var metadata: String
    package init(partition: Int32, offset: Int64, leaderEpoch: Int32, metadata: String) {
        self.partition = partition
        self.offset = offset
        self.leaderEpoch = leaderEpoch
        self.metadata = metadata
    }
}

package struct TopicPartitions: Equatable, Sendable {
    package var name: String
    package var partitions: [Int32]
    package init(name: String, partitions: [Int32]) {
        self.name = name
        self.partitions = partitions
    }
}

/// What became of the partitions of one topic, in the order in which they were named.
package struct TopicOutcome: Equatable, Sendable {
    package var name: String
    package var partitions: [PartitionOutcome]
    package init(name: String, partitions: [PartitionOutcome]) {
        self.name = name
        self.partitions = partitions
    }
}

package struct PartitionOutcome: Equatable, Sendable {
    package var partition: Int32
    /// nil: done.
    package var error: BrokerError.Code?
    package init(partition: Int32, error: BrokerError.Code?) {
        self.partition = partition
        self.error = error
    }
}

package struct OffsetQuery: Equatable, Sendable {
    package var group: String
    /// nil: all that are committed.
    package var topics: [TopicPartitions]?
    package init(group: String, topics: [TopicPartitions]?) {
        self.group = group
        self.topics = topics
    }
}

package struct GroupOffsets: Equatable, Sendable {
    package var group: String
    package var topics: [TopicOffsets]
    package var error: BrokerError.Code?
    package init(group: String, topics: [TopicOffsets], error: BrokerError.Code?) {
        self.group = group
        self.topics = topics
        self.error = error
    }
}

// MARK: Operating

package enum GroupState: UInt8, Sendable, CaseIterable {
    /// No members; perhaps offsets.
    case empty = 0
    /// Waiting for the members to join the next generation.
    case preparingRebalance = 1
    /// Waiting for the leader to say who gets what.
    case completingRebalance = 2
    case stable = 3
    /// Not there (any more).
    case dead = 4
}

package enum GroupKind: UInt8, Sendable, CaseIterable {
    case classic = 0
}

package struct ListedGroup: Equatable, Sendable {
    package var name: String
    package var kind: GroupKind
    package var state: GroupState
    package var protocolType: String
    package init(name: String, kind: GroupKind, state: GroupState, protocolType: String) {
        self.name = name
        self.kind = kind
        self.state = state
        self.protocolType = protocolType
    }
}

/// A group as it stands. One that does not exist is `.dead` and has the error `.groupNotFound`.
package struct GroupDescription: Equatable, Sendable {
    package var name: String
    package var kind: GroupKind
    package var state: GroupState
    package var protocolType: String
    /// Known while the group is stable, as are the members' metadata and assignments.
    package var protocolName: String
    package var generation: Int32
    package var leader: String?
    package var members: [GroupMemberDescription]
    package var error: BrokerError.Code?
    package init(
        name: String, kind: GroupKind, state: GroupState, protocolType: String, protocolName: String, generation: Int32, leader: String?,
        members: [GroupMemberDescription], error: BrokerError.Code?
    ) {
        self.name = name
        self.kind = kind
        self.state = state
        self.protocolType = protocolType
        self.protocolName = protocolName
        self.generation = generation
        self.leader = leader
        self.members = members
        self.error = error
    }
}

package struct GroupMemberDescription: Equatable, Sendable {
    package var memberID: String
    package var instanceID: String?
    package var clientID: String
    package var clientHost: String
    package var metadata: [UInt8]
    package var assignment: [UInt8]
    package init(memberID: String, instanceID: String?, clientID: String, clientHost: String, metadata: [UInt8], assignment: [UInt8]) {
        self.memberID = memberID
        self.instanceID = instanceID
        self.clientID = clientID
        self.clientHost = clientHost
        self.metadata = metadata
        self.assignment = assignment
    }
}

package struct DeletedGroup: Equatable, Sendable {
    package var name: String
    /// nil: it is gone.
    package var error: BrokerError.Code?
    package init(name: String, error: BrokerError.Code?) {
        self.name = name
        self.error = error
    }
}
