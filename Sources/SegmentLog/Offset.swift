/// The place of a record in its partition's log: 0 for the first record ever appended, then one more for each (Kafka's *offset*).
@usableFromInline
package struct Offset: RawRepresentable, Comparable, Hashable, Sendable, CustomStringConvertible {
    @usableFromInline package var rawValue: Int64

    @inlinable package init(rawValue: Int64) { self.rawValue = rawValue }
    @inlinable package init(_ value: Int64) { rawValue = value }

    package static let zero = Offset(0)
    @inlinable package static func < (left: Offset, right: Offset) -> Bool { left.rawValue < right.rawValue }
    @inlinable package static func + (left: Offset, right: Int64) -> Offset { Offset(left.rawValue &+ right) }
    @inlinable package static func - (left: Offset, right: Int64) -> Offset { Offset(left.rawValue &- right) }
    /// How many offsets lie from `right` up to, without, `left`.
    @inlinable package static func - (left: Offset, right: Offset) -> Int64 { left.rawValue &- right.rawValue }
    package var next: Offset { self + 1 }
    @usableFromInline package var description: String { String(rawValue) }
}

/// Milliseconds since 1970-01-01 UTC, as record batches store them.
@usableFromInline
package struct Timestamp: RawRepresentable, Comparable, Hashable, Sendable {
    @usableFromInline package var rawValue: Int64
    @inlinable package init(rawValue: Int64) { self.rawValue = rawValue }
    @inlinable package init(milliseconds: Int64) { rawValue = milliseconds }
    @inlinable package static func < (left: Timestamp, right: Timestamp) -> Bool { left.rawValue < right.rawValue }
}

/// A point of the monotonic clock, in nanoseconds; given by the driver once a tick.
@usableFromInline
package struct Instant: RawRepresentable, Comparable, Hashable, Sendable {
    @usableFromInline package var rawValue: UInt64
    @inlinable package init(rawValue: UInt64) { self.rawValue = rawValue }
    @inlinable package init(nanoseconds: UInt64) { rawValue = nanoseconds }
    package static let distantFuture = Instant(rawValue: .max)
    @inlinable package static func < (left: Instant, right: Instant) -> Bool { left.rawValue < right.rawValue }
    /// `nanoseconds` later; stays at the far end instead of wrapping.
    @inlinable package func advanced(byNanoseconds nanoseconds: UInt64) -> Instant {
        let (sum, overflow) = rawValue.addingReportingOverflow(nanoseconds)
        return Instant(rawValue: overflow ? .max : sum)
    }
    /// Nanoseconds from `earlier` to here; 0 when `earlier` is later.
    @inlinable package func nanoseconds(since earlier: Instant) -> UInt64 { rawValue > earlier.rawValue ? rawValue &- earlier.rawValue : 0 }
}

/// The two clocks as they stood when the tick began. Cores are told the time and never read it.
@usableFromInline
package struct Now: Sendable {
    /// For time-outs, leases and intervals.
    package var instant: Instant
    /// For timestamps and retention.
    package var time: Timestamp

    package init(instant: Instant, time: Timestamp) {
        self.instant = instant
        self.time = time
    }
}

/// What an acknowledgement promises; the manual's wording is in docs/durability.md.
package enum Durability: UInt8, Comparable, Sendable, CaseIterable {
    case none = 0
    case interval = 1
    case group = 2
    case each = 3

    package static func < (left: Durability, right: Durability) -> Bool { left.rawValue < right.rawValue }
    /// Whether an acknowledgement waits for a flush.
    package var waitsForFlush: Bool { self >= .group }
    package var name: String {
        switch self {
        case .none: "none"
        case .interval: "interval"
        case .group: "group"
        case .each: "each"
        }
    }
    package init?(name: String) {
        guard let found = Durability.allCases.first(where: { $0.name == name }) else { return nil }
        self = found
    }
}

/// Whose time stands in a log's records.
package enum TimestampType: UInt8, Sendable, CaseIterable {
    /// The producer's.
    case create = 0
    /// The broker's: one for each batch, its latest.
    case append = 1
}

/// What becomes of a log's old records.
package enum Cleanup: UInt8, Sendable, CaseIterable {
    /// Whole segments are forgotten, by age and size.
    case delete = 0
    /// A record goes when a newer one has its key.
    case compact = 1
    case both = 2

    package var deletes: Bool { self != .compact }
    package var compacts: Bool { self != .delete }
}
