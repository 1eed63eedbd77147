internal import Bytes

/// What compaction is doing to a log, step by step. One step is under way at a time; the log goes on meanwhile.
///
///     idle -> scanning -> rewriting a group -> noting the replacement -> renamed -> rewriting the next ... -> idle
struct CompactionState {
    enum Phase {
        case idle
        case scanning
        /// A group of neighbours is being written anew.
        case rewriting([Segment])
        /// The new file is whole and durable; a checkpoint that tells of it is to be.
        case noting(Swap, isWritten: Bool)
        /// The new file has the old one's name, and that is being made durable.
        case renamed(Swap)
    }

    struct Swap {
        var old: [Segment]
        var oldRecords: [Checkpoint.SegmentRecord]
        var new: Segment
        var removed: Int64
    }

    var phase = Phase.idle
    /// Everything below was compacted once; what follows is dirty.
    var cleaned = Offset.zero
    /// Below it offsets may be missing.
    var holesBelow = Offset.zero
    /// The checkpoint on the disk may tell of a replacement. Until one is there that does not, no new file may have the name by which it
    /// is judged whether that took place.
    var isNoted = false
    private var notesWithCheckpoint = false
    var stop = CompactionStop()
    /// Of the pass under way: what is left to be written anew, by what.
    var groups: [[Segment]] = []
    var found: CompactionScan.Found?
    var bytesPerSecond = Int.max
    var began = Instant(rawValue: 0)
    /// After a failure: not again before.
    var retryAt = Instant(rawValue: 0)
    var report = CompactionReport()
    var hasReport = false

    var isIdle: Bool { if case .idle = phase { true } else { false } }

    var wantsCheckpoint: Bool { if case .noting(_, isWritten: false) = phase { true } else { false } }

    mutating func checkpointBegins() {
        notesWithCheckpoint = replacement != nil
        if notesWithCheckpoint { isNoted = true }
        if case .noting(let swap, isWritten: false) = phase { phase = .noting(swap, isWritten: true) }
    }

    mutating func checkpointEnded() { if !notesWithCheckpoint { isNoted = false } }

    /// Whether retention has to leave the segment where it is.
    func holds(_ segment: Segment) -> Bool {
        switch phase {
        case .idle, .scanning, .rewriting: false
        case .noting(let swap, _): swap.old.contains { $0 === segment }
        case .renamed(let swap): swap.new === segment
        }
    }

    var replacement: Checkpoint.Replacement? {
        switch phase {
        case .noting(let swap, _), .renamed(let swap): Checkpoint.Replacement(old: swap.old.map(\.base), new: Checkpoint.SegmentRecord(swap.new))
        case .idle, .scanning, .rewriting: nil
        }
    }

    /// How a checkpoint lists a segment: as long as the names are not durable, as those that were there before.
    func records(_ segment: Segment) -> [Checkpoint.SegmentRecord] {
        if case .renamed(let swap) = phase, swap.new === segment { return swap.oldRecords }
        return [Checkpoint.SegmentRecord(segment)]
    }
}

extension Checkpoint.SegmentRecord {
    init(_ segment: Segment) {
        self.init(
            base: segment.base, length: Int64(segment.end), firstAppend: segment.firstAppend, lastAppend: segment.lastAppend,
            maxTimestamp: segment.maxTimestamp)
    }
}

/// What one pass over a log has done.
package struct CompactionReport: Sendable, Equatable {
    package var removedRecords: Int64 = 0
    package var removedBytes: Int64 = 0
    package var nanoseconds: UInt64 = 0
    /// Not all keys fitted into memory: a prefix was compacted.
    package var isCut = false
    /// Why the pass ended before its end; nil when it did not.
    package var failure: String?
    package init() {}
}

/// Bounds of a pass.
package struct CompactionLimits: Sendable, Equatable {
    /// Memory for keys.
    package var memoryBytes: Int
    package var seed: CompactionSeed
    /// How fast it reads and writes.
    package var bytesPerSecond: Int
    /// After a failure the log is left alone for so long.
    package var retryMilliseconds: UInt64 = 60_000
    package init(memoryBytes: Int = 32 << 20, seed: CompactionSeed = CompactionSeed(0, 0), bytesPerSecond: Int = .max) {
        self.memoryBytes = memoryBytes
        self.seed = seed
        self.bytesPerSecond = bytesPerSecond
    }
}

// Keeping the newest record of each key (Kafka's cleanup.policy=compact): docs/decisions/0009.
extension Log {
    package var isCompacting: Bool { !compaction.isIdle }

