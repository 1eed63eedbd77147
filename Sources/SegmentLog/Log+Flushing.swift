internal import Bytes
internal import Mutants

/// What is to be made durable, and the one flush that is under way.
struct FlushState {
    /// A flush through here is asked for.
    var wanted = Offset.zero
    /// Under `each`: where the publish requests end that have no flush of their own yet.
    var requests: [LogPlace] = []
    var outstanding: Outstanding?
    /// When the last flush began; an `interval` counts from there.
    var lastStart = Instant(rawValue: 0)
    /// Where the flushed watermark lies; nil while nothing was ever flushed.
    var place: LogPlace?
    /// A segment file was made or renamed since the directory was last flushed.
    var isDirectoryDirty = false
    /// How long the last flush took, for people.
    var lastNanoseconds: UInt64 = 0
    /// What a flush has covered lately, in bytes: a moving average over some eight of them.
    var typicalBytes = 0
    /// While publishers wait for a flush, or for the log to become ready.
    var patience: Patience?

    struct Outstanding {
        var target: LogPlace
        /// What each file held when the flush began.
        var covered: [(segment: Segment, end: Int)]
        var start: Instant
    }
}

/// Operations in the background other than the flush.
struct BackgroundWork {
    var spare: (path: String, size: Int, file: FileHandle)?
    var preparing: (path: String, size: Int)?
    var spareNumber: UInt32 = 0
    var preparationPause = PreparationPause()
    var sealing: Segment?
    /// The first append waits for this: what is appended meanwhile is staged.
    var readying: StorageTicket?
    var isCheckpointing = false
    var isCheckpointDirty = false
    /// The checkpoint on the disk says that the log is in use.
    var wroteCheckpoint = false
    var lastCheckpoint = Instant(rawValue: 0)
    /// Segments that retention dropped, whose files wait for a checkpoint that no longer knows them.
    var dropped: [Segment] = []
    /// How many of `dropped` the checkpoint under way does not know.
    var droppedByCheckpoint = 0
    /// What is being read in from the disk.
    var loads: [StorageTicket: SegmentLoad] = [:]
    /// Something was read in since `takeLoaded` was asked.
    var hasLoaded = false
    /// Operations under way, the flush included.
    var count = 0
    var sequence: UInt32 = 0
    /// What is left to do once nothing is under way, after `destroy` or `close`.
    var finish: (() -> Void)?
}

/// After a next segment could not be prepared: none is tried for a second, then for two, up to a minute.
struct PreparationPause {
    static let shortest: UInt64 = 1_000_000_000
    static let longest: UInt64 = 60_000_000_000

    private(set) var end = Instant(rawValue: 0)
    private var nanoseconds: UInt64 = 0

    mutating func grow(from now: Instant) {
        nanoseconds = nanoseconds == 0 ? Self.shortest : min(2 * nanoseconds, Self.longest)
        end = now.advanced(byNanoseconds: nanoseconds)
    }
}

enum TicketKind: UInt8 {
    case flush = 1
    case prepare = 2
    case seal = 3
    case checkpoint = 4
    case index = 5
    case remove = 6
    case ready = 7
    case load = 8
    case compact = 9
    case compactNames = 10
}

extension StorageTicket {
    init(log: UInt32, sequence: UInt32, kind: TicketKind) {
        self.init(rawValue: UInt64(log) << 32 | UInt64(sequence & 0xff_ffff) << 8 | UInt64(kind.rawValue))
    }

    /// Which log started the operation: its `number`.
    package var log: UInt32 { UInt32(truncatingIfNeeded: rawValue >> 32) }
    var kind: TicketKind? { TicketKind(rawValue: UInt8(truncatingIfNeeded: rawValue)) }
}

extension Log {
    static let checkpointNanoseconds: UInt64 = 1_000_000_000

    /// Whether `endTick` has something to do now: ask after appends and after completions.
    package var needsTick: Bool {
        if isClosed || fault != nil || background.readying != nil { return false }
        if staging.count > 0 { return true }
        if storage.isVolatile || shown < written { return shown < written }
        return flushing.outstanding == nil && flushTarget != nil
    }

