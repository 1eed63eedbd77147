import BrokerCore
import Bytes
import SegmentLog
import Testing

/// What is on disk: the broker's own logs stay short, and a start reads back what lives.
struct BrokerPersistenceTests {
    @Test(arguments: [true, false])
    func aCatalogOfManyChangesIsWrittenAnewAndReadBack(clean: Bool) throws {
        let harness = try Harness()
        let kept = try harness.create("kept", .queue())
        _ = harness.answer(.createExchange(name: "x", .topic))
        _ = harness.answer(.bind(Binding(exchange: "x", destination: .topic("kept"), pattern: "a.#")))
        harness.subscribe("kept", "extra", consumer: 7)
        var last = kept
        for number in 0..<900 {
            last = try harness.create("t\(number)")
            _ = harness.answer(.deleteTopic(name: "t\(number)"))
        }
        try harness.restart(clean: clean)
        guard case .topics(let topics)? = harness.answer(.listTopics), case .exchanges(let exchanges)? = harness.answer(.listExchanges),
            case .subscriptions(let subscriptions)? = harness.answer(.listSubscriptions(topic: "kept"))
        else {
            Issue.record("no lists")
            return
        }
        #expect(topics.map(\.id) == [kept])
        #expect(exchanges.first?.bindings.count == 1)
        #expect(subscriptions.map(\.name) == ["queue", "extra"])
        let next = try harness.create("after")
        #expect(next > last, "ids are not given out twice")
    }

    @Test func cursorsWrittenManyTimesAreReadBack() throws {
        let harness = try Harness { $0.cursorEntries = 300 }
        let topic = try harness.create("q", .queue())
        harness.subscribe("q", "queue", credit: 1 << 30)
        for round in 0..<1_100 {
            harness.publish(topic, "m\(round)")
            harness.settleDown()
            for (_, delivery, _) in harness.taken() {
                if round % 100 != 7 { harness.settle(delivery, confirm: true) }
            }
        }
        harness.settleDown()
        #expect(harness.broker.counters.cursorWrites > 1_000)
        try harness.restart(clean: false)
        harness.subscribe("q", "queue")
        #expect(harness.takenPayloads() == (0..<11).map { "m\($0 * 100 + 7)" })
    }

    @Test func logsThatAreOpenedAtTheirFirstUseHaveTheirCursors() throws {
        let harness = try Harness { $0.logsOpenedAtStart = 0 }
        for name in ["a", "b"] {
            let topic = try harness.create(name, .queue())
            harness.subscribe(name, "queue", consumer: name == "a" ? 1 : 2)
            harness.publish(topic, count: 4)
            for (_, delivery, _) in harness.taken() {
                harness.ask(
                    .settle(
                        Settle(consumer: delivery.consumer, partition: 0, first: delivery.first, last: Offset(1), outcome: .accept, confirm: false)))
            }
        }
        for _ in 0..<3 { try harness.restart(clean: true) }
        harness.subscribe("b", "queue")
        #expect(harness.takenPayloads() == ["m2", "m3"])
        guard case .topics(let described)? = harness.answer(.describeTopic(name: "a")) else {
            Issue.record("no description")
            return
        }
        #expect(described.first?.partitions.first?.end == Offset(4))
    }

    @Test func aDamagedLogIsQuarantinedAndTheOthersGoOn() throws {
        let harness = try Harness()
        let bad = try harness.create("bad")
        let good = try harness.create("good")
        harness.publish(bad, count: 3)
        harness.publish(bad, count: 3, from: 3)
        harness.publish(good, count: 3)
        harness.settleDown()
        harness.broker.shutDown(now: harness.now)
        harness.take()
        // A byte of the first batch is turned over, below what the checkpoint says is durable; and the stop was no clean one.
        let directory = "/data/logs/\(bad.rawValue)-0"
        let file = try harness.storage.open(directory + "/00000000000000000000.log", .readWrite)
        let wrong: [UInt8] = [0xff, 0xff, 0xff]
        try harness.storage.write(file, [wrong.rawSpan.region], at: 8)
        let entries = try harness.storage.list(directory)
        for entry in entries where !entry.name.hasSuffix(".log") && !entry.name.contains("checkpoint") {
            try harness.storage.remove(directory + "/" + entry.name)
        }
        try harness.restart(clean: false)
        harness.subscribe("good", "", .exclusive, consumer: 1)
        #expect(harness.takenPayloads() == ["m0", "m1", "m2"])
        let request = harness.publish(good, "more")
        harness.settleDown()
        if case .appended? = harness.responses[request] {} else { Issue.record("the good topic takes messages") }
    }

    @Test func aBatchWithoutAPartitionIsSplitByKey() throws {
        let harness = try Harness()
        let topic = try harness.create("t", TopicOptions(partitions: 4))
        harness.subscribe("t", "s", .exclusive, credit: 1_000)
        var buffer = ByteBuffer()
        var builder = RecordBatchBuilder(into: &buffer)
        for number in 0..<20 {
            builder.append(key: Array("k\(number % 7)".utf8), value: Array("m\(number)".utf8), timestamp: harness.now.time, into: &buffer)
        }
        _ = builder.finish(into: &buffer)
        let bytes = [UInt8](buffer.bytes)
        let whole = ByteRange(start: 0, count: bytes.count)
        let append = Append(target: .topic(topic, partition: -1), content: .batch(whole), durability: .none, answer: .whenReached)
        guard case .appended(let appended)? = harness.answer(.append(append), input: bytes) else {
            Issue.record("no acknowledgement")
            return
        }
        #expect(appended.count == 20)
        #expect(appended.reached == .group)
        let taken = harness.taken()
        #expect(taken.flatMap(\.payloads).count == 20)
        for (_, delivery, payloads) in taken {
            let numbers = payloads.compactMap { Int($0.dropFirst()) }
            #expect(numbers == numbers.sorted(), "order within a partition")
            for number in numbers {
                let key = Array("k\(number % 7)".utf8)
                let expected = partition(forKey: key.rawSpan, among: 4)
                #expect(delivery.partition == expected)
            }
        }
        // The same bytes with a damaged record are refused as a whole.
        var damaged = bytes
        damaged[70] ^= 0xff
        #expect(harness.errorCode(harness.answer(.append(append), input: damaged)) == .corruptBatch)
    }

    @Test func aSubscriptionBeginsAtATime() throws {
        let harness = try Harness()
        let topic = try harness.create("t")
        for number in 0..<6 {
            harness.publish(topic, "m\(number)")
            harness.advance(milliseconds: 1_000)
        }
        let time = Timestamp(milliseconds: 1_700_000_000_000 + 2_500)
        harness.subscribe("t", "s", .exclusive, start: .time(time))
        #expect(harness.takenPayloads() == ["m3", "m4", "m5"])
    }
}
