import Glibc
import LinuxSystem

/// How the process runs and ends.
enum Process {
    static func exit(_ code: ExitCode) -> Never { Glibc.exit(code.rawValue) }

    /// Runs `body` in a task while the calling thread waits for signals: the first SIGINT or SIGTERM says that the user wants to
    /// finish, the second ends the process at once.
    static func run(stop: StopSignal, _ body: @escaping @Sendable () async -> ExitCode) -> Never {
        let signals: [Signal] = [.interrupt, .terminate]
        // Before the first thread of the concurrency runtime, which inherits the mask.
        try? Signal.block(signals)
        Task.detached { exit(await body()) }
        while true {
            guard Signal.wait(for: signals) != nil else { continue }
            if stop.isSet { exit(ExitCode(rawValue: 130)) }
            stop.set()
        }
    }
}
