/// Every command of the program. Adding one is a file in Commands/ and a line here.
extension CommandList {
    static let needletail: CommandList = CommandList(
        program: "needletail",
        summary: "a message broker: logs, queues and pub/sub in one engine",
        version: Program.version,
        groups: [
            Group(name: "config", summary: "Check a configuration, or show the one in force.")
        ],
        commands: [
            .serve,
            .configCheck,
            .configPrint,
            .completion,
        ])
}
