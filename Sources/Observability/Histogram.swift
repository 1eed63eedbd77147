internal import Synchronization

/// How often which time was measured: nanoseconds to hours in cells whose width is at most 1/64 of their value (after Gil Tene's
/// HdrHistogram).
///
///     0 1 2 … 63 | 64 … 127 | 128 130 … 254 | 256 260 … 508 | …        64 cells, then 64 for each further power of two
///
/// Written by one thread, read by any: `record` is a few plain additions into memory that is there from the start.
package final class Histogram: Sendable {
    /// Longer times count as this: 2^44 ns, nearly five hours.
    package static let limit: UInt64 = 1 << 44 - 1
    static let cellCount = 2_496

    private let cells = InlineArray<2_496, Atomic<UInt64>> { _ in Atomic(0) }
    private let sum = Atomic<UInt64>(0)
    private let greatest = Atomic<UInt64>(0)

    package init() {}

    package func record(_ nanoseconds: UInt64, count: UInt64 = 1) {
        let value = min(nanoseconds, Histogram.limit)
        let cell = Histogram.cell(of: value)
        cells[cell].store(cells[cell].load(ordering: .relaxed) &+ count, ordering: .relaxed)
        sum.store(sum.load(ordering: .relaxed) &+ value &* count, ordering: .relaxed)
        if value > greatest.load(ordering: .relaxed) { greatest.store(value, ordering: .relaxed) }
    }

    /// What was recorded so far. Taken while the writer goes on, it may be behind by what is being recorded.
    package func snapshot() -> HistogramSnapshot {
        var counts: [UInt64] = []
        counts.reserveCapacity(Histogram.cellCount)
        for cell in 0..<Histogram.cellCount { counts.append(cells[cell].load(ordering: .relaxed)) }
        return HistogramSnapshot(counts: counts, sum: sum.load(ordering: .relaxed), greatest: greatest.load(ordering: .relaxed))
    }

    static func cell(of value: UInt64) -> Int {
        guard value >= 64 else { return Int(value) }
        let shift = 57 - value.leadingZeroBitCount
        return shift &* 64 &+ Int(truncatingIfNeeded: value >> UInt64(shift))
    }

    /// The greatest value that counts in this cell.
    static func upperBound(of cell: Int) -> UInt64 {
        guard cell >= 128 else { return UInt64(cell) }
        let shift = UInt64(cell / 64 - 1)
        return (UInt64(cell % 64) + 65) << shift - 1
    }
}

/// The counts of one histogram, or of several merged, as a value.
package struct HistogramSnapshot: Equatable, Sendable {
    package private(set) var counts: [UInt64]
    package private(set) var sum: UInt64
    package private(set) var greatest: UInt64

    package init() { self.init(counts: Array(repeating: 0, count: Histogram.cellCount), sum: 0, greatest: 0) }

    init(counts: [UInt64], sum: UInt64, greatest: UInt64) {
        self.counts = counts
        self.sum = sum
        self.greatest = greatest
    }

    /// Every value that was recorded, as far as its cell tells (its upper bound), with how often; rising.
    package var values: [(value: UInt64, count: UInt64)] {
        counts.indices.compactMap { counts[$0] == 0 ? nil : (min(Histogram.upperBound(of: $0), greatest), counts[$0]) }
    }

    package var count: UInt64 { counts.reduce(0, &+) }
    package var mean: Double { count == 0 ? 0 : Double(sum) / Double(count) }

    package mutating func merge(_ other: HistogramSnapshot) {
        for cell in counts.indices { counts[cell] &+= other.counts[cell] }
        sum &+= other.sum
        greatest = max(greatest, other.greatest)
    }

    /// What was recorded since `earlier`, a snapshot of the same histogram. Its greatest value is known to the cell only.
    package func since(_ earlier: HistogramSnapshot) -> HistogramSnapshot {
        var rest = self
        for cell in counts.indices { rest.counts[cell] &-= min(counts[cell], earlier.counts[cell]) }
        rest.sum &-= min(sum, earlier.sum)
        let last = rest.counts.lastIndex { $0 > 0 }
        rest.greatest = min(greatest, last.map(Histogram.upperBound) ?? 0)
        return rest
    }

    /// The time that a `fraction` of all did not exceed: 0.5, 0.99, 0.9999. 0 when nothing was recorded.
    package func quantile(_ fraction: Double) -> UInt64 {
        let total = count
        guard total > 0 else { return 0 }
        let exact = max(1, min(Double(total), fraction * Double(total)))
        var rank = UInt64(exact)
        if Double(rank) < exact { rank += 1 }
        var seen: UInt64 = 0
        for cell in counts.indices {
            seen &+= counts[cell]
            if seen >= rank { return min(Histogram.upperBound(of: cell), greatest) }
        }
        return greatest
    }
}
