import ConfigFile
import LinuxSystem
import ShardRuntime

/// The options by which a broker's configuration is given on the command line: `serve` and `config` take the same.
enum ServerOptions {
    /// Where the file is looked for when nobody names one.
    static let defaultFile = "/etc/needletail/needletail.yaml"
    /// Variables that begin as the configuration's do and belong to others.
    static let otherVariables = ["NEEDLETAIL_CONFIG", "NEEDLETAIL_SERVER"]

    static let file = Option.value(
        "config", short: "c", "FILE", .file, "The configuration file.", fallback: "\(defaultFile) where it exists", variable: "NEEDLETAIL_CONFIG")

    /// Each with the key that it stands above.
    static let keys: [(option: Option, path: String)] = [
        (.value("data", short: "d", "DIR", .directory, "Where everything is kept."), "data"),
        (
            .value("listen", short: "l", "PROTOCOL=ADDRESS", .pair, "Listen there, instead of the file's listeners: native=127.0.0.1:7227.", isRepeated: true),
            "listeners"
        ),
        (.value("driver", "DRIVER", .choice(["auto", "io_uring", "epoll"]), "How to talk to the kernel."), "driver"),
        (.value("shards", "COUNT", .text, "How many threads share the work; auto: as there are cores."), "shards"),
        (.value("wait", "MODE", .choice(WaitPolicy.Mode.allCases.map(\.rawValue)), "What a shard does that has nothing to do."), "wait"),
        (.value("spin", "DURATION", .duration, "How long it looks for more work before it sleeps, when it waits adaptively."), "spin"),
        (.flag("pin", "Keep each shard on a core of its own."), "pin"),
        (.value("durability", "MODE", .choice(["none", "interval", "group", "each"]), "Of topics that do not say otherwise."), "topics.durability"),
        (.value("log-level", "LEVEL", .choice(["debug", "info", "warn", "error"]), "The least that is logged."), "log.level"),
        (.value("log-format", "FORMAT", .choice(["logfmt", "json"]), "How log lines look."), "log.format"),
    ]

    static var all: [Option] { [file] + keys.map(\.option) }

    /// The document that the command line asks for: its file, the environment above it, its flags on top.
    static func document(_ invocation: Invocation, file named: String? = nil) throws(CommandFailure) -> ConfigDocument {
        let overlay = ConfigOverlay(environment: invocation.environment, flags: flags(invocation))
        let named = named ?? invocation.text("config")
        guard let path = named ?? (FileSystem.exists(defaultFile) ? defaultFile : nil) else { return ConfigDocument(overlay: overlay) }
        do {
            return ConfigDocument(try TextFile.bytes(path, most: YAMLTree.Bounds.bytes), path: path, overlay: overlay)
        } catch {
            throw CommandFailure(.configuration, "cannot read \(quoted(path)): \(error)")
        }
    }

    /// The configuration in force. Faults are complained about in one report.
    static func config(_ document: ConfigDocument, _ invocation: Invocation) throws(CommandFailure) -> ServerConfig {
        let surroundings = ServerConfig.Surroundings(isRoot: SystemLimits.isRoot, environment: invocation.environment)
        do {
            let config = try ServerConfig(document, surroundings: surroundings)
            for warning in document.overlay.unknownVariables(others: otherVariables) { invocation.console.complain("warning: \(warning)") }
            return config
        } catch {
            invocation.console.complain(error.description)
            throw CommandFailure(
                .configuration, error.faults.count == 1 ? "the configuration has a fault" : "the configuration has \(error.faults.count) faults")
        }
    }

    private static func flags(_ invocation: Invocation) -> [ConfigOverlay.Flag] {
        keys.compactMap { option, path in
            guard invocation.has(option.name) else { return nil }
            return ConfigOverlay.Flag(name: option.flag, path: path, values: option.kind == nil ? ["true"] : invocation.texts(option.name))
        }
    }
}
