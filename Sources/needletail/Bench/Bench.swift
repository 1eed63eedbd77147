import ConfigFile
import LinuxSystem
import NativeCodec
import Observability

/// `needletail bench`: a broker (its own, or one that runs), a topic, a run, a raw echo beside it, a report.
enum Bench {
    static func run(_ workload: BenchSettings.Workload, _ invocation: Invocation) throws -> ExitCode {
        var durabilities = invocation.texts("durability")
        if durabilities.isEmpty { durabilities = ["group"] }
        var isFaultless = true
        for (number, durability) in durabilities.enumerated() where !invocation.stop.isSet {
            let result = try measure(workload, Bench.durability(durability), invocation)
            isFaultless = isFaultless && result.isFaultless
            if invocation.has("json") {
                invocation.console.print(result.json.description)
            } else {
                invocation.console.print((number > 0 ? "\n" : "") + result.text(invocation.console.style), terminator: "")
            }
        }
        return isFaultless ? .ok : .failure
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
        let broker = try named == nil ? BenchBroker(["--log-level", "warn"]) : nil
        defer { broker?.end() }
        let settings = settings(workload, durability, named ?? broker?.address ?? .native, invocation)
        progress("\(workload.rawValue): \(settings.size) B, broker at \(settings.server)", invocation)

        var connection = try BenchConnection.open(settings.server)
        let created = try connection.call(
            Frame.CreateTopic(name: settings.topic, options: Frame.TopicOptions(partitions: Int32(settings.producers), durability: durability)),
            Frame.Topics.self)
        guard let topic = created.elements.first?.id else { throw CommandFailure(.failure, "the broker made no topic") }

        let run = BenchRun(settings, topic: topic, stop: invocation.stop)
        var (before, after): (Double?, Double?)
        try run.run(
            atStart: { before = broker.flatMap { ChildProcess.processorSeconds(of: $0.identifier) } },
            atEnd: { after = broker.flatMap { ChildProcess.processorSeconds(of: $0.identifier) } })
        let stored = try connection.call(Frame.DescribeTopic(name: settings.topic), Frame.Topics.self).elements.first?.partitions
        let end = Int(stored?.reduce(0) { $0 + $1.end } ?? 0)
        if broker == nil { _ = try connection.call(Frame.DeleteTopic(name: settings.topic), Frame.OK.self) }

        progress("raw TCP echo", invocation)
        let echo = try BenchEcho.latency(size: settings.size, rate: settings.rate ?? 10_000, seconds: min(2, settings.seconds))
        let echoBytes = workload == .latency ? nil : try BenchEcho.throughput(pieceBytes: settings.size * settings.batch, seconds: 1)
        return result(run, broker: zip(before, after).map { $1 - $0 }, stored: end, echo, echoBytes)
    }

    private static func zip(_ first: Double?, _ second: Double?) -> (Double, Double)? {
        if let first, let second { (first, second) } else { nil }
    }

    private static func settings(
        _ workload: BenchSettings.Workload, _ durability: Frame.Durability, _ server: ServerAddress, _ invocation: Invocation
    ) -> BenchSettings {
        let isLatency = workload == .latency
        let size = invocation.size("size").map { Int($0.bytes) } ?? (isLatency ? 128 : 100)
        return BenchSettings(
            workload: workload, server: server, size: max(BenchSettings.leastSize, min(size, 1 << 20)),
            rate: invocation.integer("rate") ?? (isLatency ? 10_000 : nil), seconds: Double(invocation.integer("seconds") ?? 5),
            messages: invocation.integer("messages"), batch: invocation.integer("batch") ?? (isLatency ? 1 : 500),
            window: invocation.integer("window") ?? (isLatency ? 10_000 : 16), durability: durability, producers: invocation.integer("producers") ?? 1,
            consumers: invocation.integer("consumers") ?? (workload == .ingest ? 0 : 1), topic: "bench-\(Clock.monotonic)")
    }

    private static func result(_ run: BenchRun, broker: Double?, stored: Int, _ echo: HistogramSnapshot, _ echoBytes: Double?) -> BenchResult {
        let settings = run.settings
        var (acknowledged, delivered) = (HistogramSnapshot(), HistogramSnapshot())
        for histogram in run.acknowledged { acknowledged.merge(histogram.snapshot()) }
        for histogram in run.delivered { delivered.merge(histogram.snapshot()) }
        let seen = run.seen
        let sent = run.messages
        let hasConsumers = settings.consumers > 0
        return BenchResult(
            settings: settings, messages: sent, seconds: run.seconds, latency: hasConsumers ? delivered : acknowledged, acknowledged: acknowledged,
            serverSeconds: broker, lost: max(0, hasConsumers ? sent * settings.consumers - seen.received : sent - stored),
            duplicated: seen.duplicated + max(0, stored - sent), outOfOrder: seen.outOfOrder, echo: echo,
            echoPerSecond: echoBytes.map { $0 / Double(settings.size) })
    }

    /// For people who wait; programs read standard output only.
    private static func progress(_ text: String, _ invocation: Invocation) {
        if invocation.console.isTerminal { invocation.console.complain(text + " …") }
    }
}