    /// Writes what was staged and starts a flush where durability or a request asks for one. Answers true when a watermark moved or
    /// the log failed.
    @discardableResult
    package func endTick(now: Now) -> Bool {
        guard fault == nil, !isClosed else { return false }
        if lookAfterFlush(now: now) { return true }
        if background.readying != nil {
            // What joins a batch has come in one tick.
            closeOpenBatch()
            return false
        }
        let staged = staging.count
        do { try writeStaged(then: nil) } catch { return true }
        // Ten thousand quiet logs keep no buffers.
        if staging.capacity > 4_096, staging.capacity / 16 > staged { staging.release() }
        let moved = shown < written
        shown = written
        if storage.isVolatile {
            watermarks.flushed = written
            flushing.wanted = written
            return moved
        }
        if written > watermarks.flushed { startFlush(now: now) }
        prepareSpare(now: now)
        checkpointIfDue(now: now)
        return moved
    }

    /// Asks for a flush that covers `offset` although the topic's own durability would not.
    package func requestFlush(through offset: Offset) { flushing.wanted = max(flushing.wanted, min(offset, watermarks.end)) }

    /// When `endTick` wants to be called although nothing was appended (interval flush, checkpoint, a flush that takes long); far future when
    /// never.
    package var nextDeadline: Instant {
        if storage.isVolatile || fault != nil || isClosed { return .distantFuture }
        var deadline = flushing.patience?.next ?? .distantFuture
        if background.readying != nil { return deadline }
        if options.durability == .interval, written > watermarks.flushed, flushing.outstanding == nil { deadline = intervalDeadline }
        if background.isCheckpointDirty, !background.isCheckpointing { deadline = min(deadline, checkpointDeadline) }
        return deadline
    }

    /// Whether `interval` publishers are to be slowed down: a flush takes longer than the interval, and only without further appends
    /// does the promised bound hold.
    package func isFlushLate(now: Instant) -> Bool {
        guard options.durability == .interval, let outstanding = flushing.outstanding else { return false }
        return now >= outstanding.start.advanced(byNanoseconds: intervalNanoseconds)
    }

    /// How long the flush that is under way has taken so far; 0 when there is none.
    package func flushAge(now: Instant) -> UInt64 { flushing.outstanding.map { now.nanoseconds(since: $0.start) } ?? 0 }

    /// How long the last flush took.
    package var lastFlushNanoseconds: UInt64 { flushing.lastNanoseconds }

    /// Whether no operation is under way. After `close`, once this holds, the log is left clean and nothing of it is open.
    package var isQuiet: Bool { background.count == 0 }

    private var intervalNanoseconds: UInt64 { UInt64(max(options.flushIntervalMilliseconds, 1)) &* 1_000_000 }
    private var intervalDeadline: Instant { flushing.lastStart.advanced(byNanoseconds: intervalNanoseconds) }
    private var checkpointDeadline: Instant {
        // A compaction waits for its own.
        compaction.wantsCheckpoint ? Instant(rawValue: 0) : background.lastCheckpoint.advanced(byNanoseconds: Self.checkpointNanoseconds)
    }

    /// Where the next flush is to reach, whatever the time; nil when none is asked for.
    private var flushTarget: LogPlace? {
        guard let segment = active else { return nil }
        if options.durability == .each, let first = flushing.requests.first { return first }
        let here = LogPlace(offset: written, segment: segment, position: segment.end)
        if here.offset <= watermarks.flushed { return nil }
        if options.durability.waitsForFlush || flushing.wanted > watermarks.flushed { return here }
        return nil
    }

    /// Under `each`: the request that was just appended wants a flush of its own.
    func noteRequest() {
        guard let segment = active else { return }
        flushing.requests.append(LogPlace(offset: watermarks.end, segment: segment, position: segment.end &+ staging.count))
    }

    private func startFlush(now: Now) {
        guard flushing.outstanding == nil, options.durability != .none || flushing.wanted > watermarks.flushed else { return }
        var target = flushTarget
        if target == nil, options.durability == .interval, now.instant >= intervalDeadline, let segment = active {
            target = LogPlace(offset: written, segment: segment, position: segment.end)
        }
        guard let target else { return }
        fillAhead()
        if options.durability == .each, !flushing.requests.isEmpty { flushing.requests.removeFirst() }
        var covered: [(segment: Segment, end: Int)] = []
        var files: [FileHandle] = []
        for segment in segments.reversed() where segment.base <= target.segment.base {
            if Mutant.isActive("flushesNewestSegmentOnly"), segment !== target.segment { continue }
            let end = segment === target.segment ? target.position : segment.end
            if segment.durable >= end {
                // Everything older is durable too; the active one may be new and empty.
                if segment !== target.segment { break }
                continue
            }
            guard let file = segment.file else { break }
            covered.append((segment, end))
            files.append(file)
        }
        flushing.outstanding = FlushState.Outstanding(target: target, covered: covered, start: now.instant)
        flushing.lastStart = now.instant
        flushing.patience = Patience(from: now.instant)
        let directories = flushing.isDirectoryDirty && !Mutant.isActive("flushesNoNames") ? [directory] : []
        flushing.isDirectoryDirty = false
        start(.flush(files: files, directories: directories), .flush)
        if Mutant.isActive("acknowledgesBeforeFlush") { watermarks.flushed = target.offset }
    }

