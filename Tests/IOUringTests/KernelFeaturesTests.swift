import LinuxSystem
import Testing

@testable import IOUring

@Suite struct KernelFeaturesTests {
    /// Where a ring can be made at all, every feature is judged, with a fallback and a reason in words.
    @Test func everyFeatureHasAVerdictAndAFallback() {
        let found = KernelFeatures.current
        for feature in found.features {
            #expect(!feature.reason.isEmpty)
            #expect(!feature.fallback.isEmpty)
        }
        if found.reasonAgainstRing == nil {
            #expect(Set(found.features.map(\.name)).isSuperset(of: ["multishot receive", "multishot accept", "minimum wait", "fsync"]))
        }
    }

    /// On a kernel of 6.12 or later nothing is missing: a trial that fails there is a fault of the trial.
    @Test(.enabled(if: KernelFeaturesTests.kernelIsNew)) func aNewKernelHasEverything() {
        let missing = KernelFeatures.current.features.filter { !$0.works }.map { "\($0.name): \($0.reason)" }
        #expect(missing == [])
        #expect(KernelFeatures.current.setup == .deferred)
        #expect(KernelFeatures.current.reasonAgainstRing == nil)
    }

    static var kernelIsNew: Bool {
        let parts = SystemLimits.kernelRelease.split { !$0.isNumber }.prefix(2).compactMap { Int($0) }
        guard parts.count == 2 else { return false }
        // A container may forbid the ring altogether; then there is nothing to try.
        return (parts[0], parts[1]) >= (6, 12) && KernelFeatures.current.reasonAgainstRing == nil
    }
}
