internal import Containers
package import SegmentLog

// Old survivors: records that were never settled while everything around them was. Copies of them lie in a log of the broker's own, so
// that the partition's log may forget their segments. To whoever delivers and settles they are like all others: in flight or waiting to
// be redelivered, under their own offsets.
//
//     log start ------- floor ... aside ... keptBelow ------------- next
//                         |<- unsettled: copies ->|<- in the log ->|
extension Cursor {
    /// One stored copy. It may hold settled records among its own: a compressed batch is copied whole.
    struct Aside: Run, Equatable {
        var first: Int64
        var last: Int64
        /// The offset of its entry in the log of survivors.
        var place: Int64
        var bytes: Int64
        /// When it was copied, in milliseconds of the broker's wall clock: its age for retention.
        var time: Int64
    }

    /// What the partition's log is still needed for: nothing below is unsettled without a durable copy elsewhere.
    package var retentionFloor: Offset {
        guard floor < keptBelow else { return floor }
        if let run = settled.run(atOrAfter: keptBelow.rawValue), run.first <= keptBelow.rawValue { return Offset(run.last + 1) }
        return keptBelow
    }

    /// The copy that holds `offset`.
    func copy(of offset: Offset) -> Aside? { aside.isEmpty ? nil : aside.run(containing: offset.rawValue) }

    /// How many records within `first ..< end` are neither settled nor unread.
    func unsettledCount(from first: Offset, below end: Offset) -> Int64 {
        var count: Int64 = 0
        inFlight.forEach(from: first.rawValue, through: end.rawValue - 1) { count += min($0.last, end.rawValue - 1) - max($0.first, first.rawValue) + 1 }
        redelivery.forEach(from: first.rawValue, through: end.rawValue - 1) { count += min($0.last, end.rawValue - 1) - max($0.first, first.rawValue) + 1 }
        return count
    }

    /// The first stretch within `first ..< end` that is neither settled nor copied.
    func uncopied(from first: Int64, below end: Int64) -> ClosedRange<Int64>? {
        var at = max(first, floor.rawValue)
        while at < end {
            if let run = settled.run(atOrAfter: at), run.first <= at {
                at = run.last + 1
            } else if let run = aside.run(containing: at) {
                at = run.last + 1
            } else {
                let stop = min(settled.run(atOrAfter: at)?.first ?? end, aside.run(atOrAfter: at)?.first ?? end, end)
                return at...(stop - 1)
            }
        }
        return nil
    }

    /// Notes copies that are durable; everything unsettled below `end` has one now. What was settled meanwhile needs none.
    mutating func setAside(_ copies: [Aside], below end: Offset) {
        for copy in copies where !isSettled(copy.first, copy.last) {
            if let other = aside.run(atOrAfter: copy.first), other.first <= copy.last { continue }
            aside.insert(copy)
        }
        asideBelow = max(asideBelow, end)
    }

    /// The notes about the copies are durable, too: the log may forget the originals.
    mutating func keepAside(below end: Offset) { keptBelow = max(keptBelow, min(end, asideBelow)) }

    /// The copy was copied on. Answers false when it is not needed any more.
    mutating func moveAside(_ copy: Aside, from place: Int64) -> Bool {
        guard let old = aside.run(containing: copy.first), old.first == copy.first, old.last == copy.last, old.place == place else { return false }
        aside.cut(old.first, old.last) { _ in }
        aside.insert(copy)
        return true
    }

    /// Gives up the copies that `isLost` names: what they hold counts as settled. `lost` names the consumers that had some of it in flight.
    /// Answers how many records that were.
    mutating func dropAside(where isLost: (Aside) -> Bool, _ lost: (UInt32, Int64) -> Void = { _, _ in }) -> Int64 {
        var gone: [Aside] = []
        aside.forEach { if isLost($0) { gone.append($0) } }
        var count: Int64 = 0
        for copy in gone { count += forget(max(copy.first, floor.rawValue), copy.last, lost) }
        raiseFloor()
        pruneAside(.min, .max)
        return count
    }

    /// Takes `first … last` as settled, whatever it was. The floor is to be raised afterwards.
    private mutating func forget(_ first: Int64, _ last: Int64, _ lost: (UInt32, Int64) -> Void) -> Int64 {
        guard first <= last else { return 0 }
        var count: Int64 = 0
        inFlight.cut(first, last) {
            count += $0.length
            lost($0.consumer, $0.length)
        }
        redelivery.cut(first, last) { count += $0.length }
        settled.insert(first, last)
        return count
    }

    /// The log has forgotten what lies below `start`; what has a copy stays.
    mutating func loseUncopied(below start: Offset, _ lost: (UInt32, Int64) -> Void) {
        var gone: [ClosedRange<Int64>] = []
        var at = floor.rawValue
        aside.forEach(from: at, through: start.rawValue - 1) { copy in
            if at < copy.first { gone.append(at...(copy.first - 1)) }
            at = max(at, copy.last + 1)
        }
        if at < start.rawValue { gone.append(at...(start.rawValue - 1)) }
        for range in gone { _ = forget(range.lowerBound, range.upperBound, lost) }
        next = max(next, start)
        raiseFloor()
        pruneAside(.min, .max)
    }

    private func isSettled(_ first: Int64, _ last: Int64) -> Bool {
        let at = max(first, floor.rawValue)
        if at > last { return true }
        guard let run = settled.run(atOrAfter: at) else { return false }
        return run.first <= at && run.last >= last
    }

    /// Forgets copies within `first … last` that nobody waits for any more.
    mutating func pruneAside(_ first: Int64, _ last: Int64) {
        if aside.isEmpty { return }
        var done: [Aside] = []
        aside.forEach(from: first, through: last) { if isSettled($0.first, $0.last) { done.append($0) } }
        for copy in done { aside.cut(copy.first, copy.last) { _ in } }
    }

    /// Whether copies and sets agree; for tests.
    var isAsideSound: Bool {
        guard aside.isSound, keptBelow <= asideBelow else { return false }
        var sound = true
        aside.forEach { if isSettled($0.first, $0.last) { sound = false } }
        if floor < asideBelow, uncopied(from: floor.rawValue, below: asideBelow.rawValue) != nil { sound = false }
        return sound
    }
}
