// The log's verbs one by one, on a disk in memory whose completions the test hands in.
import Bytes
import Testing

@testable import SegmentLog

@Suite struct LogTests {
    @Test func nothingIsVisibleBeforeItsFlushUnderGroup() throws {
        let bench = try Bench()
        try bench.append("a")
        try bench.append("b")
        bench.log.endTick(now: bench.now)
        #expect(bench.log.watermarks == Watermarks(start: .zero, flushed: .zero, end: Offset(2)))
        #expect(try bench.texts().isEmpty)
        bench.settle()
        #expect(bench.log.watermarks.flushed == Offset(2))
        #expect(try bench.texts().map(\.1) == ["a", "b"])
    }

    @Test func messagesOfOneTickAreOneBatch() throws {
        let bench = try Bench()
        for text in ["a", "b", "c"] { try bench.append(text) }
        bench.settle()
        let view = try bench.log.batch(at: Offset(1), below: Offset(3))
        let found = try #require(view)
        #expect(found.baseOffset == .zero)
        #expect(found.recordCount == 3)
    }

    @Test(arguments: Durability.allCases) func whatWasClosedComesBack(_ durability: Durability) throws {
        let bench = try Bench(small(durability))
        for index in 0..<100 {
            if index % 3 == 0 { try bench.append(batch: batch(["batch \(index)"])) } else { try bench.append("message \(index)") }
            bench.settle()
        }
        bench.pass(milliseconds: 2_000)
        bench.settle()
        let before = try bench.texts(below: bench.log.watermarks.end)
        try bench.log.close(now: bench.now)
        #expect(bench.disk.openCount == 0)
        try bench.reopen()
        #expect(bench.log.recovery.wasClean)
        #expect(bench.disk.openCount == 0)
        #expect(bench.log.watermarks == Watermarks(start: .zero, flushed: Offset(100), end: Offset(100)))
        let after = try bench.texts()
        #expect(after.map(\.0) == Array(0..<100))
        #expect(after.map(\.1) == before.map(\.1))
        #expect(bench.log.segmentCount > 3)
        try bench.append("one more")
        bench.settle()
        #expect(bench.log.watermarks.end == Offset(101))
    }

    @Test func aKilledLogIsScannedAndGoesOnWithTheNextIncarnation() throws {
        let bench = try Bench()
        for index in 0..<50 {
            try bench.append("message \(index)")
            bench.settle()
        }
        try bench.reopen()
        #expect(!bench.log.recovery.wasClean)
        #expect(bench.log.watermarks.flushed == Offset(50))
        #expect(bench.log.incarnation == 1)
        #expect(try bench.texts().count == 50)
        try bench.append("one more")
        bench.settle()
        try bench.reopen()
        #expect(bench.log.incarnation == 2)
        #expect(try bench.texts().last?.1 == "one more")
    }

    @Test func memoryTopicsNeedNoCompletions() throws {
        let storage = MemoryStorage()
        let bench = try Bench(disk: storage)
        for index in 0..<100 {
            try bench.append("message \(index)")
            #expect(bench.log.needsTick)
            #expect(bench.log.endTick(now: bench.now))
        }
        #expect(bench.log.watermarks.flushed == Offset(100))
        #expect(try bench.texts().count == 100)
        #expect(bench.log.nextDeadline == .distantFuture)
        try bench.log.trim(before: Offset(60))
        #expect(try bench.texts().first?.0 == 60)
        bench.log.destroy()
        #expect(storage.openCount == 0)
    }

    @Test func largeBatchesAreWrittenStraightAndPatched() throws {
        var options = small()
        options.segmentBytes = 1 << 20
        let bench = try Bench(options)
        let text = String(repeating: "x", count: 40_000)
        for index in 0..<5 { try bench.append(batch: batch([text, "\(index)"])) }
        bench.settle()
        let found = try bench.texts()
        #expect(found.map(\.0) == Array(0..<10))
        #expect(found[9].1 == "4")
    }
}
