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
        case .diskRoomAgain(let free): log.info("disk_room_again", [("free_bytes", .init(free))])
        }
    }
}
