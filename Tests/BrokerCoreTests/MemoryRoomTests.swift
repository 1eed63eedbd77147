import BrokerCore
import Bytes
import SegmentLog
import Testing

/// Memory that all shards share (rule P12): full, it refuses publishes and nothing else, and consumers make room.
struct MemoryRoomTests {
    private static let limit = 16 << 20

    private static func memoryQueue() -> TopicOptions {
        var options = TopicOptions.queue()
        options.storage = .memory
        return options
    }

    /// As a shard does each tick.
    private static func tick(_ harness: Harness, others: Int = 0) {
        harness.broker.setMemory(used: harness.broker.memoryBytes + others, limit: limit)
        harness.settleDown()
    }

    /// Publishes until one is refused; answers how many were taken.
    private static func fill(_ harness: Harness, _ topic: TopicID, others: Int = 0) -> Int {
        let text = String(repeating: "x", count: 100_000)
        let most = 1_000
        for count in 0..<most {
            let id = harness.publish(topic, text)
            tick(harness, others: others)
            if harness.errorCode(harness.responses[id]) == .limitReached { return count }
        }
        return most
    }

    @Test func fullMemoryRefusesPublishesAndConsumersMakeRoom() throws {
        let harness = try Harness()
        let queue = try harness.create("q", Self.memoryQueue())
        let disk = try harness.create("d")
        let taken = Self.fill(harness, queue)
        #expect(taken > 100 && taken * 100_000 <= Self.limit, "\(taken) were taken")
        #expect(harness.broker.memoryBytes <= Self.limit + (8 << 20))
        #expect(harness.broker.isMemoryTight)
        // All publishes: nobody knows what they lead to.
        #expect(harness.errorCode(harness.answer(harness.message(disk, "m").0, input: Array("m".utf8))) == .limitReached)
        #expect(harness.statistic("limit_memory_total") == 2)
        var notices = harness.broker.takeNotices()
        #expect(notices.count == 1)
        if case .memoryFull(_, Self.limit)? = notices.first {} else { Issue.record("\(notices)") }
        // What makes room goes on.
        var settled = 0
        harness.subscribe("q", "queue", credit: 10_000)
        for _ in 0..<2_000 where settled < taken {
            for one in harness.taken() {
                settled += one.payloads.count
                harness.settle(one.delivery)
            }
            harness.advance(milliseconds: 60)
            Self.tick(harness)
        }
        #expect(settled == taken)
        for _ in 0..<4 {
            harness.advance(milliseconds: 5_000)
            Self.tick(harness)
        }
        #expect(!harness.broker.isMemoryTight && harness.broker.memoryBytes < 1 << 20, "\(harness.broker.memoryBytes) bytes are left")
        notices = harness.broker.takeNotices()
        if case .memoryRoomAgain? = notices.first, notices.count == 1 {} else { Issue.record("\(notices)") }
        #expect(Self.fill(harness, queue) > 100)
    }

    /// Other shards' use counts, and what is taken within a tick is seen in it.
    @Test func whatOthersUseLeavesLess() throws {
        let harness = try Harness()
        let queue = try harness.create("q", Self.memoryQueue())
        let alone = Self.fill(harness, queue)
        let other = try Harness()
        let second = try other.create("q", Self.memoryQueue())
        #expect(Self.fill(other, second, others: Self.limit / 2) < alone * 2 / 3)
        let third = try Harness()
        let topic = try third.create("q", Self.memoryQueue())
        third.broker.setMemory(used: 0, limit: Self.limit)
        let refused = (0..<400).map { _ in third.publish(topic, String(repeating: "x", count: 100_000)) }.filter {
            third.errorCode(third.responses[$0]) == .limitReached
        }
        #expect(refused.count > 400 - Self.limit / 100_000 - 2)
    }

