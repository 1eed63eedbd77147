import ConfigFile
import NeedletailClient
import Observability

/// `needletail queue …`.
extension Command {
    static let queueCreate = Command(
        path: ["queue", "create"],
        summary: "Create a queue: each message goes to one of its workers, and is forgotten once that has settled it.",
        arguments: [.required("QUEUE", "Its name: letters, digits, '.', '_' and '-'.")],
        options: [
            .value("lease", "TIME", .duration, "How long a worker may take before the message is delivered again.", fallback: "the broker's"),
            .value("delivery-limit", "COUNT", .integer(1...65_535), "How often a message is delivered before it is a dead letter.", fallback: "the broker's"),
            .value("dead-letter", "TOPIC", .text, "Where dead letters go, with their history in headers. Create it first."), topicDurability,
            .flag("memory", "Keep it in memory only: it is empty after a restart."), .flag("if-missing", "Be content when it exists already."),
        ] + ClientFlags.common,
        examples: [
            Example("needletail queue create tasks --lease '30 s'", "a worker has half a minute"),
            Example("needletail queue create payment --delivery-limit 3 --dead-letter payment.dead", "three attempts, then put aside"),
        ],
        run: .inTask { invocation in
            let name = invocation.argument("QUEUE") ?? ""
            var options = TopicOptions.queue(
                lease: invocation.duration("lease"), deliveryLimit: invocation.integer("delivery-limit"), deadLetterTopic: invocation.text("dead-letter"))
            options.durability = invocation.durability
            if invocation.has("memory") { options.storage = .memory }
            let made = options
            return try await invocation.withClient { client in
                try await invocation.create("queue", name) { () async throws(ClientError) in try await client.createTopic(name, made) }
            }
        })

    static let queueList = Command(
        path: ["queue", "list"],
        summary: "List queues with what waits in them.",
        options: ClientFlags.common,
        examples: [Example("needletail queue list", "which one grows?")],
        run: .inTask { invocation in
            let queues = try await invocation.withClient { client in
                var found: [(TopicDescription, SubscriptionDescription?)] = []
                for topic in try await client.topics() where topic.options.isQueue {
                    found.append((topic, try await client.subscriptions(of: topic.name).first { $0.isShared }))
                }
                return found.sorted { $0.0.name < $1.0.name }
            }
            var table = TextTable(["QUEUE", "WAITING", "IN FLIGHT", "AGAIN", "WORKERS", "SIZE", "DEAD LETTERS TO"])
            var objects: [[(String, JSON)]] = []
            for (topic, subscription) in queues {
                let cursor = subscription?.cursors.first
                let waiting = cursor.map { max(0, $0.end - $0.next) + $0.redeliver } ?? topic.messages
                table.add([
                    topic.name, Figures.count(waiting), String(cursor?.inFlight ?? 0), String(cursor?.redeliver ?? 0), String(subscription?.consumers ?? 0),
                    Figures.bytes(topic.bytes), topic.options.deadLetterTopic ?? "",
                ])
                objects.append([
                    ("queue", .text(topic.name)), ("waiting", .integer(waiting)), ("in_flight", .integer(cursor?.inFlight ?? 0)),
                    ("redeliver", .integer(cursor?.redeliver ?? 0)), ("workers", .integer(Int64(subscription?.consumers ?? 0))),
                    ("bytes", .integer(topic.bytes)), ("dead_letter_topic", .optional(topic.options.deadLetterTopic)),
                ])
            }
            invocation.report(table, objects)
            return .ok
        })

    static let queueSend = Command(
        path: ["queue", "send"],
        summary: "Send messages to a queue: the words given, or else each line of standard input.",
        arguments: [.required("QUEUE", "Where to."), .repeated("MESSAGE", "What.")],
        options: [ClientFlags.key, ClientFlags.header, ClientFlags.durability] + ClientFlags.common,
        examples: [
            Example("needletail queue send tasks 'resize cat.jpg' 'resize dog.jpg'", "two messages"),
            Example("ls | needletail queue send tasks -H reason=nightly", "one for each line"),
        ],
        run: .inTask { invocation in
            let name = invocation.argument("QUEUE") ?? ""
            let words = invocation.arguments("MESSAGE")
            let source = words.isEmpty ? MessageSource.lines(of: ["-"]) : MessageSource.texts(words)
            return try await Publishing(invocation, topic: name).run(source)
        })

