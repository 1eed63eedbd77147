internal import Bytes
internal import Mutants

// Finding stored batches. The index leads to a batch at most an index interval before the one that is wanted, the batch headers
// lead on from there; records are not looked at.
extension Log {
    /// Whole batches of one segment from the one that contains `offset` on, at most `maxBytes` (the first batch whole even when it
    /// is larger), all below `limit`. nil when there is nothing at or behind `offset` below `limit`.
    package func read(from offset: Offset, maxBytes: Int, below limit: Offset, cold: ColdReads = .wait) throws(LogError) -> ReadResult? {
        if let newest = try readNewest(from: offset, maxBytes: maxBytes, below: limit, cold) { return newest }
        guard let found = try find(offset, below: limit, bytes: maxBytes, cold) else { return nil }
        let memory = found.memory
        let first = found.header.baseOffset
        var end = found.position &+ found.header.totalByteCount
        var next = found.header.nextOffset
        let budget = maxBytes > found.stop.position &- found.position ? found.stop.position : found.position &+ max(maxBytes, 0)
        if budget >= found.stop.position {
            end = found.stop.position
            next = found.stop.offset
        } else if budget > end {
            // The indexed batch that begins last within the budget, then on by the headers. What lies behind it is not looked at.
            let last = budget &- RecordBatchHeader.byteCount
            var at = max(end, found.segment.indexes?.offsets.position(atOrBeforePosition: last) ?? 0)
            while at <= last, let header = batchHeader(in: memory, at: at, end: found.stop.position) {
                end = at
                next = header.baseOffset
                guard at &+ header.totalByteCount <= budget else { break }
                at &+= header.totalByteCount
                end = at
                next = header.nextOffset
            }
        }
        found.segment.lastRead = (next, end)
        return ReadResult(slice: LogSlice(memory: memory, range: found.position..<end), first: first, next: next)
    }

    /// All of the last write, for who has read up to there: whole batches without holes.
    private func readNewest(from offset: Offset, maxBytes: Int, below limit: Offset, _ cold: ColdReads) throws(LogError) -> ReadResult? {
        guard let newest, newest.offset == offset, limit >= written, offset >= watermarks.start else { return nil }
        let segment = newest.segment
        guard segment === active, segment.lastRead?.next == offset, segment.end &- newest.position <= maxBytes else { return nil }
        guard let memory = segment.memory, memory.count >= segment.end, !memory.hasFailed else { return nil }
        // Not a moment ago, perhaps.
        try resident(segment, memory, newest.position..<segment.end, cold)
        segment.lastRead = (written, segment.end)
        return ReadResult(slice: LogSlice(memory: memory, range: newest.position..<segment.end), first: offset, next: written)
    }

    /// The one batch that contains `offset` (or the next one, where compaction left a hole), below `limit`.
    package func batch(at offset: Offset, below limit: Offset, cold: ColdReads = .wait) throws(LogError) -> BatchView? {
        guard let found = try find(offset, below: limit, bytes: 0, cold) else { return nil }
        let end = found.position &+ found.header.totalByteCount
        return BatchView(found.header, slice: LogSlice(memory: found.memory, range: found.position..<end))
    }

    /// Checks the whole batch. Whoever hands out parts of it does this before: the checksum does not go with them.
    package func check(_ batch: BatchView) throws(LogError) {
        let bytes = batch.slice.memory.bytes(batch.slice.range)
        if let header = try? RecordBatchHeader(decoding: bytes), header.totalByteCount == bytes.byteCount, header.checksumHolds(in: bytes) { return }
        try checkMemory(of: batch)
        let index = partitionPoint(segments.count) { segments[$0].base <= batch.baseOffset } - 1
        throw .damaged(
            path: path(index >= 0 ? segments[index].base : batch.baseOffset, .log), position: batch.slice.range.lowerBound,
            reason: "the checksum of the batch at \(batch.baseOffset) does not hold")
    }

    /// For who reads a batch's parts: throws when some of it could not be read, and what was read means nothing.
    package func checkMemory(of batch: BatchView) throws(LogError) {
        guard batch.slice.memory.hasFailed else { return }
        throw unreadable(segments.last { $0.memory === batch.slice.memory })
    }

    /// The disk failed below a mapping: the log takes no more writes (S8), and says so.
    private func unreadable(_ segment: Segment?) -> LogError {
        let file = segment.map { path($0.base, .log) } ?? directory
        let reason = "the disk cannot read a part of it, or the file was cut"
        fail(StorageError(operation: "read", path: file, code: 5, reason: reason))
        return .damaged(path: file, position: 0, reason: reason)
    }

