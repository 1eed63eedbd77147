import SegmentLog
import Testing

@testable import BrokerCore

/// Members with an instance id of their own (Kafka's KIP-345): who comes back takes its place, and nobody else notices.
struct StaticMemberTests {
    @Test func whoComesBackInAStableGroupTakesItsPlaceWithoutARebalance() {
        let bench = GroupBench()
        let ids = bench.form(2, instances: ["x", "y"])
        #expect(ids == ["x-1", "y-2"])
        bench.group.isChanged = false
        let back = bench.join(instance: "y", knownID: true)
        #expect(
            bench.joined(back)
                == JoinedGroup(
                    generation: 2, protocolType: "consumer", protocolName: "range", leader: "x-1", memberID: "y-3", members: []))
        #expect(bench.group.isChanged, "and it is written down")
        #expect(bench.assignment(bench.sync("y-3", instance: "y")) == "for y-2")
        #expect(bench.heartbeat("x-1", instance: "x") == nil)
        // The leader, too: it is told the old one's id, so that it assigns nothing.
        let leader = bench.join(instance: "x")
        #expect(bench.joined(leader)?.leader == "x-1" && bench.joined(leader)?.memberID == "x-4" && bench.joined(leader)?.members.isEmpty == true)
        #expect(bench.group.leader == "x-4" && bench.group.state == .stable)
        // Unless it understands that there is nothing to be assigned.
        let skipping = bench.joined(bench.join(instance: "x", skips: true))
        #expect(skipping?.leader == "x-5" && skipping?.skipsAssignment == true && skipping?.members.map(\.memberID) == ["x-5", "y-3"])
        #expect(bench.joined(bench.join(instance: "y", skips: true))?.skipsAssignment == false)
    }

    @Test func theOneWhosePlaceWasTakenIsFenced() {
        let bench = GroupBench()
        _ = bench.form(2, instances: ["x", "y"])
        bench.join(instance: "y")
        #expect(bench.heartbeat("y-2", instance: "y") == .fencedInstance)
        #expect(bench.commit("y-2", instance: "y") == .fencedInstance)
        #expect(bench.error(bench.sync("y-2", instance: "y")) == .fencedInstance)
        #expect(bench.error(bench.join("y-2", instance: "y")) == .fencedInstance)
        #expect(bench.leave("y-2", instance: "y") == .fencedInstance)
        #expect(bench.heartbeat("y-3", instance: "z") == .unknownMember)
        #expect(bench.heartbeat("y-3", instance: "y") == nil)
    }

    @Test func aParkedRequestOfTheOldOneIsFenced() {
        let bench = GroupBench()
        let ids = bench.form(2, instances: ["x", "y"])
        let parked = bench.join(ids[1], instance: "y", protocols: [("range", "changed")])
        #expect(bench.isParked(parked))
        let back = bench.join(instance: "y")
        #expect(bench.error(parked) == .fencedInstance && bench.isParked(back))
        #expect(bench.joined(bench.join(ids[0], instance: "x"))?.members.map(\.memberID) == ["x-1", "y-3"])
        // While the leader thinks: what it was told is not true any more.
        let sync = bench.sync("y-3", instance: "y")
        let third = bench.join(instance: "y")
        #expect(bench.error(sync) == .fencedInstance && bench.isParked(third))
        #expect(bench.error(bench.sync(ids[0], instance: "x")) == .rebalanceInProgress)
        #expect(bench.answeredTwice.isEmpty)
    }

    @Test func anAnswerThatChangesTheProtocolIsARebalance() {
        let bench = GroupBench { $0.initialRebalanceMilliseconds = 10 }
        let both = [("a", ""), ("b", "")]
        let first = bench.join(instance: "x", protocols: both)
        bench.join(instance: "y", protocols: both)
        bench.advance(30)
        #expect(bench.joined(first)?.protocolName == "a")
        bench.sync("x-1", instance: "x", assign: [:])
        let back = bench.join(instance: "y", protocols: [("b", "")])
        #expect(bench.isParked(back) && bench.heartbeat("x-1", instance: "x") == .rebalanceInProgress)
        bench.join("x-1", instance: "x", protocols: both)
        #expect(bench.joined(back)?.protocolName == "b")
    }

    @Test func whoIsAwayDuringARebalanceKeepsItsPlaceForItsSessionTimeout() {
        let bench = GroupBench()
        let ids = bench.form(2, instances: ["x", "y"], session: 600_000)
        let newcomer = bench.join(instance: "z", session: 600_000)
        bench.join(ids[0], instance: "x", session: 600_000)
        bench.advance(60_000)
        #expect(bench.joined(newcomer)?.leader == ids[0])
        #expect(bench.group.members.count == 3, "the one that is away has its place")
        bench.sync(ids[0], instance: "x", assign: bench.assignments(["x-1", "y-2", "z-3"]))
        bench.sync("z-3", instance: "z")
        let back = bench.join(instance: "y", session: 600_000)
        #expect(bench.joined(back)?.memberID == "y-4")
        #expect(bench.assignment(bench.sync("y-4", instance: "y")) == "for y-2")
    }

    @Test func aGroupWhoseMembersAreAllAwayWaitsForThem() {
        let bench = GroupBench()
        let ids = bench.form(2, instances: ["x", "y"], session: 200_000)
        let newcomer = bench.join(from: SessionID(rawValue: 9))
        bench.close(SessionID(rawValue: 9))
        #expect(bench.isParked(newcomer) && bench.group.members.count == 2)
        bench.advance(150_000)
        #expect(bench.group.state == .preparingRebalance && bench.group.generation == 2)
        let back = bench.join(instance: "x", session: 200_000)
        #expect(bench.isParked(back))
        bench.advance(60_000)
        #expect(bench.joined(back)?.generation == 3)
        #expect(bench.leave(ids[1], instance: "y") != nil, "gone by its session timeout")
    }

    @Test func anOperatorSendsAnInstanceAway() {
        let bench = GroupBench()
        let ids = bench.form(2, instances: ["x", "y"])
        #expect(bench.leave("", instance: "nobody") == .unknownMember)
        #expect(bench.leave("", instance: "y") == nil)
        #expect(bench.heartbeat(ids[0], instance: "x") == .rebalanceInProgress)
        #expect(bench.heartbeat(ids[1], instance: "y") == .unknownMember)
    }
}
