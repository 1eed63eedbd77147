package import Bytes

/// One partition's stored sequence of record batches: segment files, their indexes, and three watermarks.
///
///     start          flushed            end
///       |--- durable ---|--- written ----|          start <= flushed <= end
///
/// Appends are gathered (small batches and single messages are staged, large ones are written straight from the input), written
/// on the caller's thread at the end of the tick, and made durable by one outstanding flush behind which the next group gathers.
package final class Log {
    package struct Options: Sendable, Equatable {
        package var durability = Durability.group
        package var segmentBytes = 64 << 20
        package var segmentMilliseconds: Int64 = 7 * 24 * 3_600_000
        package var retentionMilliseconds: Int64 = -1
        package var retentionBytes: Int64 = -1
        package var flushIntervalMilliseconds: Int64 = 1_000
        package var maxMessageBytes = 1 << 20
        package var indexIntervalBytes = 4_096
        package init() {}
    }

    package var options: Options
    /// Which log this is in tickets; chosen by the opener.
    package let number: UInt32
    package let directory: String
    package private(set) var watermarks = Watermarks(start: .zero, flushed: .zero, end: .zero)
    /// Set by the first failed write or flush, never cleared: the log takes no more writes (S8).
    package private(set) var fault: StorageError?

    /// Opens the log in `directory`, making it when it is absent, and recovers its tail (S10, S14, S15).
    package init(directory: String, number: UInt32, options: Options, storage: any LogStorage, now: Now) throws(LogError) {
        self.directory = directory
        self.number = number
        self.options = options
    }

    /// What recovery found.
    package var recovery: RecoveryReport { RecoveryReport() }

    // MARK: Appending

    /// Checks one whole record batch (length, magic, CRC, counts, producer sequence), gives it the next offsets and takes it.
    /// `batch` is only read during the call.
    package func append(batch: RawSpan, now: Now) throws(LogError) -> AppendResult { throw .closed }

    /// Takes one message; those that arrive in one tick become one batch. Ranges lie in `input`, which is only read during the call.
    package func append(_ message: MessageParts, input: RawSpan, now: Now) throws(LogError) -> AppendResult { throw .closed }

    /// Whether `endTick` has something to do.
    package var needsTick: Bool { false }

    /// Writes what was staged and starts a flush where durability or a request asks for one.
    package func endTick(now: Now) {}

    /// Asks for a flush that covers `offset` although the topic's own durability would not.
    package func requestFlush(through offset: Offset) {}

    /// When `endTick` wants to be called although nothing was appended (interval flush, checkpoint); far future when never.
    package var nextDeadline: Instant { .distantFuture }

    /// An operation that this log started has ended. Answers true when a watermark moved or the log failed.
    package func storageCompleted(_ ticket: StorageTicket, _ result: StorageResult, now: Now) -> Bool { false }

    // MARK: Reading

    /// The end of what consumers may see: the flushed watermark under `group` and `each`, else the end.
    package var visibleEnd: Offset { options.durability.waitsForFlush ? watermarks.flushed : watermarks.end }

    /// Whole batches of one segment from the one that contains `offset` on, at most `maxBytes` (the first batch whole even when it
    /// is larger), all below `limit`. nil when there is nothing at or behind `offset` below `limit`.
    package func read(from offset: Offset, maxBytes: Int, below limit: Offset) throws(LogError) -> ReadResult? { nil }

    /// The one batch that contains `offset` (or the next one, where compaction left a hole), below `limit`.
    package func batch(at offset: Offset, below limit: Offset) throws(LogError) -> BatchView? { nil }

    /// The first offset whose timestamp is at or after `time`, with that timestamp; nil when there is none.
    package func offset(at time: Timestamp) throws(LogError) -> (Offset, Timestamp)? { nil }

    // MARK: Forgetting

    /// Removes whole segments that retention no longer keeps: by age, by bytes, and everything below `floor` where one is given.
    /// The active segment stays.
    package func applyRetention(floor: Offset?, now: Now) {}

    /// Moves the start up to `offset` (Kafka's DeleteRecords, purge); whole segments below are removed.
    package func trim(before offset: Offset) throws(LogError) {}

    package var bytes: Int64 { 0 }
    package var segmentCount: Int { 0 }

    // MARK: The end

    /// Writes, flushes, seals the indexes and leaves the clean-shutdown checkpoint; waits for all of it.
    package func close(now: Now) throws(LogError) {}

    /// Removes every file.
    package func destroy() {}
}

