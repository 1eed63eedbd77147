internal import Bytes
internal import LinuxSystem
internal import SegmentLog

/// A storage operation as a helper thread carries it out: plain calls that wait.
struct BackgroundOperation: Sendable {
    let operation: StorageOperation
    let ticket: StorageTicket

    /// The file that is replaced, where this is an operation for a `NamingBatch`.
    var namedPath: String? {
        switch operation {
        case .replace(let path, _): path
        case .ready(let readying): readying.checkpoint.path
        default: nil
        }
    }

    func run() -> StorageResult {
        do throws(StorageError) {
            switch operation {
            case .flush(let files, let directories): try BackgroundOperation.flush(files, directories)
            case .prepare(let path, let size): return .prepared(try BackgroundOperation.prepare(path, size))
            case .load(let memory, let parts, let files, let all): BackgroundOperation.load(memory, parts, files, all)
            case .seal(let file, let length): try BackgroundOperation.seal(file, length)
            case .replace, .ready: preconditionFailure("these go in batches, a batch of one too")
            case .remove(let files, let paths, let directory): try BackgroundOperation.remove(files, paths, directory)
            case .compact(let step): return .compacted(try BackgroundOperation.compact(step))
            }
            return .done
        } catch {
            return .failed(error)
        }
    }

    /// On files of its own, which nobody else has open.
    private static func compact(_ step: CompactionStep) throws(StorageError) -> CompactionOutcome {
        let bytesPerSecond = step.bytesPerSecond
        let start = Clock.monotonic
        var bytes = 0
        return step.run(on: try LinuxStorage()) { more in
            bytes += more
            guard bytesPerSecond < Int.max else { return }
            let due = UInt64(Double(bytes) / Double(bytesPerSecond) * 1e9)
            // Seldom and short: a stop does not wait long.
            let ahead = due > Clock.monotonic &- start ? due - (Clock.monotonic &- start) : 0
            if ahead > 5_000_000 { Clock.sleep(nanoseconds: min(ahead, 50_000_000)) }
        }
    }

    private static func flush(_ files: [FileHandle], _ directories: [String]) throws(StorageError) {
        for file in files { try onFile("fdatasync", file) { (file: File) throws(Errno) in try file.syncData() } }
        for directory in directories { try syncDirectory(directory) }
    }

    /// Zeros are written page by page: one large write leaves large pages in the cache, and then every small flush writes a
    /// megabyte (measured; S4). Allocating first keeps the file in one piece and finds a full disk at once.
    private static func prepare(_ path: String, _ size: Int) throws(StorageError) -> FileHandle {
        let file = try storing("create", path) { () throws(Errno) in try File.open(path, [.readWrite, .exclusive]) }
        do throws(StorageError) {
            try storing("allocate", path) { () throws(Errno) in
                do throws(Errno) { try file.allocate(size) } catch .notSupported {}
            }
            let page = 4096
            let zeros = [UInt8](repeating: 0, count: page)
            try storing("write", path) { () throws(Errno) in
                let region = zeros.rawSpan.region
                var position = 0
                while position < size {
                    let count = min(page, size - position)
                    try file.write(MemoryRegion(address: region.address, count: count), at: position)
                    position += count
                }
            }
            try storing("fsync", path) { () throws(Errno) in try file.sync() }
            try syncDirectory(FileSystem.parent(of: path))
        } catch {
            try? file.close()
            try? FileSystem.remove(path)
            throw error
        }
        return FileHandle(rawValue: file.descriptor)
    }

    private static func load(_ memory: SegmentMemory, _ parts: [Range<Int>], _ files: [String], _ all: Range<Int>) {
        var areAllThere = true
        for path in files {
            // Read and thrown away: it is in the system's cache then.
            var content = ByteBuffer()
            do throws(Errno) {
                let file = try File.open(path)
                defer { try? file.close() }
                try file.read(at: 0, count: try file.status().size, into: &content)
            } catch { areAllThere = false }
        }
        for part in areAllThere ? parts : [all] { memory.load(part) }
    }

    private static func seal(_ file: FileHandle, _ length: Int) throws(StorageError) {
        try onFile("truncate", file) { (file: File) throws(Errno) in try file.truncate(to: length) }
        try onFile("fsync", file) { (file: File) throws(Errno) in try file.sync() }
    }

    private static func remove(_ files: [FileHandle], _ paths: [String], _ directory: String) throws(StorageError) {
        for file in files { try onFile("close", file) { (file: File) throws(Errno) in try file.close() } }
        for path in paths { try remove(path) }
        try syncDirectory(directory)
    }

    /// Removes a file or an empty directory; one that is gone already is removed.
    static func remove(_ path: String) throws(StorageError) {
        try storing("remove", path) { () throws(Errno) in
            do throws(Errno) {
                try FileSystem.remove(path)
            } catch .isDirectory {
                try FileSystem.removeDirectory(path)
            } catch .noEntry {}
        }
    }

    static func syncDirectory(_ path: String) throws(StorageError) {
        try storing("fsync", path) { () throws(Errno) in try FileSystem.syncDirectory(path) }
    }
}
