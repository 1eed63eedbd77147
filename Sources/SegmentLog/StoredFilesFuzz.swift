internal import Bytes

// Fuzz entries of what carries a checksum, or is believed because a checkpoint vouches for it: arbitrary bytes alone never get past
// that, so the checksum is made to fit first. Nothing may trap.

/// Gives `bytes` to a log as a batch that a client sent, then reads, closes, verifies and opens that log.
package func fuzzBatch(_ bytes: RawSpan) {
    guard let batch = batchWithItsChecksum([UInt8](bytes)) else { return }
    let storage = MemoryStorage(isVolatile: false)
    do {
        try storage.makeDirectory(FuzzedLog.directory)
        let log = try FuzzedLog.open(storage)
        for _ in 0..<3 { _ = try log.append(batch: batch.rawSpan, now: FuzzedLog.now) }
        _ = log.endTick(now: FuzzedLog.now)
        try log.close(now: FuzzedLog.now)
    } catch {}
    FuzzedLog.use(storage)
}

/// `bytes` as a batch whose length, version and checksum fit; nil where they are shorter than a header.
package func batchWithItsChecksum(_ bytes: [UInt8]) -> [UInt8]? {
    guard bytes.count >= RecordBatchHeader.byteCount else { return nil }
    var batch = bytes
    batch.patchBig(UInt32(batch.count - RecordBatchHeader.lengthOverhead), at: 8)
    batch[16] = 2
    batch.patchBig(CRC32C.checksum(batch.rawSpan.extracting(RecordBatchHeader.checkedStart..<batch.count)), at: 17)
    return batch
}

/// Puts `bytes`, with the right beginning and checksum, as the checkpoint of a log that is sound otherwise.
package func fuzzCheckpoint(_ bytes: RawSpan) {
    FuzzedLog.use(FuzzedLog.storage(replacing: [LogFiles.checkpoint: decodedCheckpoint(bytes)]))
}

/// The same, decoded and written alone.
package func fuzzCheckpointDecoder(_ bytes: RawSpan) { _ = decodedCheckpoint(bytes) }

private func decodedCheckpoint(_ bytes: RawSpan) -> [UInt8] {
    var content = [UInt8](bytes)
    if content.count >= 16 {
        for (index, byte) in Checkpoint.beginning.enumerated() { content[index] = byte }
        let body = content.count - 4
        let checksum = CRC32C.checksum(content.rawSpan.extracting(0..<body))
        for index in 0..<4 { content[body + index] = UInt8(truncatingIfNeeded: checksum >> UInt32(8 * index)) }
    }
    if let checkpoint = try? Checkpoint(decoding: content.rawSpan) {
        let again = checkpoint.encoded()
        guard let second = try? Checkpoint(decoding: again.rawSpan) else { preconditionFailure("a checkpoint that we wrote cannot be read") }
        precondition(second.encoded() == again, "a checkpoint changes by being read and written")
    }
    return content
}

/// Puts `bytes` as the indexes of a log that was left clean, so that they are believed: first two bytes that say how many of the
/// following belong to the offset index; the rest is the time index.
package func fuzzIndexes(_ bytes: RawSpan) {
    guard bytes.byteCount >= 2 else { return }
    let all = [UInt8](bytes)
    let content = all[2...]
    let split = 2 + min(Int(all[0]) << 8 | Int(all[1]), content.count)
    FuzzedLog.use(
        FuzzedLog.storage(replacing: [
            LogFiles.name(FuzzedLog.firstSegment, .index): Array(content[..<split]),
            LogFiles.name(FuzzedLog.firstSegment, .timeIndex): Array(content[split...]),
        ]))
}

/// One log directory in memory, and everything that is done with logs.
enum FuzzedLog {
    static let directory = "log"
    static let now = Now(instant: Instant(nanoseconds: 1_000_000_000), time: Timestamp(milliseconds: 1_000_000))
    static let firstSegment = Offset.zero

    static var options: Log.Options {
        var options = Log.Options()
        options.segmentBytes = 2_048
        options.indexIntervalBytes = 100
        return options
    }

    static func open(_ storage: MemoryStorage, _ options: Log.Options = FuzzedLog.options) throws(LogError) -> Log {
        try Log(directory: directory, number: 1, options: options, storage: storage, now: now)
    }

