internal import Bytes

// What leader epochs and timestamps say about places. The batches carry their epochs, which never decrease along a log, so nothing
// is kept beside them: a search looks at the first batch of some segments, then at some batches of one.
extension Log {
    /// The epoch of the batch with `offset`, or of the next one; nil when there is none below `limit`.
    package func epoch(at offset: Offset, below limit: Offset, cold: ColdReads = .wait) throws(LogError) -> Int32? {
        try batch(at: offset, below: limit, cold: cold)?.header.leaderEpoch
    }

    /// The newest epoch that is not above `epoch`, and where it ends: a reader that saw a record of `epoch` behind there saw what the
    /// log has lost. nil when this log has not come to that epoch yet.
    package func end(ofEpoch epoch: Int32) throws(LogError) -> (epoch: Int32, end: Offset)? {
        guard epoch >= 0, epoch <= incarnation else { return nil }
        if epoch == incarnation { return (epoch, watermarks.end) }
        var low = 0
        var high = segments.count
        while low < high {
            let middle = low &+ (high &- low) / 2
            // A segment from which compaction took everything says nothing; the next one that does stands for it.
            var next = middle
            var first: RecordBatchHeader?
            while next < high, first == nil {
                first = try header(in: segments[next], at: 0)
                next += 1
            }
            if let first, first.leaderEpoch <= epoch { low = next } else { high = middle }
        }
        guard low > 0 else { return (epoch, watermarks.start) }
        let segment = segments[low - 1]
        guard let last = try lastBatch(of: segment, upTo: epoch) else { return (epoch, watermarks.start) }
        if let behind = try header(in: segment, at: last.position &+ last.header.totalByteCount) { return (last.header.leaderEpoch, behind.baseOffset) }
        return (last.header.leaderEpoch, low < segments.count ? segments[low].base : written)
    }

    private func lastBatch(of segment: Segment, upTo epoch: Int32) throws(LogError) -> (position: Int, header: RecordBatchHeader)? {
        let memory = try memory(of: segment)
        let entries = segment.indexes?.offsets.entries ?? []
        let index = partitionPoint(entries.count) { (batchHeader(in: memory, at: Int(entries[$0].position), end: segment.end)?.leaderEpoch ?? .max) <= epoch }
        var at = index == 0 ? 0 : Int(entries[index - 1].position)
        var found: (position: Int, header: RecordBatchHeader)?
        while let header = batchHeader(in: memory, at: at, end: segment.end), header.leaderEpoch <= epoch {
            found = (at, header)
            at &+= header.totalByteCount
        }
        return found
    }

    private func header(in segment: Segment, at position: Int) throws(LogError) -> RecordBatchHeader? {
        guard position < segment.end else { return nil }
        return batchHeader(in: try memory(of: segment), at: position, end: segment.end)
    }

    /// The first record with the latest timestamp of all below `limit`; nil when there is none. Within a compressed batch as `offset(at:)`.
    package func latestRecord(below limit: Offset, cold: ColdReads = .wait) throws(LogError) -> (Offset, Timestamp)? {
        var latest = Timestamp(milliseconds: -1)
        // The newest first: most often none before it has anything later, and is not looked at.
        for segment in segments.reversed() where segment.maxTimestamp > latest && segment.next > watermarks.start && segment.base < limit {
            latest = max(latest, try latestTimestamp(of: segment, below: limit, cold))
        }
        guard latest.rawValue >= 0, let found = try offset(at: latest, cold: cold), found.0 < limit else { return nil }
        return found
    }

    /// The latest timestamp of the segment's batches between the log's start and `limit`.
    private func latestTimestamp(of segment: Segment, below limit: Offset, _ cold: ColdReads) throws(LogError) -> Timestamp {
        try residentEnds(of: segment, cold)
        let memory = try memory(of: segment)
        if segment.base >= watermarks.start, segment.next <= min(limit, written) { return segment.maxTimestamp }
        var latest = Timestamp(milliseconds: -1)
        var at = 0
        if segment.base >= watermarks.start, let times = segment.indexes?.times.entries {
            // The last entry below the limit speaks for everything before it.
            let index = partitionPoint(times.count) { segment.base + Int64(times[$0].relativeOffset) < limit }
            if index > 0 {
                latest = Timestamp(milliseconds: times[index - 1].timestamp)
                at = segment.indexes?.offsets.position(atOrBefore: Int64(times[index - 1].relativeOffset)) ?? 0
            }
        }
        let end = segment.indexes?.offsets.place(of: limit - segment.base).end ?? segment.end
        try resident(segment, memory, at..<max(at, end), cold)
        while let header = batchHeader(in: memory, at: at, end: segment.end), header.lastOffset < limit {
            if header.lastOffset >= watermarks.start { latest = max(latest, header.maxTimestamp) }
            at &+= header.totalByteCount
        }
        return latest
    }
}
