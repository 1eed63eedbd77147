internal import Bytes
internal import SegmentLog

/// The disk as one shard's storage: completions of its operations are known by the highest byte of their tickets.
final class DiskShare: LogStorage {
    private let disk: SimulatedDisk
    private let shard: Int
    private static let shift: UInt64 = 56

    init(_ disk: SimulatedDisk, _ shard: Int) {
        self.disk = disk
        self.shard = shard
    }

    static func split(_ ticket: StorageTicket) -> (shard: Int, ticket: StorageTicket) {
        (Int(ticket.rawValue >> shift), StorageTicket(rawValue: ticket.rawValue & (1 << shift - 1)))
    }

    func isOwn(_ ticket: StorageTicket) -> Bool { DiskShare.split(ticket).shard == shard }

    private func marked(_ ticket: StorageTicket) -> StorageTicket { StorageTicket(rawValue: ticket.rawValue | UInt64(shard) << DiskShare.shift) }

    func start(_ operation: StorageOperation, ticket: StorageTicket) {
        precondition(ticket.rawValue >> DiskShare.shift == 0, "fewer logs than that")
        disk.start(operation, ticket: marked(ticket))
    }

    func wait(for ticket: StorageTicket, atMost nanoseconds: UInt64) -> StorageResult? {
        disk.wait(for: marked(ticket), atMost: nanoseconds)
    }

    var isVolatile: Bool { disk.isVolatile }
    var readiesInBackground: Bool { disk.readiesInBackground }
    func makeDirectory(_ path: String) throws(StorageError) { try disk.makeDirectory(path) }
    func list(_ directory: String) throws(StorageError) -> [DirectoryEntry] { try disk.list(directory) }
    func open(_ path: String, _ mode: OpenMode) throws(StorageError) -> FileHandle { try disk.open(path, mode) }
    func close(_ file: FileHandle) throws(StorageError) { try disk.close(file) }
    func size(of file: FileHandle) throws(StorageError) -> Int { try disk.size(of: file) }
    func read(_ file: FileHandle, at position: Int, count: Int, into buffer: inout ByteBuffer) throws(StorageError) {
        try disk.read(file, at: position, count: count, into: &buffer)
    }
    func write(_ file: FileHandle, _ pieces: [MemoryRegion], at position: Int) throws(StorageError) { try disk.write(file, pieces, at: position) }
    func map(_ file: FileHandle, length: Int) throws(StorageError) -> SegmentMemory { try disk.map(file, length: length) }
    func truncate(_ file: FileHandle, to length: Int) throws(StorageError) { try disk.truncate(file, to: length) }
    func rename(_ path: String, to newPath: String) throws(StorageError) { try disk.rename(path, to: newPath) }
    func remove(_ path: String) throws(StorageError) { try disk.remove(path) }
    func sync(_ file: FileHandle) throws(StorageError) { try disk.sync(file) }
    func syncDirectory(_ path: String) throws(StorageError) { try disk.syncDirectory(path) }
    func space(of path: String) -> (free: Int, total: Int)? { disk.space(of: path) }
    func dropCache(_ file: FileHandle) { disk.dropCache(file) }
}
