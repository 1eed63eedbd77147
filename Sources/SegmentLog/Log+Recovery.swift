internal import Bytes
internal import Mutants

// Finding out what a directory holds. Nothing is written and, after a clean stop, no segment is opened.
extension Log {
    func recover(now: Now) throws(LogError) {
        let entries: [DirectoryEntry]
        do { entries = storage.isVolatile ? [] : try storage.list(directory) } catch { throw .storage(error) }
        var preparation = Preparation()
        var sizes: [Offset: Int] = [:]
        var bases: [Offset] = []
        var hasCheckpoint = false
        for entry in entries where !entry.isDirectory {
            if entry.name == LogFiles.checkpoint { hasCheckpoint = true }
            // Spares and remains of replaced files.
            if entry.name.hasSuffix(".tmp") || entry.name.hasSuffix(".new") { preparation.stale.append(entry.name) }
            if entry.name.hasSuffix(LogFiles.cleaned) { preparation.remains.append(entry.name) }
            guard let (base, kind) = LogFiles.parse(entry.name), kind == .log else { continue }
            bases.append(base)
            sizes[base] = entry.size
        }
        bases.sort()
        for entry in entries {
            if let (base, kind) = LogFiles.parse(entry.name), kind != .log, sizes[base] == nil { preparation.stale.append(entry.name) }
        }
        var checkpoint: Checkpoint?
        if hasCheckpoint {
            do throws(ByteError) { checkpoint = try readCheckpoint() } catch { recovery.checkpointFault = "\(error)" }
        } else if bases.contains(where: { sizes[$0] != 0 }) {
            // Without content it is a log that had only begun: nothing is written before the checkpoint is durable.
            recovery.checkpointFault = Log.missing
        }

        if var found = checkpoint {
            preparation.hasNewNames = found.resolveReplacement(isWaiting: preparation.remains.contains)
            // What was compacted into others and is still there; a segment made since is behind all that the checkpoint knows.
            if let last = found.segments.last?.base, found.holesBelow > .zero {
                let known = Set(found.segments.map(\.base))
                let limit = min(last, found.holesBelow)
                for base in bases where base < limit && !known.contains(base) { preparation.stale += names(of: base) }
                bases.removeAll { $0 < limit && !known.contains($0) }
            }
            compaction.cleaned = found.cleaned
            compaction.holesBelow = found.holesBelow
            checkpoint = found
        }
        // Whole segments below the start are remains of an unfinished removal.
        let start = checkpoint?.start ?? bases.first ?? .zero
        while bases.count > 1, bases[1] <= start { preparation.stale += names(of: bases.removeFirst()) }
        try checkPresence(checkpoint, bases: bases, sizes: sizes)
        if let first = bases.first, first > start {
            // Nothing was durable yet, and later segments' names reached the disk before that of the first one.
            for base in bases { preparation.stale += names(of: base) }
            recovery.wasClean = false
            recovery.truncatedAt = start
            recovery.truncatedBytes = bases.reduce(0) { $0 + (sizes[$1] ?? 0) }
            recovery.truncatedReason = "the first segment is missing and nothing was durable"
            bases = []
        }
        watermarks.start = start
        makeSegments(bases, sizes: sizes, checkpoint: checkpoint)

        if let checkpoint, checkpoint.isClean, matches(checkpoint, bases, sizes) {
            incarnation = checkpoint.incarnation
            producers = checkpoint.producers
            segments.last?.next = checkpoint.end
            finishRecovery(at: checkpoint.end, preparation)
            return
        }
        guard hasCheckpoint || !bases.isEmpty else {
            finishRecovery(at: .zero, preparation)
            return
        }
        recovery.wasClean = false
        preparation.cuts = true
        try scan(checkpoint, &preparation, now: now)
    }

