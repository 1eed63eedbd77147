// Who waits for which flush, and what a failed one leaves. The disk's completions are held back and handed in one by one.
import Bytes
import Testing

@testable import SegmentLog

@Suite struct FlushTests {
    /// Counts what is started, holds completions back, and fails operations on demand.
    final class HeldDisk: LogStorage {
        let disk = MemoryStorage(isVolatile: false)
        var flushes: [(files: Int, directories: [String])] = []
        var failsFlushes = false
        /// The operation with this number fails, counted from 0 over everything that can fail.
        var failing: Int?
        var operations = 0

        private func step(_ name: String) throws(StorageError) {
            defer { operations += 1 }
            if operations == failing { throw StorageError(operation: name, path: "held", code: 5, reason: "input/output error") }
        }

        func makeDirectory(_ path: String) throws(StorageError) {
            try step("mkdir")
            try disk.makeDirectory(path)
        }
        func list(_ directory: String) throws(StorageError) -> [DirectoryEntry] {
            try step("list")
            return try disk.list(directory)
        }
        func open(_ path: String, _ mode: OpenMode) throws(StorageError) -> FileHandle {
            try step("open")
            return try disk.open(path, mode)
        }
        func close(_ file: FileHandle) throws(StorageError) {
            try disk.close(file)
            try step("close")
        }
        func size(of file: FileHandle) throws(StorageError) -> Int { try disk.size(of: file) }
        func read(_ file: FileHandle, at position: Int, count: Int, into buffer: inout ByteBuffer) throws(StorageError) {
            try step("read")
            try disk.read(file, at: position, count: count, into: &buffer)
        }
        func write(_ file: FileHandle, _ pieces: [MemoryRegion], at position: Int) throws(StorageError) {
            try step("write")
            try disk.write(file, pieces, at: position)
        }
        func map(_ file: FileHandle, length: Int) throws(StorageError) -> SegmentMemory {
            try step("map")
            return try disk.map(file, length: length)
        }
        func truncate(_ file: FileHandle, to length: Int) throws(StorageError) {
            try step("truncate")
            try disk.truncate(file, to: length)
        }
        func rename(_ path: String, to newPath: String) throws(StorageError) {
            try step("rename")
            try disk.rename(path, to: newPath)
        }
        func remove(_ path: String) throws(StorageError) {
            try step("remove")
            try disk.remove(path)
        }
        func sync(_ file: FileHandle) throws(StorageError) { try step("fsync") }
        func syncDirectory(_ path: String) throws(StorageError) { try step("fsync") }
        func dropCache(_ file: FileHandle) {}

        private var failed: [(StorageTicket, StorageResult)] = []
        func start(_ operation: StorageOperation, ticket: StorageTicket) {
            if case .flush(let files, let directories) = operation {
                flushes.append((files.count, directories))
                if failsFlushes {
                    failed.append((ticket, .failed(StorageError(operation: "fsync", path: "held", code: 5, reason: "input/output error"))))
                    return
                }
            }
            do throws(StorageError) {
                try step("start")
                disk.start(operation, ticket: ticket)
            } catch {
                failed.append((ticket, .failed(error)))
            }
        }

        func nextCompletion() -> (StorageTicket, StorageResult)? { failed.isEmpty ? disk.nextCompletion() : failed.removeFirst() }
    }

    private func bench(_ options: Log.Options) throws -> (Bench, HeldDisk) {
        let held = HeldDisk()
        return (try Bench(options, disk: held.disk, storage: held), held)
    }

    /// Hands in completions until none is left.
    private func complete(_ bench: Bench, _ held: HeldDisk) {
        while let (ticket, result) = held.nextCompletion() { _ = bench.log.storageCompleted(ticket, result, now: bench.now) }
    }

    private func settle(_ bench: Bench, _ held: HeldDisk) {
        repeat {
            bench.log.endTick(now: bench.now)
            complete(bench, held)
        } while bench.log.needsTick
    }

    @Test func aGroupGathersBehindTheFlushThatIsUnderWay() throws {
        let (bench, held) = try bench(small(.group))
        try bench.append("a")
        bench.log.endTick(now: bench.now)
        for text in ["b", "c"] {
            try bench.append(text)
            bench.log.endTick(now: bench.now)
        }
        #expect(held.flushes.count == 1)
        complete(bench, held)
        #expect(bench.log.watermarks.flushed == Offset(1))
        #expect(bench.log.needsTick)
        settle(bench, held)
        #expect(held.flushes.count == 2)
        #expect(bench.log.watermarks.flushed == Offset(3))
    }

