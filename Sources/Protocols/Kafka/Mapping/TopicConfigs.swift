internal import BrokerCore
internal import SegmentLog

/// Every setting that a topic has under Kafka's names, in the order of their names but for what must come last. CreateTopics,
/// DescribeConfigs, AlterConfigs, IncrementalAlterConfigs and the table in docs/protocols/kafka.md are made from it.
enum TopicConfigs {
    static let all: [TopicConfig] = cleaning + keeping + messages + flushing + withoutEffect + own

    static subscript(_ name: String) -> TopicConfig? { byName[name] }

    private static let byName = Dictionary(uniqueKeysWithValues: all.map { ($0.name, $0) })

    private static let never = Int64.max
    /// Kafka's `Integer.MAX_VALUE`.
    private static let int = Int64(Int32.max)
    /// Longer than this is for ever, and no sum of it and a time overflows.
    private static let longest: Int64 = 3_650 * 86_400_000

    // MARK: What becomes of old records

    private static let cleaning: [TopicConfig] = [
        cleanupPolicy,
        .number(
            "delete.retention.ms", .long(0...never), broker: "log.cleaner.delete.retention.ms",
            "How long a compacted log keeps a record without value, which says that its key is gone.",
            standard: { $0.compaction.deleteRetentionMilliseconds }, read: { $0.deleteRetentionMilliseconds },
            write: { $0.deleteRetentionMilliseconds = $1 }),
        .number(
            "min.compaction.lag.ms", .long(0...never), broker: "log.cleaner.min.compaction.lag.ms",
            "How old a record is at least before a newer one of its key replaces it.",
            standard: { $0.compaction.minLagMilliseconds }, read: { $0.minCompactionLagMilliseconds },
            write: { $0.minCompactionLagMilliseconds = $1 }),
        .number(
            "max.compaction.lag.ms", .long(1...never), broker: "log.cleaner.max.compaction.lag.ms",
            "How old a record grows at most before the log is compacted, however little there is to gain.",
            standard: { $0.compaction.maxLagMilliseconds }, read: { $0.maxCompactionLagMilliseconds },
            write: { $0.maxCompactionLagMilliseconds = $1 }),
        TopicConfig(
            name: "min.cleanable.dirty.ratio", kind: .ratio, treatment: .honoured, brokerName: "log.cleaner.min.cleanable.ratio",
            words: "Which share of a compacted log is new before it is compacted again.", standard: { String($0.compaction.minDirtyRatio) },
            read: { $0.minCleanableDirtyRatio.map { String($0) } },
            write: { (options, value, _) throws(ConfigRefusal) in options.minCleanableDirtyRatio = value.flatMap { Double($0) } }),
    ]

    /// Written as Kafka writes it, in either order.
    private static let cleanupPolicy = TopicConfig(
        name: "cleanup.policy", kind: .list(["compact", "delete"]), treatment: .honoured, brokerName: "log.cleanup.policy",
        words: "Whether old segments are deleted, records replaced by newer ones of their key (compact), or both.",
        standard: { text($0.cleanup) }, read: { $0.cleanup.map { text($0) } },
        write: { (options, value, _) throws(ConfigRefusal) in
            guard let value else { return options.cleanup = nil }
            let words = ConfigKind.words(of: value)
            switch (words.contains("delete"), words.contains("compact")) {
            case (true, true): options.cleanup = .both
            case (true, false): options.cleanup = .delete
            case (false, true): options.cleanup = .compact
            case (false, false): throw ConfigRefusal("Invalid value  for configuration cleanup.policy: One of delete and compact is needed")
            }
        })

    private static func text(_ cleanup: Cleanup) -> String {
        switch cleanup {
        case .delete: "delete"
        case .compact: "compact"
        case .both: "compact,delete"
        }
    }

    // MARK: How much is kept, in what files

    private static let keeping: [TopicConfig] = [
        .number(
            "retention.ms", .long(-1...never), broker: "log.retention.ms", "How long records are kept; -1: for ever.",
            standard: { $0.retentionMilliseconds }, read: { $0.retentionMilliseconds }, write: { $0.retentionMilliseconds = $1.map { min($0, longest) } }),
        .number(
            "retention.bytes", .long(Int64.min...never), broker: "log.retention.bytes", "How much of a partition is kept; below 0: everything.",
            standard: { $0.retentionBytes }, read: { $0.retentionBytes }, write: { $0.retentionBytes = $1.map { max($0, -1) } }),
        .number(
            "segment.bytes", .int(14...int), broker: "log.segment.bytes",
            "How large one file of a log grows; less than 4096 is taken as 4096.", standard: { Int64($0.segmentBytes) },
            read: { $0.segmentBytes.map { Int64($0) } }, write: { $0.segmentBytes = $1.map { Int(max($0, 4_096)) } }),
        .number(
            "segment.ms", .long(1...never), broker: "log.roll.ms", "How old one file of a log grows, so that retention by age can act.",
            standard: { $0.segmentMilliseconds }, read: { $0.segmentMilliseconds }, write: { $0.segmentMilliseconds = $1.map { min($0, longest) } }),
    ]

