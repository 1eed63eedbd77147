package import Bytes
package import SegmentLog

/// A disk that can lose power: `LogStorage` in memory, misbehaving as one seed says.
///
/// Names and bytes are visible at once and durable only after their flush (`DiskFile`, `DiskDirectory`). Background operations run in
/// steps whose moments the seed draws; `completions(at:)` hands their results out in the order of virtual time. `crash()` is the
/// loss of power, `kill()` the end of the process alone. With `crash(afterChanges:)` power goes in the middle of a call: from then on
/// everything fails and nothing changes, until `restart()`.
///
/// Invariant: the same seed and the same calls give the same disk, the same results and the same trace.
package final class SimulatedDisk: LogStorage {
    package var faults: DiskFaults
    package let trace: Trace
    /// A bug to be found.
    package var sabotage: Sabotage?
    /// Virtual time; the driver (or the test) moves it with `advance`.
    package private(set) var now = Instant(nanoseconds: 0)
    /// Power is off.
    package private(set) var isDown = false
    /// Calls that change something, so far; what `crash(afterChanges:)` and `fail(atCall:)` count.
    package private(set) var changes = 0
    package private(set) var crashes = 0
    /// What its user did against the contract of `LogStorage`.
    package private(set) var violations: [Violation] = []
    /// Writes and flushes that failed, whether or not anybody has been told.
    package private(set) var lostWrites = 0

    var random: RandomStream
    private var directories: [String: DiskDirectory] = ["": DiskDirectory(path: "")]
    private var directoryOrder: [String] = [""]
    private var files: [DiskFile] = []
    private var fileCount = 0
    private var handles: [OpenFile?] = []
    var operations: [DiskOperation] = []
    private var crashAt: Int?
    private var failAt: Int?
    private var failSticks = false

    /// What is read of files, while somebody wants to know.
    package var notes: [ReadNote]?

    package struct ReadNote {
        package let path: String
        package let range: Range<Int>
    }

    private struct OpenFile {
        let file: DiskFile
        let path: String
        let canWrite: Bool
    }

    package init(seed: Seed, faults: DiskFaults = .none, trace: Trace = Trace()) {
        random = seed.stream("disk")
        self.faults = faults
        self.trace = trace
    }

    // MARK: Faults on request

    /// Power goes: of what was not flushed any part may be there afterwards. Everything open is closed.
    package func crash() {
        if !isDown { losePower() }
        isDown = false
    }

    /// The process ends and the machine stays: what was written is there, but not yet durable.
    package func kill() {
        trace.note("kill")
        forgetProcess()
        for file in files { file.processEnded() }
        isDown = false
    }

    /// Power goes at the `count`-th change from now, in the middle of it.
    package func crash(afterChanges count: Int) { crashAt = changes + max(count, 1) }

    /// Power comes back.
    package func restart() {
        crashAt = nil
        isDown = false
    }

    /// The `call`-th changing call from now fails with EIO, whatever it is; sticky: its file stays broken.
    package func fail(atCall call: Int, sticky: Bool) {
        failAt = changes + max(call, 1)
        failSticks = sticky
    }

    /// The injected failure has happened.
    package var hasFailed: Bool { failAt == nil }

    /// No further errors (the healing phase); what is broken stays so unless `heal` repairs it, too.
    package func heal() {
        var calm = DiskFaults.none
        calm.capacity = faults.capacity
        calm.journaledNames = faults.journaledNames
        faults = calm
        failAt = nil
        crashAt = nil
        for file in files {
            file.failsWrites = false
            file.failsFlushes = false
            file.failsReads = false
        }
    }

    /// Flips one bit of what is durable.
    package func flipBit(_ path: String, at position: Int, bit: Int) {
        trace.fault("flipBit", "\(path) at \(position) bit \(bit)", position)
        file(at: path)?.damage { if position < $0.capacity { $0.flip(bit: bit, at: position) } }
    }

    /// A sector reads as zeros from now on.
    package func zeroSector(_ path: String, _ sector: Int) {
        trace.fault("zeroSector", "\(path) sector \(sector)", sector)
        file(at: path)?.damage { $0.fill(sector * DiskFile.sector..<(sector + 1) * DiskFile.sector) }
    }

    /// Replaces the durable bytes from `position` on; for tests that want a certain picture.
    package func overwrite(_ path: String, at position: Int, with bytes: [UInt8]) {
        file(at: path)?.damage { if position + bytes.count <= $0.capacity { $0.write(bytes, at: position) } }
    }

    // MARK: What tests look at

    /// The paths of all files, in order.
    package var paths: [String] {
        directoryOrder.sorted().flatMap { directory in
            (directories[directory]?.names ?? []).compactMap { name in
                guard case .file = directories[directory]?[name] else { return nil }
                return directory.isEmpty ? name : directory + "/" + name
            }
        }
    }

    /// The bytes that the process sees.
    package func content(_ path: String) -> [UInt8]? { file(at: path).map { $0.cache.copied(0..<$0.size) } }
    /// The bytes that are durable for certain.
    package func durableContent(_ path: String) -> [UInt8]? { file(at: path).map { $0.durable.copied(0..<$0.durableSize) } }
    package var openFiles: Int { handles.reduce(0) { $0 + ($1 == nil ? 0 : 1) } }
    package var openPaths: [String] { handles.compactMap { $0?.path } }
    package var bytesUsed: Int { files.reduce(0) { $0 + $1.size } }

    // MARK: LogStorage

    package func makeDirectory(_ path: String) throws(StorageError) {
        try begin("mkdir", path, metadata: true)
        makeDirectories(Path.normal(path))
    }

    package func list(_ directory: String) throws(StorageError) -> [DirectoryEntry] {
        let path = Path.normal(directory)
        try look("list", path)
        guard let found = directories[path] else { return [] }
        var entries = found.names.map { name in
            if case .file(let file) = found[name] { return DirectoryEntry(name: name, size: file.size, isDirectory: false) }
            return DirectoryEntry(name: name, size: 0, isDirectory: true)
        }
        // A directory promises no order.
        random.shuffle(&entries)
        return entries
    }

    package func open(_ path: String, _ mode: OpenMode) throws(StorageError) -> FileHandle {
        if case .create = mode {
            try begin("create", path, metadata: true)
            return handle(try create(path), path, canWrite: true)
        }
        try look("open", path)
        guard let file = file(at: path) else { throw failure("open", path, .missing) }
        return handle(file, path, canWrite: mode != .read)
    }

    package func close(_ file: FileHandle) throws(StorageError) {
        let open = try opened(file, "close")
        handles[Int(file.rawValue)] = nil
        trace.note("close", open.file.number)
        if open.canWrite, open.file.owesError {
            open.file.owesError = false
            throw failure("close", open.path, .io)
        }
    }

    package func size(of file: FileHandle) throws(StorageError) -> Int { try opened(file, "size").file.size }

    package func read(_ file: FileHandle, at position: Int, count: Int, into buffer: inout ByteBuffer) throws(StorageError) {
        let open = try opened(file, "read")
        if open.file.failsReads || random.chance(faults.readError) {
            if random.chance(faults.stickyShare) { open.file.failsReads = true }
            trace.fault("readError", open.path)
            throw failure("read", open.path, .io)
        }
        precondition(position >= 0 && count >= 0)
        let start = min(position, open.file.size)
        let range = start..<min(start + count, open.file.size)
        notes?.append(ReadNote(path: open.path, range: range))
        open.file.cache.append(range, to: &buffer)
    }

    package func write(_ file: FileHandle, _ pieces: [MemoryRegion], at position: Int) throws(StorageError) {
        let open = try opened(file, "write")
        let total = pieces.reduce(0) { $0 + $1.count }
        guard open.canWrite else {
            violations.append(Violation(.contract, "a write to \(open.path), which was opened for reading"))
            throw failure("write", open.path, .badHandle)
        }
        precondition(position >= 0)
        // Whatever goes wrong, the system may have taken a part of it.
        let taken = random.below(total + 1)
        if let crashAt, changes + 1 >= crashAt { put(pieces, of: open.file, at: position, atMost: taken) }
        do {
            try begin("write", open.path, on: open.file, position, total)
            try reserve(position + total - open.file.size, "write", open.path)
        } catch {
            if !isDown { put(pieces, of: open.file, at: position, atMost: taken) }
            if sabotage == .hidesWriteErrors, !isDown { return }
            throw error
        }
        switch sabotage {
        case .shortWrites where random.chance(0.05): put(pieces, of: open.file, at: position, atMost: taken)
        case .misdirectsWrites where random.chance(0.05): put(pieces, of: open.file, at: position + DiskFile.sector, atMost: total)
        default: put(pieces, of: open.file, at: position, atMost: total)
        }
    }

    package func map(_ file: FileHandle, length: Int) throws(StorageError) -> SegmentMemory {
        let open = try opened(file, "map")
        trace.note("map", open.file.number, length)
        notes?.append(ReadNote(path: open.path, range: 0..<length))
        return open.file.map(length: length, SimulatedPages(self))
    }

    package func truncate(_ file: FileHandle, to length: Int) throws(StorageError) {
        let open = try opened(file, "truncate")
        try begin("truncate", open.path, on: open.file, metadata: true, length)
        open.file.truncate(to: length)
    }

    package func rename(_ path: String, to newPath: String) throws(StorageError) {
        try begin("rename", path, metadata: true)
        try move(path, to: newPath)
    }

    package func remove(_ path: String) throws(StorageError) {
        try begin("remove", path, metadata: true)
        try unlink(path)
    }

    package func sync(_ file: FileHandle) throws(StorageError) {
        let open = try opened(file, "sync")
        try flush(open.file, open.path)
    }

    package func syncDirectory(_ path: String) throws(StorageError) { try flushDirectory(path) }

    package func dropCache(_ file: FileHandle) {
        guard !isDown, sabotage != .keepsCache, let open = try? opened(file, "dropCache") else { return }
        trace.note("dropCache", open.file.number)
        open.file.dropCache()
    }

    package var readiesInBackground: Bool { true }

    package func start(_ operation: StorageOperation, ticket: StorageTicket) {
        guard !isDown else { return }
        begin(operation, ticket)
    }

    // MARK: Verbs shared with the background operations

    func create(_ path: String) throws(StorageError) -> DiskFile {
        let (directory, name) = Path.split(path)
        guard let parent = directories[directory] else { throw failure("create", path, .missing) }
        guard parent[name] == nil else { throw failure("create", path, .exists) }
        try reserve(1, "create", path)
        let file = DiskFile(number: fileCount, path: Path.normal(path))
        fileCount += 1
        files.append(file)
        parent.add(name, .file(file))
        return file
    }

    func handle(_ file: DiskFile, _ path: String, canWrite: Bool) -> FileHandle {
        handles.append(OpenFile(file: file, path: path, canWrite: canWrite))
        trace.note("open", file.number, handles.count)
        return FileHandle(rawValue: Int32(handles.count - 1))
    }

    func openFile(_ handle: FileHandle) -> (file: DiskFile, path: String)? {
        guard let open = try? opened(handle, "operation") else { return nil }
        return (open.file, open.path)
    }

    func forget(_ handle: FileHandle) {
        if Int(handle.rawValue) < handles.count { handles[Int(handle.rawValue)] = nil }
    }

    func move(_ path: String, to newPath: String) throws(StorageError) {
        let (directory, name) = Path.split(path)
        let (newDirectory, newName) = Path.split(newPath)
        guard let from = directories[directory], let node = from[name], let destination = directories[newDirectory] else {
            throw failure("rename", path, .missing)
        }
        if case .directory = node { throw failure("rename", path, .isDirectory) }
        if from === destination {
            from.move(name, to: newName)
        } else {
            destination.add(newName, node)
            from.drop(name)
        }
    }

    func unlink(_ path: String) throws(StorageError) {
        let (directory, name) = Path.split(path)
        guard let parent = directories[directory], let node = parent[name] else { throw failure("remove", path, .missing) }
        if case .directory = node {
            let normal = Path.normal(path)
            guard directories[normal]?.isEmpty ?? true else { throw failure("remove", path, .notEmpty) }
            directories[normal] = nil
            directoryOrder.removeAll { $0 == normal }
        }
        parent.drop(name)
    }

    func flush(_ file: DiskFile, _ path: String) throws(StorageError) {
        do {
            try begin("sync", path, on: file, flush: true, file.dirtySectors.count)
        } catch {
            if !isDown { file.failFlush(&random) }
            throw error
        }
        if file.owesError {
            file.owesError = false
            file.failFlush(&random)
            throw failure("sync", path, .io)
        }
        file.flush()
    }

    func flushDirectory(_ path: String) throws(StorageError) {
        try begin("syncDirectory", path, metadata: true)
        guard let directory = directories[Path.normal(path)] else { throw failure("syncDirectory", path, .missing) }
        if sabotage != .skipsDirectoryFlush { directory.flush() }
    }

    /// Counts one changing call, lets power go in it when its time has come, and draws its error.
    func begin(
        _ operation: StaticString, _ path: String, on file: DiskFile? = nil, metadata: Bool = false, flush: Bool = false, _ first: Int = 0, _ second: Int = 0
    ) throws(StorageError) {
        try look(operation, path)
        changes += 1
        trace.note(operation, file?.number ?? path.utf8.count, first, second)
        writeBackSomething()
        if let crashAt, changes >= crashAt {
            losePower()
            throw failure(operation, path, .powerOff)
        }
        if let failAt, changes >= failAt {
            self.failAt = nil
            breakDown(file, flush: flush, sticks: failSticks)
            trace.fault("chosenError", "\(operation) \(path), call \(changes)")
            throw failure(operation, path, .io)
        }
        if file.map({ flush ? $0.failsFlushes : $0.failsWrites }) ?? false { throw failure(operation, path, .io) }
        let probability = flush ? faults.flushError : metadata ? faults.metadataError : faults.writeError
        guard random.chance(probability) else { return }
        breakDown(file, flush: flush, sticks: random.chance(faults.stickyShare))
        trace.fault("error", "\(operation) \(path)")
        throw failure(operation, path, .io)
    }

    func reserve(_ more: Int, _ operation: StaticString, _ path: String) throws(StorageError) {
        guard let capacity = faults.capacity, more > 0, bytesUsed + more > capacity else { return }
        trace.fault("full", "\(operation) \(path)")
        throw failure(operation, path, .full)
    }

    func failure(_ operation: StaticString, _ path: String, _ reason: Reason) -> StorageError {
        StorageError(operation: operation.description, path: path, code: reason.rawValue, reason: reason.text)
    }

    func draw<Result>(_ body: (inout RandomStream) -> Result) -> Result { body(&random) }

    // MARK: Time

    /// Moves virtual time; never back.
    package func advance(to instant: Instant) {
        if now < instant { now = instant }
    }

    // MARK: Inside

    enum Reason: Int32 {
        case missing = 2
        case io = 5
        case badHandle = 9
        case exists = 17
        case isDirectory = 21
        case full = 28
        case notEmpty = 39
        case powerOff = 112

        var text: String {
            switch self {
            case .missing: "No such file or directory"
            case .io: "Input/output error"
            case .badHandle: "Bad file descriptor"
            case .exists: "File exists"
            case .isDirectory: "Is a directory"
            case .full: "No space left on device"
            case .notEmpty: "Directory not empty"
            case .powerOff: "power is off (simulated)"
            }
        }
    }

    private func look(_ operation: StaticString, _ path: String) throws(StorageError) {
        if isDown { throw failure(operation, path, .powerOff) }
    }

    private func opened(_ handle: FileHandle, _ operation: StaticString) throws(StorageError) -> OpenFile {
        let index = Int(handle.rawValue)
        if isDown { throw failure(operation, "handle \(index)", .powerOff) }
        guard index >= 0, index < handles.count, let open = handles[index] else { throw failure(operation, "handle \(index)", .badHandle) }
        return open
    }

    private func file(at path: String) -> DiskFile? {
        let (directory, name) = Path.split(path)
        guard case .file(let file) = directories[directory]?[name] else { return nil }
        return file
    }

    private func put(_ pieces: [MemoryRegion], of file: DiskFile, at position: Int, atMost limit: Int) {
        var position = position
        var left = limit
        for piece in pieces where left > 0 && piece.count > 0 {
            let count = min(left, piece.count)
            file.write(MemoryRegion(address: piece.address, count: count), at: position)
            position += count
            left -= count
        }
    }

    private func breakDown(_ file: DiskFile?, flush: Bool, sticks: Bool) {
        lostWrites += 1
        guard sticks, let file else { return }
        file.failsFlushes = true
        if !flush { file.failsWrites = true }
    }

    private func writeBackSomething() {
        guard !files.isEmpty, random.chance(faults.writeback) else { return }
        let file = files[random.below(files.count)]
        guard !file.dirtySectors.isEmpty else { return }
        if random.chance(faults.writebackError) {
            trace.fault("writebackError", file.path)
            lostWrites += 1
            file.failWriteBack(&random)
        } else {
            file.writeBack(&random)
        }
    }

    private func losePower() {
        crashes += 1
        trace.note("crash", crashes)
        forgetProcess()
        isDown = true
        let newShare = random.pick([0, 0.1, 0.5, 0.5, 0.9, 1])
        var kept: [DiskFile] = []
        for path in directoryOrder.sorted() {
            guard let directory = directories[path] else { continue }
            directory.losePower(&random, isJournaled: faults.journaledNames, newShare: newShare)
            for name in directory.names {
                guard case .file(let file) = directory[name], !kept.contains(where: { $0 === file }) else { continue }
                file.losePower(&random, newShare: newShare, garbage: faults.garbage)
                kept.append(file)
            }
        }
        files = kept
    }

    private func forgetProcess() {
        operations = []
        for index in handles.indices { handles[index] = nil }
        crashAt = nil
    }

    private func makeDirectories(_ path: String) {
        guard directories[path] == nil else { return }
        let (parent, name) = Path.split(path)
        makeDirectories(parent)
        directories[path] = DiskDirectory(path: path)
        directoryOrder.append(path)
        directories[parent]?.addDurably(name, .directory)
    }
}
