// What is kept of sealed segments: for how many reads, how much of it at most, for how long.
import Bytes
import Testing

@testable import SegmentLog

@Suite struct SegmentCacheTests {
    private let counting = CountingDisk(MemoryStorage(isVolatile: false))

    private func bounds(mappings: Int = 1_024, mappedBytes: Int = 1 << 30, indexBytes: Int = 1 << 20) -> SegmentCache.Bounds {
        var bounds = SegmentCache.Bounds()
        bounds.mappings = mappings
        bounds.mappedBytes = mappedBytes
        bounds.indexBytes = indexBytes
        return bounds
    }

    /// A log of 60 messages in sealed segments of two and an active one, opened anew: nothing of it is in memory.
    private func filled(_ bounds: SegmentCache.Bounds? = nil, _ change: (inout Log.Options) -> Void = { _ in }) throws -> Bench {
        var options = small()
        change(&options)
        let bench = try Bench(options, disk: counting.disk, storage: counting, cache: SegmentCache(bounds ?? self.bounds()))
        try fill(bench)
        try bench.log.close(now: bench.now)
        try bench.reopen()
        counting.opened = [:]
        counting.mapped = 0
        return bench
    }

    private func fill(_ bench: Bench) throws {
        for index in 0..<60 {
            try bench.append(batch: message(index))
            bench.settle()
        }
    }

    /// One of seven keys, and 300 bytes.
    private func message(_ index: Int) -> [UInt8] {
        var buffer = ByteBuffer()
        var builder = RecordBatchBuilder(into: &buffer)
        let text = "\(index) " + String(repeating: "x", count: 300)
        builder.append(key: [UInt8(index % 7)], value: [UInt8](text.utf8), timestamp: Timestamp(milliseconds: 1_000_000), into: &buffer)
        builder.finish(into: &buffer)
        return [UInt8](buffer.bytes)
    }

    private func read(_ log: Log, _ offset: Int64) throws {
        let found = try #require(try log.read(from: Offset(offset), maxBytes: 1, below: log.visibleEnd))
        let bytes = [UInt8](found.slice.memory.bytes(found.slice.range))
        let text = try records(in: bytes).first?.1
        #expect(found.first == Offset(offset))
        #expect(text?.hasPrefix("\(offset) x") == true)
    }

    /// What the cache counts is what the logs' sealed segments have.
    private func expectCounted(_ cache: SegmentCache, _ logs: Log..., at line: SourceLocation = #_sourceLocation) {
        let kept = logs.flatMap(\.segments).filter { $0.isSealed && ($0.memory != nil || $0.indexes != nil) }
        #expect(Set(cache.segments.map { ObjectIdentifier($0) }) == Set(kept.map { ObjectIdentifier($0) }), sourceLocation: line)
        #expect(cache.mappings == kept.filter { $0.memory != nil }.count, sourceLocation: line)
        #expect(cache.mappedBytes == kept.reduce(0) { $0 + ($1.memory?.count ?? 0) }, sourceLocation: line)
        #expect(cache.indexBytes == kept.reduce(0) { $0 + ($1.indexes?.bytes ?? 0) }, sourceLocation: line)
        #expect(cache.segments.indices.allSatisfy { cache.segments[$0].cached.slot == $0 }, sourceLocation: line)
    }

    @Test func aSegmentIsMappedAndItsIndexesAreLoadedOnceForManyReads() throws {
        let bench = try filled()
        var random = Seeded(1)
        for _ in 0..<500 { try read(bench.log, Int64.random(in: 0..<60, using: &random)) }
        let count = bench.log.segmentCount
        #expect(count == 30)
        #expect(counting.opened["index"] == count)
        #expect(counting.opened["timeindex"] == count)
        #expect(counting.mapped == count)
        #expect(bench.cache.indexBytes > 0)
        expectCounted(bench.cache, bench.log)
    }

    @Test(arguments: ["mappings", "mapped bytes", "index bytes"]) func noMoreIsKeptThanTheBoundsSay(_ which: String) throws {
        let tight = which == "mappings" ? bounds(mappings: 3) : which == "mapped bytes" ? bounds(mappedBytes: 4_000) : bounds(indexBytes: 200)
        let bench = try filled(tight)
        var random = Seeded(2)
        for _ in 0..<500 {
            try read(bench.log, Int64.random(in: 0..<60, using: &random))
            #expect(bench.cache.mappings <= tight.mappings)
            #expect(bench.cache.mappedBytes <= tight.mappedBytes)
            #expect(bench.cache.indexBytes <= tight.indexBytes)
        }
        expectCounted(bench.cache, bench.log)
        #expect(which == "index bytes" ? counting.opened["index", default: 0] > 100 : counting.mapped > 100, "something went and came again")
        #expect(bench.cache.segments.count > 1)
    }

