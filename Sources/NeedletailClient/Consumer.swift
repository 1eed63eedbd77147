internal import NativeCodec

/// Reads one subscription, as an asynchronous sequence of messages.
///
/// More messages are asked for as they are taken, so a slow reader is never flooded. After a lost connection the subscription is
/// restored by itself: a stream goes on behind the last message that was taken, a queue gives again what was not settled.
///
/// ```swift
/// let consumer = try await client.consumer(topic: "orders", group: "billing")
/// for try await message in consumer {
///     try await bill(message)
///     try await consumer.commit(message)
/// }
/// ```
public final class Consumer: AsyncSequence, Sendable {
    /// What is iterated over.
    public typealias Element = Message
    /// What iterating throws: why the subscription ended.
    public typealias Failure = ClientError

    /// The topic that is read.
    public let topic: String
    let connection: Connection
    let id: UInt32
    let inbox: Inbox

    init(topic: String, connection: Connection, id: UInt32, inbox: Inbox) {
        self.topic = topic
        self.connection = connection
        self.id = id
        self.inbox = inbox
    }

    deinit { connection.detach(id) }

    // MARK: Reading

    /// Starts reading. Several iterators share the subscription: each message goes to one of them.
    ///
    /// ```swift
    /// var messages = consumer.makeAsyncIterator()
    /// let first = try await messages.next()
    /// ```
    public func makeAsyncIterator() -> Iterator { Iterator(consumer: self) }

    /// The messages in runs as they arrive, for throughput.
    ///
    /// ```swift
    /// for try await messages in consumer.batches {
    ///     try await store(messages)
    ///     try await consumer.commit(messages)
    /// }
    /// ```
    public var batches: Batches { Batches(consumer: self) }

    /// Reads a consumer message by message.
    public struct Iterator: AsyncIteratorProtocol {
        let consumer: Consumer
        private var run: [Message] = []
        private var position = 0

        init(consumer: Consumer) { self.consumer = consumer }

        /// The next message; nil once the consumer was closed.
        public mutating func next(isolation actor: isolated (any Actor)? = #isolation) async throws(ClientError) -> Message? {
            while position == run.count {
                guard let more = try await consumer.nextRun() else { return nil }
                run = more
                position = 0
            }
            defer { position += 1 }
            return run[position]
        }

        /// The next message; nil once the consumer was closed.
        public mutating func next() async throws(ClientError) -> Message? { try await next(isolation: nil) }
    }

    /// A consumer's messages in runs as they arrive.
    public struct Batches: AsyncSequence, Sendable {
        /// What is iterated over: messages of one partition, in order.
        public typealias Element = [Message]
        /// What iterating throws.
        public typealias Failure = ClientError
        let consumer: Consumer

        /// Starts reading.
        public func makeAsyncIterator() -> Iterator { Iterator(consumer: consumer) }

        /// Reads a consumer run by run.
        public struct Iterator: AsyncIteratorProtocol {
            let consumer: Consumer

            /// The next run; nil once the consumer was closed.
            public mutating func next(isolation actor: isolated (any Actor)? = #isolation) async throws(ClientError) -> [Message]? {
                try await consumer.nextRun()
            }

            /// The next run; nil once the consumer was closed.
            public mutating func next() async throws(ClientError) -> [Message]? { try await consumer.nextRun() }
        }
    }

    private func nextRun() async throws(ClientError) -> [Message]? {
        while true {
            switch inbox.take() {
            case .messages(let messages, let credit):
                if let credit { connection.credit(id, credit) }
                if !messages.isEmpty { return messages }
            case .wait(let arrival): try await arrival.value()
            case .ended(.closed): return nil
            case .ended(let error): throw error
            }
        }
    }

    // MARK: Settling

    /// Streams: this message and all before it in its partition are done; a later reader of the group begins behind it.
    ///
    /// - Parameter confirmation: `.durable` waits until the broker has stored the commit.
    ///
    /// ```swift
    /// try await consumer.commit(message, .durable)
    /// ```
    public func commit(_ message: Message, _ confirmation: Confirmation = .none) async throws(ClientError) {
        try await settle(Consumer.ranges([message], .accept), confirmation)
    }

