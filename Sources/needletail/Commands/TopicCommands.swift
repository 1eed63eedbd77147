import ConfigFile
import NeedletailClient
import Observability

/// `needletail topic …`.
extension Command {
    private static let partitions = Option.value("partitions", short: "p", "COUNT", .integer(1...100_000), "How many partitions.", fallback: "1")
    static let topicDurability = Option.value(
        "durability", "MODE", .choice(Durability.names), "What acknowledgements promise.", fallback: "the broker's")
    private static let retentionTime = Option.value(
        "retention-time", "TIME", .text, "How long messages are kept: 7 days, 12 h, or unlimited.", fallback: "the broker's")
    private static let retentionSize = Option.value(
        "retention-size", "SIZE", .text, "How much of each partition is kept: 10 GiB, or unlimited.", fallback: "the broker's")
    private static let cleanup = Option.value(
        "cleanup", "POLICY", .choice(Cleanup.names.map(\.name)),
        "What becomes of old messages: delete (by retention), compact (replaced by newer ones of their key), or both.", fallback: "delete")
    private static let maxMessageSize = Option.value("max-message-size", "SIZE", .size, "The largest message.", fallback: "the broker's")

    static let topicCreate = Command(
        path: ["topic", "create"],
        summary: "Create a topic: a log that keeps its messages as long as its retention says, for any number of readers.",
        arguments: [.required("TOPIC", "Its name: letters, digits, '.', '_' and '-'.")],
        options: [
            partitions, topicDurability, retentionTime, retentionSize, cleanup, maxMessageSize,
            .value("segment-size", "SIZE", .size, "How large one file of its logs grows.", fallback: "the broker's"),
            .value("segment-time", "TIME", .duration, "How old one file of its logs grows.", fallback: "the broker's"),
            .flag("memory", "Keep it in memory only: it is empty after a restart."),
            .flag("until-acknowledged", "Forget what every durable subscription has settled."),
            .flag("if-missing", "Be content when it exists already."),
        ] + ClientFlags.common,
        examples: [
            Example("needletail topic create orders --partitions 4", "four partitions, kept by the broker's defaults"),
            Example("needletail topic create prices --cleanup compact", "the newest message of each key"),
            Example("needletail topic create audit --durability each --retention-time '365 days'", "each message flushed by itself, kept for a year"),
        ],
        run: .inTask { invocation in
            let name = invocation.argument("TOPIC") ?? ""
            var options = TopicOptions()
            options.partitions = Int32(invocation.integer("partitions") ?? 1)
            options.cleanup = invocation.cleanup ?? .delete
            options.storage = invocation.has("memory") ? .memory : .disk
            options.durability = invocation.durability
            options.segmentBytes = invocation.size("segment-size")?.rawValue
            options.segmentAge = invocation.duration("segment-time")
            options.retention = try invocation.retentionTime
            options.retentionBytes = try invocation.retentionSize
            options.maxMessageBytes = invocation.size("max-message-size")?.rawValue
            options.untilAcknowledged = invocation.has("until-acknowledged")
            guard !options.untilAcknowledged || options.cleanup == .delete else {
                throw CommandFailure(.usage, "--until-acknowledged: what is kept until it is acknowledged is not compacted; leave out --cleanup")
            }
            return try await invocation.withClient { client in
                try await invocation.create("topic", name) { () async throws(ClientError) in try await client.createTopic(name, options) }
            }
        })

    static let topicList = Command(
        path: ["topic", "list"],
        summary: "List topics and queues, with how much is in them.",
        options: ClientFlags.common,
        examples: [Example("needletail topic list", "all topics of the broker on this machine")],
        run: .inTask { invocation in
            let topics = try await invocation.withClient { client in try await client.topics() }
            var table = TextTable(["TOPIC", "KIND", "PARTITIONS", "MESSAGES", "SIZE", "DURABILITY", "STATE"])
            for topic in topics.sorted(by: { $0.name < $1.name }) {
                let state = topic.partitions.contains { $0.fault != nil } ? "failed" : "ok"
                table.add([
                    topic.name, topic.kind, String(topic.partitions.count), Figures.count(topic.messages), Figures.bytes(topic.bytes),
                    topic.options.durability?.name ?? "default", state,
                ])
            }
            invocation.report(table, topics.sorted(by: { $0.name < $1.name }).map { $0.json })
            return .ok
        })