    @Test func theFirstFlushCoversTheDirectoryAndLaterOnesDoNot() throws {
        let (bench, held) = try bench(small(.group))
        for _ in 0..<2 {
            try bench.append("a")
            settle(bench, held)
        }
        #expect(held.flushes.map(\.directories) == [["logs/1-0"], []])
    }

    @Test func afterARollBothSegmentsAndTheDirectoryAreFlushed() throws {
        let (bench, held) = try bench(small(.group))
        try bench.append("a")
        settle(bench, held)
        try bench.append(String(repeating: "x", count: 700))
        try bench.append(String(repeating: "y", count: 700))
        settle(bench, held)
        #expect(held.flushes.last?.files == 2)
        #expect(held.flushes.last?.directories == ["logs/1-0"])
    }

    @Test func shortFlushesSeldomFindTheFileGrown() throws {
        var options = Log.Options()
        options.durability = .group
        let (bench, held) = try bench(options)
        let path = "logs/1-0/" + LogFiles.name(.zero, .log)
        let text = String(repeating: "x", count: 400)
        var sizes: [Int] = []
        while bench.log.watermarks.flushed < Offset(1_000) {
            try bench.append(text)
            settle(bench, held)
            sizes.append(try held.disk.content(path).count)
        }
        let behindTheFirst = sizes.drop { $0 < 16 << 10 }
        #expect(Set(behindTheFirst).count < 8, "the file grew \(Set(behindTheFirst).count) times in \(behindTheFirst.count) flushes")
        // In proportion: a log that holds little stays little.
        #expect(sizes.allSatisfy { $0 <= 1 << 20 } && sizes[20] < 16 << 10)
        let whole = bench.log.watermarks.flushed
        held.disk.closeAll()
        try bench.reopen()
        #expect(try bench.texts().count == 1_000 && bench.log.watermarks.end == whole)
        // Left in order, the log is as long as what it holds, and grows on.
        try bench.append(text)
        settle(bench, held)
        let last = try #require(bench.log.segments.last)
        try bench.log.close(now: bench.now)
        complete(bench, held)
        #expect(try held.disk.content("logs/1-0/" + LogFiles.name(last.base, .log)).count == last.end)
        try bench.reopen()
        try bench.append(text)
        settle(bench, held)
        #expect(try bench.texts().count == 1_002)
    }

    @Test func eachHasOneFlushPerRequest() throws {
        let (bench, held) = try bench(small(.each))
        for text in ["a", "b"] { try bench.append(text) }
        try bench.append(batch: batch(["c", "d"]))
        var seen: [Int64] = []
        repeat {
            bench.log.endTick(now: bench.now)
            complete(bench, held)
            seen.append(bench.log.watermarks.flushed.rawValue)
        } while bench.log.needsTick
        #expect(seen == [1, 2, 4])
        #expect(held.flushes.count == 3)
    }

    @Test func intervalFlushesByItsDeadline() throws {
        let (bench, held) = try bench(small(.interval))
        try bench.append("a")
        settle(bench, held)
        #expect(held.flushes.count == 1)
        try bench.append("b")
        settle(bench, held)
        #expect(held.flushes.count == 1)
        #expect(bench.log.visibleEnd == Offset(2))
        #expect(bench.log.nextDeadline <= bench.now.instant.advanced(byNanoseconds: 1_000_000_000))
        bench.pass(milliseconds: 1_000)
        bench.log.endTick(now: bench.now)
        #expect(held.flushes.count == 2)
        #expect(!bench.log.isFlushLate(now: bench.now.instant))
        bench.pass(milliseconds: 1_001)
        #expect(bench.log.isFlushLate(now: bench.now.instant))
        complete(bench, held)
        #expect(bench.log.watermarks.flushed == Offset(2))
    }

    @Test func aRequestStrengthensNone() throws {
        let (bench, held) = try bench(small(.none))
        try bench.append("a")
        settle(bench, held)
        #expect(held.flushes.isEmpty)
        try bench.append("b")
        bench.log.requestFlush(through: bench.log.watermarks.end)
        settle(bench, held)
        #expect(held.flushes.count == 1)
        #expect(bench.log.watermarks.flushed == Offset(2))
    }

