import LinuxSystem
import NativeCodec
import Observability

extension Command {
    static let benchIngest = bench(
        .ingest, "Measure acknowledged publishes.",
        [
            Example("needletail bench ingest --size 100 --durability group", "a broker of its own, 5 seconds"),
            Example("needletail bench ingest --durability none --durability group --json", "two runs, for a program"),
        ])
    static let benchStream = bench(
        .stream, "Measure messages through the broker, each verified by its sequence.",
        [Example("needletail bench stream --size 1024 --consumers 2", "every consumer gets every message")])
    static let benchLatency = bench(
        .latency, "Measure the way from publisher to consumer at a fixed rate, from the intended send time.",
        [
            Example("needletail bench latency --rate 10000 --size 128", "beside a raw TCP echo at the same rate"),
            Example("needletail bench latency --server 127.0.0.1:7227", "a broker that runs already"),
        ])

    private static func bench(_ workload: BenchSettings.Workload, _ summary: String, _ examples: [Example]) -> Command {
        let isLatency = workload == .latency
        return Command(
            path: ["bench", workload.rawValue], summary: summary,
            options: [
                .value("server", "ADDRESS", .address, "Measure this broker instead of one that is started for the purpose.", variable: "NEEDLETAIL_SERVER"),
                .value("size", "SIZE", .size, "Bytes of a message, at least \(BenchSettings.leastSize).", fallback: isLatency ? "128" : "100"),
                .value("rate", "COUNT", .integer(1...100_000_000), "Messages a second over all producers.", fallback: isLatency ? "10000" : "no limit"),
                .value("seconds", "COUNT", .integer(1...86_400), "How long to send.", fallback: "5"),
                .value("messages", "COUNT", .integer(1...10_000_000_000), "Stop after so many."),
                .value("batch", "COUNT", .integer(1...100_000), "Messages in a record batch.", fallback: isLatency ? "1" : "500"),
                .value("window", "COUNT", .integer(1...60_000), "Batches in flight for each producer.", fallback: isLatency ? "10000" : "16"),
                .value(
                    "durability", "MODE", .choice(["none", "interval", "group", "each"]), "What an acknowledgement promises; one run for each.",
                    fallback: "group", isRepeated: true),
                .value("producers", "COUNT", .integer(1...64), "Connections that publish, each to its partition.", fallback: "1"),
                .value("consumers", "COUNT", .integer(0...64), "Connections that read.", fallback: workload == .ingest ? "0" : "1"),
                .flag("json", short: "j", "Print one JSON object for each run."),
            ],
            examples: examples,
            notes: [
                "Starts `needletail serve` on a free port with a temporary data directory, unless --server names a broker. Exit code 1 when a message "
                    + "was lost, duplicated or out of order. Numbers of a debug build mean nothing."
            ],
            run: .inTask { invocation in try Bench.run(workload, invocation) })
    }
}
