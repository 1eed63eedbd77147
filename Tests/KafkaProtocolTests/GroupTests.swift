import BrokerCore
import Bytes
@testable import KafkaProtocol
import SegmentLog
import Testing
import Wire

/// Goal: at every version the requests about groups ask the broker for what the client meant, and each outcome is the code and the place by
/// which clients go on. The broker is what a test says it answers.
@Suite struct GroupTests {
    private let harness = SessionHarness(server: ServerIdentity(shards: 3))

    /// Sends it, answers the one question with `response`, and reads what the client is told.
    private func ask<Q: KafkaMessage, A: KafkaMessage>(_ message: Q, version: Int16, _ response: Response, _: A.Type = A.self) throws -> A {
        let next = harness.asked.count
        harness.feed(message, version: version, client: "app")
        try #require(harness.asked.count == next + 1)
        harness.answer(next, response)
        return try #require(try harness.response(A.self, Q.key, version: version)).body
    }

    private var asked: GroupRequest? {
        if case .group(let request)? = harness.asked.last?.request { request } else { nil }
    }

    private func failed(_ code: BrokerError.Code) -> Response { .failed(BrokerError(code, "for a reason")) }

    // MARK: Where

    @Test(arguments: Array(0...4) as [Int16])
    func groupsAreAtTheFirstShard(version: Int16) throws {
        var request = FindCoordinatorRequest()
        if version >= 4 { request.coordinatorKeys = ["a", "b"] } else { request.key = "a" }
        harness.feed(request, version: version)
        #expect(harness.asked.isEmpty)
        let response = try #require(try harness.response(FindCoordinatorResponse.self, .findCoordinator, version: version)).body
        if version >= 4 {
            #expect(
                response.coordinators.map(\.key) == ["a", "b"] && response.coordinators.allSatisfy { $0.nodeID == 0 && $0.port == 9_092 && $0.errorCode == 0 })
        } else {
            #expect(response.errorCode == 0 && response.nodeID == 0 && response.host == "127.0.0.1" && response.port == 9_092)
        }
        guard version >= 1 else { return }
        request.keyType = 1
        harness.feed(request, version: version)
        let refused = try #require(try harness.response(FindCoordinatorResponse.self, .findCoordinator, version: version)).body
        #expect((version >= 4 ? refused.coordinators[0].errorCode : refused.errorCode) == KafkaError.transactionalIDAuthorizationFailed.rawValue)
    }

    // MARK: Membership

    @Test(arguments: Array(0...9) as [Int16])
    func aJoinSaysWhatItsVersionCanSay(version: Int16) throws {
        var request = JoinGroupRequest(groupID: "g", sessionTimeoutMs: 9_000, memberID: "m", protocolType: "consumer")
        request.protocols = [JoinGroupRequest.GroupProtocol(name: "range", metadata: [1, 2])]
        if version >= 1 { request.rebalanceTimeoutMs = 70_000 }
        if version >= 5 { request.groupInstanceID = "i" }
        if version >= 8 { request.reason = "hungry" }
        let joined = JoinedGroup(
            generation: 7, protocolType: "consumer", protocolName: "range", leader: "m", memberID: "m",
            members: [JoinedMember(memberID: "m", instanceID: "i", metadata: [1, 2])], skipsAssignment: true)
        let response = try ask(request, version: version, .group(.joined(joined)), JoinGroupResponse.self)
        guard case .join(let join)? = asked else {
            Issue.record("asked \(String(describing: asked))")
            return
        }
        #expect(join.group == "g" && join.memberID == "m" && join.clientID == "app" && join.clientHost == "/test" && join.sessionTimeoutMilliseconds == 9_000)
        #expect(join.rebalanceTimeoutMilliseconds == (version >= 1 ? 70_000 : -1) && join.instanceID == (version >= 5 ? "i" : nil))
        #expect(join.requiresKnownMemberID == (version >= 4) && join.maySkipAssignment == (version >= 9) && join.reason == (version >= 8 ? "hungry" : nil))
        #expect(join.protocols == [GroupProtocol(name: "range", metadata: [1, 2])])
        #expect(response.errorCode == 0 && response.generationID == 7 && response.protocolName == "range" && response.leader == "m" && response.memberID == "m")
        #expect(response.protocolType == (version >= 7 ? "consumer" : nil) && response.skipAssignment == (version >= 9))
        #expect(response.members == [JoinGroupResponse.Member(memberID: "m", groupInstanceID: version >= 5 ? "i" : nil, metadata: [1, 2])])

        let told = try ask(request, version: version, .group(.memberIDRequired("new")), JoinGroupResponse.self)
        #expect(told.errorCode == 79 && told.memberID == "new" && told.generationID == -1)
        let refused = try ask(request, version: version, failed(.inconsistentProtocol), JoinGroupResponse.self)
        #expect(refused.errorCode == 23 && refused.memberID == "m" && refused.protocolName == (version >= 7 ? nil : ""))
    }

    @Test(arguments: Array(0...5) as [Int16])
    func aSyncIsAnsweredWithTheAssignment(version: Int16) throws {
        var request = SyncGroupRequest(groupID: "g", generationID: 7, memberID: "m")
        if version >= 3 { request.groupInstanceID = "i" }
        if version >= 5 { (request.protocolType, request.protocolName) = ("consumer", "range") }
        request.assignments = [SyncGroupRequest.Assignment(memberID: "m", assignment: [9])]
        let synced = SyncedGroup(protocolType: "consumer", protocolName: "range", assignment: [9])
        let response = try ask(request, version: version, .group(.synced(synced)), SyncGroupResponse.self)
        guard case .sync(let sync)? = asked else {
            Issue.record("asked \(String(describing: asked))")
            return
        }
        #expect(sync.member == GroupMember(group: "g", generation: 7, memberID: "m", instanceID: version >= 3 ? "i" : nil))
        #expect(sync.protocolName == (version >= 5 ? "range" : nil) && sync.assignments == [GroupAssignment(memberID: "m", assignment: [9])])
        #expect(response.assignment == [9] && response.protocolName == (version >= 5 ? "range" : nil))
        #expect(try ask(request, version: version, failed(.rebalanceInProgress), SyncGroupResponse.self).errorCode == 27)
    }

    @Test(
        arguments: [
            (.unknownMember, 25), (.illegalGeneration, 22), (.rebalanceInProgress, 27), (.fencedInstance, 82), (.invalidName, 24), (.storageFailed, 15),
            (.shuttingDown, 15), (.limitReached, 44), (.groupFull, 81), (.invalidSessionTimeout, 26),
        ] as [(BrokerError.Code, Int16)])
    func eachOutcomeHasItsCode(_ code: BrokerError.Code, _ error: Int16) throws {
        for version in Int16(0)...4 {
            #expect(
                try ask(HeartbeatRequest(groupID: "g", generationID: 1, memberID: "m"), version: version, failed(code), HeartbeatResponse.self).errorCode
                    == error)
        }
        #expect(try ask(HeartbeatRequest(groupID: "g"), version: 4, .done, HeartbeatResponse.self).errorCode == 0)
    }

    @Test(arguments: Array(0...5) as [Int16])
    func oneLeavesOrSeveralAreSentAway(version: Int16) throws {
        let left = [
            LeftMember(memberID: "m", instanceID: nil, error: .unknownMember), LeftMember(memberID: "", instanceID: "i", error: nil),
        ]
        guard version >= 3 else {
            let response = try ask(LeaveGroupRequest(groupID: "g", memberID: "m"), version: version, .group(.left([left[0]])), LeaveGroupResponse.self)
            #expect(response.errorCode == 25)
            return
        }
        let request = LeaveGroupRequest(
            groupID: "g", members: [LeaveGroupRequest.Member(memberID: "m"), LeaveGroupRequest.Member(memberID: "", groupInstanceID: "i")])
        let response = try ask(request, version: version, .group(.left(left)), LeaveGroupResponse.self)
        guard case .leave("g", let leaving)? = asked else {
            Issue.record("asked \(String(describing: asked))")
            return
        }
        #expect(leaving.map(\.memberID) == ["m", ""] && leaving.map(\.instanceID) == [nil, "i"])
        #expect(response.errorCode == 0 && response.members.map(\.errorCode) == [25, 0] && response.members.map(\.groupInstanceID) == [nil, "i"])
        #expect(try ask(request, version: version, failed(.invalidName), LeaveGroupResponse.self).errorCode == 24)
    }

    // MARK: Offsets

    @Test(arguments: Array(1...8) as [Int16])
    func offsetsAreCommittedPartitionByPartition(version: Int16) throws {
        var partition = OffsetCommitRequest.Partition(partitionIndex: 2, committedOffset: 44)
        partition.committedMetadata = nil
        if version >= 6 { partition.committedLeaderEpoch = 5 }
        let request = OffsetCommitRequest(
            groupID: "g", generationIDOrMemberEpoch: 3, memberID: "m",
            topics: [OffsetCommitRequest.Topic(name: "t", partitions: [partition, OffsetCommitRequest.Partition(partitionIndex: 9)])])
        let outcome = TopicOutcome(
            name: "t", partitions: [PartitionOutcome(partition: 2, error: nil), PartitionOutcome(partition: 9, error: .unknownPartition)])
        let response = try ask(request, version: version, .group(.committed([outcome])), OffsetCommitResponse.self)
        guard case .commitOffsets(let commit)? = asked else {
            Issue.record("asked \(String(describing: asked))")
            return
        }
        #expect(commit.member == GroupMember(group: "g", generation: 3, memberID: "m", instanceID: nil))
        #expect(commit.topics.first?.partitions.first == PartitionOffset(partition: 2, offset: 44, leaderEpoch: version >= 6 ? 5 : -1, metadata: ""))
        #expect(response.topics.first?.partitions.map(\.errorCode) == [0, 3])
        let refused = try ask(request, version: version, failed(.illegalGeneration), OffsetCommitResponse.self)
        #expect(refused.topics.map(\.name) == ["t"] && refused.topics.first?.partitions.map(\.errorCode) == [22, 22])
    }

    @Test(arguments: Array(1...8) as [Int16])
    func offsetsAreFetchedOfOneGroupOrOfSeveral(version: Int16) throws {
        let wanted = [OffsetFetchRequest.Topic(name: "t", partitionIndexes: [0, 1])]
        let found = [
            TopicOffsets(
                name: "t",
                partitions: [
                    PartitionOffset(partition: 0, offset: 5, leaderEpoch: 2, metadata: "x"),
                    PartitionOffset(partition: 1, offset: -1, leaderEpoch: -1, metadata: ""),
                ])
        ]
        guard version >= 8 else {
            let request = OffsetFetchRequest(groupID: "g", topics: wanted)
            let response = try ask(request, version: version, .group(.offsets([GroupOffsets(group: "g", topics: found, error: nil)])), OffsetFetchResponse.self)
            #expect(response.topics.first?.partitions.map(\.committedOffset) == [5, -1] && response.topics.first?.partitions.first?.metadata == "x")
            #expect(response.topics.first?.partitions.first?.committedLeaderEpoch == (version >= 5 ? 2 : -1))
            let refused = try ask(request, version: version, failed(.storageFailed), OffsetFetchResponse.self)
            if version >= 2 { #expect(refused.errorCode == 15) } else { #expect(refused.topics.first?.partitions.map(\.errorCode) == [15, 15]) }
            guard version >= 2 else { return }
            let all = try ask(
                OffsetFetchRequest(groupID: "g", topics: nil), version: version, .group(.offsets([GroupOffsets(group: "g", topics: [], error: .invalidName)])),
                OffsetFetchResponse.self)
            #expect(all.errorCode == 24)
            if case .fetchOffsets(let queries)? = asked { #expect(queries == [OffsetQuery(group: "g", topics: nil)]) } else { Issue.record("not asked") }
            return
        }
        let request = OffsetFetchRequest(
            groups: [OffsetFetchRequest.Group(groupID: "g", topics: wanted), OffsetFetchRequest.Group(groupID: "", topics: nil)])
        let offsets = [GroupOffsets(group: "g", topics: found, error: nil), GroupOffsets(group: "", topics: [], error: .invalidName)]
        let response = try ask(request, version: version, .group(.offsets(offsets)), OffsetFetchResponse.self)
        #expect(response.groups.map(\.groupID) == ["g", ""] && response.groups.map(\.errorCode) == [0, 24])
        #expect(try ask(request, version: version, failed(.storageFailed), OffsetFetchResponse.self).groups.map(\.errorCode) == [15, 15])
    }

    @Test func offsetsAreDeletedPartitionByPartition() throws {
        let request = OffsetDeleteRequest(
            groupID: "g", topics: [OffsetDeleteRequest.Topic(name: "t", partitions: [OffsetDeleteRequest.Partition(partitionIndex: 4)])])
        let outcome = TopicOutcome(name: "t", partitions: [PartitionOutcome(partition: 4, error: .groupSubscribedToTopic)])
        let response = try ask(request, version: 0, .group(.committed([outcome])), OffsetDeleteResponse.self)
        #expect(response.errorCode == 0 && response.topics.first?.partitions.map(\.errorCode) == [86])
        for (code, error) in [(.groupNotFound, 69), (.groupNotEmpty, 68)] as [(BrokerError.Code, Int16)] {
            #expect(try ask(request, version: 0, failed(code), OffsetDeleteResponse.self).errorCode == error)
        }
    }

    // MARK: Operating

    @Test(arguments: Array(0...6) as [Int16])
    func aGroupThatIsNotThereIsDeadAndLaterAnError(version: Int16) throws {
        let member = GroupMemberDescription(memberID: "m", instanceID: "i", clientID: "c", clientHost: "/h", metadata: [1], assignment: [2])
        let groups = [
            GroupDescription(
                name: "g", kind: .classic, state: .stable, protocolType: "consumer", protocolName: "range", generation: 3, leader: "m", members: [member],
                error: nil),
            GroupDescription(
                name: "x", kind: .classic, state: .dead, protocolType: "", protocolName: "", generation: 0, leader: nil, members: [], error: .groupNotFound),
        ]
        var request = DescribeGroupsRequest(groups: ["g", "x"])
        if version >= 3 { request.includeAuthorizedOperations = true }
        let response = try ask(request, version: version, .group(.groups(groups)), DescribeGroupsResponse.self)
        #expect(response.groups.map(\.groupState) == ["Stable", "Dead"] && response.groups.map(\.errorCode) == [0, version >= 6 ? 69 : 0])
        #expect(response.groups[0].protocolData == "range" && response.groups[0].authorizedOperations == (version >= 3 ? 328 : .min))
        #expect(response.groups[0].members.first?.groupInstanceID == (version >= 4 ? "i" : nil) && response.groups[0].members.first?.memberAssignment == [2])
        let refused = try ask(request, version: version, failed(.shuttingDown), DescribeGroupsResponse.self)
        #expect(refused.groups.map(\.errorCode) == [15, 15] && refused.groups.map(\.groupID) == ["g", "x"])
    }

    @Test(arguments: Array(0...5) as [Int16])
    func groupsAreListedByTheirStates(version: Int16) throws {
        var request = ListGroupsRequest()
        if version >= 4 { request.statesFilter = ["stable", "PreparingRebalance", "Strange"] }
        if version >= 5 { request.typesFilter = ["Classic", "share"] }
        let listed = ListedGroup(name: "g", kind: .classic, state: .completingRebalance, protocolType: "consumer")
        let response = try ask(request, version: version, .group(.listed([listed])), ListGroupsResponse.self)
        guard case .list(let states, let kinds)? = asked else {
            Issue.record("asked \(String(describing: asked))")
            return
        }
        #expect(states == (version >= 4 ? [.stable, .preparingRebalance] : nil) && kinds == (version >= 5 ? [.classic] : nil))
        #expect(
            response.groups == [
                ListGroupsResponse.Group(
                    groupID: "g", protocolType: "consumer", groupState: version >= 4 ? "CompletingRebalance" : "", groupType: version >= 5 ? "classic" : "")
            ])
    }

    @Test(arguments: Array(0...2) as [Int16])
    func groupsAreDeletedEachWithItsOutcome(version: Int16) throws {
        let request = DeleteGroupsRequest(groupsNames: ["a", "b"])
        let deleted = [DeletedGroup(name: "a", error: nil), DeletedGroup(name: "b", error: .groupNotEmpty)]
        #expect(try ask(request, version: version, .group(.deleted(deleted)), DeleteGroupsResponse.self).results.map(\.errorCode) == [0, 68])
        #expect(try ask(request, version: version, failed(.storageFailed), DeleteGroupsResponse.self).results.map(\.errorCode) == [15, 15])
    }
}
