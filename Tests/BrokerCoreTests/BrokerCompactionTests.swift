import BrokerCore
import Bytes
import Compression
import SegmentLog
import Testing

/// Compacted topics as consumers of every kind see them.
struct BrokerCompactionTests {
    static func batch(_ entries: [(key: String, value: String)], _ codec: Codec?) throws -> [UInt8] {
        var buffer = ByteBuffer()
        var builder = RecordBatchBuilder(into: &buffer)
        for entry in entries {
            builder.append(key: Array(entry.key.utf8), value: Array(entry.value.utf8), timestamp: Timestamp(milliseconds: 5), into: &buffer)
        }
        builder.finish(into: &buffer)
        guard let codec else { return [UInt8](buffer.bytes) }
        var whole = ByteBuffer()
        whole.append(buffer.bytes.extracting(0..<RecordBatchHeader.byteCount))
        try codec.compress(buffer.bytes.extracting(RecordBatchHeader.byteCount..<buffer.count), into: &whole)
        whole.patch(big: Int32(whole.count - RecordBatchHeader.lengthOverhead), at: 8)
        whole.patch(big: Int16(codec.rawValue), at: 21)
        whole.patch(big: CRC32C.checksum(whole.bytes.extracting(RecordBatchHeader.checkedStart..<whole.count)), at: 17)
        return [UInt8](whole.bytes)
    }

    /// A compacted topic with 40 batches of 10 records, of which the newest of each key are left.
    private func compacted(_ codec: Codec?) throws -> (harness: Harness, topic: TopicID, live: [Int64]) {
        let harness = try Harness()
        var options = TopicOptions(segmentBytes: 4_096)
        options.cleanup = .compact
        options.minCleanableDirtyRatio = 0.01
        let topic = try harness.create("t", options)
        var newest: [String: Int64] = [:]
        var next: Int64 = 0
        for round in 0..<40 {
            var entries: [(key: String, value: String)] = []
            for index in 0..<10 {
                // Every seventh record has a key of its own, so that what is left stands in the middle of batches.
                let key = next % 7 == 3 ? "own \(next)" : "shared \((round * 3 + index) % 11)"
                entries.append((key, "value \(next) " + String(repeating: "x", count: 40)))
                newest[key] = next
                next += 1
            }
            _ = BrokerHostileBatchTests.send(harness, topic, try Self.batch(entries, codec))
            harness.settleDown()
        }
        for _ in 0..<6 { harness.advance(milliseconds: 5_000) }
        #expect(harness.statistic("compactions_total") ?? 0 >= 1)
        #expect(harness.statistic("compactions_failed_total") == 0)
        return (harness, topic, newest.values.sorted())
    }

    static let readers: [(DeliveryForm, SubscriptionMode)] = [(.records, .shared), (.records, .exclusive), (.batches, .shared), (.batches, .exclusive)]

    @Test(arguments: [nil, .lz4, .zstd] as [Codec?], readers)
    func consumersGetWhatIsLeftOnceAndComeToTheEnd(codec: Codec?, reader: (DeliveryForm, SubscriptionMode)) throws {
        let (form, mode) = reader
        let (harness, _, live) = try compacted(codec)
        #expect((harness.statistic("compacted_records_total") ?? 0) > 50)
        harness.subscribe("t", "s", mode, form: form, credit: 10_000)
        var seen: [Int64] = []
        for _ in 0..<50 {
            harness.advance(milliseconds: 10)
            for (_, delivery, _) in harness.taken() {
                // Record by record, as a queue's consumer does; compressed batches are for the client to open.
                if codec == nil {
                    for record in harness.records(delivery) {
                        seen.append(record.offset)
                        harness.ask(
                            .settle(
                                Settle(
                                    consumer: delivery.consumer, partition: 0, first: Offset(record.offset), last: Offset(record.offset), outcome: .accept,
                                    confirm: false)))
                    }
                } else {
                    harness.settle(delivery)
                }
            }
        }
        guard case .subscriptions(let found)? = harness.answer(.listSubscriptions(topic: "t")), let cursor = found.first?.cursors.first else {
            return #expect(Bool(false), "no cursor")
        }
        #expect(cursor.floor == Offset(400) && cursor.inFlight == 0 && cursor.redeliver == 0)
        if codec == nil {
            #expect(seen == seen.sorted() && Set(seen).count == seen.count)
            #expect(Set(seen).isSuperset(of: live), "each key's newest record")
            #expect(seen.count < 350)
        }
    }

