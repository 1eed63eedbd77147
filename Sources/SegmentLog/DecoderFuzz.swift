internal import Bytes

// The decoders of what is stored, alone, on bytes in memory: what the neighbours of a fuzzer's input are given to. Nothing may trap.

/// A segment, a batch, records and their headers, as they are.
package func fuzzSegmentDecoders(_ bytes: RawSpan) {
    _ = try? RecordBatchHeader(checking: bytes, limit: 1 << 20)
    walkRecords(bytes, from: 0)
    if bytes.byteCount > RecordBatchHeader.byteCount { walkRecords(bytes, from: RecordBatchHeader.byteCount) }
    var scanner = SegmentScanner(BytesStream(bytes), fileBytes: bytes.byteCount, from: 0)
    var position = 0
    do throws(StorageError) {
        while true {
            let batch: InspectedBatch
            switch try scanner.next() {
            case .batch(let at, let header): batch = inspected(scanner, header, at)
            case .end(let at):
                precondition(at <= bytes.byteCount, "an end behind the end")
                return
            case .bad(let at, let fault):
                guard fault == .checksum, let header = scanner.passOver() else { return }
                batch = inspected(scanner, header, at)
            }
            precondition(scanner.position > position && scanner.position <= bytes.byteCount, "scanning does not get on")
            position = scanner.position
            // What decompressed bytes may take is another matter (`compression`, `log-dump`).
            if !batch.header.isCompressed { _ = batch.records() }
        }
    } catch { preconditionFailure("bytes in memory cannot be read: \(error)") }
}

private func inspected(_ scanner: borrowing SegmentScanner, _ header: RecordBatchHeader, _ position: Int) -> InspectedBatch {
    guard let bytes = scanner.copyBatch(position: position, count: header.totalByteCount) else {
        preconditionFailure("a batch was found that is not there")
    }
    return InspectedBatch(position: position, header: header, isIntact: true, bytes: bytes)
}

private func walkRecords(_ bytes: RawSpan, from start: Int) {
    _ = try? RecordReader.range(of: 1, through: 3, in: bytes, records: start..<bytes.byteCount)
    do throws(ByteError) {
        var reader = try RecordReader(bytes, records: start..<bytes.byteCount)
        while let record = try reader.next() { _ = RecordHeaderReader.check(bytes, headers: record.headers, count: record.headerCount) }
    } catch {}
}

/// One batch whose length, version and checksum fit: what is asked of it when it comes, its records, and the broker's own time for them.
package func fuzzBatchDecoders(_ bytes: RawSpan) {
    guard let batch = batchWithItsChecksum([UInt8](bytes)) else { return }
    guard var header = try? RecordBatchHeader(checking: batch.rawSpan, limit: 1 << 20) else { return }
    walkRecords(batch.rawSpan, from: RecordBatchHeader.byteCount)
    if !header.isCompressed {
        let inspected = InspectedBatch(position: 0, header: header, isIntact: true, bytes: batch)
        if let (records, isComplete) = inspected.records(), isComplete {
            precondition(records.count == Int(header.recordCount), "a batch is whole that has other records than it says")
        }
    }
    var written = ByteBuffer()
    written.append(batch)
    header.patch(into: &written, at: 0)
    precondition([UInt8](written.bytes) == batch, "a header changes by being read and written")
    var stamped = ByteBuffer()
    header.stamp(with: Timestamp(milliseconds: 5), batch.rawSpan, into: &stamped)
    let whole = Array(batch[..<16]) + [UInt8](stamped.bytes) + batch[RecordBatchHeader.stampedByteCount...]
    guard let again = try? RecordBatchHeader(checking: whole.rawSpan, limit: 1 << 20) else { preconditionFailure("a batch that we stamped cannot be read") }
    precondition(again.isStamped && again.maxTimestamp == Timestamp(milliseconds: 5))
}

