/// Receives messages of a queue when asked, each leased to the caller until it is settled or its lease ends.
///
/// Nothing is fetched ahead: a message that arrives after `receive` has given up goes back to the queue at once, uncounted.
///
/// ```swift
/// let queue = try await client.queue("tasks")
/// while true {
///     for task in try await queue.receive(max: 10, wait: .seconds(20)) {
///         try await perform(task)
///         try await queue.accept(task)
///     }
/// }
/// ```
public final class Queue: Sendable {
    private let consumer: Consumer
    /// One `receive` at a time; the others wait in order.
    private let turn = Budget(limit: 1)

    init(_ consumer: Consumer) { self.consumer = consumer }

    /// The queue's name.
    public var name: String { consumer.topic }

    /// Receives up to `max` messages: returns as soon as there is at least one, and empty-handed after `wait`.
    ///
    /// ```swift
    /// let messages = try await queue.receive(max: 10, wait: .seconds(5))
    /// ```
    public func receive(max: Int = 1, wait: Duration = .seconds(1)) async throws(ClientError) -> [Message] {
        guard max > 0 else { return [] }
        try await turn.acquire(1)
        defer { turn.release(1) }
        let inbox = consumer.inbox
        let more = inbox.demand(Int64(Swift.min(max, 1_000_000)))
        defer { inbox.endDemand() }
        if more > 0 { consumer.connection.credit(consumer.id, Inbox.Return(messages: more, bytes: 0)) }
        var received: [Message] = []
        var alarm: Task<Void, Never>?
        defer { alarm?.cancel() }
        var isOver = false
        while true {
            switch inbox.take() {
            case .messages(let messages, let credit):
                // Messages are asked for one by one, only the room in bytes comes back by itself.
                if let credit { consumer.connection.credit(consumer.id, Inbox.Return(messages: 0, bytes: credit.bytes)) }
                received += messages
            case .ended(let error): throw error
            case .wait(let arrival):
                if isOver || !received.isEmpty { return received }
                // An alarm that finds the arrival decided changes nothing.
                alarm = Task {
                    try? await Task.sleep(for: wait)
                    if !Task.isCancelled { arrival.succeed() }
                }
                try await arrival.value()
                isOver = true
            }
        }
    }

    /// Done; the message will not come again.
    ///
    /// ```swift
    /// try await queue.accept(message)
    /// ```
    public func accept(_ message: Message, _ confirmation: Consumer.Confirmation = .none) async throws(ClientError) {
        try await consumer.accept(message, confirmation)
    }

    /// Accepts many at once.
    ///
    /// ```swift
    /// try await queue.accept(messages, .durable)
    /// ```
    public func accept(_ messages: [Message], _ confirmation: Consumer.Confirmation = .none) async throws(ClientError) {
        try await consumer.accept(messages, confirmation)
    }

    /// Give it to somebody (else) again; the attempt counts towards the delivery limit.
    ///
    /// ```swift
    /// try await queue.requeue(message)
    /// ```
    public func requeue(_ message: Message, _ confirmation: Consumer.Confirmation = .none) async throws(ClientError) {
        try await consumer.requeue(message, confirmation)
    }

    /// Never again; the message goes to the dead-letter topic at once, where there is one.
    ///
    /// ```swift
    /// try await queue.reject(message)
    /// ```
    public func reject(_ message: Message, _ confirmation: Consumer.Confirmation = .none) async throws(ClientError) {
        try await consumer.reject(message, confirmation)
    }

    /// Give it back unread; the attempt does not count.
    ///
    /// ```swift
    /// try await queue.release(message)
    /// ```
    public func release(_ message: Message, _ confirmation: Consumer.Confirmation = .none) async throws(ClientError) {
        try await consumer.release(message, confirmation)
    }

    /// Keeps a delivery for `time` more, counted from now.
    ///
    /// ```swift
    /// try await queue.extendLease(message, by: .seconds(60))
    /// ```
    public func extendLease(_ message: Message, by time: Duration) async throws(ClientError) {
        try await consumer.extendLease(message, by: time)
    }

    /// Stops receiving; what is not settled goes back to the queue.
    ///
    /// ```swift
    /// await queue.close()
    /// ```
    public func close() async { await consumer.close() }
}
