package import Wire

/// What a shard counts; plain integers of its own thread.
package struct ShardCounters: Sendable, Equatable {
    package var connectionsAccepted: UInt64 = 0
    package var connectionsRefused: UInt64 = 0
    package var connectionsClosed: UInt64 = 0
    package var acceptFailures: UInt64 = 0
    package var protocolErrors: UInt64 = 0
    package var receives: UInt64 = 0
    package var bytesReceived: UInt64 = 0
    package var sends: UInt64 = 0
    package var bytesSent: UInt64 = 0
    package var receivesPaused: UInt64 = 0
    package var longRequestsPostponed: UInt64 = 0
    package var lanesOpened: UInt64 = 0
    package var lanesRefused: UInt64 = 0
    /// A client in shared memory found the shard asleep.
    package var laneKnocks: UInt64 = 0
    /// A mailbox between shards was full: what was to go stayed where it was.
    package var mailboxFull: UInt64 = 0
    package var ticks: UInt64 = 0

    // How often limits were reached, by their names.
    package var connections: UInt64 = 0
    package var connectionsPerAddress: UInt64 = 0
    package var handshakes: UInt64 = 0
    package var lanes: UInt64 = 0
    package var laneBytes: UInt64 = 0
    package var frameTimeouts: UInt64 = 0
    package var inputBytes: UInt64 = 0
    package var outboxBytes: UInt64 = 0
    package var writeTimeouts: UInt64 = 0
    package var unansweredRequests: UInt64 = 0
    package var unansweredBytes: UInt64 = 0
    package var sessions: [SessionLimit: UInt64] = [:]
}
