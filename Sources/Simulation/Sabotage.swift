/// Seeded bugs: what a disk, or the code between it and the log, could do wrong. Each must be found by the workloads; a harness
/// that misses one is a defect. Exists in the simulator only.
package enum Sabotage: String, Sendable, CaseIterable {
    /// Flushes answer at once and happen later.
    case answersBeforeFlush
    /// One flush in four does nothing.
    case skipsSomeFlushes
    /// Names are never flushed.
    case skipsDirectoryFlush
    /// Of several files only the last is flushed: the end of a full segment is not.
    case flushesLastFileOnly
    /// A failed flush is tried again, and the second answer is believed.
    case retriesFailedFlush
    /// Recovery reads through the page cache.
    case keepsCache
    /// One write in twenty is short and says nothing.
    case shortWrites
    /// One write in twenty goes a sector too far.
    case misdirectsWrites
    /// Completions name each other's tickets.
    case swapsCompletions
    /// A replaced file is renamed before its content is flushed.
    case renamesBeforeFlush
    /// A write error is told to nobody.
    case hidesWriteErrors
}

extension Sabotage {
    /// Shows only where the disk fails as well.
    package var needsErrors: Bool { self == .retriesFailedFlush || self == .keepsCache || self == .hidesWriteErrors }
}
