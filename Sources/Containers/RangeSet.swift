/// A set of numbers as merged runs: what has been settled above a cursor's floor.
///
/// Invariant: runs are disjoint and do not touch.
@usableFromInline
package struct RangeSet {
    @usableFromInline package struct Range: Run, Equatable {
        @usableFromInline package var first: Int64
        @usableFromInline package var last: Int64
        @inlinable package init(first: Int64, last: Int64) {
            self.first = first
            self.last = last
        }
    }

    @usableFromInline var runs = RunList<Range>()

    @inlinable package init() {}

    @inlinable package var isEmpty: Bool { runs.isEmpty }
    /// How many ranges there are.
    @inlinable package var count: Int { runs.count }
    /// How many numbers are in the set.
    @inlinable package var covered: Int64 { runs.covered }
    @inlinable package var first: Range? { runs.first }
    @inlinable package var last: Range? { runs.last }

    @inlinable package func contains(_ number: Int64) -> Bool { runs.run(containing: number) != nil }

    /// The first range that reaches `number` or lies behind it.
    @inlinable package func run(atOrAfter number: Int64) -> Range? { runs.run(atOrAfter: number) }

    /// Adds `first … last`, some of which may be there already. Answers how many were new.
    @inlinable @discardableResult package mutating func insert(_ first: Int64, _ last: Int64) -> Int64 {
        let before = runs.covered
        // The common case touches nothing that is there.
        if let next = runs.run(atOrAfter: first), next.first <= last { runs.cut(first, last) { _ in } }
        runs.insert(Range(first: first, last: last), mergingWhere: { _, _ in true })
        return runs.covered &- before
    }

    @inlinable package mutating func remove(_ first: Int64, _ last: Int64) { runs.cut(first, last) { _ in } }
    @inlinable package mutating func removeAll(below number: Int64) { runs.removeAll(below: number) }
    @inlinable package mutating func removeAll() { runs.removeAll() }
    @inlinable package func forEach(_ body: (Range) -> Void) { runs.forEach(body) }

    package var isSound: Bool {
        guard runs.isSound else { return false }
        var sound = true
        var previous: Int64?
        runs.forEach { run in
            if let previous, previous + 1 >= run.first { sound = false }
            previous = run.last
        }
        return sound
    }
}
