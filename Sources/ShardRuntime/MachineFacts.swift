internal import Bytes
internal import IOUring
internal import LinuxSystem

/// What the machine says of itself as far as it matters for what an operator can turn. nil: it does not say.
package struct MachineFacts: Sendable, Equatable {
    /// That this process may use.
    package var cores = 1
    /// As many cores' time as the control group allows.
    package var quota: Double?
    package var isVirtual = false
    /// How cores choose their frequency, and what carries that out.
    package var frequencyGovernor: String?
    package var frequencyDriver: String?
    /// What the deepest idle state that is enabled takes to leave.
    package var idleMicroseconds: UInt64?
    /// Connections that may wait to be accepted.
    package var waitingConnections: Int?
    package var openFiles: UInt64 = .max
    /// Whether completions can gather in the kernel.
    package var canGather = true

    package init() {}

    /// As they are here.
    package static var here: MachineFacts {
        var facts = MachineFacts()
        facts.cores = Thread.coreCount
        facts.quota = quota(groups: text("/proc/self/cgroup") ?? "") { text("/sys/fs/cgroup" + $0) }
        facts.isVirtual = isVirtual(text("/proc/cpuinfo") ?? "")
        let frequency = "/sys/devices/system/cpu/cpu0/cpufreq/"
        facts.frequencyGovernor = word(frequency + "scaling_governor")
        facts.frequencyDriver = word(frequency + "scaling_driver")
        facts.idleMicroseconds = idleMicroseconds { text("/sys/devices/system/cpu/cpu0/cpuidle/" + $0) }
        facts.waitingConnections = word("/proc/sys/net/core/somaxconn").flatMap { Int($0) }
        facts.openFiles = SystemLimits.openFiles.hard
        facts.canGather = KernelFeatures.current.minimumWait
        return facts
    }

    // MARK: Reading what the system writes

    /// Of both versions of control groups; the least of the group and those above it, as the process sees them.
    static func quota(groups: String, _ read: (String) -> String?) -> Double? {
        var least: Double?
        for line in groups.split(separator: "\n") {
            let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard parts.count == 3 else { continue }
            let isFirst = parts[1].split(separator: ",").contains("cpu")
            guard isFirst || parts[1].isEmpty else { continue }
            var path = parts[2] == "/" ? "" : String(parts[2])
            while true {
                if let cores = isFirst ? quotaOfFirst("/cpu" + path, read) : quotaOfSecond(path, read) { least = min(least ?? cores, cores) }
                guard let slash = path.lastIndex(of: "/") else { break }
                path = String(path[..<slash])
            }
        }
        return least
    }

    private static func quotaOfFirst(_ path: String, _ read: (String) -> String?) -> Double? {
        func number(_ name: String) -> Double? { read("\(path)/cpu.cfs_\(name)_us").flatMap { Double(trimmed($0)) } }
        guard let quota = number("quota"), let period = number("period"), quota > 0, period > 0 else { return nil }
        return quota / period
    }

    private static func quotaOfSecond(_ path: String, _ read: (String) -> String?) -> Double? {
        let numbers = (read(path + "/cpu.max") ?? "").split(whereSeparator: \.isWhitespace).compactMap { Double($0) }
        guard numbers.count == 2, numbers[1] > 0 else { return nil }
        return numbers[0] / numbers[1]
    }

    static func isVirtual(_ processors: String) -> Bool {
        processors.split(separator: "\n").first { $0.hasPrefix("flags") }?.split(separator: " ").contains("hypervisor") ?? false
    }

    static func idleMicroseconds(_ read: (String) -> String?) -> UInt64? {
        var deepest: UInt64?
        for state in 0..<16 {
            guard let latency = read("state\(state)/latency").flatMap({ UInt64(trimmed($0)) }) else { break }
            if read("state\(state)/disable").map(trimmed) != "1" { deepest = max(deepest ?? 0, latency) }
        }
        return deepest
    }

    private static func trimmed(_ text: String) -> String { text.split(whereSeparator: \.isWhitespace).first.map(String.init) ?? "" }
    private static func word(_ path: String) -> String? { text(path).map(trimmed).flatMap { $0.isEmpty ? nil : $0 } }

    /// The beginning of a small file; nil where there is none to be read.
    private static func text(_ path: String) -> String? {
        guard let file = try? File.open(path) else { return nil }
        defer { try? file.close() }
        var buffer = ByteBuffer()
        while buffer.count < 16 << 10 {
            guard let got = try? file.read(upTo: 4 << 10, into: &buffer) else { return nil }
            if got == 0 { break }
        }
        return String(decoding: [UInt8](buffer.bytes), as: UTF8.self)
    }
}
