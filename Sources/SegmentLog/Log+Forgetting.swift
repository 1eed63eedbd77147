internal import Bytes
internal import Mutants

// Retention, removal, and the end of a log.
extension Log {
    /// Removes whole segments that retention no longer keeps: by age, by bytes, and everything below `floor` where one is given.
    /// The active segment stays; one whose every record is too old is rolled, and goes the next time. Age counts from the broker's own
    /// time of a segment's last append. Called now and then, for logs at rest as well.
    ///
    /// - Parameter emptiesActive: where memory is short, a memory topic's active segment goes as well when all of it lies below the floor.
    package func applyRetention(floor: Offset?, now: Now, emptiesActive: Bool = false) {
        guard fault == nil, !isClosed, background.readying == nil else { return }
        if now.time > lastTime { lastTime = now.time }
        if options.cleanup.deletes, options.retentionMilliseconds >= 0, let segment = active, segment.end > 0, isExpired(segment) { try? roll() }
        if emptiesActive, storage.isVolatile, let floor, floor >= watermarks.end, watermarks.flushed == watermarks.end { try? roll() }
        var total = bytes
        var count = 0
        while count < segments.count - 1 {
            let segment = segments[count]
            // What is on its way to the disk stays until it is there.
            guard storage.isVolatile || segment.durable == segment.end, background.sealing !== segment, !compaction.holds(segment) else { break }
            let isOld = options.cleanup.deletes && options.retentionMilliseconds >= 0 && isExpired(segment)
            let isSurplus = options.cleanup.deletes && options.retentionBytes >= 0 && total - Int64(segment.end) >= options.retentionBytes
            var isSettled = max(floor ?? .zero, watermarks.start) >= segments[count + 1].base
            if Mutant.isActive("forgetsWhatIsUnsettled"), floor != nil { isSettled = true }
            guard isOld || isSurplus || isSettled else { break }
            total -= Int64(segment.end)
            count += 1
        }
        if count > 0 { drop(count) }
    }

    private func isExpired(_ segment: Segment) -> Bool {
        let newest = Mutant.isActive("retainsByProducersTime") ? segment.maxTimestamp : segment.lastAppend
        return lastTime.rawValue &- newest.rawValue > options.retentionMilliseconds
    }

    /// Moves the start up to `offset` (Kafka's DeleteRecords, purge); whole segments below are removed.
    package func trim(before offset: Offset) throws(LogError) {
        if isClosed { throw .closed }
        if let fault { throw .storage(fault) }
        guard offset <= visibleEnd else { throw .offsetOutOfRange(start: watermarks.start, end: visibleEnd) }
        guard offset > watermarks.start else { return }
        watermarks.start = offset
        background.isCheckpointDirty = true
        var count = 0
        while count < segments.count - 1, segments[count + 1].base <= offset {
            let segment = segments[count]
            guard storage.isVolatile || segment.durable == segment.end, background.sealing !== segment, !compaction.holds(segment) else { break }
            count += 1
        }
        if count > 0 { drop(count) }
    }

    /// Takes the first `count` segments out. Their files go once a checkpoint that no longer knows them is durable: a crash in
    /// between finds files below the start and removes them.
    private func drop(_ count: Int) {
        let gone = Array(segments.prefix(count))
        segments.removeFirst(count)
        for segment in gone { cache.forget(segment) }
        watermarks.start = max(watermarks.start, segments[0].base)
        if storage.isVolatile || Mutant.isActive("removesBeforeCheckpoint") {
            removeFiles(of: gone)
        } else {
            background.dropped += gone
            background.isCheckpointDirty = true
        }
    }

    func removeFiles(of gone: [Segment]) {
        var files: [FileHandle] = []
        var paths: [String] = []
        for segment in gone {
            if let file = segment.file { files.append(file) }
            segment.file = nil
            segment.memory = nil
            paths.append(path(segment.base, .log))
            if segment.isSealed, !storage.isVolatile { paths += [path(segment.base, .index), path(segment.base, .timeIndex)] }
        }
        start(.remove(files: files, paths: paths, directory: directory), .remove)
    }

    // MARK: The end

