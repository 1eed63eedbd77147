package import SegmentLog

extension Broker {
    /// What the broker is started with; every topic may have its own where it says so.
    package struct Options: Sendable {
        /// Where everything is kept.
        package var directory: String
        /// What topics that do not say otherwise use.
        package var log = Log.Options()
        package var limits = Limits()
        package var groups = GroupOptions()
        /// How long a queue's delivery may stay unsettled where neither topic nor subscription says.
        package var queueLeaseMilliseconds: UInt32 = 60_000
        /// How often a record is delivered before it is dead-lettered, where a dead-letter topic but no limit is given.
        package var deliveryLimit: UInt16 = 20
        /// How long a cursor may have moved before that is written.
        package var cursorWriteMilliseconds: UInt64 = 50
        /// Entries of the cursors' log before it is written anew (more where more cursors live).
        package var cursorEntries = 10_000
        /// Bytes of the groups' log before it is written anew (more where the groups take more).
        package var groupLogBytes = 16 << 20
        package var retentionCheckMilliseconds: UInt64 = 5_000
        /// After how long a dead letter that could not be stored is tried again.
        package var moveRetryMilliseconds: UInt64 = 1_000
        /// Bytes that one tick hands out before the shard looks at its sockets again.
        package var dispatchBytes = 4 << 20
        /// The most that one delivery or fetch shows (one batch may be larger).
        package var deliveryBytes = 256 << 10
        /// The most records of one delivery in `.records` form.
        package var deliveryRecords: Int64 = 1_024
        /// Publishes to disk are refused while less than this is free (of small disks: a twentieth).
        package var diskReserveBytes = 256 << 20
        /// Records that one tick moves to dead-letter topics or back.
        package var movesPerTick = 512
        /// Where more segments than this follow the oldest unsettled records, those are set aside; 0: never.
        package var segmentsBeforeAside = 8
        /// Bytes that one tick sets aside.
        package var asideBytesPerTick = 1 << 20
        /// Nanoseconds of a clock that never goes back, for the few things that ticks are too coarse for; nil: they are not measured.
        package var stopwatch: (@Sendable () -> UInt64)?
        /// A secret of this process, by which keys are told apart; whoever knew it could make two keys look alike.
        package var compactionSeed = CompactionSeed(0, 0)
        /// What all brokers together keep of sealed segments.
        package var segmentCache = SegmentCache.Bounds()
        /// Logs opened at start; beyond it they are opened at their first use.
        package var logsOpenedAtStart = 1_000

        package init(directory: String) { self.directory = directory }
    }
}

extension Broker {
    /// Takes over what may change while it runs: all but where it is, how far messages are routed, and how groups of consumers behave.
    /// A limit that is exceeded already only refuses what is new.
    package func adopt(_ new: Options, now: Now) {
        self.now = now
        var new = new
        new.directory = options.directory
        new.limits.routeDepth = options.limits.routeDepth
        new.groups = options.groups
        options = new
        for own in [survivors, memorySurvivors] { own.log?.options = ownOptions.survivors }
        for topic in topics.values.sorted(by: { $0.id < $1.id }) { applyOptions(of: topic) }
        lookAtDisk()
    }
}

/// The broker cannot start: which path, and why.
package struct StartError: Error, Sendable, CustomStringConvertible {
    package var path: String
    package var reason: String
    package init(path: String, reason: String) {
        self.path = path
        self.reason = reason
    }
    package var description: String { "\(path): \(reason)" }
}

extension StartError {
    /// One of the broker's own logs cannot be used. Where it is damaged and the broker could go on without it, the reason says how, and
    /// what that costs: an operator decides whether duplicates or losses are better than a stop, not the broker.
    init(log path: String, _ error: LogError) {
        self.init(path: path, reason: BrokerError(error).text)
        switch error {
        case .damaged, .corruptBatch: break
        default: return
        }
        let cost: String
        switch path.split(separator: "/").last?.prefix(while: { $0 != "-" }) {
        case "__cursors": cost = "every subscription begins anew with the oldest message that is kept, and messages that were set aside are lost"
        case "__aside": cost = "messages that were set aside (old unsettled ones of queues) are lost"
        case "__groups": cost = "groups of consumers have no committed offsets"
        default: return
        }
        let quoted = "'" + path.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
        reason += "; restore it from a backup, or go on without it: mv \(quoted) \(quoted).damaged (then \(cost))"
    }
}
