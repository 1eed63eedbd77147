package import Bytes
package import SegmentLog

/// What a session asks of the broker: one verb for all protocols. Ranges lie in the input that the session was reading when it asked.
/// It is moved several times on its way, so what is large and rare is `indirect`.
package enum Request: Sendable {
    // Publishing
    case append(Append)
    /// Answers `.producer`. A known id with its current epoch raises the epoch (fences the older instance); id -1 makes a new one.
    case startProducer(id: Int64, epoch: Int16)

    // Reading without a subscription
    case fetch(Fetch)
    /// Answers `.offset`.
    case findOffset(topic: String, partition: Int32, position: StartPosition)
    /// Answers `.epochEnd`: how far a reader that last saw this epoch agrees with the log (Kafka's OffsetForLeaderEpoch).
    case endOfEpoch(TopicID, partition: Int32, epoch: Int32)

    // Consuming
    case subscribe(Subscribe)
    case unsubscribe(ConsumerID)
    /// Adds to what the consumer may still be sent. Has no answer.
    case credit(ConsumerID, messages: Int32, bytes: Int64)
    case settle(Settle)
    /// Gives leased deliveries `milliseconds` more, counted from now.
    case extendLease(ConsumerID, partition: Int32, first: Offset, last: Offset, milliseconds: UInt32)
    case seek(topic: String, subscription: String, position: StartPosition)
    case deleteSubscription(topic: String, name: String)

    // Topology
    /// Answers `.topics` with one.
    indirect case createTopic(name: String, TopicOptions)
    /// Makes a memory topic with one partition and a name of the broker's choice that lives as long as the asking session, for the
    /// answers to its requests. Answers `.topics` with one.
    case createReplyTopic
    indirect case alterTopic(name: String, TopicChange)
    case deleteTopic(name: String)
    /// Answers `.topics` with one; the way to learn an id before the first publish.
    case describeTopic(name: String)
    case listTopics
    /// Answers `.exchanges` with one.
    case createExchange(name: String, ExchangeKind)
    case deleteExchange(name: String)
    case bind(Binding)
    case unbind(Binding)
    case listExchanges
    /// Answers `.exchanges` with one.
    case findExchange(name: String)

    // Operating
    case listSubscriptions(topic: String)
    /// Drops what a queue (or a log up to `before`, where given; -1: everything that consumers may see) holds; answers `.purged`.
    case purge(topic: String, partition: Int32?, before: Offset?)
    /// Moves dead letters back to where they came from; answers `.count`.
    case redrive(topic: String, limit: Int64)
    case statistics
    /// Follows the next message that is appended to the topic, for at most so long; answers `.traced`.
    case trace(topic: String, milliseconds: UInt32)

    // Groups of consumers
    case group(GroupRequest)

    /// Whether it names ranges of the input.
    package var readsInput: Bool { if case .append = self { true } else { false } }

    /// Whether a response follows. What has none is bounded by credit or by the input itself.
    package var isAnswered: Bool {
        switch self {
        case .append(let append): append.answer == .whenReached
        case .settle(let settle): settle.confirm
        case .credit: false
        default: true
        }
    }
}

package struct Append: Sendable {
    package var target: Target
    package var content: Content
    /// May only strengthen the topic's own.
    package var durability: Durability
    package var answer: Answer
    /// A dead letter on its way back from there: only a topic whose dead letters go there takes it.
    var redrivenFrom: TopicID?

    package enum Target: Sendable {
        /// `partition` -1: the broker chooses, by the key where there is one.
        case topic(TopicID, partition: Int32)
        case exchange(ExchangeID, routingKey: ByteRange)
    }

    package enum Content: Sendable {
        /// One whole Kafka record batch v2.
        case batch(ByteRange)
        case message(MessageRanges)

        /// About what the log will grow by.
        package var byteCount: Int {
            switch self {
            case .batch(let range): range.count
            case .message(let message): (message.key?.count ?? 0) &+ (message.payload?.count ?? 0) &+ message.headers.count
            }
        }
    }

    package enum Answer: Sendable { case whenReached, never }

    package init(target: Target, content: Content, durability: Durability, answer: Answer) {
        self.target = target
        self.content = content
        self.durability = durability
        self.answer = answer
    }
}

/// One message as ranges of the input. A nil key or payload is Kafka's null.
package struct MessageRanges: Sendable {
    package var key: ByteRange?
    package var payload: ByteRange?
    /// Headers in the record's own encoding: per header varint key length, key, varint value length (-1 null), value.
    package var headers: ByteRange
    package var headerCount: Int32
    /// nil: the broker's time.
    package var timestamp: Timestamp?
    package var producer: ProducerSequence?

    package init(key: ByteRange?, payload: ByteRange?, headers: ByteRange, headerCount: Int32, timestamp: Timestamp?, producer: ProducerSequence?) {
        self.key = key
        self.payload = payload
        self.headers = headers
        self.headerCount = headerCount
        self.timestamp = timestamp
        self.producer = producer
    }
}

