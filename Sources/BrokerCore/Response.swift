package import SegmentLog

/// The broker's answer to one request.
package enum Response: Sendable {
    case appended(Appended)
    case producer(id: Int64, epoch: Int16)
    /// The parts of the fetch, in its order.
    case fetched([Fetched])
    /// `epoch` is that of the batch with the offset; at the log's end the log's own.
    case offset(Offset, Timestamp, epoch: Int32)
    /// The newest epoch that is not above the one asked for, and where it ends; -1 and -1 where the log knows none.
    case epochEnd(epoch: Int32, Offset)
    case subscribed(SubscriptionID, active: Bool)
    case topics([TopicDescription])
    case exchanges([ExchangeDescription])
    case subscriptions([SubscriptionDescription])
    /// A piece of a long list: more of them follow, and `subscriptions` with the last, which ends the answer.
    case someSubscriptions([SubscriptionDescription])
    case statistics([Statistic])
    /// Where one message's time went.
    case traced([Statistic])
    case count(Int64)
    case group(GroupResponse)
    /// How many records went, and where the log starts now (of the last partition, where several were asked for).
    case purged(Int64, start: Offset)
    case done
    case failed(BrokerError)
}

/// Where a publish went. Through an exchange the numbers are those of the first log it reached.
package struct Appended: Equatable, Sendable {
    package var topic: TopicID
    package var partition: Int32
    package var baseOffset: Offset
    package var count: Int32
    /// What the acknowledgement promises.
    package var reached: Durability
    /// How many logs took the message: 0 when an exchange had no binding for it.
    package var logs: Int32
    /// The sequence was stored before; nothing was appended again.
    package var duplicate: Bool
    /// The time that the broker has given the records, where the topic says so.
    package var stampedAt: Timestamp?
    /// Where the log starts; of several logs the first one's.
    package var logStart: Offset
    package init(
        topic: TopicID, partition: Int32, baseOffset: Offset, count: Int32, reached: Durability, logs: Int32, duplicate: Bool, stampedAt: Timestamp? = nil,
        logStart: Offset = .zero
    ) {
        self.topic = topic
        self.partition = partition
        self.baseOffset = baseOffset
        self.count = count
        self.reached = reached
        self.logs = logs
        self.duplicate = duplicate
        self.stampedAt = stampedAt
        self.logStart = logStart
    }
}

/// One partition's part of a fetch.
package struct Fetched: Sendable {
    package var topic: TopicID
    package var partition: Int32
    package var start: Offset
    /// The end of what consumers may see (Kafka's high watermark).
    package var visibleEnd: Offset
    /// Whole batches; nil when there is nothing (yet).
    package var slice: LogSlice?
    /// Where the slice ends.
    var next = Offset.zero
    /// Why this partition could not be read.
    package var failure: BrokerError?
    package init(topic: TopicID, partition: Int32, start: Offset, visibleEnd: Offset, slice: LogSlice?, failure: BrokerError? = nil) {
        self.topic = topic
        self.partition = partition
        self.start = start
        self.visibleEnd = visibleEnd
        self.slice = slice
        self.failure = failure
    }
}

package struct TopicDescription: Sendable {
    package var id: TopicID
    package var name: String
    package var options: TopicOptions
    package var partitions: [PartitionDescription]
    /// The shard that has its logs.
    package var owner: Int32
    package init(id: TopicID, name: String, options: TopicOptions, partitions: [PartitionDescription], owner: Int32 = 0) {
        self.id = id
        self.name = name
        self.options = options
        self.partitions = partitions
        self.owner = owner
    }
}

