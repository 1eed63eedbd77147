internal import Bytes
internal import LinuxSystem
internal import NativeCodec
internal import Synchronization

/// Publishes to one topic or one exchange. Messages are gathered into record batches here, and the broker stores these untouched.
///
/// A producer is idempotent unless it is told otherwise: after a lost connection it repeats what was not acknowledged, and the broker
/// stores it once. At most `ProducerOptions.bufferBytes` wait in it; beyond, `send` and `enqueue` suspend.
///
/// ```swift
/// let producer = try await client.producer(topic: "orders")
/// let receipt = try await producer.send(Array("one order".utf8), key: Array("customer-7".utf8))
///
/// for line in lines { try await producer.enqueue(line) }     // many: do not wait for each
/// try await producer.flush()                                 // but for all of them
/// ```
public final class Producer: Sendable {
    enum Target: Sendable {
        case topic(id: UInt32, name: String, partitions: Int32)
        case exchange(id: UInt32, name: String)
    }

    private enum LaneKey: Hashable, Sendable {
        case partition(Int32)
        case routingKey(String)
    }

    private enum Identity: Sendable {
        case none
        case known(ProducerIdentity)
        /// A batch was refused and its sequence is lost: a new identity is taken as soon as nothing is in flight.
        case stale
        case asked
    }

    private struct State {
        var lanes: [LaneKey: ProducerLane] = [:]
        var identity: Identity
        var inFlight = 0
        /// Where messages without key go: one partition until its batch leaves, then the next.
        var sticky: Int32 = 0
        /// The first failure of a message that nobody waited for; the next `flush` tells it.
        var failure: ClientError?
        var isClosed = false
    }

    private let connection: Connection
    private let target: Target
    private let options: ProducerOptions
    private let budget: Budget
    private let state: Mutex<State>

    init(connection: Connection, target: Target, options: ProducerOptions, identity: ProducerIdentity?) {
        self.connection = connection
        self.target = target
        self.options = options
        budget = Budget(limit: options.bufferBytes)
        state = Mutex(State(identity: identity.map { .known($0) } ?? .none))
    }

    // MARK: Publishing

    /// Publishes one message and waits until the broker has acknowledged it with the durability that was asked for.
    ///
    /// - Parameters:
    ///   - payload: what is sent; nil is Kafka's null.
    ///   - key: chooses the partition, as Kafka's default partitioner does; without one, partitions take turns.
    ///   - headers: named values beside the payload.
    ///   - partition: overrides the choice by key.
    ///   - routingKey: for exchanges: what bindings are matched with.
    ///
    /// ```swift
    /// let receipt = try await producer.send(order, key: customer)
    /// ```
    @discardableResult
    public func send(
        _ payload: [UInt8]?, key: [UInt8]? = nil, headers: [Header] = [], partition: Int32? = nil, routingKey: String = ""
    ) async throws(ClientError) -> Receipt {
        let promise = Promise<Receipt>()
        try await add(payload, key, headers, partition, routingKey, promise)
        return try await promise.value()
    }

    /// Publishes a text; see `send(_:key:headers:partition:routingKey:)`.
    ///
    /// ```swift
    /// try await producer.send("hello")
    /// ```
    @discardableResult
    public func send(
        _ text: String, key: String? = nil, headers: [Header] = [], partition: Int32? = nil, routingKey: String = ""
    ) async throws(ClientError) -> Receipt {
        try await send(Array(text.utf8), key: key.map { Array($0.utf8) }, headers: headers, partition: partition, routingKey: routingKey)
    }

    /// Takes one message for publishing and returns as soon as there is room for it; `flush` waits for the acknowledgements, and tells
    /// the first failure.
    ///
    /// ```swift
    /// for line in lines { try await producer.enqueue(line) }
    /// try await producer.flush()
    /// ```
    public func enqueue(
        _ payload: [UInt8]?, key: [UInt8]? = nil, headers: [Header] = [], partition: Int32? = nil, routingKey: String = ""
    ) async throws(ClientError) {
        try await add(payload, key, headers, partition, routingKey, nil)
    }

    /// Waits until everything taken before is acknowledged. Throws the first failure since the last flush.
    ///
    /// ```swift
    /// try await producer.flush()
    /// ```
    public func flush() async throws(ClientError) {
        let wait = FlushWait()
        state.withLock { state in
            let lanes = Array(state.lanes.keys)
            for lane in lanes { state.lanes[lane]?.flush(wait) }
            depart(&state, from: lanes)
        }
        wait.left(nil)
        let failure: ClientError?
        do {
            try await wait.promise.value()
            failure = nil
        } catch {
            failure = error
        }
        let earlier = state.withLock { state -> ClientError? in
            defer { state.failure = nil }
            return state.failure
        }
        if let failure = failure ?? earlier { throw failure }
    }

    /// Flushes and takes no more messages.
    ///
    /// ```swift
    /// try await producer.close()
    /// ```
    public func close() async throws(ClientError) {
        state.withLock { $0.isClosed = true }
        try await flush()
        budget.fail(.closed)
    }

    // MARK: Gathering

