internal import Bytes
internal import LinuxSystem
internal import NativeCodec
internal import Synchronization

/// The verbs of a connection that its thread alone uses, in the order of a connection's life.
extension Connection {
    var isClosed: Bool { state.withLock { $0.isClosed } }

    /// Whether the rest of the output is the thread's to send, when the next request times out, and whether to end.
    var work: (needsThread: Bool, deadline: UInt64, isClosed: Bool) {
        state.withLock { ($0.needsThread, $0.nextDeadline, $0.isClosed) }
    }

    /// A connection stands: subscriptions are asked for again, then everything is sent that waits or may be repeated, in its order.
    func opened(_ socket: Socket, _ lane: Lane?, _ server: ServerDescription) {
        state.withLock { state in
            if state.isClosed { return }
            state.phase = .open
            state.generation += 1
            state.socket = socket
            state.lane = lane
            state.server = server
            let unsent = state.pending.filter { !$0.value.isSent }.keys.sorted()
            for consumer in state.consumers.keys.sorted() { subscribe(consumer, &state) }
            for correlation in unsent {
                guard let pending = state.pending[correlation] else { continue }
                state.outbound.append(pending.head)
                state.outbound.append(pending.tail)
                state.pending[correlation]?.isSent = true
            }
            _ = Connection.send(&state)
        }
    }

    func cork() { state.withLock { $0.isCorked = true } }

    func uncork() {
        state.withLock { state in
            state.isCorked = false
            _ = Connection.send(&state)
        }
    }

    func sendRest() {
        let drained = state.withLock { state -> [Promise<Void>] in
            state.needsThread = false
            _ = Connection.send(&state)
            guard state.outbound.count - state.outboundSent <= options.outboundBytes / 2 else { return [] }
            defer { state.drained = [] }
            return state.drained
        }
        for promise in drained { promise.succeed() }
    }

    func answered(_ correlation: UInt64, _ answer: Answer, hasMore: Bool) throws(ClientError) {
        let done = state.withLock { state -> Result<(Completion, Answer)?, ClientError> in
            // Unknown: it had timed out.
            guard let pending = state.pending[correlation] else { return .success(nil) }
            var parts = answer
            if let earlier = pending.parts {
                guard let joined = earlier.joined(with: answer) else { return .failure(.protocolViolation("a list whose parts are of different kinds")) }
                parts = joined
            }
            guard parts.listCount <= Connection.listLimit else { return .failure(.protocolViolation("a list of more than \(Connection.listLimit) elements")) }
            if hasMore {
                state.pending[correlation]?.parts = parts
                return .success(nil)
            }
            state.pending[correlation] = nil
            return .success((pending.completion, parts))
        }
        if let (completion, answer) = try done.get() { completion(.success(answer)) }
    }

    static let listLimit = 1_000_000

    func refused(_ correlation: UInt64, _ refusal: Refusal) {
        let pending = state.withLock { state -> Pending? in
            // A broker that goes down answers what it can no longer do: what may be repeated waits for its successor.
            if refusal.code == .shuttingDown, state.pending[correlation]?.repeats == true { return nil }
            return state.pending.removeValue(forKey: correlation)
        }
        pending?.completion(.failure(.refused(refusal)))
    }

    func delivered(_ delivery: Inbox.Delivery, to consumer: UInt32) throws(ClientError) {
        // Unknown: it has just been detached.
        guard let inbox = state.withLock({ $0.consumers[consumer]?.inbox }) else { return }
        switch inbox.deliver(delivery) {
        case .taken: break
        case .unasked:
            postNow(
                Frame.Settle(
                    consumer: consumer, confirm: false,
                    ranges: [Frame.Settle.Range(partition: delivery.partition, outcome: .release, first: delivery.first, last: delivery.last)]))
        case .excessive: throw .protocolViolation("deliveries beyond the credit of consumer \(consumer)")
        }
    }

    func settleFailed(_ consumer: UInt32, _ error: ClientError) {
        state.withLock { $0.consumers[consumer]?.inbox }?.settleFailed(error)
    }

    func expire(_ now: UInt64) {
        let expired = state.withLock { state -> [Pending] in
            let due = state.pending.filter { $0.value.deadline <= now }.sorted { $0.key < $1.key }
            for (correlation, _) in due { state.pending[correlation] = nil }
            state.nextDeadline = state.pending.values.lazy.map(\.deadline).min() ?? .max
            return due.map(\.value)
        }
        for pending in expired { pending.completion(.failure(.timedOut(pending.what))) }
    }

    /// The connection ended.
    func lost() {
        let (unknown, drained) = state.withLock { state -> ([Pending], [Promise<Void>]) in
            state.socket = nil
            state.lane = nil
            state.outbound.release()
            state.outboundSent = 0
            state.needsThread = false
            if !state.isClosed { state.phase = .connecting }
            var unknown: [Pending] = []
            for correlation in state.pending.keys.sorted() {
                guard let pending = state.pending[correlation], pending.isSent else { continue }
                state.pending[correlation]?.parts = nil
                if pending.repeats {
                    state.pending[correlation]?.isSent = false
                } else {
                    state.pending[correlation] = nil
                    // Subscribing is asked for anew by the next connection.
                    if pending.consumer == nil { unknown.append(pending) }
                }
            }
            defer { state.drained = [] }
            return (unknown, state.drained)
        }
        for pending in unknown { pending.completion(.failure(.outcomeUnknown)) }
        for promise in drained { promise.succeed() }
    }

    /// The client is closed: everything that still waits is told.
    func finish() {
        let (error, pending, consumers, drained) = state.withLock { state -> (ClientError, [Pending], [Attached], [Promise<Void>]) in
            guard case .closed(let error) = state.phase else { return (.closed, [], [], []) }
            defer {
                state.pending = [:]
                state.consumers = [:]
                state.drained = []
            }
            return (
                error, state.pending.sorted { $0.key < $1.key }.map(\.value), state.consumers.sorted { $0.key < $1.key }.map(\.value), state.drained
            )
        }
        for pending in pending { pending.completion(.failure(pending.isSent && !pending.repeats ? .outcomeUnknown : error)) }
        for consumer in consumers {
            consumer.ready.fail(error)
            consumer.inbox.end(error)
        }
        for promise in drained { promise.fail(error) }
        ended.succeed()
    }
}

extension Connection.State {
    var isClosed: Bool {
        if case .closed = phase { true } else { false }
    }
}
