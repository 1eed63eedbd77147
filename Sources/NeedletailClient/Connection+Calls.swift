internal import Bytes
internal import NativeCodec
internal import Synchronization

/// The requests that producers and consumers make.
extension Connection {
    /// A new identity for an idempotent producer.
    func startProducer() async throws(ClientError) -> ProducerIdentity {
        let answer = try await call(Frame.StartProducer(id: -1, epoch: -1), "taking a producer identity", repeats: true)
        return try answer.expect(Connection.identity)
    }

    /// The same for who cannot wait; `completion` runs on the thread.
    func startProducer(_ completion: @escaping @Sendable (Result<ProducerIdentity, ClientError>) -> Void) {
        submit(Frame.StartProducer(id: -1, epoch: -1), what: "taking a producer identity", repeats: true) { result in
            completion(result.flatMap { answer in Connection.identity(answer).map { .success($0) } ?? .failure(Connection.wrongKind) })
        }
    }

    private static func identity(_ answer: Answer) -> ProducerIdentity? {
        if case .producer(let identity) = answer { identity } else { nil }
    }

    /// Takes a batch for publishing without waiting; `completion` runs on the thread, never before this returns.
    func publish(
        _ target: Frame.Target, routingKey: String, batch: [UInt8], durability: Durability, repeats: Bool,
        _ completion: @escaping @Sendable (Result<Published, ClientError>) -> Void
    ) {
        let frame = Frame.PublishBatch(
            target: target, batch: ByteRange(start: 0, count: batch.count), durability: durability.frame, wantsAnswer: true)
        let tail = routingKey.isEmpty ? batch : Array(routingKey.utf8) + batch
        submit(frame, tail: tail, what: "publishing", repeats: repeats) { result in
            completion(result.flatMap { answer in Connection.published(answer).map { .success($0) } ?? .failure(Connection.wrongKind) })
        }
    }

    /// Publishes one message and waits for the acknowledgement.
    func publishOne(topic: UInt32, payload: [UInt8], key: [UInt8]?, headers: [Header]) async throws(ClientError) {
        var tail = key ?? []
        let before = tail.count
        RecordBatchBuilder.append(headers, to: &tail)
        let headersCount = tail.count - before
        tail += payload
        guard headers.count <= Int(UInt16.max), tail.count <= frameBytes - 4_096 else { throw .tooLarge(bytes: tail.count, limit: frameBytes - 4_096) }
        let frame = Frame.Publish(
            target: .topic(topic, partition: -1), key: key.map { ByteRange(start: 0, count: $0.count) }, headers: ByteRange(start: 0, count: headersCount),
            headerCount: UInt16(headers.count), payload: ByteRange(start: 0, count: payload.count), timestamp: nil, producer: nil, durability: .none,
            wantsAnswer: true)
        _ = try await call(frame, tail: tail, "publishing", repeats: false)
    }

    private static func published(_ answer: Answer) -> Published? {
        if case .published(let published) = answer { published } else { nil }
    }

    private static let wrongKind = ClientError.protocolViolation("an answer of the wrong kind")

    func settle(
        _ consumer: UInt32, _ ranges: [Frame.Settle.Range], _ confirmation: Consumer.Confirmation
    ) async throws(ClientError) {
        guard !ranges.isEmpty else { return }
        let frame = Frame.Settle(consumer: consumer, confirm: confirmation == .durable, ranges: ranges)
        switch confirmation {
        case .none: try await post(frame)
        case .durable: _ = try await call(frame, "settling", repeats: false)
        }
    }

    func extendLease(_ consumer: UInt32, _ partition: Int32, _ first: Int64, _ last: Int64, _ time: Duration) async throws(ClientError) {
        let frame = Frame.ExtendLease(consumer: consumer, partition: partition, first: first, last: last, milliseconds: time.milliseconds32)
        _ = try await call(frame, "extending a lease", repeats: false)
    }

    /// Waits until the thread has ended.
    func closed() async {
        let isFirst = state.withLock { state in
            defer { state.isAwaited = true }
            return !state.isAwaited
        }
        if isFirst { try? await ended.value() }
    }
}
