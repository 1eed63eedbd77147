import ConfigFile
import Observability

extension Command {
    static let configCheck = Command(
        path: ["config", "check"],
        summary: "Check a configuration file and report everything that is wrong with it.",
        arguments: [.optional("FILE", "The file to check, instead of --config.", .file)],
        options: ServerOptions.all + [.flag("quiet", short: "q", "Say nothing when all is well.")],
        examples: [
            Example("needletail config check needletail.yaml", "before a restart"),
            Example("needletail config check --listen native=0.0.0.0:7227", "would these flags be accepted?"),
        ],
        notes: ["Ends with 6 when there are faults, each as FILE:LINE:COLUMN: KEY: what is wrong; what is allowed."],
        run: .onMainThread { invocation in
            let document = try ServerOptions.document(invocation, file: invocation.argument("FILE"))
            let config = try ServerOptions.config(document, invocation)
            guard !invocation.has("quiet") else { return .ok }
            let name = invocation.argument("FILE") ?? invocation.text("config") ?? "the configuration"
            let said = config.effective.count { $0.source != .builtIn }
            invocation.console.print("\(name) is well: \(said) of \(config.effective.count) keys are set, the others have their defaults")
            return .ok
        })

    static let configPrint = Command(
        path: ["config", "print"],
        summary: "Show the configuration in force, each value with where it was said: default, file, environment or flag.",
        options: ServerOptions.all + [.flag("json", "As JSON, one object per key.")],
        examples: [
            Example("needletail config print", "what would `needletail serve` use?"),
            Example("needletail config print --config needletail.yaml --durability each", "with a file and a flag"),
        ],
        notes: ["The output is a configuration file itself. Flags win over the environment (NEEDLETAIL_TOPICS_DURABILITY), which wins over the file."],
        run: .onMainThread { invocation in
            let document = try ServerOptions.document(invocation)
            let config = try ServerOptions.config(document, invocation)
            guard invocation.has("json") else {
                invocation.console.print(ServerConfig.yaml(document.root), terminator: "")
                return .ok
            }
            for value in config.effective {
                let source = JSON.text(value.source.description)
                invocation.console.print(JSON.object([("key", .text(value.path)), ("value", .text(value.text)), ("source", source)]).description)
            }
            return .ok
        })
}
