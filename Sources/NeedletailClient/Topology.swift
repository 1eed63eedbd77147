internal import NativeCodec

/// How a topic keeps and gives its messages. Every nil stands for the broker's default.
///
/// ```swift
/// var options = TopicOptions()
/// options.partitions = 4
/// options.retention = .seconds(7 * 24 * 3600)
/// try await client.createTopic("events", options)
/// ```
public struct TopicOptions: Equatable, Sendable {
    /// Where messages are kept.
    public enum Storage: UInt8, Equatable, Sendable {
        /// In segment files.
        case disk = 0
        /// In the broker's memory; gone with it.
        case memory = 1
    }

    /// How many logs the topic has; order holds within one.
    public var partitions: Int32 = 1
    /// What becomes of old messages; what is kept until acknowledged is not compacted.
    public var cleanup = Cleanup.delete
    /// Where messages are kept.
    public var storage = Storage.disk
    /// What every publish gets at least.
    public var durability: Durability?
    /// The size of a segment file.
    public var segmentBytes: Int64?
    /// The age at which a segment file is closed.
    public var segmentAge: Duration?
    /// How long messages are kept.
    public var retention: Duration?
    /// How many bytes each partition keeps.
    public var retentionBytes: Int64?
    /// Whether to forget what every durable subscription has settled.
    public var untilAcknowledged = false
    /// The largest message or batch.
    public var maxMessageBytes: Int64?
    /// How long a delivery may stay unsettled.
    public var lease: Duration?
    /// How often a message is delivered before it becomes a dead letter.
    public var deliveryLimit: Int?
    /// Where dead letters go.
    public var deadLetterTopic: String?
    /// Whether it is a queue: one partition, kept until acknowledged, with one shared subscription.
    public var isQueue = false

    /// A topic with one partition and the broker's defaults.
    public init() {}

    /// A queue.
    ///
    /// ```swift
    /// try await client.createTopic("tasks", .queue(lease: .seconds(30), deliveryLimit: 5, deadLetterTopic: "tasks.dead"))
    /// ```
    public static func queue(lease: Duration? = nil, deliveryLimit: Int? = nil, deadLetterTopic: String? = nil) -> TopicOptions {
        var options = TopicOptions()
        options.isQueue = true
        options.untilAcknowledged = true
        options.lease = lease
        options.deliveryLimit = deliveryLimit
        options.deadLetterTopic = deadLetterTopic
        return options
    }
}

/// What becomes of old messages.
///
/// ```swift
/// options.cleanup = .compact
/// ```
public enum Cleanup: UInt8, Equatable, Sendable, CaseIterable {
    /// They are forgotten, as retention says.
    case delete = 0
    /// A message goes when a newer one has its key; one without key is refused.
    case compact = 1
    /// Both.
    case both = 2
}

/// What may change on a living topic; nil leaves it as it is.
///
/// ```swift
/// var change = TopicChange()
/// change.retentionBytes = 10 << 30
/// try await client.alterTopic("events", change)
/// ```
public struct TopicChange: Equatable, Sendable {
    /// What every publish gets at least.
    public var durability: Durability?
    /// How long messages are kept.
    public var retention: Duration?
    /// How many bytes each partition keeps.
    public var retentionBytes: Int64?
    /// The largest message or batch.
    public var maxMessageBytes: Int64?
    /// So many logs instead of fewer. Keys may find another log than before.
    public var partitions: Int32?
    /// What becomes of old messages.
    public var cleanup: Cleanup?

    /// Changes nothing.
    public init() {}
}

/// A topic as the broker has it.
///
/// ```swift
/// for topic in try await client.topics() { print(topic.name, topic.partitions.count) }
/// ```
public struct TopicDescription: Equatable, Sendable {
    /// Its number, which never changes.
    public var id: UInt32
    /// Its name.
    public var name: String
    /// How it keeps and gives its messages.
    public var options: TopicOptions
    /// Its logs.
    public var partitions: [PartitionDescription]
}

