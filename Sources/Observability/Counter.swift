internal import Synchronization

/// A number that only grows, written by one thread and read by any.
///
/// The one writer reads and stores its own cell, which costs what a plain addition costs: no lock, no locked instruction. Two
/// writers would lose counts, so each shard has its own and readers add them up.
package final class Counter: Sendable {
    private let cell = Atomic<UInt64>(0)

    package init() {}

    package var value: UInt64 { cell.load(ordering: .relaxed) }

    package func add(_ more: UInt64 = 1) { cell.store(cell.load(ordering: .relaxed) &+ more, ordering: .relaxed) }

    /// Shows a total that the writer counts in a plain integer of its own, once a tick.
    package func publish(_ total: UInt64) { cell.store(total, ordering: .relaxed) }
}

/// A number that goes up and down, written by one thread and read by any.
package final class Gauge: Sendable {
    private let cell = Atomic<Int64>(0)

    package init() {}

    package var value: Int64 { cell.load(ordering: .relaxed) }

    package func publish(_ value: Int64) { cell.store(value, ordering: .relaxed) }
}
