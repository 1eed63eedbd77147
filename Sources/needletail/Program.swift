import LinuxSystem
import NeedletailClient

/// The program as a whole: from its words to its exit code.
struct Program {
    static let version = "0.1.0"

    var commands = CommandList.needletail
    var environment: [String: String]
    var console: Console

    static func main() -> Never {
        let environment = Environment.variables()
        let program = Program(environment: environment, console: .standard(environment: environment))
        Process.exit(program.run(Array(CommandLine.arguments.dropFirst())))
    }

    /// - Parameter words: without the program's own name.
    func run(_ words: [String]) -> ExitCode {
        do throws(UsageError) {
            switch try commands.parse(words, environment: environment) {
            case .version:
                console.print("\(commands.program) \(commands.version)")
                return .ok
            case .help(let path):
                console.print(commands.help(path, style: console.style), terminator: "")
                return words.isEmpty ? .usage : .ok
            case .run(let command, let values, let words):
                let invocation = Invocation(command, values: values, words: words, environment: environment, console: console)
                return run(invocation)
            }
        } catch {
            let more = error.command.isEmpty ? commands.program : "\(commands.program) \(error.command)"
            console.complain("\(commands.program): \(error.message)\nTry `\(more) --help`.")
            return .usage
        }
    }

    private func run(_ invocation: Invocation) -> ExitCode {
        switch invocation.command.run {
        case .onMainThread(let work):
            do { return try work(invocation) } catch { return report(error, invocation) }
        case .inTask(let work):
            Process.run(stop: invocation.stop) {
                do { return try await work(invocation) } catch { return report(error, invocation) }
            }
        }
    }

    private func report(_ error: any Error, _ invocation: Invocation) -> ExitCode {
        let failure = error as? CommandFailure ?? (error as? ClientError).map { CommandFailure($0) } ?? CommandFailure(.failure, "\(error)")
        if !failure.message.isEmpty { console.complain("\(commands.program) \(invocation.command.name): \(failure.message)") }
        return failure.code
    }
}
