// What the tests of the log share: a clock that is told, batches made of texts, and a log on a disk in memory.
import Bytes

@testable import SegmentLog

/// A log on a disk in memory, with its clock. Completions are handed in when the test asks for it.
final class Bench {
    let disk: MemoryStorage
    let storage: any LogStorage
    var log: Log
    var options: Log.Options
    let cache: SegmentCache
    var now = Now(instant: Instant(nanoseconds: 1_000_000_000), time: Timestamp(milliseconds: 1_000_000))

    init(
        _ options: Log.Options = small(), disk: MemoryStorage = MemoryStorage(isVolatile: false), storage: (any LogStorage)? = nil,
        cache: SegmentCache = SegmentCache()
    ) throws {
        self.disk = disk
        self.cache = cache
        self.storage = storage ?? disk
        self.options = options
        log = try Log(directory: "logs/1-0", number: 7, options: options, storage: self.storage, now: now, cache: cache)
    }

    func pass(milliseconds: Int64) {
        now = Now(
            instant: now.instant.advanced(byNanoseconds: UInt64(milliseconds) * 1_000_000),
            time: Timestamp(milliseconds: now.time.rawValue + milliseconds))
    }

    /// Ends ticks and hands completions in until nothing is left to do.
    func settle() {
        while true {
            log.endTick(now: now)
            var answered = false
            while let (ticket, result) = disk.nextCompletion() {
                answered = true
                _ = log.storageCompleted(ticket, result, now: now)
            }
            if !answered && !log.needsTick { return }
        }
    }

    /// As if the process had been killed.
    func kill() throws {
        disk.closeAll()
        try reopen()
    }

    func reopen() throws { log = try Log(directory: "logs/1-0", number: 7, options: options, storage: storage, now: now, cache: cache) }

    @discardableResult
    func append(_ text: String, producer: (id: Int64, epoch: Int16, sequence: Int32)? = nil, timestamp: Int64? = nil) throws -> AppendResult {
        let input = [UInt8](text.utf8)
        let parts = MessageParts(
            key: nil, payload: ByteRange(start: 0, count: input.count), timestamp: timestamp.map { Timestamp(milliseconds: $0) },
            producerID: producer?.id ?? -1, producerEpoch: producer?.epoch ?? -1, sequence: producer?.sequence ?? -1)
        return try log.append(parts, input: input.rawSpan, now: now)
    }

    @discardableResult
    func append(batch bytes: [UInt8]) throws -> AppendResult { try log.append(batch: bytes.rawSpan, now: now) }

    /// Every record from `offset` on that may be seen, as (offset, text).
    func texts(from offset: Offset? = nil, below limit: Offset? = nil, maxBytes: Int = 1 << 20) throws -> [(Int64, String)] {
        var at = offset ?? log.watermarks.start
        let limit = limit ?? log.visibleEnd
        var found: [(Int64, String)] = []
        while let result = try log.read(from: at, maxBytes: maxBytes, below: limit) {
            let bytes = [UInt8](result.slice.memory.bytes(result.slice.range))
            for (offset, text) in try records(in: bytes) where offset >= at.rawValue { found.append((offset, text)) }
            at = result.next
        }
        return found
    }
}

/// A disk in memory that counts, and has too little of something on demand.
final class CountingDisk: LogStorage {
    let disk: MemoryStorage
    /// By the end of the name.
    var opened: [String: Int] = [:]
    var mapped = 0
    var prepared = 0
    var admitted = true
    /// So many mappings are refused for want of memory.
    var refusedMappings = 0
    var failsPreparing = false

    init(_ disk: MemoryStorage) { self.disk = disk }

    func open(_ path: String, _ mode: OpenMode) throws(StorageError) -> FileHandle {
        opened[String(path.split(separator: ".").last ?? ""), default: 0] += 1
        return try disk.open(path, mode)
    }
    func map(_ file: FileHandle, length: Int) throws(StorageError) -> SegmentMemory {
        if refusedMappings > 0 {
            refusedMappings -= 1
            throw StorageError(operation: "mmap", path: "anonymous", code: 12, reason: "out of memory")
        }
        mapped += 1
        return try disk.map(file, length: length)
    }
    func start(_ operation: StorageOperation, ticket: StorageTicket) {
        guard case .prepare(_, let size) = operation else { return disk.start(operation, ticket: ticket) }
        prepared += 1
        disk.start(failsPreparing ? .prepare(path: "nowhere/segment", size: size) : operation, ticket: ticket)
    }
    func admitsLogs(_ count: Int) -> Bool { admitted }

