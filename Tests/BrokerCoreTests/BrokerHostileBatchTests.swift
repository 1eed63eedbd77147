import BrokerCore
import Bytes
import SegmentLog
import Testing

/// Method: batches whose header and checksum are right and whose records lie, sent to queues, and to streams that are read record by record
/// afterwards. Goal: the first are refused; the second are passed over loudly, and what stands before and behind them arrives.
struct BrokerHostileBatchTests {
    struct Bad: Sendable, CustomTestStringConvertible {
        var name: String
        /// Changes the records' bytes, which begin at the given position.
        var edit: @Sendable (inout [UInt8], Int) -> Void
        /// How many records the header is to claim; nil: the three that there are.
        var claims: Int32?
        /// How many of the records can still be handed out.
        var readable: Int
        var testDescription: String { name }
    }

    // Three records of 12 bytes each: length, attributes, time, number, key -1, value length, "value", no headers.
    static let bad: [Bad] = [
        Bad(name: "more are claimed than there are", edit: { bytes, _ in bytes += Array(repeating: 0x7f, count: 40) }, claims: 5, readable: 3),
        Bad(name: "a length overruns the batch", edit: { bytes, at in bytes[at + 24] = 0x7e }, readable: 2),
        Bad(name: "a length is negative", edit: { bytes, at in bytes[at + 12] = 0x01 }, readable: 1),
        Bad(name: "the first length never ends", edit: { bytes, at in for index in 0..<12 { bytes[at + index] = 0xff } }, readable: 0),
        Bad(name: "bytes trail", edit: { bytes, _ in bytes += [1, 2, 3, 4] }, readable: 3),
        Bad(name: "more records than are claimed", edit: { _, _ in }, claims: 2, readable: 2),
        Bad(name: "a number is another's", edit: { bytes, at in bytes[at + 12 + 3] = 0x7e }, readable: 3),
        Bad(name: "a value overruns its record", edit: { bytes, at in bytes[at + 12 + 5] = 0x7e }, readable: 3),
        Bad(name: "headers are claimed that are not there", edit: { bytes, at in bytes[at + 12 + 11] = 0x7e }, readable: 3),
    ]

    static func batch(_ bad: Bad?, _ values: [String] = ["value", "value", "value"]) -> [UInt8] {
        var buffer = ByteBuffer()
        var builder = RecordBatchBuilder(into: &buffer)
        for value in values { builder.append(key: nil, value: Array(value.utf8), timestamp: Timestamp(milliseconds: 5), into: &buffer) }
        builder.finish(into: &buffer)
        var bytes = [UInt8](buffer.bytes)
        guard let bad else { return bytes }
        bad.edit(&bytes, RecordBatchHeader.byteCount)
        var whole = ByteBuffer()
        whole.append(bytes)
        whole.patch(big: Int32(bytes.count - RecordBatchHeader.lengthOverhead), at: 8)
        let count = bad.claims ?? 3
        whole.patch(big: count - 1, at: 23)
        whole.patch(big: count, at: 57)
        whole.patch(big: CRC32C.checksum(whole.bytes.extracting(RecordBatchHeader.checkedStart..<whole.count)), at: 17)
        return [UInt8](whole.bytes)
    }

    static func send(_ harness: Harness, _ topic: TopicID, _ bytes: [UInt8]) -> Response? {
        let append = Append(
            target: .topic(topic, partition: 0), content: .batch(ByteRange(start: 0, count: bytes.count)), durability: .none, answer: .whenReached)
        return harness.answer(.append(append), input: bytes)
    }