package struct PartitionDescription: Sendable {
    package var index: Int32
    package var start: Offset
    package var flushed: Offset
    package var end: Offset
    package var bytes: Int64
    package var segments: Int32
    /// Why the log takes no more writes; nil when it does.
    package var fault: String?
    /// The leader epoch that new batches get; -1 while the log is not opened.
    package var epoch: Int32
    /// The end of what consumers may see.
    package var visibleEnd: Offset
    package init(
        index: Int32, start: Offset, flushed: Offset, end: Offset, bytes: Int64, segments: Int32, fault: String?, epoch: Int32 = -1, visibleEnd: Offset = .zero
    ) {
        self.index = index
        self.start = start
        self.flushed = flushed
        self.end = end
        self.bytes = bytes
        self.segments = segments
        self.fault = fault
        self.epoch = epoch
        self.visibleEnd = visibleEnd
    }
}

package struct ExchangeDescription: Sendable {
    package var id: ExchangeID
    package var name: String
    package var kind: ExchangeKind
    package var bindings: [Binding]
    package init(id: ExchangeID, name: String, kind: ExchangeKind, bindings: [Binding]) {
        self.id = id
        self.name = name
        self.kind = kind
        self.bindings = bindings
    }
}

package struct SubscriptionDescription: Sendable {
    package var id: SubscriptionID
    package var topic: String
    package var name: String
    package var mode: SubscriptionMode
    package var consumers: Int32
    package var cursors: [CursorDescription]
    package init(id: SubscriptionID, topic: String, name: String, mode: SubscriptionMode, consumers: Int32, cursors: [CursorDescription]) {
        self.id = id
        self.topic = topic
        self.name = name
        self.mode = mode
        self.consumers = consumers
        self.cursors = cursors
    }
}

package struct CursorDescription: Sendable {
    package var partition: Int32
    package var floor: Offset
    package var next: Offset
    package var end: Offset
    package var inFlight: Int64
    package var redeliver: Int64
    package init(partition: Int32, floor: Offset, next: Offset, end: Offset, inFlight: Int64, redeliver: Int64) {
        self.partition = partition
        self.floor = floor
        self.next = next
        self.end = end
        self.inFlight = inFlight
        self.redeliver = redeliver
    }
}

/// One figure with its Prometheus-style name; what it counts is said in docs/metrics.md.
package struct Statistic: Sendable {
    package var name: String
    package var value: Double
    package init(name: String, value: Double) {
        self.name = name
        self.value = value
    }
}

/// Why a request was refused: a code that every protocol maps to its own, and a sentence for people.
package struct BrokerError: Error, Equatable, Sendable, CustomStringConvertible {
    package var code: Code
    package var text: String

    package enum Code: UInt16, Sendable, CaseIterable {
        case invalidRequest = 1
        case invalidName = 2
        case unknownTopic = 3
        case unknownPartition = 4
        case unknownExchange = 5
        case unknownSubscription = 6
        case unknownConsumer = 7
        case alreadyExists = 8
        case conflict = 9
        case inUse = 10
        case corruptBatch = 11
        case unsupportedBatch = 12
        case messageTooLarge = 13
        case offsetOutOfRange = 14
        case outOfOrderSequence = 15
        case producerFenced = 16
        case notInFlight = 17
        case limitReached = 18
        case notPermitted = 19
        case storageFailed = 20
        case unsupported = 21
        case shuttingDown = 22
        case unroutable = 23
        case timedOut = 24

        // Groups of consumers
        case unknownMember = 25
        case illegalGeneration = 26
        case rebalanceInProgress = 27
        /// Another member has the instance id now.
        case fencedInstance = 28
        case inconsistentProtocol = 29
        case invalidSessionTimeout = 30
        case groupNotEmpty = 31
        case groupNotFound = 32
        case groupSubscribedToTopic = 33
        case groupFull = 34
        case offsetMetadataTooLarge = 35

        /// A record that this topic does not take: without key where records are compacted by key.
        case invalidRecord = 36
        /// A record's time is too far from the broker's.
        case invalidTimestamp = 37
    }

    package init(_ code: Code, _ text: String) {
        self.code = code
        self.text = text
    }

    package var description: String { "\(code): \(text)" }
}
