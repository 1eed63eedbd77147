internal import CUring
internal import LinuxSystem

/// What this kernel's ring can do, found by doing it: that an operation is known says little about whether it works (U9). Every
/// feature has a fallback, and the one for the ring as a whole is epoll.
package struct KernelFeatures: Sendable {
    package struct Feature: Sendable {
        package var name: String
        package var works: Bool
        /// What was seen.
        package var reason: String
        /// What is used instead where it does not work.
        package var fallback: String
    }

    /// Why no ring is used at all; nil when one can be.
    package private(set) var reasonAgainstRing: String?
    package private(set) var setup = Ring.Setup.interrupting
    package private(set) var multishotAccept = false
    package private(set) var multishotReceive = false
    package private(set) var minimumWait = false
    package private(set) var features: [Feature] = []

    /// As found when first asked for.
    package static let current = KernelFeatures.detect()

    /// The least that a ring is used with: single operations, nothing newer than the provided buffers. For doubtful kernels, and to
    /// compare with.
    package static let plain: KernelFeatures = {
        var plain = current
        plain.setup = .interrupting
        plain.multishotAccept = false
        plain.multishotReceive = false
        plain.minimumWait = false
        return plain
    }()

    private static func detect() -> KernelFeatures {
        var found = KernelFeatures()
        var ring: Ring?
        for setup in Ring.Setup.allCases {
            do throws(Errno) {
                var options = Ring.Options()
                options.entries = 16
                options.completions = 64
                options.setup = setup
                let made = try Ring(options)
                try SelfTest(made).wakesFromWaiting()
                found.note(setup.rawValue + " completions", nil, fallback: "the next simpler way of completion")
                found.setup = setup
                ring = made
                break
            } catch {
                found.note(setup.rawValue + " completions", error, fallback: "the next simpler way of completion")
            }
        }
        guard let ring else {
            let last = found.features.last?.reason ?? ""
            found.reasonAgainstRing = "no ring can be made: \(last) (is kernel.io_uring_disabled set, or does a container's filter forbid it?)"
            return found
        }
        let test = SelfTest(ring)
        let required: [(String, (SelfTest) throws(Errno) -> Void)] = [
            ("receive into provided buffers", { (test) throws(Errno) in try test.receives(multishot: false) }),
            ("cancel by descriptor", { (test) throws(Errno) in try test.cancels() }),
            ("fsync", { (test) throws(Errno) in try test.knows(Int32(IORING_OP_FSYNC.rawValue)) }),
        ]
        for (name, attempt) in required {
            let failure = KernelFeatures.failure(of: attempt, test)
            found.note(name, failure, fallback: "epoll")
            if let failure, found.reasonAgainstRing == nil { found.reasonAgainstRing = "\(name) does not work: \(failure)" }
        }
        found.multishotReceive = found.note(
            "multishot receive", KernelFeatures.failure(of: { (test) throws(Errno) in try test.receives(multishot: true) }, test),
            fallback: "a receive for each arrival")
        found.multishotAccept = found.note(
            "multishot accept", KernelFeatures.failure(of: { (test) throws(Errno) in try test.accepts() }, test),
            fallback: "an accept for each connection")
        found.minimumWait = found.note(
            "minimum wait", KernelFeatures.failure(of: { (test) throws(Errno) in try test.waitsAtLeast() }, test),
            fallback: "waking at the first completion")
        found.note(
            "ring messages", KernelFeatures.failure(of: { (test) throws(Errno) in try test.sendsMessage() }, test),
            fallback: "eventfd")
        return found
    }

    private static func failure(of attempt: (SelfTest) throws(Errno) -> Void, _ test: SelfTest) -> Errno? {
        do throws(Errno) {
            try attempt(test)
            return nil
        } catch {
            return error
        }
    }

    @discardableResult
    private mutating func note(_ name: String, _ failure: Errno?, fallback: String) -> Bool {
        features.append(Feature(name: name, works: failure == nil, reason: failure?.description ?? "tried, works", fallback: fallback))
        return failure == nil
    }
}
