internal import Containers
internal import SegmentLog

/// A cursor for each partition of a topic, the consumers attached, and which of them is served.
final class Subscription: RosterMember {
    let id: SubscriptionID
    let name: String
    let mode: SubscriptionMode
    let options: SubscriptionOptions
    unowned let topic: Topic
    /// Kept in the catalog and in `__cursors`.
    let isPersistent: Bool
    var lanes: [Lane] = []
    /// In the order in which they came; under `exclusive` the first is active.
    var consumers = Roster<Consumer>()
    /// Shared consumers that may be served, in turn.
    var turns = RingQueue<Consumer>()
    /// How many of those have gone.
    private var goneInTurn = 0
    /// Lanes that have something and found nobody to take it.
    var blocked: [Lane] = []
    /// Taken out of every table.
    var hasLeft = false

    init(id: SubscriptionID, name: String, mode: SubscriptionMode, options: SubscriptionOptions, topic: Topic, isPersistent: Bool) {
        self.id = id
        self.name = name
        self.mode = mode
        self.options = options
        self.topic = topic
        self.isPersistent = isPersistent
    }

    /// Outlives its consumers, and holds what it has not settled.
    var isDurable: Bool { !name.isEmpty }
    var isShared: Bool { mode == .shared }

    /// The consumer whose turn it is; nil when nobody may be served.
    func nextConsumer() -> Consumer? {
        guard isShared else {
            guard let active = consumers.first, active.isEligible else { return nil }
            return active
        }
        while let candidate = turns.popFirst() {
            candidate.isInTurn = false
            if candidate.hasLeft { goneInTurn -= 1 }
            if candidate.isEligible { return candidate }
        }
        return nil
    }

    /// The consumer may take more: it queues for its turn.
    func offerTurn(_ consumer: Consumer) {
        guard isShared, !consumer.isInTurn, consumer.isEligible else { return }
        consumer.isInTurn = true
        turns.append(consumer)
    }

    /// Forgets a consumer that is gone. One that is in turn stays there until its turn comes, which it may never where nothing is published:
    /// those are not let become more than the others.
    func remove(_ consumer: Consumer) {
        consumers.oneHasLeft()
        guard consumer.isInTurn else { return }
        goneInTurn += 1
        guard goneInTurn * 2 > turns.count else { return }
        turns.filter { !$0.hasLeft }
        goneInTurn = 0
    }
}

/// One subscription in one partition: what the dispatcher visits.
final class Lane: RosterMember {
    unowned let subscription: Subscription
    unowned let partition: Partition
    /// The subscription's, which is asked with every delivery.
    let isPersistent: Bool
    var cursor: Cursor
    /// In the ready list.
    var isReady = false
    var isBlocked = false
    /// Changed since its cursor was last written.
    var isDirty = false
    /// Its subscription is gone.
    var hasLeft = false
    /// Its old survivors are being copied; after a failure not again before `asideRetry`.
    var settingAside: AsideJob?
    var asideRetry = Instant(rawValue: 0)
    /// Noted among the lanes that have copies.
    var hasAside = false
    /// Has more holes above its floor than the limit allows: nothing new until some are filled.
    var isStalled = false
    /// Where the log could not be read, when that was last told.
    var unreadable: Offset?
    /// For when its next lease is on the broker's timer.
    var scheduled = Instant.distantFuture
    /// The batch that runs of records are taken from, and where the last run ended.
    var batch: BatchView?
    var place: RecordPlace?
    /// The offsets of the batch, where some are missing.
    var runs: (base: Offset, runs: [ClosedRange<Int64>])?
    /// Which batch's checksum was checked last.
    var checked: Offset?

    /// About what one takes in memory.
    static let bytes = 448

    init(subscription: Subscription, partition: Partition, cursor: Cursor) {
        self.subscription = subscription
        self.partition = partition
        isPersistent = subscription.isPersistent
        self.cursor = cursor
    }
}

/// One attached reader and what it may still be sent.
final class Consumer: RosterMember {
    let id: ConsumerID
    /// Unique within the broker; what cursors know it by.
    let number: UInt32
    let session: Session
    let subscription: Subscription
    let form: DeliveryForm
    /// Settled by being delivered.
    let settlesItself: Bool
    let unsettledLimit: Int64
    var credit: Credit
    var unsettled: Int64 = 0
    /// Its subscription is durable, and it was told so.
    var isAttached = false
    var isInTurn = false
    var hasLeft = false

    init(_ subscribe: Subscribe, number: UInt32, session: Session, subscription: Subscription, unsettledLimit: Int64) {
        id = subscribe.consumer
        self.number = number
        self.session = session
        self.subscription = subscription
        form = subscribe.form
        settlesItself = subscribe.settlesItself
        credit = Credit(messages: subscribe.messageCredit, bytes: subscribe.byteCredit)
        self.unsettledLimit = unsettledLimit
    }

    var isEligible: Bool { isAttached && !hasLeft && credit.messages > 0 && credit.bytes > 0 && unsettled < unsettledLimit && session.isWritable }

    func spend(records: Int64, bytes: Int) {
        credit.messages -= records
        if credit.bytes < Credit.unlimitedBytes { credit.bytes -= Int64(bytes) }
        if !settlesItself { unsettled += records }
    }
}

/// What a consumer may still be sent.
struct Credit {
    var messages: Int64
    var bytes: Int64

    /// So many bytes are never used up.
    static let unlimitedBytes = Int64.max / 2

    init(messages: Int32, bytes: Int64) {
        self.messages = Int64(max(0, messages))
        self.bytes = max(0, bytes)
    }

    static func += (credit: inout Credit, more: Credit) {
        credit.messages = min(credit.messages + more.messages, Int64.max / 4)
        credit.bytes = credit.bytes > unlimitedBytes - min(more.bytes, unlimitedBytes) ? unlimitedBytes : credit.bytes + more.bytes
    }
}

/// The broker's side of one connection.
final class Session {
    let id: SessionID
    var isWritable = true
    var consumers: [ConsumerID: Consumer] = [:]
    var replyTopics: [TopicID] = []
    var parked = Roster<ParkedFetch>()
    /// Groups that may have requests of this session parked.
    var groups: Set<String> = []
    /// Consumers whose subscribing waits for the disk: what comes for them meanwhile waits behind it.
    var subscribing: [ConsumerID: Subscribing] = [:]

    struct Subscribing {
        let request: RequestID
        let partition: Partition
        /// What the consumer was granted meanwhile. A client is not answered for it, so it may grant without end: it is one sum.
        var credit = Credit(messages: 0, bytes: 0)
    }

    init(id: SessionID) { self.id = id }
}
