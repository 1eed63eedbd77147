import LinuxSystem
import NativeCodec
import Observability
import ShardRuntime

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

    static let benchFanout = bench(
        .fanout, "Measure one publisher and many readers, each of whom gets every message.",
        [Example("needletail bench fanout --consumers 8 --durability none", "delivered messages a second, over all readers")])
    static let benchQueue = bench(
        .queue, "Measure competing consumers, who settle each message that they get.",
        [Example("needletail bench queue --consumers 4", "each message to one of four")])
    static let benchCatchup = bench(
        .catchup, "Measure how fast a stored backlog is read.",
        [Example("needletail bench catchup --size 1024 --messages 10000000", "10 GiB from the page cache")])

    private static func bench(_ workload: BenchSettings.Workload, _ summary: String, _ examples: [Example]) -> Command {
        let isLatency = workload == .latency
        return Command(
            path: ["bench", workload.rawValue], summary: summary,
            options: [
                .value("server", "ADDRESS", .address, "Measure this broker instead of one that is started for the purpose.", variable: "NEEDLETAIL_SERVER"),
                .value("size", "SIZE", .size, "Bytes of a message, at least \(BenchSettings.leastSize).", fallback: String(workload.defaultSize)),
                .value("rate", "COUNT", .integer(1...100_000_000), "Messages a second over all producers.", fallback: isLatency ? "10000" : "no limit"),
                .value("seconds", "COUNT", .integer(1...86_400), "How long to send.", fallback: workload == .catchup ? "until all is stored" : "5"),
                .value("messages", "COUNT", .integer(1...10_000_000_000), "Stop after so many.", fallback: workload == .catchup ? "2 GiB of them" : nil),
                .value("batch", "COUNT", .integer(1...100_000), "Messages in a record batch.", fallback: isLatency ? "1" : "500"),
                .value("window", "COUNT", .integer(1...60_000), "Batches in flight for each producer.", fallback: isLatency ? "10000" : "16"),
                .value(
                    "durability", "MODE", .choice(["none", "interval", "group", "each"]), "What an acknowledgement promises; one run for each.",
                    fallback: "group", isRepeated: true),
                .value("producers", "COUNT", .integer(1...64), "Connections that publish, each to its partition.", fallback: "1"),
                .value(
                    "consumers", "COUNT", .integer((workload == .ingest || workload == .stream ? 0 : 1)...64), "Connections that read.",
                    fallback: String(workload.defaultConsumers)),
                .value("transport", "KIND", .choice(["tcp", "unix", "shm"]), "How to reach the broker; shm: shared memory.", fallback: "tcp"),
                .value("data", "DIR", .directory, "Where its own broker keeps its data while it runs.", fallback: "$TMPDIR, else /tmp"),
                .value(
                    "wait", "MODE", .choice(WaitPolicy.Mode.allCases.map(\.rawValue)), "What its own broker does that has nothing to do.", fallback: "sleep"),
                .value(
                    "spin", "DURATION", .duration, "How long the generator, and its own broker if that is adaptive, look for more before they sleep.",
                    fallback: "0 s"),
                .flag("together", "One thread publishes and reads in turn, and never sleeps."),
                .value("warm", "SIZE", .size, "Touch and free so much memory before, for pages that the machine has.", fallback: "0 B"),
                .flag("syscalls", "Count the broker's system calls, by perf; where that may not trace, say so."),
                .flag("no-echo", "Leave out the raw TCP echo and the relay that are measured after each run."),
                .value("percentiles", "FILE", .file, "Write the distribution of the latencies there, as HdrHistogram does."),
                .value("plot", "FILE", .file, "Draw it there, as an SVG."),
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
