internal import CUring
package import LinuxSystem

/// What this kernel's ring can do, found by doing it: names of operations say little (U9).
package struct KernelFeatures: Sendable {
    /// Why no ring is used at all; nil when one can be.
    package var reasonAgainstRing: String?
    package var setup = Ring.Setup.interrupting
    package var multishotAccept = true
    package var multishotReceive = true
    package static func detect() -> KernelFeatures {
        var features = KernelFeatures()
        features.setup = .deferred
        return features
    }
}
