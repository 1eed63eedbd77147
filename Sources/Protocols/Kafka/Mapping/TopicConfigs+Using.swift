internal import BrokerCore
internal import SegmentLog

/// One setting as DescribeConfigs and CreateTopics show it.
struct ConfigDescription: Equatable {
    var name: String
    var value: String?
    var source: ConfigSource
    var isReadOnly: Bool
    var kind: Int8
    /// Where the value comes from and what would hold without it, nearest first.
    var synonyms: [Synonym]
    var words: String

    struct Synonym: Equatable {
        var name: String
        var value: String
        var source: ConfigSource
    }
}

/// What is done to one setting; the numbers are IncrementalAlterConfigs'.
struct ConfigAlteration {
    var name: String
    var operation: Operation
    var value: String?

    enum Operation: Int8 { case set = 0, delete = 1, append = 2, subtract = 3 }
}

extension TopicConfigs {
    /// What one request may say of one topic. There are far fewer names.
    static let settingsPerTopic = 256

    /// Every setting, or those named, sorted by name. `log` is what holds for topics that do not say otherwise.
    static func describe(_ options: TopicOptions, _ log: Log.Options, names: [String]? = nil) -> [ConfigDescription] {
        var rows = all.filter { !$0.isFormer || $0.read(options) != nil }
        if let names { rows = rows.filter { names.contains($0.name) } }
        return rows.sorted { $0.name < $1.name }.map { describe($0, options, log) }
    }

    private static func describe(_ config: TopicConfig, _ options: TopicOptions, _ log: Log.Options) -> ConfigDescription {
        let said = config.read(options)
        let standard = config.standard(log)
        let source = standard == config.standard(Log.Options()) ? ConfigSource.standard : .broker
        var synonyms: [ConfigDescription.Synonym] = []
        if let said { synonyms.append(ConfigDescription.Synonym(name: config.name, value: said, source: .topic)) }
        if let name = config.brokerName { synonyms.append(ConfigDescription.Synonym(name: name, value: standard, source: source)) }
        return ConfigDescription(
            name: config.name, value: said ?? standard, source: said == nil ? source : .topic, isReadOnly: config.isForCreation, kind: config.kind.wire,
            synonyms: synonyms, words: config.words)
    }

    /// What a new topic gets.
    static func create(_ configs: [(name: String, value: String?)], partitions: Int32, _ log: Log.Options) throws(ConfigRefusal) -> TopicOptions {
        var options = TopicOptions(partitions: partitions)
        try set(configs, in: &options, log)
        return options
    }

    /// Legacy AlterConfigs: what is not named goes back to its default.
    static func replace(_ configs: [(name: String, value: String?)], in options: TopicOptions, _ log: Log.Options) throws(ConfigRefusal) -> TopicOptions {
        var new = options
        for config in all where !config.isForCreation { try config.write(&new, nil, log) }
        try set(configs, in: &new, log, isLiving: true)
        return new
    }

    /// IncrementalAlterConfigs.
    static func alter(_ alterations: [ConfigAlteration], in options: TopicOptions, _ log: Log.Options) throws(ConfigRefusal) -> TopicOptions {
        var sets: [(name: String, value: String?)] = []
        var new = options
        for alteration in alterations {
            // As Kafka has it, deleting what nobody knows changes nothing.
            guard let config = TopicConfigs[alteration.name] else {
                if alteration.operation == .delete { continue }
                throw unknown(alteration.name)
            }
            switch alteration.operation {
            case .delete:
                if !config.isForCreation { try config.write(&new, nil, log) }
            case .set: sets.append((config.name, alteration.value))
            case .append, .subtract:
                guard config.kind.isList else {
                    let verb = alteration.operation == .append ? "APPEND" : "SUBTRACT"
                    throw ConfigRefusal("Can't \(verb) to key \(config.name) because its type is not LIST.")
                }
                let text = try config.kind.canonical(alteration.value ?? "", for: config.name)
                let words = ConfigKind.words(of: text)
                let old = ConfigKind.words(of: config.read(options) ?? config.standard(log))
                let list = alteration.operation == .append ? old + words.filter { !old.contains($0) } : old.filter { !words.contains($0) }
                sets.append((config.name, list.joined(separator: ",")))
            }
        }
        try set(sets, in: &new, log, isLiving: true)
        return new
    }