    @Test(arguments: bad)
    func aQueueRefusesBatchesWhoseRecordsLie(bad: Bad) throws {
        let harness = try Harness()
        let queue = try harness.create("q", .queue())
        #expect(harness.errorCode(Self.send(harness, queue, Self.batch(bad))) == .invalidRecord)
        #expect(harness.statistic("unreadable_refused_total") == 1)
        guard case .appended? = Self.send(harness, queue, Self.batch(nil)) else { return #expect(Bool(false), "a good one is refused") }
    }

    /// What can be told by the lengths alone is refused everywhere.
    @Test(arguments: bad.prefix(6))
    func aStreamRefusesBatchesThatHaveNotTheRecordsTheySay(bad: Bad) throws {
        let harness = try Harness()
        let topic = try harness.create("t")
        #expect(harness.errorCode(Self.send(harness, topic, Self.batch(bad))) == .invalidRecord)
    }

    @Test(arguments: bad, [true, false])
    func whatWasStoredAsAStreamIsPassedOver(bad: Bad, hasDeadLetters: Bool) throws {
        let harness = try Harness { $0.log.countsRecords = false }
        let topic = try harness.create("t")
        func good(_ text: String) { _ = Self.send(harness, topic, Self.batch(nil, [text])) }
        good("before")
        guard case .appended? = Self.send(harness, topic, Self.batch(bad)) else { return #expect(Bool(false), "a stream takes any batch") }
        good("behind")
        harness.subscribe("t", "workers", options: SubscriptionOptions(deadLetterTopic: hasDeadLetters ? "dead" : nil))
        harness.advance(milliseconds: 10)
        var seen: [String] = []
        var records: Int64 = 0
        for one in harness.taken() {
            records += one.delivery.last - one.delivery.first + 1
            seen += one.payloads
            // A worker that cannot read what it got says so.
            harness.settle(one.delivery, one.delivery.first.rawValue == 0 ? .accept : .reject, confirm: true)
        }
        #expect(seen.first == "before" && seen.last == "behind")
        #expect(records == Int64(2 + bad.readable))
        harness.advance(milliseconds: 3_000)
        guard case .subscriptions(let found)? = harness.answer(.listSubscriptions(topic: "t")), let cursor = found.first?.cursors.first else {
            return #expect(Bool(false), "no cursor")
        }
        #expect(cursor.floor == cursor.end && cursor.inFlight == 0)
        let claimed = Double(bad.claims ?? 3)
        #expect(harness.statistic("unreadable_batches_total") == (claimed > Double(bad.readable) ? 1 : 0))
        // Each of them, the last good one included, went somewhere once.
        if hasDeadLetters {
            harness.broker.open(SessionID(rawValue: 3))
            harness.subscribe("dead", "queue", consumer: 9, session: SessionID(rawValue: 3))
            harness.advance(milliseconds: 10)
            let letters = harness.taken().flatMap { harness.records($0.delivery) }
            #expect(letters.count >= 2 && letters.last?.payload != nil)
            #expect(letters.allSatisfy { $0.headers["x-origin-topic"] == "t" })
            if claimed > Double(bad.readable) { #expect(letters.contains { $0.headers["x-death-reason"] == "unreadable" }) }
        } else {
            #expect(harness.statistic("dropped_total") == claimed + 1)
        }
    }

    /// Any bytes at all, under a right checksum.
    @Test(arguments: Array(1...60) as [UInt64])
    func anyRecordsAtAllNeitherTrapNorWedge(seed: UInt64) throws {
        var random = BrokerPropertyTests.Random(state: seed)
        let harness = try Harness { options in
            options.log.segmentBytes = 1_024
            options.log.countsRecords = false
            options.segmentsBeforeAside = 1
        }
        let topic = try harness.create("t", TopicOptions(untilAcknowledged: seed % 2 == 0))
        let values = (0..<(1 + random.below(6))).map { "value \($0)" }
        let edits = 1 + random.below(5)
        for _ in 0..<10 {
            let positions = (0..<edits).map { _ in (random.below(1_000), UInt8(random.below(256))) }
            var bytes = Self.batch(nil, values)
            for (position, value) in positions { bytes[61 + position % (bytes.count - 61)] = value }
            var whole = ByteBuffer()
            whole.append(bytes)
            whole.patch(big: CRC32C.checksum(whole.bytes.extracting(RecordBatchHeader.checkedStart..<whole.count)), at: 17)
            _ = Self.send(harness, topic, [UInt8](whole.bytes))
            _ = Self.send(harness, topic, Self.batch(nil, ["good"]))
        }
        harness.subscribe("t", "workers", credit: 1_000, options: SubscriptionOptions(deliveryLimit: 2, deadLetterTopic: "dead"))
        for _ in 0..<12 {
            harness.advance(milliseconds: 1_500)
            for one in harness.taken() { harness.settle(one.delivery, [.accept, .requeue, .reject, .accept][random.below(4)]) }
            harness.ask(.credit(ConsumerID(rawValue: 1), messages: 1_000, bytes: 0))
        }
        for _ in 0..<4 {
            harness.advance(milliseconds: 1_500)
            for one in harness.taken() { harness.settle(one.delivery) }
        }
        guard case .subscriptions(let found)? = harness.answer(.listSubscriptions(topic: "t")), let cursor = found.first?.cursors.first else {
            return #expect(Bool(false), "no cursor")
        }
        #expect(cursor.floor == cursor.end && cursor.inFlight == 0, "seed \(seed)")
    }
}
