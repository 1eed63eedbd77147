package import Bytes

/// Files in memory: the storage of memory topics, and a disk for tests.
///
/// Volatile (memory topics): a log on it never starts an operation that it waits for; its flushed watermark moves within
/// `endTick`, nothing is ever recovered, and no completion is reported, so its user has nothing to drain.
/// Not volatile (tests): everything behaves as on a disk. An operation is carried out when it is started, and its completion
/// waits in a queue for `nextCompletion`.
package final class MemoryStorage: LogStorage {
    private final class File {
        var memory: AnonymousMemory?
        var size = 0
    }

    package let isVolatile: Bool
    /// For tests of what happens meanwhile.
    package var readiesInBackground = false
    /// For tests: whoever waits does so in vain.
    package var isStalled = false
    /// For tests: what mappings say of their pages.
    package var pages: (any MemoryPages)?
    private var directories: [String: [String: File]] = [:]
    private var handles: [Int32: File] = [:]
    private var nextHandle: Int32 = 1
    /// What all files take.
    package private(set) var bytes = 0
    private var completions: [(StorageTicket, StorageResult)] = []

    package init(isVolatile: Bool = true) { self.isVolatile = isVolatile }

    /// The oldest completion that was not taken yet.
    package func nextCompletion() -> (StorageTicket, StorageResult)? { completions.isEmpty ? nil : completions.removeFirst() }

    package func wait(for ticket: StorageTicket, atMost nanoseconds: UInt64) -> StorageResult? {
        if isStalled { return nil }
        guard let index = completions.firstIndex(where: { $0.0 == ticket }) else { preconditionFailure("nothing that was started") }
        return completions.remove(at: index).1
    }

    /// What the end of a process does: nothing is open any more, nothing is answered any more.
    package func closeAll() {
        handles = [:]
        completions = []
    }

    /// Files that are open now.
    package var openCount: Int { handles.count }

    // MARK: Files

    package func makeDirectory(_ path: String) throws(StorageError) {
        if directories[path] == nil { directories[path] = [:] }
    }

    package func list(_ directory: String) throws(StorageError) -> [DirectoryEntry] {
        guard let files = directories[directory] else { return [] }
        let entries = files.map { DirectoryEntry(name: $0.key, size: $0.value.size, isDirectory: false) }
        return entries.sorted { $0.name < $1.name }
    }

    package func open(_ path: String, _ mode: OpenMode) throws(StorageError) -> FileHandle {
        let (directory, name) = split(path)
        let file: File
        if mode == .create {
            guard directories[directory] != nil else { throw failure("open", path, 2, "no such directory") }
            guard directories[directory]?[name] == nil else { throw failure("open", path, 17, "the file exists") }
            file = File()
            directories[directory]?[name] = file
        } else {
            guard let found = directories[directory]?[name] else { throw failure("open", path, 2, "no such file") }
            file = found
        }
        let handle = nextHandle
        nextHandle += 1
        handles[handle] = file
        return FileHandle(rawValue: handle)
    }

    package func close(_ file: FileHandle) throws(StorageError) { handles[file.rawValue] = nil }

    package func size(of file: FileHandle) throws(StorageError) -> Int { try find(file, "stat").size }

    package func read(_ file: FileHandle, at position: Int, count: Int, into buffer: inout ByteBuffer) throws(StorageError) {
        let file = try find(file, "read")
        guard let memory = file.memory, position < file.size else { return }
        let end = min(file.size, position + count)
        buffer.append(memory.view(end).bytes(position..<end))
    }

    package func write(_ file: FileHandle, _ pieces: [MemoryRegion], at position: Int) throws(StorageError) {
        let file = try find(file, "write")
        var end = position
        for piece in pieces { end += piece.count }
        let memory = try memory(of: file, atLeast: end)
        var at = position
        for piece in pieces {
            memory.write(piece, at: at)
            at += piece.count
        }
        file.size = max(file.size, end)
    }

    package func map(_ file: FileHandle, length: Int) throws(StorageError) -> SegmentMemory {
        let file = try find(file, "map")
        return try memory(of: file, atLeast: length).view(length, pages)
    }

    package func truncate(_ file: FileHandle, to length: Int) throws(StorageError) {
        let file = try find(file, "truncate")
        if length < file.size { file.memory?.zero(length..<file.size) }
        file.size = length
        _ = try memory(of: file, atLeast: length)
    }

    package func rename(_ path: String, to newPath: String) throws(StorageError) {
        let (directory, name) = split(path)
        let (newDirectory, newName) = split(newPath)
        guard let file = directories[directory]?.removeValue(forKey: name) else { throw failure("rename", path, 2, "no such file") }
        directories[newDirectory]?[newName] = file
    }

    package func remove(_ path: String) throws(StorageError) {
        let (directory, name) = split(path)
        if let gone = directories[directory]?.removeValue(forKey: name) {
            bytes -= gone.memory?.capacity ?? 0
            return
        }
        guard directories[path]?.isEmpty == true else { throw failure("remove", path, 2, "no such file, or not empty") }
        directories[path] = nil
    }

    package func sync(_ file: FileHandle) throws(StorageError) { _ = try find(file, "fsync") }
    package func syncDirectory(_ path: String) throws(StorageError) {}
    package func dropCache(_ file: FileHandle) {}

    // MARK: Operations

    package func start(_ operation: StorageOperation, ticket: StorageTicket) {
        var result = StorageResult.done
        do throws(StorageError) {
            switch operation {
            case .flush(let files, _): for file in files { try sync(file) }
            case .prepare(let path, let size):
                let file = try open(path, .create)
                try truncate(file, to: size)
                result = .prepared(file)
            case .ready(let readying):
                if readying.makesDirectory { try makeDirectory(readying.directory) }
                for path in readying.stale where exists(path) { try remove(path) }
                if let cut = readying.cut { try truncate(cut.file, to: cut.length) }
                let (directory, name) = split(readying.checkpoint.path)
                directories[directory]?[name] = nil
                let checkpoint = try open(readying.checkpoint.path, .create)
                try write(checkpoint, readying.checkpoint.content)
                try close(checkpoint)
                if let segment = readying.segment { result = .prepared(try open(segment, .create)) }
            case .load(let memory, let parts, _, _): for part in parts { memory.load(part) }
            case .seal(let file, let length): try truncate(file, to: length)
            case .replace(let path, let content):
                let (directory, name) = split(path)
                directories[directory]?[name] = nil
                let file = try open(path, .create)
                try write(file, content)
                try close(file)
            case .remove(let files, let paths, _):
                for file in files { try close(file) }
                for path in paths where exists(path) { try remove(path) }
            case .compact(let step): result = .compacted(step.run(on: self) { _ in })
            }
        } catch {
            result = .failed(error)
        }
        if !isVolatile { completions.append((ticket, result)) }
    }

    // MARK: Private parts

    /// Memory of the file with room for `length` bytes. A view taken before it grew keeps showing the older, shorter memory.
    private func memory(of file: File, atLeast length: Int) throws(StorageError) -> AnonymousMemory {
        if let memory = file.memory, memory.capacity >= length { return memory }
        guard let bigger = AnonymousMemory(capacity: max(length, (file.memory?.capacity ?? 0) * 2)) else {
            throw failure("mmap", "anonymous", 12, "out of memory")
        }
        file.memory?.copy(to: bigger, count: file.size)
        bytes += bigger.capacity - (file.memory?.capacity ?? 0)
        file.memory = bigger
        return bigger
    }

    private func find(_ handle: FileHandle, _ operation: String) throws(StorageError) -> File {
        guard let file = handles[handle.rawValue] else { throw failure(operation, "handle \(handle.rawValue)", 9, "bad file descriptor") }
        return file
    }

    private func exists(_ path: String) -> Bool {
        let (directory, name) = split(path)
        return directories[directory]?[name] != nil
    }

    private func split(_ path: String) -> (directory: String, name: String) {
        guard let slash = path.lastIndex(of: "/") else { return ("", path) }
        return (String(path[..<slash]), String(path[path.index(after: slash)...]))
    }

    private func failure(_ operation: String, _ path: String, _ code: Int32, _ reason: String) -> StorageError {
        StorageError(operation: operation, path: path, code: code, reason: reason)
    }
}
