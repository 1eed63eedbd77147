internal import Bytes
internal import LinuxSystem
internal import NativeCodec
internal import Synchronization

/// The client's one connection, as everybody else in the client sees it: takes frames, answers them later, and reconnects by itself.
///
///     callers ── frame ──→ outbound (Mutex) ── send by the caller, rest by the thread ──→ socket
///     callers ←─ answer, delivery ── the thread (`ConnectionThread`): receive, decode, hand out ←──
///
/// Invariants: a request is in `pending` from its acceptance to its one answer. What was sent and may not be repeated fails with
/// `outcomeUnknown` when the connection ends; everything else waits for the next connection. Callbacks run on the thread without the
/// lock, and may take their owner's lock and then ours, never the other way round.
final class Connection: Sendable {
    typealias Completion = @Sendable (Result<Answer, ClientError>) -> Void

    /// A request that waits for its answer.
    struct Pending: Sendable {
        var head: [UInt8]
        /// Bytes behind the head: a record batch.
        var tail: [UInt8] = []
        var isSent = false
        /// Whether it may be sent again after a lost connection.
        var repeats: Bool
        var deadline: UInt64
        var what: String
        /// The parts of a list that came so far.
        var parts: Answer?
        /// Belongs to this consumer's subscription, which every connection asks for anew.
        var consumer: UInt32?
        var completion: Completion
    }

    struct Attached: Sendable {
        var subscription: Subscription
        var inbox: Inbox
        /// Told when the first subscribe was answered.
        var ready: Promise<Void>
        /// An earlier connection asked for it: what was taken there is passed over.
        var isRestored = false
    }

    /// What to subscribe to, again on each connection.
    struct Subscription: Sendable {
        var topic: String
        var name: String
        var isShared: Bool
        var start: StartPosition
        var takesBatches: Bool
        var leaseMilliseconds: UInt32?
        var deliveryLimit: UInt16?
        var deadLetterTopic: String?
    }

    enum Phase: Sendable { case connecting, open, closed(ClientError) }

    struct State: ~Copyable {
        var phase = Phase.connecting
        /// Counts the connections.
        var generation: UInt64 = 0
        var socket: Socket?
        /// Shared memory that has taken the socket's place.
        var lane: Lane?
        var outbound = ByteBuffer()
        /// What of `outbound` is sent already.
        var outboundSent = 0
        /// The thread is handing out answers and will send what comes of them in one go.
        var isCorked = false
        var needsThread = false
        var pending: [UInt64: Pending] = [:]
        var nextCorrelation: UInt64 = 1
        var consumers: [UInt32: Attached] = [:]
        var nextConsumer: UInt32 = 1
        var drained: [Promise<Void>] = []
        var nextDeadline = UInt64.max
        var server: ServerDescription?
        /// Somebody waits for the thread's end already.
        var isAwaited = false
    }

    let address: ServerAddress
    let options: ClientOptions
    let state = Mutex(State())
    let wake: EventCounter
    /// Requests that are not publishes: few and small, but not without bound.
    private let calls = Budget(limit: 4_096)

    var frameBytes: Int { options.frameBytes }

    init(address: ServerAddress, options: ClientOptions) throws(ClientError) {
        self.address = address
        self.options = options
        do {
            wake = try EventCounter(.polled)
        } catch {
            throw .cannotConnect(address: address.text, reason: "\(error)")
        }
    }

    deinit { wake.close() }

    // MARK: Requests

    /// Sends a request and waits for its answer.
    func call(_ body: some FrameBody, tail: [UInt8] = [], _ what: String, repeats: Bool) async throws(ClientError) -> Answer {
        try await calls.acquire(1)
        let promise = Promise<Answer>()
        submit(body, tail: tail, what: what, repeats: repeats) { promise.resolve($0) }
        defer { calls.release(1) }
        return try await promise.value()
    }

