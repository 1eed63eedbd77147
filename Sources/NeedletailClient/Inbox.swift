internal import Bytes
internal import Synchronization

/// What was delivered to one consumer and not yet taken. Filled by the connection's thread, emptied by tasks.
///
/// Its size has a bound because the broker only sends what it has credit for, and credit returns as deliveries are taken; a server
/// that sends more has broken the protocol. Deliveries are decoded when they are taken, on the consumer's time.
final class Inbox: Sendable {
    enum Mode: Sendable {
        /// In order per partition; after a reconnect what was seen before is passed over.
        case stream
        /// Each message is leased; after a reconnect what was not taken yet is forgotten, because it will come again.
        case queue
    }

    struct Delivery: Sendable {
        var partition: Int32
        var first: Int64
        var last: Int64
        var attempt: Int
        var isRedelivery = false
        var bytes: [UInt8]
        /// nil: whole batches.
        var base: RecordBase?
        /// Which connection it came over: credit goes back to that one only.
        var connection: UInt64 = 0

        var messageCount: Int64 { last &- first &+ 1 }
    }

    /// Credit to be given back.
    struct Return: Equatable, Sendable {
        var messages: Int64 = 0
        var bytes: Int64 = 0
    }

    private struct State {
        var waiting: [Delivery] = []
        var head = 0
        var queuedBytes = 0
        var connection: UInt64 = 0
        var taken = Return()
        /// Per partition: behind the last message handed out (stream).
        var next: [Int32: Int64] = [:]
        var waiters: [Promise<Void>] = []
        var end: ClientError?
        var settleFailure: ClientError?
        /// How many messages `receive` still waits for; nil for consumers that take whatever comes.
        var demand: Int64?
        /// Credit that was given on demand and not used yet.
        var asked: Int64 = 0
    }

    let mode: Mode
    let window: Return
    private let state: Mutex<State>

    init(mode: Mode, window: Return, next: [Int32: Int64] = [:]) {
        self.mode = mode
        self.window = window
        var initial = State()
        initial.next = next
        state = Mutex(initial)
    }

    // MARK: The connection's side

    enum Verdict: Sendable {
        case taken
        /// Came after the `receive` that asked for it had given up: to be released, so that somebody else gets it at once.
        case unasked
        /// The server sent more than it had credit for.
        case excessive
    }

    func deliver(_ delivery: Delivery) -> Verdict {
        let (verdict, waiters) = state.withLock { state -> (Verdict, [Promise<Void>]) in
            // One delivery may overshoot the window, as the first batch always comes whole; twice the window allows for a reconnect.
            guard state.queuedBytes <= 2 * Int(window.bytes) + delivery.bytes.count else { return (.excessive, []) }
            var delivery = delivery
            if let demand = state.demand {
                state.asked = max(0, state.asked - delivery.messageCount)
                guard demand > 0 else { return (.unasked, []) }
                state.demand = max(0, demand - delivery.messageCount)
            }
            delivery.connection = state.connection
            state.queuedBytes += delivery.bytes.count
            state.waiting.append(delivery)
            defer { state.waiters = [] }
            return (.taken, state.waiters)
        }
        for waiter in waiters { waiter.succeed() }
        return verdict
    }

    /// A new connection takes the subscription over. Answers the credit to begin with.
    func reconnected(_ connection: UInt64) -> Return {
        state.withLock { state in
            state.connection = connection
            state.taken = Return()
            state.asked = state.demand ?? 0
            defer { if mode == .queue { forget(&state) } }
            return Return(messages: state.demand ?? window.messages, bytes: window.bytes)
        }
    }

    private func forget(_ state: inout State) {
        state.waiting = []
        state.head = 0
        state.queuedBytes = 0
    }

    // MARK: Receiving on demand

    /// From now on deliveries come only as they are asked for.
    func receiveOnDemand() { state.withLock { $0.demand = 0 } }

    /// Wants up to `messages`; answers how much credit to send for it.
    func demand(_ messages: Int64) -> Int64 {
        state.withLock { state in
            state.demand = messages
            let more = max(0, messages - state.asked)
            state.asked += more
            return more
        }
    }

    /// Wants no more; what comes late is released.
    func endDemand() { state.withLock { $0.demand = 0 } }

    /// Nothing will come any more; nil in the sense of a regular end is `.closed`.
    func end(_ error: ClientError) {
        let waiters = state.withLock { state -> [Promise<Void>] in
            if state.end == nil { state.end = error }
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.succeed() }
    }

    func settleFailed(_ error: ClientError) { state.withLock { $0.settleFailure = error } }

    /// A settlement that failed without having been confirmed is told to the next that is tried.
    func takeSettleFailure() -> ClientError? {
        state.withLock { state in
            defer { state.settleFailure = nil }
            return state.settleFailure
        }
    }

    /// Where a transient subscription goes on after a reconnect: at the lowest place that is still wanted.
    var resumption: Int64? { state.withLock { $0.next.values.min() } }

    // MARK: The consumer's side

    enum Step: Sendable {
        case messages([Message], credit: Return?)
        case wait(Promise<Void>)
        case ended(ClientError)
    }

    /// The messages of the next delivery, in order; or what to wait for.
    func take() -> Step {
        enum Found { case delivery(Delivery, from: Int64, credit: Return?), wait(Promise<Void>), ended(ClientError) }
        while true {
            let found = state.withLock { state -> Found in
                guard state.head < state.waiting.count else {
                    if let end = state.end { return .ended(end) }
                    let promise = Promise<Void>()
                    state.waiters.append(promise)
                    return .wait(promise)
                }
                let delivery = state.waiting[state.head]
                state.head += 1
                if state.head == state.waiting.count || state.head > 1_024 {
                    state.waiting.removeFirst(state.head)
                    state.head = 0
                }
                state.queuedBytes -= delivery.bytes.count
                var from = delivery.first
                if mode == .stream {
                    from = max(from, state.next[delivery.partition] ?? from)
                    state.next[delivery.partition] = max(from, delivery.last &+ 1)
                }
                return .delivery(delivery, from: from, credit: returned(delivery, &state))
            }
            switch found {
            case .ended(let error): return .ended(error)
            case .wait(let promise): return .wait(promise)
            case .delivery(let delivery, let from, let credit):
                do {
                    let messages = try Inbox.decode(delivery, from: from)
                    if !messages.isEmpty || credit != nil { return .messages(messages, credit: credit) }
                } catch {
                    end(error)
                    return .ended(error)
                }
            }
        }
    }

    private func returned(_ delivery: Delivery, _ state: inout State) -> Return? {
        guard delivery.connection == state.connection else { return nil }
        state.taken.messages += delivery.messageCount
        state.taken.bytes += Int64(delivery.bytes.count)
        guard state.taken.messages >= window.messages / 2 || state.taken.bytes >= window.bytes / 2 else { return nil }
        defer { state.taken = Return() }
        return state.taken
    }

    private static func decode(_ delivery: Delivery, from first: Int64) throws(ClientError) -> [Message] {
        guard first <= delivery.last else { return [] }
        var messages: [Message]
        if let base = delivery.base {
            messages = try RecordDecoding.messages(
                inRun: delivery.bytes.rawSpan, base: base, partition: delivery.partition, first: first, last: delivery.last, attempt: delivery.attempt)
        } else {
            messages = try RecordDecoding.messages(
                inBatches: delivery.bytes.rawSpan, partition: delivery.partition, first: first, last: delivery.last, attempt: delivery.attempt)
        }
        if delivery.isRedelivery { for index in messages.indices { messages[index].isRedelivery = true } }
        return messages
    }
}
