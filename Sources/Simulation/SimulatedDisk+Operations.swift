internal import Bytes
package import SegmentLog

/// One background operation of the simulated disk: small steps, each with its moment. Power may go between any two.
struct DiskOperation {
    enum Step {
        case flush(FileHandle)
        case flushDirectory(String)
        case truncate(FileHandle, Int)
        /// Makes a file with this content; its handle is the operation's result where it is prepared, else it is closed again later.
        case create(path: String, content: [UInt8], zeros: Int)
        case flushCreated
        case closeCreated
        case rename(from: String, to: String)
        case makeDirectory(String)
        case zero(FileHandle, at: Int, count: Int)
        case remove(String)
        case close(FileHandle)
        /// Some calls in a row; power may go in the middle.
        case compact(CompactionStep)
    }

    var ticket: StorageTicket
    let number: Int
    var steps: [Step]
    var done = 0
    var due: Instant
    var created: FileHandle?
    var answersHandle = false
    var outcome: CompactionOutcome?
    var isStuck = false
    /// What slowness may still take of it: all of it stays below what a broker waits for.
    var slowLeft = 25_000_000_000
    /// Nobody is told of its end.
    var isSilent = false
    var result: StorageResult?
}

extension SimulatedDisk {
    /// When the next step or completion is due; far future when nothing is under way.
    package var nextCompletion: Instant { operations.map(\.due).min() ?? .distantFuture }
    package var pendingOperations: Int { operations.count }

    /// Moves time to `instant` and answers what has ended by then, in the order in which it did.
    package func completions(at instant: Instant) -> [(ticket: StorageTicket, result: StorageResult)] { completions(at: instant, of: nil) }

    /// The same of one shard's operations; what has ended of others waits for them.
    func completions(at instant: Instant, of share: DiskShare?) -> [(ticket: StorageTicket, result: StorageResult)] {
        var ended: [(ticket: StorageTicket, result: StorageResult)] = []
        while let index = nextIndex(until: instant, for: share) {
            advance(to: operations[index].due)
            if let result = operations[index].result {
                var operation = operations.remove(at: index)
                if operation.isSilent { continue }
                if sabotage == .swapsCompletions, !operations.isEmpty {
                    let other = random.below(operations.count)
                    (operation.ticket, operations[other].ticket) = (operations[other].ticket, operation.ticket)
                }
                trace.note("completed", Int(truncatingIfNeeded: operation.ticket.rawValue), operation.done)
                ended.append((operation.ticket, result))
            } else {
                runStep(index)
                // Power went: what had ended before was never told.
                if isDown { return [] }
            }
        }
        advance(to: instant)
        return ended
    }

    package func wait(for ticket: StorageTicket, atMost nanoseconds: UInt64) -> StorageResult? {
        while !isDown, let index = operations.firstIndex(where: { $0.ticket == ticket && !$0.isSilent }) {
            if let result = operations[index].result {
                if operations[index].isStuck { return nil }
                operations.remove(at: index)
                trace.note("waited", Int(truncatingIfNeeded: ticket.rawValue))
                return result
            }
            runStep(index)
        }
        return .failed(failure("wait", "", .powerOff))
    }

    /// Runs until nothing is under way (stuck operations aside), however long it takes, and answers what ended.
    package func drain() -> [(ticket: StorageTicket, result: StorageResult)] {
        var ended: [(ticket: StorageTicket, result: StorageResult)] = []
        while !isDown, nextCompletion < .distantFuture { ended += completions(at: nextCompletion) }
        return ended
    }

    func begin(_ operation: StorageOperation, _ ticket: StorageTicket) {
        trace.note("start", Int(truncatingIfNeeded: ticket.rawValue), pendingOperations)
        var steps: [DiskOperation.Step] = []
        var answersHandle = false
        switch operation {
        case .flush(let files, let directories):
            let covered = sabotage == .flushesLastFileOnly ? files.suffix(1) : files[...]
            steps = covered.map { .flush($0) } + directories.map { .flushDirectory($0) }
        case .prepare(let path, let size):
            steps = [.create(path: path, content: [], zeros: size), .flushCreated, .flushDirectory(Path.split(path).directory)]
            answersHandle = true
        case .ready(let readying):
            if readying.makesDirectory { steps = [.makeDirectory(readying.directory)] }
            if !readying.stale.isEmpty || readying.syncsNames { steps.append(.flushDirectory(readying.directory)) }
            steps += readying.stale.map { .remove($0) }
            if let cut = readying.cut {
                steps.append(.truncate(cut.file, cut.length))
                if cut.zeros > 0 { steps.append(.zero(cut.file, at: cut.length, count: cut.zeros)) }
                steps.append(.flush(cut.file))
            }
            let temporary = readying.checkpoint.path + ".tmp"
            steps += [.create(path: temporary, content: readying.checkpoint.content, zeros: 0), .flushCreated, .closeCreated]
            steps.append(.rename(from: temporary, to: readying.checkpoint.path))
            if let segment = readying.segment {
                steps.append(.create(path: segment, content: [], zeros: 0))
                answersHandle = true
            }
            steps.append(.flushDirectory(readying.directory))
        case .load:
            break
        case .seal(let file, let length):
            steps = [.truncate(file, length), .flush(file)]
        case .replace(let path, let content):
            let temporary = path + ".tmp"
            steps = [
                .create(path: temporary, content: content, zeros: 0), .flushCreated, .rename(from: temporary, to: path),
                .flushDirectory(Path.split(path).directory),
            ]
            if sabotage == .renamesBeforeFlush { steps.remove(at: 1) }
        case .remove(let files, let paths, let directory):
            steps = files.map { .close($0) } + paths.map { .remove($0) } + [.flushDirectory(directory)]
        case .compact(let step):
            steps = [.compact(step)]
        }
        var started = DiskOperation(ticket: ticket, number: changes, steps: steps, due: now)
        started.answersHandle = answersHandle
        started.isStuck = draw { $0.chance(faults.stuck) }
        if sabotage == .answersBeforeFlush, case .flush = operation {
            started.isSilent = true
            var answer = DiskOperation(ticket: ticket, number: changes, steps: [], due: now)
            answer.result = .done
            operations.append(answer)
        }
        operations.append(started)
        if started.isStuck { trace.fault("stuck", "ticket \(ticket.rawValue)") }
        // A flush may take its picture at once, or as late as it ends.
        let index = operations.count - 1
        if draw({ $0.chance(0.3) }) { runStep(index) } else { operations[index].due = later(&operations[index].slowLeft) }
    }

