import BrokerCore

extension Shard {
    /// What this shard adds to the broker's own figures.
    func statistics() -> [Statistic] {
        let c = counters
        let counted: [(String, UInt64)] = [
            ("needletail_connections_accepted_total", c.connectionsAccepted),
            ("needletail_connections_refused_total", c.connectionsRefused),
            ("needletail_connections_closed_total", c.connectionsClosed),
            ("needletail_accept_failures_total", c.acceptFailures),
            ("needletail_protocol_errors_total", c.protocolErrors),
            ("needletail_receives_total", c.receives),
            ("needletail_received_bytes_total", c.bytesReceived),
            ("needletail_sends_total", c.sends),
            ("needletail_sent_bytes_total", c.bytesSent),
            ("needletail_outbox_full_total", c.outboxFull),
            ("needletail_receives_paused_total", c.receivesPaused),
            ("needletail_slow_peers_total", c.slowPeers),
            ("needletail_ticks_total", c.ticks),
        ]
        return counted.map { Statistic(name: $0.0, value: Double($0.1)) }
            + [Statistic(name: "needletail_connections", value: Double(connections.count))] + stages.statistics()
    }
}
