package import Bytes
internal import LinuxSystem
package import SegmentLog
internal import Synchronization

/// Files of the system as the storage of logs. Belongs to a shard's thread; what is slow runs elsewhere and is answered by ticket.
///
/// Flushes go through the ring where there is one (`RingFlusher`), else to helper threads. Changes of names (replacing, readying,
/// removing) go to one helper thread, in the order they were started and many at once (`NamingBatch`); what writes much (preparing,
/// sealing) to another. Every failure names operation, path and reason.
package final class LinuxStorage: LogStorage {
    private let completed: CompletedOperations
    private let naming: WorkQueue<BackgroundOperation>
    private let crew: FlushCrew
    private let writing: WorkQueue<BackgroundOperation>
    private let loading: WorkQueue<BackgroundOperation>
    private let flushing: WorkQueue<BackgroundOperation>
    /// Compaction takes seconds: nothing else waits behind it.
    private let compacting: WorkQueue<BackgroundOperation>
    private let flusher: RingFlusher?
    private let chunks: ReadChunks
    /// Vectors of the write under way, kept to be used again.
    private let gather = GatherList(capacity: 64)
    /// Directories whose names were made durable since this process holds them.
    private var durableDirectories: Set<String> = []

    /// Without a driver, for tools: completions are taken by `takeCompleted`.
    package convenience init() throws(StorageError) {
        do { try self.init(waker: nil, flusher: nil) } catch { throw StorageError("eventfd", "", error) }
    }

    /// - Parameter waker: is used when a helper thread has an answer.
    init(waker: (any Waker)?, flusher: RingFlusher?) throws(Errno) {
        let completed = CompletedOperations(waker)
        self.completed = completed
        self.flusher = flusher
        let crew = try FlushCrew()
        self.crew = crew
        naming = try WorkQueue("names", jobsMax: 256) { (jobs: [BackgroundOperation]) in NamingBatch.run(jobs, crew) { completed.add($0, $1) } }
        writing = try WorkQueue("storage") { completed.add($0.ticket, $0.run()) }
        // Readers of several logs wait for the disk at once.
        loading = try WorkQueue("load", threadsMax: 4) { completed.add($0.ticket, $0.run()) }
        // Several logs flush independently; each thread waits for the disk, not for the processor.
        flushing = try WorkQueue("flush", threadsMax: 4) { completed.add($0.ticket, $0.run()) }
        chunks = try ReadChunks()
        compacting = try WorkQueue("compaction") { completed.add($0.ticket, $0.run()) }
    }

    deinit {
        naming.stop()
        crew.stop()
        writing.stop()
        loading.stop()
        flushing.stop()
        chunks.stop()
        compacting.stop()
    }

    /// Hands over what helper threads have finished.
    package func takeCompleted() -> [(ticket: StorageTicket, result: StorageResult)] { completed.take() }

    // MARK: At once

    package func makeDirectory(_ path: String) throws(StorageError) {
        let parent = FileSystem.parent(of: path)
        do throws(Errno) {
            let found = try FileSystem.status(of: path)
            guard found.isDirectory else { throw Errno.exists }
            // It may have been made by a process that was killed before its name was durable.
            if !durableDirectories.contains(parent) { try syncNames(parent) }
            return
        } catch .noEntry {
        } catch {
            throw StorageError("mkdir", path, error)
        }
        if parent != ".", parent != "/" { try makeDirectory(parent) }
        try storing("mkdir", path) { () throws(Errno) in try FileSystem.makeDirectory(path) }
        do { try syncNames(parent) } catch { throw StorageError("fsync", parent, error) }
    }

    private func syncNames(_ directory: String) throws(Errno) {
        try FileSystem.syncDirectory(directory)
        durableDirectories.insert(directory)
    }

    package func list(_ directory: String) throws(StorageError) -> [DirectoryEntry] {
        do {
            return try FileSystem.list(directory).map { DirectoryEntry(name: $0.name, size: $0.size, isDirectory: $0.isDirectory) }
        } catch .noEntry {
            return []
        } catch {
            throw StorageError("list", directory, error)
        }
    }

    package func open(_ path: String, _ mode: OpenMode) throws(StorageError) -> FileHandle {
        let options: File.OpenOptions =
            switch mode {
            case .read: []
            case .readWrite: .readWrite
            case .create: [.readWrite, .exclusive]
            }
        let file = try storing(mode == .create ? "create" : "open", path) { () throws(Errno) in try File.open(path, options) }
        return FileHandle(rawValue: file.descriptor)
    }

    package func close(_ file: FileHandle) throws(StorageError) { try onFile("close", file) { (file: File) throws(Errno) in try file.close() } }

    package func size(of file: FileHandle) throws(StorageError) -> Int {
        try onFile("fstat", file) { (file: File) throws(Errno) in try file.status().size }
    }

    package func read(_ file: FileHandle, at position: Int, count: Int, into buffer: inout ByteBuffer) throws(StorageError) {
        do {
            try File(file).read(at: position, count: count, into: &buffer)
        } catch {
            throw StorageError("read", File(file).path, error)
        }
    }

    package func stream(_ file: FileHandle, from position: Int) throws(StorageError) -> any FileStream {
        let size = try size(of: file)
        guard size - position >= ReadAhead.smallest, let stream = ReadAhead(File(file), from: position, to: size, chunks) else {
            return PlainStream(file, of: self)
        }
        return stream
    }

    package func write(_ file: FileHandle, _ pieces: [MemoryRegion], at position: Int) throws(StorageError) {
        let gather = gather
        try onFile("write", file) { (file: File) throws(Errno) in
            if pieces.count == 1 {
                try file.write(pieces[0], at: position)
            } else {
                gather.load(pieces)
                try file.write(gather, at: position)
            }
        }
    }

    package func map(_ file: FileHandle, length: Int) throws(StorageError) -> SegmentMemory {
        let mapped = try onFile("mmap", file) { (file: File) throws(Errno) in try MappedFile(file.descriptor, length: max(1, length)) }
        // Safety: the mapping is the memory's owner and goes with it.
        return unsafe SegmentMemory(
            base: mapped.base, count: length, file: mapped.file.map { FileHandle(rawValue: $0.descriptor) }, owner: mapped, pages: mapped)
    }

    package func truncate(_ file: FileHandle, to length: Int) throws(StorageError) {
        try onFile("truncate", file) { (file: File) throws(Errno) in try file.truncate(to: length) }
    }

    package func rename(_ path: String, to newPath: String) throws(StorageError) {
        try storing("rename to \(newPath):", path) { () throws(Errno) in try FileSystem.rename(path, to: newPath) }
    }

    package func remove(_ path: String) throws(StorageError) { try BackgroundOperation.remove(path) }

    package func sync(_ file: FileHandle) throws(StorageError) { try onFile("fsync", file) { (file: File) throws(Errno) in try file.sync() } }

    package func syncDirectory(_ path: String) throws(StorageError) {
        try storing("fsync", path) { () throws(Errno) in try FileSystem.syncDirectory(path) }
    }

    package func dropCache(_ file: FileHandle) { File(file).dropCache() }

    package func space(of path: String) -> (free: Int, total: Int)? {
        guard let found = try? SystemLimits.filesystem(of: path) else { return nil }
        return (Int(found.freeBytes), Int(found.totalBytes))
    }

    /// A sixteenth of the descriptors is kept for new segments of open logs and for the broker's own. Opening a log takes several for a moment.
    package func admitsLogs(_ count: Int) -> Bool {
        let most = SystemLimits.openFiles.soft
        guard let next = SystemLimits.nextDescriptor else { return false }
        return UInt64(next + 4 * count) < most - max(most / 16, min(64, most / 2))
    }

    // MARK: By ticket

    package var readiesInBackground: Bool { true }

    package func wait(for ticket: StorageTicket, atMost nanoseconds: UInt64) -> StorageResult? { completed.wait(for: ticket, atMost: nanoseconds) }

    package func start(_ operation: StorageOperation, ticket: StorageTicket) {
        // Logs are at work: whatever was recovered has been.
        chunks.release()
        let background = BackgroundOperation(operation: operation, ticket: ticket)
        let files: [FileHandle]
        let directories: [String]
        switch operation {
        case .flush(let covered, let named): (files, directories) = (covered, named)
        case .prepare, .seal: return writing.add(background)
        case .load: return loading.add(background)
        case .compact: return compacting.add(background)
        case .ready, .replace, .remove: return naming.add(background)
        }
        if files.isEmpty, directories.isEmpty {
            completed.add(ticket, .done)
        } else if let flusher {
            if let result = flusher.start(files, directories, ticket) { completed.add(ticket, result) }
        } else {
            flushing.add(background)
        }
    }
}