    static let topicDescribe = Command(
        path: ["topic", "describe"],
        summary: "Show one topic: its options, its partitions, and who reads it.",
        arguments: [.required("TOPIC", "Its name.")],
        options: ClientFlags.common,
        examples: [Example("needletail topic describe orders", "where is everybody?")],
        run: .inTask { invocation in
            let name = invocation.argument("TOPIC") ?? ""
            let (topic, subscriptions) = try await invocation.withClient { client in
                (try await client.topic(name), try await client.subscriptions(of: name))
            }
            if invocation.has("json") {
                invocation.console.print(JSON.object(topic.json + [("subscriptions", .list(subscriptions.map { .object($0.json) }))]).description)
                return .ok
            }
            let style = invocation.console.style
            invocation.console.print(style.columns(topic.optionRows), terminator: "")
            var partitions = TextTable(["PARTITION", "START", "FLUSHED", "END", "SIZE", "SEGMENTS", "STATE"])
            for partition in topic.partitions {
                partitions.add([
                    String(partition.index), String(partition.start), String(partition.flushed), String(partition.end), Figures.bytes(partition.bytes),
                    String(partition.segments), partition.fault.map { "failed: \(TerminalText.shown($0))" } ?? "ok",
                ])
            }
            invocation.console.print("\n" + partitions.text(style), terminator: "")
            if !subscriptions.isEmpty { invocation.console.print("\n" + SubscriptionDescription.table(subscriptions).text(style), terminator: "") }
            return .ok
        })

    static let topicAlter = Command(
        path: ["topic", "alter"],
        summary: "Change a living topic. What is not named stays as it is.",
        arguments: [.required("TOPIC", "Its name.")],
        options: [partitions, topicDurability, retentionTime, retentionSize, cleanup, maxMessageSize].map { $0.withoutFallback } + ClientFlags.common,
        examples: [
            Example("needletail topic alter orders --retention-time '30 days'", "keep for a month from now on"),
            Example("needletail topic alter orders --partitions 8", "grow; keys may then find another partition than before"),
        ],
        run: .inTask { invocation in
            let name = invocation.argument("TOPIC") ?? ""
            var change = TopicChange()
            change.partitions = invocation.integer("partitions").map { Int32($0) }
            change.cleanup = invocation.cleanup
            change.durability = invocation.durability
            change.retention = try invocation.retentionTime
            change.retentionBytes = try invocation.retentionSize
            change.maxMessageBytes = invocation.size("max-message-size")?.rawValue
            guard change != TopicChange() else { throw CommandFailure(.usage, "nothing to change; name an option such as --retention-time") }
            try await invocation.withClient { client in try await client.alterTopic(name, change) }
            invocation.report("topic \(name) was changed", [("topic", .text(name)), ("changed", true)])
            return .ok
        })

    static let topicDelete = Command(
        path: ["topic", "delete"],
        summary: "Delete topics with everything in them, at once and for good.",
        arguments: [.repeated("TOPIC", "Their names.", isRequired: true)],
        options: ClientFlags.common,
        examples: [Example("needletail topic delete orders", "there is no way back")],
        run: .inTask { invocation in
            try await invocation.deleteTopics("topic", invocation.arguments("TOPIC"))
        })
}

extension Cleanup {
    fileprivate static let names: [(name: String, value: Cleanup)] = [("delete", .delete), ("compact", .compact), ("both", .both)]

    fileprivate var name: String { Cleanup.names.first { $0.value == self }?.name ?? "" }
}

extension Option {
    fileprivate var withoutFallback: Option {
        var option = self
        option.fallback = nil
        return option
    }
}

extension Invocation {
    fileprivate var cleanup: Cleanup? { text("cleanup").flatMap { name in Cleanup.names.first { $0.name == name }?.value } }

