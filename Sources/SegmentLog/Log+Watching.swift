internal import Bytes
internal import Mutants

/// What the disk does that no request is told of, and the operator should be.
package enum LogTrouble: Sendable {
    /// Publishers have waited for a flush for more than a second, and still do.
    case flushSlow(nanoseconds: UInt64)
    /// It has ended; `isTooLate` where the log had given up by then.
    case flushEnded(nanoseconds: UInt64, isTooLate: Bool)
    /// The log does without: what is in the way, what is slower, what takes room.
    case workFailed(LogWork, StorageError)
}

/// Work in the background whose failure harms nothing that was promised.
package enum LogWork: String, Sendable, CaseIterable {
    /// Files that are no part of the log any more: they take room until the next start.
    case removal
    /// An index is made anew when the log is opened again.
    case index
    /// The next segment is made when it is needed.
    case preparation
}

/// How long a flush, or what readies a log, has been waited for. Between two looks little more than a second counts: a process that was
/// stopped meanwhile has not waited for the disk, and what ended while it was has not been told yet.
struct Patience {
    static let interval: UInt64 = 1_000_000_000

    private(set) var waited: UInt64 = 0
    private var looked: Instant
    var isSlow = false

    init(from now: Instant) { looked = now }

    var next: Instant { looked.advanced(byNanoseconds: Patience.interval) }

    mutating func look(_ now: Instant) {
        waited &+= min(now.nanoseconds(since: looked), Patience.interval + Patience.interval / 2)
        looked = max(looked, now)
    }
}

// Operations that do not come back. A disk that hangs fails nothing, so publishers would wait for ever: a flush that takes more than a second
// is told of, and one that takes longer than `flush_timeout` ends the log as a failed one would (S8, E4). Should it come back later, nothing is
// made of it: whoever waited was told that the outcome is unknown.
extension Log {
    /// Answers true when the log has given up.
    func lookAfterFlush(now: Now) -> Bool {
        guard var patience = flushing.patience else { return false }
        patience.look(now.instant)
        if patience.waited >= Patience.interval, !patience.isSlow {
            patience.isSlow = true
            troubles.append(.flushSlow(nanoseconds: patience.waited))
        }
        flushing.patience = patience
        let most = UInt64(max(options.flushTimeoutMilliseconds, 1)) &* 1_000_000
        guard patience.waited >= most, !Mutant.isActive("waitsForFlushesForEver") else { return false }
        fail(StorageError(operation: "flush", path: directory, code: 110, reason: "not done after \(patience.waited / 1_000_000) ms"))
        return true
    }

    /// What was waited for has ended.
    func endPatience(now: Instant) {
        flushing.patience?.look(now)
        if let patience = flushing.patience, patience.isSlow {
            troubles.append(.flushEnded(nanoseconds: patience.waited, isTooLate: fault != nil))
        }
        flushing.patience = nil
    }

    /// Whether publishers have waited for more than a second for what is under way, or it was given up and has not come back.
    package var isStalled: Bool { flushing.patience?.isSlow ?? false }

    /// Hands over what went wrong since the last time.
    package func takeTroubles() -> [LogTrouble] {
        guard !troubles.isEmpty else { return [] }
        defer { troubles = [] }
        return troubles
    }
}