    /// A queue in memory that rests holds nothing where memory is short, its last segment included.
    @Test func theLastSegmentsOfSettledQueuesGo() throws {
        let harness = try Harness()
        for number in 0..<12 {
            let topic = try harness.create("q\(number)", Self.memoryQueue())
            for _ in 0..<9 { harness.publish(topic, String(repeating: "x", count: 100_000)) }
            harness.settleDown()
            harness.subscribe("q\(number)", "queue", consumer: UInt32(number + 1), credit: 100)
            for one in harness.taken() { harness.settle(one.delivery) }
            harness.advance(milliseconds: 100)
        }
        #expect(harness.broker.memoryBytes > 8 << 20)
        harness.broker.setMemory(used: Self.limit, limit: Self.limit)
        #expect(harness.broker.memoryBytes < 1 << 20, "\(harness.broker.memoryBytes) bytes are left")
    }

    /// Patterns of many words take memory as messages do; they leave the most of it to these.
    @Test func bindingsCountAndAreRefusedToo() throws {
        let harness = try Harness()
        let topic = try harness.create("t")
        _ = harness.answer(.createExchange(name: "x", .topic))
        let before = harness.broker.memoryBytes
        func binding(_ number: Int) -> Binding {
            Binding(exchange: "x", destination: .topic("t"), pattern: "\(number)" + String(repeating: ".", count: 200))
        }
        Self.tick(harness)
        var taken = 0
        while taken < 2_000, harness.errorCode(harness.answer(.bind(binding(taken)))) == nil {
            taken += 1
            Self.tick(harness)
        }
        #expect(taken > 50 && taken < 100, "\(taken) were taken")
        #expect(harness.broker.memoryBytes <= before + Self.limit / 4 + (1 << 20))
        #expect(harness.statistic("limit_memory_total") == 1)
        // Who publishes goes on, and the same once more is no more; unbinding makes room.
        #expect(harness.errorCode(harness.answer(harness.message(topic, "m").0, input: Array("m".utf8))) == nil)
        #expect(harness.errorCode(harness.answer(.bind(binding(0)))) == nil)
        for number in 0..<taken { #expect(harness.errorCode(harness.answer(.unbind(binding(number)))) == nil) }
        Self.tick(harness)
        #expect(harness.broker.memoryBytes == before)
        #expect(harness.errorCode(harness.answer(.bind(binding(0)))) == nil)
    }

    /// A subscription has a place in every partition of its topic.
    @Test func subscriptionsCountAndNewOnesAreRefused() throws {
        let harness = try Harness { $0.limits.consumersPerSession = 10_000 }
        var options = TopicOptions()
        options.partitions = 1_000
        let topic = try harness.create("wide", options)
        let before = harness.broker.memoryBytes
        Self.tick(harness)
        var taken = 0
        while taken < 200, harness.errorCode(harness.subscribe("wide", "s\(taken)", consumer: UInt32(taken + 1))) == nil {
            taken += 1
            Self.tick(harness)
        }
        #expect(taken > 5 && taken < 12, "\(taken) were taken")
        #expect(harness.broker.memoryBytes <= before + Self.limit / 4)
        #expect(harness.errorCode(harness.answer(harness.message(topic, "m").0, input: Array("m".utf8))) == nil)
        // One that is there takes no more.
        #expect(harness.errorCode(harness.subscribe("wide", "s0", consumer: 9_999)) == nil)
        for number in 0..<taken { #expect(harness.errorCode(harness.answer(.deleteSubscription(topic: "wide", name: "s\(number)"))) == nil) }
        Self.tick(harness)
        #expect(harness.broker.memoryBytes == before)
        #expect(harness.errorCode(harness.subscribe("wide", "again", consumer: 10_000)) == nil)
    }

    /// So has each of many in every partition that a topic is given later.
    @Test func partitionsForManySubscriptionsAreRefused() throws {
        let harness = try Harness { $0.limits.consumersPerSession = 10_000 }
        _ = try harness.create("narrow")
        for number in 0..<500 { #expect(harness.errorCode(harness.subscribe("narrow", "s\(number)", consumer: UInt32(number + 1))) == nil) }
        Self.tick(harness)
        #expect(harness.errorCode(harness.answer(.alterTopic(name: "narrow", TopicChange(partitions: 1_000)))) == .limitReached)
        #expect(harness.broker.memoryBytes < Self.limit / 8)
        #expect(harness.errorCode(harness.answer(.alterTopic(name: "narrow", TopicChange(partitions: 10)))) == nil)
        #expect(harness.broker.memoryBytes > Self.limit / 8)
    }
}