    static let queueReceive = Command(
        path: ["queue", "receive"],
        summary: "Receive messages from a queue, print them, and settle them.",
        arguments: [.required("QUEUE", "Where from.")],
        options: [
            .value("max", short: "n", "COUNT", .integer(1...1_000_000), "How many at most.", fallback: "1"),
            .value("wait", short: "w", "TIME", .duration, "How long to wait for the first.", fallback: "1 s"),
            .value(
                "settle", "OUTCOME", .choice(["accept", "requeue", "reject", "none"]), "What becomes of them; none leaves them leased.", fallback: "accept"),
            .value("lease", "TIME", .duration, "How long they are leased.", fallback: "the queue's"), MessageFormat.option,
        ] + ClientFlags.common,
        examples: [
            Example("needletail queue receive tasks", "the next message"),
            Example("needletail queue receive tasks --max 10 --settle reject", "put ten aside as dead letters"),
        ],
        notes: ["Prints nothing and ends with 0 when the queue stays empty."],
        run: .inTask { invocation in
            let name = invocation.argument("QUEUE") ?? ""
            var options = ConsumerOptions()
            options.lease = invocation.duration("lease")
            let leased = options
            return try await invocation.withClient { client in
                let queue = try await client.queue(name, leased)
                let messages = try await queue.receive(max: invocation.integer("max") ?? 1, wait: invocation.duration("wait") ?? .seconds(1))
                invocation.console.write(MessageFormat(invocation).bytes(messages))
                for (index, message) in messages.enumerated() {
                    // The last one waits for the broker's word, which covers those before.
                    let confirmation = index == messages.count - 1 ? Consumer.Confirmation.durable : .none
                    switch invocation.text("settle") ?? "accept" {
                    case "accept": try await queue.accept(message, confirmation)
                    case "requeue": try await queue.requeue(message, confirmation)
                    case "reject": try await queue.reject(message, confirmation)
                    default: break
                    }
                }
                if invocation.text("settle") != "none" { await queue.close() }
                return .ok
            }
        })

    static let queuePeek = Command(
        path: ["queue", "peek"],
        summary: "Look at the messages of a queue without receiving them.",
        arguments: [.required("QUEUE", "Which.")],
        options: [.value("max", short: "n", "COUNT", .integer(1...1_000_000), "How many at most.", fallback: "10"), MessageFormat.option] + ClientFlags.common,
        examples: [Example("needletail queue peek tasks --max 3 --json", "the next three, with their headers")],
        notes: ["Shows everything from the oldest unsettled message on; newer ones that were settled before it may be among them."],
        run: .inTask { invocation in
            let name = invocation.argument("QUEUE") ?? ""
            return try await invocation.withClient { client in
                let floor = try await client.subscriptions(of: name).first { $0.isShared }?.cursors.first?.floor
                var reading = Reading(invocation, topic: name)
                reading.start = floor.map { .offset($0) } ?? .earliest
                reading.most = invocation.integer("max") ?? 10
                return try await reading.run(client)
            }
        })

    static let queuePurge = Command(
        path: ["queue", "purge"],
        summary: "Drop everything that waits in a queue (or is in a topic).",
        arguments: [.required("QUEUE", "Which.")],
        options: ClientFlags.common,
        examples: [Example("needletail queue purge tasks", "there is no way back")],
        run: .inTask { invocation in
            let name = invocation.argument("QUEUE") ?? ""
            let count = try await invocation.withClient { client in try await client.purge(name) }
            invocation.report("\(Figures.count(count)) messages of \(name) were dropped", [("queue", .text(name)), ("dropped", .integer(count))])
            return .ok
        })

    static let queueRedrive = Command(
        path: ["queue", "redrive"],
        summary: "Move dead letters back to where they came from.",
        arguments: [.required("TOPIC", "The dead-letter topic.")],
        options: [.value("max", short: "n", "COUNT", .integer(1...Int.max), "How many at most.", fallback: "all")] + ClientFlags.common,
        examples: [Example("needletail queue redrive payment.dead", "once the fault is mended")],
        run: .inTask { invocation in
            let name = invocation.argument("TOPIC") ?? ""
            let limit = Int64(invocation.integer("max") ?? .max)
            let count = try await invocation.withClient { client in try await client.redrive(name, limit: limit) }
            invocation.report("\(Figures.count(count)) messages of \(name) went back", [("topic", .text(name)), ("redriven", .integer(count))])
            return .ok
        })

    static let queueDelete = Command(
        path: ["queue", "delete"],
        summary: "Delete queues with everything in them, at once and for good.",
        arguments: [.repeated("QUEUE", "Their names.", isRequired: true)],
        options: ClientFlags.common,
        examples: [Example("needletail queue delete tasks", "there is no way back")],
        run: .inTask { invocation in
            try await invocation.deleteTopics("queue", invocation.arguments("QUEUE"))
        })
}
