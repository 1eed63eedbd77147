import BrokerCore
import Bytes
import ConfigFile
import LinuxSystem
import Observability
import SegmentLog
import ShardRuntime

extension Command {
    static let serve = Command(
        path: ["serve"],
        summary: "Run the broker.",
        options: ServerOptions.all + [.flag("hints", "Once it runs, say what to try next.")],
        examples: [
            Example("needletail serve", "with good defaults"),
            Example("needletail serve --config needletail.yaml", "as a service"),
            Example("needletail serve --data /tmp/try --listen native=127.0.0.1:0 --durability none", "to try something; the port is printed"),
        ],
        notes: [
            "Prints one line on standard output when every listener is open, and its log on standard error.",
            "SIGTERM and SIGINT answer what is under way, flush and end within five seconds; SIGHUP reads the configuration again.",
        ],
        run: .onMainThread { invocation in try ServeCommand(invocation).run() })
}

/// The main thread of a broker: reads the configuration, starts the shards, then waits for signals.
struct ServeCommand {
    private let invocation: Invocation
    private let log: LogWriter
    /// What the broker was started with: of keys that cannot change at run time, what differs from it waits for a restart.
    private let config: ServerConfig

    private static let signals: [Signal] = [.terminate, .interrupt, .hangUp]
    /// What a stop may take to answer what is under way; flushing comes after.
    private static let drainNanoseconds: UInt64 = 3_000_000_000

    init(_ invocation: Invocation) throws(CommandFailure) {
        self.invocation = invocation
        config = try ServerOptions.config(try ServerOptions.document(invocation), invocation)
        var options = config.log
        options.priorityPrefix = Environment.journalReads(File.standardError, variables: invocation.environment)
        log = LogWriter(options, clock: { Clock.realtimeMilliseconds }) { line in
            // There is nobody left to tell when standard error fails.
            try? File.standardError.write(line.rawSpan)
        }
    }

    func run() throws -> ExitCode {
        // Before any thread starts, so that all inherit the mask.
        try Signal.block(ServeCommand.signals)
        // What the system does not allow shows as a limit when it is reached.
        try? SystemLimits.raiseFileLimit()
        let directory: DataDirectory
        do throws(StorageError) {
            directory = try DataDirectory.lock(config.dataDirectory)
        } catch {
            throw CommandFailure(.failure, error.description)
        }
        let group: ShardGroup
        let started: ShardGroup.Started
        do throws(StartError) {
            group = try ShardGroup(options: ServeCommand.options(config), log: log)
            started = try group.start()
        } catch {
            throw CommandFailure(.failure, "cannot start: \(error)")
        }
        announce(started)
        let code = waitForTheEnd(of: group)
        // The lock is held until here.
        return withExtendedLifetime(directory) { code }
    }

    /// Connections leave a quarter of the descriptors to logs: one that could not be opened would be down for good.
    private static var connectionsMax: Int { Int(clamping: SystemLimits.openFiles.soft / 4 * 3) }

    private static func options(_ config: ServerConfig) -> ShardGroup.Options {
        var options = ShardGroup.Options(directory: config.dataDirectory)
        options.driver = config.driver
        options.shards = config.shardCount(cores: LinuxSystem.Thread.coreCount)
        options.pinsShards = config.pinsShards
        options.broker.log = config.topics
        options.broker.limits = config.limits
        options.broker.limits.connections = min(config.limits.connections, ServeCommand.connectionsMax)
        options.broker.groups = config.groups
        options.broker.diskReserveBytes = Int(config.diskReserve.rawValue)
        options.broker.queueLeaseMilliseconds = UInt32(clamping: config.queueLease.milliseconds)
        options.broker.deliveryLimit = UInt16(clamping: config.queueDeliveryLimit)
        options.broker.segmentsBeforeAside = config.queueSetAsideAfter
        options.shard.limits = options.broker.limits
        options.shard.waiting = config.waiting(cores: LinuxSystem.Thread.coreCount)
        options.driverOptions.minimumWaitMicroseconds = UInt32(clamping: config.minimumWait.nanoseconds / 1_000)
        options.driverOptions.congestionControl = config.congestionControl
        options.listeners = config.listeners.map { ShardGroup.Listener(address: $0.address, wireProtocol: $0.wire) }
        return options
    }

