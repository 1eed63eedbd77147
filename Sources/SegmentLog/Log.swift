internal import Bytes
internal import Mutants

/// One partition's stored sequence of record batches: segment files, their indexes, and three watermarks.
///
///     start          flushed        written          end
///       |--- durable ---|--- in files ---|--- staged ---|          start <= flushed <= written <= end
///
/// Appends are gathered (small batches and single messages are staged, large ones are written straight from the input), written
/// on the caller's thread at the end of the tick, and made durable by one outstanding flush behind which the next group gathers.
///
/// Owned by one thread; its user gives it the time and the completions of its operations. After an append or a completion it asks
/// `needsTick`, and calls `endTick` once per tick where that says so; acknowledgements are due after `endTick`.
package final class Log {
    package struct Options: Sendable, Equatable {
        package var durability = Durability.group
        package var segmentBytes = 64 << 20
        package var segmentMilliseconds: Int64 = 7 * 24 * 3_600_000
        package var retentionMilliseconds: Int64 = -1
        package var retentionBytes: Int64 = -1
        package var flushIntervalMilliseconds: Int64 = 1_000
        /// A log whose flush has not ended by then takes nothing more.
        package var flushTimeoutMilliseconds: Int64 = 30_000
        package var maxMessageBytes = 1 << 20
        package var indexIntervalBytes = 4_096
        /// Whether the records of a batch are counted before it is stored. Tests store what older versions took.
        package var countsRecords = true
        package var timestampType = TimestampType.create
        /// How far before and after the broker's time a record's may lie, where producers give it.
        package var timestampBeforeMaxMilliseconds = Int64.max
        package var timestampAfterMaxMilliseconds = Int64.max
        package var cleanup = Cleanup.delete
        package var compaction = Compaction()
        package init() {}
    }

    /// When and how a compacted log replaces older records by newer ones of their key.
    package struct Compaction: Sendable, Equatable {
        package var deleteRetentionMilliseconds: Int64 = 24 * 3_600_000
        package var minLagMilliseconds: Int64 = 0
        package var maxLagMilliseconds = Int64.max
        package var minDirtyRatio = 0.5
        package init() {}
    }

    package var options: Options
    /// Which log this is in tickets; chosen by the opener.
    package let number: UInt32
    package let directory: String
    package internal(set) var watermarks = Watermarks(start: .zero, flushed: .zero, end: .zero)
    /// The end of what was written to files: what `none` and `interval` show to consumers.
    package internal(set) var written = Offset.zero
    /// Set by the first failed write or flush, never cleared: the log takes no more writes (S8).
    package internal(set) var fault: StorageError?
    /// Counts the unclean stops of this log; stored as the leader epoch of its batches.
    package internal(set) var incarnation: Int32 = 0
    /// What recovery found.
    package internal(set) var recovery = RecoveryReport()

    let storage: any LogStorage
    /// Keeps mappings and indexes of sealed segments; other logs share it.
    let cache: SegmentCache
    let readiesInBackground: Bool
    /// Oldest first; the last one is active.
    var segments: [Segment] = []
    /// Bytes of the active segment that are not written yet, from its `end` on.
    var staging = ByteBuffer()
    /// Where the last write began, in the active segment: who follows the log reads on from there, and need not look for it.
    var newest: LogPlace?
    /// The pieces of a write, while it lasts.
    var writing: [MemoryRegion] = []
    /// The batch of single messages that is being joined at the end of `staging`.
    var open: OpenBatch?
    var producers = ProducerState()
    var flushing = FlushState()
    var background = BackgroundWork()
    var compaction = CompactionState()
    /// What its user has not been told yet.
    var troubles: [LogTrouble] = []
    /// nil once the log may be written: what the first append has to do before.
    var toPrepare: Preparation?
    /// It takes nothing more; what it holds open goes once nothing is under way.
    package internal(set) var isClosed = false
    /// `written` at the end of the last tick.
    var shown = Offset.zero
    /// The wall clock as far as this log has seen it; it never goes back.
    var lastTime = Timestamp(milliseconds: 0)
    /// The monotonic clock at the last append.
    var lastInstant = Instant(rawValue: 0)

    struct OpenBatch {
        var builder: RecordBatchBuilder
        var base: Offset
    }

    /// Opens the log in `directory` and recovers its tail (S10, S14). Nothing is written yet: the directory is made, and a torn
    /// tail is cut (S15), before the first append.
    ///
    /// - Parameters:
    ///   - cache: what it keeps of sealed segments counts there, with what other logs of this thread keep.
    ///   - readiesInBackground: false where nobody hands completions in, and appends are to be written when they end their tick.
    package init(
        directory: String, number: UInt32, options: Options, storage: any LogStorage, now: Now, cache: SegmentCache = SegmentCache(),
        readiesInBackground: Bool = true
    ) throws(LogError) {
        self.readiesInBackground = readiesInBackground && storage.readiesInBackground
        self.directory = directory
        self.number = number
        self.options = options
        self.storage = storage
        self.cache = cache
        lastTime = now.time
        do { try recover(now: now) } catch {
            closeFiles()
            throw error
        }
        shown = written
    }

    var active: Segment? { segments.last }

    /// The end of what consumers may see: the flushed watermark under `group` and `each`, else what is written.
    package var visibleEnd: Offset { options.durability.waitsForFlush && !Mutant.isActive("showsWhatIsNotDurable") ? watermarks.flushed : written }

    package var bytes: Int64 {
        var sum = Int64(staging.count)
        for segment in segments { sum += Int64(segment.end) }
        return sum
    }

    package var segmentCount: Int { segments.count }
    /// Appended and not written yet.
    package var stagedBytes: Int { staging.count }

    /// Where the newest `count` segments begin; nil when there are no others.
    package func base(ofLast count: Int) -> Offset? { count > 0 && count < segments.count ? segments[segments.count - count].base : nil }

    /// Where the segment begins that holds `offset`.
    package func segmentBase(atOrBefore offset: Offset) -> Offset? { segments.last { $0.base <= offset }?.base }

    func path(_ base: Offset, _ kind: LogFiles.Kind) -> String { directory + "/" + LogFiles.name(base, kind) }
    func path(_ name: String) -> String { directory + "/" + name }

    /// Stops writing for good: the first error stays.
    func fail(_ error: StorageError) {
        if fault == nil { fault = error }
        open = nil
        staging.release()
        watermarks.end = written
        compaction.stop.stop()
    }
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

package enum LogError: Error, Sendable {
    /// The bytes are no valid batch: which check failed.
    case corruptBatch(String)
    /// Well formed, but of a kind that is not stored: message format 0 or 1, control batches from clients.
    case unsupportedBatch(String)
    /// A record that this log does not take: without key where records are compacted by key.
    case invalidRecord(String)
    case invalidTimestamp(String)
    case tooLarge(bytes: Int, limit: Int)
    case offsetOutOfRange(start: Offset, end: Offset)
    case outOfOrderSequence(expected: Int32, got: Int32)
    case producerFenced(current: Int16, got: Int16)
    case storage(StorageError)
    /// Recovery found acknowledged data damaged, below the durable watermark: the log is refused (S14).
    case damaged(path: String, position: Int, reason: String)
    case closed
    /// What is to be read is on the disk, and on its way: `Log.takeLoaded` says when to try again.
    case loading
}

/// What a read does where its bytes are not in memory.
package enum ColdReads: Sendable {
    /// It waits for the disk, on the caller's thread: at start, and for what is rare.
    case wait
    /// It throws `LogError.loading`, and the bytes are read in the background.
    case comeBack(Instant)
}
