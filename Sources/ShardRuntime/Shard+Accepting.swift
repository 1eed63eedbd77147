import BrokerCore
import Observability
import SegmentLog
import Wire

// Connections come, as many as the limits admit.
extension Shard {
    package func accepted(_ socket: SocketID, from address: PeerAddress, at reached: ListenAddress, on listener: ListenerID) {
        wasBusy = true
        let now = driver.now
        guard isRunning else { return driver.close(socket) }
        switch connectionCount.enter(from: address.host, options.limits) {
        case .admitted: break
        case .tooMany:
            counters.connections += 1
            return refuse(socket, from: address, "connections", options.limits.connections)
        case .tooManyFromHost:
            counters.connectionsPerAddress += 1
            return refuse(socket, from: address, "connections_per_address", options.limits.connectionsPerAddress)
        }
        let peer = Peer(address: address.name, isLocal: address.isLocal, reached: reached.endpoint, limits: options.limits, server: server)
        let session = protocols[Int(listener.rawValue)].makeSession(peer)
        let connection = Connection(socket: socket, on: number, peer: peer, host: address.host, session: session, now: now.instant)
        connections.insert(connection)
        admit(connection)
        counters.connectionsAccepted += 1
        broker.open(connection.id)
        balance(connection)
    }

    /// Without a word: whoever speaks first in this protocol, it is the peer.
    private func refuse(_ socket: SocketID, from address: PeerAddress, _ limit: StaticString, _ value: Int) {
        counters.connectionsRefused += 1
        log.warn("connection_refused", [("peer", .text(address.name)), ("limit", .text(limit.description)), ("value", .init(value))])
        driver.close(socket)
    }

    package func acceptFailed(_ listener: ListenerID, _ reason: String) {
        wasBusy = true
        counters.acceptFailures += 1
        log.error("accept_failed", [("reason", .text(reason)), ("retry_after_ms", 1_000)])
        sweep.resume(listener, after: driver.now.instant)
    }
}