    // MARK: What is taken

    private static let messages: [TopicConfig] = [
        .number(
            "max.message.bytes", .int(1...int), broker: "message.max.bytes", "The largest record batch.", standard: { Int64($0.maxMessageBytes) },
            read: { $0.maxMessageBytes.map { Int64($0) } }, write: { $0.maxMessageBytes = $1.map { Int($0) } }),
        .choice(
            "message.timestamp.type", .text(["CreateTime", "LogAppendTime"]), among: [("CreateTime", TimestampType.create), ("LogAppendTime", .append)],
            broker: "log.message.timestamp.type", "Whose time stands in the records: the producer's or the broker's.",
            standard: { $0.timestampType }, read: { $0.timestampType }, write: { $0.timestampType = $1 }),
        .number(
            "message.timestamp.before.max.ms", .long(0...never), broker: "log.message.timestamp.before.max.ms",
            "How far a producer's time may lie before the broker's.", standard: { $0.timestampBeforeMaxMilliseconds },
            read: { $0.timestampBeforeMaxMilliseconds }, write: { $0.timestampBeforeMaxMilliseconds = $1 }),
        .number(
            "message.timestamp.after.max.ms", .long(0...never), broker: "log.message.timestamp.after.max.ms",
            "How far a producer's time may lie after the broker's.", standard: { $0.timestampAfterMaxMilliseconds },
            read: { $0.timestampAfterMaxMilliseconds }, write: { $0.timestampAfterMaxMilliseconds = $1 }),
        TopicConfig(
            name: "min.insync.replicas", kind: .int(1...int),
            treatment: .kept("There is one replica, which is always in sync; more than one in sync cannot be had."), brokerName: "min.insync.replicas",
            words: "How many replicas an acknowledgement of acks=all waits for.", standard: { _ in "1" },
            read: { $0.minInsyncReplicas.map { String($0) } },
            write: { (options, value, _) throws(ConfigRefusal) in options.minInsyncReplicas = value.flatMap { Int32($0) } }),
        .fixed(
            "compression.type", .text(["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]), "producer", broker: "compression.type",
            "Batches are stored as the producer compressed them.",
            because: "batches are stored and sent untouched; choose the compression in the producer"),
    ]

    // MARK: When records are on the disk

    // Kafka's defaults leave that to the kernel, since replicas hold what a machine loses. There are none here: the broker's own
    // default is a flush before each acknowledgement, and Kafka's words can only ask for more than the broker does, never for less.
    // Less is asked for by `needletail.durability`, which is the last word.

    private static let flushing: [TopicConfig] = [
        TopicConfig(
            name: "flush.messages", kind: .long(1...never), treatment: .honoured, brokerName: "log.flush.interval.messages",
            words: "After how many records the log is flushed. Any number makes that before every acknowledgement (durability group); "
                + "none weakens the topic's durability.",
            standard: { $0.durability.waitsForFlush ? "1" : String(never) },
            read: { $0.annotations["flush.messages"] ?? $0.durability.map { $0.waitsForFlush ? "1" : String(never) } },
            write: { (options, value, log) throws(ConfigRefusal) in
                guard let value else {
                    if options.annotations.removeValue(forKey: "flush.messages") != nil { options.durability = nil }
                    return
                }
                options.annotations["flush.messages"] = value
                if value != String(never), !(options.durability ?? log.durability).waitsForFlush { options.durability = .group }
            }),
        TopicConfig(
            name: "flush.ms", kind: .long(0...never), treatment: .honoured, brokerName: "log.flush.interval.ms",
            words: "How often a log is flushed under the durability interval, which it makes of none; stronger ones flush at every acknowledgement.",
            standard: { $0.durability == .interval ? String($0.flushIntervalMilliseconds) : String(never) },
            read: { $0.flushIntervalMilliseconds.map { String($0) } },
            write: { (options, value, log) throws(ConfigRefusal) in
                let interval = value.flatMap { Int64($0) }.flatMap { $0 > longest ? nil : max($0, 1) }
                options.flushIntervalMilliseconds = interval
                if interval != nil, options.durability ?? log.durability == .none { options.durability = .interval }
            }),
    ]

    // MARK: What has no effect here

    private static let withoutEffect: [TopicConfig] = [
        .kept(
            "compression.gzip.level", .int(-1...9), "-1", broker: "compression.gzip.level", "How hard the broker compresses by gzip.",
            because: "The broker compresses nothing."),
        .kept(
            "compression.lz4.level", .int(1...17), "9", broker: "compression.lz4.level", "How hard the broker compresses by lz4.",
            because: "The broker compresses nothing."),
        .kept(
            "compression.zstd.level", .int(-131_072...22), "3", broker: "compression.zstd.level", "How hard the broker compresses by zstd.",
            because: "The broker compresses nothing."),
        .kept(
            "file.delete.delay.ms", .long(0...never), "0", broker: "log.segment.delete.delay.ms", "How long the files of a deleted segment stay.",
            because: "Files go once nothing reads them and the checkpoint no longer knows them."),
        .kept(
            "follower.replication.throttled.replicas", .list([]), "", "Replicas that take less than they could.", because: "There is no replication."),
        .kept(
            "leader.replication.throttled.replicas", .list([]), "", "Replicas that are given less than they could take.",
            because: "There is no replication."),
        TopicConfig(
            name: "index.interval.bytes", kind: .int(0...int), treatment: .kept("One interval holds for all topics: topics.index_interval."),
            brokerName: "log.index.interval.bytes", words: "How many bytes of a log lie between two entries of its index.",
            standard: { String($0.indexIntervalBytes) }, read: { $0.annotations["index.interval.bytes"] },
            write: { (options, value, _) throws(ConfigRefusal) in options.annotations["index.interval.bytes"] = value }),
        .kept(
            "segment.index.bytes", .int(4...int), "10485760", broker: "log.index.size.max.bytes", "How large the index of a segment grows.",
            because: "An index is as large as its segment needs."),
        .kept(
            "segment.jitter.ms", .long(0...never), "0", broker: "log.roll.jitter.ms", "How much earlier a segment may be rolled, at random.",
            because: "Rolling a segment costs too little to be spread."),
        .kept(
            "preallocate", .flag, "false", broker: "log.preallocate", "Whether a segment's file has its full size from the beginning.",
            because: "Segments are prepared ahead where that pays, and only there."),
        .kept(
            "unclean.leader.election.enable", .flag, "false", broker: "unclean.leader.election.enable",
            "Whether a replica that is behind may become the leader.", because: "There is one replica."),
        .fixed(
            "remote.storage.enable", .flag, "false", "Whether old segments move to a remote store.", because: "there is no tiered storage"),
        .kept("remote.log.copy.disable", .flag, "false", "Whether nothing new is moved to a remote store.", because: "There is no tiered storage."),
        .kept(
            "remote.log.delete.on.disable", .flag, "false", "Whether the remote part goes when tiering is ended.", because: "There is no tiered storage."),
        .kept(
            "local.retention.ms", .long(-2...never), "-2", broker: "log.local.retention.ms", "How long records stay here that are also in a remote store.",
            because: "There is no tiered storage."),
        .kept(
            "local.retention.bytes", .long(-2...never), "-2", broker: "log.local.retention.bytes",
            "How much of a partition stays here that is also in a remote store.", because: "There is no tiered storage."),
        .kept(
            "message.format.version", .text([]), "3.0", broker: "log.message.format.version", isFormer: true, "Which message format is stored.",
            because: "It is always format 2; what older clients say is shown to them."),
        .kept(
            "message.downconversion.enable", .flag, "false", broker: "log.message.downconversion.enable", isFormer: true,
            "Whether batches are converted for old consumers.", because: "Fetch versions that would need it are not offered."),
        .kept(
            "message.timestamp.difference.max.ms", .long(0...never), String(never), broker: "log.message.timestamp.difference.max.ms", isFormer: true,
            "How far a producer's time may lie from the broker's.", because: "Kafka 4 has message.timestamp.before.max.ms and after.max.ms in its place."),
    ]

    // MARK: Our own

    private static let own: [TopicConfig] = [
        TopicConfig(
            name: "needletail.durability", kind: .text(Durability.names.map(\.name)), treatment: .honoured, brokerName: nil,
            words: "What an acknowledgement means: none, interval, group or each (docs/durability.md). It overrules flush.messages.",
            standard: { name($0.durability) }, read: { $0.durability.map { name($0) } },
            write: { (options, value, _) throws(ConfigRefusal) in
                options.durability = Durability.names.first { $0.name == value }?.value
                options.annotations["flush.messages"] = nil
            }),
        TopicConfig(
            name: "needletail.storage", kind: .text(["disk", "memory"]), treatment: .honoured, brokerName: nil,
            words: "Whether the topic is on the disk, or in memory and gone with the broker. It is chosen when the topic is created.",
            isForCreation: true, standard: { _ in "disk" }, read: { $0.storage == .memory ? "memory" : nil },
            write: { (options, value, _) throws(ConfigRefusal) in options.storage = value == "memory" ? .memory : .disk }),
    ]

    private static func name(_ durability: Durability) -> String { Durability.names.first { $0.value == durability }?.name ?? "" }
}
