import BrokerCore
import SegmentLog
import Testing

/// Method: more cursors than one tick tells. Goal: every subscription is told once, in pieces of a tick each, to sessions that take them.
struct ListingTests {
    private static let (partitions, subscriptions) = (500, 30)

    private static func bench() throws -> Harness {
        let harness = try Harness()
        var options = TopicOptions()
        options.partitions = Int32(partitions)
        _ = try harness.create("wide", options)
        for number in 0..<subscriptions { #expect(harness.errorCode(harness.subscribe("wide", "s\(number)", consumer: UInt32(number + 1))) == nil) }
        return harness
    }

    private static func told(_ harness: Harness, _ id: RequestID) -> [SubscriptionDescription]? {
        guard case .subscriptions(let last)? = harness.responses[id] else { return nil }
        return (harness.pieces[id] ?? []).flatMap { $0 } + last
    }

    @Test func aLongListIsToldInPiecesOfOneTick() throws {
        let harness = try Self.bench()
        let id = harness.ask(.listSubscriptions(topic: "wide"), from: Harness.two)
        var ticks = 0
        while harness.responses[id] == nil, ticks < 100 {
            let before = harness.pieces[id]?.count ?? 0
            #expect(harness.broker.nextDeadline <= harness.now.instant)
            harness.tick()
            #expect((harness.pieces[id]?.count ?? 0) <= before + 1)
            ticks += 1
        }
        #expect(ticks >= 3 && ticks < 10, "\(ticks) ticks")
        let told = try #require(Self.told(harness, id))
        #expect(told.map(\.name) == (0..<Self.subscriptions).map { "s\($0)" })
        #expect(told.allSatisfy { $0.cursors.map(\.partition) == (0..<Int32(Self.partitions)).map { $0 } })
        for piece in harness.pieces[id] ?? [] { #expect(piece.count <= 10) }
        harness.settleDown()
        #expect(harness.broker.nextDeadline > harness.now.instant)
    }

    @Test func aListWaitsForASessionThatTakesNothingAndEndsWithIt() throws {
        let harness = try Self.bench()
        let id = harness.ask(.listSubscriptions(topic: "wide"), from: Harness.two)
        harness.broker.setWritable(Harness.two, false)
        harness.settleDown()
        #expect(harness.responses[id] == nil && harness.pieces[id]?.count == 1)
        #expect(harness.broker.nextDeadline > harness.now.instant)
        // Another one is told its own meanwhile.
        let other = harness.ask(.listSubscriptions(topic: "wide"))
        harness.settleDown()
        #expect(Self.told(harness, other)?.count == Self.subscriptions)
        harness.broker.setWritable(Harness.two, true)
        harness.settleDown()
        #expect(Self.told(harness, id)?.count == Self.subscriptions)
        let third = harness.ask(.listSubscriptions(topic: "wide"), from: Harness.two)
        harness.broker.close(Harness.two, now: harness.now)
        harness.settleDown()
        #expect(harness.responses[third] == nil && harness.pieces[third]?.count == 1)
    }

    @Test func whoGoesMeanwhileIsLeftOut() throws {
        let harness = try Self.bench()
        let id = harness.ask(.listSubscriptions(topic: "wide"), from: Harness.two)
        let last = Self.subscriptions - 1
        #expect(Self.told(harness, id) == nil)
        harness.ask(.unsubscribe(ConsumerID(rawValue: UInt32(last + 1))))
        harness.ask(.deleteSubscription(topic: "wide", name: "s\(last)"))
        harness.settleDown()
        #expect(Self.told(harness, id)?.count == last)
        // The topic itself.
        let second = harness.ask(.listSubscriptions(topic: "wide"), from: Harness.two)
        harness.ask(.deleteTopic(name: "wide"))
        harness.settleDown()
        let told = try #require(Self.told(harness, second))
        #expect(told.count < last)
    }
}
