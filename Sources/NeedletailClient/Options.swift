/// How a client connects, waits and reconnects. The defaults suit most programs.
///
/// ```swift
/// var options = ClientOptions()
/// options.name = "billing"
/// options.requestTimeout = .seconds(5)
/// let client = try await Client.connect(to: "127.0.0.1:7227", options)
/// ```
public struct ClientOptions: Sendable {
    /// What the broker shows in its list of connections.
    public var name = "needletail-swift"
    /// How long one attempt to connect may take, the greeting included.
    public var connectTimeout: Duration = .seconds(5)
    /// How long a request waits for its answer, reconnecting included.
    public var requestTimeout: Duration = .seconds(30)
    /// The wait before the first attempt to reconnect; it doubles up to `reconnectMost`, each time shortened by a random part.
    public var reconnectFirst: Duration = .milliseconds(50)
    /// The longest wait between two attempts.
    public var reconnectMost: Duration = .seconds(5)
    /// How long to go on without a connection before everything that waits fails; nil: for ever (requests still have their time-out).
    public var giveUpAfter: Duration?
    /// Bytes that may wait to be sent; who wants to send more is suspended.
    public var outboundBytes = 16 << 20
    /// Over shared memory: how long the client's thread looks for more before it sleeps. Looking takes a core; sleeping takes some
    /// 20 us to end.
    public var spin: Duration = .zero
    /// The largest frame that is accepted from the broker.
    public var frameBytes = 64 << 20

    /// The defaults.
    public init() {}
}

/// How a producer gathers and sends.
///
/// ```swift
/// var options = ProducerOptions()
/// options.linger = .milliseconds(2)       // trade latency for fewer, larger batches
/// options.durability = .group
/// let producer = try await client.producer(topic: "events", options)
/// ```
public struct ProducerOptions: Sendable {
    /// How long a message may wait for company. At zero a message leaves at once while the window has room; batches then form by
    /// themselves as soon as messages come faster than acknowledgements.
    public var linger: Duration = .zero
    /// A batch that reaches this size leaves.
    public var batchBytes = 64 << 10
    /// Batches in flight to one partition. The broker recognises repeats among the last five, so an idempotent producer takes no more.
    public var window = 5
    /// Bytes that the producer holds, in flight included; beyond it `send` and `enqueue` suspend.
    public var bufferBytes = 32 << 20
    /// What to ask of the broker beyond the topic's own durability.
    public var durability: Durability = .none
    /// Whether batches carry an identity and a sequence, so that a repeat after a lost connection is stored once. Publishes through an
    /// exchange never do: their messages end in several logs.
    public var isIdempotent = true

    /// The defaults.
    public init() {}
}

/// Where a new subscription begins.
///
/// ```swift
/// let consumer = try await client.consumer(topic: "events", from: .earliest)
/// ```
public enum StartPosition: Equatable, Sendable {
    /// At the oldest message that is kept.
    case earliest
    /// Behind the newest.
    case latest
    /// At this offset, in every partition.
    case offset(Int64)
    /// At the first message at or after this time: milliseconds since 1970-01-01 UTC.
    case time(Int64)
}

/// How a consumer reads.
///
/// ```swift
/// var options = ConsumerOptions()
/// options.prefetchMessages = 100
/// let consumer = try await client.consumer(topic: "events", group: "billing", options)
/// ```
public struct ConsumerOptions: Sendable {
    /// How many messages may be on their way or waiting here; more are asked for as they are taken.
    public var prefetchMessages = 20_000
    /// The same in bytes. A single batch above it still comes.
    public var prefetchBytes = 4 << 20
    /// How long a queue's delivery stays ours without being settled or extended; nil: as the queue says.
    public var lease: Duration?
    /// How often a queue's message is delivered before it becomes a dead letter; nil: as the queue says.
    public var deliveryLimit: Int?
    /// Where dead letters go; nil: as the queue says.
    public var deadLetterTopic: String?

    /// The defaults.
    public init() {}
}