    @Test func aFailedFlushIsFinal() throws {
        let (bench, held) = try bench(small(.group))
        try bench.append("a")
        settle(bench, held)
        held.failsFlushes = true
        try bench.append("b")
        settle(bench, held)
        held.failsFlushes = false
        #expect(bench.log.fault?.code == 5)
        #expect(throws: LogError.self) { try bench.append("c") }
        bench.log.requestFlush(through: Offset(2))
        bench.pass(milliseconds: 5_000)
        settle(bench, held)
        #expect(bench.log.watermarks.flushed == Offset(1))
        #expect(try bench.texts().map(\.1) == ["a"])
        #expect(throws: LogError.self) { try bench.log.close(now: bench.now) }
        #expect(held.disk.openCount == 0)
    }

    /// Lets the broker look after its log until `milliseconds` have passed, as its timer would.
    private func wait(_ bench: Bench, milliseconds: Int64) {
        let end = bench.now.instant.advanced(byNanoseconds: UInt64(milliseconds) * 1_000_000)
        while bench.now.instant < end {
            let next = min(max(bench.log.nextDeadline, bench.now.instant), end)
            bench.pass(milliseconds: max(1, Int64(next.nanoseconds(since: bench.now.instant) / 1_000_000)))
            bench.log.endTick(now: bench.now)
        }
    }

    private func told(_ log: Log) -> [String] {
        log.takeTroubles().map { trouble in
            switch trouble {
            case .flushSlow: "slow"
            case .flushEnded(_, let isTooLate): isTooLate ? "too late" : "ended"
            case .workFailed(let work, _): work.rawValue
            }
        }
    }

    @Test func aSlowFlushIsToldOfOnceAndItsEnd() throws {
        let (bench, held) = try bench(small(.group))
        try bench.append("a")
        bench.log.endTick(now: bench.now)
        wait(bench, milliseconds: 900)
        #expect(told(bench.log).isEmpty && !bench.log.isStalled)
        wait(bench, milliseconds: 20_000)
        #expect(told(bench.log) == ["slow"] && bench.log.isStalled)
        settle(bench, held)
        #expect(told(bench.log) == ["ended"] && !bench.log.isStalled)
        #expect(bench.log.fault == nil && bench.log.watermarks.flushed == Offset(1))
        // Each has its own patience.
        for text in ["b", "c", "d"] {
            try bench.append(text)
            bench.log.endTick(now: bench.now)
            wait(bench, milliseconds: 15_000)
            settle(bench, held)
        }
        #expect(bench.log.fault == nil && bench.log.watermarks.flushed == Offset(4))
    }

    @Test(arguments: [Durability.none, .interval, .group, .each]) func aFlushThatDoesNotComeBackEndsTheLog(_ durability: Durability) throws {
        let (bench, held) = try bench(small(durability))
        try bench.append("a")
        bench.log.requestFlush(through: bench.log.watermarks.end)
        settle(bench, held)
        try bench.append("b")
        bench.log.requestFlush(through: bench.log.watermarks.end)
        bench.log.endTick(now: bench.now)
        #expect(!bench.log.isQuiet)
        wait(bench, milliseconds: 29_500)
        #expect(bench.log.fault == nil)
        wait(bench, milliseconds: 1_500)
        #expect(bench.log.fault?.code == 110 && told(bench.log) == ["slow"] && bench.log.isStalled)
        #expect(throws: LogError.self) { try bench.append("c") }
        // It comes back after all: nothing is made of it.
        complete(bench, held)
        #expect(told(bench.log) == ["too late"] && !bench.log.isStalled)
        #expect(bench.log.watermarks.flushed == Offset(1))
        #expect(throws: LogError.self) { try bench.append("d") }
        #expect(throws: LogError.self) { try bench.log.close(now: bench.now) }
        #expect(held.disk.openCount == 0)
        // What it had made durable is there at the next start, and so is what it had not said yet.
        try bench.reopen()
        #expect(try bench.texts().map(\.1) == ["a", "b"])
    }

    /// A stopped process, or a machine that was suspended, has not waited for its disk.
    @Test func timeInWhichNobodyLookedDoesNotCount() throws {
        let (bench, held) = try bench(small(.group))
        try bench.append("a")
        bench.log.endTick(now: bench.now)
        for _ in 0..<3 {
            bench.pass(milliseconds: 60_000)
            bench.log.endTick(now: bench.now)
        }
        #expect(bench.log.fault == nil)
        settle(bench, held)
        #expect(bench.log.watermarks.flushed == Offset(1))
    }

