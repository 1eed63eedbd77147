import Testing

@testable import Simulation

/// Groups of consumers with their committed offsets, through crashes; see docs/reliability.md.
@Suite struct GroupSimulationTests {
    @Test func groupsKeepWhatTheyWereTold() {
        for seed in 0..<60 {
            let report = GroupWorkload.run(Seed(UInt64(seed)))
            #expect(report.violation == nil, "\(report.text)")
        }
    }

    /// The topics on several shards, another number of them in each life; the groups stay where the catalog is.
    @Test func topicsOnSeveralShardsChangeNothing() {
        for seed in 0..<60 {
            let report = GroupWorkload.run(Seed(UInt64(seed)), LogWorkload.Profile(shards: 1...3))
            #expect(report.violation == nil, "\(report.text)")
        }
    }

    /// Seeds that once failed, by what they found.
    @Test(arguments: [(82, "offsets of a deleted topic came back for one of its name, when a crash had kept the deletion from their log")])
    func aSeedThatFailedOnceStaysGood(_ seed: Int, _ found: String) {
        let report = GroupWorkload.run(Seed(UInt64(seed)), LogWorkload.Profile(shards: 1...3))
        #expect(report.violation == nil, "\(report.text)")
    }

    @Test(arguments: [Sabotage.answersBeforeFlush, .skipsSomeFlushes])
    func aSeededBugIsFound(_ sabotage: Sabotage) {
        let found = (0..<200).first { GroupWorkload.run(Seed(UInt64($0)), LogWorkload.Profile(sabotage: sabotage)).violation != nil }
        #expect(found != nil, "\(sabotage) is not found in 200 seeds")
    }
}
