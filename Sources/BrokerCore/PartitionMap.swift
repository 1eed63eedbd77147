/// Which shard of the process has a partition: its log, the cursors in it, and whoever waits for it.
///
/// Asked by partition. For now all partitions of a topic have one owner, so that a subscription with its credit, an exclusive
/// consumer with those that stand by, partitioning by key and retention until acknowledged all stay on one thread; a finer rule is a
/// change of this type and of what spans partitions. The rule is arithmetic on the topic's id: nothing is stored, and every shard
/// gives the same answer. Ids are given out in order, so topics are spread evenly.
package struct PartitionMap: Equatable, Sendable {
    package let shards: Int

    package init(shards: Int = 1) {
        precondition(shards >= 1 && shards <= 256, "a session's id has eight bits for its shard")
        self.shards = shards
    }

    package func owner(of partition: PartitionID) -> Int { owner(of: partition.topic) }

    /// The owner of all partitions of a topic.
    package func owner(of topic: TopicID) -> Int {
        // The answers of a session's requests come to its own shard.
        topic.isReply ? min(topic.replyShard, shards - 1) : Int(topic.rawValue) % shards
    }
}

extension TopicID {
    private static let replyMark: UInt32 = 1 << 31
    private static let replyShardBits: UInt32 = 23
    static let replyCountMask: UInt32 = 1 << replyShardBits - 1
    static let replyPrefix = "__reply."

    /// A topic that lives as long as a session, named by its id alone and in no catalog.
    init(reply count: UInt32, on shard: Int) {
        self.init(rawValue: TopicID.replyMark | UInt32(shard) << TopicID.replyShardBits | count & TopicID.replyCountMask)
    }

    var isReply: Bool { rawValue & TopicID.replyMark != 0 }
    var replyShard: Int { Int((rawValue & ~TopicID.replyMark) >> TopicID.replyShardBits) }
    var replyName: String { TopicID.replyPrefix + String(rawValue) }

    /// The id in the name of a reply topic.
    init?(replyName name: String) {
        guard name.hasPrefix(TopicID.replyPrefix), let number = UInt32(name.dropFirst(TopicID.replyPrefix.count)) else { return nil }
        self.init(rawValue: number)
        guard isReply else { return nil }
    }
}
