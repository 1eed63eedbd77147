import ConfigFile
import LinuxSystem
import NeedletailClient
import Synchronization

extension Command {
    static let consume = Command(
        path: ["consume"],
        summary: "Read a topic and print its messages.",
        arguments: [.required("TOPIC", "What to read.")],
        options: [
            .value("from", "PLACE", .text, "Where to begin: \(StartPosition.allowed).", fallback: "earliest"),
            .value("group", short: "g", "NAME", .text, "Keep the place in the broker under this name, and go on from there the next time."),
            .value(
                "mode", "MODE", .choice(["exclusive", "shared"]),
                "With --group: one member reads and the others stand by, or each message goes to one of them.", fallback: "exclusive"),
            .flag("follow", "Go on when everything was read, and wait for more."),
            .value("max", short: "n", "COUNT", .integer(1...Int.max), "End after so many messages."),
            .value("idle", "TIME", .duration, "End when nothing has come for so long.", fallback: "with --group and without --follow 5 s"),
            MessageFormat.option, MessageFormat.delimiterOption,
        ] + ClientFlags.common,
        examples: [
            Example("needletail consume orders", "what is there now"),
            Example("needletail consume orders --from latest --follow", "what comes from now on"),
            Example("needletail consume orders --group billing --follow --json", "as a member of a group that remembers its place"),
            Example("needletail consume orders --from 2026-11-21T12:00:00Z --max 10", "the first ten since noon"),
        ],
        notes: [
            "With --group the place moves behind what was printed; when the connection breaks in between, some messages may come twice.",
            "SIGINT and SIGTERM end it in order, with what was printed committed.",
        ],
        run: .inTask { invocation in
            var reading = Reading(invocation, topic: invocation.argument("TOPIC") ?? "")
            reading.start = try StartPosition(text: invocation.text("from") ?? "earliest")
            reading.group = invocation.text("group")
            reading.isShared = invocation.text("mode") == "shared"
            if reading.isShared, reading.group == nil { throw CommandFailure(.usage, "--mode shared needs --group: the name that the members share") }
            reading.follows = invocation.has("follow")
            reading.most = invocation.integer("max")
            reading.idle = invocation.duration("idle") ?? (reading.group != nil && !reading.follows ? .seconds(5) : nil)
            let wanted = reading
            return try await invocation.withClient(giveUpAfter: wanted.follows ? nil : .seconds(10)) { client in try await wanted.run(client) }
        })
}

/// Reading a topic and printing it, from a place to an end.
struct Reading: Sendable {
    let invocation: Invocation
    let topic: String
    var start = StartPosition.earliest
    var group: String?
    /// The group's members share the messages.
    var isShared = false
    /// Otherwise the end is where the topic ended at the beginning.
    var follows = false
    var most: Int?
    var idle: Duration?

    init(_ invocation: Invocation, topic: String) {
        self.invocation = invocation
        self.topic = topic
    }

    func run(_ client: Client) async throws -> ExitCode {
        // What the others of a shared group take cannot be waited for: such a reading ends when nothing comes any more.
        let ends = follows || isShared ? [:] : try await ends(client)
        if !follows, !isShared, ends.isEmpty { return .ok }
        let consumer = try await consumer(client)
        let watch = Watch()
        let printing = Task { try await print(consumer, upTo: ends, watch) }
        let stopping = Task {
            await invocation.stop.wait()
            printing.cancel()
        }
        let idling = Task { await waitUntilIdle(watch) ? printing.cancel() : () }
        defer {
            stopping.cancel()
            idling.cancel()
            // Nobody waits for it any more.
            invocation.stop.release()
        }
        do { try await printing.value } catch ClientError.cancelled {
            // What was committed without waiting has been taken once the broker answers something later.
            if group != nil { _ = try? await client.ping() }
        }
        await consumer.close()
        return .ok
    }

    private func consumer(_ client: Client) async throws(ClientError) -> Consumer {
        guard isShared, let group else { return try await client.consumer(topic: topic, group: group, from: start) }
        var options = ConsumerOptions()
        // Not more than is asked for, so that the other members get the rest.
        if let most { options.prefetchMessages = min(most, options.prefetchMessages) }
        return try await client.worker(queue: topic, group: group, from: start, options)
    }

    /// Says that these were printed. What came over a connection that is gone cannot be settled any more: it comes again.
    private func settle(_ messages: [Message], _ consumer: Consumer, isOver: Bool) async throws(ClientError) {
        guard group != nil, let last = messages.last else { return }
        do {
            if isShared {
                try await consumer.accept(messages, isOver ? .durable : .none)
            } else {
                try await consumer.commit(last, isOver ? .durable : .none)
            }
        } catch {
            switch error {
            case .refused(let refusal) where refusal.code == .notInFlight || refusal.code == .unknownConsumer: return
            case .connectionLost where !isOver: return
            default: throw error
            }
        }
    }

    /// Ends at the end, at the count, or by being cancelled.
    private func print(_ consumer: Consumer, upTo ends: [Int32: Int64], _ watch: Watch) async throws {
        var left = ends
        var count = 0
        let format = MessageFormat(invocation)
        for try await run in consumer.batches {
            let messages = most.map { Array(run.prefix($0 - count)) } ?? run
            invocation.console.write(format.bytes(messages))
            count += messages.count
            watch.touch()
            guard let last = messages.last else { continue }
            if let end = left[last.partition], last.offset + 1 >= end { left[last.partition] = nil }
            let isOver = count == most || !ends.isEmpty && left.isEmpty
            try await settle(messages, consumer, isOver: isOver)
            if isOver { return }
        }
    }

    /// Where each partition that has something to read ends now.
    private func ends(_ client: Client) async throws -> [Int32: Int64] {
        let description = try await client.topic(topic)
        let cursors = group == nil ? [] : try await client.subscriptions(of: topic).first { $0.name == group }?.cursors ?? []
        var ends: [Int32: Int64] = [:]
        for partition in description.partitions {
            // A failed log ends where its last flush did; nothing behind is shown.
            let end = partition.fault == nil ? partition.end : partition.flushed
            var begin = partition.start
            if let cursor = cursors.first(where: { $0.partition == partition.index }) {
                begin = max(begin, cursor.floor)
            } else {
                switch start {
                case .earliest: break
                case .latest: begin = end
                case .offset(let offset): begin = max(begin, offset)
                case .time:
                    let found = try? await client.findOffset(topic: topic, partition: partition.index, at: start)
                    begin = found.map { $0.offset < 0 ? end : $0.offset } ?? end
                }
            }
            if begin < end { ends[partition.index] = end }
        }
        return ends
    }

    /// Answers whether nothing came for as long as is allowed.
    private func waitUntilIdle(_ watch: Watch) async -> Bool {
        guard let idle else { return false }
        while !Task.isCancelled {
            let quiet = watch.quiet
            if quiet >= idle { return true }
            try? await Task.sleep(for: idle - quiet)
        }
        return false
    }
}

/// When something last came.
private final class Watch: Sendable {
    private let last = Atomic<UInt64>(Clock.monotonic)
    func touch() { last.store(Clock.monotonic, ordering: .relaxed) }
    var quiet: Duration { .nanoseconds(Int64(clamping: Clock.monotonic &- last.load(ordering: .relaxed))) }
}