    private func finishRecovery(at end: Offset, _ preparation: Preparation) {
        watermarks.start = min(watermarks.start, end)
        watermarks.flushed = end
        watermarks.end = end
        written = end
        flushing.wanted = end
        if let segment = active {
            flushing.place = LogPlace(offset: end, segment: segment, position: segment.end)
            // Nothing up to here is later than the latest, wherever that one lies.
            segment.maxTimestampOffset = max(segment.base, end - 1)
        }
        toPrepare = preparation
    }

    private func readCheckpoint() throws(ByteError) -> Checkpoint {
        var content: [UInt8]?
        do throws(StorageError) { content = try storage.content(of: path(LogFiles.checkpoint), atMost: Checkpoint.byteCountMax) } catch { throw .truncated }
        let bytes = content ?? []
        return try Checkpoint(decoding: bytes.rawSpan)
    }

    private func names(of base: Offset) -> [String] { [LogFiles.name(base, .log), LogFiles.name(base, .index), LogFiles.name(base, .timeIndex)] }

    /// Every segment that holds something below the watermark must be there, at least as long as its durable part.
    private func checkPresence(_ checkpoint: Checkpoint?, bases: [Offset], sizes: [Offset: Int]) throws(LogError) {
        guard let checkpoint, checkpoint.durable > checkpoint.start else { return }
        for (index, record) in checkpoint.segments.enumerated() where record.base < checkpoint.durable {
            let next = index + 1 < checkpoint.segments.count ? checkpoint.segments[index + 1].base : checkpoint.end
            if next <= checkpoint.start { continue }
            let isWhole = next <= checkpoint.durable && record.base != checkpoint.durableSegment
            let needed = isWhole ? record.length : record.base == checkpoint.durableSegment ? checkpoint.durablePosition : 0
            guard let size = sizes[record.base] else {
                throw .damaged(path: path(record.base, .log), position: 0, reason: "a segment with durable batches is missing")
            }
            if Int64(size) < needed {
                throw .damaged(path: path(record.base, .log), position: size, reason: "the file ends before its durable part, \(needed) bytes, does")
            }
        }
        if let first = bases.first, first <= checkpoint.start { return }
        throw .damaged(path: path(bases.first ?? checkpoint.start, .log), position: 0, reason: "the segment with the log's start is missing")
    }

    private func makeSegments(_ bases: [Offset], sizes: [Offset: Int], checkpoint: Checkpoint?) {
        var records: [Offset: Checkpoint.SegmentRecord] = [:]
        for record in checkpoint?.segments ?? [] { records[record.base] = record }
        for (index, base) in bases.enumerated() {
            let size = sizes[base] ?? 0
            let segment = Segment(base: base, limit: min(max(size, Self.firstSegmentBytes), max(options.segmentBytes, 1)))
            if index + 1 < bases.count { segment.next = bases[index + 1] }
            if let record = records[base] {
                segment.end = Int(record.length)
                segment.durable = segment.end
                segment.firstAppend = record.firstAppend
                segment.lastAppend = record.lastAppend
                segment.maxTimestamp = record.maxTimestamp
                segment.isSealed = index + 1 < bases.count && size == segment.end
                lastTime = max(lastTime, record.lastAppend)
            }
            segments.append(segment)
        }
    }

    /// Whether a clean checkpoint and the directory agree, so that nothing needs to be scanned.
    private func matches(_ checkpoint: Checkpoint, _ bases: [Offset], _ sizes: [Offset: Int]) -> Bool {
        guard checkpoint.durable == checkpoint.end else { return false }
        let records = checkpoint.segments.filter { $0.base >= bases.first ?? checkpoint.end }
        guard records.map(\.base) == bases else { return false }
        return records.allSatisfy { Int64(sizes[$0.base] ?? -1) >= $0.length }
    }

    // MARK: The scan after an unclean stop (S14)

