@testable import BrokerCore
@testable import KafkaProtocol
import SegmentLog
import Testing

/// Goal: what a Kafka client says of a topic is what the topic does, and what it is shown again; nothing is taken that is not done.
@Suite struct TopicConfigTests {
    private let log = Log.Options()

    private func create(_ configs: (String, String?)...) throws(ConfigRefusal) -> TopicOptions {
        try TopicConfigs.create(configs.map { (name: $0.0, value: $0.1) }, partitions: 1, log)
    }

    private func shown(_ name: String, _ options: TopicOptions) -> ConfigDescription? {
        TopicConfigs.describe(options, log, names: [name]).first
    }

    private func refusal(_ body: () throws(ConfigRefusal) -> TopicOptions) -> String? {
        do throws(ConfigRefusal) {
            _ = try body()
            return nil
        } catch { return error.text }
    }

    @Test func namesAppearOnce() {
        #expect(Set(TopicConfigs.all.map(\.name)).count == TopicConfigs.all.count)
        let shown = TopicConfigs.describe(TopicOptions(), log).map(\.name)
        #expect(shown == shown.sorted())
        #expect(!shown.contains("message.format.version"), "what Kafka has no more is shown only where it was said")
    }

    static let values: [(name: String, text: String, shown: String, field: @Sendable (TopicOptions) -> Bool)] = [
        ("retention.ms", "3600000", "3600000", { $0.retentionMilliseconds == 3_600_000 }),
        ("retention.ms", "-1", "-1", { $0.retentionMilliseconds == -1 }),
        ("retention.bytes", " 7 ", "7", { $0.retentionBytes == 7 }), ("retention.bytes", "-5", "-1", { $0.retentionBytes == -1 }),
        ("segment.bytes", "20000", "20000", { $0.segmentBytes == 20_000 }), ("segment.bytes", "100", "4096", { $0.segmentBytes == 4_096 }),
        ("segment.ms", "1", "1", { $0.segmentMilliseconds == 1 }), ("max.message.bytes", "2000000", "2000000", { $0.maxMessageBytes == 2_000_000 }),
        ("cleanup.policy", "compact", "compact", { $0.cleanup == .compact }), ("cleanup.policy", "delete, compact", "compact,delete", { $0.cleanup == .both }),
        ("cleanup.policy", "delete", "delete", { $0.cleanup == .delete }),
        ("message.timestamp.type", "LogAppendTime", "LogAppendTime", { $0.timestampType == .append }),
        ("message.timestamp.before.max.ms", "5", "5", { $0.timestampBeforeMaxMilliseconds == 5 }),
        ("message.timestamp.after.max.ms", "6", "6", { $0.timestampAfterMaxMilliseconds == 6 }),
        ("min.insync.replicas", "2", "2", { $0.minInsyncReplicas == 2 }),
        ("delete.retention.ms", "100", "100", { $0.deleteRetentionMilliseconds == 100 }),
        ("min.compaction.lag.ms", "5", "5", { $0.minCompactionLagMilliseconds == 5 }),
        ("max.compaction.lag.ms", "9223372036854775807", "9223372036854775807", { $0.maxCompactionLagMilliseconds == .max }),
        ("min.cleanable.dirty.ratio", "0.01", "0.01", { $0.minCleanableDirtyRatio == 0.01 }),
        ("flush.messages", "1", "1", { $0.durability == nil }), ("flush.ms", "50", "50", { $0.flushIntervalMilliseconds == 50 }),
        ("needletail.durability", "each", "each", { $0.durability == .each }), ("needletail.storage", "memory", "memory", { $0.storage == .memory }),
        ("unclean.leader.election.enable", "TRUE", "true", { $0.annotations == ["unclean.leader.election.enable": "true"] }),
        ("preallocate", "true", "true", { !$0.annotations.isEmpty }), ("message.format.version", "2.8-IV1", "2.8-IV1", { !$0.annotations.isEmpty }),
        ("leader.replication.throttled.replicas", "0:1,1:1", "0:1,1:1", { !$0.annotations.isEmpty }),
        ("compression.type", "producer", "producer", { _ in true }), ("remote.storage.enable", "false", "false", { _ in true }),
    ]

    @Test(arguments: values.indices) func whatIsSaidIsDoneAndShown(_ index: Int) throws {
        let (name, text, value, field) = Self.values[index]
        let options = try create((name, text))
        let isDone = field(options)
        #expect(isDone, "\(name)=\(text)")
        let found = try #require(shown(name, options))
        #expect(found.value == value && found.source == .topic)
        #expect(found.synonyms.first == ConfigDescription.Synonym(name: name, value: value, source: .topic))
    }

