import BrokerCore
import ConfigFile
import LinuxSystem
import Observability
import SegmentLog
import ShardRuntime
import Wire

/// What a broker is started with: the sections of needletail.yaml, each read by the type that it configures. Nothing is checked
/// again after this; needletail.example.yaml and docs/configuration.md are compared with it by a test.
struct ServerConfig: Sendable {
    var dataDirectory: String
    var listeners: [Listener]
    /// Publishes to disk are refused while less is free.
    var diskReserve: ByteCount
    /// nil: as the machine has cores, see `shardCount`.
    var shards: Int?
    var driver: DriverChoice
    var pinsShards: Bool
    /// What a shard does that has nothing to do.
    var wait: WaitPolicy.Mode
    /// How long it looks for more work when `wait` is adaptive.
    var spin: Duration
    /// How long a shard that sleeps lets work gather.
    var minimumWait: Duration
    /// nil: the system's.
    var congestionControl: String?
    /// What topics that do not say otherwise use.
    var topics: Log.Options
    /// How long a queue's delivery may stay unsettled, where neither queue nor consumer says.
    var queueLease: Duration
    /// How often a queue delivers a message before it becomes a dead letter, where there is a place for those.
    var queueDeliveryLimit: Int
    var queueSetAsideAfter: Int
    var groups: GroupOptions
    var limits: Limits
    var log: LogWriter.Options
    /// Every key with what is in force and where that was said, in the order of the sections.
    var effective: [EffectiveValue]

    struct Listener: Sendable {
        var address: ListenAddress
        var wire: any WireProtocol
        /// Where the address was said.
        var source: ConfigSource
        var key: String
        var protocolName: String { type(of: wire).name }
    }

    /// What defaults depend on.
    struct Surroundings: Sendable {
        var isRoot = false
        var environment: [String: String] = [:]
    }

