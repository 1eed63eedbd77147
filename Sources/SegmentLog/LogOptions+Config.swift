package import ConfigFile

/// The section `topics` of the configuration: what a topic that does not say otherwise uses.
extension Log.Options {
    package init(_ options: ConfigSection) throws(ConfigError) {
        self.init()
        durability = options.choice("durability", default: durability, among: Durability.names)
        flushIntervalMilliseconds =
            options.duration(
                "flush_interval", default: .milliseconds(flushIntervalMilliseconds), in: .milliseconds(1) ... .seconds(3_600)
            ).milliseconds
        flushTimeoutMilliseconds =
            options.duration("flush_timeout", default: .milliseconds(flushTimeoutMilliseconds), in: .seconds(2) ... .seconds(3_600)).milliseconds
        segmentBytes = options.size("segment_size", default: ByteCount(bytes: segmentBytes), in: .mebibytes(1)...(.gibibytes(2))).bytes
        segmentMilliseconds =
            options.duration("segment_time", default: .milliseconds(segmentMilliseconds), in: .seconds(60) ... .seconds(3_650 * 86_400)).milliseconds
        let time = options.duration("retention_time", default: nil, in: .seconds(1) ... .seconds(36_500 * 86_400), or: "unlimited")
        retentionMilliseconds = time?.milliseconds ?? -1
        let size = options.size("retention_size", default: nil, in: .mebibytes(1)...ByteCount(rawValue: 1 << 50), or: "unlimited")
        retentionBytes = size?.rawValue ?? -1
        maxMessageBytes = options.size("max_message_size", default: ByteCount(bytes: maxMessageBytes), in: .kibibytes(1)...(.mebibytes(64))).bytes
        indexIntervalBytes = options.size("index_interval", default: ByteCount(bytes: indexIntervalBytes), in: .kibibytes(1)...(.mebibytes(1))).bytes
        try options.finish()
    }
}

extension Durability {
    /// As configurations and commands write them.
    package static let names: [(name: String, value: Durability)] = [("none", .none), ("interval", .interval), ("group", .group), ("each", .each)]
}
