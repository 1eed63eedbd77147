internal import Bytes
internal import LinuxSystem
internal import NativeCodec
internal import Synchronization

/// A connection to a Needletail broker, and what is made of it: producers, consumers, queues, requests, administration.
///
/// One client has one connection and one thread, and may be used from any number of tasks. When the connection is lost it comes back
/// by itself: subscriptions are restored, questions and idempotent publishes are repeated, and what must not be repeated blindly fails
/// with `ClientError.outcomeUnknown`.
///
/// ```swift
/// let client = try await Client.connect(to: "127.0.0.1:7227")
/// try await client.createTopic("greetings")
/// let producer = try await client.producer(topic: "greetings")
/// try await producer.send("hello")
///
/// for try await message in try await client.consumer(topic: "greetings", from: .earliest) {
///     print(message.text)
/// }
/// ```
public final class Client: Sendable {
    /// Where a broker listens unless it is told otherwise.
    public static let defaultAddress = "127.0.0.1:7227"

    let connection: Connection
    let requests: ReplyBox

    private init(connection: Connection) {
        self.connection = connection
        requests = ReplyBox(connection)
    }

    deinit { connection.close(.closed) }

    /// Connects to a broker.
    ///
    /// - Parameters:
    ///   - address: `HOST:PORT` or `unix:PATH`.
    ///   - options: how to connect, wait and reconnect.
    ///
    /// ```swift
    /// let client = try await Client.connect(to: "unix:/run/needletail/native.sock")
    /// ```
    public static func connect(
        to address: String = Client.defaultAddress, _ options: ClientOptions = ClientOptions()
    ) async throws(ClientError) -> Client {
        let connection = try Connection(address: try ServerAddress(address), options: options)
        let first = Promise<Void>()
        try ConnectionThread.start(connection, first: first)
        do {
            try await first.value()
        } catch {
            connection.close(error)
            throw error
        }
        return Client(connection: connection)
    }

    /// Who is at the other end; nil while there has been none yet.
    ///
    /// ```swift
    /// print(client.server?.version ?? "not connected")
    /// ```
    public var server: ServerDescription? { connection.state.withLock { $0.server } }

    /// Ends the connection. Everything that still waits fails with `closed`; close producers first, so that they can flush.
    ///
    /// ```swift
    /// try await producer.close()
    /// await client.close()
    /// ```
    public func close() async {
        connection.close(.closed)
        await connection.closed()
    }

    /// Measures the way to the broker and back.
    ///
    /// ```swift
    /// print(try await client.ping())
    /// ```
    public func ping() async throws(ClientError) -> Duration {
        let began = Clock.monotonic
        _ = try await connection.call(Frame.Ping(), "a ping", repeats: true)
        return .nanoseconds(Int64(clamping: Clock.monotonic - began))
    }

    // MARK: Publishing

    /// A producer for a topic or a queue.
    ///
    /// ```swift
    /// let producer = try await client.producer(topic: "orders")
    /// ```
    public func producer(topic: String, _ options: ProducerOptions = ProducerOptions()) async throws(ClientError) -> Producer {
        let description = try await self.topic(topic)
        guard !description.partitions.isEmpty else { throw .protocolViolation("the topic \(topic) has no partitions") }
        var options = options
        var identity: ProducerIdentity?
        if options.isIdempotent {
            identity = try await connection.startProducer()
            options.window = min(options.window, 5)
        }
        let target = Producer.Target.topic(id: description.id, name: topic, partitions: Int32(clamping: description.partitions.count))
        return Producer(connection: connection, target: target, options: options, identity: identity)
    }