    /// In the table's order, so that what overrules comes last.
    private static func set(
        _ configs: [(name: String, value: String?)], in options: inout TopicOptions, _ log: Log.Options, isLiving: Bool = false
    ) throws(ConfigRefusal) {
        for config in configs where TopicConfigs[config.name] == nil { throw unknown(config.name) }
        guard configs.count <= settingsPerTopic else { throw ConfigRefusal("At most \(settingsPerTopic) settings are taken for one topic") }
        for config in all {
            for (_, text) in configs.filter({ $0.name == config.name }) {
                guard let text else { throw ConfigRefusal("Null value not supported for topic configs: \(config.name)") }
                let value = try config.kind.canonical(text, for: config.name)
                if isLiving, config.isForCreation {
                    guard value == config.read(options) ?? config.standard(log) else {
                        throw ConfigRefusal("\(config.name) is chosen when a topic is created and does not change")
                    }
                    continue
                }
                try config.write(&options, value, log)
            }
        }
    }

    private static func unknown(_ name: String) -> ConfigRefusal { ConfigRefusal("Unknown topic config name: \(name.prefix(128))") }
}

extension TopicChange {
    /// What leads from the old options to the new ones, and touches nothing else.
    init(from old: TopicOptions, to new: TopicOptions) {
        self.init()
        if new.partitions != old.partitions { partitions = new.partitions }
        durability = Change(from: old.durability, to: new.durability)
        flushIntervalMilliseconds = Change(from: old.flushIntervalMilliseconds, to: new.flushIntervalMilliseconds)
        segmentBytes = Change(from: old.segmentBytes, to: new.segmentBytes)
        segmentMilliseconds = Change(from: old.segmentMilliseconds, to: new.segmentMilliseconds)
        retentionMilliseconds = Change(from: old.retentionMilliseconds, to: new.retentionMilliseconds)
        retentionBytes = Change(from: old.retentionBytes, to: new.retentionBytes)
        maxMessageBytes = Change(from: old.maxMessageBytes, to: new.maxMessageBytes)
        cleanup = Change(from: old.cleanup, to: new.cleanup)
        timestampType = Change(from: old.timestampType, to: new.timestampType)
        minInsyncReplicas = Change(from: old.minInsyncReplicas, to: new.minInsyncReplicas)
        deleteRetentionMilliseconds = Change(from: old.deleteRetentionMilliseconds, to: new.deleteRetentionMilliseconds)
        minCompactionLagMilliseconds = Change(from: old.minCompactionLagMilliseconds, to: new.minCompactionLagMilliseconds)
        maxCompactionLagMilliseconds = Change(from: old.maxCompactionLagMilliseconds, to: new.maxCompactionLagMilliseconds)
        minCleanableDirtyRatio = Change(from: old.minCleanableDirtyRatio, to: new.minCleanableDirtyRatio)
        timestampBeforeMaxMilliseconds = Change(from: old.timestampBeforeMaxMilliseconds, to: new.timestampBeforeMaxMilliseconds)
        timestampAfterMaxMilliseconds = Change(from: old.timestampAfterMaxMilliseconds, to: new.timestampAfterMaxMilliseconds)
        for name in Set(old.annotations.keys).union(new.annotations.keys) where old.annotations[name] != new.annotations[name] {
            annotations[name] = Change(from: old.annotations[name], to: new.annotations[name])
        }
    }
}

extension Change {
    fileprivate init(from old: Value?, to new: Value?) {
        if old == new { self = .leave } else if let new { self = .set(new) } else { self = .reset }
    }
}
