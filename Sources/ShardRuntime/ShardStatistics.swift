import BrokerCore

extension ShardCounters {
    /// With the names under which they are shown.
    private var named: [(name: String, value: UInt64)] {
        [
            ("connections_accepted", connectionsAccepted), ("connections_refused", connectionsRefused), ("connections_closed", connectionsClosed),
            ("accept_failures", acceptFailures), ("protocol_errors", protocolErrors), ("receives", receives), ("received_bytes", bytesReceived),
            ("sends", sends), ("sent_bytes", bytesSent), ("outbox_full", outboxFull), ("receives_paused", receivesPaused),
            ("slow_peers", slowPeers), ("lanes_opened", lanesOpened), ("lanes_refused", lanesRefused), ("lane_knocks", laneKnocks),
            ("mailbox_full", mailboxFull), ("ticks", ticks),
            ("limit_connections", connections), ("limit_connections_per_address", connectionsPerAddress),
        ]
    }

    /// One shard's figures, which add up over several.
    func statistics(connections: Int) -> [Statistic] {
        named.map { Statistic(name: "needletail_\($0.name)_total", value: Double($0.value)) }
            + [Statistic(name: "needletail_connections", value: Double(connections))]
    }
}