    func makeDirectory(_ path: String) throws(StorageError) { try disk.makeDirectory(path) }
    func list(_ directory: String) throws(StorageError) -> [DirectoryEntry] { try disk.list(directory) }
    func close(_ file: FileHandle) throws(StorageError) { try disk.close(file) }
    func size(of file: FileHandle) throws(StorageError) -> Int { try disk.size(of: file) }
    func read(_ file: FileHandle, at position: Int, count: Int, into buffer: inout ByteBuffer) throws(StorageError) {
        try disk.read(file, at: position, count: count, into: &buffer)
    }
    func write(_ file: FileHandle, _ pieces: [MemoryRegion], at position: Int) throws(StorageError) { try disk.write(file, pieces, at: position) }
    func truncate(_ file: FileHandle, to length: Int) throws(StorageError) { try disk.truncate(file, to: length) }
    func rename(_ path: String, to newPath: String) throws(StorageError) { try disk.rename(path, to: newPath) }
    func remove(_ path: String) throws(StorageError) { try disk.remove(path) }
    func sync(_ file: FileHandle) throws(StorageError) { try disk.sync(file) }
    func syncDirectory(_ path: String) throws(StorageError) { try disk.syncDirectory(path) }
    func dropCache(_ file: FileHandle) { disk.dropCache(file) }
}

func small(_ durability: Durability = .group) -> Log.Options {
    var options = Log.Options()
    options.durability = durability
    options.segmentBytes = 1_000
    options.indexIntervalBytes = 200
    return options
}

/// One batch of these texts.
func batch(
    _ texts: [String], producer: (id: Int64, epoch: Int16, sequence: Int32)? = nil, timestamp: Int64 = 1_000_000
) -> [UInt8] {
    var buffer = ByteBuffer()
    var builder = RecordBatchBuilder(
        into: &buffer, producerID: producer?.id ?? -1, producerEpoch: producer?.epoch ?? -1, baseSequence: producer?.sequence ?? -1)
    for (index, text) in texts.enumerated() {
        builder.append(key: nil, value: [UInt8](text.utf8), timestamp: Timestamp(milliseconds: timestamp + Int64(index)), into: &buffer)
    }
    builder.finish(into: &buffer)
    return [UInt8](buffer.bytes)
}

/// One batch of one message of zeros.
func batch(zeros count: Int) -> [UInt8] {
    var buffer = ByteBuffer()
    var builder = RecordBatchBuilder(into: &buffer, producerID: -1, producerEpoch: -1, baseSequence: -1)
    builder.append(key: nil, value: [UInt8](repeating: 0, count: count), timestamp: Timestamp(milliseconds: 1_000_000), into: &buffer)
    builder.finish(into: &buffer)
    return [UInt8](buffer.bytes)
}

/// The records of whole batches, as (offset, text).
func records(in bytes: [UInt8]) throws -> [(Int64, String)] {
    var found: [(Int64, String)] = []
    var at = 0
    while at < bytes.count {
        let header = try RecordBatchHeader(decoding: bytes.rawSpan, at: at)
        let whole = [UInt8](bytes[at..<at + header.totalByteCount])
        var reader = try RecordReader(whole.rawSpan, records: RecordBatchHeader.byteCount..<whole.count)
        while let record = try reader.next() {
            let value = record.value.map { String(decoding: whole[$0.indices], as: UTF8.self) } ?? "(null)"
            found.append((header.baseOffset.rawValue + Int64(record.offsetDelta), value))
        }
        at += header.totalByteCount
    }
    return found
}

extension LogStorage {
    func content(_ path: String) throws -> [UInt8] {
        let file = try open(path, .read)
        var buffer = ByteBuffer()
        try read(file, at: 0, count: try size(of: file), into: &buffer)
        try close(file)
        return [UInt8](buffer.bytes)
    }

    func put(_ content: [UInt8], _ path: String) throws {
        try? remove(path)
        let file = try open(path, .create)
        try write(file, content)
        try close(file)
    }

    /// A disk with the same files.
    func copy(_ directory: String) throws -> MemoryStorage {
        let disk = MemoryStorage(isVolatile: false)
        try disk.makeDirectory(directory)
        for entry in try list(directory) { try disk.put(try content(directory + "/" + entry.name), directory + "/" + entry.name) }
        return disk
    }
}

/// Numbers from a seed (SplitMix64).
struct Seeded: RandomNumberGenerator {
    var state: UInt64
    init(_ seed: Int) { state = UInt64(seed) &* 0x9e37_79b9_7f4a_7c15 }
    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}