    private func announce(_ started: ShardGroup.Started) {
        let durability = config.topics.durability
        log.info(
            "started",
            [
                ("version", .text(Program.version)), ("driver", .text(started.driver)), ("shards", .init(started.shards)),
                ("data", .text(config.dataDirectory)), ("topics", .init(started.topics)), ("clean", .flag(started.wasClean)),
                ("durability", .text(durability.name)),
            ])
        if !durability.waitsForFlush { warnOfWeak(durability) }
        warnOfDescriptors()
        warnOfCores()
        if config.listeners.contains(where: \.isRemote) {
            log.warn("anonymous_remote", [("meaning", "anybody who can reach this broker can read, write and delete everything in it")])
        }
        let places = zip(config.listeners, started.addresses).map { "\($0.protocolName)=\($1)" }.joined(separator: " ")
        invocation.console.print("needletail \(Program.version) is ready: \(places)")
        guard invocation.has("hints") else { return }
        let program = CommandLine.arguments.first ?? "needletail"
        invocation.console.print(
            """
            Try in another terminal:
              \(program) produce greetings --create <<< 'hello, log'
              \(program) consume greetings --from earliest
              \(program) queue create jobs && \(program) queue send jobs 'first job' && \(program) queue receive jobs
            """)
    }

    private func warnOfWeak(_ durability: Durability) {
        log.warn("weak_durability", [("durability", .text(durability.name)), ("meaning", "acknowledged messages may be lost when the machine fails")])
    }

    /// Who has asked for more connections than there can be is told, and who has asked for nothing where there are really few.
    private func warnOfDescriptors() {
        let most = ServeCommand.connectionsMax
        guard config.limits.connections > most, config.connectionsAskedFor != nil || SystemLimits.openFiles.hard < Diagnosis.enoughDescriptors else { return }
        log.warn("few_descriptors", [("connections", .init(most)), ("configured", .init(config.limits.connections)), ("meaning", "raise ulimit -n")])
    }

    private func warnOfCores() {
        let cores = LinuxSystem.Thread.coreCount
        let shards = config.shardCount(cores: cores)
        guard config.wait != .sleep, cores < shards + 1 else { return }
        log.warn(
            "few_cores",
            [
                ("cores", .init(cores)), ("shards", .init(shards)), ("wait", .text(config.wait.rawValue)),
                ("meaning", config.wait == .spin ? "shards that never sleep leave no core to others" : "shards sleep: spinning would take the clients' core"),
            ])
    }

    private func waitForTheEnd(of group: ShardGroup) -> ExitCode {
        var inForce = config
        while true {
            let signal = Signal.wait(for: ServeCommand.signals, atMost: 1_000_000_000)
            if group.hasEnded {
                group.stop(within: 0)
                log.error("ended", [("meaning", "the broker stopped by itself, see above; acknowledged messages are kept")])
                log.reportSuppressed(all: true)
                return .failure
            }
            log.reportSuppressed()
            switch signal {
            case .hangUp: reload(&inForce, group)
            case .terminate, .interrupt:
                log.info("stopping", [("signal", .text(signal == .terminate ? "SIGTERM" : "SIGINT"))])
                group.stop(within: ServeCommand.drainNanoseconds)
                log.info("stopped")
                log.reportSuppressed(all: true)
                return group.hasFailed ? .failure : .ok
            default: break
            }
        }
    }

    /// Takes over what can change while running; a file with faults changes nothing.
    private func reload(_ inForce: inout ServerConfig, _ group: ShardGroup) {
        do throws(CommandFailure) {
            let fresh = try ServerOptions.config(try ServerOptions.document(invocation), invocation)
            let changed = fresh.changes(from: inForce).live
            let waiting = fresh.changes(from: config).needsRestart
            log.change(level: fresh.log.level, format: fresh.log.format)
            group.adopt(ServeCommand.options(fresh))
            inForce = fresh
            log.info("reloaded", [("changed", .text(changed.joined(separator: ","))), ("needs_restart", .text(waiting.joined(separator: ",")))])
            let durability = fresh.topics.durability
            if changed.contains("topics.durability"), !durability.waitsForFlush { warnOfWeak(durability) }
        } catch {
            log.error("reload_refused", [("reason", .text(error.message)), ("meaning", "the configuration stays as it was")])
        }
    }
}
