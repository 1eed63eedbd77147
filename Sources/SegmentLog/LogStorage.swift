package import Bytes

/// The seam between a log and the disk. Three implementations: `LinuxStorage` (files), `MemoryStorage` (memory topics) and the
/// simulator's disk.
///
/// Writes are made on the caller's thread, into memory of the operating system (measured: cheaper and with a shorter tail than
/// ring writes or stores to a mapping; docs/decisions/0001). What can take long (flushes, preparing and sealing segments, replacing
/// small files, removing) is started with a ticket and answered later through `Broker.storageCompleted`.
package protocol LogStorage: AnyObject {
    /// Whether nothing that is stored outlives the process: then a log never waits for a flush, keeps no checkpoint and prepares
    /// no spares, and the storage reports no completions.
    var isVolatile: Bool { get }
    /// Makes a directory, and those above it, durable before it returns.
    func makeDirectory(_ path: String) throws(StorageError)
    /// The entries of a directory; a directory that does not exist has none.
    func list(_ directory: String) throws(StorageError) -> [DirectoryEntry]
    /// Opens a file. `.create` makes it anew and refuses one that exists.
    func open(_ path: String, _ mode: OpenMode) throws(StorageError) -> FileHandle
    /// Closes; an error of an earlier write that shows only here is thrown.
    func close(_ file: FileHandle) throws(StorageError)
    func size(of file: FileHandle) throws(StorageError) -> Int
    /// Appends up to `count` bytes at `position` to `buffer`; fewer at the end of the file.
    func read(_ file: FileHandle, at position: Int, count: Int, into buffer: inout ByteBuffer) throws(StorageError)
    /// Reads the file front to back from `position` on, ahead of its user where that helps. For recovery, which reads what is on the
    /// disk (S10), and reads all of it.
    func stream(_ file: FileHandle, from position: Int) throws(StorageError) -> any FileStream
    /// Writes all of `pieces`, one behind the other, at `position`. An error is final for the log (S8).
    func write(_ file: FileHandle, _ pieces: [MemoryRegion], at position: Int) throws(StorageError)
    /// Shows `length` bytes of the file as memory. Bytes behind the file's end must not be touched.
    func map(_ file: FileHandle, length: Int) throws(StorageError) -> SegmentMemory
    func truncate(_ file: FileHandle, to length: Int) throws(StorageError)
    /// Renames without waiting for the directory to be durable: a flush of the directory follows.
    func rename(_ path: String, to newPath: String) throws(StorageError)
    /// Removes a file, or an empty directory.
    func remove(_ path: String) throws(StorageError)
    /// Waits until the file's content is durable. For start-up and shutdown.
    func sync(_ file: FileHandle) throws(StorageError)
    func syncDirectory(_ path: String) throws(StorageError)
    /// Bytes that are free, and bytes in all, where `path` lies; nil when that cannot be told.
    func space(of path: String) -> (free: Int, total: Int)?
    /// Whether there are descriptors for so many more logs. Some are kept for the logs that are open: one that cannot go on is down.
    func admitsLogs(_ count: Int) -> Bool
    /// Drops cached pages of the file, so that recovery reads what is on the disk (S10).
    func dropCache(_ file: FileHandle)

    /// Starts an operation; its completion names `ticket`.
    func start(_ operation: StorageOperation, ticket: StorageTicket)
    /// Whether a log's directory is made ready by ticket (`StorageOperation.ready`), else by plain calls that wait.
    var readiesInBackground: Bool { get }
    /// Waits for one operation, other than a flush, and answers its result, which is then not handed out again; nil where it takes longer.
    func wait(for ticket: StorageTicket, atMost nanoseconds: UInt64) -> StorageResult?
}

extension LogStorage {
    package func space(of path: String) -> (free: Int, total: Int)? { nil }
    package func admitsLogs(_ count: Int) -> Bool { true }
}

extension LogStorage {
    package var isVolatile: Bool { false }
    package var readiesInBackground: Bool { false }
    package func wait(for ticket: StorageTicket, atMost nanoseconds: UInt64) -> StorageResult? {
        preconditionFailure("a storage that readies logs in the background can wait for it")
    }

    /// Writes `content` at the front of a file.
    package func write(_ file: FileHandle, _ content: [UInt8]) throws(StorageError) {
        if content.isEmpty { return }
        var buffer = ByteBuffer()
        buffer.append(content)
        try write(file, [buffer.region(ByteRange(start: 0, count: buffer.count))], at: 0)
        // The memory is needed until here.
        buffer.release()
    }

    /// The whole of a small file; nil when it is larger than `limit`. Whatever fails, the file is closed.
    package func content(of path: String, atMost limit: Int) throws(StorageError) -> [UInt8]? {
        let file = try open(path, .read)
        var content = ByteBuffer()
        var isTooLarge = false
        do throws(StorageError) {
            let size = try size(of: file)
            isTooLarge = size > limit
            if !isTooLarge { try read(file, at: 0, count: size, into: &content) }
        } catch {
            closeAfterError(file)
            throw error
        }
        try close(file)
        return isTooLarge ? nil : [UInt8](content.bytes)
    }

