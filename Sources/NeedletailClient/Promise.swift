internal import Synchronization

/// One result that is handed from the connection's thread to one waiting task.
///
/// It is resolved at most once, by whoever comes first: the answer, a time-out, the end of the connection, or the cancellation of the
/// waiting task. Every suspension in this library is the wait for a promise.
final class Promise<Value: Sendable>: Sendable {
    private enum State {
        case open
        case awaited(CheckedContinuation<Result<Value, ClientError>, Never>)
        case resolved(Result<Value, ClientError>)
        case taken
    }

    private let state = Mutex(State.open)

    init() {}

    /// Answers whether this call was the one that decided.
    @discardableResult
    func resolve(_ result: Result<Value, ClientError>) -> Bool {
        let (won, waiting) = state.withLock { state -> (Bool, CheckedContinuation<Result<Value, ClientError>, Never>?) in
            switch state {
            case .open:
                state = .resolved(result)
                return (true, nil)
            case .awaited(let continuation):
                state = .taken
                return (true, continuation)
            case .resolved, .taken:
                return (false, nil)
            }
        }
        waiting?.resume(returning: result)
        return won
    }

    func succeed(_ value: Value) { resolve(.success(value)) }
    func fail(_ error: ClientError) { resolve(.failure(error)) }

    /// Waits for the result. To be called once.
    func value() async throws(ClientError) -> Value {
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let early = state.withLock { state -> Result<Value, ClientError>? in
                    guard case .resolved(let result) = state else {
                        state = .awaited(continuation)
                        return nil
                    }
                    state = .taken
                    return result
                }
                if let early { continuation.resume(returning: early) }
            }
        } onCancel: {
            fail(.cancelled)
        }
        return try result.get()
    }
}

extension Promise where Value == Void {
    func succeed() { resolve(.success(())) }
}