    @Test func whatIsReadAgainAndAgainStays() throws {
        let bench = try filled(bounds(mappings: 4, indexBytes: 200))
        let first = try #require(bench.log.segments.first)
        try read(bench.log, 0)
        let memory = try #require(first.memory)
        for offset in 1..<57 {
            try read(bench.log, Int64(offset))
            try read(bench.log, 0)
            #expect(first.memory === memory)
        }
        #expect(first.indexes != nil)
    }

    @Test func severalLogsShareOneRoom() throws {
        let bench = try filled(bounds(mappings: 5))
        let other = try Log(directory: "logs/2-0", number: 8, options: small(), storage: counting, now: bench.now, cache: bench.cache)
        for index in 0..<60 {
            try other.append(batch: message(index).rawSpan, now: bench.now)
            other.endTick(now: bench.now)
            while let (ticket, result) = counting.disk.nextCompletion() { _ = other.storageCompleted(ticket, result, now: bench.now) }
        }
        for offset in Int64(0)..<60 {
            try read(bench.log, offset)
            try read(other, offset)
            #expect(bench.cache.mappings <= 5)
        }
        expectCounted(bench.cache, bench.log, other)
        other.destroy()
        while let (ticket, result) = counting.disk.nextCompletion() { _ = other.storageCompleted(ticket, result, now: bench.now) }
        expectCounted(bench.cache, bench.log)
    }

    @Test(arguments: ["retention", "trim", "compaction", "close", "destroy"]) func whatLeavesTheLogLeavesTheCache(_ how: String) throws {
        let bench = try filled { if how == "compaction" { $0.cleanup = .compact } }
        for offset in Int64(0)..<60 { try read(bench.log, offset) }
        #expect(!bench.cache.segments.isEmpty)
        let before = bench.cache.mappings
        switch how {
        case "retention": bench.log.applyRetention(floor: Offset(30), now: bench.now)
        case "trim": try bench.log.trim(before: Offset(30))
        case "compaction": try bench.log.compact(CompactionLimits(), now: bench.now)
        case "close": try bench.log.close(now: bench.now)
        default: bench.log.destroy()
        }
        for _ in 0..<100 {
            bench.settle()
            bench.pass(milliseconds: 1_100)
        }
        #expect(bench.cache.mappings < before)
        if how == "close" || how == "destroy" {
            #expect(bench.cache.segments.isEmpty && bench.cache.mappings == 0 && bench.cache.indexBytes == 0)
        } else {
            expectCounted(bench.cache, bench.log)
        }
    }

    @Test func nothingIsKeptThatNobodyReads() throws {
        let bench = try filled()
        for offset in Int64(0)..<60 { try read(bench.log, offset) }
        bench.pass(milliseconds: 60_000)
        bench.cache.release(now: bench.now.instant)
        #expect(bench.cache.mappings == 29, "it was read since the last time")
        bench.pass(milliseconds: 30_000)
        for offset in Int64(0)..<6 { try read(bench.log, offset) }
        bench.cache.release(now: bench.now.instant)
        #expect(bench.cache.mappings == 29, "not before a minute has passed")
        bench.pass(milliseconds: 30_000)
        bench.cache.release(now: bench.now.instant)
        #expect(bench.cache.segments.count == 3)
        expectCounted(bench.cache, bench.log)
        bench.pass(milliseconds: 60_000)
        bench.cache.release(now: bench.now.instant)
        #expect(bench.cache.segments.isEmpty && bench.cache.mappings == 0 && bench.cache.indexBytes == 0)
        try read(bench.log, 30)
    }

    @Test func whereTheSystemHasNoRoomForAMappingOthersMakeIt() throws {
        let bench = try filled()
        for offset in Int64(0)..<30 { try read(bench.log, offset) }
        counting.refusedMappings = 1
        try read(bench.log, 40)
        #expect(bench.cache.mappings == 1)
        expectCounted(bench.cache, bench.log)
        // With nothing to let go of it is told.
        bench.pass(milliseconds: 60_000)
        bench.cache.release(now: bench.now.instant)
        bench.pass(milliseconds: 60_000)
        bench.cache.release(now: bench.now.instant)
        counting.refusedMappings = 1
        #expect(throws: LogError.self) { try bench.log.read(from: .zero, maxBytes: 1, below: bench.log.visibleEnd) }
        #expect(bench.log.fault == nil)
        try read(bench.log, 0)
    }

    @Test func whereDescriptorsAreShortFewerAreMapped() throws {
        let bench = try filled()
        for offset in Int64(0)..<30 { try read(bench.log, offset) }
        #expect(bench.cache.mappings == 15)
        counting.admitted = false
        for offset in Int64(30)..<57 { try read(bench.log, offset) }
        #expect(bench.cache.mappings == 1)
        expectCounted(bench.cache, bench.log)
    }
}