    /// Takes a request without waiting; `completion` runs on the thread, never before this returns.
    func submit(
        _ body: some FrameBody, tail: [UInt8] = [], what: String, repeats: Bool, timeout: Duration? = nil, _ completion: @escaping Completion
    ) {
        let deadline = Clock.monotonic &+ (timeout ?? options.requestTimeout).nanoseconds
        let (wakes, failure) = state.withLock { state -> (Bool, ClientError?) in
            if case .closed(let error) = state.phase { return (false, error) }
            let correlation = state.nextCorrelation
            state.nextCorrelation += 1
            var frame = ByteBuffer()
            body.encode(to: &frame, correlation: correlation)
            var pending = Pending(
                head: [UInt8](frame.bytes), tail: tail, repeats: repeats, deadline: deadline, what: what, consumer: nil, completion: completion)
            if case .open = state.phase {
                pending.isSent = true
                state.outbound.append(pending.head)
                state.outbound.append(pending.tail)
            }
            state.pending[correlation] = pending
            let isEarliest = deadline < state.nextDeadline
            if isEarliest { state.nextDeadline = deadline }
            return (Connection.send(&state) || isEarliest, nil)
        }
        if wakes { rouse() }
        // A completion never runs inside the call that made it: its owner may hold a lock.
        if let failure { Task { completion(.failure(failure)) } }
    }

    /// Sends a frame that has no answer; suspends while too much waits to be sent. Without a connection it is dropped: settlements
    /// and credit mean nothing to the next one.
    func post(_ body: some FrameBody) async throws(ClientError) {
        let frame = Connection.bytes(of: body)
        while let room = try postOrWait(frame) { try await room.value() }
    }

    private func postOrWait(_ frame: [UInt8]) throws(ClientError) -> Promise<Void>? {
        let result = state.withLock { state -> Result<(Promise<Void>?, wakes: Bool), ClientError> in
            if case .closed(let error) = state.phase { return .failure(error) }
            guard case .open = state.phase else { return .success((nil, false)) }
            guard state.outbound.count - state.outboundSent < options.outboundBytes else {
                let promise = Promise<Void>()
                state.drained.append(promise)
                return .success((promise, false))
            }
            state.outbound.append(frame)
            return .success((nil, Connection.send(&state)))
        }
        let (promise, wakes) = try result.get()
        if wakes { rouse() }
        return promise
    }

    /// As `post`, for what is small and rare enough to need no back-pressure: credit, the end of a consumer.
    func postNow(_ body: some FrameBody) {
        let frame = Connection.bytes(of: body)
        let wakes = state.withLock { state -> Bool in
            guard case .open = state.phase else { return false }
            state.outbound.append(frame)
            return Connection.send(&state)
        }
        if wakes { rouse() }
    }

    private static func bytes(of body: some FrameBody) -> [UInt8] {
        var frame = ByteBuffer()
        body.encode(to: &frame)
        return [UInt8](frame.bytes)
    }

    /// Has the thread look at what there is to do.
    private func rouse() {
        wake.raise()
        state.withLock { $0.lane }?.interrupt()
    }

    /// Sends as much of `outbound` as the socket takes now. Answers whether the thread has to be woken to send the rest.
    static func send(_ state: inout State) -> Bool {
        guard !state.isCorked, state.outbound.count > state.outboundSent else { return false }
        guard let socket = state.socket else { return false }
        if let lane = state.lane {
            // Impossible counters are seen by the thread, which waits on them.
            let took = (try? lane.write(state.outbound.bytes.extracting(state.outboundSent..<state.outbound.count))) ?? 0
            state.outboundSent += took
            lane.show()
            if lane.mustKnock(.input) { try? socket.knock() }
        }
        while state.lane == nil, state.outbound.count > state.outboundSent {
            // Full, or broken: the thread sees either and does what there is to do.
            guard let sent = try? socket.send(state.outbound.bytes.extracting(state.outboundSent..<state.outbound.count), .nonblocking) else { break }
            state.outboundSent += sent
        }
        if state.outboundSent == state.outbound.count {
            state.outbound.clear()
            state.outboundSent = 0
        } else if state.outboundSent > 1 << 20 {
            state.outbound.removeFirst(state.outboundSent)
            state.outboundSent = 0
        }
        guard !state.outbound.isEmpty, !state.needsThread else { return false }
        state.needsThread = true
        return true
    }

    // MARK: Consumers

