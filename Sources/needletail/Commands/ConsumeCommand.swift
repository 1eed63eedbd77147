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
            .flag("follow", "Go on when everything was read, and wait for more."),
            .value("max", short: "n", "COUNT", .integer(1...Int.max), "End after so many messages."),
            .value("idle", "TIME", .duration, "End when nothing has come for so long.", fallback: "with --group and without --follow 5 s"),
            MessageFormat.option,
        ] + ClientFlags.common,
        examples: [
            Example("needletail consume orders", "what is there now"),
            Example("needletail consume orders --from latest --follow", "what comes from now on"),
            Example("needletail consume orders --group billing --follow --json", "as a member of a group that remembers its place"),
            Example("needletail consume orders --from 2026-11-21T12:00:00Z --max 10", "the first ten since noon"),
        ],
        notes: [
            "With --group the place moves behind what was printed. A member of the group that reads the same partitions has precedence; this one stands by.",
            "SIGINT and SIGTERM end it in order, with what was printed committed.",
        ],
        run: .inTask { invocation in
            var reading = Reading(invocation, topic: invocation.argument("TOPIC") ?? "")
            reading.start = try StartPosition(text: invocation.text("from") ?? "earliest")
            reading.group = invocation.text("group")
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
    /// Otherwise the end is where the topic ended at the beginning.
    var follows = false
    var most: Int?
    var idle: Duration?

    init(_ invocation: Invocation, topic: String) {
        self.invocation = invocation
        self.topic = topic
    }

    func run(_ client: Client) async throws -> ExitCode {
        let ends = follows ? [:] : try await ends(client)
        if !follows, ends.isEmpty { return .ok }
        let consumer = try await client.consumer(topic: topic, group: group, from: start)
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
            if group != nil { try await consumer.commit(last, isOver ? .durable : .none) }
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