    private func add(
        _ payload: [UInt8]?, _ key: [UInt8]?, _ headers: [Header], _ partition: Int32?, _ routingKey: String, _ promise: Promise<Receipt>?
    ) async throws(ClientError) {
        let size = RecordBatchBuilder.size(key: key, payload: payload, headers: headers)
        let limit = connection.frameBytes - 4_096
        guard size <= limit else { throw .tooLarge(bytes: size, limit: limit) }
        try await budget.acquire(size)
        let timestamp = Clock.realtimeMilliseconds
        let lingers = options.linger > .zero
        let added = state.withLock { state -> Result<Lingering?, ClientError> in
            if state.isClosed { return .failure(.closed) }
            return place(key, partition, routingKey, &state).map { lane in
                let empty = ProducerLane(window: max(1, options.window), batchBytes: options.batchBytes, lingers: lingers)
                let opened = state.lanes[lane, default: empty]
                    .add(key: key, payload: payload, headers: headers, timestamp: timestamp, charged: size, promise: promise)
                depart(&state, from: [lane])
                return lingers ? opened.map { Lingering(lane: lane, number: $0) } : nil
            }
        }
        switch added {
        case .success(let opened):
            if let opened { linger(opened) }
        case .failure(let error):
            budget.release(size)
            throw error
        }
    }

    private struct Lingering: Sendable {
        var lane: LaneKey
        var number: UInt64
    }

    private func linger(_ batch: Lingering) {
        let time = options.linger
        Task { [weak self] in
            try? await Task.sleep(for: time)
            guard let self else { return }
            state.withLock { state in
                state.lanes[batch.lane]?.lingered(batch.number)
                depart(&state, from: [batch.lane])
            }
        }
    }

    private func place(_ key: [UInt8]?, _ chosen: Int32?, _ routingKey: String, _ state: inout State) -> Result<LaneKey, ClientError> {
        switch target {
        case .exchange:
            guard routingKey.utf8.count <= 255 else { return .failure(.invalid("a routing key has at most 255 bytes, this one \(routingKey.utf8.count)")) }
            return .success(.routingKey(routingKey))
        case .topic(_, let name, let partitions):
            if let chosen {
                guard chosen >= 0, chosen < partitions else {
                    return .failure(.invalid("\(name) has partitions 0 to \(partitions - 1), there is no \(chosen)"))
                }
                return .success(.partition(chosen))
            }
            if let key { return .success(.partition(Bytes.partition(forKey: key.rawSpan, among: partitions))) }
            return .success(.partition(state.sticky % partitions))
        }
    }

    // MARK: Sending

    /// Hands everything that may leave these lanes now to the connection, which takes it without waiting and answers later, from its
    /// own thread. Under our lock, so that batches leave in the order of their sequences.
    private func depart(_ state: inout State, from lanes: [LaneKey]) {
        let identity: ProducerIdentity?
        switch state.identity {
        case .none: identity = nil
        case .known(let known): identity = known
        case .stale where state.inFlight == 0:
            state.identity = .asked
            return askIdentity()
        case .stale, .asked: return
        }
        for lane in lanes {
            while let batch = state.lanes[lane]?.depart(identity) {
                state.inFlight += 1
                let (frameTarget, routingKey) = address(lane)
                connection.publish(
                    frameTarget, routingKey: routingKey, batch: batch.bytes, durability: options.durability, repeats: identity != nil
                ) { [self] result in
                    answered(lane, batch.number, result)
                }
                if case .topic(_, _, let partitions) = target, lane == .partition(state.sticky) { state.sticky = (state.sticky + 1) % partitions }
            }
        }
    }

    private func address(_ lane: LaneKey) -> (Frame.Target, routingKey: String) {
        switch (target, lane) {
        case (.topic(let id, _, _), .partition(let partition)): (.topic(id, partition: partition), "")
        case (.exchange(let id, _), .routingKey(let key)): (.exchange(id, routingKey: ByteRange(start: 0, count: key.utf8.count)), key)
        case (.topic, .routingKey), (.exchange, .partition): preconditionFailure("`place` made a lane of the other kind")
        }
    }

    private func answered(_ lane: LaneKey, _ number: UInt64, _ result: Result<Published, ClientError>) {
        let batch = state.withLock { state -> ProducerLane.Batch? in
            guard let batch = state.lanes[lane]?.answered(number) else { return nil }
            state.inFlight -= 1
            if case .failure(let error) = result {
                if batch.receipts.isEmpty, state.failure == nil { state.failure = error }
                if case .known = state.identity { state.identity = .stale }
            }
            depart(&state, from: [lane])
            // A lane by routing key is made at its first message; thousands of keys must not stay for ever.
            if state.lanes[lane]?.isEmpty == true, case .routingKey = lane { state.lanes[lane] = nil }
            return batch
        }
        guard let batch else { return }
        budget.release(batch.charged)
        for (index, promise) in batch.receipts { promise.resolve(result.map { $0.receipt(index) }) }
        let failure: ClientError? = if case .failure(let error) = result { error } else { nil }
        for flush in batch.flushes { flush.left(failure) }
    }

    /// A sequence was lost with a refused batch, so what follows would be out of order: take a new identity and count from 0.
    private func askIdentity() {
        connection.startProducer { [self] result in
            let abandoned = state.withLock { state -> [ProducerLane.Batch] in
                let lanes = Array(state.lanes.keys)
                switch result {
                case .success(let identity):
                    state.identity = .known(identity)
                    for lane in lanes { state.lanes[lane]?.restartSequence() }
                    depart(&state, from: lanes)
                    return []
                case .failure(let error):
                    // The next failure or message tries again.
                    state.identity = .stale
                    state.failure = state.failure ?? error
                    return lanes.flatMap { state.lanes[$0]?.abandon() ?? [] }
                }
            }
            guard case .failure(let error) = result else { return }
            for batch in abandoned {
                budget.release(batch.charged)
                for (_, promise) in batch.receipts { promise.fail(error) }
                for flush in batch.flushes { flush.left(error) }
            }
        }
    }
}