    @Test(arguments: TopicConfigs.all.map(\.name)) func whatIsNotSaidIsTheBrokers(_ name: String) throws {
        let config = try #require(TopicConfigs[name])
        let options = TopicOptions()
        let said = config.read(options)
        let standard = config.standard(log)
        #expect(said == nil)
        #expect((try? config.kind.canonical(standard, for: name)) == standard, "the default is a value that would be taken")
        var changed = options
        try config.write(&changed, standard, log)
        try config.write(&changed, nil, log)
        #expect(changed == options, "setting and deleting leaves nothing behind")
    }

    @Test func aBrokersConfigurationIsToldFromADefault() {
        var own = log
        own.retentionMilliseconds = 5_000
        let found = TopicConfigs.describe(TopicOptions(), own, names: ["retention.ms", "segment.ms"])
        #expect(found.map(\.source) == [.broker, .standard])
        #expect(found[0].value == "5000")
        #expect(found[0].synonyms == [ConfigDescription.Synonym(name: "log.retention.ms", value: "5000", source: .broker)])
    }

    static let refused: [(name: String, value: String?, text: String)] = [
        ("nonsense", "1", "Unknown topic config name: nonsense"),
        ("retention.ms", "abc", "Invalid value abc for configuration retention.ms: Not a number of type LONG"),
        ("retention.ms", "-2", "Invalid value -2 for configuration retention.ms: Value must be at least -1"),
        ("retention.ms", nil, "Null value not supported for topic configs: retention.ms"),
        ("segment.bytes", "5", "Invalid value 5 for configuration segment.bytes: Value must be at least 14"),
        ("max.message.bytes", "99999999999", "Invalid value 99999999999 for configuration max.message.bytes: Not a number of type INT"),
        ("cleanup.policy", "foo", "Invalid value foo for configuration cleanup.policy: String must be one of: compact, delete"),
        ("cleanup.policy", "", "Invalid value  for configuration cleanup.policy: One of delete and compact is needed"),
        ("min.cleanable.dirty.ratio", "2", "Invalid value 2 for configuration min.cleanable.dirty.ratio: Value must be no more than 1"),
        ("min.cleanable.dirty.ratio", "nan", "Invalid value nan for configuration min.cleanable.dirty.ratio: Value must be at least 0"),
        ("preallocate", "yes", "Invalid value yes for configuration preallocate: Expected value to be either true or false"),
        ("flush.messages", "0", "Invalid value 0 for configuration flush.messages: Value must be at least 1"),
        ("remote.storage.enable", "true", "Invalid value true for configuration remote.storage.enable: Value must be false: there is no tiered storage"),
        (
            "compression.type", "gzip",
            "Invalid value gzip for configuration compression.type: Value must be producer: batches are stored and sent untouched; choose the compression "
                + "in the producer"
        ),
        ("needletail.durability", "grup", "Invalid value grup for configuration needletail.durability: String must be one of: none, interval, group, each"),
    ]

    @Test(arguments: refused.indices) func whatIsNotDoneIsRefused(_ index: Int) {
        let (name, value, text) = Self.refused[index]
        let found = refusal { () throws(ConfigRefusal) in try create((name, value)) }
        #expect(found == text)
    }

    @Test func aLongValueIsNotKept() {
        let long = String(repeating: "1:1,", count: 2_000)
        let found = refusal { () throws(ConfigRefusal) in try create(("leader.replication.throttled.replicas", long)) }
        #expect(found?.utf8.count ?? 0 < 200 && found?.contains("At most 4096 bytes") == true)
    }

    @Test func aLongListOfChangesIsNotRead() {
        let words = String(repeating: "a,", count: 1_000_000)
        let appended = refusal { () throws(ConfigRefusal) in try alter(TopicOptions(), ("cleanup.policy", .append, words)) }
        #expect(appended?.contains("At most 4096 bytes") == true)
        let many = Array(repeating: (name: "segment.ms", value: Optional("1")), count: TopicConfigs.settingsPerTopic + 1)
        let created = refusal { () throws(ConfigRefusal) in try TopicConfigs.create(many, partitions: 1, log) }
        #expect(created == "At most 256 settings are taken for one topic")
    }

    // MARK: Durability

    @Test func flushSettingsStrengthenAndNeverWeaken() throws {
        var weak = log
        weak.durability = .none
        func durability(_ configs: [(String, String?)], _ log: Log.Options) throws -> Durability? {
            try TopicConfigs.create(configs.map { (name: $0.0, value: $0.1) }, partitions: 1, log).durability
        }
        #expect(try durability([("flush.messages", "1")], weak) == .group)
        #expect(try durability([("flush.messages", "10000")], weak) == .group, "never more unflushed than that: none is")
        #expect(try durability([("flush.messages", "9223372036854775807")], log) == nil, "Kafka's default does not weaken ours")
        #expect(try durability([("flush.ms", "1000")], weak) == .interval)
        #expect(try durability([("flush.ms", "1000")], log) == nil)
        #expect(try durability([("flush.ms", "9223372036854775807")], weak) == nil)
        #expect(try durability([("needletail.durability", "none"), ("flush.messages", "1")], log) == Durability.none, "our own word is the last")
    }

