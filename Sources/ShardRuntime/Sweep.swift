import SegmentLog

/// When which connections are looked after: a tenth of the slots every 100 ms, so that no tick does it all (rule U5).
struct Sweep {
    private static let interval: UInt64 = 100_000_000
    private static let parts = 10

    private(set) var next = Instant(rawValue: 0)
    private var part = 0
    private var paused: [(listener: ListenerID, until: Instant)] = []

    /// Whether a listener is to be tried again, even where there are no connections to look after.
    var isWaiting: Bool { !paused.isEmpty }

    func isDue(_ now: Instant) -> Bool { now >= next }

    /// The slots of this turn.
    mutating func slots(of count: Int, _ now: Instant) -> StrideTo<Int> {
        next = now.advanced(byNanoseconds: Sweep.interval)
        defer { part = (part + 1) % Sweep.parts }
        return stride(from: part, to: count, by: Sweep.parts)
    }

    /// Tries a listener again after a second.
    mutating func resume(_ listener: ListenerID, after now: Instant) {
        paused.append((listener, now.advanced(byNanoseconds: 1_000_000_000)))
    }

    mutating func listenersToResume(_ now: Instant) -> [ListenerID] {
        guard !paused.isEmpty else { return [] }
        let due = paused.filter { $0.until <= now }.map(\.listener)
        paused.removeAll { $0.until <= now }
        return due
    }
}
