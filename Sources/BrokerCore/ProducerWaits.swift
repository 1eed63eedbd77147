internal import Containers
internal import Mutants
internal import SegmentLog

/// Who waits for a log to reach an offset: publishers for their acknowledgement, changes of the catalog for theirs.
///
/// Two queues in order of arrival: answered once written (`none`, `interval`), or once flushed.
struct ProducerWaits: ~Copyable {
    var untilWritten = RingQueue<Waiter>()
    var untilFlushed = RingQueue<Waiter>()

    var isEmpty: Bool { untilWritten.isEmpty && untilFlushed.isEmpty }

    /// The next one that needs nothing beyond `written`.
    mutating func popWritten(_ written: Offset) -> Waiter? {
        untilWritten.popFirst { $0.needed <= written }
    }

    /// The next one that needs nothing beyond `flushed`.
    mutating func popFlushed(_ flushed: Offset) -> Waiter? {
        let flushed = Mutant.isActive("acknowledgesOneTooEarly") ? flushed + 1 : flushed
        return untilFlushed.popFirst { $0.needed <= flushed }
    }

    mutating func popAny() -> Waiter? { untilWritten.popFirst() ?? untilFlushed.popFirst() }
}

struct Waiter {
    /// The log must have reached this end.
    var needed: Offset
    var kind: Kind
    /// When the append was; nil for what waits for the broker's own logs.
    var since: Instant?

    enum Kind {
        case append(SessionID, RequestID, Appended)
        /// One of several logs that a publish goes to.
        case part(Fanout)
        case answer(SessionID, RequestID, Reply)
        /// A consumer whose new subscription is durable now.
        case attach(Consumer, Reply, RequestID)
        /// A record stored elsewhere, to be settled where it came from.
        case moved(MovedRecord)
        /// A move that waited for its destination to be made.
        case resume(Move)
        /// Logs whose deletion is durable.
        case destroy([Partition])
        /// Copies of old survivors.
        case copied(AsideJob)
        /// The cursors that name them.
        case asideNoted(AsideJob)
        /// The cursors' or the catalog's snapshot: what lies before is obsolete.
        case snapshot(Partition, before: Offset)
        /// What a member had to record.
        case recorded(member: Int, through: Int64)
    }

    /// A response that waits; a class, so that waiters stay small.
    final class Reply {
        let response: Response
        init(_ response: Response) { self.response = response }
    }
}

/// A publish that is on its way to several logs; answered when the last has it.
final class Fanout {
    let session: SessionID
    let request: RequestID
    var appended: Appended
    var remaining = 0
    var failure: BrokerError?

    init(session: SessionID, request: RequestID, appended: Appended) {
        self.session = session
        self.request = request
        self.appended = appended
    }

    /// A log on another shard has it.
    func add(_ part: Appended) {
        appended.reached = min(appended.reached, part.reached)
        appended.logs += part.logs
        guard appended.count == 0 else { return }
        appended.topic = part.topic
        appended.partition = part.partition
        appended.baseOffset = part.baseOffset
        appended.count = part.count
        appended.duplicate = part.duplicate
    }
}
