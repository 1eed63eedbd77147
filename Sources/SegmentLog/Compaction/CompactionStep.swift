internal import Bytes
internal import Synchronization

/// A part of a compaction that takes long: values in, values out, plain calls on a storage in between, so that it runs on any thread.
package enum CompactionStep: Sendable {
    /// Finds the newest record of each key in a stretch of a log.
    case scan(CompactionScan)
    /// Writes some neighbouring segments anew, as one, beside them.
    case rewrite(CompactionRewrite)

    /// How fast it may read and write.
    package var bytesPerSecond: Int {
        switch self {
        case .scan(let scan): scan.bytesPerSecond
        case .rewrite(let rewrite): rewrite.bytesPerSecond
        }
    }

    /// - Parameter pace: is told how many bytes were read or written, and may take its time.
    package func run(on storage: any LogStorage, pace: (Int) -> Void) -> CompactionOutcome {
        do throws(CompactionFailure) {
            switch self {
            case .scan(let scan): return .scanned(try scan.run(on: storage, pace: pace))
            case .rewrite(let rewrite): return .rewritten(try rewrite.run(on: storage, pace: pace))
            }
        } catch { return .failed(error) }
    }
}

package enum CompactionOutcome: Sendable {
    case scanned(CompactionScan.Found)
    /// nil: everything in the segment stays, and nothing was written.
    case rewritten(CompactionRewrite.Written?)
    case failed(CompactionFailure)
}

package enum CompactionFailure: Error, Sendable, CustomStringConvertible {
    case storage(StorageError)
    case damaged(path: String, position: Int, BatchFault)
    /// The first batch that is not compacted yet has more keys than may be kept in memory.
    case tooManyKeys(records: Int32, limit: Int)
    /// The log closes, or has failed.
    case stopped

    package var description: String {
        switch self {
        case .storage(let error): error.description
        case .damaged(let path, let position, let fault): "\(path) at \(position): \(fault)"
        case .tooManyKeys(let records, let limit): "a batch of \(records) records, where limits.compaction_memory has room for \(limit) keys"
        case .stopped: "stopped"
        }
    }
}

/// Asks a step that runs elsewhere to end soon.
package final class CompactionStop: Sendable {
    private let flag = Atomic(false)
    package init() {}
    package func stop() { flag.store(true, ordering: .relaxed) }
    package var isStopped: Bool { flag.load(ordering: .relaxed) }
}

/// One sealed segment as a file.
package struct CompactionSource: Sendable {
    var path: String
    var base: Offset
    var next: Offset
    var length: Int

    /// Shows every batch in order, until `body` answers false.
    func walk(
        _ storage: any LogStorage, _ stop: CompactionStop, _ body: (Int, RecordBatchHeader, [UInt8]) throws(CompactionFailure) -> Bool
    ) throws(CompactionFailure) {
        let file: FileHandle
        do throws(StorageError) { file = try storage.open(path, .read) } catch { throw .storage(error) }
        do throws(CompactionFailure) { try walk(file, storage, stop, body) } catch {
            try? storage.close(file)
            throw error
        }
        do throws(StorageError) { try storage.close(file) } catch { throw .storage(error) }
    }

    private func walk(
        _ file: FileHandle, _ storage: any LogStorage, _ stop: CompactionStop,
        _ body: (Int, RecordBatchHeader, [UInt8]) throws(CompactionFailure) -> Bool
    ) throws(CompactionFailure) {
        var scanner: SegmentScanner
        do throws(StorageError) { scanner = try SegmentScanner(file, of: storage) } catch { throw .storage(error) }
        while scanner.position < length {
            if stop.isStopped { throw .stopped }
            let item: SegmentScanner.Item
            do throws(StorageError) { item = try scanner.next() } catch { throw .storage(error) }
            switch item {
            case .end(let position): throw .damaged(path: path, position: position, .truncated)
            case .bad(let position, let fault): throw .damaged(path: path, position: position, fault)
            case .batch(let position, let header):
                guard let bytes = scanner.copyBatch(position: position, count: header.totalByteCount) else {
                    throw .damaged(path: path, position: position, .truncated)
                }
                // The base offset lies outside the checksum.
                guard header.baseOffset >= base, header.nextOffset <= next else {
                    throw .damaged(path: path, position: position, .sequence(expected: base, got: header.baseOffset))
                }
                guard try body(position, header, bytes) else { return }
            }
        }
    }
}

