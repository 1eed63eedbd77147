package import BrokerCore
internal import LinuxSystem
package import Observability
package import SegmentLog
internal import Synchronization
package import Wire

/// The shards of one process: starts their threads, waits until they listen, stops them.
///
/// Everything of a shard is made on its own thread and never leaves it; what crosses are the options, the outcome of the start, and
/// commands.
package final class ShardGroup: Sendable {
    package struct Options: Sendable {
        package var driver = DriverChoice.auto
        package var driverOptions = DriverOptions()
        package var broker: Broker.Options
        package var shard = Shard.Options()
        package var listeners: [Listener] = []
        /// The core that the shard's thread stays on; nil leaves it to the system.
        package var core: Int?
        package init(directory: String) { broker = Broker.Options(directory: directory) }
    }

    package struct Listener: Sendable {
        package var address: ListenAddress
        package var wireProtocol: any WireProtocol
        package init(address: ListenAddress, wireProtocol: any WireProtocol) {
            self.address = address
            self.wireProtocol = wireProtocol
        }
    }

    /// What came of the start.
    package struct Started: Sendable {
        /// Which driver, and why.
        package var driver: String
        /// Where each listener is bound.
        package var addresses: [ListenAddress]
        package var topics: Int
        package var wasClean: Bool
    }

    private struct State {
        var started: Result<Started, StartError>?
        var waker: (any Waker)?
        var thread: LinuxSystem.Thread?
    }

    private let options: Options
    private let log: LogWriter
    private let commands = CommandQueue()
    private let state = Mutex(State())
    private let startSignal: EventCounter
    /// Told once when the shard has ended by itself or by `stop`.
    private let ended = Atomic<Bool>(false)

    package init(options: Options, log: LogWriter) throws(StartError) {
        self.options = options
        self.log = log
        do throws(Errno) {
            startSignal = try EventCounter(.blocking)
        } catch {
            throw StartError(path: "eventfd", reason: error.description)
        }
    }

    deinit { startSignal.close() }

    /// Starts the shard and waits until every listener is open, or until something refused.
    package func start() throws(StartError) -> Started {
        do throws(Errno) {
            let thread = try LinuxSystem.Thread.spawn("shard-0", stackBytes: 8 << 20) { [self] in runShard() }
            state.withLock { $0.thread = thread }
        } catch {
            throw StartError(path: "shard-0", reason: "cannot start its thread: \(error)")
        }
        startSignal.take()
        guard let outcome = state.withLock({ $0.started }) else { throw StartError(path: "shard-0", reason: "ended before it listened") }
        return try outcome.get()
    }

    /// Stops accepting, answers what is under way, flushes and closes; waits for the end.
    package func stop(within nanoseconds: UInt64) {
        tell(.stop(within: nanoseconds))
        state.withLock { $0.thread }?.join()
    }

    package var hasEnded: Bool { ended.load(ordering: .acquiring) }

    private func tell(_ command: CommandQueue.Command) {
        commands.put(command)
        state.withLock { $0.waker }?.wake()
    }

    // MARK: On the shard's thread

    private func runShard() {
        let outcome: Result<Started, StartError>
        var shard: Shard?
        do throws(StartError) {
            let (made, started) = try makeShard()
            shard = made
            outcome = .success(started)
        } catch {
            outcome = .failure(error)
        }
        state.withLock { $0.started = outcome }
        startSignal.raise()
        shard?.run()
        ended.store(true, ordering: .releasing)
    }

    private func makeShard() throws(StartError) -> (Shard, Started) {
        if let core = options.core {
            do throws(Errno) {
                try LinuxSystem.Thread.pin(toCore: core)
            } catch {
                throw StartError(path: "pin", reason: "cannot bind the shard to core \(core): \(error)")
            }
        }
        let driver: any Driver
        let reason: String
        do throws(DriverError) {
            (driver, reason) = try makeDriver(options.driver, options.driverOptions)
        } catch {
            throw StartError(path: "driver", reason: error.description)
        }
        var brokerOptions = options.broker
        if brokerOptions.stopwatch == nil { brokerOptions.stopwatch = { Clock.monotonic } }
        let broker = try Broker(options: brokerOptions, storage: driver.storage, now: driver.now)
        let shard = Shard(
            options: options.shard, driver: driver, broker: broker, protocols: options.listeners.map(\.wireProtocol), commands: commands, log: log)
        var addresses: [ListenAddress] = []
        for (number, listener) in options.listeners.enumerated() {
            do throws(DriverError) {
                addresses.append(try driver.listen(listener.address, ListenerID(rawValue: UInt32(number))))
            } catch {
                throw StartError(path: listener.address.description, reason: error.description)
            }
        }
        state.withLock { $0.waker = driver.waker }
        return (shard, Started(driver: reason, addresses: addresses, topics: broker.topicCount, wasClean: broker.wasStoppedCleanly))
    }
}
