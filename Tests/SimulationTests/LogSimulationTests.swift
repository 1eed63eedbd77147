import Simulation
import Testing

/// The log on a disk that crashes and fails, over many seeds. Thousands more, and one seed alone with its trace: `tools/simulate`;
/// see docs/reliability.md.
@Suite struct LogSimulationTests {
    @Test func aLogKeepsItsPromisesThroughCrashes() { expectNoViolation(0..<60, LogWorkload.Profile()) }

    @Test func aLogKeepsItsPromisesThroughErrorsOfTheDisk() { expectNoViolation(1_000..<1_060, LogWorkload.Profile(errors: true)) }

    @Test func damageToDurableDataIsNeverPassedOver() { expectNoViolation(2_000..<2_030, LogWorkload.Profile(damage: true)) }

    /// Seeds that once failed, by what they found.
    @Test(arguments: [
        (9, "a trim beyond the watermark made the checkpoint unreadable"),
        (97, "the time index skipped records after a reopening"),
        (185, "a log without its first segment was taken with a hole"),
        (140, "a checkpoint after a trim was written while the first append readied the log, and the two took each other's file"),
        (1_144, "the harness remembered when records were taken, where the clock had gone back before the log was opened again"),
        (2_513, "a search by time opened the first segment while it was being made, and left it open"),
    ])
    func aSeedThatFailedOnceStaysGood(_ seed: Int, _ found: String) { expectNoViolation(seed..<seed + 1, LogWorkload.Profile()) }

    @Test(arguments: [
        (147, "the time index named an offset before its segment"),
        (185, "a log without its first segment was taken with a hole, its checkpoint empty"),
        (45_927, "an index file that could not be read stayed open"),
    ])
    func aSeedWithErrorsThatFailedOnceStaysGood(_ seed: Int, _ found: String) {
        expectNoViolation(seed..<seed + 1, LogWorkload.Profile(errors: true))
    }

    @Test(arguments: [
        (34, "after a kill the segment's name was not made durable"),
        (801, "stale segments were removed by a checkpoint that was not durable"),
        (5_795, "a damaged index hid good batches"),
        (43_406, "the search by time ended silently at a lost sector"),
        (49_980, "the search by time passed over a lost sector"),
        (42_482, "the harness took damage below the log's start for none"),
    ])
    func aSeedWithDamageThatFailedOnceStaysGood(_ seed: Int, _ found: String) {
        expectNoViolation(seed..<seed + 1, LogWorkload.Profile(damage: true))
    }

    @Test func theSameSeedGivesTheSameTrace() {
        var hashes: Set<UInt64> = []
        for seed in 3_000..<3_005 {
            let first = LogWorkload.run(Seed(UInt64(seed)), LogWorkload.Profile(errors: true))
            let second = LogWorkload.run(Seed(UInt64(seed)), LogWorkload.Profile(errors: true))
            #expect(first.hash == second.hash)
            hashes.insert(first.hash)
        }
        #expect(hashes.count == 5)
    }

    @Test(arguments: Sabotage.allCases)
    func aSeededBugIsFound(_ sabotage: Sabotage) {
        let profile = LogWorkload.Profile(errors: sabotage.needsErrors, sabotage: sabotage)
        let found = (0..<300).first { LogWorkload.run(Seed(UInt64($0)), profile).violation != nil }
        #expect(found != nil, "\(sabotage) is not found in 300 seeds")
    }

    private func expectNoViolation(_ seeds: Range<Int>, _ profile: LogWorkload.Profile) {
        for seed in seeds {
            let report = LogWorkload.run(Seed(UInt64(seed)), profile)
            #expect(report.violation == nil, "\(report.text)")
        }
    }
}
