/// Every command of the program. Adding one is a file in Commands/ and a line here.
extension CommandList {
    static let needletail: CommandList = CommandList(
        program: "needletail",
        summary: "a message broker: logs, queues and pub/sub in one engine",
        version: Program.version,
        groups: [],
        commands: [
            .completion
        ])
}
