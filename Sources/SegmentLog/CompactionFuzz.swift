internal import Bytes

/// `bytes` are batches as older versions stored them, unlooked at: each behind two bytes of length, its checksum made to fit. The log is
/// compacted, twice, and everything that can be done with logs must still be possible; what was the newest of its key must still be there.
package func fuzzCompaction(_ bytes: RawSpan) {
    let storage = MemoryStorage(isVolatile: false)
    var options = FuzzedLog.options
    options.segmentBytes = 512
    options.countsRecords = false
    options.cleanup = .compact
    options.compaction.minDirtyRatio = 0.01
    options.compaction.deleteRetentionMilliseconds = 1_000
    do {
        try storage.makeDirectory(FuzzedLog.directory)
        let log = try FuzzedLog.open(storage, options)
        var reader = ByteReader(bytes)
        while let length = try? reader.big(UInt16.self), let range = try? reader.range(Int(length)) {
            guard let batch = batchWithItsChecksum([UInt8](bytes.extracting(range.indices))) else { continue }
            _ = try? log.append(batch: batch.rawSpan, now: FuzzedLog.now)
            tick(log, storage, FuzzedLog.now)
        }
        // The last segment is never compacted.
        let filler = [UInt8](repeating: 7, count: 600)
        _ = try log.append(
            MessageParts(key: ByteRange(start: 0, count: 1), payload: ByteRange(start: 0, count: filler.count)), input: filler.rawSpan, now: FuzzedLog.now)
        tick(log, storage, FuzzedLog.now)
        let before = newest(log)
        var now = FuzzedLog.now
        for _ in 0..<2 {
            now.instant = now.instant.advanced(byNanoseconds: 120_000_000_000)
            try log.compact(CompactionLimits(memoryBytes: 4_096), now: now)
            for _ in 0..<8 { tick(log, storage, now) }
            let after = newest(log)
            for (key, offset) in before { precondition(after[key] == offset, "the newest record of a key is gone") }
        }
        try log.close(now: now)
        FuzzedLog.complete(log, storage)
    } catch {}
    FuzzedLog.use(storage)
}

private func tick(_ log: Log, _ storage: MemoryStorage, _ now: Now) {
    _ = log.endTick(now: now)
    while let (ticket, result) = storage.nextCompletion() { _ = log.storageCompleted(ticket, result, now: now) }
}

/// Where the newest record with a value lies, of every key that is in no batch that cannot be taken apart to its end: such a batch stays,
/// and what it says of its first records may count or not.
private func newest(_ log: Log) -> [[UInt8]: Offset] {
    var found: [[UInt8]: Offset] = [:]
    var doubtful: Set<[UInt8]> = []
    var at = log.watermarks.start
    while let batch = try? log.batch(at: at, below: log.visibleEnd) {
        let bytes = [UInt8](batch.slice.memory.bytes(batch.slice.range))
        at = batch.lastOffset + 1
        guard let header = try? RecordBatchHeader(decoding: bytes.rawSpan) else { break }
        let inspected = InspectedBatch(position: 0, header: header, isIntact: true, bytes: bytes)
        guard !header.isControl, let (records, isComplete) = inspected.records() else { continue }
        if !isComplete { doubtful.formUnion(keys(header, bytes)) }
        for record in records { if let key = record.key { found[key] = record.value == nil ? nil : record.offset } }
    }
    return found.filter { !doubtful.contains($0.key) }
}

/// The keys of a batch as far as it can be walked: behind a record whose headers are nonsense, too, which compaction does not look at.
private func keys(_ header: RecordBatchHeader, _ batch: [UInt8]) -> [[UInt8]] {
    var buffer = ByteBuffer()
    guard let codec = BatchCodec.of(header), codec.expand(batch.rawSpan, atMost: BatchFilter.decompressedBytesMax, into: &buffer) else { return [] }
    let plain = [UInt8](buffer.bytes)
    var found: [[UInt8]] = []
    do throws(ByteError) {
        var reader = try RecordReader(plain.rawSpan, records: plain.indices)
        while let record = try reader.next() { if let key = record.key { found.append(Array(plain[key.indices])) } }
    } catch {}
    return found
}
