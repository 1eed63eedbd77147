import Containers
import SegmentLog
import Wire

// Bytes out, at the end of the tick: what was said to connections goes to the driver, or into their lanes.
extension Shard {
    /// It is to be sent to at the end of the tick.
    func list(_ connection: Connection) {
        guard !connection.isListed else { return }
        connection.isListed = true
        senders.append(connection)
    }

    /// Sends what there is for those that something was said to.
    func sendAll(_ now: Now) {
        guard !senders.isEmpty else { return }
        // Some may be listed again from in here, for the next tick.
        swap(&senders, &sending)
        // The last listed are those with deliveries, which somebody waits for; acknowledgements wake the other side after them.
        while let connection = sending.popLast() {
            connection.isListed = false
            counters.bytesSent += UInt64(connection.isSending ? 0 : connection.output.pendingBytes)
            if connection.send(by: driver, at: now.instant) { noteSent(connection, now.instant) }
            if let lane = connection.lane, connection.isSending { pushLane(connection, lane) }
            let couldWrite = connection.isWritable
            afterSending(connection, now)
            // Behind this tick's dispatching: who may be given more now waits for the next.
            if connection.isWritable, !couldWrite { owesTick = true }
        }
        if !senders.isEmpty { owesTick = true }
    }

    package func sent(_ socket: SocketID) {
        guard let connection = connections[socket] else { return }
        noteSent(connection, driver.now.instant)
        afterSending(connection, driver.now)
    }

    /// All that it was given has left.
    func noteSent(_ connection: Connection, _ now: Instant) {
        wasBusy = true
        connection.sent()
        connection.lastActive = now
        counters.sends += 1
    }

    func afterSending(_ connection: Connection, _ now: Now) {
        hold(connection)
        if !connection.isSending, connection.output.pendingBytes > 0 { list(connection) }
        if connection.output.laneRequest != nil { answerLaneRequest(of: connection) }
        resume(connection, now)
        closeIfDrained(connection)
    }

    func closeIfDrained(_ connection: Connection) {
        if connection.state == .draining, connection.isDrained { abort(connection) }
    }
}