package struct Watermarks: Equatable, Sendable {
    package var start: Offset
    package var flushed: Offset
    package var end: Offset
    package init(start: Offset, flushed: Offset, end: Offset) {
        self.start = start
        self.flushed = flushed
        self.end = end
    }
}

/// One message as ranges of the input; headers in the record's own encoding (per header: varint key length, key, varint value
/// length or -1, value).
package struct MessageParts {
    package var key: ByteRange?
    package var payload: ByteRange?
    package var headers: ByteRange
    package var headerCount: Int32
    package var timestamp: Timestamp?
    package var producerID: Int64
    package var producerEpoch: Int16
    package var sequence: Int32
    package init(
        key: ByteRange?, payload: ByteRange?, headers: ByteRange = .empty, headerCount: Int32 = 0, timestamp: Timestamp? = nil, producerID: Int64 = -1,
        producerEpoch: Int16 = -1, sequence: Int32 = -1
    ) {
        self.key = key
        self.payload = payload
        self.headers = headers
        self.headerCount = headerCount
        self.timestamp = timestamp
        self.producerID = producerID
        self.producerEpoch = producerEpoch
        self.sequence = sequence
    }
}

package struct AppendResult: Equatable, Sendable {
    package var baseOffset: Offset
    package var count: Int32
    /// The batch was stored before (same producer, epoch and sequence); the offset is the one it has.
    package var isDuplicate: Bool
    package init(baseOffset: Offset, count: Int32, isDuplicate: Bool) {
        self.baseOffset = baseOffset
        self.count = count
        self.isDuplicate = isDuplicate
    }
}

package struct ReadResult {
    package var slice: LogSlice
    /// The base offset of the first batch.
    package var first: Offset
    /// Behind the last record of the last batch.
    package var next: Offset
    package init(slice: LogSlice, first: Offset, next: Offset) {
        self.slice = slice
        self.first = first
        self.next = next
    }
}

/// One stored batch: its decoded header, and where it lies.
package struct BatchView {
    package var baseOffset: Offset
    package var lastOffset: Offset
    package var baseTimestamp: Timestamp
    package var recordCount: Int32
    package var isCompressed: Bool
    /// The whole batch, header included.
    package var slice: LogSlice
    /// The records without the header.
    package var records: Range<Int>
    package init(
        baseOffset: Offset, lastOffset: Offset, baseTimestamp: Timestamp, recordCount: Int32, isCompressed: Bool, slice: LogSlice, records: Range<Int>
    ) {
        self.baseOffset = baseOffset
        self.lastOffset = lastOffset
        self.baseTimestamp = baseTimestamp
        self.recordCount = recordCount
        self.isCompressed = isCompressed
        self.slice = slice
        self.records = records
    }
}

/// What opening a log found and did.
package struct RecoveryReport: Sendable {
    package var wasClean = true
    package var checkedBytes = 0
    /// Bytes of a torn tail that were cut.
    package var truncatedBytes = 0
    package var truncatedAt: Offset?
    package var rebuiltIndexes = 0
    package init() {}
}

package enum LogError: Error, Sendable {
    /// The bytes are no valid batch: which check failed.
    case corruptBatch(String)
    /// Well formed, but of a kind that is not stored: message format 0 or 1, control batches from clients.
    case unsupportedBatch(String)
    case tooLarge(bytes: Int, limit: Int)
    case offsetOutOfRange(start: Offset, end: Offset)
    case outOfOrderSequence(expected: Int32, got: Int32)
    case producerFenced(current: Int16, got: Int16)
    case storage(StorageError)
    /// Recovery found acknowledged data damaged, below the durable watermark: the log is refused (S14).
    case damaged(path: String, position: Int, reason: String)
    case closed
}
