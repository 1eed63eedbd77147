// What is appended before the log's directory is ready: it is staged, and nothing of it is seen, acknowledged or written before.
import Bytes
import Testing

@testable import SegmentLog

@Suite struct ReadyingTests {
    private func bench(_ durability: Durability = .group) throws -> Bench {
        let disk = MemoryStorage(isVolatile: false)
        disk.readiesInBackground = true
        return try Bench(small(durability), disk: disk)
    }

    /// Hands in one completion.
    private func complete(_ bench: Bench) throws {
        let (ticket, result) = try #require(bench.disk.nextCompletion())
        _ = bench.log.storageCompleted(ticket, result, now: bench.now)
    }

    @Test(arguments: [Durability.none, .interval, .group, .each])
    func nothingIsWrittenBeforeTheLogIsReady(_ durability: Durability) throws {
        let bench = try bench(durability)
        for text in ["a", "b", "c"] {
            try bench.append(text)
            bench.log.endTick(now: bench.now)
        }
        try bench.append(batch: batch([String](repeating: "large", count: 4_000)))
        #expect(bench.log.written == .zero && bench.log.visibleEnd == .zero)
        #expect(bench.log.watermarks.end == Offset(4_003))
        #expect(!bench.log.needsTick, "there is nothing to do meanwhile")
        #expect(try bench.texts().isEmpty)
        try complete(bench)
        #expect(bench.log.needsTick)
        bench.settle()
        bench.log.requestFlush(through: bench.log.watermarks.end)
        bench.settle()
        #expect(bench.log.watermarks.flushed == Offset(4_003))
        #expect(try bench.texts().map(\.1).prefix(4) == ["a", "b", "c", "large"])
        try bench.kill()
        #expect(bench.log.watermarks.end == Offset(4_003))
    }

    /// Publishers wait for what readies a log as they do for a flush.
    @Test func aLogThatDoesNotBecomeReadyIsGivenUp() throws {
        let bench = try bench()
        bench.disk.isStalled = true
        try bench.append("a")
        let large = batch(zeros: 1_000_000)
        for _ in 0..<30 { try bench.append(batch: large) }
        // Nobody waits for the disk for ever: what is too much is refused, and the log goes on.
        #expect(throws: LogError.self) { for _ in 0..<9 { try bench.append(batch: large) } }
        #expect(bench.log.fault == nil)
        for _ in 0..<32 {
            #expect(bench.log.nextDeadline < .distantFuture || bench.log.fault != nil)
            bench.pass(milliseconds: 1_000)
            bench.log.endTick(now: bench.now)
        }
        #expect(bench.log.fault?.code == 110)
        try complete(bench)
        bench.settle()
        #expect(bench.log.watermarks.end == .zero && bench.log.written == .zero)
    }

    @Test func aKillBeforeTheLogIsReadyLeavesAnEmptyLog() throws {
        let bench = try bench(.none)
        try bench.append("a")
        bench.log.endTick(now: bench.now)
        try bench.kill()
        #expect(bench.log.watermarks.end == .zero)
        try bench.append("b")
        bench.settle()
        #expect(try bench.texts().map(\.1) == ["b"])
    }

    @Test func aLogThatGoesOnAfterACleanStopIsReadiedAgain() throws {
        let bench = try bench(.none)
        try bench.append("a")
        bench.settle()
        try bench.log.close(now: bench.now)
        try bench.reopen()
        try bench.append("b")
        bench.log.endTick(now: bench.now)
        #expect(try bench.texts().map(\.1) == ["a"])
        bench.settle()
        #expect(try bench.texts().map(\.1) == ["a", "b"])
        try bench.kill()
        #expect(try bench.texts().map(\.1) == ["a", "b"])
    }

    @Test func whatIsStagedWhenTheLogClosesIsWritten() throws {
        let bench = try bench(.none)
        try bench.append("a")
        bench.log.endTick(now: bench.now)
        try bench.log.close(now: bench.now)
        #expect(!bench.log.isQuiet)
        try complete(bench)
        #expect(bench.log.isQuiet && bench.disk.openCount == 0)
        try bench.reopen()
        #expect(bench.log.recovery.wasClean)
        #expect(try bench.texts().map(\.1) == ["a"])
    }

    @Test func aLogThatGoesBeforeItIsReadyLeavesNothingBehind() throws {
        let bench = try bench()
        try bench.append("a")
        bench.log.endTick(now: bench.now)
        bench.log.destroy()
        while let (ticket, result) = bench.disk.nextCompletion() { _ = bench.log.storageCompleted(ticket, result, now: bench.now) }
        #expect(bench.disk.openCount == 0)
        #expect(try bench.disk.list("logs/1-0").isEmpty)
    }

    @Test func aLogThatCannotBeMadeReadyTakesNoMoreWrites() throws {
        let bench = try bench()
        try bench.append("a")
        bench.log.endTick(now: bench.now)
        let (ticket, _) = try #require(bench.disk.nextCompletion())
        let error = StorageError(operation: "mkdir", path: "logs/1-0", code: 28, reason: "no space left on device")
        #expect(bench.log.storageCompleted(ticket, .failed(error), now: bench.now))
        #expect(bench.log.fault?.code == 28)
        #expect(bench.log.watermarks.end == .zero)
        #expect(throws: LogError.self) { try bench.append("b") }
    }

    @Test func whoAppendsMoreThanIsStagedWaits() throws {
        var options = small(.none)
        options.maxMessageBytes = 16 << 20
        options.segmentBytes = 64 << 20
        let disk = MemoryStorage(isVolatile: false)
        disk.readiesInBackground = true
        let bench = try Bench(options, disk: disk)
        let large = batch(zeros: 15 << 20)
        for count in 1...4 {
            try bench.append(batch: large)
            #expect((bench.log.written > .zero) == (count > 2), "the third does not fit")
        }
        bench.settle()
        #expect(bench.log.written == Offset(4))
    }
}