    /// How much a pass is due: the share of the log that is not compacted yet; nil when none is. Older than the largest lag counts as all.
    package func compactionDue(now: Now) -> Double? {
        guard options.cleanup.compacts, !storage.isVolatile, fault == nil, !isClosed, mayBegin, now.instant >= compaction.retryAt else { return nil }
        let end = compactableEnd(now: now)
        var dirty: Int64 = 0
        var clean: Int64 = 0
        var oldest: Timestamp?
        for segment in segments where segment.base < end {
            if segment.next <= compaction.cleaned {
                clean += Int64(segment.end)
            } else {
                dirty += Int64(segment.end)
                oldest = oldest ?? segment.firstAppend
            }
        }
        guard dirty > 0 else { return nil }
        if let oldest, oldest.rawValue >= 0, options.compaction.maxLagMilliseconds < .max,
            now.time.rawValue &- oldest.rawValue >= options.compaction.maxLagMilliseconds
        {
            return 1
        }
        let share = Double(dirty) / Double(dirty + clean)
        return share > options.compaction.minDirtyRatio ? share : nil
    }

    private var mayBegin: Bool { compaction.isIdle && !compaction.isNoted && background.readying == nil }

    /// Whether offsets may be missing in the segment.
    func hasHoles(_ segment: Segment) -> Bool { segment.base < compaction.holesBelow }

    /// Below it offsets may be missing: their records were compacted away.
    package var holesBelow: Offset { compaction.holesBelow }

    /// Sealed segments up to here may be compacted: they are durable, the watermark lies behind them, and they are old enough.
    private func compactableEnd(now: Now) -> Offset {
        var end = segments.first?.base ?? .zero
        let limit = min(active?.base ?? .zero, flushing.place?.segment.base ?? .zero)
        for segment in segments {
            guard segment.isSealed, segment.durable == segment.end, segment.next <= limit else { break }
            let lag = options.compaction.minLagMilliseconds
            if segment.next > compaction.cleaned, lag > 0, now.time.rawValue &- segment.lastAppend.rawValue < lag { break }
            end = segment.next
        }
        return end
    }

    /// Begins a pass over everything that may be compacted.
    package func compact(_ limits: CompactionLimits, now: Now) throws(LogError) {
        guard options.cleanup.compacts, mayBegin, fault == nil, !isClosed else { return }
        if toPrepare != nil { try makeReady(for: 0) }
        // In the background: the next time, then.
        if toPrepare != nil { return }
        let end = compactableEnd(now: now)
        let dirty = segments.filter { $0.next > compaction.cleaned && $0.next <= end && $0.end > 0 }
        guard !dirty.isEmpty else { return }
        compaction.stop = CompactionStop()
        compaction.report = CompactionReport()
        compaction.bytesPerSecond = limits.bytesPerSecond
        compaction.began = now.instant
        compaction.retryAt = now.instant.advanced(byNanoseconds: limits.retryMilliseconds * 1_000_000)
        compaction.groups = groups(below: end)
        compaction.phase = .scanning
        let scan = CompactionScan(
            sources: dirty.map(source), from: max(compaction.cleaned, watermarks.start), memoryBytes: limits.memoryBytes, seed: limits.seed,
            bytesPerSecond: limits.bytesPerSecond, stop: compaction.stop)
        start(.compact(.scan(scan)), .compact)
    }

    /// What the last pass has done, once.
    package func takeCompactionReport() -> CompactionReport? {
        guard compaction.hasReport else { return nil }
        compaction.hasReport = false
        return compaction.report
    }

    private func source(_ segment: Segment) -> CompactionSource {
        CompactionSource(path: path(segment.base, .log), base: segment.base, next: segment.next, length: segment.end)
    }

    /// Neighbours that fit into one segment are written as one.
    private func groups(below end: Offset) -> [[Segment]] {
        let limit = min(max(options.segmentBytes, 1), Self.largestSegmentBytes)
        var groups: [[Segment]] = []
        var bytes = 0
        for segment in segments where segment.next <= end {
            if let first = groups.last?.first, bytes + segment.end <= limit, segment.next - first.base <= Int64(Int32.max) {
                groups[groups.count - 1].append(segment)
                bytes += segment.end
            } else {
                groups.append([segment])
                bytes = segment.end
            }
        }
        return groups
    }

    // MARK: Step by step

    func compactionStepCompleted(_ result: StorageResult, now: Now) -> Bool {
        if isClosed || fault != nil {
            compaction.phase = .idle
            return false
        }
        switch (compaction.phase, result) {
        case (.scanning, .compacted(.scanned(let found))):
            compaction.found = found
            compaction.report.isCut = found.isCut
            rewriteNext(now: now)
        case (.rewriting(let group), .compacted(.rewritten(let written))):
            if let written { note(written, group, now: now) } else { rewriteNext(now: now) }
        case (_, .compacted(.failed(let failure))): endPass("\(failure)", now: now)
        case (_, .failed(let error)): endPass(error.description, now: now)
        default: endPass("an answer that was not expected", now: now)
        }
        return false
    }

