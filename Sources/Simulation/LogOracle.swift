package import SegmentLog

/// What a log promised so far, and whether it keeps it. Written from the manual (docs/reliability.md), knowing nothing of the code.
///
/// `lineage` is the one history of the log: the message at each offset, as the append answered. A crash may cut its end, never
/// below what was acknowledged as flushed or shown to a consumer that sees durable records only.
package struct LogOracle {
    package enum Ending: Sendable { case powerLost, processKilled, closedCleanly }

    private struct Entry {
        var message: UInt64
        var timestamp: Int64
        /// When its write was done, on the monotonic clock; nil before.
        var written: UInt64?
        /// When it was taken, on the broker's wall clock.
        var taken: Int64 = 0
    }

    private var lineage: [Entry] = []
    /// A batch whose append failed in the middle: it may be there afterwards.
    private var inDoubt: [(message: UInt64, timestamp: Int64)] = []
    package private(set) var start: Int64 = 0
    /// Trimming moves the start at once, and durably only later.
    private var durableStart: Int64 = 0
    /// Everything below survives power loss.
    package private(set) var safe: Int64 = 0
    /// Everything below survives the end of the process.
    private var written: Int64 = 0
    private var flushedAtFault: Int64?
    /// The latest that the wall clock has said.
    private var latest: Int64 = 0
    private var hadFault = false
    private let durability: Durability

    package init(durability: Durability) { self.durability = durability }

    package var end: Int64 { Int64(lineage.count) }
    package var isFaulted: Bool { flushedAtFault != nil }

    package func message(at offset: Int64) -> UInt64? { offset >= 0 && offset < end ? lineage[Int(offset)].message : nil }

    /// The first offset at or after `from` whose timestamp is not before `time`.
    package func firstOffset(atOrAfter time: Int64, below limit: Int64) -> Int64? {
        var offset = start
        while offset < min(limit, end) {
            if lineage[Int(offset)].timestamp >= time { return offset }
            offset += 1
        }
        return nil
    }

    package func timestamp(at offset: Int64) -> Int64? { offset >= 0 && offset < end ? lineage[Int(offset)].timestamp : nil }

    // MARK: Appending

    package mutating func appended(_ messages: [UInt64], timestamps: [Int64], base: Int64, count: Int, at wall: Int64 = 0) throws(Violation) {
        guard !isFaulted else { throw Violation(.acknowledgedAfterError, "an append was taken after an error of the disk") }
        guard count == messages.count else { throw Violation(.disorder, "\(messages.count) messages became \(count)") }
        guard base == end else { throw Violation(.disorder, "the append went to \(base), the end was \(end)") }
        latest = max(latest, wall)
        for (message, timestamp) in zip(messages, timestamps) {
            lineage.append(Entry(message: message, timestamp: timestamp, written: nil, taken: wall))
        }
    }

    /// The log recognised a retry.
    package func deduplicated(_ messages: [UInt64], base: Int64) throws(Violation) {
        for (index, message) in messages.enumerated() where self.message(at: base + Int64(index)) != message {
            throw Violation(.duplicate, "message \(message) was called a duplicate of offset \(base + Int64(index)), which holds another")
        }
    }

    /// The append failed in an unknown state: nothing of it is promised, and it may be there.
    package mutating func appendFailed(_ messages: [UInt64], timestamps: [Int64]) { inDoubt += zip(messages, timestamps).map { ($0, $1) } }

    /// The log ends at `end`, and a tick has written everything up to `limit`: all of it, but before the log is ready.
    package mutating func ticked(end: Int64, written limit: Int64, at instant: UInt64) throws(Violation) {
        guard end == self.end else { throw Violation(.disorder, "the log ends at \(end) and was given \(self.end) records") }
        var offset = written
        while offset < limit {
            lineage[Int(offset)].written = instant
            offset += 1
        }
        written = max(written, limit)
    }

    // MARK: Watermarks

    package mutating func saw(_ marks: Watermarks, visibleEnd: Int64, waitsForFlush: Bool) throws(Violation) {
        guard marks.start.rawValue <= visibleEnd, marks.flushed <= marks.end, visibleEnd <= marks.end.rawValue else {
            throw Violation(.disorder, "watermarks out of order: \(marks), visible up to \(visibleEnd)")
        }
        if waitsForFlush, visibleEnd > marks.flushed.rawValue {
            throw Violation(.visibleTooEarly, "offsets up to \(visibleEnd) are visible, flushed is \(marks.flushed)")
        }
        if let flushedAtFault, marks.flushed.rawValue > flushedAtFault {
            throw Violation(.acknowledgedAfterError, "flushed moved from \(flushedAtFault) to \(marks.flushed) after an error of the disk")
        }
        safe = max(safe, marks.flushed.rawValue)
    }

    package mutating func faulted(flushed: Int64) {
        guard flushedAtFault == nil else { return }
        flushedAtFault = flushed
        hadFault = true
    }

    /// The disk refused something, and perhaps nobody was told before the end: only what was flushed is promised.
    package mutating func lostWrites() { hadFault = true }

    // MARK: Forgetting

    /// `trim` or retention moved the start.
    package mutating func startMoved(to newStart: Int64, allowed limit: Int64) throws(Violation) {
        guard newStart >= start else { throw Violation(.inconsistentOffset, "the start moved back from \(start) to \(newStart)") }
        guard newStart <= limit else { throw Violation(.earlyRemoval, "the start moved to \(newStart); only what is below \(limit) may go") }
        start = newStart
    }

    /// Retention took what lies below `newStart`: only what is below `floor`, or older than `age` by the broker's clock (whatever producers
    /// said), or whatever there is where bytes are over.
    package mutating func retained(to newStart: Int64, floor: Int64?, age: Int64, at wall: Int64, hasSurplus: Bool) throws(Violation) {
        latest = max(latest, wall)
        var offset = max(start, floor ?? 0)
        while offset < newStart, offset < end, !hasSurplus {
            guard age >= 0, latest - lineage[Int(offset)].taken > age else {
                throw Violation(.earlyRemoval, "offset \(offset), taken \(latest - lineage[Int(offset)].taken) ms ago, was removed; \(age) ms are kept")
            }
            offset += 1
        }
        try startMoved(to: newStart, allowed: end)
    }

    /// The log was opened at this time of the wall clock. When its records were taken may be forgotten: then they count as taken now.
    package mutating func reopened(at wall: Int64) {
        for offset in lineage.indices { lineage[offset].taken = min(lineage[offset].taken, wall) }
    }

    // MARK: Reading

    package func read(_ records: [ReferenceBatch.Record], from offset: Int64, below limit: Int64) throws(Violation) {
        guard let first = records.first, let last = records.last else { throw Violation(.pollSkip, "an empty read at \(offset)") }
        guard first.offset <= offset, offset <= last.offset else {
            throw Violation(.pollSkip, "a read at \(offset) gave \(first.offset) … \(last.offset)")
        }
        guard last.offset < limit else { throw Violation(.visibleTooEarly, "a read below \(limit) gave \(last.offset)") }
        var expected = first.offset
        for record in records {
            guard record.offset == expected else { throw Violation(.pollSkip, "offset \(record.offset) where \(expected) was due") }
            guard let message = message(at: record.offset) else {
                throw Violation(.phantom, "offset \(record.offset) holds message \(record.message); the end was \(end)")
            }
            guard message == record.message else {
                throw Violation(.inconsistentOffset, "offset \(record.offset) held message \(message) and gives \(record.message)")
            }
            guard timestamp(at: record.offset) == record.timestamp else {
                throw Violation(.inconsistentOffset, "offset \(record.offset) gives another timestamp: \(record.timestamp)")
            }
            expected += 1
        }
    }

    // MARK: After the end

    /// The log was opened again; `records` is everything from its start to its end. A log that may have lost what was not older than
    /// `bound` (interval durability) must keep everything written before it.
    package mutating func recovered(
        _ records: [ReferenceBatch.Record], start newStart: Int64, end newEnd: Int64, after ending: Ending, writtenBefore bound: UInt64? = nil
    ) throws(Violation) {
        guard Int64(records.count) == newEnd - newStart else {
            throw Violation(.pollSkip, "a scan of \(newStart) ..< \(newEnd) gave \(records.count) records")
        }
        guard newStart <= start else { throw Violation(.earlyRemoval, "recovered start \(newStart) is above \(start)") }
        guard newStart >= durableStart || ending != .closedCleanly else {
            throw Violation(.inconsistentOffset, "a clean reopening moved the start back to \(newStart)")
        }
        var promised = safe
        if !hadFault {
            switch ending {
            case .powerLost:
                if let bound {
                    var offset = safe
                    while offset < end, let written = lineage[Int(offset)].written, written < bound { offset += 1 }
                    promised = max(promised, offset)
                }
            case .processKilled: if !durability.waitsForFlush { promised = max(promised, written) }
            case .closedCleanly: promised = end
            }
        }
        guard newEnd >= promised else { throw Violation(.lostWrite, "recovered up to \(newEnd); \(promised) was promised (end was \(end))") }
        for (message, timestamp) in inDoubt where end < newEnd { lineage.append(Entry(message: message, timestamp: timestamp, written: nil)) }
        guard newEnd <= end else { throw Violation(.phantom, "recovered up to \(newEnd); only \(end) were ever appended") }
        var expected = newStart
        for record in records {
            guard record.offset == expected else { throw Violation(.disorder, "offset \(record.offset) where \(expected) was due") }
            guard lineage[Int(record.offset)].message == record.message else {
                throw Violation(.inconsistentOffset, "offset \(record.offset) came back as message \(record.message)")
            }
            expected += 1
        }
        lineage.removeLast(Int(end - newEnd))
        start = newStart
        durableStart = newStart
        safe = min(safe, newEnd)
        written = newEnd
        inDoubt = []
        flushedAtFault = nil
        hadFault = false
    }

    /// Every message of an idempotent producer is stored at most once.
    package func checkStoredOnce() throws(Violation) {
        var seen: Set<UInt64> = []
        for (offset, entry) in lineage.enumerated() where !seen.insert(entry.message).inserted {
            throw Violation(.duplicate, "message \(entry.message) is stored again at \(offset)")
        }
    }
}
