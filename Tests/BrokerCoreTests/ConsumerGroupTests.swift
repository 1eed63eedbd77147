import SegmentLog
import Testing

@testable import BrokerCore

/// The life of a group without IO: who joins, who leads, who is sent away, and what each is answered.
struct ConsumerGroupTests {
    // MARK: Beginning

    @Test func aSingleMemberLeadsAtOnceWhereTheInitialDelayIsZero() {
        let bench = GroupBench()
        let joined = bench.joined(bench.join())
        #expect(
            joined
                == JoinedGroup(
                    generation: 1, protocolType: "consumer", protocolName: "range", leader: "c-1", memberID: "c-1",
                    members: [JoinedMember(memberID: "c-1", instanceID: nil, metadata: Array("m".utf8))]))
        let sync = bench.sync("c-1", assign: ["c-1": "all"])
        #expect(bench.assignment(sync) == "all")
        #expect(bench.group.state == .stable)
        #expect(bench.heartbeat("c-1") == nil)
    }

    /// Each newcomer prolongs the wait, until the rebalance timeout of the members.
    @Test(
        arguments: [(gap: 20, count: 3, wait: 200), (gap: 90, count: 20, wait: 1_000), (gap: 101, count: 1, wait: 100)]
            as [(gap: UInt64, count: Int, wait: UInt64)])
    func theInitialDelayCollectsMembers(_ test: (gap: UInt64, count: Int, wait: UInt64)) {
        let bench = GroupBench { $0.initialRebalanceMilliseconds = 100 }
        var requests: [RequestID] = []
        let begin = bench.now.instant
        for _ in 0..<test.count {
            guard bench.group.generation == 0 else { break }
            requests.append(bench.join(rebalance: 1_000))
            bench.advance(test.gap)
        }
        while bench.group.generation == 0 { bench.advance(1) }
        let waited = bench.now.instant.nanoseconds(since: begin) / 1_000_000
        #expect(waited >= test.wait && waited <= test.wait + test.gap)
        #expect(bench.group.generation == 1)
        let joined = requests.compactMap(bench.joined)
        #expect(joined.count == requests.count && Set(joined.map(\.leader)).count == 1)
        #expect(joined.filter { !$0.members.isEmpty }.map(\.memberID) == ["c-1"], "the leader alone sees the members")
        #expect(joined.first?.members.count == requests.count)
    }

    @Test func aNewMemberIsToldItsIDFirstAndWaitedFor() {
        let bench = GroupBench()
        let ids = bench.form(1)
        let told = bench.join(session: 6_000, knownID: true)
        let id = bench.givenID(told) ?? ""
        #expect(id == "c-2")
        #expect(bench.heartbeat(ids[0]) == nil, "nothing changes for the others")
        let second = bench.join(id)
        #expect(bench.isParked(second))
        #expect(bench.heartbeat(ids[0]) == .rebalanceInProgress)
        let first = bench.join(ids[0])
        #expect(bench.joined(first)?.generation == 2 && bench.joined(second)?.generation == 2)
        // Who was told its id and does not come is waited for, but not for ever.
        bench.sync(ids[0], assign: [:])
        _ = bench.join(session: 6_000, knownID: true)
        let again = bench.join(ids[0])
        let other = bench.join(id)
        #expect(bench.isParked(again) && bench.isParked(other))
        bench.advance(6_000)
        #expect(bench.joined(again)?.generation == 3 && bench.joined(other)?.generation == 3)
        #expect(bench.group.pending.isEmpty)
        #expect(bench.error(bench.join("c-3")) == .unknownMember)
    }

    // MARK: Protocols

    @Test(
        arguments: [
            ([["a", "b"], ["b", "a"], ["b"]], "b"), ([["a", "b"], ["b", "a"]], "a"), ([["x", "a"], ["a", "y"], ["z", "a"]], "a"),
            ([["a", "b", "c"], ["c", "b"], ["c", "b"]], "c"),
        ] as [([[String]], String)])
    func theProtocolThatMostLikeBestIsChosen(_ wishes: [[String]], _ chosen: String) {
        let bench = GroupBench { $0.initialRebalanceMilliseconds = 50 }
        let requests = wishes.map { names in bench.join(protocols: names.map { ($0, "meta of \($0)") }) }
        bench.advance(200)
        #expect(requests.map { bench.joined($0)?.protocolName } == requests.map { _ in chosen })
        #expect(bench.joined(requests[0])?.members.allSatisfy { $0.metadata == Array("meta of \(chosen)".utf8) } == true)
    }

    @Test(arguments: [("connect", ["range"]), ("consumer", ["other"]), ("", ["range"]), ("consumer", [])] as [(String, [String])])
    func membersWithoutACommonProtocolAreRefused(_ type: String, _ names: [String]) {
        let bench = GroupBench()
        let ids = bench.form(1)
        let refused = bench.join(protocols: names.map { ($0, "") }, type: type)
        #expect(bench.error(refused) == .inconsistentProtocol)
        #expect(bench.error(bench.join(ids[0], protocols: names.map { ($0, "") }, type: type)) == .inconsistentProtocol)
        #expect(bench.heartbeat(ids[0]) == nil)
    }

    @Test(
        arguments: [("consumer", "range", nil), ("connect", "range", .inconsistentProtocol), ("consumer", "sticky", .inconsistentProtocol), (nil, nil, nil)]
            as [(String?, String?, BrokerError.Code?)])
    func aSyncNamesTheProtocolItWasTold(_ type: String?, _ name: String?, _ code: BrokerError.Code?) {
        let bench = GroupBench()
        _ = bench.form(1)
        #expect(bench.error(bench.sync("c-1", type: type, name: name)) == code)
    }

    // MARK: A generation

    @Test func followersWaitForTheLeadersAssignment() {
        let bench = GroupBench()
        let ids = bench.form(3)
        #expect(bench.group.generation == 3)
        let generation = bench.group.generation
        let joins = ids.map { bench.join($0) }
        #expect(joins.allSatisfy { bench.joined($0)?.generation == generation + 1 })
        let follower = bench.sync(ids[1])
        #expect(bench.isParked(follower))
        #expect(bench.heartbeat(ids[2]) == nil, "while the leader thinks")
        #expect(bench.commit(ids[2]) == .rebalanceInProgress)
        let leader = bench.sync(ids[0], assign: [ids[0]: "one", ids[1]: "two", "stranger": "none"])
        #expect(bench.assignment(leader) == "one" && bench.assignment(follower) == "two")
        let late = bench.sync(ids[2])
        #expect(bench.assignment(late)?.isEmpty == true, "the leader forgot it")
        #expect(bench.answeredTwice.isEmpty)
    }

    @Test func whatAMemberMayDoInEachState() {
        let bench = GroupBench()
        let ids = bench.form(2)
        let generation = bench.group.generation
        // stable
        #expect(bench.heartbeat(ids[0]) == nil && bench.commit(ids[0]) == nil)
        #expect(bench.heartbeat(ids[0], generation - 1) == .illegalGeneration && bench.commit(ids[0], generation - 1) == .illegalGeneration)
        #expect(bench.error(bench.sync(ids[0], generation - 1)) == .illegalGeneration)
        #expect(bench.heartbeat("nobody") == .unknownMember && bench.commit("nobody") == .unknownMember)
        #expect(bench.commit("", -1) == .unknownMember, "who is no member commits nothing while there are members")
        // preparing
        let join = bench.join(ids[0])
        #expect(bench.group.state == .preparingRebalance)
        #expect(bench.heartbeat(ids[1]) == .rebalanceInProgress)
        #expect(bench.commit(ids[1]) == nil, "what was read before may be committed")
        #expect(bench.error(bench.sync(ids[1])) == .rebalanceInProgress)
        // completing
        bench.join(ids[1])
        #expect(bench.joined(join) != nil && bench.group.state == .completingRebalance)
        #expect(bench.heartbeat(ids[1]) == nil && bench.commit(ids[1]) == .rebalanceInProgress)
        // empty
        for id in ids { #expect(bench.leave(id) == nil) }
        #expect(bench.group.state == .empty)
        #expect(bench.heartbeat(ids[0]) == .unknownMember && bench.commit(ids[0]) == .unknownMember)
        #expect(bench.error(bench.sync(ids[0])) == .unknownMember)
        #expect(bench.commit("", -1) == nil)
    }

    @Test func aLeadersJoinBeginsAGenerationAndAFollowersRepeatsIt() {
        let bench = GroupBench()
        let ids = bench.form(2)
        let generation = bench.group.generation
        let repeated = bench.join(ids[1])
        #expect(bench.joined(repeated)?.generation == generation && bench.joined(repeated)?.members.isEmpty == true)
        #expect(bench.group.state == .stable)
        let changed = bench.join(ids[1], protocols: [("range", "other topics")])
        #expect(bench.isParked(changed) && bench.heartbeat(ids[0]) == .rebalanceInProgress)
        let leader = bench.join(ids[0])
        #expect(bench.joined(leader)?.members.last?.metadata == Array("other topics".utf8))
        // The answer was lost: while the leader thinks it is told again.
        let again = bench.join(ids[0])
        #expect(bench.joined(again) == bench.joined(leader))
        bench.sync(ids[0], assign: bench.assignments(ids))
        #expect(bench.isParked(bench.join(ids[0])) && bench.group.state == .preparingRebalance)
    }

    // MARK: Who is late, and who is gone

    @Test func whoDoesNotJoinInTimeIsLeftBehind() {
        let bench = GroupBench()
        let ids = bench.form(3, session: 30_000)
        let first = bench.join(ids[0], session: 30_000, rebalance: 5_000)
        let second = bench.join(ids[1], session: 30_000, rebalance: 5_000)
        // The longest of the members' rebalance timeouts counts, that of the slow one too.
        for _ in 0..<5 {
            bench.advance(10_000)
            #expect(bench.heartbeat(ids[2]) == .rebalanceInProgress, "it lives, and is told")
        }
        #expect(bench.isParked(first))
        bench.advance(10_001)
        #expect(bench.joined(first)?.members.map(\.memberID) == [ids[0], ids[1]])
        #expect(bench.joined(second)?.generation == 4)
        #expect(bench.heartbeat(ids[2]) == .unknownMember)
        #expect(bench.commit(ids[2], 3) == .unknownMember, "it is fenced")
    }

    @Test func whoNeverSyncsIsSentAway() {
        let bench = GroupBench()
        let ids = bench.form(2)
        let joins = ids.map { bench.join($0, rebalance: 3_000) }
        #expect(joins.allSatisfy { bench.joined($0) != nil })
        let waiting = bench.sync(ids[1])
        for _ in 0..<6 {
            bench.advance(500)
            _ = bench.heartbeat(ids[0])
        }
        #expect(bench.error(waiting) == .rebalanceInProgress)
        #expect(bench.heartbeat(ids[0]) == .unknownMember, "a heart that beats is not enough")
        let alone = bench.join(ids[1])
        #expect(bench.joined(alone)?.leader == ids[1], "the other leads")
    }

    @Test func aMemberThatIsNotHeardOfIsGoneAfterItsSessionTimeout() {
        let bench = GroupBench()
        let ids = bench.form(3)
        for _ in 0..<4 {
            bench.advance(3_000)
            #expect(bench.heartbeat(ids[0]) == (bench.group.state == .stable ? nil : .rebalanceInProgress))
            _ = bench.commit(ids[1])
        }
        #expect(bench.group.members.keys.sorted() == [ids[0], ids[1]], "a commit is a sign of life")
        #expect(bench.heartbeat(ids[0]) == .rebalanceInProgress)
        #expect(bench.heartbeat(ids[2]) == .unknownMember)
        bench.advance(60_000)
        #expect(bench.group.state == .empty && bench.group.generation == 4)
        #expect(bench.group.wake == .distantFuture)
    }

    @Test func aNewMemberThatNobodyAnswersIsAskedToComeAgain() {
        let bench = GroupBench()
        _ = bench.form(1, session: 1_000_000)
        let parked = bench.join(session: 6_000, rebalance: 2_000_000_000)
        bench.advance(300_001)
        #expect(bench.error(parked) == .unknownMember)
    }

    @Test func leavingEndsTheGenerationForTheOthers() {
        let bench = GroupBench()
        let ids = bench.form(3)
        #expect(bench.leave("stranger") == .unknownMember)
        #expect(bench.leave(ids[2]) == nil)
        #expect(bench.heartbeat(ids[0]) == .rebalanceInProgress)
        let first = bench.join(ids[0])
        let second = bench.join(ids[1])
        #expect(bench.joined(first)?.members.count == 2 && bench.joined(second) != nil)
        // Leaving while others wait for the leader.
        let waiting = bench.sync(ids[1])
        #expect(bench.leave(ids[0]) == nil)
        #expect(bench.error(waiting) == .rebalanceInProgress)
        #expect(bench.joined(bench.join(ids[1]))?.leader == ids[1])
        // Leaving with a parked join or before having come at all.
        let parked = bench.join(from: SessionID(rawValue: 2))
        let given = bench.givenID(bench.join(knownID: true)) ?? ""
        #expect(bench.leave(given) == nil && bench.leave(given) == .unknownMember)
        #expect(bench.leave("c-4") == nil)
        #expect(bench.error(parked) == .unknownMember)
        #expect(bench.answeredTwice.isEmpty)
    }

    // MARK: Sessions

    @Test func aClosedSessionIsAnsweredNothingAndItsMemberMayComeBack() {
        let bench = GroupBench()
        let ids = bench.form(2)
        let gone = SessionID(rawValue: 9)
        let lost = bench.join(ids[0], protocols: [("range", "new")], from: gone)
        bench.close(gone)
        #expect(!bench.group.hasParked(gone))
        let other = bench.join(ids[1])
        #expect(bench.isParked(other), "the other is waited for")
        let back = bench.join(ids[0])
        #expect(bench.joined(back)?.generation == 3 && bench.joined(other)?.generation == 3 && bench.isParked(lost))
        // The same with a parked sync.
        let sync = bench.sync(ids[1], from: gone)
        bench.close(gone)
        bench.sync(ids[0], assign: bench.assignments(ids))
        #expect(bench.isParked(sync))
        #expect(bench.assignment(bench.sync(ids[1])) == "for c-2")
        // Gone for good: after the session timeout.
        let dead = bench.join(ids[1], protocols: [("range", "x")], from: gone)
        bench.close(gone)
        let waiting = bench.join(ids[0])
        bench.advance(9_999)
        #expect(bench.isParked(waiting))
        bench.advance(1)
        #expect(bench.joined(waiting)?.members.map(\.memberID) == [ids[0]] && bench.isParked(dead))
    }

    @Test func whoWasNeverToldItsIDGoesWithItsSession() {
        let bench = GroupBench()
        let ids = bench.form(1)
        bench.join(from: SessionID(rawValue: 9))
        let waiting = bench.join(ids[0])
        // Both have joined: the generation has begun, the new one knows who it is.
        #expect(bench.joined(waiting)?.members.count == 2)
        bench.sync(ids[0], assign: [:])
        let third = bench.join(from: SessionID(rawValue: 8))
        bench.close(SessionID(rawValue: 8))
        #expect(bench.isParked(third))
        bench.join(ids[0])
        let last = bench.join("c-2")
        #expect(bench.joined(last)?.generation == 3)
        #expect(bench.group.members.count == 2)
    }

    @Test func aSecondRequestTakesThePlaceOfTheFirst() {
        let bench = GroupBench()
        let ids = bench.form(2)
        let first = bench.join(ids[0])
        let second = bench.join(ids[0])
        #expect(bench.error(first) == .rebalanceInProgress && bench.isParked(second))
        bench.join(ids[1])
        #expect(bench.joined(second) != nil)
        let early = bench.sync(ids[1])
        let late = bench.sync(ids[1])
        #expect(bench.error(early) == .rebalanceInProgress)
        bench.sync(ids[0], assign: bench.assignments(ids))
        #expect(bench.assignment(late) == "for c-2")
        #expect(bench.answeredTwice.isEmpty)
    }

    @Test func aFullGroupTakesNobodyElse() {
        let bench = GroupBench()
        let ids = bench.form(2, instances: ["x"])
        #expect(bench.error(bench.join(limit: 2)) == .groupFull)
        #expect(bench.joined(bench.join(instance: "x", limit: 2)) != nil, "who takes its own place needs none")
        #expect(bench.givenID(bench.join(knownID: true, limit: 3)) != nil)
        #expect(bench.error(bench.join(limit: 3)) == .groupFull, "places are kept for those who were told their id")
        #expect(bench.heartbeat(ids[1]) == nil)
    }
}
