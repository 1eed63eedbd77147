import BrokerCore
import Observability
import SegmentLog

extension Shard {
    /// Makes a log line of what the broker has to tell the operator.
    func tell(_ notice: Notice) {
        switch notice {
        case .logFailed(let name, let reason):
            log.error("log_failed", [("log", .text(name)), ("reason", .text(reason)), ("meaning", "it takes no more writes until the next start")])
        case .logRefused(let name, let reason):
            log.error("log_refused", [("log", .text(name)), ("reason", .text(reason)), ("meaning", "nothing of it is served; see needletail log verify")])
        case .logUnreadable(let name, let offset, let reason):
            log.error("log_unreadable", [("log", .text(name)), ("offset", .init(offset.rawValue)), ("reason", .text(reason))])
        case .tailCut(let name, let offset, let bytes, let reason):
            log.warn(
                "tail_cut", [("log", .text(name)), ("offset", .init(offset.rawValue)), ("bytes", .init(bytes)), ("reason", .text(reason))])
        case .diskLow(let free, let reserve):
            log.error(
                "disk_low", [("free_bytes", .init(free)), ("reserve_bytes", .init(reserve)), ("meaning", "publishes to disk are refused until there is room")])
        case .compactionFailed(let name, let reason):
            log.warn(
                "compaction_failed", [("log", .text(name)), ("reason", .text(reason)), ("meaning", "it is tried again in a minute; the log grows meanwhile")])
        case .flushSlow(let name, let nanoseconds):
            log.warn(
                "flush_slow", [("log", .text(name)), ("milliseconds", .init(nanoseconds / 1_000_000)), ("meaning", "the disk is slow; publishers of it wait")])
        case .flushEnded(let name, let nanoseconds, let isTooLate):
            let meaning: LogLine.Value = isTooLate ? "too late: the log was given up, and takes no more writes until the next start" : "it goes on"
            log.warn("flush_ended", [("log", .text(name)), ("milliseconds", .init(nanoseconds / 1_000_000)), ("meaning", meaning)])
        case .workFailed(let name, let work, let reason):
            let (event, meaning): (StaticString, LogLine.Value) =
                switch work {
                case .removal: ("removal_failed", "files that are no part of it any more take room, until the next start at the latest")
                case .index: ("index_failed", "the index is made anew when the log is opened again")
                case .preparation: ("preparation_failed", "its next segment is made when it is needed, or prepared by the next try")
                }
            log.warn(event, [("log", .text(name)), ("reason", .text(reason)), ("meaning", meaning)])
        case .memoryFull(let used, let limit):
            log.error(
                "memory_full", [("used_bytes", .init(used)), ("limit_bytes", .init(limit)), ("meaning", "publishes are refused until some of it is gone")])
        case .memoryRoomAgain(let used): log.info("memory_room_again", [("used_bytes", .init(used))])
        case .diskRoomAgain(let free): log.info("disk_room_again", [("free_bytes", .init(free))])
        }
    }
}
