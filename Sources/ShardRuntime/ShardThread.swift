import BrokerCore
import LinuxSystem
import SegmentLog
import Synchronization

/// The thread of one shard as its group sees it.
///
///     open (makes driver, broker, listeners) --run--> the shard's loop --stop--> joined
///                                            --abandon--> joined
///
/// The group's thread calls it; what both threads touch is behind locks that are used at start and stop only.
final class ShardThread: Sendable {
    let number: Int
    private let commands = CommandQueue()
    private let state = Mutex(State())
    /// The machine was made, or was not.
    private let opened: EventCounter
    /// The group has decided.
    private let decided: EventCounter
    private let ended = Atomic<Bool>(false)
    private let failed = Atomic<Bool>(false)

    struct Opened: Sendable {
        /// What the members begin with; nil from a member.
        var catalog: Broker.CatalogImage?
        var histograms: ShardHistograms
        var waker: any Waker
        var driver: String
        var addresses: [ListenAddress]
        var topics: Int
        var wasClean: Bool
    }

    /// What a shard shares with the others.
    struct Surroundings: Sendable {
        var links: [ShardLink]
        var doorbell: Doorbell
        var connections: ConnectionCount
        var memory: MemoryCount
        var histograms: [ShardHistograms]
    }

    private struct State {
        var outcome: Result<Opened, StartError>?
        var waker: (any Waker)?
        var thread: LinuxSystem.Thread?
        /// nil: the start was given up.
        var surroundings: Surroundings?
    }

    init(_ number: Int) throws(Errno) {
        self.number = number
        opened = try EventCounter(.blocking)
        do throws(Errno) {
            decided = try EventCounter(.blocking)
        } catch {
            opened.close()
            throw error
        }
    }

    deinit {
        opened.close()
        decided.close()
    }

    private var name: String { "shard-\(number)" }

    /// Starts the thread and waits until its machine is there.
    func open(_ plan: ShardPlan) throws(StartError) -> Opened {
        do throws(Errno) {
            let thread = try LinuxSystem.Thread.spawn(name, stackBytes: 8 << 20) { [self] in live(plan) }
            state.withLock { $0.thread = thread }
        } catch {
            throw StartError(path: name, reason: "cannot start its thread: \(error)")
        }
        opened.take()
        guard let outcome = state.withLock({ $0.outcome }) else { throw StartError(path: name, reason: "ended before it listened") }
        return try outcome.get()
    }

    /// Lets the shard run.
    func run(_ surroundings: Surroundings) {
        state.withLock { $0.surroundings = surroundings }
        decided.raise()
    }

    /// The shard is not to run after all.
    func abandon() {
        decided.raise()
        join()
    }

    func tell(_ command: CommandQueue.Command) {
        commands.put(command)
        state.withLock { $0.waker }?.wake()
    }

    /// Waits for the thread's end, where there is one.
    func join() {
        let thread = state.withLock { state in
            defer { state.thread = nil }
            return state.thread
        }
        thread?.join()
    }

    var hasEnded: Bool { ended.load(ordering: .acquiring) }
    var hasFailed: Bool { failed.load(ordering: .acquiring) }

    // MARK: On the thread itself

    private func live(_ plan: ShardPlan) {
        let machine: ShardPlan.Machine
        do throws(StartError) {
            machine = try plan.make()
        } catch {
            state.withLock { $0.outcome = .failure(error) }
            return opened.raise()
        }
        let isFirstOfSeveral = number == 0 && plan.options.shards > 1
        let told = Opened(
            catalog: isFirstOfSeveral ? machine.broker.catalogImage : nil,
            histograms: ShardHistograms(tick: machine.histograms, broker: machine.broker.stages), waker: machine.driver.waker, driver: machine.reason,
            addresses: machine.addresses, topics: machine.broker.topicCount, wasClean: machine.broker.wasStoppedCleanly)
        state.withLock {
            $0.outcome = .success(told)
            $0.waker = told.waker
        }
        opened.raise()
        decided.take()
        guard let surroundings = state.withLock({ $0.surroundings }) else {
            machine.broker.shutDown(now: machine.driver.now, alone: true)
            return
        }
        let isAlone = surroundings.links.isEmpty
        let place = ShardPlace(
            number: number, broker: isAlone ? .here(machine.broker) : .among(Neighbours(Switchboard(machine.broker), surroundings.links)),
            doorbell: isAlone ? nil : surroundings.doorbell, connections: surroundings.connections, memory: surroundings.memory,
            histograms: machine.histograms,
            all: surroundings.histograms)
        let shard = Shard(
            options: plan.options.shard, driver: machine.driver, place: place, protocols: plan.options.listeners.map(\.wireProtocol), commands: commands,
            log: plan.log)
        shard.run()
        failed.store(shard.failure != nil, ordering: .releasing)
        ended.store(true, ordering: .releasing)
    }
}
