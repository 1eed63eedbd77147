package import Bytes
internal import CLinux

/// A program that was started by this one, with its standard output on a pipe. It is asked to end when the thread that started it does.
package final class ChildProcess: Sendable {
    package let identifier: Int32
    private let output: File

    /// - Parameter arguments: the path of the program, then its words.
    package init(_ arguments: [String]) throws(Errno) {
        var identifier: Int32 = 0
        var descriptor: Int32 = -1
        let words: [UInt8] = arguments.reduce(into: []) { $0 += Array($1.utf8) + [0] }
        // Safety: the words end with a zero and live through the call, which keeps nothing of them.
        let result = unsafe words.withUnsafeBytes { unsafe sys_spawn($0.baseAddress, $0.count, &identifier, &descriptor) }
        try Errno.check(result)
        self.identifier = identifier
        output = File(descriptor: descriptor)
    }

    /// Waits for the next bytes of its output; 0 when it has closed it.
    package func read(into buffer: inout ByteBuffer) throws(Errno) -> Int { try output.read(upTo: 4_096, into: &buffer) }

    package func end(_ signal: Signal) { sys_kill(identifier, signal.rawValue) }
    package func kill() { sys_kill(identifier, 9) }

    /// Its exit code once it has ended; nil when `nanoseconds` pass before.
    package func wait(atMost nanoseconds: UInt64) -> Int32? {
        let deadline = Clock.monotonic &+ nanoseconds
        while true {
            let code = sys_wait(identifier, 1)
            if code != -Errno.wouldBlock.rawValue {
                try? output.close()
                return code
            }
            if Clock.monotonic >= deadline { return nil }
            Clock.sleep(nanoseconds: 2_000_000)
        }
    }

    /// Processor time that the process `identifier` has used, in seconds; nil when there is none of that number.
    package static func processorSeconds(of identifier: Int32) -> Double? {
        guard let file = try? File.open("/proc/\(identifier)/stat") else { return nil }
        defer { try? file.close() }
        var buffer = ByteBuffer()
        guard (try? file.read(upTo: 4_096, into: &buffer)) ?? 0 > 0 else { return nil }
        // Behind the name, which stands in parentheses and may hold anything: fields 3 and following of proc(5); times are 14 and 15.
        let fields = String(decodingBytes: buffer.bytes).split(separator: ")").last?.split(separator: " ") ?? []
        guard fields.count > 12, let user = Double(fields[11]), let system = Double(fields[12]) else { return nil }
        return (user + system) / Double(sys_ticks_per_second())
    }

    /// Bytes of memory that a process has resident: all of them, and those that are its own and not of files.
    package struct Memory: Equatable, Sendable {
        package var resident: Int
        package var anonymous: Int
    }

    /// nil when there is no process of that number.
    package static func memory(of identifier: Int32) -> Memory? {
        guard let file = try? File.open("/proc/\(identifier)/status") else { return nil }
        defer { try? file.close() }
        var buffer = ByteBuffer()
        guard (try? file.read(upTo: 8_192, into: &buffer)) ?? 0 > 0 else { return nil }
        // `VmRSS:	   12345 kB`, proc(5).
        let lines = String(decodingBytes: buffer.bytes).split(separator: "\n")
        func bytes(_ name: String) -> Int? {
            let words = lines.first { $0.hasPrefix(name + ":") }?.split { $0 == " " || $0 == "\t" }
            return words.flatMap { $0.count > 1 ? Int($0[1]) : nil }.map { $0 << 10 }
        }
        guard let resident = bytes("VmRSS"), let anonymous = bytes("RssAnon") else { return nil }
        return Memory(resident: resident, anonymous: anonymous)
    }
}

extension Clock {
    /// The calling thread's sleeps end within `nanoseconds` of their time (50 us unless it is told).
    package static func setTimerSlack(nanoseconds: UInt64) { sys_set_timer_slack(nanoseconds) }
}

extension FileSystem {
    /// Removes a directory with everything in it.
    package static func removeTree(_ path: String) throws(Errno) {
        for entry in try list(path) {
            let below = path + "/" + entry.name
            if entry.isDirectory { try removeTree(below) } else { try remove(below) }
        }
        try removeDirectory(path)
    }
}
