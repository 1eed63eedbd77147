/// What an operator could do, from what the machine is and what is asked of it. Where there is nothing to do it says nothing.
package struct TuningAdvice: Sendable {
    /// What the configuration asks for.
    package struct Settings: Sendable {
        package var shards = 1
        package var wait = WaitPolicy.Mode.sleep
        package var pins = false
        /// Whether work is to gather while a shard sleeps.
        package var gathers = false
        package var driver = DriverChoice.auto
        /// nil: the system's.
        package var congestionControl: String? = "cubic"
        /// nil: as many as there may be.
        package var connections: Int?
        /// That the data directory has.
        package var logs = 0
        package init() {}
    }

    private let machine: MachineFacts
    private let settings: Settings

    package init(_ machine: MachineFacts, _ settings: Settings) {
        self.machine = machine
        self.settings = settings
    }

    package var rows: [Diagnosis.Row] { [shards, wait, processors, sleep, gathering, files, logs, connects].compactMap(\.self) }

    private func row(_ name: String, _ value: String, _ verdict: Diagnosis.Verdict, _ note: String) -> Diagnosis.Row {
        Diagnosis.Row(name: name, value: value, verdict: verdict, note: note)
    }

    /// Cores that this process has the time of.
    private var usable: Double { min(Double(machine.cores), machine.quota ?? .infinity) }

    private var shards: Diagnosis.Row? {
        if settings.pins, settings.shards > machine.cores {
            return row("shards", "\(settings.shards)", .warning, "pin binds each to a core, and there are \(machine.cores): lower shards, or drop pin")
        }
        guard let quota = machine.quota, Double(settings.shards) > max(1, quota.rounded(.up)) else { return nil }
        let fit = max(1, Int(quota))
        return row(
            "shards", "\(settings.shards)", .warning,
            "the control group allows the time of \(tenths(quota)) cores: more shards stop each other; set shards: \(fit), or raise the group's CPU limit")
    }

    private var wait: Diagnosis.Row? {
        let isCrowded = usable < Double(settings.shards + 1)
        switch settings.wait {
        case .spin where isCrowded:
            return row(
                "wait", "spin", .warning,
                "shards that never sleep leave clients on this machine no core (\(tenths(usable)) for \(settings.shards) shards and them): set wait: adaptive")
        case .adaptive where isCrowded:
            return row(
                "wait", "adaptive", .hint, "shards sleep all the same: there are \(tenths(usable)) cores for \(settings.shards) shards and their clients")
        // One for each shard, one for a client, and one that nobody misses.
        case .sleep where usable >= Double(settings.shards + 2):
            let price = machine.isVirtual ? "13 to 24 us on virtual machines that were measured" : "some microseconds"
            return row("wait", "sleep", .hint, "a wake-up costs \(price): where that counts, wait: adaptive spends idle processor time instead")
        default: return nil
        }
    }

    private var processors: Diagnosis.Row? {
        guard let governor = machine.frequencyGovernor, ["powersave", "ondemand", "conservative"].contains(governor) else { return nil }
        // These choose by themselves, under that name.
        guard !["intel_pstate", "amd-pstate-epp"].contains(machine.frequencyDriver) else { return nil }
        return row("frequency", governor, .hint, "cores slow down between messages: for latency, cpupower frequency-set -g performance")
    }

    private var sleep: Diagnosis.Row? {
        guard let deepest = machine.idleMicroseconds, deepest > 50, settings.wait == .sleep else { return nil }
        return row(
            "idle states", "up to \(deepest) us to leave", .hint,
            "a core that sleeps deeply answers that much later: for latency, wait: adaptive, or cpupower idle-set -D 50")
    }

    private var gathering: Diagnosis.Row? {
        guard settings.gathers else { return nil }
        let value = "set"
        if settings.wait == .spin { return row("min_wait", value, .warning, "has no effect: shards never sleep (wait: spin)") }
        if settings.driver == .epoll { return row("min_wait", value, .warning, "has no effect with driver: epoll") }
        guard !machine.canGather else { return nil }
        return row("min_wait", value, .warning, "has no effect: this kernel's io_uring cannot wait for more (Linux 6.12 can)")
    }

    private var files: Diagnosis.Row? {
        guard let asked = settings.connections, UInt64(asked) > machine.openFiles / 4 * 3 else { return nil }
        return row(
            "limits.connections", "\(asked)", .warning,
            "three quarters of \(machine.openFiles) descriptors are for connections: raise LimitNOFILE or ulimit -Hn to \(asked / 3 * 4 + 4), or ask for fewer")
    }

    private var logs: Diagnosis.Row? {
        guard UInt64(settings.logs) > machine.openFiles / 4 else { return nil }
        return row(
            "logs", "\(settings.logs)", .warning,
            "each that is used takes one of \(machine.openFiles) descriptors: raise LimitNOFILE or ulimit -Hn to \(settings.logs * 4)")
    }

    private var connects: Diagnosis.Row? {
        let wanted = Int(DriverOptions().backlog)
        guard let most = machine.waitingConnections, most < wanted else { return nil }
        return row(
            "net.core.somaxconn", "\(most)", .hint,
            "of clients that connect at once more than so many are turned away: sysctl -w net.core.somaxconn=\(wanted)")
    }

    private func tenths(_ number: Double) -> String {
        let tenths = Int((number * 10).rounded())
        return tenths % 10 == 0 ? "\(tenths / 10)" : "\(tenths / 10).\(tenths % 10)"
    }
}