    private func nextIndex(until instant: Instant, for share: DiskShare?) -> Int? {
        var best: Int?
        for index in operations.indices where !(instant < operations[index].due) {
            if let share, operations[index].result != nil, !share.isOwn(operations[index].ticket) { continue }
            if let found = best, !(operations[index].due < operations[found].due) { continue }
            best = index
        }
        return best
    }

    private func later(_ slowLeft: inout Int) -> Instant {
        let isSlow = draw { $0.chance(faults.slow) } && slowLeft > 0
        let limit = isSlow ? slowLeft : faults.latency
        let taken = draw { 1 + $0.below(limit) }
        if isSlow { slowLeft -= taken }
        return now.advanced(byNanoseconds: UInt64(taken))
    }

    private func runStep(_ index: Int) {
        var operation = operations[index]
        if operation.done < operation.steps.count {
            do throws(StorageError) {
                try run(operation.steps[operation.done], &operation)
                operation.done += 1
            } catch {
                operation.result = .failed(error)
                if let created = operation.created { forget(created) }
            }
        }
        // Power went in the step, and took all operations along.
        guard !isDown else { return }
        if operation.result == nil, operation.done == operation.steps.count {
            if let created = operation.created, !operation.answersHandle {
                forget(created)
                operation.created = nil
            }
            operation.result = operation.outcome.map { .compacted($0) } ?? operation.created.map { .prepared($0) } ?? .done
        }
        operation.due = operation.isStuck && operation.result != nil ? .distantFuture : later(&operation.slowLeft)
        operations[index] = operation
    }

    private func run(_ step: DiskOperation.Step, _ operation: inout DiskOperation) throws(StorageError) {
        switch step {
        case .flush(let handle):
            guard let (file, path) = openFile(handle) else { throw failure("sync", "handle \(handle.rawValue)", .badHandle) }
            if sabotage == .skipsSomeFlushes, draw({ $0.chance(0.25) }) { return }
            do { try flush(file, path) } catch {
                guard sabotage == .retriesFailedFlush, !isDown else { throw error }
                try flush(file, path)
            }
        case .flushDirectory(let path):
            try flushDirectory(path)
        case .truncate(let handle, let length):
            guard let (file, path) = openFile(handle) else { throw failure("truncate", "handle \(handle.rawValue)", .badHandle) }
            try begin("truncate", path, on: file, metadata: true, length)
            file.truncate(to: length)
        case .create(let path, let content, let zeros):
            try begin("create", path, metadata: true)
            try reserve(content.count + zeros, "create", path)
            // What an earlier, interrupted operation left is overwritten.
            if path.hasSuffix(".tmp") { try? unlink(path) }
            let file = try create(path)
            operation.created = handle(file, path, canWrite: true)
            file.write(content.rawSpan.region, at: 0)
            file.appendZeros(to: zeros)
        case .flushCreated:
            guard let created = operation.created, let (file, path) = openFile(created) else { throw failure("sync", "created", .badHandle) }
            try flush(file, path)
        case .closeCreated:
            if let created = operation.created { forget(created) }
            operation.created = nil
        case .makeDirectory(let path):
            try makeDirectory(path)
        case .zero(let handle, let position, let count):
            let zeros = [UInt8](repeating: 0, count: count)
            try write(handle, [zeros.rawSpan.region], at: position)
        case .rename(let from, let to):
            try begin("rename", from, metadata: true)
            try move(from, to: to)
        case .remove(let path):
            try begin("remove", path, metadata: true)
            // A path that does not exist is passed over.
            do { try unlink(path) } catch { if error.code != Reason.missing.rawValue { throw error } }
        case .close(let handle):
            forget(handle)
        case .compact(let step):
            operation.outcome = step.run(on: self) { _ in }
        }
    }
}
