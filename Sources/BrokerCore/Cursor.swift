internal import Containers
internal import Mutants
package import SegmentLog

/// Where one subscription is in its partition.
///
///     floor          settled above it                next          end
///       |--- x x x ----- x x ------- in flight --------|  unread    |
///
/// Invariant: every offset in `floor ..< next` is exactly one of settled, in flight, or waiting to be redelivered; the offset at the
/// floor is not settled. A leaf without IO: the time and the log's end are arguments. What later issues bring (order per key, delay,
/// time-to-live, priority, selectors) chooses among `pending`; the three sets stay.
package struct Cursor {
    /// Nothing below is wanted again.
    package internal(set) var floor: Offset
    /// The first offset that was never taken.
    package internal(set) var next: Offset
    var settled = RangeSet()
    var inFlight = RunList<InFlight>()
    var redelivery = RunList<Redelivery>()
    /// Copies of old survivors; see `Cursor+Aside`.
    var aside = RunList<Aside>()
    /// Everything unsettled below has a copy, ...
    var asideBelow = Offset.zero
    /// ... and this is durable, so that the log may forget it.
    var keptBelow = Offset.zero
    private var leases = LeaseTimes()

    /// Delivered and not settled. `consumer` 0 is the broker itself, moving records elsewhere.
    struct InFlight: Run {
        var first: Int64
        var last: Int64
        var consumer: UInt32
        /// Which delivery this is, counting those that count; 1 at the first.
        var attempt: Int32
        var deadline: Instant
    }

    /// To be delivered again, before anything new.
    struct Redelivery: Run {
        var first: Int64
        var last: Int64
        /// Deliveries that counted so far.
        var attempts: Int32
    }

    /// What comes next for a consumer.
    package struct Pending: Equatable {
        package var first: Offset
        package var last: Offset
        package var attempt: Int32
        package var isRedelivery: Bool
        package init(first: Offset, last: Offset, attempt: Int32, isRedelivery: Bool) {
            self.first = first
            self.last = last
            self.attempt = attempt
            self.isRedelivery = isRedelivery
        }
    }

    /// What became of deliveries that ended without acceptance.
    package struct Returned: Equatable {
        /// How many records were concerned.
        package var count: Int64 = 0
        /// How many of them will be delivered again.
        package var requeued: Int64 = 0
        /// Past the delivery limit (or rejected): in flight with the broker, which is to move them.
        package var exhausted: [ClosedRange<Int64>] = []
    }

    package static let broker: UInt32 = 0

    package init(at offset: Offset) {
        floor = offset
        next = offset
    }

    package var inFlightCount: Int64 { inFlight.covered }
    package var redeliveryCount: Int64 { redelivery.covered }
    package var settledRangeCount: Int { settled.count }

    // MARK: Taking

    /// What is next, redelivery first; nil when everything below `end` was taken.
    package func pending(below end: Offset) -> Pending? {
        if let again = redelivery.first, next >= end || !Mutant.isActive("putsRequeuedLast") {
            return Pending(first: Offset(again.first), last: Offset(again.last), attempt: again.attempts &+ 1, isRedelivery: true)
        }
        guard next < end else { return nil }
        return Pending(first: next, last: end - 1, attempt: 1, isRedelivery: false)
    }

    /// Hands `pending.first … last` to `consumer` until `deadline`.
    package mutating func take(_ pending: Pending, through last: Offset, by consumer: UInt32, until deadline: Instant) {
        precondition(pending.first <= last && last <= pending.last)
        if pending.isRedelivery {
            redelivery.cut(pending.first.rawValue, last.rawValue) { _ in }
        } else {
            precondition(pending.first == next)
            next = last + 1
        }
        hold(InFlight(first: pending.first.rawValue, last: last.rawValue, consumer: consumer, attempt: pending.attempt, deadline: deadline))
    }

    /// As `take` and `settle` together, for consumers that settle by reading. Answers how many records are done.
    package mutating func pass(_ pending: Pending, through last: Offset, by consumer: UInt32) -> Int64 {
        guard floor == next, !pending.isRedelivery, aside.isEmpty else {
            take(pending, through: last, by: consumer, until: .distantFuture)
            return settle(pending.first, last, by: consumer)
        }
        // Who follows a log: nothing is unsettled, and nothing will be.
        precondition(pending.first == next && pending.first <= last && last <= pending.last)
        next = last + 1
        floor = next
        return last - pending.first + 1
    }

    /// Passes over `first … last`, which the log does not have (any more).
    package mutating func skip(_ pending: Pending, through last: Offset) {
        take(pending, through: last, by: Cursor.broker, until: .distantFuture)
        settle(pending.first, last, by: Cursor.broker)
    }

    private mutating func hold(_ run: InFlight) {
        inFlight.insert(run) { $0.consumer == $1.consumer && $0.attempt == $1.attempt && $0.deadline == $1.deadline }
        if run.deadline < .distantFuture { leases.add(run.deadline, run.first, run.last) }
    }

    // MARK: Settling

    /// Marks what `consumer` has in flight within `first … last` as done. Answers how many records that were.
    @discardableResult package mutating func settle(_ first: Offset, _ last: Offset, by consumer: UInt32) -> Int64 {
        let before = inFlight.covered
        var done = settled
        settled = RangeSet()
        let takesAll = Mutant.isActive("settlesForOthers")
        inFlight.cut(first.rawValue, last.rawValue, where: { $0.consumer == consumer || takesAll }) { done.insert($0.first, $0.last) }
        settled = done
        raiseFloor()
        pruneAside(first.rawValue, last.rawValue)
        return before &- inFlight.covered
    }

    /// Gives back what `consumer` has in flight within `first … last`; `counted` says whether the attempt counts. What has reached
    /// `limit` attempts (0: no limit) goes to the broker instead.
    package mutating func requeue(_ first: Offset, _ last: Offset, by consumer: UInt32, counted: Bool, limit: Int32) -> Returned {
        giveBack(first.rawValue, last.rawValue, counted: counted, limit: limit) { $0.consumer == consumer }
    }

    /// Hands what `consumer` has in flight within `first … last` to the broker.
    package mutating func reject(_ first: Offset, _ last: Offset, by consumer: UInt32) -> Returned {
        giveBack(first.rawValue, last.rawValue, counted: true, limit: 1) { $0.consumer == consumer }
    }

    /// Everything that `consumer` had comes back.
    package mutating func release(consumer: UInt32, counted: Bool, limit: Int32) -> Returned {
        let takesAll = Mutant.isActive("takesBackFromOthers")
        return giveBack(.min, .max, counted: counted, limit: limit) { $0.consumer == consumer || takesAll }
    }

    /// Gives what is in flight within `first … last` with `consumer` until `deadline`. Answers how many records that concerned.
    package mutating func extend(_ first: Offset, _ last: Offset, by consumer: UInt32, until deadline: Instant) -> Int64 {
        var parts: [InFlight] = []
        inFlight.cut(first.rawValue, last.rawValue, where: { $0.consumer == consumer }) { parts.append($0) }
        var count: Int64 = 0
        for var part in parts {
            count += part.length
            part.deadline = deadline
            hold(part)
        }
        return count
    }

    private mutating func giveBack(_ first: Int64, _ last: Int64, counted: Bool, limit: Int32, _ matches: (InFlight) -> Bool) -> Returned {
        var returned = Returned()
        var parts: [InFlight] = []
        inFlight.cut(first, last, where: matches) { parts.append($0) }
        for part in parts {
            returned.count += part.length
            if counted, limit > 0, part.attempt >= limit - (Mutant.isActive("givesUpTooEarly") ? 1 : 0) {
                returned.exhausted.append(part.first...part.last)
                var kept = part
                kept.consumer = Cursor.broker
                kept.deadline = .distantFuture
                hold(kept)
            } else {
                returned.requeued += part.length
                let attempts = counted && !Mutant.isActive("countsNoAttempts") ? part.attempt : part.attempt &- 1
                redelivery.insert(Redelivery(first: part.first, last: part.last, attempts: attempts)) { $0.attempts == $1.attempts }
            }
        }
        return returned
    }

    // MARK: Leases

    /// When the next lease may end.
    package var nextExpiry: Instant { leases.earliest }

    /// Gives back what was not settled in time. `lost` names the consumer and how many records each had.
    package mutating func expire(_ now: Instant, limit: Int32, _ lost: (UInt32, Int64) -> Void) -> Returned {
        var all = Returned()
        while let due = leases.popDue(now) {
            var returned = giveBack(due.first, due.last, counted: true, limit: limit) { run in
                guard run.deadline <= now else { return false }
                return true
            } onEach: {
                lost($0.consumer, $0.length)
            }
            all.count += returned.count
            all.requeued += returned.requeued
            all.exhausted += returned.exhausted
            returned.exhausted = []
            // Whatever lies there with a later deadline keeps its lease.
            var later = Instant.distantFuture
            inFlight.forEach(from: due.first, through: due.last) { later = min(later, $0.deadline) }
            if later < .distantFuture { leases.add(later, due.first, due.last) }
        }
        return all
    }

    private mutating func giveBack(
        _ first: Int64, _ last: Int64, counted: Bool, limit: Int32, _ matches: (InFlight) -> Bool, onEach: (InFlight) -> Void
    ) -> Returned {
        inFlight.forEach(from: first, through: last) { run in
            guard matches(run) else { return }
            var part = run
            part.first = max(run.first, first)
            part.last = min(run.last, last)
            onEach(part)
        }
        return giveBack(first, last, counted: counted, limit: limit, matches)
    }

    // MARK: Moving the place

    /// Forgets everything and goes on at `offset`.
    package mutating func seek(to offset: Offset) {
        self = Cursor(at: offset)
    }

    /// The log has forgotten what lies below `start`: all but what has a copy elsewhere is gone.
    /// `lost` names the consumers that had something there in flight, and how many records.
    package mutating func logStarts(at start: Offset, _ lost: (UInt32, Int64) -> Void = { _, _ in }) {
        guard start > floor else { return }
        if !aside.isEmpty { return loseUncopied(below: start, lost) }
        inFlight.cut(.min, start.rawValue &- 1) { lost($0.consumer, $0.length) }
        redelivery.removeAll(below: start.rawValue)
        settled.removeAll(below: start.rawValue)
        floor = start
        next = max(next, start)
        raiseFloor()
    }

    /// Marks everything below `end` that is not in flight as done; answers how many records that were.
    package mutating func purge(below end: Offset) -> Int64 {
        var count: Int64 = 0
        var done = settled
        settled = RangeSet()
        redelivery.cut(.min, end.rawValue &- 1) { part in
            count += part.length
            done.insert(part.first, part.last)
        }
        if next < end {
            count += end - next
            done.insert(next.rawValue, end.rawValue &- 1)
            next = end
        }
        settled = done
        raiseFloor()
        pruneAside(.min, end.rawValue)
        return count
    }

    mutating func raiseFloor() {
        guard let head = settled.first, head.first <= floor.rawValue else { return }
        floor = Offset(head.last &+ 1)
        settled.removeAll(below: floor.rawValue)
    }

    // MARK: Restoring

    /// A cursor as it was written: what was in flight then is to be delivered again.
    package init(restored floor: Offset, next: Offset) {
        self.init(at: floor)
        self.next = max(floor, next)
    }

    package mutating func restore(settled first: Int64, _ last: Int64) {
        guard first <= last, first >= floor.rawValue, last < next.rawValue else { return }
        redelivery.cut(first, last) { _ in }
        settled.insert(first, last)
    }

    package mutating func restore(redelivery first: Int64, _ last: Int64, attempts: Int32) {
        guard first <= last, first >= floor.rawValue, last < next.rawValue else { return }
        if let other = redelivery.run(atOrAfter: first), other.first <= last { return }
        if let other = settled.run(atOrAfter: first), other.first <= last { return }
        redelivery.insert(Redelivery(first: first, last: last, attempts: max(0, attempts)))
    }

    /// A copy that was noted when the cursor was written.
    mutating func restore(_ copy: Aside, below end: Offset) {
        guard copy.first >= 0, copy.first <= copy.last, copy.last < end.rawValue, end <= next, aside.last.map({ $0.last < copy.first }) ?? true else { return }
        aside.insert(copy)
        asideBelow = end
        keptBelow = end
    }

    /// Ends restoring: the log has `start ..< end`; what is neither settled nor noted for redelivery below `next` is delivered again.
    /// After an unclean stop deliveries may have gone beyond the noted `next`: all that is there counts as possibly delivered.
    package mutating func restored(start: Offset, end: Offset, clean: Bool) {
        if next > end {
            settled.remove(end.rawValue, .max)
            redelivery.cut(end.rawValue, .max) { _ in }
            aside.cut(end.rawValue, .max) { _ in }
            asideBelow = min(asideBelow, end)
            keptBelow = min(keptBelow, end)
            next = end
            floor = min(floor, end)
        } else if !clean, !Mutant.isActive("takesEveryStopForClean") {
            next = max(next, end)
        }
        logStarts(at: start)
        raiseFloor()
        var open: [ClosedRange<Int64>] = []
        var at = floor.rawValue
        while at < next.rawValue {
            if let run = settledRun(atOrAfter: at), run.first <= at {
                at = run.last + 1
                continue
            }
            if let run = redelivery.run(containing: at) {
                at = run.last + 1
                continue
            }
            let nextSettled = settledRun(atOrAfter: at)?.first ?? .max
            let nextAgain = redelivery.run(atOrAfter: at)?.first ?? .max
            let stop = min(nextSettled, nextAgain, next.rawValue)
            open.append(at...(stop - 1))
            at = stop
        }
        for range in open { redelivery.insert(Redelivery(first: range.lowerBound, last: range.upperBound, attempts: 0)) { $0.attempts == $1.attempts } }
    }

    /// Hands to the broker what has used up its attempts already: it was on its way elsewhere when the cursor was written.
    package mutating func exhaust(limit: Int32) -> [ClosedRange<Int64>] {
        guard limit > 0 else { return [] }
        var spent: [Redelivery] = []
        redelivery.cut(.min, .max, where: { $0.attempts >= limit }) { spent.append($0) }
        for run in spent {
            hold(InFlight(first: run.first, last: run.last, consumer: Cursor.broker, attempt: run.attempts, deadline: .distantFuture))
        }
        return spent.map { $0.first...$0.last }
    }

    private func settledRun(atOrAfter number: Int64) -> RangeSet.Range? { settled.run(atOrAfter: number) }

    // MARK: Checking

    /// Whether the invariant holds; for tests.
    package var isSound: Bool {
        guard settled.isSound, inFlight.isSound, redelivery.isSound, floor <= next else { return false }
        guard settled.covered + inFlight.covered + redelivery.covered == next - floor else { return false }
        var all = RangeSet()
        var overlap = false
        func add(_ first: Int64, _ last: Int64) {
            if all.insert(first, last) != last - first + 1 { overlap = true }
            if first < floor.rawValue || last >= next.rawValue { overlap = true }
        }
        settled.forEach { add($0.first, $0.last) }
        inFlight.forEach { add($0.first, $0.last) }
        redelivery.forEach { add($0.first, $0.last) }
        var leased = true
        inFlight.forEach { if $0.deadline < leases.earliest { leased = false } }
        return !overlap && leased && isAsideSound && !settled.contains(floor.rawValue)
    }
}