    /// Writes, flushes, writes the indexes and leaves the clean-shutdown checkpoint; waits for all of it. With an operation still
    /// under way (`isQuiet` is false) its outcome decides whether the log is clean, so the rest follows when its completion is handed
    /// in; a process that ends before leaves the log as after a crash, for recovery to check.
    package func close(now: Now) throws(LogError) {
        guard !isClosed else { return }
        if fault == nil {
            do { try writeStaged(then: nil) } catch {
                closeFiles()
                throw error
            }
        }
        isClosed = true
        compaction.stop.stop()
        if isQuiet {
            defer { closeFiles() }
            try leaveClean()
        } else {
            whenQuiet { [self] in
                // What was appended before the log was ready.
                try? writeStaged(then: nil)
                try? leaveClean()
                closeFiles()
            }
        }
    }

    private func leaveClean() throws(LogError) {
        if let fault { throw .storage(fault) }
        if storage.isVolatile { return }
        if let preparation = toPrepare {
            // Opened and never appended to: after a clean stop everything stands as it was, but for a start that moved up.
            guard preparation.cuts || background.isCheckpointDirty || background.wroteCheckpoint else { return }
            try prepareForAppend()
        }
        guard let segment = active else { return }
        do throws(StorageError) {
            for segment in segments where segment.durable < segment.end && !Mutant.isActive("closesWithoutFlush") {
                if let file = segment.file { try storage.sync(file) }
                segment.durable = segment.end
            }
            // A log that rests has no zeros ahead: its files are what other tools know.
            if let file = segment.file, try storage.size(of: file) > segment.end { try storage.truncate(file, to: segment.end) }
            if flushing.isDirectoryDirty { try storage.syncDirectory(directory) }
            watermarks.flushed = written
            flushing.place = LogPlace(offset: written, segment: segment, position: segment.end)
            for segment in segments where !segment.isSealed { try writeIndexFiles(of: segment) }
            // What was to be replaced and was not stays as it is.
            compaction.phase = .idle
            try replaceNow(LogFiles.checkpoint, checkpoint(isClean: true).encoded())
        } catch {
            fail(error)
            throw .storage(error)
        }
    }

    /// Not synced: an index file that did not reach the disk is rebuilt.
    func writeIndexFiles(of segment: Segment) throws(StorageError) {
        guard let indexes = segment.indexes else { return }
        segment.finishIndexes()
        let contents = [(LogFiles.Kind.index, indexes.offsets.encoded()), (.timeIndex, (segment.indexes ?? indexes).times.encoded())]
        for (kind, content) in contents {
            do { try storage.remove(path(segment.base, kind)) } catch { if error.code != 2 { throw error } }
            try storage.create(path(segment.base, kind), content, syncs: false)
        }
    }

    /// Closes what is open, now or once nothing is under way.
    func closeFiles() {
        isClosed = true
        staging.release()
        for segment in segments { cache.forget(segment) }
        whenQuiet { [self] in
            for segment in segments + background.dropped {
                if let file = segment.file { try? storage.close(file) }
                segment.file = nil
                segment.memory = nil
            }
            if let spare = background.spare {
                try? storage.close(spare.file)
                try? storage.remove(spare.path)
            }
            background.spare = nil
        }
    }

    /// Removes every file and the directory, now or once nothing is under way. Completions are still to be handed in.
    package func destroy() {
        isClosed = true
        compaction.stop.stop()
        staging.release()
        open = nil
        whenQuiet { [self] in
            var files: [FileHandle] = []
            for segment in segments + background.dropped {
                if let file = segment.file { files.append(file) }
                segment.file = nil
                segment.memory = nil
            }
            if let spare = background.spare { files.append(spare.file) }
            background.spare = nil
            for segment in segments { cache.forget(segment) }
            segments = []
            background.dropped = []
            let entries = (try? storage.list(directory)) ?? []
            let paths = entries.filter { !$0.isDirectory }.map { path($0.name) }
            if paths.isEmpty && files.isEmpty {
                try? storage.remove(directory)
                return
            }
            background.finish = { [self] in try? storage.remove(directory) }
            start(.remove(files: files, paths: paths, directory: directory), .remove)
            finishIfQuiet()
        }
    }

    /// Removes what an unfinished `destroy` left in a directory that belongs to no log any more. Waits for it.
    package static func removeRemains(of directory: String, storage: any LogStorage) throws(StorageError) {
        for entry in try storage.list(directory) where !entry.isDirectory { try storage.remove(directory + "/" + entry.name) }
        do { try storage.remove(directory) } catch { if error.code != 2 { throw error } }
    }

    private func whenQuiet(_ body: @escaping () -> Void) {
        background.finish = body
        finishIfQuiet()
    }
}
