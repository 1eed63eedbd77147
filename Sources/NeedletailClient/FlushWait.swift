internal import Synchronization

/// One call of `flush`: counts the batches that it waits for and remembers the first failure among them.
final class FlushWait: Sendable {
    private struct State {
        /// One for the caller itself, so that the count cannot reach zero while batches are still being joined.
        var remaining = 1
        var failure: ClientError?
    }

    let promise = Promise<Void>()
    private let state = Mutex(State())

    init() {}

    func joined() -> FlushWait {
        state.withLock { $0.remaining += 1 }
        return self
    }

    func left(_ failure: ClientError?) {
        let ended = state.withLock { state -> Result<Void, ClientError>? in
            if state.failure == nil { state.failure = failure }
            state.remaining -= 1
            guard state.remaining == 0 else { return nil }
            if let failure = state.failure { return .failure(failure) }
            return .success(())
        }
        if let ended { promise.resolve(ended) }
    }
}