    /// Registers a consumer and subscribes it; waits for the broker's word.
    func attach(_ subscription: Subscription, _ inbox: Inbox) async throws(ClientError) -> UInt32 {
        let ready = Promise<Void>()
        let (consumer, wakes) = state.withLock { state -> (UInt32, Bool) in
            let consumer = state.nextConsumer
            state.nextConsumer += 1
            state.consumers[consumer] = Attached(subscription: subscription, inbox: inbox, ready: ready)
            if case .open = state.phase { subscribe(consumer, &state) }
            if case .closed(let error) = state.phase { ready.fail(error) }
            return (consumer, Connection.send(&state))
        }
        if wakes { rouse() }
        do {
            try await ready.value()
        } catch {
            detach(consumer)
            throw error
        }
        return consumer
    }

    /// Asks for the consumer's subscription on the present connection.
    func subscribe(_ consumer: UInt32, _ state: inout State) {
        guard let attached = state.consumers[consumer] else { return }
        let subscription = attached.subscription
        let credit = attached.inbox.reconnected(state.generation)
        var start = subscription.start
        if attached.isRestored, subscription.name.isEmpty, let resumption = attached.inbox.resumption { start = .offset(resumption) }
        state.consumers[consumer]?.isRestored = true
        let body = Frame.Subscribe(
            consumer: consumer, topic: subscription.topic, name: subscription.name, mode: subscription.isShared ? .shared : .exclusive,
            start: start.frame, form: subscription.takesBatches ? .batches : .records, messageCredit: Int32(clamping: credit.messages),
            byteCredit: credit.bytes,
            options: Frame.SubscriptionOptions(
                leaseMilliseconds: subscription.leaseMilliseconds, deliveryLimit: subscription.deliveryLimit,
                deadLetterTopic: subscription.deadLetterTopic), settlesItself: subscription.name.isEmpty)
        let correlation = state.nextCorrelation
        state.nextCorrelation += 1
        body.encode(to: &state.outbound, correlation: correlation)
        let deadline = Clock.monotonic &+ options.requestTimeout.nanoseconds
        state.nextDeadline = min(state.nextDeadline, deadline)
        state.pending[correlation] = Pending(
            head: [], isSent: true, repeats: false, deadline: deadline, what: "subscribing", consumer: consumer
        ) { [weak self] result in
            switch result {
            case .success: attached.ready.succeed()
            case .failure(let error):
                attached.ready.fail(error)
                self?.end(consumer, error)
            }
        }
    }

    /// The broker ended this consumer, or never took it.
    func end(_ consumer: UInt32, _ error: ClientError) {
        let attached = state.withLock { $0.consumers.removeValue(forKey: consumer) }
        attached?.inbox.end(error)
    }

    func detach(_ consumer: UInt32) {
        let isKnown = state.withLock { state in
            guard state.consumers.removeValue(forKey: consumer) != nil, case .open = state.phase else { return false }
            return true
        }
        guard isKnown else { return }
        // Asked for with a correlation because it is answered; nobody waits.
        submit(Frame.Unsubscribe(consumer: consumer), what: "unsubscribing", repeats: false) { _ in }
    }

    func credit(_ consumer: UInt32, _ credit: Inbox.Return) {
        postNow(Frame.Credit(consumer: consumer, messages: Int32(clamping: credit.messages), bytes: credit.bytes))
    }

    // MARK: The end

    /// The thread has ended and everything that waited was told.
    let ended = Promise<Void>()

    func close(_ error: ClientError) {
        state.withLock { state in
            if case .closed = state.phase { return }
            state.phase = .closed(error)
        }
        calls.fail(error)
        rouse()
    }
}

extension Duration {
    /// Whole nanoseconds, from 0 to about 292 years.
    var nanoseconds: UInt64 {
        let (seconds, attoseconds) = components
        guard seconds >= 0, attoseconds >= 0 else { return 0 }
        guard seconds < 9_000_000_000 else { return UInt64(Int64.max) }
        return UInt64(seconds) * 1_000_000_000 + UInt64(attoseconds / 1_000_000_000)
    }

    /// Whole milliseconds that fit 32 bits.
    var milliseconds32: UInt32 { UInt32(clamping: nanoseconds / 1_000_000) }
}
