import ConfigFile
import LinuxSystem
import NeedletailClient
import Observability

/// Publishing a source and saying how much was acknowledged.
///
/// Messages are handed to the producer as they come; a flush runs behind them, so that what is counted as acknowledged was
/// acknowledged by the broker, and reading goes on meanwhile.
struct Publishing: Sendable {
    /// Messages that one flush covers at most.
    private static let flushAfter = 20_000
    /// How long what was read may take to be acknowledged when the user wants to stop.
    private static let stopWithin: Duration = .seconds(5)

    let invocation: Invocation
    let topic: String
    var resume: ResumeFile?

    init(_ invocation: Invocation, topic: String, resume: ResumeFile? = nil) {
        self.invocation = invocation
        self.topic = topic
        self.resume = resume
    }

    func run(_ source: MessageSource) async throws -> ExitCode {
        let begin = Clock.monotonic
        // A followed file has no end, and neither has the patience with the broker.
        var giveUpAfter: Duration? = .seconds(60)
        if case .follow = source { giveUpAfter = nil }
        return try await invocation.withClient(giveUpAfter: giveUpAfter) { client in
            try await createIfAsked(client)
            let producer = try await producer(client)
            let impatience = Task { await endWhenStopTakesLong() }
            defer {
                impatience.cancel()
                invocation.stop.release()
            }
            let reader = MessageReader(source, stop: invocation.stop)
            let envelope = Envelope(invocation)
            var flushes = Flushes(producer)
            var progress = Progress(invocation.console, isWanted: !invocation.has("json"))
            do {
                while let run = try await reader.next() {
                    for message in run.messages { try await envelope.publish(message, producer) }
                    flushes.took(run)
                    if flushes.pending >= Publishing.flushAfter || run.isPause { try await flushes.turn(resume) }
                    progress.show(flushes.acknowledged)
                }
                try await flushes.finish(resume)
            } catch {
                progress.clear()
                invocation.console.complain("\(Figures.count(flushes.acknowledged)) messages were acknowledged before this:")
                throw error
            }
            progress.clear()
            let seconds = Double(Clock.monotonic - begin) / 1e9
            let count = flushes.acknowledged
            invocation.report(
                "\(Figures.count(count)) \(count == 1 ? "message" : "messages") acknowledged",
                [("topic", .text(topic)), ("acknowledged", .integer(count)), ("bytes", .integer(flushes.bytes)), ("seconds", .real(seconds))])
            return .ok
        }
    }

    private func createIfAsked(_ client: Client) async throws {
        guard invocation.command.options.contains(where: { $0.name == "create" }), invocation.has("create") else { return }
        do { try await client.createTopic(topic) } catch { if !error.isAlreadyThere { throw error } }
    }

    private func producer(_ client: Client) async throws(ClientError) -> Producer {
        var options = ProducerOptions()
        options.durability = invocation.durability ?? .none
        guard invocation.command.name == "produce" else { return try await client.producer(topic: topic, options) }
        if let batch = invocation.size("batch") { options.batchBytes = batch.bytes }
        if let linger = invocation.duration("linger") { options.linger = linger }
        return invocation.has("exchange") ? try await client.producer(exchange: topic, options) : try await client.producer(topic: topic, options)
    }

    private func endWhenStopTakesLong() async {
        await invocation.stop.wait()
        try? await Task.sleep(for: Publishing.stopWithin)
        guard !Task.isCancelled else { return }
        invocation.console.complain("needletail \(invocation.command.name): the broker did not acknowledge everything within \(Publishing.stopWithin)")
        Process.exit(.failure)
    }
}

/// What all messages of one run have in common, looked up once.
private struct Envelope {
    private let key: [UInt8]?
    private let headers: [Header]
    private var partition: Int32?
    private var routingKey = ""

    init(_ invocation: Invocation) {
        key = invocation.text("key").map { Array($0.utf8) }
        headers = invocation.headers
        guard invocation.command.name == "produce" else { return }
        partition = invocation.integer("partition").map { Int32($0) }
        routingKey = invocation.text("routing-key") ?? ""
    }

    func publish(_ message: [UInt8], _ producer: Producer) async throws(ClientError) {
        try await producer.enqueue(message, key: key, headers: headers, partition: partition, routingKey: routingKey)
    }
}

/// What was handed over, what is being flushed, and what was acknowledged. One flush runs at a time, behind the messages.
private struct Flushes {
    private let producer: Producer
    private(set) var pending = 0
    private(set) var acknowledged: Int64 = 0
    private(set) var bytes: Int64 = 0
    private var place: FileFollower.Place?
    private var running: (task: Task<Void, any Error>, count: Int, place: FileFollower.Place?)?

    init(_ producer: Producer) { self.producer = producer }

    mutating func took(_ run: MessageRun) {
        pending += run.messages.count
        for message in run.messages { bytes += Int64(message.count) }
        place = run.place ?? place
    }

    /// Waits for the flush before and starts the next.
    mutating func turn(_ resume: ResumeFile?) async throws {
        if let running {
            self.running = nil
            try await running.task.value
            acknowledged += Int64(running.count)
            if let place = running.place, running.count > 0 { try resume?.write(place) }
        }
        guard pending > 0 else { return }
        let producer = producer
        running = (Task { try await producer.flush() }, pending, place)
        pending = 0
    }

    mutating func finish(_ resume: ResumeFile?) async throws {
        try await turn(resume)
        try await turn(resume)
        try await producer.close()
    }
}

/// One line on a terminal that tells how it goes, about once a second.
private struct Progress {
    private let console: Console
    private let isWanted: Bool
    private var last = Clock.monotonic
    private var lastCount: Int64 = 0
    private var isShown = false

    init(_ console: Console, isWanted: Bool) {
        self.console = console
        self.isWanted = isWanted && console.errorsAreTerminal
    }

    mutating func show(_ count: Int64) {
        guard isWanted else { return }
        let now = Clock.monotonic
        let seconds = Double(now - last) / 1e9
        guard seconds >= 1 else { return }
        let rate = Int64(Double(count - lastCount) / seconds)
        console.overwrite("\(Figures.count(count)) messages acknowledged, \(Figures.count(rate))/s")
        (last, lastCount, isShown) = (now, count, true)
    }

    mutating func clear() {
        if isShown { console.overwrite("") }
        isShown = false
    }
}
