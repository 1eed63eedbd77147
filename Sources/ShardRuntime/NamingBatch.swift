internal import Bytes
internal import LinuxSystem
internal import SegmentLog
internal import Synchronization

/// Replaced files and logs made ready, many at once, on a helper thread: each step is taken for all of them before the next one, and
/// the flushes of a step are under way together.
///
/// One by one, each flush waits for the disk (3-6 ms on a busy one, three to four for each log). Together they share a commit of the
/// journal and the disk's own flush: 0.1-0.2 ms each (measured). The order for each file is as it would be alone: content, flush,
/// rename, flush of the directory.
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
    private let crew: FlushCrew

    private init(_ crew: FlushCrew) { self.crew = crew }

    /// Carries out the operations in order, those that may go together together.
    static func run(_ operations: [BackgroundOperation], _ crew: FlushCrew, _ answer: (StorageTicket, StorageResult) -> Void) {
        var batch = NamingBatch(crew)
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
        flushFiles()
        each { work throws(StorageError) in try NamingBatch.name(&work) }
        flushDirectories()
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
        if !readying.stale.isEmpty || readying.syncsNames { try BackgroundOperation.syncDirectory(readying.directory) }
        for path in readying.stale { try BackgroundOperation.remove(path) }
        guard let (file, length, zeros) = readying.cut else { return }
        try onFile("truncate", file) { (file: File) throws(Errno) in try file.truncate(to: length) }
        let content = [UInt8](repeating: 0, count: zeros)
        try onFile("write", file) { (file: File) throws(Errno) in try file.write(content.rawSpan.region, at: length) }
        File(file).startWriting()
    }

    private mutating func flushFiles() {
        var flushed: [(index: Int, file: File)] = []
        for index in work.indices where work[index].failure == nil {
            if let cut = work[index].readying?.cut { flushed.append((index, File(cut.file))) }
            if let file = work[index].fresh { flushed.append((index, file)) }
        }
        for (index, error) in zip(flushed, crew.sync(flushed.map(\.file))) {
            if let error { work[index.index].failure = StorageError("fsync", index.file.path, error) }
        }
        each { work throws(StorageError) in
            guard let file = work.fresh else { return }
            work.fresh = nil
            try storing("close", NamingBatch.fresh(work)) { () throws(Errno) in try file.close() }
        }
    }

    private static func name(_ work: inout Work) throws(StorageError) {
        let path = work.path
        try storing("rename to \(path):", fresh(work)) { () throws(Errno) in try FileSystem.rename(fresh(work), to: path) }
        if let segment = work.readying?.segment {
            work.segment = try storing("create", segment) { () throws(Errno) in try File.open(segment, [.readWrite, .exclusive]) }
        }
    }

    /// Flushes each directory once, that of a new directory as well; a failure is that of all that have names in it.
    private mutating func flushDirectories() {
        var opened: [String: File] = [:]
        var failures: [String: StorageError] = [:]
        for done in work where done.failure == nil {
            for path in NamingBatch.directories(of: done) where opened[path] == nil && failures[path] == nil {
                do throws(Errno) { opened[path] = try File.open(path, .directory) } catch { failures[path] = StorageError("open", path, error) }
            }
        }
        let flushed = Array(opened)
        for ((path, file), error) in zip(flushed, crew.sync(flushed.map(\.value))) {
            if let error { failures[path] = StorageError("fsync", path, error) }
            try? file.close()
        }
        if failures.isEmpty { return }
        for index in work.indices where work[index].failure == nil {
            work[index].failure = NamingBatch.directories(of: work[index]).compactMap { failures[$0] }.first
        }
    }

    private static func directories(of work: Work) -> [String] {
        work.readying?.makesDirectory == true ? [FileSystem.parent(of: work.directory), work.directory] : [work.directory]
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

/// Threads that wait for the disk together.
final class FlushCrew: Sendable {
    private static let threads = 16
    private let queue: WorkQueue<@Sendable () -> Void>

    init() throws(Errno) { queue = try WorkQueue("sync", threadsMax: FlushCrew.threads) { $0() } }

    func stop() { queue.stop() }

    /// Flushes all of them, and answers what went wrong with each. A flush that fails is not tried again (S8).
    func sync(_ files: [File]) -> [Errno?] {
        guard files.count > 1, let done = try? EventCounter(.semaphore) else { return files.map(FlushCrew.sync) }
        defer { done.close() }
        let share = Share(files, done)
        let helpers = min(FlushCrew.threads, files.count)
        for _ in 0..<helpers { queue.add { share.work() } }
        for _ in 0..<helpers { done.take() }
        return share.errors
    }

    private static func sync(_ file: File) -> Errno? {
        do throws(Errno) { try file.sync() } catch { return error }
        return nil
    }

    /// What several threads take their next file from.
    private final class Share: Sendable {
        private let results: Mutex<(next: Int, errors: [Errno?])>
        private let files: [File]
        private let done: EventCounter

        init(_ files: [File], _ done: EventCounter) {
            results = Mutex((0, Array(repeating: nil, count: files.count)))
            self.files = files
            self.done = done
        }

        var errors: [Errno?] { results.withLock { $0.errors } }

        func work() {
            while let index = take() {
                let error = FlushCrew.sync(files[index])
                if error != nil { results.withLock { $0.errors[index] = error } }
            }
            done.raise()
        }

        private func take() -> Int? {
            results.withLock { state in
                guard state.next < state.errors.count else { return nil }
                defer { state.next += 1 }
                return state.next
            }
        }
    }
}