package struct CompactionScan: Sendable {
    var sources: [CompactionSource]
    /// Where the stretch begins; it ends with the last source, or where no more keys fit.
    var from: Offset
    var memoryBytes: Int
    var seed: CompactionSeed
    var bytesPerSecond: Int
    var stop: CompactionStop

    package struct Found: Sendable {
        package var map: KeyMap
        /// The stretch that the map covers ends with this offset.
        package var through: Offset
        /// Not all keys fitted.
        package var isCut: Bool
    }

    func run(on storage: any LogStorage, pace: (Int) -> Void) throws(CompactionFailure) -> Found {
        let end = sources.last?.next ?? from
        // No more keys than offsets.
        var map = KeyMap(keys: Int(clamping: end - from), bytes: memoryBytes, seed: seed)
        var plain = ByteBuffer()
        var through = from - 1
        var isCut = false
        for source in sources where !isCut {
            try source.walk(storage, stop) { (_, header, bytes) throws(CompactionFailure) in
                pace(bytes.count)
                guard header.lastOffset >= from, !header.isControl else { return true }
                if Int(header.recordCount) > map.room {
                    if through < from { throw .tooManyKeys(records: header.recordCount, limit: map.room) }
                    isCut = true
                    return false
                }
                note(header, bytes, &plain, &map)
                through = header.lastOffset
                return true
            }
        }
        return Found(map: map, through: isCut ? through : end - 1, isCut: isCut)
    }

    private func note(_ header: RecordBatchHeader, _ bytes: [UInt8], _ plain: inout ByteBuffer, _ map: inout KeyMap) {
        guard let codec = BatchCodec.of(header), codec.expand(bytes.rawSpan, atMost: BatchFilter.decompressedBytesMax, into: &plain) else { return }
        let records = plain.bytes
        var count: Int32 = 0
        do throws(ByteError) {
            var reader = try RecordReader(records, records: 0..<records.byteCount)
            while count < header.recordCount, let record = try reader.next() {
                count &+= 1
                guard let key = record.key, record.offsetDelta <= header.lastOffsetDelta else { continue }
                let offset = header.baseOffset + Int64(record.offsetDelta)
                if offset >= from { map.note(records, key, at: offset) }
            }
        } catch {
            // Such a batch stays as it is, and what was read of it counts.
        }
    }
}

