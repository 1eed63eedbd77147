internal import Bytes
internal import LinuxSystem
internal import SegmentLog
internal import Synchronization

/// Reads a file front to back past the page cache, several chunks at once, ahead of the thread that looks at them.
///
/// Why past the cache: recovery wants what is on the disk (S10), and memory that a virtual machine's host has not backed yet makes
/// filling the cache cost more than the disk does (measured: 2x). Whatever goes wrong in here, the file is read plainly instead, and
/// that read says what is wrong. Used by one thread.
final class ReadAhead: FileStream {
    /// Below this many bytes plain reads do as well.
    static let smallest = 256 << 10

    private let plain: File
    private let direct: DirectFile
    private let pool: ReadChunks
    private let end: Int
    /// Under way or read, in the order of the file.
    private var chunks: [ReadChunk] = []
    /// Where the next chunk begins.
    private var next: Int

    /// nil where the file system reads through its cache only.
    init?(_ file: File, from position: Int, to end: Int, _ pool: ReadChunks) {
        guard let direct = DirectFile(file) else { return nil }
        plain = file
        self.direct = direct
        self.pool = pool
        self.end = end
        next = position & ~(ReadChunk.alignment - 1)
        startMore()
    }

    deinit { pool.give(back: chunks) }

    func read(at position: Int, count: Int, into buffer: inout ByteBuffer) throws(StorageError) {
        var at = position
        let stop = min(position + count, end)
        while at < stop {
            guard let chunk = chunk(at: at) else { return try readPlainly(at, stop - at, &buffer) }
            guard case .some(let bytes) = chunk.wait() else { return try readPlainly(at, stop - at, &buffer) }
            let from = at - chunk.position
            let to = min(bytes, stop - chunk.position)
            // The file is shorter than it was.
            guard from < to else { return try readPlainly(at, stop - at, &buffer) }
            chunk.append(from..<to, to: &buffer)
            at = chunk.position + to
        }
    }

    private func readPlainly(_ position: Int, _ count: Int, _ buffer: inout ByteBuffer) throws(StorageError) {
        do throws(Errno) {
            try plain.read(at: position, count: count, into: &buffer)
        } catch {
            throw StorageError("read", plain.path, error)
        }
    }

    /// The chunk with `position`; what lies before it is done with.
    private func chunk(at position: Int) -> ReadChunk? {
        if let first = chunks.first, position < first.position || position >= next {
            // Not the one that follows: begin anew there.
            pool.give(back: chunks)
            chunks = []
            next = position & ~(ReadChunk.alignment - 1)
        }
        while let first = chunks.first, position >= first.position + ReadChunk.byteCount {
            chunks.removeFirst()
            pool.give(back: [first])
        }
        startMore()
        return chunks.first
    }

    private func startMore() {
        while chunks.count < ReadChunks.depth, next < end {
            guard let chunk = pool.start(direct, at: next) else { return }
            chunks.append(chunk)
            next += ReadChunk.byteCount
        }
    }
}

/// The threads that read, and memory to read into, for all streams of a storage.
final class ReadChunks {
    /// Chunks of one stream that are under way or read.
    static let depth = 6
    private static let threads = 4

    private let queue: WorkQueue<ReadChunk>
    private var idle: [ReadChunk] = []

    init() throws(Errno) {
        queue = try WorkQueue("read", threadsMax: ReadChunks.threads) { $0.run() }
    }

    func stop() { queue.stop() }

    /// nil when the system has no descriptor left.
    func start(_ file: DirectFile, at position: Int) -> ReadChunk? {
        guard let chunk = idle.popLast() ?? ReadChunk() else { return nil }
        chunk.begin(file, at: position)
        queue.add(chunk)
        return chunk
    }

    /// Those that were read are used again; those still under way go when their read ends.
    func give(back chunks: [ReadChunk]) {
        for chunk in chunks where chunk.isRead && idle.count < 2 * ReadChunks.depth { idle.append(chunk) }
    }

    func release() {
        if !idle.isEmpty { idle = [] }
    }
}

/// A file opened once more, past the page cache; closed with the last chunk that reads from it.
final class DirectFile: Sendable {
    let file: File

    init?(_ file: File) {
        guard let opened = try? File.open("/proc/self/fd/\(file.descriptor)", .direct) else { return nil }
        self.file = opened
    }

    deinit { try? file.close() }
}

/// A piece of a file, read by a helper thread.
///
/// Why `@unchecked Sendable` holds: between `begin` and the end of `run` only the helper thread touches memory and place, before and
/// after that only the stream's thread; both pass it on through the queue's lock and `result`'s.
@safe
final class ReadChunk: @unchecked Sendable {
    static let byteCount = 2 << 20
    static let alignment = 4_096

    private(set) var position = 0
    private var file: DirectFile?
    // Safety: `byteCount` bytes, freed in deinit only; whoever reads into them holds this object.
    private let memory: UnsafeMutableRawPointer
    private let result = Mutex<Result<Int, Errno>?>(nil)
    private let signal: EventCounter
    private var known: Result<Int, Errno>?

    init?() {
        guard let signal = try? EventCounter(.semaphore) else { return nil }
        self.signal = signal
        unsafe memory = .allocate(byteCount: ReadChunk.byteCount, alignment: ReadChunk.alignment)
    }

    deinit {
        // Safety: see `memory`.
        unsafe memory.deallocate()
        signal.close()
    }

    func begin(_ file: DirectFile, at position: Int) {
        self.position = position
        self.file = file
        known = nil
        result.withLock { $0 = nil }
    }

    func run() {
        var answer = Result<Int, Errno>.success(0)
        if let file {
            do throws(Errno) {
                // Safety: `byteCount` bytes, this thread's until it says so.
                answer = .success(unsafe try file.file.read(at: position, into: UnsafeMutableRawBufferPointer(start: memory, count: ReadChunk.byteCount)))
            } catch { answer = .failure(error) }
        }
        file = nil
        let done = answer
        result.withLock { $0 = done }
        signal.raise()
    }

    /// How many bytes there are, once they are; nil when they could not be read.
    func wait() -> Int? {
        if known == nil {
            signal.take()
            known = result.withLock { $0 }
        }
        guard case .success(let count)? = known else { return nil }
        return count
    }

    /// Read, and waited for.
    var isRead: Bool { known != nil }

    func append(_ range: Range<Int>, to buffer: inout ByteBuffer) {
        precondition(known != nil && range.lowerBound >= 0 && range.upperBound <= ReadChunk.byteCount)
        // Safety: inside the memory, which nobody writes now; the span ends with this call.
        let span = unsafe RawSpan(_unsafeStart: UnsafeRawPointer(memory) + range.lowerBound, byteCount: range.count)
        buffer.append(span)
    }
}
