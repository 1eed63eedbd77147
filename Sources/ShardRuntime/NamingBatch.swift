internal import Bytes
internal import LinuxSystem
internal import SegmentLog

/// Replaced files and logs made ready, many at once, on a helper thread: each step is taken for all of them before the next one.
///
/// One by one, each flush waits for a commit of the file system's journal (2-6 ms on a busy disk, three to four for each log). Step
/// by step the first flush commits for all, and those behind it find theirs done. The order for each file is as it would be alone:
/// content, flush, rename, flush of the directory.
struct NamingBatch: ~Copyable {
    private struct Work {
        let ticket: StorageTicket
        /// The file that is replaced, and its directory.
        let path: String
        let directory: String
        let content: [UInt8]
        let readying: LogReadying?
        var fresh: File?
        var segment: File?
        var failure: StorageError?
    }

    private var work: [Work] = []
    private var paths: Set<String> = []

    /// Carries out the operations in order, those that may go together together.
    static func run(_ operations: [BackgroundOperation], _ answer: (StorageTicket, StorageResult) -> Void) {
        var batch = NamingBatch()
        for operation in operations {
            if let path = operation.namedPath {
                // The same file once more: only when the first is in its place.
                if batch.paths.contains(path) { batch.run(answer) }
                batch.take(operation, path)
                continue
            }
            batch.run(answer)
            answer(operation.ticket, operation.run())
        }
        batch.run(answer)
    }

    private mutating func take(_ operation: BackgroundOperation, _ path: String) {
        paths.insert(path)
        switch operation.operation {
        case .replace(_, let content):
            work.append(Work(ticket: operation.ticket, path: path, directory: FileSystem.parent(of: path), content: content, readying: nil))
        case .ready(let readying):
            work.append(Work(ticket: operation.ticket, path: path, directory: readying.directory, content: readying.checkpoint.content, readying: readying))
        default: preconditionFailure("names no file")
        }
    }

    private mutating func run(_ answer: (StorageTicket, StorageResult) -> Void) {
        if work.isEmpty { return }
        each { work throws(StorageError) in try NamingBatch.write(&work) }
        each { work throws(StorageError) in try NamingBatch.flush(&work) }
        each { work throws(StorageError) in try NamingBatch.name(&work) }
        // New directories' names, then the names in each directory.
        flushOnce(work.map { $0.readying?.makesDirectory == true ? FileSystem.parent(of: $0.directory) : nil })
        flushOnce(work.map(\.directory))
        for done in work { answer(done.ticket, NamingBatch.result(of: done)) }
        work = []
        paths = []
    }

    private mutating func each(_ step: (inout Work) throws(StorageError) -> Void) {
        for index in work.indices where work[index].failure == nil {
            do throws(StorageError) { try step(&work[index]) } catch { work[index].failure = error }
        }
    }

    // MARK: The steps

    private static func write(_ work: inout Work) throws(StorageError) {
        if let readying = work.readying { try prepare(readying) }
        let path = fresh(work)
        // Left over from a process that was killed.
        if FileSystem.exists(path) { try BackgroundOperation.remove(path) }
        let file = try storing("create", path) { () throws(Errno) in try File.open(path, [.readWrite, .exclusive]) }
        work.fresh = file
        let content = work.content
        try storing("write", path) { () throws(Errno) in try file.write(content.rawSpan) }
        file.startWriting()
    }

    private static func prepare(_ readying: LogReadying) throws(StorageError) {
        if readying.makesDirectory {
            try storing("mkdir", readying.directory) { () throws(Errno) in
                do throws(Errno) { try FileSystem.makeDirectory(readying.directory) } catch .exists {}
            }
        }
        if !readying.stale.isEmpty { try BackgroundOperation.syncDirectory(readying.directory) }
        for path in readying.stale { try BackgroundOperation.remove(path) }
        guard let (file, length, zeros) = readying.cut else { return }
        try onFile("truncate", file) { (file: File) throws(Errno) in try file.truncate(to: length) }
        let content = [UInt8](repeating: 0, count: zeros)
        try onFile("write", file) { (file: File) throws(Errno) in try file.write(content.rawSpan.region, at: length) }
        File(file).startWriting()
    }

    private static func flush(_ work: inout Work) throws(StorageError) {
        if let cut = work.readying?.cut { try onFile("fsync", cut.file) { (file: File) throws(Errno) in try file.sync() } }
        guard let file = work.fresh else { return }
        try storing("fsync", fresh(work)) { () throws(Errno) in try file.sync() }
        work.fresh = nil
        try storing("close", fresh(work)) { () throws(Errno) in try file.close() }
    }

    private static func name(_ work: inout Work) throws(StorageError) {
        let path = work.path
        try storing("rename to \(path):", fresh(work)) { () throws(Errno) in try FileSystem.rename(fresh(work), to: path) }
        if let segment = work.readying?.segment {
            work.segment = try storing("create", segment) { () throws(Errno) in try File.open(segment, [.readWrite, .exclusive]) }
        }
    }

    /// Flushes each directory once; a failure is that of all that have names in it.
    private mutating func flushOnce(_ directories: [String?]) {
        var failures: [String: StorageError?] = [:]
        for (index, directory) in directories.enumerated() {
            guard let directory, work[index].failure == nil else { continue }
            if failures[directory] == nil {
                failures[directory] = .some(nil)
                do throws(StorageError) { try BackgroundOperation.syncDirectory(directory) } catch { failures[directory] = error }
            }
            if let failure = failures[directory] { work[index].failure = failure }
        }
    }

    private static func result(of work: Work) -> StorageResult {
        if let failure = work.failure {
            if let file = work.fresh {
                try? file.close()
                try? FileSystem.remove(fresh(work))
            }
            if let segment = work.segment { try? segment.close() }
            return .failed(failure)
        }
        return work.segment.map { .prepared(FileHandle(rawValue: $0.descriptor)) } ?? .done
    }

    private static func fresh(_ work: Work) -> String { work.path + ".new" }
}
