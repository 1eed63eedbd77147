import ShardWorkload
import Simulation
import Testing

/// A whole shard with Kafka's sessions, through crashes and broken connections; see docs/reliability.md.
@Suite struct KafkaSimulationTests {
    @Test func producersReadersAndGroupsKeepWhatTheyWereTold() {
        for seed in 0..<100 {
            let report = KafkaWorkload.run(Seed(UInt64(seed)))
            #expect(report.violation == nil, "\(report.text)")
        }
    }

    /// One to three, another number in each life, and a second topic that may be another shard's.
    @Test func severalShardsKeepWhatTheyHaveToldProducersReadersAndGroups() {
        for seed in 0..<50 {
            let report = KafkaWorkload.run(Seed(UInt64(seed)), LogWorkload.Profile(shards: 1...3))
            #expect(report.violation == nil, "\(report.text)")
        }
    }

    /// Seeds that once failed, by what they found.
    @Test(arguments: [
        (55, "a fetch that wanted more than there was, and found that on the disk alone, waited 30 s instead of the time it gave"),
        (1_591, "a log that failed in an append left the publish before it unanswered"),
        (1_664, "a prepared segment was removed as an earlier life's, which had its name, and the log failed when it was needed"),
    ])
    func aSeedThatFailedOnceStaysGood(_ seed: Int, _ found: String) {
        let report = KafkaWorkload.run(Seed(UInt64(seed)))
        #expect(report.violation == nil, "\(report.text)")
    }

    @Test func theSameSeedGivesTheSameTrace() {
        var hashes: Set<UInt64> = []
        for seed in 300..<305 {
            let first = KafkaWorkload.run(Seed(UInt64(seed)))
            #expect(first.hash == KafkaWorkload.run(Seed(UInt64(seed))).hash)
            hashes.insert(first.hash)
        }
        #expect(hashes.count == 5)
    }

    @Test func theSameSeedGivesTheSameTraceOnSeveralShards() {
        for seed in 300..<305 {
            let profile = LogWorkload.Profile(shards: 2...3)
            #expect(KafkaWorkload.run(Seed(UInt64(seed)), profile).hash == KafkaWorkload.run(Seed(UInt64(seed)), profile).hash)
        }
    }

    @Test(arguments: [Sabotage.answersBeforeFlush, .skipsSomeFlushes])
    func aSeededBugIsFound(_ sabotage: Sabotage) {
        let found = (0..<200).first { KafkaWorkload.run(Seed(UInt64($0)), LogWorkload.Profile(sabotage: sabotage)).violation != nil }
        #expect(found != nil, "\(sabotage) is not found in 200 seeds")
    }
}
