import Bytes
import Testing

@testable import SegmentLog

/// Whose time stands in records, and how far it may be off.
struct TimestampTests {
    @Test func anAppendTimeLogStampsBatchesAndKeepsTheirBytes() throws {
        var options = small()
        options.timestampType = .append
        let bench = try Bench(options)
        try bench.append(batch: batch(["a", "b"], timestamp: 5))
        bench.pass(milliseconds: 7)
        try bench.append(batch: batch([String(repeating: "c", count: 20_000)], timestamp: 9_000_000))
        try bench.append("d", timestamp: 3)
        bench.settle()
        #expect(try bench.texts().map(\.1.count) == [1, 1, 20_000, 1])
        var inspector = try SegmentInspector(path: bench.log.path(.zero, .log), storage: bench.disk)
        var seen: [Int64] = []
        while let batch = try inspector.next() {
            #expect(batch.isIntact && batch.header.isStamped)
            seen += batch.records()?.records.map(\.timestamp.rawValue) ?? []
        }
        #expect(seen.starts(with: [1_000_000, 1_000_000]))
        #expect(try bench.log.offset(at: Timestamp(milliseconds: 1_000_001))?.0 == Offset(2))
        try bench.kill()
        #expect(bench.log.watermarks.end == Offset(4), "recovery finds every checksum right")
    }

    @Test(arguments: [(-11, false), (-10, true), (0, true), (20, true), (21, false)] as [(Int64, Bool)])
    func timesOutsideTheBoundsAreRefused(distance: Int64, isTaken: Bool) throws {
        var options = small()
        options.timestampBeforeMaxMilliseconds = 10
        options.timestampAfterMaxMilliseconds = 20
        let bench = try Bench(options)
        let time = bench.now.time.rawValue + distance
        var refusals = 0
        do { try bench.append("m", timestamp: time) } catch { if case LogError.invalidTimestamp = error { refusals += 1 } }
        do { try bench.append(batch: batch(["m"], timestamp: time)) } catch { if case LogError.invalidTimestamp = error { refusals += 1 } }
        #expect(refusals == (isTaken ? 0 : 2))
        #expect(bench.log.watermarks.end == Offset(isTaken ? 2 : 0))
    }

    @Test func theLatestRecordIsFoundAmongWhatIsVisible() throws {
        let bench = try Bench(small(.none))
        var latest: (offset: Int64, time: Int64) = (-1, -1)
        var random = Seeded(5)
        for number in 0..<200 as Range<Int64> {
            let time = Int64.random(in: 0..<1_000_000, using: &random)
            try bench.append(String(repeating: "x", count: 40), timestamp: time)
            bench.log.endTick(now: bench.now)
            if time > latest.time { latest = (number, time) }
            let found = try #require(try bench.log.latestRecord(below: Offset(number + 1)))
            #expect(found.0.rawValue == latest.offset && found.1.rawValue == latest.time)
            if number == 150 { #expect(try bench.log.latestRecord(below: Offset(1))?.0 == Offset(0)) }
        }
        #expect(bench.log.segmentCount > 3)
        bench.settle()
        try bench.log.trim(before: Offset(latest.offset + 1))
        #expect(try bench.log.latestRecord(below: Offset(200))?.0.rawValue ?? .max > latest.offset)
        #expect(try bench.log.latestRecord(below: bench.log.watermarks.start) == nil)
    }

    @Test func theEndOfEveryEpochIsFound() throws {
        let bench = try Bench()
        var ends: [Int64] = []
        for epoch in 0..<6 {
            for number in 0..<(epoch * 7 + 3) { try bench.append(String(repeating: "y", count: 30 + number)) }
            bench.settle()
            ends.append(bench.log.watermarks.end.rawValue)
            if epoch < 5 { try bench.kill() }
        }
        #expect(bench.log.incarnation == 5)
        for (epoch, end) in ends.enumerated() {
            let found = try #require(try bench.log.end(ofEpoch: Int32(epoch)))
            #expect(found.end.rawValue == end, "epoch \(epoch)")
            #expect(found.epoch == Int32(epoch))
        }
        #expect(try bench.log.end(ofEpoch: 6) == nil)
        #expect(try bench.log.end(ofEpoch: -1) == nil)
    }

    @Test func batchesThatLieAboutTheirRecordsAreRefused() throws {
        let bench = try Bench()
        var lying = batch(["a", "b"])
        lying.append(0)
        let length = UInt32(lying.count - 12)
        for (index, shift) in [24, 16, 8, 0].enumerated() { lying[8 + index] = UInt8(truncatingIfNeeded: length >> UInt32(shift)) }
        let crc = CRC32C.checksum(lying.rawSpan.extracting(21..<lying.count))
        for (index, shift) in [24, 16, 8, 0].enumerated() { lying[17 + index] = UInt8(truncatingIfNeeded: crc >> UInt32(shift)) }
        do {
            try bench.append(batch: lying)
            Issue.record("taken")
        } catch { guard case LogError.invalidRecord = error else { throw error } }
    }
}
