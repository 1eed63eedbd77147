import Bytes
import SegmentLog

/// A disk whose n-th changing operation fails: once (EIO), or with all that follow that take room (ENOSPC).
final class FailingStorage: LogStorage {
    enum Fault: Sendable { case ioError, diskFull }

    let inner: MemoryStorage
    let fault: Fault
    let failAt: Int
    private(set) var operations = 0
    private(set) var failures = 0
    private var completions: [(StorageTicket, StorageResult)] = []
    var isHealed = false

    init(_ inner: MemoryStorage, _ fault: Fault, at failAt: Int) {
        self.inner = inner
        self.fault = fault
        self.failAt = failAt
    }

    var isVolatile: Bool { false }

    private func count(_ operation: String, _ path: String, takesRoom: Bool) throws(StorageError) {
        operations += 1
        guard !isHealed else { return }
        switch fault {
        case .ioError:
            guard operations == failAt else { return }
            failures += 1
            throw StorageError(operation: operation, path: path, code: 5, reason: "input/output error")
        case .diskFull:
            guard operations >= failAt, takesRoom else { return }
            failures += 1
            throw StorageError(operation: operation, path: path, code: 28, reason: "no space left on device")
        }
    }

    func nextCompletion() -> (StorageTicket, StorageResult)? { completions.isEmpty ? inner.nextCompletion() : completions.removeFirst() }

    func makeDirectory(_ path: String) throws(StorageError) {
        try count("mkdir", path, takesRoom: true)
        try inner.makeDirectory(path)
    }
    func list(_ directory: String) throws(StorageError) -> [DirectoryEntry] { try inner.list(directory) }
    func open(_ path: String, _ mode: OpenMode) throws(StorageError) -> FileHandle {
        if mode == .create { try count("create", path, takesRoom: true) }
        return try inner.open(path, mode)
    }
    func close(_ file: FileHandle) throws(StorageError) { try inner.close(file) }
    func size(of file: FileHandle) throws(StorageError) -> Int { try inner.size(of: file) }
    func read(_ file: FileHandle, at position: Int, count: Int, into buffer: inout ByteBuffer) throws(StorageError) {
        try inner.read(file, at: position, count: count, into: &buffer)
    }
    func write(_ file: FileHandle, _ pieces: [MemoryRegion], at position: Int) throws(StorageError) {
        try count("write", "", takesRoom: true)
        try inner.write(file, pieces, at: position)
    }
    func map(_ file: FileHandle, length: Int) throws(StorageError) -> SegmentMemory { try inner.map(file, length: length) }
    func truncate(_ file: FileHandle, to length: Int) throws(StorageError) {
        try count("truncate", "", takesRoom: false)
        try inner.truncate(file, to: length)
    }
    func rename(_ path: String, to newPath: String) throws(StorageError) {
        try count("rename", path, takesRoom: false)
        try inner.rename(path, to: newPath)
    }
    func remove(_ path: String) throws(StorageError) {
        try count("remove", path, takesRoom: false)
        try inner.remove(path)
    }
    func sync(_ file: FileHandle) throws(StorageError) {
        try count("fsync", "", takesRoom: false)
        try inner.sync(file)
    }
    func syncDirectory(_ path: String) throws(StorageError) {
        try count("fsync", path, takesRoom: false)
        try inner.syncDirectory(path)
    }
    func dropCache(_ file: FileHandle) { inner.dropCache(file) }

    func start(_ operation: StorageOperation, ticket: StorageTicket) {
        var takesRoom = false
        switch operation {
        case .prepare, .replace: takesRoom = true
        default: break
        }
        do throws(StorageError) {
            try count("start", "\(operation)", takesRoom: takesRoom)
            inner.start(operation, ticket: ticket)
        } catch { completions.append((ticket, .failed(error))) }
    }
}