    @Test func failedWorkInTheBackgroundIsTold() throws {
        var seen: Set<String> = []
        var (failing, isOver) = (0, false)
        while !isOver {
            let (bench, held) = try bench(small(.group))
            held.failing = failing
            for index in 0..<24 {
                do { try bench.append("message \(index) " + String(repeating: "x", count: 200)) } catch { break }
                settle(bench, held)
                if index % 10 == 0 { bench.pass(milliseconds: 1_500) }
                if index == 15 { bench.log.applyRetention(floor: Offset(9), now: bench.now) }
            }
            let told = told(bench.log)
            #expect(told.count <= 1, "operation \(failing): \(told)")
            #expect(told.isEmpty || bench.log.fault == nil, "operation \(failing): \(told) of a log that has failed")
            seen.formUnion(told)
            // None was left that could fail.
            isOver = held.operations <= failing
            failing += 1
        }
        #expect(seen == Set(LogWork.allCases.map(\.rawValue)))
    }

    @Test(arguments: [true, false]) func closingUnderAFlushWaitsForItsOutcome(_ fails: Bool) throws {
        let (bench, held) = try bench(small(.group))
        held.failsFlushes = fails
        try bench.append("a")
        bench.log.endTick(now: bench.now)
        #expect(!bench.log.isQuiet)
        try bench.log.close(now: bench.now)
        #expect(held.disk.openCount > 0)
        complete(bench, held)
        #expect(bench.log.isQuiet)
        #expect(held.disk.openCount == 0)
        try bench.reopen()
        #expect(bench.log.recovery.wasClean == !fails)
        #expect(try bench.texts().map(\.1) == ["a"])
    }

    @Test func destroyingWaitsForWhatIsUnderWayAndLeavesNothing() throws {
        let (bench, held) = try bench(small(.group))
        for index in 0..<40 {
            try bench.append("message \(index)")
            settle(bench, held)
        }
        try bench.append("last")
        bench.log.endTick(now: bench.now)
        bench.log.destroy()
        #expect(held.disk.openCount > 0)
        complete(bench, held)
        #expect(held.disk.openCount == 0)
        #expect(try held.disk.list("logs/1-0").isEmpty)
    }

    /// Whatever operation fails: no trap, nothing that was called flushed is lost, and the log says so or goes on.
    @Test func anyOperationMayFail() throws {
        var failing = 0
        while true {
            let (bench, held) = try bench(small(.group))
            held.failing = failing
            var flushed = Offset.zero
            for index in 0..<45 {
                do { try bench.append("message \(index)") } catch { break }
                settle(bench, held)
                flushed = bench.log.watermarks.flushed
                if index % 10 == 0 { bench.pass(milliseconds: 1_500) }
                if index == 30 { bench.log.applyRetention(floor: Offset(10), now: bench.now) }
            }
            let seen = try? bench.texts().count
            if bench.log.fault == nil, let seen { #expect(seen == 45 - Int(bench.log.watermarks.start.rawValue)) }
            try? bench.log.close(now: bench.now)
            complete(bench, held)
            let total = held.operations
            held.failing = nil
            try bench.reopen()
            #expect(bench.log.watermarks.end >= flushed, "operation \(failing)")
            let found = try bench.texts()
            #expect(found.map(\.1) == found.map { "message \($0.0)" })
            #expect(Int64(found.count) == bench.log.watermarks.end - bench.log.watermarks.start)
            if total <= failing { break }
            failing += 1
        }
        #expect(failing > 100)
    }

    /// The same for the operations of opening and of the first append after a crash.
    @Test func anyOperationOfRecoveryMayFail() throws {
        var failing = 0
        while true {
            let (bench, held) = try bench(small(.group))
            for index in 0..<20 {
                try bench.append("message \(index)")
                settle(bench, held)
            }
            let last = try held.disk.list("logs/1-0").compactMap { LogFiles.parse($0.name) }.filter { $0.kind == .log }.map(\.base).max()
            let path = "logs/1-0/" + LogFiles.name(try #require(last), .log)
            try held.disk.put(try held.disk.content(path) + [7, 7, 7], path)
            held.operations = 0
            held.failing = failing
            do {
                try bench.reopen()
                try bench.append("after")
                settle(bench, held)
            } catch {}
            let total = held.operations
            held.failing = nil
            try bench.reopen()
            let found = try bench.texts()
            #expect(found.prefix(20).map(\.1) == (0..<20).map { "message \($0)" }, "operation \(failing)")
            if total <= failing { break }
            failing += 1
        }
        #expect(failing > 10)
    }
}
