internal import Synchronization

/// How many bytes may wait in some place at once. Who wants more is suspended, first come first served: this is the library's
/// back-pressure, and the reason why its memory has a bound.
///
/// A demand above the whole limit passes when nothing else is taken, so that one large message never waits for ever.
final class Budget: Sendable {
    private struct State {
        var used = 0
        var waiting: [(amount: Int, promise: Promise<Void>)] = []
        var failure: ClientError?
    }

    let limit: Int
    private let state = Mutex(State())

    init(limit: Int) { self.limit = limit }

    var used: Int { state.withLock { $0.used } }

    /// Takes `amount`, waiting for room.
    func acquire(_ amount: Int) async throws(ClientError) {
        if try tryAcquire(amount) { return }
        let promise = Promise<Void>()
        let failure = state.withLock { state -> ClientError? in
            if state.failure == nil { state.waiting.append((amount, promise)) }
            return state.failure
        }
        if let failure { throw failure }
        // Room may have come up between the two steps.
        release(0)
        try await promise.value()
    }

    /// Takes `amount` when there is room now and nobody waits before us.
    func tryAcquire(_ amount: Int) throws(ClientError) -> Bool {
        let result = state.withLock { state -> Result<Bool, ClientError> in
            if let failure = state.failure { return .failure(failure) }
            guard state.waiting.isEmpty, fits(amount, state.used) else { return .success(false) }
            state.used += amount
            return .success(true)
        }
        return try result.get()
    }

    /// Gives `amount` back and lets those in who fit now.
    func release(_ amount: Int) {
        state.withLock { state in
            state.used -= amount
            var admitted = 0
            for (amount, promise) in state.waiting {
                guard fits(amount, state.used) else { break }
                admitted += 1
                // A waiter whose task was cancelled has decided its promise already and takes nothing.
                if promise.resolve(.success(())) { state.used += amount }
            }
            state.waiting.removeFirst(admitted)
        }
    }

    /// Ends all waiting, now and later.
    func fail(_ error: ClientError) {
        let waiting = state.withLock { state -> [(amount: Int, promise: Promise<Void>)] in
            state.failure = error
            defer { state.waiting = [] }
            return state.waiting
        }
        for (_, promise) in waiting { promise.fail(error) }
    }

    private func fits(_ amount: Int, _ used: Int) -> Bool { used == 0 || used + amount <= limit }
}
