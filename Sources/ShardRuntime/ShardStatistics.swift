import BrokerCore

extension ShardCounters {
    /// With the names under which they are shown.
    var named: [(name: String, value: UInt64)] {
        [
            ("connections_accepted", connectionsAccepted), ("connections_refused", connectionsRefused), ("connections_closed", connectionsClosed),
            ("accept_failures", acceptFailures), ("protocol_errors", protocolErrors), ("receives", receives), ("received_bytes", bytesReceived),
            ("sends", sends), ("sent_bytes", bytesSent), ("outbox_full", outboxFull), ("receives_paused", receivesPaused),
            ("slow_peers", slowPeers), ("mailbox_full", mailboxFull), ("ticks", ticks),
        ]
    }
}

extension ShardFigures {
    /// The sums over `shards`.
    static func statistics(_ shards: [ShardFigures]) -> [Statistic] {
        var sums = ShardCounters().named
        for shard in shards {
            for (index, counter) in shard.counters.named.enumerated() { sums[index].value &+= counter.value }
        }
        let connections = shards.reduce(0) { $0 + $1.connections }
        return sums.map { Statistic(name: "needletail_\($0.name)_total", value: Double($0.value)) }
            + [Statistic(name: "needletail_connections", value: Double(connections)), Statistic(name: "needletail_shards", value: Double(shards.count))]
            + TickHistograms.statistics(shards.map(\.stages))
    }
}
