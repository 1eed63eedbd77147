internal import Bytes
internal import Mutants

// Which file takes the next batch. The first segment is small and grows as it is written; later ones are prepared in the
// background while the one before fills up, four times as large each until `segmentBytes`.
extension Log {
    static let firstSegmentBytes = 1 << 20
    /// Positions in an index are unsigned 32-bit numbers, in Kafka's tools signed ones.
    static let largestSegmentBytes = 1 << 30

    /// What a memory topic holds at the least is its active segment, so that one stays small.
    static let largestVolatileSegmentBytes = 4 << 20

    var segmentLimit: Int {
        min(max(options.segmentBytes, 1), storage.isVolatile ? Self.largestVolatileSegmentBytes : Self.largestSegmentBytes)
    }

    /// Sees to it that the active segment exists and takes `bytes` more.
    func makeRoom(_ bytes: Int, records: Int32, now: Now) throws(LogError) -> Segment {
        if now.time > lastTime { lastTime = now.time }
        lastInstant = now.instant
        if toPrepare != nil { try makeReady(for: bytes) }
        if let segment = active {
            let used = segment.end &+ staging.count
            if used == 0 || (used &+ bytes <= segment.limit && !isAged(segment)) || mayOverrun(segment, used &+ bytes) {
                if segment.next.rawValue &- segment.base.rawValue <= Int64(Int32.max) &- Int64(Self.stagingBytes) &- Int64(records) {
                    segment.noteAppend(at: lastTime)
                    return segment
                }
            }
            if background.readying != nil { try waitUntilReady() }
            try roll()
        } else {
            do { try addSegment(limit: min(Self.firstSegmentBytes, segmentLimit)) } catch {
                fail(error)
                throw .storage(error)
            }
        }
        guard let segment = active else { throw .closed }
        segment.noteAppend(at: lastTime)
        return segment
    }

    private func isAged(_ segment: Segment) -> Bool {
        let limit = options.cleanup.compacts ? min(options.segmentMilliseconds, options.compaction.maxLagMilliseconds) : options.segmentMilliseconds
        return limit > 0 && segment.firstAppend.rawValue >= 0 && lastTime.rawValue &- segment.firstAppend.rawValue >= limit
    }

    /// A spare is being prepared, or nothing can be written yet: the log goes on in the segment it has, up to a cap, and does not wait.
    private func mayOverrun(_ segment: Segment, _ size: Int) -> Bool {
        if background.readying != nil { return size <= Self.largestSegmentBytes }
        return background.preparing != nil && !isAged(segment) && size <= min(segment.limit &* 2, Self.largestSegmentBytes)
    }

    /// Ends the active segment and begins the next.
    func roll() throws(LogError) {
        try writeStaged(then: nil)
        guard let old = active, old.end > 0 else { return }
        old.finishIndexes()
        let isFull = old.end >= old.limit / 2
        do {
            try addSegment(limit: isFull ? min(old.limit * 4, segmentLimit) : min(old.limit, segmentLimit))
        } catch {
            fail(error)
            throw .storage(error)
        }
        if storage.isVolatile { old.isSealed = true }
        // The old segment is made durable even where no acknowledgement waits for it: only then it is sealed.
        flushing.wanted = max(flushing.wanted, old.next)
    }

    private func addSegment(limit: Int) throws(StorageError) {
        let segment = Segment(base: watermarks.end, limit: limit)
        segment.indexes = Segment.Indexes()
        let path = path(segment.base, .log)
        if let spare = background.spare {
            background.spare = nil
            try storage.rename(spare.path, to: path)
            segment.file = spare.file
            segment.limit = spare.size
            segment.filled = spare.size
        } else {
            segment.file = try storage.open(path, .create)
        }
        flushing.isDirectoryDirty = true
        segments.append(segment)
    }

    /// Flushes of this many bytes and more gain nothing from a prepared segment: what it saves is a journal write per flush, what
    /// it costs is writing everything twice.
    private static let bulkFlushBytes = 256 << 10

