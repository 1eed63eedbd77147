internal import Bytes

// Compaction leaves holes in batches: offsets without records.
extension BatchView {
    package var hasHoles: Bool { Int64(header.recordCount) != Int64(header.lastOffsetDelta) + 1 }

    /// The offsets that have a record, as runs without holes; nil when the records cannot be taken apart.
    package func runs() -> [ClosedRange<Int64>]? {
        var plain = ByteBuffer()
        guard let codec = BatchCodec.of(header), codec.expand(slice.memory.bytes(slice.range), atMost: BatchFilter.decompressedBytesMax, into: &plain) else {
            return nil
        }
        var runs: [ClosedRange<Int64>] = []
        do throws(ByteError) {
            let bytes = plain.bytes
            var reader = try RecordReader(bytes, records: 0..<bytes.byteCount)
            while let record = try reader.next() {
                let offset = baseOffset.rawValue &+ Int64(record.offsetDelta)
                guard offset <= lastOffset.rawValue, offset > runs.last?.upperBound ?? -1 else { return nil }
                if let last = runs.last, last.upperBound + 1 == offset { runs[runs.count - 1] = last.lowerBound...offset } else { runs.append(offset...offset) }
            }
        } catch { return nil }
        return runs
    }
}

extension LogSlice {
    /// The offsets from `first` through `last` that have no record, in a slice of whole batches that holds them.
    package func holes(_ first: Offset, _ last: Offset) -> [ClosedRange<Int64>] {
        var holes: [ClosedRange<Int64>] = []
        var next = first.rawValue
        func present(_ run: ClosedRange<Int64>) {
            guard run.upperBound >= next, run.lowerBound <= last.rawValue else { return }
            if run.lowerBound > next { holes.append(next...run.lowerBound - 1) }
            next = run.upperBound + 1
        }
        var at = range.lowerBound
        while at < range.upperBound, let header = batchHeader(in: memory, at: at, end: range.upperBound) {
            let end = at &+ header.totalByteCount
            let batch = BatchView(header, slice: LogSlice(memory: memory, range: at..<end))
            if batch.hasHoles, let runs = batch.runs() {
                for run in runs { present(run) }
            } else {
                present(batch.baseOffset.rawValue...batch.lastOffset.rawValue)
            }
            at = end
        }
        if next <= last.rawValue { holes.append(next...last.rawValue) }
        return holes
    }
}