    /// The files of a log of several segments that was left clean.
    private static let files: [(name: String, content: [UInt8])] = {
        let storage = MemoryStorage(isVolatile: false)
        var files: [(name: String, content: [UInt8])] = []
        do {
            try storage.makeDirectory(directory)
            let log = try open(storage)
            for number in 0..<60 {
                let payload = [UInt8](repeating: UInt8(number), count: 100)
                let message = MessageParts(
                    key: nil, payload: ByteRange(start: 0, count: 100), timestamp: Timestamp(milliseconds: Int64(1_000 + number * 10)),
                    producerID: Int64(number % 3), producerEpoch: 0, sequence: Int32(number / 3))
                _ = try log.append(message, input: payload.rawSpan, now: now)
                _ = log.endTick(now: now)
                complete(log, storage)
            }
            try log.close(now: now)
            complete(log, storage)
            for entry in try storage.list(directory) {
                guard let content = try storage.content(of: directory + "/" + entry.name, atMost: 1 << 20) else { continue }
                files.append((entry.name, content))
            }
        } catch { preconditionFailure("a log in memory cannot be written: \(error)") }
        return files
    }()

    static func storage(replacing replaced: [String: [UInt8]]) -> MemoryStorage {
        let storage = MemoryStorage(isVolatile: false)
        do {
            try storage.makeDirectory(directory)
            for (name, content) in files { try storage.create(directory + "/" + name, replaced[name] ?? content, syncs: false) }
            for (name, content) in replaced where !files.contains(where: { $0.name == name }) {
                try storage.create(directory + "/" + name, content, syncs: false)
            }
        } catch { preconditionFailure("files in memory cannot be written: \(error)") }
        return storage
    }

    static func complete(_ log: Log, _ storage: MemoryStorage) {
        while let (ticket, result) = storage.nextCompletion() { _ = log.storageCompleted(ticket, result, now: now) }
    }

    /// Verifies; opens, reads, looks up, appends and closes; opens again.
    static func use(_ storage: MemoryStorage) {
        _ = try? LogVerification(directory: directory, storage: storage)
        for _ in 0..<2 {
            do {
                let log = try open(storage)
                read(log)
                for text in ["one", "two"] {
                    let payload = Array(text.utf8)
                    _ = try log.append(MessageParts(key: nil, payload: ByteRange(start: 0, count: payload.count)), input: payload.rawSpan, now: now)
                    _ = log.endTick(now: now)
                    complete(log, storage)
                }
                read(log)
                log.applyRetention(floor: log.watermarks.end, now: now)
                try log.close(now: now)
                complete(log, storage)
            } catch {}
            storage.closeAll()
        }
    }

    private static func read(_ log: Log) {
        for time in [0, 1_000, 1_305, 2_000, Int64.max] { _ = try? log.offset(at: Timestamp(milliseconds: time)) }
        do {
            var at = log.watermarks.start
            while let result = try log.read(from: at, maxBytes: 300, below: log.visibleEnd) {
                precondition(result.next > at, "reading does not get on")
                at = result.next
            }
            at = log.watermarks.start
            while let batch = try log.batch(at: at, below: log.visibleEnd) {
                try log.check(batch)
                let bytes = batch.slice.memory.bytes(batch.slice.range)
                if !batch.isCompressed { walk(bytes) }
                at = batch.lastOffset + 1
            }
        } catch {}
    }

    private static func walk(_ bytes: RawSpan) {
        do throws(ByteError) {
            var reader = try RecordReader(bytes, records: RecordBatchHeader.byteCount..<bytes.byteCount)
            while let record = try reader.next() { _ = RecordHeaderReader.check(bytes, headers: record.headers, count: record.headerCount) }
        } catch {}
    }
}

extension Checkpoint {
    /// Magic and version, as they are stored.
    fileprivate static let beginning: [UInt8] = {
        var buffer = ByteBuffer()
        buffer.append(little: magic)
        buffer.append(little: version)
        return [UInt8](buffer.bytes)
    }()
}

extension [UInt8] {
    fileprivate mutating func patchBig(_ value: UInt32, at position: Int) {
        for index in 0..<4 { self[position + index] = UInt8(truncatingIfNeeded: value >> UInt32(24 - 8 * index)) }
    }
}
