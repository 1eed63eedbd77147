import ConfigFile
import LinuxSystem
import NativeCodec
import Observability

/// `needletail bench`: a broker (its own, or one that runs), a topic, a run, a raw echo beside it, a report.
enum Bench {
    static func run(_ workload: BenchSettings.Workload, _ invocation: Invocation) throws -> ExitCode {
        var durabilities = invocation.texts("durability")
        if durabilities.isEmpty { durabilities = ["group"] }
        if durabilities.count > 1, let option = ["percentiles", "plot"].first(where: invocation.has) {
            throw CommandFailure(.usage, "--\(option) is for one run: name one --durability")
        }
        if invocation.has("together"), (invocation.integer("producers") ?? 1) != 1 || (invocation.integer("consumers") ?? 1) != 1 {
            throw CommandFailure(.usage, "--together is one producer and one consumer")
        }
        var isFaultless = true
        for (number, durability) in durabilities.enumerated() where !invocation.stop.isSet {
            let result = try measure(workload, Bench.durability(durability), invocation)
            isFaultless = isFaultless && result.isFaultless
            try write(result, invocation)
            if invocation.has("json") {
                invocation.console.print(result.json.description)
            } else {
                invocation.console.print((number > 0 ? "\n" : "") + result.text(invocation.console.style), terminator: "")
            }
        }
        return isFaultless ? .ok : .failure
    }

    /// The distribution of the latencies, where a file for it is named.
    private static func write(_ result: BenchResult, _ invocation: Invocation) throws(CommandFailure) {
        let settings = result.settings
        let title = "\(settings.workload.rawValue), \(settings.size) B, durability \(result.durability): latency from the intended send time"
        let percentiles = BenchPercentiles(histogram: result.latency).text
        let curves = [("needletail", "#1f6feb", result.latency), ("relay", "#6b7785", result.relay), ("raw TCP echo", "#b4bdc6", result.echo)]
        let plot = BenchPlot(title: title, curves: curves.filter { $0.2.count > 0 }).svg
        for (option, text) in [("percentiles", percentiles), ("plot", plot)] {
            guard let path = invocation.text(option) else { continue }
            do { try TextFile.replace(path, with: text) } catch { throw CommandFailure(.failure, "cannot write \(quoted(path)): \(error)") }
        }
    }

    private static func durability(_ name: String) -> Frame.Durability {
        switch name {
        case "none": .none
        case "interval": .interval
        case "each": .each
        default: .group
        }
    }

    private static func measure(
        _ workload: BenchSettings.Workload, _ durability: Frame.Durability, _ invocation: Invocation
    ) throws -> BenchResult {
        let named = try invocation.text("server").map { text throws(CommandFailure) in
            guard let address = ServerAddress(text) else { throw CommandFailure(.usage, "\(text) is no address") }
            return address
        }
        // A fresh broker for each run: no run is measured with the files of another.
        let broker = try named == nil ? BenchBroker(on: transport(invocation), in: place(invocation), words(invocation)) : nil
        // Ended before the echo: one that never sleeps would take a core from it.
        var isRunning = broker != nil
        defer { if isRunning { broker?.end() } }
        let settings = settings(workload, durability, named ?? broker?.address ?? .native, invocation)
        progress("\(workload.rawValue): \(settings.size) B, broker at \(settings.server)", invocation)

        var connection = try BenchConnection.open(settings.server)
        let created = try connection.call(
            Frame.CreateTopic(name: settings.topic, options: Frame.TopicOptions(partitions: Int32(settings.producers), durability: durability)),
            Frame.Topics.self)
        guard let topic = created.elements.first?.id else { throw CommandFailure(.failure, "the broker made no topic") }

        if let size = invocation.size("warm") {
            progress("warming", invocation)
            warm(Int(size.bytes))
        }
        let run = BenchRun(settings, topic: topic, stop: invocation.stop)
        var (before, after, memory): (Double?, Double?, ChildProcess.Memory?)
        var (counter, systemCalls): (BenchSyscalls?, Int?)
        try run.run(
            atStart: {
                if invocation.has("syscalls") { counter = broker.flatMap { BenchSyscalls(of: $0.identifier) } }
                before = broker.flatMap { ChildProcess.processorSeconds(of: $0.identifier) }
            },
            atEnd: {
                after = broker.flatMap { ChildProcess.processorSeconds(of: $0.identifier) }
                memory = broker.flatMap { ChildProcess.memory(of: $0.identifier) }
                systemCalls = counter?.end()
            })
        if invocation.has("syscalls"), systemCalls == nil {
            invocation.console.complain("system calls are not counted: that needs a broker of its own, perf, and the right to trace (root)")
        }
        let stored = try connection.call(Frame.DescribeTopic(name: settings.topic), Frame.Topics.self).elements.first?.partitions
        let end = Int(stored?.reduce(0) { $0 + $1.end } ?? 0)
        if broker == nil { _ = try connection.call(Frame.DeleteTopic(name: settings.topic), Frame.OK.self) }

        broker?.end()
        isRunning = false
        var measured = result(run, broker: zip(before, after).map { $1 - $0 }, memory, stored: end)
        measured.serverSystemCalls = systemCalls
        if !invocation.has("no-echo") { try measureLimits(of: &measured, invocation) }
        return measured
    }

