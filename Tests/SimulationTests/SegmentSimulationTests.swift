import Mutants
import Testing

@testable import Simulation

/// Every single damage of a small log (T2); the same of 64 KiB, a million recoveries: `tools/simulate segments`.
@Suite struct SegmentSimulationTests {
    /// Each seed has records of other sizes, one segment or several.
    @Test(arguments: 0..<6 as Range<UInt64>) func noDamageShortensOrLengthensALogUnnoticed(_ seed: UInt64) {
        let report = SegmentWorkload.run(Seed(seed), bytes: 4_096, every: 12)
        #expect(report.violation == nil, "\(report.text)")
        #expect(report.cut > 100 && report.refused > 100 && report.whole > 100 && report.told > 100 && report.continued > 0, "\(report)")
    }

    @Test(arguments: ["recoversWithoutChecksums", "cutsWhatWasDurable", "cutsAtHoles", "takesAnyBaseOffset", "takesTailsOfOlderIncarnations"])
    func aSeededBugIsFound(_ mutant: String) {
        let found = Mutant.with(mutant) { (0..<4).first { SegmentWorkload.run(Seed(UInt64($0)), bytes: 4_096, every: 20).violation != nil } }
        #expect(found != nil, "\(mutant) is not found")
    }
}
