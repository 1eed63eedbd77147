import ShardWorkload
import Simulation
import Testing

/// A whole shard with native clients, through crashes and broken connections; see docs/reliability.md.
@Suite struct ShardSimulationTests {
    @Test func aShardKeepsItsPromisesThroughCrashesAndBrokenConnections() {
        for seed in 0..<200 {
            let report = ShardWorkload.run(Seed(UInt64(seed)))
            #expect(report.violation == nil, "\(report.text)")
        }
    }

    /// Seeds that once failed, by what they found.
    @Test(arguments: [
        (511, "a stop that was late polled without waiting"),
        (1_470, "a prepared segment was removed as an earlier life's, which had its name, and the log failed when it was needed"),
        (2_595, "the harness put deliveries of a shard that stops in the wrong order"),
    ])
    func aSeedThatFailedOnceStaysGood(_ seed: Int, _ found: String) {
        let report = ShardWorkload.run(Seed(UInt64(seed)))
        #expect(report.violation == nil, "\(report.text)")
    }

    @Test func theSameSeedGivesTheSameTrace() {
        var hashes: Set<UInt64> = []
        for seed in 300..<305 {
            let first = ShardWorkload.run(Seed(UInt64(seed)))
            #expect(first.hash == ShardWorkload.run(Seed(UInt64(seed))).hash)
            hashes.insert(first.hash)
        }
        #expect(hashes.count == 5)
    }

    @Test(arguments: [Sabotage.answersBeforeFlush, .skipsSomeFlushes, .shortWrites])
    func aSeededBugIsFound(_ sabotage: Sabotage) {
        let found = (0..<300).first { ShardWorkload.run(Seed(UInt64($0)), LogWorkload.Profile(sabotage: sabotage)).violation != nil }
        #expect(found != nil, "\(sabotage) is not found in 300 seeds")
    }
}
