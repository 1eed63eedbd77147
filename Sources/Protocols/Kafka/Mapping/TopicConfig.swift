internal import BrokerCore
internal import SegmentLog

/// One setting of a topic under Kafka's name: how it reads from our options, and how it is written into them.
struct TopicConfig: Sendable {
    var name: String
    var kind: ConfigKind
    var treatment: Treatment
    /// What Kafka calls the same setting of a whole broker.
    var brokerName: String?
    /// One sentence for DescribeConfigs and docs/protocols/kafka.md.
    var words: String
    /// Whether older Kafkas had it; it is shown only where it was set.
    var isFormer = false
    /// Whether it is said when the topic is made and never again.
    var isForCreation = false
    /// What holds where the topic does not say it.
    var standard: @Sendable (Log.Options) -> String
    /// What the topic says; nil: nothing.
    var read: @Sendable (TopicOptions) -> String?
    /// Takes a canonical value, nil: back to what holds without.
    var write: @Sendable (inout TopicOptions, String?, Log.Options) throws(ConfigRefusal) -> Void

    enum Treatment: Sendable {
        case honoured
        /// Shown to who set it, without effect, for this reason.
        case kept(String)
        /// No other value is taken, for this reason.
        case fixed(String)
    }

    /// A whole number that stands in the options.
    static func number(
        _ name: String, _ kind: ConfigKind, broker: String? = nil, _ words: String, standard: @escaping @Sendable (Log.Options) -> Int64,
        read: @escaping @Sendable (TopicOptions) -> Int64?, write: @escaping @Sendable (inout TopicOptions, Int64?) -> Void
    ) -> TopicConfig {
        TopicConfig(
            name: name, kind: kind, treatment: .honoured, brokerName: broker, words: words, standard: { String(standard($0)) },
            read: { read($0).map { String($0) } }, write: { (options, value, _) throws(ConfigRefusal) in write(&options, value.flatMap { Int64($0) }) })
    }

    /// A choice among named values that stands in the options.
    static func choice<Value: Equatable & Sendable>(
        _ name: String, _ kind: ConfigKind, among values: [(name: String, value: Value)], broker: String? = nil, _ words: String,
        standard: @escaping @Sendable (Log.Options) -> Value, read: @escaping @Sendable (TopicOptions) -> Value?,
        write: @escaping @Sendable (inout TopicOptions, Value?) -> Void
    ) -> TopicConfig {
        @Sendable func text(_ value: Value) -> String { values.first { $0.value == value }?.name ?? "" }
        return TopicConfig(
            name: name, kind: kind, treatment: .honoured, brokerName: broker, words: words, standard: { text(standard($0)) },
            read: { read($0).map { text($0) } },
            write: { (options, value, _) throws(ConfigRefusal) in write(&options, value.flatMap { name in values.first { $0.name == name }?.value }) })
    }

    /// What has no effect here stands among the topic's annotations.
    static func kept(
        _ name: String, _ kind: ConfigKind, _ standard: String, broker: String? = nil, isFormer: Bool = false, _ words: String, because reason: String
    ) -> TopicConfig {
        TopicConfig(
            name: name, kind: kind, treatment: .kept(reason), brokerName: broker, words: words, isFormer: isFormer, standard: { _ in standard },
            read: { $0.annotations[name] }, write: { (options, value, _) throws(ConfigRefusal) in options.annotations[name] = value })
    }

    /// What we do in one way only. Saying that way is allowed, and shown.
    static func fixed(
        _ name: String, _ kind: ConfigKind, _ standard: String, broker: String? = nil, _ words: String, because reason: String
    ) -> TopicConfig {
        TopicConfig(
            name: name, kind: kind, treatment: .fixed(reason), brokerName: broker, words: words, standard: { _ in standard },
            read: { $0.annotations[name] },
            write: { (options, value, _) throws(ConfigRefusal) in
                if let value, value != standard {
                    throw ConfigRefusal("Invalid value \(value) for configuration \(name): Value must be \(standard): \(reason)")
                }
                options.annotations[name] = value
            })
    }
}
