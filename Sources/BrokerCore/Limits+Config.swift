package import ConfigFile

/// The section `limits` of the configuration: one key for each bound.
extension Limits {
    package init(_ options: ConfigSection) throws(ConfigError) {
        self.init()
        func count(_ key: String, _ value: inout Int, most: Int) { value = options.integer(key, default: value, in: 1...most) }
        func size(_ key: String, _ value: inout Int, least: ByteCount, most: ByteCount) {
            value = options.size(key, default: ByteCount(bytes: value), in: least...most).bytes
        }
        func time(_ key: String, _ value: inout Int) {
            value = Int(options.duration(key, default: .milliseconds(value), in: .milliseconds(10) ... .seconds(3_600)).milliseconds)
        }
        memoryBytes = options.size("memory", default: nil, in: .mebibytes(16)...(.gibibytes(16_384)), or: "auto")?.bytes
        count("connections", &connections, most: 10_000_000)
        count("connections_per_address", &connectionsPerAddress, most: 10_000_000)
        count("handshakes", &handshakes, most: 10_000_000)
        size("frame_size", &frameBytes, least: .kibibytes(64), most: .gibibytes(1))
        size("handshake_size", &handshakeBytes, least: .kibibytes(1), most: .mebibytes(16))
        time("handshake_timeout", &handshakeMilliseconds)
        count("lanes", &lanes, most: 10_000)
        size("lane_size", &laneBytes, least: .kibibytes(64), most: .mebibytes(64))
        time("frame_timeout", &frameMilliseconds)
        size("input_memory", &inputBytes, least: .kibibytes(64), most: .gibibytes(1_024))
        size("outbox_size", &outboxBytes, least: .kibibytes(64), most: .gibibytes(4))
        time("write_timeout", &writeMilliseconds)
        count("unanswered_requests", &unansweredRequests, most: 100_000_000)
        size("unanswered_size", &unansweredBytes, least: .kibibytes(64), most: .gibibytes(4))
        count("listings_per_session", &listingsPerSession, most: 100_000)
        count("descriptions_per_session", &descriptionsPerSession, most: 1_000_000)
        count("consumers_per_session", &consumersPerSession, most: 1_000_000)
        count("unsettled_per_consumer", &unsettledPerConsumer, most: 100_000_000)
        count("parked_fetches", &parkedFetches, most: 10_000_000)
        count("topics", &topics, most: 10_000_000)
        count("partitions", &partitions, most: 100_000_000)
        count("partitions_per_topic", &partitionsPerTopic, most: 100_000)
        count("annotations", &annotations, most: 10_000)
        size("compaction_memory", &compactionBytes, least: .kibibytes(64), most: .gibibytes(16))
        size("compaction_rate", &compactionBytesPerSecond, least: .kibibytes(64), most: .gibibytes(1_024))
        count("exchanges", &exchanges, most: 10_000_000)
        count("bindings", &bindings, most: 100_000_000)
        count("subscriptions", &subscriptions, most: 100_000_000)
        count("producers", &producers, most: 100_000_000)
        count("groups", &groups, most: 10_000_000)
        count("members_per_group", &membersPerGroup, most: 100_000)
        size("member_size", &memberBytes, least: .kibibytes(1), most: .mebibytes(64))
        count("offsets_per_group", &offsetsPerGroup, most: 10_000_000)
        size("offset_metadata_size", &offsetMetadataBytes, least: .kibibytes(1), most: .mebibytes(1))
        size("group_memory", &groupBytes, least: .kibibytes(64), most: .mebibytes(512))
        count("name_length", &nameBytes, most: 249)
        count("routing_key_length", &routingKeyBytes, most: 4_096)
        count("route_depth", &routeDepth, most: 64)
        count("settled_ranges", &settledRanges, most: 100_000_000)
        count("set_aside", &setAside, most: 10_000_000)
        try options.finish()
    }
}