    /// Reads everything and throws every fault at once.
    init(_ document: ConfigDocument, protocols: [any WireProtocol.Type] = Protocols.all, surroundings: Surroundings = Surroundings()) throws(ConfigError) {
        let root = document.root
        var faults: [ConfigFault] = []
        dataDirectory = root.text("data", default: ServerConfig.defaultDirectory(surroundings))
        listeners = ServerConfig.listeners(root, protocols, &faults)
        diskReserve = root.size("disk_reserve", default: .mebibytes(256), in: .kibibytes(0) ... .gibibytes(1024))
        shards = root.integer("shards", default: nil, in: 1...256, or: "auto")
        driver = root.choice("driver", default: .auto)
        pinsShards = root.flag("pin", default: false)
        // Who says how long to spin, and not when, means that it may.
        let asksToSpin = root.has("spin")
        spin = root.duration("spin", default: .microseconds(50), in: .zero ... .milliseconds(100))
        wait = root.choice("wait", default: asksToSpin && spin > .zero ? .adaptive : .sleep)
        minimumWait = root.duration("min_wait", default: .zero, in: .zero ... .milliseconds(10))
        congestionControl = root.value("congestion_control", default: "cubic", show: { $0 ?? "system" }) { text in
            guard !text.isEmpty, text.utf8.count <= 15, text.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_") }) else {
                return .wrong("is no name of an algorithm; allowed: system, or one of those in /proc/sys/net/ipv4/tcp_available_congestion_control")
            }
            return .value(text == "system" ? nil : text)
        }
        topics = ServerConfig.read(Log.Options.init, root.section("topics"), Log.Options(), &faults)
        let queues = root.section("queues")
        queueLease = queues.duration("lease", default: .seconds(60), in: .milliseconds(10) ... .seconds(7 * 86_400))
        queueDeliveryLimit = queues.integer("delivery_limit", default: 20, in: 1...65_535)
        queueSetAsideAfter = queues.integer("set_aside_after", default: 8, in: 0...1_000_000)
        groups = ServerConfig.read(GroupOptions.init, root.section("groups"), GroupOptions(), &faults)
        limits = ServerConfig.read(Limits.init, root.section("limits"), Limits(), &faults)
        let log = root.section("log")
        self.log = LogWriter.Options()
        self.log.level = log.choice("level", default: .info)
        self.log.format = log.choice("format", default: .logfmt)
        let isRemoteAllowed = root.flag("insecure_allow_anonymous_remote", default: false)
        if !isRemoteAllowed { faults += listeners.compactMap(\.remoteFault) }
        effective = ServerConfig.flatten(root)
        do { try root.finish() } catch { faults += error.faults }
        guard faults.isEmpty else { throw ConfigError(faults) }
    }

    /// What shards do without work on a machine with so many cores: where clients have none of their own, nothing is taken from them.
    func waiting(cores: Int) -> WaitPolicy {
        let isCrowded = wait == .adaptive && cores < shardCount(cores: cores) + 1
        return WaitPolicy(isCrowded ? .sleep : wait, budgetNanoseconds: UInt64(clamping: spin.nanoseconds))
    }

    /// What of it the machine may have something to say about.
    func tuning(cores: Int) -> TuningAdvice.Settings {
        var settings = TuningAdvice.Settings()
        settings.shards = shardCount(cores: cores)
        settings.wait = wait
        settings.pins = pinsShards
        settings.gathers = minimumWait > .zero
        settings.driver = driver
        settings.congestionControl = congestionControl
        settings.connections = connectionsAskedFor
        return settings
    }

    /// nil where nobody has said how many.
    var connectionsAskedFor: Int? {
        effective.contains { $0.path == "limits.connections" && $0.source != .builtIn } ? limits.connections : nil
    }

    /// How many shards there are on a machine with so many cores: one on up to two, where clients need the other.
    func shardCount(cores: Int) -> Int { shards ?? (cores <= 2 ? 1 : cores) }

    // MARK: Parts

    /// What users expect: a service's own directory, the system's for root, else one of the user's.
    static func defaultDirectory(_ surroundings: Surroundings) -> String {
        let environment = surroundings.environment
        // systemd names the directory that it made for the service (StateDirectory=).
        if let state = environment["STATE_DIRECTORY"], state.hasPrefix("/"), !state.contains(":") { return state }
        if surroundings.isRoot { return "/var/lib/needletail" }
        if let data = environment["XDG_DATA_HOME"], data.hasPrefix("/") { return data + "/needletail" }
        if let home = environment["HOME"], home.hasPrefix("/") { return home + "/.local/share/needletail" }
        return "needletail-data"
    }

    private static func read<T>(
        _ read: (ConfigSection) throws(ConfigError) -> T, _ section: ConfigSection, _ fallback: T, _ faults: inout [ConfigFault]
    ) -> T {
        do { return try read(section) } catch {
            faults += error.faults
            return fallback
        }
    }

    private static func listeners(_ root: ConfigSection, _ protocols: [any WireProtocol.Type], _ faults: inout [ConfigFault]) -> [Listener] {
        let sections = root.sections("listeners", default: ["native=\(ServerAddress.native)", "kafka=127.0.0.1:9092"]) { text in
            guard let sign = text.firstIndex(of: "=") else { return .wrong("is no listener; allowed: PROTOCOL=HOST:PORT or PROTOCOL=unix:PATH") }
            return .value([("protocol", String(text[..<sign])), ("address", String(text[text.index(after: sign)...]))])
        }
        let names = protocols.map { ($0.name, ObjectIdentifier($0)) }
        var found: [Listener] = []
        for section in sections {
            let chosen = section.choice("protocol", default: names.first?.1, among: names.map { (name: $0.0, value: $0.1) })
            let address = section.value("address", default: ListenAddress?.none, show: { $0?.description ?? "" }, read: listenAddress)
            if !section.has("address") { section.fault("address", "is missing; allowed: HOST:PORT or unix:PATH") }
            guard let type = protocols.first(where: { ObjectIdentifier($0) == chosen }) else { continue }
            do {
                let wire = try type.init(section)
                try section.finish()
                guard let address else { continue }
                let listener = Listener(address: address, wire: wire, source: section.source(of: "address"), key: section.path + ".address")
                if found.contains(where: { $0.address == address }) { faults.append(listener.fault("\(address) has a listener already")) }
                found.append(listener)
            } catch {
                faults += error.faults
            }
        }
        if sections.isEmpty { root.fault("listeners", "there is none; allowed: at least one, such as native=\(ServerAddress.native)") }
        return found
    }

    /// Names are not resolved: a broker should not depend on a name server to know where it listens.
    private static func listenAddress(_ text: String) -> ConfigSection.Reading<ListenAddress?> {
        let allowed = "allowed: numeric HOST:PORT, [IPV6]:PORT, localhost:PORT or unix:PATH"
        switch ServerAddress(text) {
        case nil: return .wrong("is no address; \(allowed)")
        case .sharedMemory(let path)?:
            return .wrong("is how clients ask for shared memory; listen on unix:\(path), and they may")
        case .unix(let path)?: return .value(.unix(path: path))
        case .tcp(let host, let port)?:
            let numeric = host == "localhost" ? "127.0.0.1" : host
            guard SocketAddress(host: numeric, port: port) != nil else { return .wrong("names no numeric address; \(allowed)") }
            return .value(.tcp(host: numeric, port: port))
        }
    }
}

extension ServerConfig.Listener {
    var isRemote: Bool {
        guard case .tcp(let host, let port) = address else { return false }
        return SocketAddress(host: host, port: port)?.isLoopback != true
    }

    /// Whoever can reach a broker without authentication owns its data, so being reachable from elsewhere must be asked for.
    fileprivate var remoteFault: ConfigFault? {
        guard isRemote else { return nil }
        return fault(
            "\(address) can be reached from other machines, and there is no authentication yet; allowed: 127.0.0.1, [::1] or unix:PATH, or anything "
                + "with `insecure_allow_anonymous_remote: true`")
    }

    fileprivate func fault(_ problem: String) -> ConfigFault { ConfigFault(source: source, key: key, problem: problem) }
}
