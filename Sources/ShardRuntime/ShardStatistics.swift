import BrokerCore
import Wire

extension ShardCounters {
    /// With the names under which they are shown.
    private var named: [(name: String, value: UInt64)] {
        [
            ("connections_accepted", connectionsAccepted), ("connections_refused", connectionsRefused), ("connections_closed", connectionsClosed),
            ("accept_failures", acceptFailures), ("protocol_errors", protocolErrors), ("receives", receives), ("received_bytes", bytesReceived),
            ("sends", sends), ("sent_bytes", bytesSent), ("receives_paused", receivesPaused), ("long_requests_postponed", longRequestsPostponed),
            ("lanes_opened", lanesOpened), ("lanes_refused", lanesRefused), ("lane_knocks", laneKnocks),
            ("mailbox_full", mailboxFull), ("ticks", ticks),
        ]
    }

    /// How often limits were reached, by their keys.
    private var limits: [(name: String, value: UInt64)] {
        [
            ("connections", connections), ("connections_per_address", connectionsPerAddress), ("handshakes", handshakes),
            ("lanes", lanes), ("lane_size", laneBytes),
            ("frame_timeout", frameTimeouts), ("input_memory", inputBytes), ("outbox_size", outboxBytes), ("write_timeout", writeTimeouts),
            ("unanswered_requests", unansweredRequests), ("unanswered_size", unansweredBytes),
        ] + SessionLimit.allCases.map { ($0.rawValue, sessions[$0, default: 0]) }
    }

    /// One shard's figures, which add up over several.
    func statistics(connections: Int, memory: Int) -> [Statistic] {
        (named + limits.map { ("limit_\($0.name)", $0.value) }).map { Statistic(name: "needletail_\($0.name)_total", value: Double($0.value)) }
            + [Statistic(name: "needletail_connections", value: Double(connections)), Statistic(name: "needletail_memory_bytes", value: Double(memory))]
    }
}
