/// Every bound of the broker, by name. Reaching one is an outcome with a counter of the same name, never an accident.
package struct Limits: Sendable, Equatable {
    /// What the process holds for its peers; nil: three fifths of what the machine or its control group has.
    package var memoryBytes: Int?
    package var connections = 20_000
    /// Of one host. Below `connections`, so that no host has them all; loopback counts like any other.
    package var connectionsPerAddress = 15_000
    /// Of one shard, that have not said hello; the oldest goes when another comes.
    package var handshakes = 4_096
    /// Bytes of one frame of any protocol, head included.
    package var frameBytes = 64 << 20
    /// Bytes buffered for a session that has not said hello.
    package var handshakeBytes = 64 << 10
    package var handshakeMilliseconds = 10_000
    /// Connections of one shard that go on through shared memory.
    package var lanes = 64
    /// Of one ring of a lane; it has two.
    package var laneBytes = 8 << 20
    /// Within it a frame that has begun is whole, or `frameProgressBytes` longer.
    package var frameMilliseconds = 30_000
    package static let frameProgressBytes = 64 << 10
    /// Of one shard, received and not yet read by sessions: parts of frames, and frames behind others that are under way.
    package var inputBytes = 512 << 20
    /// Above it no more deliveries are given to a session until it has read.
    package var outboxBytes = 8 << 20
    /// A peer that takes nothing for so long while bytes wait for it is disconnected.
    package var writeMilliseconds = 10_000
    /// Publishes of one session that are not yet answered.
    package var unansweredRequests = 65_536
    /// The bytes that they came in.
    package var unansweredBytes = 32 << 20
    /// Unanswered requests of one session for lists of everything, whose answers are large.
    package var listingsPerSession = 16
    /// Unanswered requests of one session for one thing's description.
    package var descriptionsPerSession = 1_024
    package var consumersPerSession = 1_024
    /// Deliveries of one consumer that are not yet settled.
    package var unsettledPerConsumer = 1_000_000
    /// Partitions of fetches that wait, over all sessions.
    package var parkedFetches = 65_536
    package var topics = 20_000
    package var partitions = 100_000
    package var partitionsPerTopic = 1_024
    /// Settings without effect that one topic keeps.
    package var annotations = 128
    /// Memory for the keys of the one log that a shard compacts at a time; where more keys are new, a part of the log is compacted.
    package var compactionBytes = 32 << 20
    /// How fast compaction reads and writes.
    package var compactionBytesPerSecond = 64 << 20
    package var exchanges = 10_000
    package var bindings = 100_000
    package var subscriptions = 100_000
    package var producers = 100_000
    package var groups = 10_000
    package var membersPerGroup = 1_000
    /// Of what a member says of itself when it joins, and of what it is assigned.
    package var memberBytes = 1 << 20
    package var offsetsPerGroup = 100_000
    /// Of the text that is kept with a committed offset.
    package var offsetMetadataBytes = 4_096
    /// Of all groups together, with members and offsets.
    package var groupBytes = 256 << 20
    package var nameBytes = 249
    package var routingKeyBytes = 255
    package var routeDepth = 16
    /// Ranges that one cursor keeps above its floor; then nothing new is delivered until some holes are filled.
    package var settledRanges = 65_536
    /// Old unsettled records that one cursor keeps aside, so that their segments can go.
    package var setAside = 16_384

    package init() {}
}