    /// The first offset whose timestamp is at or after `time`, with that timestamp; nil when there is none. Within a compressed
    /// batch the batch's first offset is given, with its latest timestamp.
    package func offset(at time: Timestamp, cold: ColdReads = .wait) throws(LogError) -> (Offset, Timestamp)? {
        // Of a log that becomes ready the first segment is not there yet: what it is to hold is staged.
        for segment in segments where segment.maxTimestamp >= time && segment.next > watermarks.start && segment.end > 0 {
            if Mutant.isActive("searchesNewestSegmentOnly"), segment !== active { continue }
            try residentEnds(of: segment, cold)
            let memory = try memory(of: segment)
            let relative = segment.indexes?.times.relativeOffset(before: time) ?? 0
            let from = segment.indexes?.offsets.position(atOrBefore: relative) ?? 0
            // The walk ends at the batch that the next entry speaks of, or before.
            let end = segment.indexes?.times.relativeOffset(notBefore: time).flatMap { segment.indexes?.offsets.place(of: $0).end }
            try resident(segment, memory, from..<max(from, end ?? segment.end), cold)
            var walk = walk(to: time, in: segment, memory, from: from, past: segment.base + relative)
            // An index file has no checksum: where it leads astray the batches themselves are walked.
            if case .astray = walk { walk = self.walk(to: time, in: segment, memory, from: 0, past: nil) }
            switch walk {
            case .found(let offset, let timestamp): return (offset, timestamp)
            case .nothing: continue
            case .astray(let at):
                if memory.hasFailed { throw unreadable(segment) }
                throw .damaged(path: path(segment.base, .log), position: at, reason: "no sound batch lies there")
            }
        }
        return nil
    }

    private enum TimeWalk {
        case found(Offset, Timestamp)
        case nothing
        /// What lies at this position is not what was expected there.
        case astray(Int)
    }

    /// Walks the batches from `from` on, each with its checksum. The index promised a walk that begins at or before the batch with
    /// `past`, and nothing as late as `time` up to there.
    private func walk(to time: Timestamp, in segment: Segment, _ memory: SegmentMemory, from: Int, past: Offset?) -> TimeWalk {
        var at = from
        while at < segment.end {
            guard let header = batchHeader(in: memory, at: at, end: segment.end), header.checksumHolds(in: memory.bytes(0..<segment.end), at: at) else {
                return .astray(at)
            }
            if let past, from > 0 {
                if at == from, header.lastOffset > past { return .astray(at) }
                if header.lastOffset <= past, header.maxTimestamp >= time { return .astray(at) }
            }
            if header.maxTimestamp >= time, header.lastOffset >= watermarks.start, let found = record(at: time, header, in: memory, position: at) {
                return .found(found.0, found.1)
            }
            at &+= header.totalByteCount
        }
        return .nothing
    }

    private func record(at time: Timestamp, _ header: RecordBatchHeader, in memory: SegmentMemory, position: Int) -> (Offset, Timestamp)? {
        let start = max(header.baseOffset, watermarks.start)
        if header.isCompressed { return (start, header.maxTimestamp) }
        let batch = memory.bytes(position..<position &+ header.totalByteCount)
        do throws(ByteError) {
            var reader = try RecordReader(batch, records: RecordBatchHeader.byteCount..<batch.byteCount)
            while let record = try reader.next() {
                let timestamp = header.timestamp(of: record)
                let offset = header.baseOffset + Int64(record.offsetDelta)
                if timestamp >= time, offset >= watermarks.start, offset <= header.lastOffset { return (offset, timestamp) }
            }
            return nil
        } catch {
            return (start, header.maxTimestamp)
        }
    }

    // MARK: Private parts

    /// A batch that an index entry leads to ends within so many bytes behind it.
    var slack: Int { options.indexIntervalBytes &+ options.maxMessageBytes }

    private struct Found {
        var segment: Segment
        var memory: SegmentMemory
        var position: Int
        var header: RecordBatchHeader
        /// Where reading ends in this segment, and the offset that follows there.
        var stop: (position: Int, offset: Offset)
    }

    /// - Parameter bytes: how much is wanted from there on, besides the batch itself.
    private func find(_ offset: Offset, below limit: Offset, bytes: Int, _ cold: ColdReads) throws(LogError) -> Found? {
        guard offset >= watermarks.start, offset <= watermarks.end else {
            throw .offsetOutOfRange(start: watermarks.start, end: watermarks.end)
        }
        let limit = min(limit, written)
        guard offset < limit else { return nil }
        let index = partitionPoint(segments.count) { segments[$0].base <= offset } - 1
        guard index >= 0 else { return nil }
        for segment in segments[index...] where segment.base < limit {
            if let found = try find(offset, below: limit, bytes: bytes, in: segment, cold) { return found }
            // What compaction took away may have been the last of its segment.
            guard hasHoles(segment), segment.next < limit else { return nil }
        }
        return nil
    }