/// One log of a topic: where it starts, up to where it is durable, and where it ends.
///
/// ```swift
/// let backlog = partition.end - partition.start
/// ```
public struct PartitionDescription: Equatable, Sendable {
    /// Its index in the topic.
    public var index: Int32
    /// The oldest offset that is kept.
    public var start: Int64
    /// Everything before this offset is on disk.
    public var flushed: Int64
    /// The offset that the next message gets.
    public var end: Int64
    /// How much it occupies.
    public var bytes: Int64
    /// In how many segment files.
    public var segments: Int32
    /// Why it takes no more writes; nil when it does.
    public var fault: String?
}

/// How an exchange matches routing keys with its bindings.
///
/// ```swift
/// try await client.createExchange("orders", .topic)
/// ```
public enum ExchangeKind: UInt8, Equatable, Sendable {
    /// The routing key equals the pattern.
    case direct = 0
    /// The pattern has words with `*` for one and `#` for any number.
    case topic = 1
    /// Everything goes to every binding.
    case fanout = 2
}

/// From an exchange to a topic, a queue or another exchange.
///
/// ```swift
/// try await client.bind(Binding(from: "orders", to: .topic("billing"), matching: "order.*"))
/// ```
public struct Binding: Equatable, Sendable {
    /// What a binding leads to.
    public enum Destination: Equatable, Sendable {
        /// A topic or queue.
        case topic(String)
        /// Another exchange.
        case exchange(String)
    }

    /// The exchange it leads away from.
    public var exchange: String
    /// What it leads to.
    public var destination: Destination
    /// Which routing keys take it.
    public var pattern: String

    /// A binding; `pattern` is ignored by fan-out exchanges.
    public init(from exchange: String, to destination: Destination, matching pattern: String = "") {
        self.exchange = exchange
        self.destination = destination
        self.pattern = pattern
    }
}

/// An exchange as the broker has it.
///
/// ```swift
/// for exchange in try await client.exchanges() { print(exchange.name, exchange.bindings.count) }
/// ```
public struct ExchangeDescription: Equatable, Sendable {
    /// Its number, which never changes.
    public var id: UInt32
    /// Its name.
    public var name: String
    /// How it matches.
    public var kind: ExchangeKind
    /// Where it leads.
    public var bindings: [Binding]
}

/// A subscription as the broker has it.
///
/// ```swift
/// let lag = subscription.cursors.map { $0.end - $0.floor }.reduce(0, +)
/// ```
public struct SubscriptionDescription: Equatable, Sendable {
    /// Its number.
    public var id: UInt32
    /// What it reads.
    public var topic: String
    /// Its name; a consumer's group.
    public var name: String
    /// Whether its consumers compete for messages; else one is active and the others stand by.
    public var isShared: Bool
    /// How many consumers are attached.
    public var consumers: Int32
    /// Its place in each partition.
    public var cursors: [CursorDescription]
}

/// Where a subscription is in one partition.
///
/// ```swift
/// print("\(cursor.end - cursor.floor) to go, \(cursor.inFlight) in flight")
/// ```
public struct CursorDescription: Equatable, Sendable {
    /// Which partition.
    public var partition: Int32
    /// Everything before it is settled.
    public var floor: Int64
    /// What is delivered next.
    public var next: Int64
    /// The end of what may be delivered.
    public var end: Int64
    /// How many messages are delivered and not settled.
    public var inFlight: Int64
    /// How many wait to be delivered again.
    public var redeliver: Int64
}

/// One of the broker's figures; docs/metrics.md says what each counts.
///
/// ```swift
/// for figure in try await client.statistics() { print(figure.name, figure.value) }
/// ```
public struct Statistic: Equatable, Sendable {
    /// Its Prometheus-style name.
    public var name: String
    /// Its value now.
    public var value: Double
}

/// Who is at the other end.
///
/// ```swift
/// if let server = client.server { print(server.name, server.version) }
/// ```
public struct ServerDescription: Equatable, Sendable {
    /// What it calls itself.
    public var name: String
    /// Its version.
    public var version: String
    /// The largest message or batch that it takes in one frame.
    public var maxMessageBytes: Int
    /// What it can do that not every broker can (docs/formats/native-protocol.md, HELLO).
    var features: UInt64
}
