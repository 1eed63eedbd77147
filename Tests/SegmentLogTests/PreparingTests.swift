// The next segment, which is prepared in the background: what happens when it cannot be.
import Bytes
import Testing

@testable import SegmentLog

@Suite struct PreparingTests {
    @Test func aNextSegmentThatCannotBePreparedIsTriedAgainAfterPausesThatGrow() throws {
        let counting = CountingDisk(MemoryStorage(isVolatile: false))
        var options = small()
        options.segmentBytes = 64 << 20
        let bench = try Bench(options, disk: counting.disk, storage: counting)
        counting.failsPreparing = true
        try bench.append(batch: batch(zeros: 600_000))
        // Five minutes, with something to do ten times a second; the first segment, of 1 MiB, is more than half full.
        var tries: [Int64] = []
        for tick in 0..<3_000 {
            if tick % 10 == 0 { try bench.append("tick") }
            let before = counting.prepared
            for _ in 0..<3 {
                bench.log.endTick(now: bench.now)
                while let (ticket, result) = counting.disk.nextCompletion() { _ = bench.log.storageCompleted(ticket, result, now: bench.now) }
            }
            if counting.prepared > before { tries.append(Int64(tick)) }
            #expect(counting.prepared - before <= 1)
            bench.pass(milliseconds: 100)
        }
        #expect(bench.log.segmentCount == 1)
        #expect(tries == [0, 10, 30, 70, 150, 310, 630, 1_230, 1_830, 2_430])
        counting.failsPreparing = false
        bench.pass(milliseconds: 60_000)
        try bench.append("tick")
        bench.settle()
        #expect(bench.log.background.spare != nil)
        #expect(bench.log.background.preparationPause.end == Instant(rawValue: 0), "the next failure begins anew")
    }
}
