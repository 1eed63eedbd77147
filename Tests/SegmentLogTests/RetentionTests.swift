// What is forgotten and when: by age, by bytes, by what is settled, by request; and what stays although it is forgotten.
import Bytes
import Testing

@testable import SegmentLog

@Suite struct RetentionTests {
    /// A log of about twelve segments, one message of 300 bytes each second.
    private func filled(_ change: (inout Log.Options) -> Void = { _ in }) throws -> Bench {
        var options = small()
        change(&options)
        let bench = try Bench(options)
        for index in 0..<36 {
            try bench.append("\(index) " + String(repeating: "x", count: 300))
            bench.settle()
            bench.pass(milliseconds: 1_000)
        }
        #expect(bench.log.segmentCount > 10)
        return bench
    }

    private func files(_ bench: Bench) throws -> [String] { try bench.disk.list("logs/1-0").map(\.name).filter { $0.hasSuffix(".log") } }

    /// Lets the checkpoint that retention waits for become due.
    private func settleRemoval(_ bench: Bench) {
        bench.pass(milliseconds: 1_100)
        bench.settle()
    }

    @Test func byBytesTheNewestAreKept() throws {
        let bench = try filled { $0.retentionBytes = 3_000 }
        bench.log.applyRetention(floor: nil, now: bench.now)
        #expect(bench.log.bytes >= 3_000)
        #expect(bench.log.bytes < 4_500)
        settleRemoval(bench)
        #expect(try files(bench).count == bench.log.segmentCount)
    }

    @Test func byAgeTheBrokersTimeCounts() throws {
        let bench = try filled { $0.retentionMilliseconds = 10_000 }
        bench.log.applyRetention(floor: nil, now: bench.now)
        let start = bench.log.watermarks.start.rawValue
        #expect(start > 18 && start <= 26)
        bench.pass(milliseconds: 60_000)
        bench.log.applyRetention(floor: nil, now: bench.now)
        bench.settle()
        bench.log.applyRetention(floor: nil, now: bench.now)
        #expect(bench.log.watermarks.start == Offset(36))
        #expect(try bench.texts().isEmpty)
        try bench.append("after")
        bench.settle()
        #expect(try bench.texts().map(\.0) == [36])
    }

    @Test func aClockThatJumpsBackRemovesNothing() throws {
        let bench = try filled { $0.retentionMilliseconds = 1_000_000 }
        bench.log.applyRetention(floor: nil, now: Now(instant: bench.now.instant, time: Timestamp(milliseconds: 0)))
        #expect(bench.log.watermarks.start == .zero)
    }

    @Test func whatIsSettledGoesBySegments() throws {
        let bench = try filled()
        bench.log.applyRetention(floor: Offset(20), now: bench.now)
        let start = bench.log.watermarks.start
        #expect(start > Offset(15) && start <= Offset(20))
        bench.log.applyRetention(floor: Offset(36), now: bench.now)
        #expect(bench.log.segmentCount == 1)
        settleRemoval(bench)
        #expect(try files(bench).count == 1)
        #expect(throws: LogError.self) { try bench.log.read(from: .zero, maxBytes: 1, below: bench.log.visibleEnd) }
    }

    @Test func aTrimIsExactAndSurvives() throws {
        let bench = try filled()
        try bench.log.trim(before: Offset(17))
        #expect(try bench.texts().first?.0 == 17)
        settleRemoval(bench)
        try bench.kill()
        #expect(bench.log.watermarks.start == Offset(17))
        #expect(throws: LogError.self) { try bench.log.trim(before: Offset(40)) }
        try bench.log.trim(before: Offset(36))
        settleRemoval(bench)
        try bench.log.close(now: bench.now)
        try bench.reopen()
        #expect(bench.log.watermarks == Watermarks(start: Offset(36), flushed: Offset(36), end: Offset(36)))
    }

    @Test func filesGoOnlyOnceACheckpointKnowsIt() throws {
        let bench = try filled()
        bench.settle()
        let before = try files(bench)
        bench.log.applyRetention(floor: Offset(20), now: bench.now)
        #expect(try files(bench) == before)
        try bench.kill()
        #expect(bench.log.watermarks.start == .zero)
        #expect(try bench.texts().count == 36)
    }

    @Test func whatADeliveryHoldsStaysReadable() throws {
        let bench = try filled()
        let found = try bench.log.read(from: .zero, maxBytes: 100, below: bench.log.visibleEnd)
        let result = try #require(found)
        bench.log.applyRetention(floor: Offset(36), now: bench.now)
        settleRemoval(bench)
        let bytes = [UInt8](result.slice.memory.bytes(result.slice.range))
        #expect(try records(in: bytes).first?.0 == 0)
    }

    @Test func sealedSegmentsHoldNoFiles() throws {
        let bench = try filled()
        bench.settle()
        #expect(try bench.texts().count == 36)
        #expect(bench.disk.openCount <= 2)
    }

    @Test func segmentsGrowAndSparesAreUsed() throws {
        var options = small()
        options.segmentBytes = 16 << 20
        let bench = try Bench(options)
        let large = batch([String(repeating: "x", count: 200_000)])
        for _ in 0..<60 {
            try bench.append(batch: large)
            bench.settle()
        }
        let names = try bench.disk.list("logs/1-0")
        #expect(bench.log.segments.map(\.limit) == [1 << 20, 4 << 20, 16 << 20])
        #expect(names.first { $0.name == LogFiles.name(bench.log.segments[2].base, .log) }?.size == 16 << 20)
        try bench.log.close(now: bench.now)
        #expect(try !bench.disk.list("logs/1-0").contains { $0.name.hasSuffix(".tmp") })
        try bench.reopen()
        #expect(bench.log.recovery.wasClean)
        #expect(bench.log.watermarks.end == Offset(60))
    }

    @Test func segmentsRollByAge() throws {
        var options = small()
        options.segmentMilliseconds = 5_000
        options.segmentBytes = 1 << 20
        let bench = try Bench(options)
        for _ in 0..<20 {
            try bench.append("x")
            bench.settle()
            bench.pass(milliseconds: 1_000)
        }
        #expect(bench.log.segmentCount == 4)
    }
}
