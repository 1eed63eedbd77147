import BrokerCore
import Observability
import SegmentLog
import Wire

// The end of a shard: asked for, or forced by a broker that has failed.
extension Shard {
    /// What a broker that has failed takes to say so to its peers.
    private static let failureNanoseconds: UInt64 = 500_000_000

    /// What the broker knows of its topics can no longer be written: it may not promise anything any more.
    func fail(_ fault: StorageError) {
        failure = fault
        log.error("broker_failed", [("reason", .text("\(fault)")), ("meaning", "the catalog cannot be written; the broker ends")])
        if case .among(let neighbours) = broker { neighbours.stop(within: Shard.failureNanoseconds) }
        stop(within: Shard.failureNanoseconds)
    }

    func stop(within nanoseconds: UInt64) {
        guard isRunning else { return }
        let now = driver.now
        for listener in protocols.indices { driver.closeListener(ListenerID(rawValue: UInt32(listener))) }
        for slot in 0..<connections.capacity {
            guard let connection = connections.connection(inSlot: slot), connection.state == .open else { continue }
            stopReceiving(on: connection)
        }
        state = .draining(until: now.instant.advanced(byNanoseconds: nanoseconds))
    }

    /// Waits until every publish is answered, says goodbye, then flushes and closes everything.
    func drainFurther(_ now: Now, until: Instant) {
        let isLate = now.instant >= until
        var isWaiting = false
        for slot in 0..<connections.capacity {
            guard let connection = connections.connection(inSlot: slot) else { continue }
            if connection.state == .open, connection.unanswered == 0 || isLate {
                connection.session.shutDown(&connection.output)
                endSession(of: connection, reason: nil)
            }
            if isLate { abort(connection) }
            isWaiting = true
        }
        sendAll(now)
        // One more grace period when late: an operation or a shard that holds on must not hold the process.
        let isOver = isLate && now.instant.nanoseconds(since: until) > 1_000_000_000
        guard !isWaiting || isOver else { return }
        if case .among(let neighbours) = broker {
            if !hasLeft { neighbours.leave() }
            hasLeft = true
            post(neighbours)
            // Other shards' sessions still ask this broker.
            guard neighbours.haveLeft || isOver else { return }
        }
        let own = broker.own
        for problem in own.shutDown(now: driver.now) { log.error("not_closed", [("path", .text(problem.path)), ("reason", .text(problem.reason))]) }
        var isDone = own.isQuiet
        if case .among(let neighbours) = broker {
            // The catalog, which vouches for all logs, is closed by its shard when the others have told it that theirs are.
            post(neighbours)
            isDone = isDone && neighbours.isSilent
        }
        // A log with an operation under way is left clean once that has ended; one that hangs does not hold the process.
        if isDone || failure != nil || isOver { state = .stopped }
    }
}
