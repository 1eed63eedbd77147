import Bytes
import LinuxSystem

/// How many system calls a process makes, as `perf stat` counts them: without stopping it, which `strace` does at each.
final class BenchSyscalls: Sendable {
    private let perf: ChildProcess

    /// How long perf may take to find all threads.
    private static let settlingNanoseconds: UInt64 = 500_000_000

    /// Counts from soon after; nil when no process can be started.
    init?(of process: Int32) {
        let words = "exec perf stat --log-fd 1 -x , -e raw_syscalls:sys_enter -p \(process) 2>/dev/null"
        guard let perf = try? ChildProcess(["/bin/sh", "-c", words]) else { return nil }
        self.perf = perf
        Clock.sleep(nanoseconds: BenchSyscalls.settlingNanoseconds)
    }

    /// Ends the count; nil where perf is missing, or may not.
    func end() -> Int? {
        perf.end(.interrupt)
        var output = ByteBuffer()
        while let count = try? perf.read(into: &output), count > 0 {}
        if perf.wait(atMost: 5_000_000_000) == nil { perf.kill() }
        return BenchSyscalls.count(in: String(decodingBytes: output.bytes))
    }

    /// The first field of perf-stat(1)'s line for the event; `<not counted>` and the like are none.
    static func count(in output: String) -> Int? {
        let line = output.split(separator: "\n").first { $0.contains("raw_syscalls:sys_enter") }
        return line?.split(separator: ",").first.flatMap { Int($0) }
    }
}