    /// A producer for an exchange: each message goes wherever a binding matches its routing key. Such publishes are not idempotent.
    ///
    /// ```swift
    /// let producer = try await client.producer(exchange: "orders")
    /// try await producer.send(order, routingKey: "order.placed")
    /// ```
    public func producer(exchange: String, _ options: ProducerOptions = ProducerOptions()) async throws(ClientError) -> Producer {
        let answer = try await connection.call(Frame.FindExchange(name: exchange), "looking the exchange \(exchange) up", repeats: true)
        let found = try answer.expect { if case .exchanges(let list) = $0 { list.first } else { nil } }
        return Producer(connection: connection, target: .exchange(id: found.id, name: exchange), options: options, identity: nil)
    }

    // MARK: Consuming

    /// Reads a topic as a stream.
    ///
    /// - Parameters:
    ///   - topic: what is read.
    ///   - group: the name under which the broker keeps the place; members of a group stand by for each other. Without a group the
    ///     reader is alone and its place ends with it.
    ///   - start: where to begin when the group is new, or without one.
    ///
    /// ```swift
    /// let consumer = try await client.consumer(topic: "orders", group: "billing", from: .earliest)
    /// ```
    public func consumer(
        topic: String, group: String? = nil, from start: StartPosition = .latest, _ options: ConsumerOptions = ConsumerOptions()
    ) async throws(ClientError) -> Consumer {
        var next: [Int32: Int64] = [:]
        if group == nil {
            // Known places make it possible to go on behind a lost connection without a gap, also where nothing has come yet.
            for partition in try await self.topic(topic).partitions {
                switch start {
                case .latest: next[partition.index] = partition.end
                case .offset(let offset): next[partition.index] = offset
                case .earliest: next[partition.index] = partition.start
                case .time: break
                }
            }
        }
        let inbox = Inbox(mode: .stream, window: options.window, next: next)
        let subscription = Connection.Subscription(topic: topic, name: group ?? "", isShared: false, start: start, takesBatches: true)
        let id = try await connection.attach(subscription, inbox)
        return Consumer(topic: topic, connection: connection, id: id, inbox: inbox)
    }

    /// Works on a queue, or on a topic together with others: each message goes to one of the group's consumers, which settles it.
    ///
    /// ```swift
    /// let worker = try await client.worker(queue: "tasks")
    /// for try await task in worker {
    ///     try await perform(task)
    ///     try await worker.accept(task)
    /// }
    /// ```
    public func worker(
        queue: String, group: String = "queue", from start: StartPosition = .earliest, _ options: ConsumerOptions = ConsumerOptions()
    ) async throws(ClientError) -> Consumer {
        let inbox = Inbox(mode: .queue, window: options.window)
        let id = try await connection.attach(options.shared(queue, group, start), inbox)
        return Consumer(topic: queue, connection: connection, id: id, inbox: inbox)
    }

    /// A queue from which messages are received when somebody asks.
    ///
    /// ```swift
    /// let queue = try await client.queue("tasks")
    /// for message in try await queue.receive(max: 10, wait: .seconds(5)) { … }
    /// ```
    public func queue(_ name: String, group: String = "queue", _ options: ConsumerOptions = ConsumerOptions()) async throws(ClientError) -> Queue {
        let inbox = Inbox(mode: .queue, window: options.window)
        inbox.receiveOnDemand()
        let id = try await connection.attach(options.shared(name, group, .earliest), inbox)
        return Queue(Consumer(topic: name, connection: connection, id: id, inbox: inbox))
    }
}

extension ConsumerOptions {
    var window: Inbox.Return {
        Inbox.Return(messages: Int64(max(1, min(prefetchMessages, 1_000_000))), bytes: Int64(max(1, min(prefetchBytes, 1 << 30))))
    }

    func shared(_ topic: String, _ group: String, _ start: StartPosition) -> Connection.Subscription {
        Connection.Subscription(
            topic: topic, name: group, isShared: true, start: start, takesBatches: false, leaseMilliseconds: lease?.milliseconds32,
            deliveryLimit: deliveryLimit.map { UInt16(clamping: $0) }, deadLetterTopic: deadLetterTopic)
    }
}