    private func find(_ offset: Offset, below limit: Offset, bytes: Int, in segment: Segment, _ cold: ColdReads) throws(LogError) -> Found? {
        if segment.end == 0, hasHoles(segment) { return nil }
        try residentEnds(of: segment, cold)
        let memory = try memory(of: segment)
        // Where reading ends is found by walking, too.
        if isInside(limit, of: segment) {
            let place = place(of: limit, in: segment)
            try resident(segment, memory, place.from..<place.end, cold)
        }
        let stop = stop(at: limit, in: segment, memory)
        let place = place(of: offset, in: segment)
        try resident(segment, memory, place.likely..<max(place.end, place.latest &+ max(bytes, 0)), cold)
        var batch = findBatch(containing: offset, in: memory, from: place.likely, to: stop.position)
        if place.likely > 0, batch.map({ $0.header.baseOffset > offset }) ?? true {
            try resident(segment, memory, place.from..<place.likely, cold)
            batch = self.batch(with: offset, in: segment, memory, from: place.from, to: stop.position)
        }
        if memory.hasFailed { throw unreadable(segment) }
        guard let found = batch else {
            if stop.offset <= offset || hasHoles(segment) { return nil }
            throw .damaged(path: path(segment.base, .log), position: stop.position, reason: "no batch with offset \(offset) lies before it")
        }
        // The base offset lies outside the checksum: one that does not fit the segment shows only here.
        guard found.header.baseOffset >= segment.base, found.header.nextOffset <= stop.offset else {
            throw .damaged(
                path: path(segment.base, .log), position: found.position,
                reason: "the batch there says offsets \(found.header.baseOffset) to \(found.header.lastOffset), and offset \(offset) is wanted")
        }
        return Found(segment: segment, memory: memory, position: found.position, header: found.header, stop: stop)
    }

    /// The batch that contains `offset`, or the next one, which begins at or behind `from`. An index file has no checksum: where it
    /// leads astray the batches themselves are walked.
    private func batch(with offset: Offset, in segment: Segment, _ memory: SegmentMemory, from: Int, to end: Int) -> FoundBatch? {
        let found = findBatch(containing: offset, in: memory, from: from, to: end)
        if let found, found.header.baseOffset <= offset { return found }
        if from == 0 || hasHoles(segment) { return found }
        return findBatch(containing: offset, in: memory, from: 0, to: end)
    }

    /// Where the batch with an offset, or the next one, is looked for: it begins from `from` to `latest`, and ends at `end` or before.
    private struct Place {
        var from: Int
        var likely: Int
        var latest: Int
        var end: Int
    }

    /// What is known of that: where the last read ended, else what the index says.
    private func place(of offset: Offset, in segment: Segment) -> Place {
        if let last = segment.lastRead, last.next == offset {
            let isNear = segment.end &- last.position <= Residency.windowBytes
            let end = isNear ? nil : segment.indexes?.offsets.place(of: offset - segment.base).end
            return Place(from: last.position, likely: last.position, latest: last.position, end: min(end ?? .max, last.position &+ slack))
        }
        guard let known = segment.indexes?.offsets.place(of: offset - segment.base) else { return Place(from: 0, likely: 0, latest: slack, end: slack) }
        let end = min(known.end ?? .max, (known.latest ?? known.from) &+ slack)
        let latest = known.latest ?? end
        // An entry that is far from the one before speaks, most likely, of the very batch behind it.
        let isFar = known.from > 0 && latest &- known.from > 2 &* options.indexIntervalBytes && known.latest != nil
        return Place(from: known.from, likely: isFar ? latest : known.from, latest: latest, end: end)
    }

    /// Whether the place of `limit` is not known and has to be looked for among the segment's batches.
    private func isInside(_ limit: Offset, of segment: Segment) -> Bool {
        if limit >= segment.next || segment === active && limit == written { return false }
        return flushing.place.map { $0.offset != limit || $0.segment !== segment } ?? true
    }

    /// Where the batches of `segment` that lie below `limit` end.
    private func stop(at limit: Offset, in segment: Segment, _ memory: SegmentMemory) -> (position: Int, offset: Offset) {
        if limit >= segment.next { return (segment.end, segment.next) }
        if segment === active, limit == written { return (segment.end, written) }
        if let place = flushing.place, place.offset == limit, place.segment === segment { return (place.position, limit) }
        let from = place(of: limit, in: segment).from
        guard let found = batch(with: limit, in: segment, memory, from: from, to: segment.end) else { return (segment.end, min(limit, segment.next)) }
        return (found.position, found.header.baseOffset)
    }