    @Test func whatIsRejectedGoesToTheDeadLettersHolesAside() throws {
        let (harness, _, _) = try compacted(nil)
        harness.subscribe("t", "s", credit: 10_000, options: SubscriptionOptions(deadLetterTopic: "dead"))
        var rejected = 0
        for _ in 0..<50 {
            harness.advance(milliseconds: 10)
            for (_, delivery, payloads) in harness.taken() {
                rejected += payloads.count
                harness.settle(delivery, .reject)
            }
        }
        for _ in 0..<10 { harness.advance(milliseconds: 1_000) }
        guard case .subscriptions(let found)? = harness.answer(.listSubscriptions(topic: "t")), let cursor = found.first?.cursors.first,
            case .topics(let dead)? = harness.answer(.describeTopic(name: "dead"))
        else { return #expect(Bool(false), "no cursor") }
        #expect(cursor.floor == Offset(400) && cursor.inFlight == 0)
        #expect(dead.first?.partitions.first?.end == Offset(Int64(rejected)) && rejected > 10)
    }

    @Test(arguments: [true, false])
    func aRestartKeepsIt(clean: Bool) throws {
        let (harness, topic, live) = try compacted(nil)
        try harness.restart(clean: clean)
        var seen: [Int64] = []
        var at = Offset.zero
        while at < Offset(400) {
            let part = Fetch.Part(topic: topic, partition: 0, from: at, maxBytes: 1 << 20)
            let fetch = Fetch(parts: [part], maxBytes: 1 << 20, minBytes: 0, waitMilliseconds: 0)
            guard case .fetched(let parts)? = harness.answer(.fetch(fetch)), let slice = parts.first?.slice else { break }
            let bytes = slice.memory.bytes(slice.range)
            var position = 0
            while position < bytes.byteCount {
                let header = try RecordBatchHeader(decoding: bytes, at: position)
                var reader = try RecordReader(bytes, records: (position + RecordBatchHeader.byteCount)..<(position + header.totalByteCount))
                while let record = try reader.next() { seen.append(header.baseOffset.rawValue + Int64(record.offsetDelta)) }
                position += header.totalByteCount
                at = max(at, header.nextOffset)
            }
        }
        #expect(Set(seen).isSuperset(of: live) && seen.count < 350 && seen == seen.sorted())
    }

    @Test(arguments: Codec.allCases)
    func compressedRecordsWithoutKeyAreRefused(codec: Codec) throws {
        let harness = try Harness()
        var options = TopicOptions()
        options.cleanup = .compact
        let topic = try harness.create("t", options)
        var buffer = ByteBuffer()
        var builder = RecordBatchBuilder(into: &buffer)
        builder.append(key: [1], value: [2], timestamp: Timestamp(milliseconds: 5), into: &buffer)
        builder.append(key: nil, value: [2], timestamp: Timestamp(milliseconds: 5), into: &buffer)
        builder.finish(into: &buffer)
        var whole = ByteBuffer()
        whole.append(buffer.bytes.extracting(0..<RecordBatchHeader.byteCount))
        try codec.compress(buffer.bytes.extracting(RecordBatchHeader.byteCount..<buffer.count), into: &whole)
        whole.patch(big: Int32(whole.count - RecordBatchHeader.lengthOverhead), at: 8)
        whole.patch(big: Int16(codec.rawValue), at: 21)
        whole.patch(big: CRC32C.checksum(whole.bytes.extracting(RecordBatchHeader.checkedStart..<whole.count)), at: 17)
        #expect(harness.errorCode(BrokerHostileBatchTests.send(harness, topic, [UInt8](whole.bytes))) == .invalidRecord)
    }
}