package struct CompactionRewrite: Sendable {
    /// Neighbours, oldest first.
    var sources: [CompactionSource]
    var directory: String
    /// Where the new segment is written.
    var path: String
    var map: KeyMap
    var through: Offset
    var now: Timestamp
    var deleteRetentionMilliseconds: Int64
    var lastOffsets: [Int64: Offset]
    var indexIntervalBytes: Int
    var bytesPerSecond: Int
    var stop: CompactionStop

    package struct Written: Sendable {
        var length: Int
        var indexes: Segment.Indexes
        var maxTimestamp: Timestamp
        var maxTimestampOffset: Offset
        package var removed: Int64
    }

    /// Bytes that are written at once, and made durable before more are: no flush of others waits long behind them.
    static let chunkBytes = 4 << 20

    func run(on storage: any LogStorage, pace: (Int) -> Void) throws(CompactionFailure) -> Written? {
        var filter = BatchFilter(
            map: map, through: through, now: now, deleteRetentionMilliseconds: deleteRetentionMilliseconds, lastOffsets: lastOffsets)
        guard let first = sources.first, let last = sources.last else { return nil }
        let segment = Segment(base: first.base, limit: .max)
        segment.indexes = Segment.Indexes()
        var output = Output(path, storage)
        var chunk = ByteBuffer()
        do throws(CompactionFailure) {
            if sources.count > 1 { try output.begin() }
            for source in sources {
                try source.walk(storage, stop) { (position, header, bytes) throws(CompactionFailure) in
                    pace(bytes.count)
                    var stored = header
                    let start = chunk.count
                    switch filter.filter(header, bytes.rawSpan, into: &chunk) {
                    case .gone:
                        if !output.isBegun { try output.begin(copying: position, of: source) }
                        return true
                    case .anew(let changed):
                        if !output.isBegun { try output.begin(copying: position, of: source) }
                        stored = changed
                    case .whole: if output.isBegun { chunk.append(bytes) }
                    }
                    // Nothing has changed so far: the old file is the new one.
                    let at = output.isBegun ? output.length + start : position
                    segment.note(
                        stored, baseOffset: stored.baseOffset, position: at, bytes: stored.totalByteCount, indexInterval: indexIntervalBytes)
                    if chunk.count >= Self.chunkBytes {
                        pace(chunk.count)
                        try output.write(&chunk)
                    }
                    return true
                }
            }
            guard output.isBegun else { return nil }
            try output.write(&chunk)
            try output.finish(in: directory)
        } catch {
            output.abandon()
            throw error
        }
        segment.next = last.next
        segment.finishIndexes()
        return Written(
            length: output.length, indexes: segment.indexes ?? Segment.Indexes(), maxTimestamp: segment.maxTimestamp,
            maxTimestampOffset: segment.maxTimestampOffset, removed: filter.removed)
    }

    /// The new file, which is made when the first difference to the old one is found.
    private struct Output: ~Copyable {
        let path: String
        let storage: any LogStorage
        var file: FileHandle?
        var length = 0
        var isBegun: Bool { file != nil }

        init(_ path: String, _ storage: any LogStorage) {
            self.path = path
            self.storage = storage
        }

        mutating func begin() throws(CompactionFailure) {
            do throws(StorageError) {
                do throws(StorageError) { try storage.remove(path) } catch { if error.code != 2 { throw error } }
                file = try storage.open(path, .create)
            } catch { throw .storage(error) }
        }

        /// Begins with what stands before the first difference.
        mutating func begin(copying count: Int, of source: CompactionSource) throws(CompactionFailure) {
            try begin()
            do throws(StorageError) {
                let old = try storage.open(source.path, .read)
                defer { try? storage.close(old) }
                var buffer = ByteBuffer()
                while length < count {
                    buffer.clear()
                    try storage.read(old, at: length, count: min(CompactionRewrite.chunkBytes, count - length), into: &buffer)
                    guard buffer.count > 0 else { throw StorageError(operation: "read", path: source.path, code: 0, reason: "the file has become shorter") }
                    try put(&buffer)
                }
            } catch { throw .storage(error) }
        }

        mutating func write(_ chunk: inout ByteBuffer) throws(CompactionFailure) {
            do throws(StorageError) { try put(&chunk) } catch { throw .storage(error) }
        }

        private mutating func put(_ chunk: inout ByteBuffer) throws(StorageError) {
            guard let file, chunk.count > 0 else { return }
            try storage.write(file, [chunk.region(ByteRange(start: 0, count: chunk.count))], at: length)
            try storage.sync(file)
            length += chunk.count
            chunk.clear()
        }

        /// The file is whole, and its name is durable.
        mutating func finish(in directory: String) throws(CompactionFailure) {
            guard let file else { return }
            self.file = nil
            do throws(StorageError) {
                try storage.sync(file)
                try storage.close(file)
                try storage.syncDirectory(directory)
            } catch {
                try? storage.remove(path)
                throw .storage(error)
            }
        }

        mutating func abandon() {
            guard let file else { return }
            self.file = nil
            try? storage.close(file)
            try? storage.remove(path)
        }
    }
}