    @Test func deletingAFlushSettingTakesItsEffectBack() throws {
        var weak = log
        weak.durability = .none
        let set = try TopicConfigs.alter([ConfigAlteration(name: "flush.messages", operation: .set, value: "1")], in: TopicOptions(), weak)
        #expect(set.durability == .group)
        let back = try TopicConfigs.alter([ConfigAlteration(name: "flush.messages", operation: .delete, value: nil)], in: set, weak)
        #expect(back == TopicOptions())
    }

    /// A topic that was made by another door says in Kafka's words what it does.
    @Test(arguments: [(Durability.none, "9223372036854775807"), (.interval, "9223372036854775807"), (.group, "1"), (.each, "1")])
    func durabilityIsShownInKafkasWords(_ durability: Durability, _ messages: String) {
        let options = TopicOptions(durability: durability)
        #expect(shown("flush.messages", options)?.value == messages)
        #expect(shown("needletail.durability", options)?.source == .topic)
    }

    // MARK: Changing

    private func alter(_ options: TopicOptions, _ alterations: (String, ConfigAlteration.Operation, String?)...) throws(ConfigRefusal) -> TopicOptions {
        try TopicConfigs.alter(alterations.map { ConfigAlteration(name: $0.0, operation: $0.1, value: $0.2) }, in: options, log)
    }

    @Test func listsGrowAndShrink() throws {
        let compacted = try alter(TopicOptions(), ("cleanup.policy", .set, "compact"))
        let both = try alter(compacted, ("cleanup.policy", .append, "delete"))
        #expect(both.cleanup == .both)
        #expect(try alter(both, ("cleanup.policy", .append, "delete")).cleanup == .both)
        #expect(try alter(both, ("cleanup.policy", .subtract, "compact")).cleanup == .delete)
        #expect(try alter(TopicOptions(), ("cleanup.policy", .append, "compact")).cleanup == .both, "the default counts")
        let refused = refusal { () throws(ConfigRefusal) in try alter(TopicOptions(), ("retention.ms", .append, "1")) }
        #expect(refused == "Can't APPEND to key retention.ms because its type is not LIST.")
    }

    @Test func oneChangeLeavesTheRest() throws {
        let before = try create(("retention.ms", "1000"), ("preallocate", "true"))
        let after = try alter(before, ("retention.ms", .delete, nil), ("segment.ms", .set, "7"), ("nonsense", .delete, nil))
        #expect(after.retentionMilliseconds == nil && after.segmentMilliseconds == 7 && after.annotations == before.annotations)
        let refused = refusal { () throws(ConfigRefusal) in try alter(before, ("nonsense", .set, "1")) }
        #expect(refused == "Unknown topic config name: nonsense")
    }

    @Test func theLegacyFormReplacesTheWholeSet() throws {
        var before = try create(("retention.ms", "1000"), ("preallocate", "true"), ("cleanup.policy", "compact"), ("needletail.storage", "memory"))
        before.partitions = 3
        before.untilAcknowledged = true
        let after = try TopicConfigs.replace([("segment.bytes", "1048577")], in: before, log)
        var expected = TopicOptions(partitions: 3, storage: .memory, segmentBytes: 1_048_577)
        expected.untilAcknowledged = true
        #expect(after == expected, "what has no name in Kafka, and where the topic is kept, stay")
    }

    @Test func whereATopicIsKeptDoesNotChange() throws {
        let memory = try create(("needletail.storage", "memory"))
        #expect(try alter(memory, ("needletail.storage", .set, "memory"), ("needletail.storage", .delete, nil)) == memory)
        let refused = refusal { () throws(ConfigRefusal) in try alter(memory, ("needletail.storage", .set, "disk")) }
        #expect(refused == "needletail.storage is chosen when a topic is created and does not change")
        #expect(shown("needletail.storage", memory)?.isReadOnly == true)
    }

    /// What is asked of the broker leads to what was meant, and names nothing else: others may have changed that in between.
    @Test func theChangeIsTheDifference() throws {
        let before = try create(("retention.ms", "1000"), ("preallocate", "true"), ("flush.ms", "5"))
        for (name, text, _, _) in Self.values where name != "needletail.storage" {
            let after = try alter(before, (name, .set, text), ("preallocate", .delete, nil))
            #expect(before.applying(TopicChange(from: before, to: after)) == after, "\(name)")
        }
        #expect(TopicChange(from: before, to: before) == TopicChange())
        let one = TopicChange(from: before, to: try alter(before, ("segment.ms", .set, "7")))
        var expected = TopicChange()
        expected.segmentMilliseconds = .set(7)
        #expect(one == expected)
    }
}
