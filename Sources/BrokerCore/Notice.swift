package import SegmentLog

/// What an operator must be told, once each; the shard makes log lines of it.
package enum Notice: Equatable, Sendable {
    /// An error of the disk: the log takes no more writes until the broker is started again (S8).
    case logFailed(log: String, reason: String)
    /// The log could not be opened, or is damaged where it was durable: nothing of it is served (S14).
    case logRefused(log: String, reason: String)
    /// Stored bytes that were good when they were written cannot be read any more; whoever reads them is sent away.
    case logUnreadable(log: String, at: Offset, reason: String)
    /// The torn end of a log was cut when it was opened.
    case tailCut(log: String, at: Offset, bytes: Int, reason: String)
    /// Publishes are refused until there is more room.
    case diskLow(free: Int, reserve: Int)
    case diskRoomAgain(free: Int)
    /// The same for want of memory.
    case memoryFull(used: Int, limit: Int)
    case memoryRoomAgain(used: Int)
    /// A log could not be compacted; it is tried again later, and grows meanwhile.
    case compactionFailed(log: String, reason: String)
    /// Publishers wait for a flush that does not end; it has ended, and whether the log had been given up by then.
    case flushSlow(log: String, nanoseconds: UInt64)
    case flushEnded(log: String, nanoseconds: UInt64, isTooLate: Bool)
    /// A log does without what could not be done in the background.
    case workFailed(log: String, LogWork, reason: String)
}

extension Broker {
    /// Hands over what is to be told.
    package func takeNotices() -> [Notice] {
        guard !notices.isEmpty else { return [] }
        defer { notices = [] }
        return notices
    }

    /// How people know a partition: its topic's name, and the directory to look in.
    func shownName(_ partition: Partition) -> String {
        guard let topic = topics[partition.id.topic] else { return partition.directory }
        return "\(topic.name)/\(partition.id.index) in \(partition.directory)"
    }

    /// Counts what the disk did to a log, and passes it on.
    func noteTroubles(_ partition: Partition, _ log: Log) {
        for trouble in log.takeTroubles() {
            switch trouble {
            case .flushSlow(let nanoseconds):
                counters.flushesSlow &+= 1
                notices.append(.flushSlow(log: shownName(partition), nanoseconds: nanoseconds))
            case .flushEnded(let nanoseconds, let isTooLate):
                notices.append(.flushEnded(log: shownName(partition), nanoseconds: nanoseconds, isTooLate: isTooLate))
            case .workFailed(let work, let error):
                counters.workFailed[work, default: 0] &+= 1
                notices.append(.workFailed(log: shownName(partition), work, reason: error.description))
            }
        }
    }

    func noteRecovery(_ partition: Partition, _ log: Log) {
        guard let offset = log.recovery.truncatedAt, log.recovery.truncatedBytes > 0 else { return }
        notices.append(
            .tailCut(log: shownName(partition), at: offset, bytes: log.recovery.truncatedBytes, reason: log.recovery.truncatedReason ?? "torn"))
    }
}