    /// The segment's bytes and its indexes, mapped and loaded when they are first needed.
    func memory(of segment: Segment) throws(LogError) -> SegmentMemory {
        if let memory = segment.memory, memory.count >= segment.end, segment.indexes != nil {
            cache.noteRead(segment)
            return memory
        }
        do throws(StorageError) {
            let memory = try map(segment)
            if segment.indexes == nil { try loadIndexes(of: segment) }
            keep(segment)
            return memory
        } catch {
            throw .storage(error)
        }
    }

    func map(_ segment: Segment) throws(StorageError) -> SegmentMemory {
        if let memory = segment.memory, memory.count >= segment.end { return memory }
        do throws(StorageError) { return try mapAnew(segment) } catch {
            // What others have mapped and need not have takes descriptors and room in the memory map.
            guard error.isShortage, cache.releaseMappings() else { throw error }
            return try mapAnew(segment)
        }
    }

    private func mapAnew(_ segment: Segment) throws(StorageError) -> SegmentMemory {
        let file = try openFile(of: segment)
        // The active segment is mapped as long as it may become; nothing behind its end is touched.
        let length = segment === active ? max(segment.limit, segment.end) : segment.end
        let memory = try storage.map(file, length: length)
        segment.memory = memory
        if segment.isSealed, !storage.isVolatile {
            // The mapping does without the file.
            segment.file = nil
            try storage.close(file)
            keep(segment, isShort: !storage.admitsLogs(1))
        }
        return memory
    }

    /// The sealed segment's mapping and indexes are kept for the next who reads it, as long as there is room.
    private func keep(_ segment: Segment, isShort: Bool = false) {
        guard segment.isSealed, !storage.isVolatile else { return }
        cache.noteRead(segment)
        cache.note(segment, isShort: isShort)
    }

    /// The handle of the segment's file, opened when it is not yet. It is kept until the segment goes (S9).
    func openFile(of segment: Segment) throws(StorageError) -> FileHandle {
        if let file = segment.file { return file }
        let file = try storage.open(path(segment.base, .log), segment.isSealed ? .read : .readWrite)
        segment.file = file
        return file
    }

    /// Reads the index files, or rebuilds the indexes from the batches where the files are missing or do not fit.
    func loadIndexes(of segment: Segment) throws(StorageError) {
        if segment.indexes != nil { return }
        if let offsets = try readIndexFile(of: segment, .index), let times = try readIndexFile(of: segment, .timeIndex),
            let offsetIndex = OffsetIndex(decoding: offsets.rawSpan, segmentLength: segment.end), let timeIndex = TimeIndex(decoding: times.rawSpan)
        {
            let indexes = Segment.Indexes(offsets: offsetIndex, times: timeIndex)
            if try fits(indexes, segment) {
                segment.indexes = indexes
                segment.maxTimestampOffset = segment.base + Int64(timeIndex.entries.last?.relativeOffset ?? 0)
                return
            }
        }
        try rebuildIndexes(of: segment)
    }

    private func readIndexFile(of segment: Segment, _ kind: LogFiles.Kind) throws(StorageError) -> [UInt8]? {
        do throws(StorageError) { return try storage.content(of: path(segment.base, kind), atMost: segment.end) } catch {
            if error.code == 2 { return nil }
            throw error
        }
    }

    /// Whether the indexes are this segment's as it is now: they know its latest timestamp and reach near its end, and the first and
    /// the last entry name batches.
    private func fits(_ indexes: Segment.Indexes, _ segment: Segment) throws(StorageError) -> Bool {
        let entries = indexes.offsets.entries
        let reach = Int(entries.last?.position ?? 0)
        guard (indexes.times.entries.last?.timestamp ?? -1) == segment.maxTimestamp.rawValue else { return false }
        guard segment.end - reach <= 2 * (options.indexIntervalBytes + options.maxMessageBytes) else { return false }
        guard let first = entries.first, let last = entries.last else { return true }
        let memory = try map(segment)
        return [first, last].allSatisfy {
            guard let header = batchHeader(in: memory, at: Int($0.position), end: segment.end) else { return false }
            return header.lastOffset - segment.base == Int64($0.relativeOffset)
        }
    }

    private func rebuildIndexes(of segment: Segment) throws(StorageError) {
        let memory = try map(segment)
        let scratch = Segment(base: segment.base, limit: segment.limit)
        scratch.indexes = Segment.Indexes()
        var at = 0
        while let header = batchHeader(in: memory, at: at, end: segment.end) {
            scratch.note(
                header, baseOffset: header.baseOffset, position: at, bytes: header.totalByteCount, indexInterval: options.indexIntervalBytes)
            at &+= header.totalByteCount
        }
        scratch.finishIndexes()
        segment.takeIndexes(of: scratch)
        recovery.rebuiltIndexes += 1
    }
}