    /// What this machine could do with no broker between, and with the least that a broker does.
    private static func measureLimits(of result: inout BenchResult, _ invocation: Invocation) throws {
        let settings = result.settings
        // Whoever stays awake in the run does so here.
        let waiting: Socket.Blocking = settings.isTogether || settings.wait == "spin" ? .nonblocking : .blocking
        func latency(_ route: BenchRoute) throws -> HistogramSnapshot {
            let (rate, seconds) = (settings.rate ?? 10_000, min(2, settings.seconds))
            return settings.isTogether
                ? try BenchEcho.latencyAwake(over: route, size: settings.size, rate: rate, seconds: seconds)
                : try BenchEcho.latency(over: route, size: settings.size, rate: rate, seconds: seconds)
        }
        progress("raw TCP echo", invocation)
        result.echo = try latency(.echo(waiting))
        if settings.workload != .latency {
            result.echoPerSecond = try BenchEcho.throughput(pieceBytes: settings.size * settings.batch, seconds: 1) / Double(settings.size)
            return
        }
        progress("relay", invocation)
        let flushes = settings.durability == .group || settings.durability == .each
        do {
            result.relay = try latency(.relay(waiting, in: place(invocation), flushes: flushes))
        } catch {
            invocation.console.complain("the relay is not measured: \(error)")
        }
    }

    /// Where a broker of its own keeps its data.
    private static func place(_ invocation: Invocation) -> String {
        if let named = invocation.text("data") { return named }
        let usual = invocation.environment["TMPDIR"] ?? ""
        return usual.isEmpty ? "/tmp" : usual
    }

    /// How a broker of its own is started.
    private static func words(_ invocation: Invocation) -> [String] {
        var words = ["--log-level", "error"]
        for option in ["wait", "spin"] { if let text = invocation.text(option) { words += ["--\(option)", text] } }
        return words
    }

    /// Touches so much memory and gives it back, so that the log's pages are ones that the machine has: on a virtual one the first touch of a page
    /// may cost more than everything else that is done for a message.
    private static func warm(_ bytes: Int) {
        let memory = [UInt8](repeating: 1, count: bytes)
        // What nobody looks at need not be made.
        precondition(bytes == 0 || memory[bytes - 1] == 1)
    }

    private static func zip(_ first: Double?, _ second: Double?) -> (Double, Double)? {
        if let first, let second { (first, second) } else { nil }
    }

    private static func settings(
        _ workload: BenchSettings.Workload, _ durability: Frame.Durability, _ server: ServerAddress, _ invocation: Invocation
    ) -> BenchSettings {
        let isLatency = workload == .latency
        let size = max(BenchSettings.leastSize, min(invocation.size("size").map { Int($0.bytes) } ?? workload.defaultSize, 1 << 20))
        // A backlog is bounded by what it holds, not by time.
        let isBacklog = workload == .catchup
        let messages = invocation.integer("messages") ?? (isBacklog ? BenchSettings.backlogBytes / size : nil)
        var settings = BenchSettings(
            workload: workload, server: server, size: size, rate: invocation.integer("rate") ?? (isLatency ? 10_000 : nil),
            seconds: isBacklog ? 86_400 : Double(invocation.integer("seconds") ?? 5), messages: messages,
            batch: invocation.integer("batch") ?? (isLatency ? 1 : 500),
            window: invocation.integer("window") ?? (isLatency ? 10_000 : 16), durability: durability, producers: invocation.integer("producers") ?? 1,
            consumers: invocation.integer("consumers") ?? workload.defaultConsumers, topic: "bench-\(Clock.monotonic)")
        settings.transport = transport(invocation)
        settings.wait = invocation.text("wait")
        settings.spinNanoseconds = invocation.duration("spin").map { UInt64(clamping: $0.nanoseconds) } ?? 0
        settings.isTogether = invocation.has("together")
        return settings
    }

    private static func transport(_ invocation: Invocation) -> BenchSettings.Transport {
        if let named: BenchSettings.Transport = invocation.choice("transport") { return named }
        switch invocation.text("server").flatMap({ ServerAddress($0) }) {
        case .unix?: return .unix
        case .sharedMemory?: return .shm
        case .tcp?, nil: return .tcp
        }
    }

    private static func result(_ run: BenchRun, broker: Double?, _ memory: ChildProcess.Memory?, stored: Int) -> BenchResult {
        let settings = run.settings
        var (acknowledged, delivered) = (HistogramSnapshot(), HistogramSnapshot())
        for histogram in run.acknowledged { acknowledged.merge(histogram.snapshot()) }
        for histogram in run.delivered { delivered.merge(histogram.snapshot()) }
        let seen = run.seen
        let sent = run.messages
        let hasConsumers = settings.consumers > 0
        return BenchResult(
            settings: settings, messages: sent, seconds: run.seconds, latency: hasConsumers ? delivered : acknowledged, acknowledged: acknowledged,
            serverSeconds: broker, serverMemory: memory, delivered: seen.received,
            lost: max(0, hasConsumers ? settings.deliveries(of: sent) - seen.received : sent - stored),
            duplicated: seen.duplicated + max(0, stored - sent), outOfOrder: seen.outOfOrder)
    }

    /// For people who wait; programs read standard output only.
    private static func progress(_ text: String, _ invocation: Invocation) {
        if invocation.console.isTerminal { invocation.console.complain(text + " …") }
    }
}