package struct ProducerSequence: Equatable, Sendable {
    package var id: Int64
    package var epoch: Int16
    package var sequence: Int32
    package init(id: Int64, epoch: Int16, sequence: Int32) {
        self.id = id
        self.epoch = epoch
        self.sequence = sequence
    }
}

/// Reads one or more partitions. Where less than `minBytes` is there in all of them together, it waits for more.
package struct Fetch: Sendable {
    package var parts: [Part]
    /// Of all parts together. The first batch of the answer is returned whole even when it is larger.
    package var maxBytes: Int
    /// Parks the fetch until this much is there or `waitMilliseconds` have passed.
    package var minBytes: Int
    package var waitMilliseconds: UInt32

    package struct Part: Sendable {
        package var topic: TopicID
        package var partition: Int32
        package var from: Offset
        package var maxBytes: Int
        package init(topic: TopicID, partition: Int32, from: Offset, maxBytes: Int) {
            self.topic = topic
            self.partition = partition
            self.from = from
            self.maxBytes = maxBytes
        }
    }

    package init(parts: [Part], maxBytes: Int, minBytes: Int, waitMilliseconds: UInt32) {
        self.parts = parts
        self.maxBytes = maxBytes
        self.minBytes = minBytes
        self.waitMilliseconds = waitMilliseconds
    }

    package init(topic: TopicID, partition: Int32, from: Offset, maxBytes: Int, minBytes: Int, waitMilliseconds: UInt32) {
        self.init(
            parts: [Part(topic: topic, partition: partition, from: from, maxBytes: maxBytes)], maxBytes: maxBytes, minBytes: minBytes,
            waitMilliseconds: waitMilliseconds)
    }
}

package enum StartPosition: Equatable, Sendable {
    case earliest
    case latest
    case offset(Offset)
    /// The first record at or after this time.
    case time(Timestamp)
    /// The record with the latest timestamp.
    case maxTimestamp
}

package struct Subscribe: Sendable {
    package var consumer: ConsumerID
    package var topic: String
    /// Empty: a transient subscription of this consumer alone, gone with it.
    package var name: String
    package var mode: SubscriptionMode
    /// Where a subscription that does not exist yet begins.
    package var start: StartPosition
    package var form: DeliveryForm
    package var messageCredit: Int32
    package var byteCredit: Int64
    package var options: SubscriptionOptions
    /// Deliveries are settled by being delivered; nothing is to be said about them.
    package var settlesItself: Bool
    package init(
        consumer: ConsumerID, topic: String, name: String, mode: SubscriptionMode, start: StartPosition, form: DeliveryForm,
        messageCredit: Int32, byteCredit: Int64, options: SubscriptionOptions, settlesItself: Bool = false
    ) {
        self.consumer = consumer
        self.topic = topic
        self.name = name
        self.mode = mode
        self.start = start
        self.form = form
        self.messageCredit = messageCredit
        self.byteCredit = byteCredit
        self.options = options
        self.settlesItself = settlesItself
    }
}

package enum SubscriptionMode: UInt8, Sendable, CaseIterable {
    /// One active consumer; the others stand by in the order in which they came.
    case exclusive = 0
    /// Competing consumers.
    case shared = 1
    /// Each consumer its own place: the subscription's name is the consumer's.
    case broadcast = 2
}

package enum DeliveryForm: UInt8, Sendable {
    /// Whole stored batches; accepting is cumulative by offset, except on shared subscriptions. What streams use.
    case batches = 0
    /// Runs of records within one batch (whole batches where the batch is compressed). What queues use.
    case records = 1
}

/// How a subscription treats deliveries that are not settled. nil: the topic's own setting.
package struct SubscriptionOptions: Equatable, Sendable {
    /// How long a delivery may stay unsettled before it is delivered again; 0: until its consumer goes.
    package var leaseMilliseconds: UInt32?
    /// How often a record is delivered before it goes to the dead-letter topic (or is dropped where there is none); 0: no limit.
    package var deliveryLimit: UInt16?
    package var deadLetterTopic: String?
    package init(leaseMilliseconds: UInt32? = nil, deliveryLimit: UInt16? = nil, deadLetterTopic: String? = nil) {
        self.leaseMilliseconds = leaseMilliseconds
        self.deliveryLimit = deliveryLimit
        self.deadLetterTopic = deadLetterTopic
    }
}

package struct Settle: Sendable {
    package var consumer: ConsumerID
    package var partition: Int32
    package var first: Offset
    package var last: Offset
    package var outcome: Outcome
    /// Whether `.done` is wanted once the settlement is durable; otherwise settling has no answer (errors come as consumer events).
    package var confirm: Bool

    package enum Outcome: UInt8, Sendable {
        case accept = 0
        /// Delivered again, flagged, counted.
        case requeue = 1
        /// To the dead-letter topic at once.
        case reject = 2
        /// Delivered again without counting: the consumer never looked at it.
        case release = 3
    }

    package init(consumer: ConsumerID, partition: Int32, first: Offset, last: Offset, outcome: Outcome, confirm: Bool) {
        self.consumer = consumer
        self.partition = partition
        self.first = first
        self.last = last
        self.outcome = outcome
        self.confirm = confirm
    }
}