    /// Streams: commits a run; see `commit(_:_:)`.
    ///
    /// ```swift
    /// for try await messages in consumer.batches { try await consumer.commit(messages) }
    /// ```
    public func commit(_ messages: [Message], _ confirmation: Confirmation = .none) async throws(ClientError) {
        var last: [Int32: Int64] = [:]
        for message in messages { last[message.partition] = Swift.max(message.offset, last[message.partition] ?? message.offset) }
        let ranges = last.sorted { $0.key < $1.key }.map { Frame.Settle.Range(partition: $0.key, outcome: .accept, first: $0.value, last: $0.value) }
        try await settle(ranges, confirmation)
    }

    /// Queues: done; the message will not come again.
    ///
    /// ```swift
    /// try await worker.accept(message)
    /// ```
    public func accept(_ message: Message, _ confirmation: Confirmation = .none) async throws(ClientError) {
        try await settle(Consumer.ranges([message], .accept), confirmation)
    }

    /// Queues: accepts many at once.
    ///
    /// ```swift
    /// for try await messages in worker.batches { try await worker.accept(messages) }
    /// ```
    public func accept(_ messages: [Message], _ confirmation: Confirmation = .none) async throws(ClientError) {
        try await settle(Consumer.ranges(messages, .accept), confirmation)
    }

    /// Queues: give it to somebody (else) again; the attempt counts towards the delivery limit.
    ///
    /// ```swift
    /// do { try work(on: message) } catch { try await worker.requeue(message) }
    /// ```
    public func requeue(_ message: Message, _ confirmation: Confirmation = .none) async throws(ClientError) {
        try await settle(Consumer.ranges([message], .requeue), confirmation)
    }

    /// Queues: never again; the message goes to the dead-letter topic at once, where there is one.
    ///
    /// ```swift
    /// guard let order = Order(message.payload) else { try await worker.reject(message); continue }
    /// ```
    public func reject(_ message: Message, _ confirmation: Confirmation = .none) async throws(ClientError) {
        try await settle(Consumer.ranges([message], .reject), confirmation)
    }

    /// Queues: give it back unread; the attempt does not count.
    ///
    /// ```swift
    /// for message in unread { try await worker.release(message) }
    /// ```
    public func release(_ message: Message, _ confirmation: Confirmation = .none) async throws(ClientError) {
        try await settle(Consumer.ranges([message], .release), confirmation)
    }

    /// Queues: keeps a delivery for `time` more, counted from now.
    ///
    /// ```swift
    /// try await worker.extendLease(message, by: .seconds(60))
    /// ```
    public func extendLease(_ message: Message, by time: Duration) async throws(ClientError) {
        try await connection.extendLease(id, message.partition, message.offset, message.offset, time)
    }

    /// Whether the broker confirms a settlement.
    ///
    /// ```swift
    /// try await worker.accept(message, .durable)
    /// ```
    public enum Confirmation: Sendable {
        /// Sent and not waited for. A failure is thrown by the next settlement.
        case none
        /// Returns once the settlement is stored.
        case durable
    }

    private func settle(_ ranges: [Frame.Settle.Range], _ confirmation: Confirmation) async throws(ClientError) {
        if let failure = inbox.takeSettleFailure() { throw failure }
        try await connection.settle(id, ranges, confirmation)
    }

    /// Messages as runs of offsets, in order.
    static func ranges(_ messages: [Message], _ outcome: Frame.Outcome) -> [Frame.Settle.Range] {
        var ranges: [Frame.Settle.Range] = []
        for message in messages.sorted(by: { ($0.partition, $0.offset) < ($1.partition, $1.offset) }) {
            if let run = ranges.last, run.partition == message.partition, run.last >= message.offset - 1 {
                ranges[ranges.count - 1].last = message.offset
            } else {
                ranges.append(Frame.Settle.Range(partition: message.partition, outcome: outcome, first: message.offset, last: message.offset))
            }
        }
        return ranges
    }

    // MARK: The end

    /// Ends the subscription; iterating ends with what had arrived.
    ///
    /// ```swift
    /// await consumer.close()
    /// ```
    public func close() async {
        inbox.end(.closed)
        connection.detach(id)
    }
}