    /// A negative time stands for no limit.
    fileprivate var retentionTime: Duration? {
        get throws(CommandFailure) {
            guard let text = text("retention-time") else { return nil }
            if text == "unlimited" { return .milliseconds(-1) }
            if let time = Duration(text: text) { return time }
            throw CommandFailure(.usage, "--retention-time: \(quoted(text)) is no time; allowed: a number and one of \(Duration.textUnits), or unlimited")
        }
    }

    fileprivate var retentionSize: Int64? {
        get throws(CommandFailure) {
            guard let text = text("retention-size") else { return nil }
            if text == "unlimited" { return -1 }
            if let size = ByteCount(text) { return size.rawValue }
            throw CommandFailure(.usage, "--retention-size: \(quoted(text)) is no size; allowed: a number and one of \(ByteCount.units), or unlimited")
        }
    }

    /// Creates something, with `--if-missing` also when it is there.
    func create(_ kind: String, _ name: String, _ work: () async throws(ClientError) -> Void) async throws -> ExitCode {
        do {
            try await work()
            report("\(kind) \(name) was created", [(kind, .text(name)), ("created", true)])
        } catch {
            guard has("if-missing"), error.isAlreadyThere else { throw error }
            report("\(kind) \(name) exists", [(kind, .text(name)), ("created", false)])
        }
        return .ok
    }

    func deleteTopics(_ kind: String, _ names: [String]) async throws -> ExitCode {
        try await withClient { client in
            for name in names {
                try await client.deleteTopic(name)
                report("\(kind) \(name) was deleted", [(kind, .text(name)), ("deleted", true)])
            }
        }
        return .ok
    }
}

extension TopicDescription {
    var messages: Int64 { partitions.reduce(0) { $0 + max(0, $1.end - $1.start) } }
    var bytes: Int64 { partitions.reduce(0) { $0 + $1.bytes } }
    var kind: String { options.isQueue ? "queue" : options.storage == .memory ? "memory" : "topic" }

    fileprivate var optionRows: [(String, String)] {
        func time(_ time: Duration?) -> String { time.map { $0 < .zero ? "unlimited" : $0.text } ?? "default" }
        func size(_ size: Int64?) -> String { size.map { $0 < 0 ? "unlimited" : Figures.bytes($0) } ?? "default" }
        var rows = [
            ("topic", name), ("kind", kind), ("durability", options.durability?.name ?? "default"), ("retention time", time(options.retention)),
            ("retention size", size(options.retentionBytes)), ("largest message", size(options.maxMessageBytes)),
        ]
        if options.untilAcknowledged { rows.append(("kept", "until acknowledged")) }
        if options.cleanup != .delete { rows.append(("cleanup", options.cleanup.name)) }
        rows.append(("directory", "logs/\(id)-<partition> in the data directory"))
        if let lease = options.lease { rows.append(("lease", lease.text)) }
        if let limit = options.deliveryLimit { rows.append(("delivery limit", String(limit))) }
        if let topic = options.deadLetterTopic { rows.append(("dead letters", topic)) }
        return rows
    }

    var json: [(String, JSON)] {
        [
            ("topic", .text(name)), ("id", .integer(Int64(id))), ("kind", .text(kind)), ("durability", .optional(options.durability?.name)),
            ("messages", .integer(messages)),
            ("bytes", .integer(bytes)), ("retention_ms", .optional(options.retention.map(\.milliseconds))),
            ("retention_bytes", .optional(options.retentionBytes)), ("cleanup", .text(options.cleanup.name)),
            ("dead_letter_topic", .optional(options.deadLetterTopic)), ("partitions", .list(partitions.map { .object($0.json) })),
        ]
    }
}

extension PartitionDescription {
    fileprivate var json: [(String, JSON)] {
        [
            ("partition", .integer(Int64(index))), ("start", .integer(start)), ("flushed", .integer(flushed)), ("end", .integer(end)),
            ("bytes", .integer(bytes)), ("segments", .integer(Int64(segments))), ("fault", .optional(fault)),
        ]
    }
}