/// Both indexes, as `fuzzIndexes` has them: looked up, cut, written and read again.
package func fuzzIndexDecoders(_ bytes: RawSpan) {
    guard bytes.byteCount >= 2 else { return }
    let all = [UInt8](bytes)
    let content = all[2...]
    let split = 2 + min(Int(all[0]) << 8 | Int(all[1]), content.count)
    // A segment that is as long as most positions say, and one that is shorter.
    for length in [1 << 31, 2_048] {
        guard var index = OffsetIndex(decoding: Array(content[..<split]).rawSpan, segmentLength: length) else { continue }
        for offset in [0, 1, Int64(UInt32.max), .max, -1] { precondition(index.position(atOrBefore: offset) < length) }
        for position in [0, 1, length, .max] { precondition(index.position(atOrBeforePosition: position) <= position) }
        let written = index.encoded()
        precondition(OffsetIndex(decoding: written.rawSpan, segmentLength: length) == index, "an index changes by being written and read")
        index.truncate(toPosition: 1_000)
        precondition(index.entries.allSatisfy { $0.position < 1_000 })
    }
    guard let times = TimeIndex(decoding: Array(content[split...]).rawSpan) else { return }
    for time in [0, 1, 1_305, Int64.max, .min] { precondition(times.relativeOffset(before: Timestamp(milliseconds: time)) >= 0) }
    let written = times.encoded()
    precondition(TimeIndex(decoding: written.rawSpan) == times, "a time index changes by being written and read")
}

/// Batches as `fuzzCompaction` has them, each filtered against its own keys: what is written anew must be a sound batch.
package func fuzzFilter(_ bytes: RawSpan) {
    var reader = ByteReader(bytes)
    while let length = try? reader.big(UInt16.self), let range = try? reader.range(Int(length)) {
        guard let batch = batchWithItsChecksum([UInt8](bytes.extracting(range.indices))), let header = try? RecordBatchHeader(decoding: batch.rawSpan),
            header.structuralFault == nil, !header.isCompressed
        else { continue }
        filter(header, batch)
    }
}

private func filter(_ header: RecordBatchHeader, _ batch: [UInt8]) {
    var map = KeyMap(keys: 64, bytes: 4_096, seed: CompactionSeed(1, 2))
    do throws(ByteError) {
        var reader = try RecordReader(batch.rawSpan, records: RecordBatchHeader.byteCount..<batch.count)
        while let record = try reader.next(), map.room > 0 {
            guard let key = record.key else { continue }
            // Some keys have a newer record behind this batch.
            map.note(batch.rawSpan, key, at: key.count % 3 == 1 ? header.nextOffset : header.baseOffset + Int64(record.offsetDelta))
        }
    } catch {}
    for through in [header.lastOffset, header.baseOffset] {
        let last = header.producerEpoch & 1 == 1 ? [header.producerID: header.lastOffset] : [:]
        var filter = BatchFilter(map: map, through: through, now: header.maxTimestamp, deleteRetentionMilliseconds: 1_000, lastOffsets: last)
        var output = ByteBuffer()
        output.append(7 as UInt8)
        guard case .anew(let written) = filter.filter(header, batch.rawSpan, into: &output) else {
            precondition(output.count == 1, "what stays as it is was written")
            continue
        }
        let anew = Array([UInt8](output.bytes)[1...])
        guard let read = try? RecordBatchHeader(decoding: anew.rawSpan), read == written, read.totalByteCount == anew.count,
            read.structuralFault == nil, read.checksumHolds(in: anew.rawSpan)
        else { preconditionFailure("a batch that compaction wrote is not sound") }
        let inspected = InspectedBatch(position: 0, header: read, isIntact: true, bytes: anew)
        guard let (records, isComplete) = inspected.records() else { preconditionFailure("records that compaction wrote cannot be read") }
        // Headers of records that it did not look at may be nonsense, as they came.
        precondition(records.count <= Int(read.recordCount) && (isComplete || read.recordCount > 0))
        precondition(filter.removed >= 0 && read.baseOffset == header.baseOffset && read.lastOffset == header.lastOffset)
    }
}

/// A file that is bytes in memory.
private final class BytesStream: FileStream {
    private let content: [UInt8]
    init(_ bytes: RawSpan) { content = [UInt8](bytes) }

    func read(at position: Int, count: Int, into buffer: inout ByteBuffer) throws(StorageError) {
        let content = content
        guard position < content.count else { return }
        let bytes = content.rawSpan
        buffer.append(bytes.extracting(position..<min(content.count, position + count)))
    }
}