    /// Makes a small file. Whatever fails, the file is closed.
    package func create(_ path: String, _ content: [UInt8], syncs: Bool) throws(StorageError) {
        let file = try open(path, .create)
        do throws(StorageError) {
            try write(file, content)
            if syncs { try sync(file) }
        } catch {
            closeAfterError(file)
            throw error
        }
        try close(file)
    }

    /// The error that came first is the one to be told.
    private func closeAfterError(_ file: FileHandle) {
        do throws(StorageError) { try close(file) } catch { return }
    }
}

/// A file that is read front to back.
package protocol FileStream: AnyObject {
    /// As `LogStorage.read`. Any position is answered; those that follow one another are the quick ones.
    func read(at position: Int, count: Int, into buffer: inout ByteBuffer) throws(StorageError)
}

/// Plain reads.
package final class PlainStream: FileStream {
    private let storage: any LogStorage
    private let file: FileHandle

    package init(_ file: FileHandle, of storage: any LogStorage) {
        self.file = file
        self.storage = storage
    }

    package func read(at position: Int, count: Int, into buffer: inout ByteBuffer) throws(StorageError) {
        try storage.read(file, at: position, count: count, into: &buffer)
    }
}

extension LogStorage {
    package func stream(_ file: FileHandle, from position: Int) throws(StorageError) -> any FileStream { PlainStream(file, of: self) }
}

/// What is done in the background.
package enum StorageOperation: Sendable {
    /// Makes everything written to these files durable, then the directories (new names).
    case flush(files: [FileHandle], directories: [String])
    /// Makes a file of `size` zeros, resident and durable (D3); answers `.prepared`.
    case prepare(path: String, size: Int)
    /// Makes a log's directory ready for appends and all of it durable (S9, S11, S15); answers `.prepared` where a segment was made.
    case ready(LogReadying)
    /// Brings these parts of the memory in from the disk, and these small files into the system's cache; where one of them does not
    /// exist, `all` of the memory that there is. Answers `.done`: what cannot be read shows when it is.
    case load(SegmentMemory, parts: [Range<Int>], files: [String], all: Range<Int>)
    /// Cuts a full segment to its written length, makes it durable and answers `.done`; the file stays open.
    case seal(file: FileHandle, length: Int)
    /// Replaces a small file: new file, flush, rename, flush of the directory (S11).
    case replace(path: String, content: [UInt8])
    /// Closes and removes files, then makes their directory durable. A path that does not exist is passed over.
    case remove(files: [FileHandle], paths: [String], directory: String)
    /// A part of a compaction, on a thread where it may take long; answers `.compacted`.
    case compact(CompactionStep)
}

/// What the first append to a log needs, in this order.
package struct LogReadying: Sendable {
    package var directory: String
    /// The directory is to be made.
    package var makesDirectory = false
    /// Files that are no part of the log any more. Before they go, the names that are there become durable.
    package var stale: [String] = []
    /// The names that are there become durable first in any case.
    package var syncsNames = false
    /// A torn tail: the file is cut to this length, and zeros follow it where old batches may have stood.
    package var cut: (file: FileHandle, length: Int, zeros: Int)?
    /// The log's checkpoint is replaced.
    package var checkpoint: (path: String, content: [UInt8])
    /// The first segment of a new log: made empty, left open.
    package var segment: String?

    package init(directory: String, checkpoint: (path: String, content: [UInt8])) {
        self.directory = directory
        self.checkpoint = checkpoint
    }
}

package enum StorageResult: Sendable {
    case done
    case prepared(FileHandle)
    case compacted(CompactionOutcome)
    case failed(StorageError)
}

/// Chosen by whoever starts an operation; the storage only hands it back.
package struct StorageTicket: RawRepresentable, Hashable, Sendable {
    package var rawValue: UInt64
    package init(rawValue: UInt64) { self.rawValue = rawValue }
}

package struct FileHandle: RawRepresentable, Hashable, Sendable {
    package var rawValue: Int32
    package init(rawValue: Int32) { self.rawValue = rawValue }
}

package enum OpenMode: Sendable { case read, readWrite, create }

package struct DirectoryEntry: Sendable, Equatable {
    package var name: String
    package var size: Int
    package var isDirectory: Bool
    package init(name: String, size: Int, isDirectory: Bool) {
        self.name = name
        self.size = size
        self.isDirectory = isDirectory
    }
}

/// An operation of the disk that failed: what, on which path, and the system's reason.
package struct StorageError: Error, Sendable, CustomStringConvertible {
    package var operation: String
    package var path: String
    /// The system's error number (`errno`); 0 when the failure is not the system's.
    package var code: Int32
    package var reason: String

    package init(operation: String, path: String, code: Int32, reason: String) {
        self.operation = operation
        self.path = path
        self.code = code
        self.reason = reason
    }

    /// Something of the process or the machine has run out (ENOMEM, ENFILE, EMFILE): nothing is wrong with the file.
    package var isShortage: Bool { [12, 23, 24].contains(code) }

    package var description: String { "\(operation) \(path): \(reason)" }
}
