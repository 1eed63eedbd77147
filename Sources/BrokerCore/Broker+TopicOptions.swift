internal import Containers
internal import SegmentLog

// What topics may be told, and telling a living one.
extension Broker {
    /// The owner knows what waits in a topic, and looks whether there is room; the authority changes it.
    func alterTopic(_ name: String, _ change: TopicChange, _ id: RequestID, _ session: Session) throws(BrokerError) {
        let topic = try topic(named: name)
        let wanted = topic.options.applying(change)
        guard wanted.partitions >= topic.options.partitions else {
            throw BrokerError(.invalidRequest, "'\(name)' has \(topic.options.partitions) partitions, and they never become fewer")
        }
        try check(wanted)
        let more = wanted.partitions - topic.options.partitions
        try check(morePartitions: more)
        let lanes = Int(more) * (topic.subscriptions.count + topic.transient.count)
        if lanes > 0 { try checkPlaces(for: lanes * Lane.bytes) }
        guard isAuthority || !topic.isPersistent else {
            lanesComing += lanes
            return ask(0, .alterTopic(name: name, change), RawSpan(), .describe(session.id, id, topic: name, lanes: lanes))
        }
        partitionCount += Int(more)
        topic.options = wanted
        addPartitions(topic)
        applyOptions(of: topic)
        if topic.isPersistent { record([.topic(id: topic.id, name: topic.name, options: topic.options)]) }
        respondWhenDurable(session, id, .topics([describe(topic)]))
    }

    /// Open logs learn what has changed.
    func applyOptions(of topic: Topic) {
        for partition in topic.partitions {
            guard let log = partition.log else { continue }
            log.options = logOptions(topic)
            // Who was promised a flush gets it, also where the log does not flush by itself any more.
            if !partition.waits.untilFlushed.isEmpty { log.requestFlush(through: log.watermarks.end) }
            touch(partition)
        }
    }

    /// Makes the partitions that the options name and that are not there yet, with a lane for every subscription; on the topic's own shard.
    func addPartitions(_ topic: Topic) {
        guard isHere(topic) else { return }
        while topic.partitions.count < Int(topic.options.partitions) {
            let index = Int32(topic.partitions.count)
            let partition = Partition(
                id: PartitionID(topic: topic.id, index: index), number: nextLog,
                directory: "\(options.directory)/logs/\(topic.id.rawValue)-\(index)", isMemory: topic.options.storage == .memory)
            nextLog += 1
            partitions[partition.number] = partition
            topic.partitions.append(partition)
            // Whoever subscribed before reads a new partition from its start: everything in it came later.
            for subscription in topic.sortedSubscriptions + topic.transient {
                let lane = Lane(subscription: subscription, partition: partition, cursor: Cursor(at: .zero))
                subscription.lanes.append(lane)
                partition.lanes.append(lane)
                laneCount += 1
            }
        }
    }

    func check(_ wanted: TopicOptions) throws(BrokerError) {
        guard wanted.partitions >= 1 else { throw BrokerError(.invalidRequest, "a topic has at least one partition") }
        guard wanted.partitions <= Int32(options.limits.partitionsPerTopic) else {
            counters.partitionsPerTopic &+= 1
            throw BrokerError(.limitReached, "a topic has at most \(options.limits.partitionsPerTopic) partitions")
        }
        if wanted.isQueue, wanted.partitions > 1 { throw BrokerError(.invalidRequest, "a queue has one partition") }
        if let bytes = wanted.segmentBytes, bytes < 4_096 || bytes > Int(Int32.max) {
            throw BrokerError(.invalidRequest, "segments have 4 KiB to 2 GiB, not \(bytes) bytes")
        }
        if let bytes = wanted.maxMessageBytes, bytes < 1 || bytes > options.limits.frameBytes {
            throw BrokerError(.invalidRequest, "messages have 1 to \(options.limits.frameBytes) bytes, not \(bytes)")
        }
        if let ratio = wanted.minCleanableDirtyRatio, !(ratio >= 0 && ratio <= 1) {
            throw BrokerError(.invalidRequest, "a share lies between 0 and 1, not at \(ratio)")
        }
        if wanted.cleanup?.compacts == true {
            if wanted.isQueue || wanted.untilAcknowledged { throw BrokerError(.invalidRequest, "what is kept until it is acknowledged is not compacted") }
            if wanted.storage == .memory { throw BrokerError(.invalidRequest, "topics in memory are not compacted") }
        }
        try check(annotations: wanted.annotations)
        if let name = wanted.subscription.deadLetterTopic { try validate(name) }
    }

    func check(morePartitions count: Int32) throws(BrokerError) {
        guard count > 0, partitionCount + Int(count) > options.limits.partitions else { return }
        counters.partitions &+= 1
        throw BrokerError(.limitReached, "there are \(partitionCount) partitions")
    }

    private func check(annotations: [String: String]) throws(BrokerError) {
        guard annotations.count <= options.limits.annotations else {
            counters.annotations &+= 1
            throw BrokerError(.limitReached, "a topic keeps at most \(options.limits.annotations) settings without effect")
        }
        let most = TopicOptions.annotationBytesMax
        if let long = annotations.first(where: { $0.key.utf8.count + $0.value.utf8.count > most }) {
            throw BrokerError(.invalidRequest, "the setting '\(long.key.prefix(249))' is longer than \(most) bytes")
        }
    }
}
