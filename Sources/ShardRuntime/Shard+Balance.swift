import BrokerCore
import Bytes
import Mutants

// Back-pressure: one mechanism in both directions.
extension Shard {
    /// What is received behind a frame that has to wait.
    private static let heldBytes = 64 << 10

    /// Above its mark a connection is given no more deliveries and its input is left in the peer's socket; below half of it both
    /// go on.
    func balance(_ connection: Connection) {
        guard connection.state == .open else { return }
        let pending = connection.pendingBytes
        if connection.isWritable, pending > options.limits.outboxBytes, !Mutant.isActive("deliversToWhoReadsNothing") {
            connection.isWritable = false
            counters.outboxBytes += 1
            broker.setWritable(connection.id, false)
        } else if !connection.isWritable, pending <= options.limits.outboxBytes / 2 {
            connection.isWritable = true
            broker.setWritable(connection.id, true)
        }
        // Well below the limit, so that a peer that sends without looking is slowed down before a session has to refuse it.
        let hasManyUnanswered = connection.unanswered > options.limits.unansweredRequests / 2
        let hasMuchUnanswered = connection.unansweredBytes > options.limits.unansweredBytes
        // Nothing is gained by reading more of what is not carried out yet.
        let hasMuchUnread = connection.isHeld && connection.unreadBytes > Shard.heldBytes
        let mayReceive = connection.isWritable && isRunning && !broker.isCongested && !hasMuchUnread && !hasToWait(connection)
        if connection.isReceiving, !mayReceive || hasManyUnanswered || hasMuchUnanswered {
            counters.receivesPaused += 1
            if hasManyUnanswered { counters.unansweredRequests += 1 }
            if hasMuchUnanswered { counters.unansweredBytes += 1 }
            stopReceiving(on: connection)
        } else if !connection.isReceiving, mayReceive, connection.unanswered <= options.limits.unansweredRequests / 4,
            connection.unansweredBytes <= options.limits.unansweredBytes / 2
        {
            receive(on: connection)
        }
    }

    private func receive(on connection: Connection) {
        connection.isReceiving = true
        if connection.lane == nil { driver.startReceiving(connection.socket) }
    }

    func stopReceiving(on connection: Connection) {
        guard connection.isReceiving else { return }
        connection.isReceiving = false
        // Knocks and the end are still to be heard.
        if connection.lane == nil { driver.stopReceiving(connection.socket) }
    }
}
