internal import Bytes
internal import SegmentLog

/// The files of a stopped log as a picture in memory that tests may spoil and put right again: `LogStorage` for recoveries, a million of
/// them in a minute. It takes no changes, since opening a log makes none.
final class PictureStorage: LogStorage {
    private(set) var files: [File] = []
    private let directory: String
    private var open: [Int?] = []
    /// What its user changed, against the promise that opening a log changes nothing.
    private(set) var violations: [Violation] = []

    struct File {
        var name: String
        /// As it was.
        let original: [UInt8]
        /// As it is. Larger than the file, so that it can be mapped as far as the log may grow.
        let memory: SimulatedMemory
        var size: Int
        var isThere = true
    }

    init(_ directory: String, _ contents: [(name: String, bytes: [UInt8])], room: Int) {
        self.directory = directory
        for (name, bytes) in contents {
            let memory = SimulatedMemory(capacity: max(bytes.count, room))
            memory.write(bytes, at: 0)
            files.append(File(name: name, original: bytes, memory: memory, size: bytes.count))
        }
    }

    func index(of name: String) -> Int? { files.firstIndex { $0.name == name } }
    /// Whatever was open is so no more.
    func endProcess() { open = [] }
    var openFiles: Int { open.reduce(0) { $0 + ($1 == nil ? 0 : 1) } }

    // MARK: Spoiling

    func flip(_ file: Int, at position: Int, bit: Int) { files[file].memory.flip(bit: bit, at: position) }

    func put(_ bytes: [UInt8], into file: Int, at position: Int) {
        let count = min(bytes.count, files[file].size - position)
        files[file].memory.write(count == bytes.count ? bytes : Array(bytes[..<count]), at: position)
    }

    func zero(_ file: Int, _ range: Range<Int>) { files[file].memory.fill(range) }
    func cut(_ file: Int, to size: Int) { files[file].size = size }
    func hide(_ file: Int) { files[file].isThere = false }

    /// As it was, `range` at least.
    func restore(_ file: Int, _ range: Range<Int>) {
        let original = files[file].original
        files[file].size = original.count
        files[file].isThere = true
        let clamped = range.clamped(to: 0..<original.count)
        if !clamped.isEmpty { files[file].memory.write(Array(original[clamped]), at: clamped.lowerBound) }
    }

    // MARK: LogStorage

    func list(_ path: String) throws(StorageError) -> [DirectoryEntry] {
        guard path == directory else { return [] }
        return files.filter(\.isThere).map { DirectoryEntry(name: $0.name, size: $0.size, isDirectory: false) }
    }

    func open(_ path: String, _ mode: OpenMode) throws(StorageError) -> FileHandle {
        if case .create = mode { throw changed("create", path) }
        guard let index = files.firstIndex(where: { $0.isThere && path == directory + "/" + $0.name }) else {
            throw StorageError(operation: "open", path: path, code: 2, reason: "no such file")
        }
        if let free = open.firstIndex(of: nil) {
            open[free] = index
            return FileHandle(rawValue: Int32(free))
        }
        open.append(index)
        return FileHandle(rawValue: Int32(open.count - 1))
    }

    func close(_ file: FileHandle) throws(StorageError) { open[Int(file.rawValue)] = nil }

    private func opened(_ file: FileHandle) throws(StorageError) -> File {
        guard let index = open[Int(file.rawValue)] else { throw StorageError(operation: "use", path: "", code: 9, reason: "closed") }
        return files[index]
    }

    func size(of file: FileHandle) throws(StorageError) -> Int { try opened(file).size }

    func read(_ file: FileHandle, at position: Int, count: Int, into buffer: inout ByteBuffer) throws(StorageError) {
        let found = try opened(file)
        let start = min(position, found.size)
        found.memory.append(start..<min(start + count, found.size), to: &buffer)
    }

    func map(_ file: FileHandle, length: Int) throws(StorageError) -> SegmentMemory {
        let found = try opened(file)
        guard length <= found.memory.capacity else { throw changed("map beyond the picture", found.name) }
        return found.memory.asMapping(count: length, PicturePages())
    }

    func sync(_ file: FileHandle) throws(StorageError) {}
    func syncDirectory(_ path: String) throws(StorageError) {}
    func dropCache(_ file: FileHandle) {}

    // What opening a log does not do.
    func makeDirectory(_ path: String) throws(StorageError) { throw changed("mkdir", path) }
    func write(_ file: FileHandle, _ pieces: [MemoryRegion], at position: Int) throws(StorageError) { throw changed("write", "\(file)") }
    func truncate(_ file: FileHandle, to length: Int) throws(StorageError) { throw changed("truncate", "\(file)") }
    func rename(_ path: String, to newPath: String) throws(StorageError) { throw changed("rename", path) }
    func remove(_ path: String) throws(StorageError) { throw changed("remove", path) }
    func start(_ operation: StorageOperation, ticket: StorageTicket) { _ = changed("operation", "\(operation)") }

    private func changed(_ operation: String, _ path: String) -> StorageError {
        violations.append(Violation(.contract, "opening a log does not change it: \(operation) \(path)"))
        return StorageError(operation: operation, path: path, code: 30, reason: "a picture takes no changes")
    }
}

private final class PicturePages: MemoryPages {
    var hasFailed: Bool { false }
    func touch(_ range: Range<Int>) {}
    func isResident(_ range: Range<Int>) -> Bool { true }
    func load(_ range: Range<Int>) {}
}