    private func rewriteNext(now: Now) {
        guard let found = compaction.found, let group = compaction.groups.first, group.first.map({ $0.base <= found.through }) ?? false else {
            if let found = compaction.found { compaction.cleaned = max(compaction.cleaned, found.through.next) }
            background.isCheckpointDirty = true
            return endPass(nil, now: now)
        }
        compaction.groups.removeFirst()
        // Retention was faster.
        guard areNeighbours(group) else { return rewriteNext(now: now) }
        compaction.phase = .rewriting(group)
        let rewrite = CompactionRewrite(
            sources: group.map(source), directory: directory, path: path(group[0].base, .log) + LogFiles.cleaned, map: found.map, through: found.through,
            now: max(now.time, lastTime), deleteRetentionMilliseconds: options.compaction.deleteRetentionMilliseconds, lastOffsets: producers.lastOffsets,
            indexIntervalBytes: options.indexIntervalBytes, bytesPerSecond: compaction.bytesPerSecond, stop: compaction.stop)
        start(.compact(.rewrite(rewrite)), .compact)
    }

    private func areNeighbours(_ group: [Segment]) -> Bool {
        guard let first = segments.firstIndex(where: { $0 === group[0] }), first + group.count < segments.count else { return false }
        return zip(segments[first...], group).allSatisfy { $0 === $1 }
    }

    private func note(_ written: CompactionRewrite.Written, _ group: [Segment], now: Now) {
        guard areNeighbours(group), let first = group.first, let last = group.last else {
            start(.remove(files: [], paths: [path(group[0].base, .log) + LogFiles.cleaned], directory: directory), .remove)
            return rewriteNext(now: now)
        }
        let new = Segment(base: first.base, limit: first.limit)
        new.next = last.next
        new.end = written.length
        new.durable = written.length
        new.firstAppend = first.firstAppend
        new.lastAppend = last.lastAppend
        new.maxTimestamp = written.maxTimestamp
        new.maxTimestampOffset = written.maxTimestampOffset
        new.indexes = written.indexes
        new.isSealed = true
        let swap = CompactionState.Swap(old: group, oldRecords: group.map { Checkpoint.SegmentRecord($0) }, new: new, removed: written.removed)
        compaction.phase = .noting(swap, isWritten: false)
        compaction.holesBelow = max(compaction.holesBelow, new.next)
        background.isCheckpointDirty = true
    }

    /// The checkpoint tells of the replacement: now it may take place.
    func compactionCheckpointCompleted(now: Now) -> Bool {
        compaction.checkpointEnded()
        guard case .noting(let swap, isWritten: true) = compaction.phase, !isClosed, fault == nil else { return false }
        guard areNeighbours(swap.old), let first = segments.firstIndex(where: { $0 === swap.old[0] }) else {
            endPass("the segments are gone", now: now)
            return false
        }
        let path = path(swap.new.base, .log)
        do throws(StorageError) {
            // Rebuilt when they are missing; those of the old file must not be taken for the new one's.
            for kind in [LogFiles.Kind.index, .timeIndex] { try removeIfThere(LogFiles.name(swap.new.base, kind)) }
            try storage.rename(path + LogFiles.cleaned, to: path)
        } catch {
            endPass(error.description, now: now)
            background.isCheckpointDirty = true
            return false
        }
        segments.replaceSubrange(first..<first + swap.old.count, with: [swap.new])
        for segment in swap.old { cache.forget(segment) }
        compaction.phase = .renamed(swap)
        start(.flush(files: [], directories: [directory]), .compactNames)
        return false
    }

    func compactionNamesCompleted(_ result: StorageResult, now: Now) -> Bool {
        guard case .renamed(let swap) = compaction.phase else { return false }
        compaction.phase = .idle
        if case .failed(let error) = result {
            fail(error)
            return true
        }
        compaction.report.removedRecords += swap.removed
        compaction.report.removedBytes += swap.old.reduce(0) { $0 + Int64($1.end) } - Int64(swap.new.end)
        background.isCheckpointDirty = true
        if let file = swap.old[0].file {
            swap.old[0].file = nil
            do throws(StorageError) { try storage.close(file) } catch {
                fail(error)
                return true
            }
        }
        background.dropped += swap.old.dropFirst()
        if isClosed || fault != nil { return false }
        writeIndexes(of: swap.new)
        cache.note(swap.new)
        rewriteNext(now: now)
        return false
    }

    private func endPass(_ failure: String?, now: Now) {
        compaction.phase = .idle
        compaction.groups = []
        compaction.found = nil
        compaction.report.failure = failure
        compaction.report.nanoseconds = now.instant.nanoseconds(since: compaction.began)
        compaction.hasReport = true
        if failure == nil { compaction.retryAt = Instant(rawValue: 0) }
    }
}
