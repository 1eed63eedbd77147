/// One command: its table (what it takes) and what it does. Everything that is said about a command is made from this value.
struct Command: Sendable {
    typealias Work = @Sendable (Invocation) throws -> ExitCode
    typealias AsyncWork = @Sendable (Invocation) async throws -> ExitCode

    enum Run: Sendable {
        /// On the main thread, which then owns the process and its signals: `serve`.
        case onMainThread(Work)
        /// In a task, while the main thread waits for signals. The first SIGINT or SIGTERM asks it to finish (`Invocation.stop`).
        case inTask(AsyncWork)
    }

    struct Example: Sendable {
        var line: String
        var what: String
        init(_ line: String, _ what: String) {
            self.line = line
            self.what = what
        }
    }

    /// `["topic", "create"]`.
    var path: [String]
    /// One line, for lists.
    var summary: String
    var arguments: [Argument] = []
    var options: [Option] = []
    var examples: [Example] = []
    /// Paragraphs below the options.
    var notes: [String] = []
    var run: Run

    var name: String { path.joined(separator: " ") }

    /// What every command takes.
    static let help = Option.flag("help", short: "h", "Show this help.")

    var allOptions: [Option] { options + [Command.help] }
}

/// All commands, and the words that only group others.
struct CommandList: Sendable {
    struct Group: Sendable {
        var name: String
        var summary: String
    }

    var program: String
    var summary: String
    var version: String
    var groups: [Group]
    var commands: [Command]

    /// What may stand behind `path`: the next words of all commands that begin so.
    func words(after path: [String]) -> [(name: String, summary: String)] {
        var found: [(name: String, summary: String)] = []
        // By number: a command is a large value to copy for the look at its path.
        for number in commands.indices where commands[number].path.count > path.count && commands[number].path.starts(with: path) {
            let word = commands[number].path[path.count]
            guard !found.contains(where: { $0.name == word }) else { continue }
            let isLeaf = commands[number].path.count == path.count + 1
            found.append((word, isLeaf ? commands[number].summary : groups.first { $0.name == word }?.summary ?? ""))
        }
        return found
    }
}

/// What the shell is told. Scripts may rely on it; docs/cli.md lists it.
struct ExitCode: RawRepresentable, Equatable, Sendable {
    var rawValue: Int32
    init(rawValue: Int32) { self.rawValue = rawValue }

    static let ok = ExitCode(rawValue: 0)
    /// Something failed; the message says what.
    static let failure = ExitCode(rawValue: 1)
    /// The command line was not understood.
    static let usage = ExitCode(rawValue: 2)
    /// No broker answers at the address.
    static let cannotConnect = ExitCode(rawValue: 3)
    /// The broker understood and refused: an unknown topic, a limit.
    static let refused = ExitCode(rawValue: 4)
    /// `log verify` found damage.
    static let damaged = ExitCode(rawValue: 5)
    /// The configuration has faults.
    static let configuration = ExitCode(rawValue: 6)

    static let table: [(code: ExitCode, meaning: String)] = [
        (.ok, "done"), (.failure, "failed; the message says why"), (.usage, "the command line was not understood"),
        (.cannotConnect, "no broker answers at the address"), (.refused, "the broker refused the request"), (.damaged, "damaged data was found"),
        (.configuration, "the configuration has faults"),
    ]
}

/// Ends a command with a sentence for people and a code for scripts.
struct CommandFailure: Error, Equatable {
    var code: ExitCode
    var message: String
    init(_ code: ExitCode = .failure, _ message: String) {
        self.code = code
        self.message = message
    }
}
