internal import Bytes
internal import SegmentLog

/// Where a group will go on in one partition.
struct CommittedOffset: Equatable {
    var offset: Int64
    var leaderEpoch: Int32
    var metadata: String
    var time: Timestamp
    /// Which topic of that name it is about; nil: nobody has noted that.
    var topic: TopicID?

    var bytes: Int { 96 + metadata.utf8.count }
}

extension ConsumerGroup {
    private static func topicBytes(_ name: String) -> Int { 128 + name.utf8.count }

    /// How much more memory a commit would take, at most.
    static func size(_ topics: [TopicOffsets]) -> Int {
        topics.reduce(0) { $1.partitions.reduce($0 + topicBytes($1.name)) { $0 + 96 + $1.metadata.utf8.count } }
    }

    func offset(_ topic: String, _ partition: Int32) -> CommittedOffset? { offsets[topic]?[partition] }

    func commit(_ topic: String, _ partition: Int32, _ offset: CommittedOffset) {
        if offsets[topic] == nil { bytes += ConsumerGroup.topicBytes(topic) }
        if let old = offsets[topic, default: [:]].updateValue(offset, forKey: partition) {
            bytes -= old.bytes
        } else {
            offsetCount += 1
        }
        bytes += offset.bytes
    }

    @discardableResult func forget(_ topic: String, _ partition: Int32) -> Bool {
        guard let old = offsets[topic]?.removeValue(forKey: partition) else { return false }
        bytes -= old.bytes
        offsetCount -= 1
        if offsets[topic]?.isEmpty == true {
            offsets[topic] = nil
            bytes -= ConsumerGroup.topicBytes(topic)
        }
        return true
    }

    /// Answers how many offsets it had of the topic.
    @discardableResult func forget(_ topic: String) -> Int {
        guard let partitions = offsets[topic] else { return 0 }
        for partition in partitions.keys { forget(topic, partition) }
        return partitions.count
    }

    /// What is committed: of these partitions, with -1 where nothing is, or everything.
    func fetch(_ topics: [TopicPartitions]?) -> [TopicOffsets] {
        let asked = topics ?? offsets.keys.sorted().map { TopicPartitions(name: $0, partitions: (offsets[$0]?.keys).map { $0.sorted() } ?? []) }
        return asked.map { topic in
            let committed = offsets[topic.name]
            return TopicOffsets(
                name: topic.name,
                partitions: topic.partitions.map { partition in
                    guard let found = committed?[partition] else { return PartitionOffset(partition: partition, offset: -1, leaderEpoch: -1, metadata: "") }
                    return PartitionOffset(partition: partition, offset: found.offset, leaderEpoch: found.leaderEpoch, metadata: found.metadata)
                })
        }
    }

    /// Whether the members read this topic, as far as they can be understood.
    func isSubscribed(to topic: String) -> Bool { subscribedTopics?.contains(topic) ?? true }

    /// The topics that members of the type `consumer` ask for; nil: nobody can tell.
    private var subscribedTopics: Set<String>? {
        if members.isEmpty { return [] }
        guard protocolType == "consumer", let protocolName else { return nil }
        var found: Set<String> = []
        for member in members.values {
            guard let topics = ConsumerGroup.topics(ofSubscription: member.metadata(protocolName)) else { return nil }
            found.formUnion(topics)
        }
        return found
    }

    /// What Kafka's consumers put first into their metadata: version i16, count i32, then names with an i16 length.
    static func topics(ofSubscription metadata: [UInt8]) -> [String]? {
        var reader = ByteReader(metadata.rawSpan)
        do throws(ByteError) {
            guard try reader.big(Int16.self) >= 0 else { return nil }
            let count = Int(try reader.big(Int32.self))
            guard count >= 0, count <= reader.remaining / 2 else { return nil }
            var topics: [String] = []
            for _ in 0..<count { topics.append(try reader.text(Int(try reader.big(Int16.self)))) }
            return topics
        } catch { return nil }
    }

    /// What nobody has come back for in `options.offsetsRetentionMilliseconds`; taken out already.
    func takeExpired(_ now: Now) -> [TopicPartitions] {
        let age = options.offsetsRetentionMilliseconds
        guard offsetCount > 0, now.instant >= nextExpiry else { return [] }
        // So often that nothing is kept much longer than it is to be; it takes a look at each offset.
        nextExpiry = now.instant.advanced(byNanoseconds: UInt64(min(600_000, max(1_000, age / 10))) * 1_000_000)
        let limit = now.time.rawValue &- age
        switch state {
        case .empty: if protocolType != nil, emptySince.rawValue > limit { return [] }
        // Members may still read what they subscribe to; the rest is as if it were nobody's.
        case .stable: if protocolType != "consumer" { return [] }
        case .preparingRebalance, .completingRebalance, .dead: return []
        }
        guard let subscribed = subscribedTopics else { return [] }
        var expired: [TopicPartitions] = []
        for topic in offsets.keys.sorted() where !subscribed.contains(topic) {
            let old = (offsets[topic] ?? [:]).filter { $0.value.time.rawValue <= limit }.keys.sorted()
            guard !old.isEmpty else { continue }
            for partition in old { forget(topic, partition) }
            expired.append(TopicPartitions(name: topic, partitions: old))
        }
        return expired
    }
}
