internal import Bytes

/// One file of a log: the batches from `base` up to the next segment's base, and what is known about them.
///
///     0             durable            end           limit        capacity
///     |--- on disk ---|--- written ----|--- to come ---|           |
///
/// Owned by its log. The file and the mapping are opened when they are first needed.
/// Invariant: durable <= end; no batch lies across `end`.
final class Segment {
    let base: Offset
    /// Behind the last record that was appended to it (staged ones included).
    var next: Offset
    /// Bytes written to the file that belong to the log.
    var end = 0
    /// Bytes known to be on the disk.
    var durable = 0
    /// Bytes of the file that were written before, zeros included; 0 where that is not known. Overwriting them and making that
    /// durable needs no journal write.
    var filled = 0
    /// The log rolls before it passes this size.
    var limit: Int
    /// Broker time of the first and the last append.
    var firstAppend = Timestamp(milliseconds: -1)
    var lastAppend = Timestamp(milliseconds: -1)
    var maxTimestamp = Timestamp(milliseconds: -1)
    var maxTimestampOffset: Offset
    /// Cut to its length and made durable; written never again.
    var isSealed = false

    var file: FileHandle?
    var memory: SegmentMemory?
    /// Which parts of it are in memory, as far as is known.
    var residency = Residency()
    /// nil: not loaded yet.
    var indexes: Indexes?
    /// What the log's cache knows of it.
    var cached = SegmentCache.Entry()
    /// Where the last read from it ended, which is where who follows the log goes on. What lies below `end` never moves.
    var lastRead: (next: Offset, position: Int)?
    private var bytesSinceIndex = 0

    struct Indexes: Equatable {
        var offsets = OffsetIndex()
        var times = TimeIndex()

        /// What they take.
        var bytes: Int { offsets.bytes &+ times.bytes }

        /// Gives back the room for more entries.
        mutating func shrink() {
            offsets.shrink()
            times.shrink()
        }
    }

    init(base: Offset, limit: Int) {
        self.base = base
        next = base
        maxTimestampOffset = base
        self.limit = limit
    }

    /// Takes down a batch that begins at `position`.
    func note(_ header: RecordBatchHeader, baseOffset: Offset, position: Int, bytes: Int, indexInterval: Int) {
        let last = baseOffset + Int64(header.lastOffsetDelta)
        if header.maxTimestamp > maxTimestamp {
            maxTimestamp = header.maxTimestamp
            maxTimestampOffset = last
        }
        if bytesSinceIndex > indexInterval {
            let relative = UInt32(truncatingIfNeeded: last - base)
            indexes?.offsets.append(relativeOffset: relative, position: UInt32(truncatingIfNeeded: position))
            indexes?.times.note(timestamp: maxTimestamp, relativeOffset: UInt32(truncatingIfNeeded: maxTimestampOffset - base))
            bytesSinceIndex = 0
        }
        bytesSinceIndex &+= bytes
        next = last.next
    }

    /// Takes over what was found by walking the whole file.
    func takeIndexes(of walked: Segment) {
        indexes = walked.indexes
        bytesSinceIndex = walked.bytesSinceIndex
        if walked.maxTimestamp >= maxTimestamp {
            maxTimestamp = walked.maxTimestamp
            maxTimestampOffset = walked.maxTimestampOffset
        }
    }

    /// The last entry of the time index names the segment's latest record.
    func finishIndexes() {
        indexes?.times.note(timestamp: maxTimestamp, relativeOffset: UInt32(truncatingIfNeeded: maxTimestampOffset - base))
    }

    func noteAppend(at time: Timestamp) {
        // Clamped, so that a clock that jumps back does not make a segment older than the one before it.
        let clamped = max(time, lastAppend)
        if firstAppend.rawValue < 0 { firstAppend = clamped }
        lastAppend = clamped
    }
}

/// A place between two batches: an offset, and where its batch begins.
struct LogPlace {
    var offset: Offset
    var segment: Segment
    var position: Int
}

typealias FoundBatch = (position: Int, header: RecordBatchHeader)

/// Hops over the batch headers in `memory` from `position` to the first batch that ends behind `offset`; nil when there is none
/// before `end`. Bytes below `end` are batches that were checked when they were appended or recovered; a length that is nonsense
/// ends the walk all the same.
func findBatch(containing offset: Offset, in memory: SegmentMemory, from position: Int, to end: Int) -> FoundBatch? {
    var at = position
    while let header = batchHeader(in: memory, at: at, end: end) {
        if header.lastOffset >= offset { return (at, header) }
        at &+= header.totalByteCount
    }
    return nil
}

/// The header at `position` when a whole, plausible batch lies there before `end`.
func batchHeader(in memory: SegmentMemory, at position: Int, end: Int) -> RecordBatchHeader? {
    guard position >= 0, end <= memory.count, end &- position >= RecordBatchHeader.byteCount else { return nil }
    guard let header = try? RecordBatchHeader(decoding: memory.bytes(position..<position &+ RecordBatchHeader.byteCount)) else { return nil }
    guard header.structuralFault == nil, header.totalByteCount <= end &- position else { return nil }
    return header
}