    /// Starts to prepare the next segment when the active one is half full, where short flushes are waited for.
    func prepareSpare(now: Now) {
        guard options.durability.waitsForFlush, flushing.typicalBytes < Self.bulkFlushBytes else { return }
        guard !storage.isVolatile, fault == nil, background.spare == nil, background.preparing == nil, let segment = active else { return }
        // Not before the log is ready: readying removes an earlier life's spares, which have the same names.
        guard toPrepare == nil || Mutant.isActive("preparesBeforeReady") else { return }
        guard segment.end >= segment.limit / 2 else { return }
        guard now.instant >= background.preparationPause.end || Mutant.isActive("preparesAgainAtOnce") else { return }
        let size = min(segment.limit * 4, segmentLimit)
        background.spareNumber &+= 1
        let path = path(LogFiles.spareName(background.spareNumber))
        background.preparing = (path, size)
        start(.prepare(path: path, size: size), .prepare)
    }

    private static let fillBytesMin = 16 << 10
    private static let fillBytesMax = 256 << 10

    /// Writes zeros behind what is about to be flushed, where the segment was not prepared and short flushes are waited for: the flushes
    /// that follow find the file as long as it has to be. In proportion to the segment, so that a log that holds little stays little.
    func fillAhead() {
        guard !storage.isVolatile, options.durability.waitsForFlush, flushing.typicalBytes < Self.bulkFlushBytes else { return }
        guard let segment = active, let file = segment.file, segment.end >= Self.fillBytesMin, segment.end >= segment.filled else { return }
        let count = min(segment.end, Self.fillBytesMax, segment.limit &- segment.end)
        guard count > 0 else { return }
        // Nothing depends on it: without room for zeros the segment grows as before.
        do { try writeZeros(file, count, at: segment.end) } catch { return }
        segment.filled = segment.end &+ count
    }

    func spareCompleted(_ result: StorageResult, now: Now) {
        guard let preparing = background.preparing else { return }
        background.preparing = nil
        // A spare that could not be made (a full disk, say) is no fault of the log: it creates its next segment inline.
        switch result {
        case .prepared(let file):
            background.spare = (preparing.path, preparing.size, file)
            background.preparationPause = PreparationPause()
        case .failed(let error):
            // The next try may fill the disk up to the brim once more, and fail again.
            background.preparationPause.grow(from: now.instant)
            troubles.append(.workFailed(.preparation, error))
        case .done, .compacted: break
        }
    }

    /// Seals the oldest segment that is full and durable.
    func sealNext() {
        guard !storage.isVolatile, fault == nil, !isClosed, background.sealing == nil else { return }
        guard let segment = segments.dropLast().first(where: { !$0.isSealed }), segment.durable == segment.end else { return }
        // Sealing is a convenience until the log is opened again, so a file that cannot be opened now is left as it is.
        guard let file = try? openFile(of: segment) else { return }
        background.sealing = segment
        start(.seal(file: file, length: segment.end), .seal)
    }

    func sealCompleted(_ result: StorageResult) -> Bool {
        guard let segment = background.sealing else { return false }
        background.sealing = nil
        if case .failed(let error) = result {
            fail(error)
            return true
        }
        segment.isSealed = true
        if isClosed {
            // Closing writes the indexes of what is not sealed; this one was just missed.
            try? writeIndexFiles(of: segment)
        } else {
            writeIndexes(of: segment)
        }
        // Every error of the file has had its chance to show (S9). It is opened again when it is read.
        if let file = segment.file {
            segment.file = nil
            do { try storage.close(file) } catch {
                fail(error)
                return true
            }
        }
        // What readers at the log's end have touched of it they need no more; those behind map it anew.
        if !storage.isVolatile {
            segment.memory = nil
            segment.indexes?.shrink()
            if !isClosed { cache.note(segment) }
        }
        background.isCheckpointDirty = true
        return false
    }

    /// Indexes are rebuilt when they are missing, so a failure to write them is let go.
    func writeIndexes(of segment: Segment) {
        guard let indexes = segment.indexes, segments.contains(where: { $0 === segment }) else { return }
        start(.replace(path: path(segment.base, .index), content: indexes.offsets.encoded()), .index)
        start(.replace(path: path(segment.base, .timeIndex), content: indexes.times.encoded()), .index)
    }
}
