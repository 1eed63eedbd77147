/// How a simulated disk misbehaves. All probabilities are per operation; most seeds have most of them at zero (`swarm`), so that
/// rare combinations occur.
package struct DiskFaults: Sendable {
    /// Errors of the device (EIO). A failed write may have written a part; a failed flush marks the pages clean (S8).
    package var writeError = 0.0
    package var flushError = 0.0
    package var readError = 0.0
    /// Create, open, rename, remove, truncate, and flushes of directories.
    package var metadataError = 0.0
    /// The share of errors that stay with their file.
    package var stickyShare = 0.0
    /// The operating system writes a page back on its own.
    package var writeback = 0.1
    /// Such a write fails: told to the next flush, once.
    package var writebackError = 0.0
    /// Bytes that all files may take; nil: no end.
    package var capacity: Int?

    /// A sector that was on its way at the crash holds something else: noise, or what stood elsewhere. Only where nothing durable
    /// stood before, as no log could survive it elsewhere.
    package var garbage = 0.0
    /// Whether names become durable in the order of their changes (a journal), or each on its own.
    package var journaledNames = true

    /// Ordinary latency is up to `latency` nanoseconds.
    package var latency = 200_000
    /// Flushes that take up to 25 s, and ones that never end.
    package var slow = 0.0
    package var stuck = 0.0

    /// Pages of a mapping are not in memory when somebody asks.
    package var cold = 0.0

    package init() {}

    /// A well-behaved disk, crashes aside.
    package static let none = DiskFaults()

    /// Draws what a crash may do, but no errors.
    package static func crashesOnly(_ random: inout RandomStream) -> DiskFaults {
        var faults = DiskFaults()
        faults.writeback = random.pick([0, 0.05, 0.3])
        faults.garbage = random.pick([0, 0.1, 0.3])
        faults.journaledNames = random.chance(0.5)
        faults.latency = random.pick([1_000, 200_000, 5_000_000])
        faults.slow = random.pick([0, 0, 0.05])
        faults.cold = random.pick([0, 0.1, 0.5])
        return faults
    }

    /// Draws errors, too.
    package static func swarm(_ random: inout RandomStream) -> DiskFaults {
        var faults = crashesOnly(&random)
        faults.writeError = random.pick([0, 0, 0.002, 0.02])
        faults.flushError = random.pick([0, 0, 0.01, 0.05])
        faults.readError = random.pick([0, 0, 0, 0.005])
        faults.metadataError = random.pick([0, 0, 0.005])
        faults.writebackError = random.pick([0, 0, 0.02])
        faults.stickyShare = random.pick([0, 0.5, 1])
        faults.stuck = random.pick([0, 0, 0, 0.005])
        return faults
    }
}
