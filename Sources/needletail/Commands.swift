/// Every command of the program. Adding one is a file in Commands/ and a line here.
extension CommandList {
    static let needletail: CommandList = CommandList(
        program: "needletail",
        summary: "a message broker: logs, queues and pub/sub in one engine",
        version: Program.version,
        groups: [
            Group(name: "config", summary: "Check a configuration, or show the one in force."),
            Group(name: "bench", summary: "Measure a broker: throughput, latency, processor time."),
        ],
        commands: [
            .serve,
            .configCheck,
            .configPrint,
            .benchIngest,
            .benchStream,
            .benchLatency,
            .completion,
        ])
}