    private func flushCompleted(_ result: StorageResult, now: Now) -> Bool {
        guard let done = flushing.outstanding else { return false }
        flushing.outstanding = nil
        flushing.lastNanoseconds = now.instant.nanoseconds(since: done.start)
        endPatience(now: now.instant)
        if case .failed(let error) = result {
            if Mutant.isActive("triesFailedFlushAgain") { return false }
            fail(error)
            return true
        }
        // Given up before, it says nothing any more.
        guard fault == nil || Mutant.isActive("believesLateFlushes") else { return false }
        var bytes = 0
        for (segment, end) in done.covered {
            bytes &+= max(0, end &- segment.durable)
            segment.durable = max(segment.durable, end)
        }
        flushing.typicalBytes &+= (bytes &- flushing.typicalBytes) / 8
        watermarks.flushed = max(watermarks.flushed, Mutant.isActive("acknowledgesMoreThanFlushed") ? written : done.target.offset)
        flushing.place = done.target
        background.isCheckpointDirty = true
        sealNext()
        return true
    }

    /// An operation that this log started has ended. Answers true when a watermark moved or the log failed; ask `needsTick` then.
    package func storageCompleted(_ ticket: StorageTicket, _ result: StorageResult, now: Now) -> Bool {
        guard ticket.log == number, let kind = ticket.kind else { return false }
        background.count -= 1
        defer { finishIfQuiet() }
        switch kind {
        case .flush: return flushCompleted(result, now: now)
        case .prepare: spareCompleted(result, now: now)
        case .seal:
            let failed = sealCompleted(result)
            sealNext()
            return failed
        case .ready: return readyCompleted(result, now: now.instant)
        case .load: loadCompleted(ticket, now: now)
        case .checkpoint: return checkpointCompleted(result, now: now)
        case .compact: return compactionStepCompleted(result, now: now)
        case .compactNames: return compactionNamesCompleted(result, now: now)
        case .index: if case .failed(let error) = result { troubles.append(.workFailed(.index, error)) }
        case .remove: if case .failed(let error) = result { troubles.append(.workFailed(.removal, error)) }
        }
        return false
    }

    /// Starts an operation in the background.
    @discardableResult
    func start(_ operation: StorageOperation, _ kind: TicketKind) -> StorageTicket {
        background.sequence &+= 1
        if !storage.isVolatile { background.count += 1 }
        let ticket = StorageTicket(log: number, sequence: background.sequence, kind: kind)
        storage.start(operation, ticket: ticket)
        return ticket
    }

    func finishIfQuiet() {
        guard background.count == 0, let finish = background.finish else { return }
        background.finish = nil
        finish()
    }

    // MARK: Checkpoints

    private func checkpointIfDue(now: Now) {
        guard background.isCheckpointDirty, !background.isCheckpointing, fault == nil, now.instant >= checkpointDeadline else { return }
        if Mutant.isActive("vouchesAtStopsOnly"), !compaction.wantsCheckpoint, background.dropped.isEmpty { return }
        if let preparation = toPrepare {
            // Names that the new checkpoint relies on are made durable before it. Nor does it go beside what readies the log, which writes a
            // checkpoint, too, and removes what an earlier life left of one: after that, then.
            do { if preparation.hasNewNames { try prepareForAppend() } else { try makeReady(for: 0) } } catch { return }
            if background.readying != nil { return }
        }
        background.lastCheckpoint = now.instant
        background.isCheckpointDirty = false
        background.isCheckpointing = true
        background.wroteCheckpoint = true
        background.droppedByCheckpoint = background.dropped.count
        compaction.checkpointBegins()
        start(.replace(path: path(LogFiles.checkpoint), content: checkpoint(isClean: false).encoded()), .checkpoint)
    }

    private func checkpointCompleted(_ result: StorageResult, now: Now) -> Bool {
        background.isCheckpointing = false
        let known = background.droppedByCheckpoint
        background.droppedByCheckpoint = 0
        if case .failed(let error) = result {
            fail(error)
            return true
        }
        if known > 0, !isClosed {
            removeFiles(of: Array(background.dropped.prefix(known)))
            background.dropped.removeFirst(known)
        }
        return compactionCheckpointCompleted(now: now)
    }
}
