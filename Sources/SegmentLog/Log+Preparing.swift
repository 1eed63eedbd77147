internal import Bytes
internal import Mutants

/// What the first append has to do before it: opening a log writes nothing.
struct Preparation {
    /// Files that are no part of the log any more: temporary ones, and segments below the start or behind a cut.
    var stale: [String] = []
    /// The last stop was unclean: whatever lies behind the end is cut off.
    var cuts = false
    /// A torn tail was found there.
    var isTorn = false
    /// Remains of a compaction; they say which of two states the checkpoint means, so they go after it was written anew.
    var remains: [String] = []
    /// A file was put in another's place, and that may not be durable yet.
    var hasNewNames = false
}

// Before the first append the directory is made, or what recovery found is readied: stale files go, what lies behind the end is cut
// (S15), and the checkpoint says that the log is in use. Each step may be the last one before a crash: the next recovery finds the
// same. All of it is durable before anything is written, so that segments without a checkpoint are never taken for a log that just
// began, and a checkpoint of a clean stop never for the end of a log that went on.
//
// That takes several flushes. Where the storage can, it does them in the background: appends are taken meanwhile and staged.
extension Log {
    /// What is staged at most until a log is ready; who appends more waits for the disk.
    static let readyingBytes = 32 << 20

    /// Whether the next append has to open the log's files first.
    package var isClosedOnDisk: Bool { toPrepare != nil && background.readying == nil && !storage.isVolatile }
    package var isReadying: Bool { background.readying != nil }

    /// Sees to it that the log becomes ready, and takes `bytes` more meanwhile.
    func makeReady(for bytes: Int) throws(LogError) {
        guard background.readying == nil else {
            if staging.count &+ bytes > Self.readyingBytes { try waitUntilReady() }
            return
        }
        if readiesInBackground { try startReadying() } else { try prepareForAppend() }
    }

    private func startReadying() throws(LogError) {
        guard let preparation = toPrepare else { return }
        var readying = LogReadying(directory: directory, checkpoint: (path(LogFiles.checkpoint), checkpoint(isClean: false).encoded()))
        readying.stale = preparation.stale.map(path)
        readying.syncsNames = preparation.hasNewNames
        if let segment = active {
            do throws(StorageError) {
                try loadIndexes(of: segment)
                let file = try openFile(of: segment)
                if preparation.cuts { readying.cut = (file, segment.end, preparation.isTorn ? Self.zerosBehindCut : 0) }
            } catch {
                fail(error)
                throw .storage(error)
            }
        } else {
            readying.makesDirectory = true
            let segment = Segment(base: watermarks.end, limit: min(Self.firstSegmentBytes, segmentLimit))
            segment.indexes = Segment.Indexes()
            readying.segment = path(segment.base, .log)
            segments.append(segment)
        }
        flushing.patience = Patience(from: lastInstant)
        background.readying = start(.ready(readying), .ready)
    }

    /// The log may be written, or has failed.
    func readyCompleted(_ result: StorageResult, now: Instant) -> Bool {
        guard background.readying != nil else { return false }
        background.readying = nil
        endPatience(now: now)
        switch result {
        case .failed(let error): fail(error)
        case .prepared(let file): active?.file = file
        case .done, .compacted: break
        }
        if fault == nil {
            for name in toPrepare?.remains ?? [] {
                do throws(StorageError) { try removeIfThere(name) } catch { troubles.append(.workFailed(.removal, error)) }
            }
            toPrepare = nil
        }
        return true
    }

    /// Waits for a second at most, and not at all for a disk that others have waited for so long: then nothing more is taken until it is ready.
    func waitUntilReady() throws(LogError) {
        guard let ticket = background.readying else { return }
        guard !isStalled, let result = storage.wait(for: ticket, atMost: Patience.interval) else {
            throw .storage(StorageError(operation: "open", path: directory, code: 110, reason: "the disk is slow, and too much waits for it"))
        }
        background.count -= 1
        _ = readyCompleted(result, now: lastInstant)
        if let fault { throw .storage(fault) }
        try writeStaged(then: nil)
    }

    /// The same by plain calls, each of which waits.
    func prepareForAppend() throws(LogError) {
        guard let preparation = toPrepare else { return }
        do throws(StorageError) {
            if segments.isEmpty { try storage.makeDirectory(directory) }
            // What is removed was judged by the checkpoint that is seen: that one has to be durable first.
            if !preparation.stale.isEmpty || preparation.hasNewNames { try storage.syncDirectory(directory) }
            for name in preparation.stale { try removeIfThere(name) }
            if let segment = active {
                try loadIndexes(of: segment)
                let file = try openFile(of: segment)
                if preparation.cuts {
                    try storage.truncate(file, to: segment.end)
                    if preparation.isTorn { try writeZeros(file, Self.zerosBehindCut, at: segment.end) }
                    try storage.sync(file)
                }
            }
            // A new log has its checkpoint before its first segment: segments without one are never taken for a log that just began.
            if !storage.isVolatile { try replaceNow(LogFiles.checkpoint, checkpoint(isClean: false).encoded()) }
            for name in preparation.remains { try removeIfThere(name) }
        } catch {
            fail(error)
            throw .storage(error)
        }
        toPrepare = nil
    }

    func removeIfThere(_ name: String) throws(StorageError) {
        do { try storage.remove(path(name)) } catch { if error.code != 2 { throw error } }
    }

    private static let zerosBehindCut = 4_096

    func writeZeros(_ file: FileHandle, _ count: Int, at position: Int) throws(StorageError) {
        var zeros = ByteBuffer()
        zeros.appendZeros(count)
        try storage.write(file, [zeros.region(ByteRange(start: 0, count: zeros.count))], at: position)
        // The buffer lives until here.
        zeros.release()
    }

    /// Replaces a small file and waits for it (S11).
    func replaceNow(_ name: String, _ content: [UInt8]) throws(StorageError) {
        try removeIfThere(name + ".tmp")
        try storage.create(path(name + ".tmp"), content, syncs: true)
        try storage.rename(path(name + ".tmp"), to: path(name))
        try storage.syncDirectory(directory)
    }

    func checkpoint(isClean: Bool) -> Checkpoint {
        let place = flushing.place
        let first = segments.first?.base ?? watermarks.flushed
        let durable = Mutant.isActive("vouchesForUnflushed") ? max(written, watermarks.flushed) : watermarks.flushed
        return Checkpoint(
            // Where consumers see what is not durable yet, a trim may go beyond the watermark; after a crash it is undone.
            isClean: isClean, incarnation: incarnation, start: min(watermarks.start, watermarks.flushed), durable: durable,
            durableSegment: place?.segment.base ?? first, durablePosition: Int64(place?.position ?? 0), end: max(written, watermarks.flushed),
            segments: segments.flatMap(compaction.records), producers: producers, cleaned: compaction.cleaned,
            holesBelow: compaction.holesBelow, replacement: compaction.replacement)
    }
}