/// When which stretch of a cursor has leases to look at: few entries, sorted by deadline, each covering all offsets that were given
/// that deadline. What was settled meanwhile is simply not found.
struct LeaseTimes {
    private struct Entry {
        var deadline: Instant
        var first: Int64
        var last: Int64
    }

    private var entries: [Entry] = []
    static let limit = 256

    var earliest: Instant { entries.first?.deadline ?? .distantFuture }

    mutating func add(_ deadline: Instant, _ first: Int64, _ last: Int64) {
        if let tail = entries.last, tail.deadline <= deadline {
            if tail.deadline == deadline {
                widen(entries.count - 1, first, last)
                return
            }
            entries.append(Entry(deadline: deadline, first: first, last: last))
        } else {
            var low = 0
            var high = entries.count
            while low < high {
                let middle = (low + high) / 2
                if entries[middle].deadline < deadline { low = middle + 1 } else { high = middle }
            }
            if low < entries.count, entries[low].deadline == deadline {
                widen(low, first, last)
                return
            }
            entries.insert(Entry(deadline: deadline, first: first, last: last), at: low)
        }
        // Too many different deadlines: the two latest are looked at together, at the earlier one.
        if entries.count > LeaseTimes.limit {
            let removed = entries.removeLast()
            widen(entries.count - 1, removed.first, removed.last)
        }
    }

    private mutating func widen(_ index: Int, _ first: Int64, _ last: Int64) {
        entries[index].first = min(entries[index].first, first)
        entries[index].last = max(entries[index].last, last)
    }

    mutating func popDue(_ now: Instant) -> (first: Int64, last: Int64)? {
        guard let head = entries.first, head.deadline <= now else { return nil }
        entries.removeFirst()
        return (head.first, head.last)
    }
}