    private func scan(_ checkpoint: Checkpoint?, _ preparation: inout Preparation, now: Now) throws(LogError) {
        // A checkpoint that is lost or cannot be read leaves one thing certain: segments before the last were complete when it was begun.
        let watermark = checkpoint?.durable ?? segments.last?.base ?? .zero
        producers = Mutant.isActive("forgetsProducersAtStart") ? ProducerState() : checkpoint?.producers ?? ProducerState()
        incarnation = checkpoint?.incarnation ?? -1
        var index = 0
        var position = 0
        if let checkpoint {
            index = max(0, partitionPoint(segments.count) { segments[$0].base <= checkpoint.durable } - 1)
            if index < segments.count, segments[index].base == checkpoint.durableSegment { position = Int(checkpoint.durablePosition) }
            if Mutant.isActive("checksWhatWasDurable") { (index, position) = (0, 0) }
            if !Mutant.isActive("remembersLostBatches") { producers.truncate(to: checkpoint.durable) }
        }
        guard index < segments.count else {
            incarnation &+= 1
            finishRecovery(at: max(watermarks.start, watermark), preparation)
            return
        }
        var end = position > 0 ? watermark : segments[index].base
        let first = index
        var reading = try begin(segments[index], at: position)
        while index < segments.count {
            let segment = segments[index]
            guard segment.base == end || index == first else { break }
            let stream = reading
            // The next segment is on its way while this one is checked.
            if index + 1 < segments.count { reading = try begin(segments[index + 1], at: 0) }
            let stop = try scan(segment, stream, from: position, at: end, checkpoint, now: now)
            end = segment.next
            position = 0
            index += 1
            guard let stop else { continue }
            if stop.isHole {
                throw .damaged(
                    path: path(segment.base, .log), position: segment.end, reason: "\(stop.fault), with sound batches behind it, and the checkpoint is missing")
            }
            guard end >= watermark || Mutant.isActive("cutsWhatWasDurable") else {
                throw .damaged(path: path(segment.base, .log), position: segment.end, reason: stop.fault.description)
            }
            preparation.isTorn = true
            recovery.truncatedAt = end
            recovery.truncatedBytes = stop.bytes
            recovery.truncatedReason = stop.fault.description
            break
        }
        let last = segments[index - 1]
        guard end >= watermark || Mutant.isActive("cutsWhatWasDurable") else {
            throw .damaged(path: path(last.base, .log), position: last.end, reason: "batches \(end) to \(watermark) were durable and are missing")
        }
        // What lies behind the cut was never acknowledged as durable.
        for dropped in segments[index...] {
            preparation.stale += names(of: dropped.base)
            preparation.isTorn = true
            recovery.truncatedAt = end
            recovery.truncatedBytes += dropped.end
            // Its reading had begun. An error of the file is no matter any more: it is removed.
            if let file = dropped.file { try? storage.close(file) }
            dropped.file = nil
        }
        segments.removeSubrange(index...)
        incarnation &+= 1
        try makeDurable(from: first)
        finishRecovery(at: end, preparation)
    }

    /// Where the batches of a segment end before its content does.
    private struct Stop {
        var fault: BatchFault
        var bytes: Int
        /// Sound batches follow, and there is no checkpoint to say whether this was durable. A log has its checkpoint before its first
        /// segment, so somebody removed it: then nothing is cut that may have been acknowledged.
        var isHole: Bool
    }

    private var isCheckpointMissing: Bool { recovery.checkpointFault == Log.missing }
    private static let missing = "missing"

    private func isHole(_ scanner: inout SegmentScanner, at position: Int, _ expected: Offset) throws(StorageError) -> Bool {
        guard isCheckpointMissing, !Mutant.isActive("cutsAtHoles") else { return false }
        return try scanner.hasBatch(from: position, behind: expected)
    }

    private func begin(_ segment: Segment, at position: Int) throws(LogError) -> any FileStream {
        do throws(StorageError) {
            // What follows may be cut off, and then this is the segment that takes the next append.
            segment.isSealed = false
            let file = try openFile(of: segment)
            if !Mutant.isActive("recoversThroughCache") { storage.dropCache(file) }
            return try storage.stream(file, from: position)
        } catch {
            throw .storage(error)
        }
    }

