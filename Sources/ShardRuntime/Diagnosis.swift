internal import Bytes
internal import IOUring
internal import LinuxSystem

/// What this machine offers the broker, as plain values: `needletail doctor` prints them.
package struct Diagnosis: Sendable {
    package enum Verdict: String, Sendable {
        case good
        /// It works, with the stated fallback.
        case fallback
        /// Something can be gained by a setting.
        case hint
        /// The operator should do something about it.
        case warning
    }

    package struct Row: Sendable {
        package var name: String
        package var value: String
        package var verdict: Verdict
        /// Why, and what to do; empty when there is nothing to say.
        package var note: String
    }

    package struct Section: Sendable {
        package var title: String
        package var rows: [Row]
    }

    package private(set) var sections: [Section] = []

    /// With fewer there is something to be done, whatever the broker is for.
    package static let enoughDescriptors: UInt64 = 10_000

    /// - Parameters:
    ///   - dataDirectory: the directory that is or will be used; it need not exist.
    ///   - settings: what else the configuration asks for.
    package init(dataDirectory: String, settings: TuningAdvice.Settings = TuningAdvice.Settings(), machine: MachineFacts = .here) {
        sections = [system(), driver(settings.driver), limits(), disk(dataDirectory), network(settings.congestionControl)]
        let advice = TuningAdvice(machine, settings).rows
        if !advice.isEmpty { sections.append(Section(title: "tuning", rows: advice)) }
    }

    package var rows: [Row] { sections.flatMap(\.rows) }
    package var warnings: [Row] { rows.filter { $0.verdict == .warning } }

    private func system() -> Section {
        let checksum = CRC32C.kind
        return Section(
            title: "system",
            rows: [
                Row(name: "kernel", value: SystemLimits.kernelRelease, verdict: .good, note: ""),
                Row(name: "cores", value: "\(Thread.coreCount)", verdict: .good, note: ""),
                Row(
                    name: "checksums", value: checksum, verdict: checksum == "portable" ? .fallback : .good,
                    note: checksum == "portable" ? "this processor has no CRC-32C instruction: a table is used, about 5 times slower" : "by instruction"),
            ])
    }

    private func driver(_ choice: DriverChoice) -> Section {
        let found = KernelFeatures.current
        var rows: [Row] = []
        switch (choice, found.reasonAgainstRing) {
        case (.epoll, _): rows.append(Row(name: "driver", value: "epoll", verdict: .good, note: "asked for"))
        case (.auto, let reason?): rows.append(Row(name: "driver", value: "epoll", verdict: .fallback, note: reason))
        case (.ioUring, let reason?): rows.append(Row(name: "driver", value: "none", verdict: .warning, note: "io_uring was asked for, but \(reason)"))
        case (_, nil): rows.append(Row(name: "driver", value: "io_uring", verdict: .good, note: "\(found.setup.rawValue) completions"))
        }
        // Of the ways of completion only the one that was taken, and what failed before it, were tried.
        rows += found.features.map { feature in
            Row(
                name: feature.name, value: feature.works ? "works" : "missing", verdict: feature.works ? .good : .fallback,
                note: feature.works ? feature.reason : "\(feature.reason); used instead: \(feature.fallback)")
        }
        return Section(title: "driver", rows: rows)
    }

    private func limits() -> Section {
        let files = SystemLimits.openFiles
        let locked = SystemLimits.lockedMemory
        let enough = files.hard >= Diagnosis.enoughDescriptors
        return Section(
            title: "limits",
            rows: [
                Row(
                    name: "open files", value: "\(files.soft) (up to \(files.hard))", verdict: enough ? .good : .warning,
                    note: enough ? "the broker raises the first to the second" : "each connection and each segment needs one: raise LimitNOFILE or ulimit -n"),
                Row(
                    name: "locked memory", value: locked == .max ? "unlimited" : bytes(locked), verdict: .good,
                    note: "the rings need none since kernel 5.12"),
            ])
    }

    private func disk(_ directory: String) -> Section {
        // The nearest directory that exists says which disk it will be.
        var place = directory
        while !FileSystem.exists(place), place != "/", place != "." { place = FileSystem.parent(of: place) }
        var rows = [Row(name: "data directory", value: directory, verdict: .good, note: place == directory ? "exists" : "will be made")]
        do {
            let found = try SystemLimits.filesystem(of: place)
            let note = Diagnosis.note(on: found.type)
            rows.append(Row(name: "file system", value: found.type, verdict: note.isEmpty ? .good : .warning, note: note))
            let share = found.totalBytes > 0 ? Double(found.freeBytes) / Double(found.totalBytes) : 0
            let isScarce = share < 0.05 || found.freeBytes < 1 << 30
            rows.append(
                Row(
                    name: "free space", value: "\(bytes(UInt64(max(0, found.freeBytes)))) of \(bytes(UInt64(max(0, found.totalBytes))))",
                    verdict: isScarce ? .warning : .good, note: isScarce ? "segments are allocated before they are used: make room, or lower retention" : ""))
        } catch {
            rows.append(Row(name: "file system", value: "unknown", verdict: .warning, note: "\(error)"))
        }
        return Section(title: "disk", rows: rows)
    }

    /// What is wrong with a file system as a home for logs; empty for those that are good.
    private static func note(on type: String) -> String {
        switch type {
        case "tmpfs": "it is memory: nothing survives the machine, whatever the durability says"
        case "btrfs", "zfs": "copy on write: flushes cost 10 to 20 times as much, and space that was prepared can still run out"
        case "nfs", "fuse", "9p": "flushes and locks are only as good as the other end's"
        case "overlayfs": "a container's layer: it goes with the container; mount a volume"
        default: ""
        }
    }

    private func network(_ asked: String?) -> Section {
        var row = Row(name: "congestion control", value: "unknown", verdict: .fallback, note: "no TCP socket can be made")
        if let any = SocketAddress(host: "127.0.0.1", port: 0), let socket = try? Socket.make(for: any, .nonblocking) {
            defer { socket.close() }
            let usual = socket.congestionControl ?? "unknown"
            if asked == nil || asked == usual {
                row = Row(name: row.name, value: usual, verdict: .good, note: "")
            } else if let asked, (try? socket.setCongestionControl(asked)) != nil {
                row = Row(name: row.name, value: asked, verdict: .good, note: "set on the broker's sockets; the system's is \(usual)")
            } else {
                row = Row(name: row.name, value: usual, verdict: .fallback, note: "this kernel has no \(asked ?? ""), or does not let the broker use it")
            }
        }
        return Section(title: "network", rows: [row])
    }

    private func bytes(_ count: UInt64) -> String {
        let units = ["bytes", "KiB", "MiB", "GiB", "TiB"]
        var value = count
        var unit = 0
        while value >= 10_240, unit < units.count - 1 {
            value /= 1024
            unit += 1
        }
        return "\(value) \(units[unit])"
    }
}
