internal import BrokerCore
internal import SegmentLog
internal import Wire

/// What a broker says of its own configuration under Kafka's names: what tools and clients look at, as far as there is something like
/// it here. It is read in the broker's file and nowhere else, so nothing of it can be changed by clients.
struct BrokerConfig: Sendable {
    var name: String
    var kind: ConfigKind
    var words: String
    /// Whether it is said, rather than the default, is told from what a broker without a configuration says.
    var read: @Sendable (KafkaContext) -> String?
}

enum BrokerConfigs {
    static let all: [BrokerConfig] = [
        BrokerConfig(name: "advertised.listeners", kind: .text([]), words: "Where clients are told to connect to: `advertise` of the listener.") {
            context in
            let node = context.node(context.peer.server.node)
            return "PLAINTEXT://\(node.host.contains(":") ? "[\(node.host)]" : node.host):\(node.port)"
        },
        BrokerConfig(
            name: "auto.create.topics.enable", kind: .flag, words: "Whether topics that clients ask for are made: `auto_create_topics` of the listener."
        ) { String($0.createsTopics) },
        BrokerConfig(name: "broker.id", kind: .int(0...Int64(Int32.max)), words: "The number of the shard.") { String($0.peer.server.node) },
        BrokerConfig(name: "compression.type", kind: .text([]), words: "Batches are stored as they come.") { _ in "producer" },
        BrokerConfig(name: "default.replication.factor", kind: .int(1...1), words: "There is no replication.") { _ in "1" },
        BrokerConfig(name: "delete.topic.enable", kind: .flag, words: "Topics can be deleted.") { _ in "true" },
        BrokerConfig(name: "fetch.max.bytes", kind: .int(1...Int64(Int32.max)), words: "The most that one fetch is answered with.") { _ in
            String(64 << 20)
        },
        BrokerConfig(
            name: "group.initial.rebalance.delay.ms", kind: .int(0...Int64(Int32.max)),
            words: "How long a new group waits for more members: `groups.initial_rebalance_delay`."
        ) { String($0.peer.server.groups.initialRebalanceMilliseconds) },
        BrokerConfig(
            name: "group.max.session.timeout.ms", kind: .int(0...Int64(Int32.max)),
            words: "The longest time within which members may promise to be heard of: `groups.session_timeout_max`."
        ) { String($0.peer.server.groups.sessionTimeoutMilliseconds.upperBound) },
        BrokerConfig(
            name: "group.max.size", kind: .int(1...Int64(Int32.max)), words: "How many members a group has at most: `limits.members_per_group`."
        ) { String($0.peer.limits.membersPerGroup) },
        BrokerConfig(
            name: "group.min.session.timeout.ms", kind: .int(0...Int64(Int32.max)), words: "The shortest: `groups.session_timeout_min`."
        ) { String($0.peer.server.groups.sessionTimeoutMilliseconds.lowerBound) },
        BrokerConfig(name: "inter.broker.protocol.version", kind: .text([]), words: "For tools that tell by it what they may ask for.") { _ in "3.0" },
        BrokerConfig(name: "log.cleaner.enable", kind: .flag, words: "Topics with cleanup.policy=compact are compacted.") { _ in "true" },
        BrokerConfig(name: "log.cleanup.policy", kind: .list([]), words: "What becomes of old records where a topic does not say.") { context in
            TopicConfigs["cleanup.policy"]?.standard(context.peer.server.topics)
        },
        BrokerConfig(name: "log.dirs", kind: .text([]), words: "Where everything is kept: `data`.") { $0.peer.server.directory },
        number("log.flush.interval.messages", "flush.messages"), number("log.flush.interval.ms", "flush.ms"),
        number("log.index.interval.bytes", "index.interval.bytes"),
        BrokerConfig(name: "log.message.timestamp.type", kind: .text([]), words: "Whose time stands in records: the producer's or the broker's.") {
            context in TopicConfigs["message.timestamp.type"]?.standard(context.peer.server.topics)
        },
        number("log.retention.bytes", "retention.bytes"),
        BrokerConfig(name: "log.retention.hours", kind: .int(-1...Int64(Int32.max)), words: "How long records are kept; log.retention.ms is exact.") {
            context in
            let milliseconds = context.peer.server.topics.retentionMilliseconds
            return milliseconds < 0 ? "-1" : String(milliseconds / 3_600_000)
        },
        number("log.retention.ms", "retention.ms"), number("log.roll.ms", "segment.ms"), number("log.segment.bytes", "segment.bytes"),
        BrokerConfig(name: "max.connections", kind: .int(1...Int64(Int32.max)), words: "`limits.connections`.") { String($0.peer.limits.connections) },
        BrokerConfig(name: "max.connections.per.ip", kind: .int(1...Int64(Int32.max)), words: "`limits.connections_per_address`.") {
            String($0.peer.limits.connectionsPerAddress)
        },
        number("message.max.bytes", "max.message.bytes"),
        BrokerConfig(name: "min.insync.replicas", kind: .int(1...1), words: "There is one replica.") { _ in "1" },
        BrokerConfig(name: "node.id", kind: .int(0...Int64(Int32.max)), words: "The number of the shard.") { String($0.peer.server.node) },
        BrokerConfig(
            name: "num.partitions", kind: .int(1...Int64(Int32.max)),
            words: "How many partitions a topic has whose creator leaves that to the broker: `default_partitions` of the listener."
        ) { String($0.options.defaultPartitions) },
        BrokerConfig(
            name: "offset.metadata.max.bytes", kind: .int(0...Int64(Int32.max)),
            words: "How long the note is that stands with a committed offset: `limits.offset_metadata_size`."
        ) { String($0.peer.limits.offsetMetadataBytes) },
        BrokerConfig(
            name: "offsets.retention.minutes", kind: .int(1...Int64(Int32.max)),
            words: "How long committed offsets are kept after a group's last member has left: `groups.offsets_retention`."
        ) { String($0.peer.server.groups.offsetsRetentionMilliseconds / 60_000) },
        BrokerConfig(name: "socket.request.max.bytes", kind: .int(1...Int64(Int32.max)), words: "`limits.frame_size`.") {
            String($0.peer.limits.frameBytes)
        },
        BrokerConfig(name: "unclean.leader.election.enable", kind: .flag, words: "There is one replica.") { _ in "false" },
    ]

    /// What a topic has that does not say otherwise.
    private static func number(_ name: String, _ topic: String) -> BrokerConfig {
        let config = TopicConfigs[topic]
        return BrokerConfig(name: name, kind: config?.kind ?? .text([]), words: config?.words ?? "") { config?.standard($0.peer.server.topics) }
    }

    static func describe(_ context: KafkaContext, names: [String]?) -> [ConfigDescription] {
        all.filter { names?.contains($0.name) ?? true }.map { config in
            let value = config.read(context)
            let source = ConfigSource.broker
            return ConfigDescription(
                name: config.name, value: value, source: source, isReadOnly: true, kind: config.kind.wire,
                synonyms: value.map { [ConfigDescription.Synonym(name: config.name, value: $0, source: source)] } ?? [], words: config.words)
        }
    }
}