    /// Checks the batches of one segment from `position` on, where `expected` follows. Answers nil when they end where the content
    /// ends.
    private func scan(
        _ segment: Segment, _ stream: any FileStream, from position: Int, at expected: Offset, _ checkpoint: Checkpoint?, now: Now
    ) throws(LogError) -> Stop? {
        do throws(StorageError) {
            let fileBytes = try storage.size(of: try openFile(of: segment))
            var scanner = SegmentScanner(stream, fileBytes: fileBytes, from: position, checksChecksum: !Mutant.isActive("recoversWithoutChecksums"))
            segment.end = position
            segment.durable = position
            segment.next = expected
            segment.indexes = position == 0 ? Segment.Indexes() : nil
            if position == 0 {
                segment.maxTimestamp = Timestamp(milliseconds: -1)
                segment.maxTimestampOffset = segment.base
            }
            segment.firstAppend = segment.firstAppend.rawValue < 0 ? now.time : segment.firstAppend
            segment.lastAppend = max(segment.lastAppend, now.time)
            while true {
                switch try scanner.next() {
                case .end(let at):
                    return try isHole(&scanner, at: at, segment.next) ? Stop(fault: .length(0), bytes: 0, isHole: true) : nil
                case .bad(let at, let fault):
                    return Stop(fault: fault, bytes: try scanner.endOfContent() - at, isHole: try isHole(&scanner, at: at, segment.next))
                case .batch(let at, let header):
                    if let fault = fault(of: header, after: segment.next, checkpoint) {
                        return Stop(fault: fault, bytes: try scanner.endOfContent() - at, isHole: try isHole(&scanner, at: at, segment.next))
                    }
                    recovery.checkedBytes += header.totalByteCount
                    recovery.newestIncarnation = header.leaderEpoch
                    incarnation = max(incarnation, header.leaderEpoch)
                    if header.producerID >= 0, header.recordCount == header.lastOffsetDelta &+ 1 {
                        producers.record(
                            id: header.producerID, epoch: header.producerEpoch, first: header.baseSequence, count: header.recordCount, base: header.baseOffset)
                    }
                    segment.note(header, baseOffset: header.baseOffset, position: at, bytes: header.totalByteCount, indexInterval: options.indexIntervalBytes)
                    segment.end = at + header.totalByteCount
                }
            }
        } catch {
            throw .storage(error)
        }
    }

    /// Whether a sound batch is the one that follows here. An older incarnation's is the remainder of a tail that was cut before.
    private func fault(of header: RecordBatchHeader, after expected: Offset, _ checkpoint: Checkpoint?) -> BatchFault? {
        if header.baseOffset != expected, !Mutant.isActive("takesAnyBaseOffset") { return .sequence(expected: expected, got: header.baseOffset) }
        if Mutant.isActive("takesTailsOfOlderIncarnations") { return nil }
        if header.leaderEpoch < recovery.newestIncarnation { return .incarnation(header.leaderEpoch) }
        // Before the first append of an incarnation its checkpoint is durable, with everything older below its watermark.
        if let checkpoint, header.baseOffset >= checkpoint.durable, header.leaderEpoch < checkpoint.incarnation { return .incarnation(header.leaderEpoch) }
        return nil
    }

    /// What a killed process left in the system's memory becomes durable before anybody is shown it.
    private func makeDurable(from first: Int) throws(LogError) {
        if Mutant.isActive("showsRecoveredBeforeDurable") { return }
        do throws(StorageError) {
            for segment in segments[first...] where segment.end > segment.durable {
                if let file = segment.file { try storage.sync(file) }
                segment.durable = segment.end
            }
            // The names, too: a killed process leaves a checkpoint and segments that are seen and not yet durable.
            try storage.syncDirectory(directory)
        } catch {
            throw .storage(error)
        }
    }
}