/// What helper threads have finished and the shard has not yet seen.
final class CompletedOperations: Sendable {
    private let list = Mutex<[(ticket: StorageTicket, result: StorageResult)]>([])
    private let waker: (any Waker)?

    init(_ waker: (any Waker)?) { self.waker = waker }

    func add(_ ticket: StorageTicket, _ result: StorageResult) {
        list.withLock { $0.append((ticket, result)) }
        waker?.wake()
    }

    /// For what should not happen often: looks every now and then.
    func wait(for ticket: StorageTicket, atMost nanoseconds: UInt64) -> StorageResult? {
        let start = Clock.monotonic
        while true {
            let found = list.withLock { list in
                list.firstIndex { $0.ticket == ticket }.map { list.remove(at: $0).result }
            }
            if let found { return found }
            if Clock.monotonic &- start > nanoseconds { return nil }
            Clock.sleep(nanoseconds: 100_000)
        }
    }

    func take() -> [(ticket: StorageTicket, result: StorageResult)] {
        list.withLock { list in
            var taken: [(ticket: StorageTicket, result: StorageResult)] = []
            swap(&taken, &list)
            return taken
        }
    }
}

extension File {
    init(_ handle: FileHandle) { self.init(descriptor: handle.rawValue) }
}

extension StorageError {
    init(_ operation: String, _ path: String, _ error: Errno) {
        self.init(operation: operation, path: path, code: error.rawValue, reason: error.description)
    }
}

/// Names what failed, and where.
func storing<R>(_ operation: String, _ path: @autoclosure () -> String, _ body: () throws(Errno) -> R) throws(StorageError) -> R {
    do { return try body() } catch { throw StorageError(operation, path(), error) }
}

/// The same for an open file, whose path the system knows.
func onFile<R>(_ operation: String, _ handle: FileHandle, _ body: (File) throws(Errno) -> R) throws(StorageError) -> R {
    let file = File(handle)
    do { return try body(file) } catch { throw StorageError(operation, file.path, error) }
}

extension MappedFile: MemoryPages {}
