import Bytes
import Compression
import Testing

@testable import SegmentLog

/// Keeping the newest record of each key. Method: logs of small segments on a disk in memory, compared with a dictionary.
struct CompactionTests {
    static func options() -> Log.Options {
        var options = small()
        options.cleanup = .compact
        options.compaction.minDirtyRatio = 0.01
        options.compaction.deleteRetentionMilliseconds = 1_000
        return options
    }

    struct Entry: Equatable {
        var offset: Int64
        var key: String
        var value: String?
        var timestamp: Int64
    }

    /// One batch of these, compressed or not.
    static func batch(_ entries: [(key: String?, value: String?)], _ codec: Codec? = nil, timestamp: Int64, producer: (Int64, Int16, Int32)? = nil) throws
        -> [UInt8]
    {
        var buffer = ByteBuffer()
        var builder = RecordBatchBuilder(
            into: &buffer, producerID: producer?.0 ?? -1, producerEpoch: producer?.1 ?? -1, baseSequence: producer?.2 ?? -1)
        for (index, entry) in entries.enumerated() {
            builder.append(
                key: entry.key.map { Array($0.utf8) }, value: entry.value.map { Array($0.utf8) }, headers: [("h", [1])],
                timestamp: Timestamp(milliseconds: timestamp + Int64(index)), into: &buffer)
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

    /// Everything that a reader sees, batch by batch, with every checksum.
    static func entries(_ log: Log, from: Offset? = nil) throws -> [Entry] {
        var found: [Entry] = []
        var at = from ?? log.watermarks.start
        while let result = try log.read(from: at, maxBytes: 700, below: log.visibleEnd) {
            #expect(result.next > at)
            let bytes = [UInt8](result.slice.memory.bytes(result.slice.range))
            var position = 0
            while position < bytes.count {
                let header = try RecordBatchHeader(decoding: bytes.rawSpan, at: position)
                #expect(header.structuralFault == nil)
                let holds = header.checksumHolds(in: bytes.rawSpan, at: position)
                #expect(holds)
                let batch = Array(bytes[position..<position + header.totalByteCount])
                var plain = ByteBuffer()
                let isExpanded = BatchCodec.of(header)?.expand(batch.rawSpan, atMost: 1 << 20, into: &plain)
                #expect(isExpanded == true)
                let records = [UInt8](plain.bytes)
                var reader = try RecordReader(records.rawSpan, records: 0..<records.count)
                var count = 0
                while let record = try reader.next() {
                    count += 1
                    let offset = header.baseOffset + Int64(record.offsetDelta)
                    guard offset >= at else { continue }
                    found.append(
                        Entry(
                            offset: offset.rawValue, key: record.key.map { String(decoding: records[$0.indices], as: UTF8.self) } ?? "-",
                            value: record.value.map { String(decoding: records[$0.indices], as: UTF8.self) },
                            timestamp: header.timestamp(of: record).rawValue))
                }
                #expect(count == Int(header.recordCount))
                position += header.totalByteCount
            }
            at = result.next
        }
        return found
    }

    static func pass(_ bench: Bench, memory: Int = 1 << 20) throws -> CompactionReport? {
        guard bench.log.compactionDue(now: bench.now) != nil else { return nil }
        try bench.log.compact(CompactionLimits(memoryBytes: memory), now: bench.now)
        while bench.log.isCompacting { bench.settle() }
        return bench.log.takeCompactionReport()
    }

    static func settleCheckpoint(_ bench: Bench) {
        bench.pass(milliseconds: 1_100)
        bench.settle()
    }

    @Test(arguments: [nil] + Codec.allCases.map { $0 as Codec? }, [1, 2, 3, 4, 5])
    func agreesWithADictionary(codec: Codec?, seed: Int) throws {
        var random = Seeded(seed)
        var options = Self.options()
        options.compaction.deleteRetentionMilliseconds = 1 << 40
        let bench = try Bench(options)
        var all: [Entry] = []
        for round in 0..<6 {
            for _ in 0..<Int.random(in: 5..<40, using: &random) {
                var entries: [(key: String?, value: String?)] = []
                let time = bench.now.time.rawValue
                for _ in 0..<Int.random(in: 1..<8, using: &random) {
                    let key = "key \(Int.random(in: 0..<25, using: &random))"
                    let value = Int.random(in: 0..<6, using: &random) == 0 ? nil : "value \(all.count + entries.count)"
                    entries.append((key, value))
                }
                let base = try bench.append(batch: Self.batch(entries, Bool.random(using: &random) ? codec : nil, timestamp: time)).baseOffset
                for (index, entry) in entries.enumerated() {
                    all.append(Entry(offset: base.rawValue + Int64(index), key: entry.key ?? "", value: entry.value, timestamp: time + Int64(index)))
                }
                if Int.random(in: 0..<4, using: &random) == 0 { bench.settle() }
            }
            bench.settle()
            Self.settleCheckpoint(bench)
            let covered = bench.log.segments.last?.base.rawValue ?? 0
            // A small memory compacts a prefix; more passes do the rest.
            var passes = 0
            while let report = try Self.pass(bench, memory: round == 3 ? 24 * 24 : 1 << 20) {
                #expect(report.failure == nil)
                Self.settleCheckpoint(bench)
                passes += 1
                if passes > 200 { break }
            }
            #expect(passes < 200)
            var newest: [String: Int64] = [:]
            for entry in all where entry.offset < covered { newest[entry.key] = entry.offset }
            let expected = all.filter { $0.offset >= covered || newest[$0.key] == $0.offset }
            let found = try Self.entries(bench.log)
            #expect(found == expected, "round \(round)")
            // Every place can be begun from, holes included.
            for _ in 0..<10 {
                let from = Int64.random(in: 0..<Int64(all.count), using: &random)
                #expect(try Self.entries(bench.log, from: Offset(from)) == expected.filter { $0.offset >= from })
            }
            let time = Timestamp(milliseconds: Int64.random(in: 1_000_000..<bench.now.time.rawValue, using: &random))
            if codec == nil {
                #expect(try bench.log.offset(at: time)?.0.rawValue == expected.first { $0.timestamp >= time.rawValue }?.offset)
            }
            let verification = try LogVerification(directory: "logs/1-0", storage: bench.disk)
            #expect(verification.isSound, "\(verification.findings)")
            #expect(!verification.findings.contains { $0.file.hasSuffix("index") })
            if round % 2 == 0 { try bench.kill() } else { try bench.log.close(now: bench.now); try bench.reopen() }
            #expect(bench.log.recovery.truncatedBytes == 0)
            #expect(try Self.entries(bench.log) == expected)
        }
    }

    @Test func tombstonesGoAfterTheirTimeAndNotBefore() throws {
        let bench = try Bench(Self.options())
        func fill() throws {
            for number in 0..<30 { try bench.append(batch: Self.batch([("filler \(number)", String(repeating: "x", count: 60))], timestamp: 5)) }
            bench.settle()
            Self.settleCheckpoint(bench)
        }
        try bench.append(batch: Self.batch([("gone", "once"), ("kept", "for ever")], timestamp: 7))
        try bench.append(batch: Self.batch([("gone", nil), ("other", "value")], timestamp: 9))
        try fill()
        let report = try #require(try Self.pass(bench))
        #expect(report.failure == nil && report.removedRecords >= 1)
        var found = try Self.entries(bench.log)
        #expect(found.filter { $0.key == "gone" } == [Entry(offset: 2, key: "gone", value: nil, timestamp: 9)], "the tombstone is there, with its time")
        #expect(found.contains(Entry(offset: 3, key: "other", value: "value", timestamp: 10)))
        try fill()
        bench.pass(milliseconds: 2_000)
        try fill()
        _ = try #require(try Self.pass(bench))
        found = try Self.entries(bench.log)
        #expect(!found.contains { $0.key == "gone" })
        #expect(found.contains { $0.key == "kept" })
    }

    @Test func theLastBatchOfAProducerKeepsItsHead() throws {
        let bench = try Bench(Self.options())
        try bench.append(batch: Self.batch([("a", "1")], timestamp: 5, producer: (7, 0, 0)))
        try bench.append(batch: Self.batch([("a", "2")], timestamp: 5, producer: (7, 0, 1)))
        for number in 0..<40 { try bench.append(batch: Self.batch([("a", "\(number) " + String(repeating: "x", count: 60))], timestamp: 5)) }
        bench.settle()
        Self.settleCheckpoint(bench)
        _ = try #require(try Self.pass(bench))
        var inspector = try SegmentInspector(path: bench.log.path(.zero, .log), storage: bench.disk)
        let first = try #require(try inspector.next())
        #expect(first.isIntact && first.header.recordCount == 0 && first.header.baseOffset == Offset(1))
        #expect(first.header.producerID == 7 && first.header.baseSequence == 1)
        let again = try bench.append(batch: Self.batch([("a", "2")], timestamp: 5, producer: (7, 0, 1)))
        #expect(again.isDuplicate && again.baseOffset == Offset(1))
    }

    @Test func whatIsYoungerThanTheLagStays() throws {
        var options = Self.options()
        options.compaction.minLagMilliseconds = 10_000
        let bench = try Bench(options)
        for number in 0..<40 { try bench.append(batch: Self.batch([("a", "\(number) " + String(repeating: "x", count: 60))], timestamp: 5)) }
        bench.settle()
        Self.settleCheckpoint(bench)
        #expect(bench.log.compactionDue(now: bench.now) == nil)
        bench.pass(milliseconds: 10_000)
        #expect(bench.log.compactionDue(now: bench.now) != nil)
        bench.options.compaction.minDirtyRatio = 1
        bench.log.options = bench.options
        #expect(bench.log.compactionDue(now: bench.now) == nil)
        bench.options.compaction.maxLagMilliseconds = 5_000
        bench.log.options = bench.options
        #expect(bench.log.compactionDue(now: bench.now) == 1)
    }

    @Test func aReaderKeepsWhatItHolds() throws {
        let bench = try Bench(Self.options())
        for number in 0..<40 { try bench.append(batch: Self.batch([("a", "\(number) " + String(repeating: "x", count: 60))], timestamp: 5)) }
        bench.settle()
        Self.settleCheckpoint(bench)
        let held = try #require(try bench.log.read(from: .zero, maxBytes: 1 << 20, below: bench.log.visibleEnd))
        let before = [UInt8](held.slice.memory.bytes(held.slice.range))
        _ = try #require(try Self.pass(bench))
        Self.settleCheckpoint(bench)
        #expect(bench.log.bytes < 1_500)
        #expect([UInt8](held.slice.memory.bytes(held.slice.range)) == before)
        let names = try bench.disk.list("logs/1-0").map(\.name).filter { $0.hasSuffix(".log") || $0.hasSuffix(".cleaned") }
        #expect(names.count == bench.log.segmentCount)
    }

    @Test func recordsThatCannotBeReadStayAsTheyAre() throws {
        // From when the topic was not compacted yet.
        let bench = try Bench(small())
        var bomb = try Self.batch([("a", String(repeating: "z", count: 500))], .zstd, timestamp: 5)
        bomb.replaceSubrange(70..<75, with: [1, 2, 3, 4, 5])
        let checksum = CRC32C.checksum(bomb.rawSpan.extracting(21..<bomb.count))
        for index in 0..<4 { bomb[17 + index] = UInt8(truncatingIfNeeded: checksum >> UInt32(24 - 8 * index)) }
        try bench.append(batch: bomb)
        bench.options = Self.options()
        bench.log.options = bench.options
        for number in 0..<40 { try bench.append(batch: Self.batch([("a", "\(number) " + String(repeating: "x", count: 60))], timestamp: 5)) }
        bench.settle()
        Self.settleCheckpoint(bench)
        #expect(try #require(try Self.pass(bench)).failure == nil)
        var inspector = try SegmentInspector(path: bench.log.path(.zero, .log), storage: bench.disk)
        #expect(try inspector.next()?.bytes.suffix(20) == bomb.suffix(20))
    }
}
