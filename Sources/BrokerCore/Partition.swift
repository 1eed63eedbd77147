internal import Containers
internal import SegmentLog

/// One log with everybody who waits on it. The broker's own logs (catalog, cursors) are partitions too.
final class Partition {
    let id: PartitionID
    /// What its log's tickets carry.
    let number: UInt32
    let directory: String
    let isMemory: Bool
    /// nil until first used, and when it could not be opened.
    var log: Log?
    /// Why the log is not to be had.
    var failure: BrokerError?
    var waits = ProducerWaits()
    var parked = Roster<ParkedFetch>()
    /// What waits until something of its log was read from the disk.
    var resumed: [Resumed] = []
    var lanes = Roster<Lane>()
    /// Appended to or completed since the last tick.
    var isTouched = false
    var isFaultKnown = false
    /// For when its next tick is on the broker's timer.
    var scheduled = Instant.distantFuture
    /// What consumers could see when they were last told.
    var shown = Offset.zero
    /// A flush was late: up to here publishers under `interval` wait for the disk.
    var heldThrough = Offset.zero
    var isDeleted = false
    /// Cursors moved since retention last looked.
    var isFloorMoved = false

    enum Resumed {
        case request(Request, RequestID, SessionID)
        case move(Move)
        case aside(AsideJob)
    }

    init(id: PartitionID, number: UInt32, directory: String, isMemory: Bool) {
        self.id = id
        self.number = number
        self.directory = directory
        self.isMemory = isMemory
    }

    /// What until-acknowledged retention may not pass: the lowest place of the durable subscriptions, but for records with a copy
    /// elsewhere; nil without any.
    var acknowledgedFloor: Offset? {
        var floor: Offset?
        for lane in lanes where lane.subscription.isDurable {
            let own = lane.cursor.retentionFloor
            floor = min(floor ?? own, own)
        }
        return floor
    }
}

/// A fetch that waits for more bytes or for its time; it stands in `parked` of each partition that it reads.
final class ParkedFetch: RosterMember {
    let session: SessionID
    let request: RequestID
    let fetch: Fetch
    /// Of each part.
    let partitions: [Partition]
    /// The same, each once.
    let places: [Partition]
    /// How much each part had when it was last looked at.
    var available: [Int]
    var total: Int
    /// Answered, or nobody waits for the answer.
    var hasLeft = false
    /// It waits for the disk: what it wants is there, but not in memory.
    var isLoading = false
    /// How long it waits for more.
    let deadline: Instant

    init(session: SessionID, request: RequestID, fetch: Fetch, partitions: [Partition], available: [Int], deadline: Instant) {
        self.session = session
        self.request = request
        self.fetch = fetch
        self.partitions = partitions
        var seen: Set<UInt32> = []
        places = partitions.filter { seen.insert($0.number).inserted }
        self.available = available
        self.deadline = deadline
        total = available.reduce(0, +)
    }
}

/// A named, configured set of partitions.
final class Topic {
    let id: TopicID
    let name: String
    var options: TopicOptions
    var partitions: [Partition] = []
    /// Named subscriptions.
    var subscriptions: [String: Subscription] = [:]
    /// Subscriptions of one consumer each, without a name.
    var transient = Roster<Subscription>()
    /// Queues, and topics that somebody reads record by record: batches are looked into when they come.
    var handsOutRecords: Bool
    /// In the catalog; reply topics are not.
    let isPersistent: Bool
    var isDeleted = false
    /// The shard that has its logs and subscriptions. Elsewhere it has no partitions, and is known by its name and options.
    let owner: Int
    /// Where messages without a key go in this tick.
    var sticky: Int32 = 0
    var stickyTick: UInt64 = 0

    init(id: TopicID, name: String, options: TopicOptions, isPersistent: Bool, owner: Int) {
        self.owner = owner
        self.id = id
        self.name = name
        self.options = options
        self.isPersistent = isPersistent
        handsOutRecords = options.isQueue || options.untilAcknowledged
    }

    var keepsCursors: Bool { isPersistent && options.storage == .disk }

    var sortedSubscriptions: [Subscription] { subscriptions.values.sorted { $0.id < $1.id } }
}
