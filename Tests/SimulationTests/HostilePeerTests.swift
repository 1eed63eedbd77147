import ShardWorkload
import Simulation
import Testing

/// Honest clients beside peers that send whatever they like, in both protocols: every promise is kept for the former. The long form is
/// `tools/simulate shard 0..20000 hostile`.
@Suite struct HostilePeerTests {
    private static var profile: LogWorkload.Profile {
        var profile = LogWorkload.Profile()
        profile.hostile = true
        return profile
    }

    @Test func honestClientsKeepTheirPromisesBesideHostileOnes() {
        var sequences = 0
        for seed in 0..<60 {
            let report = ShardWorkload.run(Seed(UInt64(seed)), Self.profile)
            #expect(report.violation == nil, "\(report.text)")
            sequences += report.sequences
        }
        #expect(sequences > 600)
    }

    /// Seeds that once failed, by what they found.
    @Test(arguments: [(30, "a topic that was deleted while its log had an operation under way left its file open for ever")])
    func aSeedThatFailedOnceStaysGood(_ seed: Int, _ found: String) {
        let report = ShardWorkload.run(Seed(UInt64(seed)), Self.profile)
        #expect(report.violation == nil, "\(report.text)")
    }

    @Test func theSameSeedGivesTheSameTrace() {
        for seed in 300..<303 {
            let first = ShardWorkload.run(Seed(UInt64(seed)), Self.profile)
            #expect(first.hash == ShardWorkload.run(Seed(UInt64(seed)), Self.profile).hash)
        }
    }
}
