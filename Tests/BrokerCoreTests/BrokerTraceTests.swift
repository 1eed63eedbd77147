import Bytes
import Containers
import SegmentLog
import Synchronization
import Testing

@testable import BrokerCore

/// Goal: who follows a message is told where its time went, once, and nobody else notices. Method: a stopwatch that the test moves.
struct BrokerTraceTests {
    /// Time as the ticks and the stopwatch see it.
    private final class Time: Sendable {
        private let value = Atomic<UInt64>(1_000_000_000)
        var nanoseconds: UInt64 { value.load(ordering: .relaxed) }
        func pass(_ microseconds: UInt64) { value.add(microseconds * 1_000, ordering: .relaxed) }
    }

    private struct Traced {
        let time = Time()
        let harness: Harness

        init() throws {
            let time = self.time
            harness = try Harness { $0.stopwatch = { time.nanoseconds } }
        }

        /// A tick of the shard begins.
        func begin() { harness.now.instant = Instant(nanoseconds: time.nanoseconds) }

        func trace(_ topic: String, milliseconds: UInt32 = 10_000, from session: SessionID = Harness.two) -> RequestID {
            harness.ask(.trace(topic: topic, milliseconds: milliseconds), from: session)
        }

        /// What was answered, without the stages that took no time.
        func told(_ id: RequestID) -> [String: Double]? {
            guard case .traced(let figures)? = harness.responses[id] else { return nil }
            return Dictionary(figures.map { ($0.name.replacing("_microseconds", with: ""), $0.value) }, uniquingKeysWith: { $1 })
        }

        func endTick() {
            harness.tick()
            harness.broker.traceTickEnded()
            harness.take()
        }
    }

    @Test func everyStageOfAFlushedMessageIsToldOnce() throws {
        let traced = try Traced()
        let harness = traced.harness
        let topic = try harness.create("t")
        harness.subscribe("t", "s")
        harness.publish(topic, count: 3)
        let id = traced.trace("t")
        #expect(harness.broker.isTracing)
        traced.begin()
        traced.time.pass(5)
        harness.publish(topic, "followed")
        traced.time.pass(7)
        traced.endTick()
        traced.time.pass(100)
        traced.begin()
        harness.completeStorage()
        traced.time.pass(11)
        traced.endTick()
        let told = try #require(traced.told(id))
        #expect(
            told == [
                "partition": 0, "offset": 3, "messages": 1, "receive": 5, "route": 0, "append": 7, "durable": 100, "acknowledge": 11, "deliver": 11,
                "acknowledged": 123, "delivered": 123,
            ])
        #expect(!harness.broker.isTracing)
        // The next one is nobody's.
        harness.publish(topic, count: 2)
        #expect(harness.answered.count { $0 == id } == 1)
    }

    @Test func whatIsNotFlushedHasNoSuchStageAndWhatNobodyReadsNoDelivery() throws {
        let traced = try Traced()
        let harness = traced.harness
        let topic = try harness.create("t", TopicOptions(durability: Durability.none))
        let id = traced.trace("t")
        traced.begin()
        harness.publish(topic, "unread")
        traced.time.pass(9)
        traced.endTick()
        #expect(harness.responses[id] == nil, "somebody may read it yet")
        traced.time.pass(1_000_000)
        traced.begin()
        traced.endTick()
        let told = try #require(traced.told(id))
        #expect(told == ["partition": 0, "offset": 0, "messages": 1, "receive": 0, "route": 0, "append": 9, "acknowledge": 0, "acknowledged": 9])
    }

    @Test func fetchesAreDeliveriesToo() throws {
        let traced = try Traced()
        let harness = traced.harness
        let topic = try harness.create("t", TopicOptions(durability: Durability.none))
        harness.publish(topic, count: 4)
        let part = Fetch.Part(topic: topic, partition: 0, from: Offset(4), maxBytes: 4_096)
        harness.ask(.fetch(Fetch(parts: [part], maxBytes: 4_096, minBytes: 1, waitMilliseconds: 5_000)))
        let id = traced.trace("t")
        traced.begin()
        harness.publish(topic, "fetched")
        traced.time.pass(3)
        traced.endTick()
        let told = try #require(traced.told(id))
        #expect(told["delivered"] == 3 && told["offset"] == 4)
    }

    @Test func whereNothingIsPublishedThatIsTheAnswer() throws {
        let traced = try Traced()
        let topic = try traced.harness.create("other")
        _ = try traced.harness.create("t")
        let id = traced.trace("t", milliseconds: 50)
        traced.begin()
        traced.harness.publish(topic, "elsewhere")
        traced.endTick()
        traced.time.pass(50_000)
        traced.begin()
        traced.endTick()
        #expect(traced.harness.errorCode(traced.harness.responses[id]) == .timedOut)
        #expect(!traced.harness.broker.isTracing)
        let unknown = traced.trace("nothing")
        #expect(traced.harness.errorCode(traced.harness.responses[unknown]) == .unknownTopic)
    }

    @Test func whoLeavesIsForgottenAndNobodyMayFollowWithoutEnd() throws {
        let traced = try Traced()
        _ = try traced.harness.create("t")
        for _ in 0..<64 { _ = traced.trace("t") }
        let tooMany = traced.trace("t", from: Harness.one)
        #expect(traced.harness.errorCode(traced.harness.responses[tooMany]) == .limitReached)
        traced.harness.broker.close(Harness.two, now: traced.harness.now)
        #expect(!traced.harness.broker.isTracing)
    }

    /// A minute is asked for each time, and hardly any of it is used.
    @Test func whoFollowsOneAfterTheOtherLeavesNothingBehind() throws {
        let traced = try Traced()
        let topic = try traced.harness.create("t", TopicOptions(durability: Durability.none))
        traced.harness.subscribe("t", "s", credit: 10_000)
        for number in 0..<1_000 {
            let id = traced.trace("t", milliseconds: 60_000)
            traced.begin()
            traced.harness.publish(topic, "m")
            traced.endTick()
            #expect(traced.told(id)?["offset"] == Double(number))
            #expect(traced.harness.broker.timers.count < 700)
            traced.harness.settle(try #require(traced.harness.taken().last).delivery)
        }
    }

    @Test func throughAnExchangeTheLogOfTheTopicIsFollowed() throws {
        let traced = try Traced()
        let harness = traced.harness
        let topic = try harness.create("t", TopicOptions(durability: Durability.none))
        harness.answer(.createExchange(name: "x", .fanout))
        harness.answer(.bind(Binding(exchange: "x", destination: .topic("t"), pattern: "")))
        let id = traced.trace("t")
        traced.begin()
        let (request, bytes) = harness.message(topic, "routed")
        guard case .append(var append) = request else { return }
        append.target = .exchange(ExchangeID(rawValue: 1), routingKey: .empty)
        append.answer = .never
        harness.ask(.append(append), input: bytes)
        traced.endTick()
        harness.subscribe("t", "s")
        traced.begin()
        traced.endTick()
        let told = try #require(traced.told(id))
        #expect(told["acknowledge"] == nil && told["delivered"] != nil)
    }
}
