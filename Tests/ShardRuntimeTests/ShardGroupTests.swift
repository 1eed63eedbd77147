import BrokerCore
import ConfigFile
import LinuxSystem
import NativeProtocol
import NeedletailClient
import Observability
import Synchronization
import Testing
import Wire

import SegmentLog
@testable import ShardRuntime

/// Several shards in this process, with clients over TCP that the system deals out to them. Sums and orders are those of one broker,
/// whichever shard a client is on.
@Suite(.serialized, .timeLimit(.minutes(20))) struct ShardGroupTests {
    struct Setup: Sendable, CustomTestStringConvertible {
        var driver: DriverChoice
        var shards: Int
        /// With room for one, mailboxes are full most of the time.
        var mailboxCapacity = 16
        var testDescription: String { "\(driver.rawValue), \(shards) shards, mailboxes of \(mailboxCapacity)" }
        static let all = [DriverChoice.ioUring, .epoll].flatMap { driver in
            [(2, 16), (3, 16), (3, 1)].map { Setup(driver: driver, shards: $0, mailboxCapacity: $1) }
        }
    }

    final class Tally: Sendable {
        private let value = Atomic<Int>(0)
        func add() -> Int { value.add(1, ordering: .relaxed).newValue }
        var count: Int { value.load(ordering: .relaxed) }
    }

    /// What a stop is given: far more than it needs, also where other programs have the cores for seconds.
    private static let patience: UInt64 = 30_000_000_000

    /// A group on a free port, with a directory of its own.
    final class Running {
        let directory: String
        var group: ShardGroup
        var address: String

        init(_ setup: Setup) throws {
            directory = "/tmp/needletail-shards-\(LinuxSystem.Clock.monotonic)"
            try FileSystem.makeDirectory(directory)
            (group, address, _) = try Running.start(setup, directory)
        }

        deinit { try? FileSystem.removeTree(directory) }

        static func start(_ setup: Setup, _ directory: String) throws -> (ShardGroup, address: String, ShardGroup.Started) {
            var options = ShardGroup.Options(directory: directory)
            options.driver = setup.driver
            options.shards = setup.shards
            options.mailboxCapacity = setup.mailboxCapacity
            options.shard.waiting = WaitPolicy(setup.shards == 2 ? .spin : setup.shards == 3 ? .adaptive : .sleep)
            options.listeners = [ShardGroup.Listener(address: .tcp(host: "127.0.0.1", port: 0), wireProtocol: NativeProtocol())]
            let log = LogWriter(
                LogWriter.Options(), clock: { 0 },
                sink: { line in
                    let text = String(decoding: line, as: UTF8.self)
                    // A disk that others use takes its time, which is said and no fault.
                    if !text.contains("event=flush_slow"), !text.contains("event=flush_ended") { Issue.record("logged: \(text)") }
                })
            let group = try ShardGroup(options: options, log: log)
            let started = try group.start()
            return (group, started.addresses[0].description, started)
        }

        func connect(_ count: Int) async throws -> [Client] {
            var clients: [Client] = []
            for _ in 0..<count { clients.append(try await Client.connect(to: address)) }
            return clients
        }

        /// Ends every shard; answers whether it took the time that it was given.
        func stop() -> Bool {
            let start = LinuxSystem.Clock.monotonic
            group.stop(within: ShardGroupTests.patience)
            return LinuxSystem.Clock.monotonic - start < ShardGroupTests.patience
        }
    }

    private static func sum(_ name: String, _ client: Client) async throws -> Int {
        Int(try await client.statistics().first { $0.name == "needletail_\(name)" }?.value ?? -1)
    }

    /// Publishes `count` numbered messages of `name`, which share a partition.
    private static func publish(_ name: String, _ count: Int, to topic: String, _ client: Client) async throws {
        let producer = try await client.producer(topic: topic)
        for number in 0..<count { try await producer.enqueue(Array("\(name) \(number)".utf8), key: Array(name.utf8)) }
        try await producer.flush()
    }

    /// Reads `count` messages, and checks that each publisher's come in order; answers how many there were.
    private static func read(_ topic: String, group: String, _ count: Int, _ client: Client) async throws -> Int {
        let consumer = try await client.consumer(topic: topic, group: group, from: .earliest)
        var next: [Substring: Int] = [:]
        var seen = 0
        for try await messages in consumer.batches {
            for message in messages {
                let text = message.text.split(separator: " ")
                let (number, expected) = (Int(text[1]), next[text[0], default: 0])
                #expect(number == expected, "of \(text[0])")
                next[text[0]] = expected + 1
            }
            seen += messages.count
            if seen >= count { break }
        }
        return seen
    }

    /// Takes and settles messages until `count` are settled by all workers; answers its own.
    private static func work(_ name: String, _ count: Int, _ client: Client) async throws -> [String] {
        let queue = try await client.queue(name)
        var mine: [String] = []
        while true {
            let messages = try await queue.receive(max: 200, wait: .milliseconds(200))
            if messages.isEmpty {
                let settled = try await sum("settled_total", client)
                if settled >= count { return mine }
            } else {
                try await queue.accept(messages, .durable)
                mine += messages.map(\.text)
            }
        }
    }

    @Test(arguments: Setup.all)
    func readersAndWorkersOnAllShardsGetEverythingOnceAndInOrder(_ setup: Setup) async throws {
        let running = try Running(setup)
        let clients = try await running.connect(12)
        var topic = TopicOptions()
        topic.partitions = 4
        try await clients[0].createTopic("t", topic)
        try await clients[0].createTopic("q", .queue())
        let (publishers, count) = (6, 1_500)

        try await withThrowingTaskGroup(of: [String].self) { tasks in
            for number in 0..<publishers {
                tasks.addTask {
                    try await Self.publish("p\(number)", count, to: "t", clients[number])
                    try await Self.publish("j\(number)", count, to: "q", clients[number])
                    return []
                }
            }
            for number in 6..<9 {
                tasks.addTask {
                    let seen = try await Self.read("t", group: "g\(number)", publishers * count, clients[number])
                    #expect(seen == publishers * count)
                    return []
                }
            }
            for number in 9..<12 {
                tasks.addTask { try await Self.work("q", publishers * count, clients[number]) }
            }
            var jobs: [String] = []
            for try await part in tasks { jobs += part }
            let all = Set((0..<publishers).flatMap { name in (0..<count).map { "j\(name) \($0)" } })
            #expect(jobs.count == publishers * count)
            #expect(Set(jobs) == all)
        }

        #expect(try await clients[0].topic("t").partitions.reduce(0) { $0 + $1.end } == Int64(publishers * count))
        #expect(try await Self.sum("shards", clients[0]) == setup.shards)
        #expect(try await Self.sum("connections", clients[0]) == clients.count)
        #expect(try await Self.sum("received_bytes_total", clients[0]) > publishers * count * 2 * 4)
        for client in clients { await client.close() }
        let isInTime = running.stop()
        #expect(isInTime)
    }

    /// Stops on a thread of its own, because a stop waits; answers whether it took less than it was given.
    private static func stopAside(_ group: ShardGroup) async throws -> Bool {
        let (ends, end) = AsyncStream.makeStream(of: Bool.self)
        let thread = try LinuxSystem.Thread.spawn("stop") {
            let start = LinuxSystem.Clock.monotonic
            group.stop(within: ShardGroupTests.patience)
            end.yield(LinuxSystem.Clock.monotonic - start < ShardGroupTests.patience)
            end.finish()
        }
        var isInTime = false
        for await answer in ends { isInTime = answer }
        thread.join()
        return isInTime
    }

    @Test(arguments: Setup.all)
    func connectionsThatCloseMidwayLoseNothing(_ setup: Setup) async throws {
        let running = try Running(setup)
        let clients = try await running.connect(4)
        try await clients[0].createTopic("q", .queue())
        let (publishers, count) = (3, 1_000)
        let address = running.address
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            for number in 0..<publishers {
                tasks.addTask {
                    try await Self.publish("j\(number)", count, to: "q", clients[number])
                }
            }
            // Each takes some and goes, without a word about them.
            for number in 0..<12 {
                tasks.addTask {
                    let client = try await Client.connect(to: address)
                    _ = try await client.queue("q").receive(max: 50 + number, wait: .seconds(5))
                    await client.close()
                }
            }
            try await tasks.waitForAll()
        }
        // What those took and never settled is there again.
        var seen: Set<String> = []
        let queue = try await clients[3].queue("q")
        while seen.count < publishers * count {
            let messages = try await queue.receive(max: 500, wait: .seconds(20))
            guard !messages.isEmpty else { break }
            try await queue.accept(messages)
            for message in messages {
                let isNew = seen.insert(message.text).inserted
                #expect(isNew, "\(message.text) came twice to one who had settled it")
            }
        }
        #expect(seen.count == publishers * count)
        for client in clients { await client.close() }
        let isInTime = running.stop()
        #expect(isInTime)
    }

    @Test(arguments: Setup.all)
    func aStopWhileBusyKeepsWhatWasAcknowledged(_ setup: Setup) async throws {
        let running = try Running(setup)
        let clients = try await running.connect(8)
        try await clients[0].createTopic("t")
        let acknowledged = Tally()
        let (enough, enoughSeen) = AsyncStream.makeStream(of: Void.self)
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            for client in clients {
                let producer = try await client.producer(topic: "t")
                tasks.addTask {
                    // Ends when the broker does.
                    while true {
                        do { try await producer.send([UInt8](repeating: 1, count: 100)) } catch { return }
                        if acknowledged.add() == 500 { enoughSeen.finish() }
                    }
                }
                tasks.addTask {
                    guard let reader = try? await client.consumer(topic: "t", from: .earliest) else { return }
                    do { for try await _ in reader.batches {} } catch {}
                }
            }
            for await _ in enough {}
            let isInTime = try await Self.stopAside(running.group)
            #expect(isInTime)
            for client in clients { await client.close() }
            tasks.cancelAll()
            try await tasks.waitForAll()
        }
        let before = acknowledged.count
        let (group, address, started) = try Running.start(Setup(driver: setup.driver, shards: 1), running.directory)
        #expect(started.wasClean && started.topics == 1)
        let client = try await Client.connect(to: address)
        #expect(try await client.topic("t").partitions[0].end >= Int64(before))
        await client.close()
        group.stop(within: 3_000_000_000)
    }

    /// Each shard listens by itself; notes whom it serves.
    struct PerShardProtocol: WireProtocol {
        static let name = "per-shard"
        static let listensPerShard = true
        let seen: AsyncStream<Peer>.Continuation

        init(_ options: ConfigSection) throws(ConfigError) { preconditionFailure("\(options): made by the test") }
        init(_ seen: AsyncStream<Peer>.Continuation) { self.seen = seen }

        func makeSession(_ peer: Peer) -> any WireSession {
            seen.yield(peer)
            return NativeProtocol().makeSession(peer)
        }
    }

    @Test(arguments: [DriverChoice.ioUring, .epoll])
    func aProtocolMayListenOnAPortPerShard(_ driver: DriverChoice) async throws {
        let directory = "/tmp/needletail-shards-\(LinuxSystem.Clock.monotonic)"
        try FileSystem.makeDirectory(directory)
        defer { try? FileSystem.removeTree(directory) }
        let (seen, noted) = AsyncStream.makeStream(of: Peer.self)
        var options = ShardGroup.Options(directory: directory)
        options.driver = driver
        options.shards = 3
        options.broker.log.segmentBytes = 5 << 20
        options.listeners = [ShardGroup.Listener(address: .tcp(host: "127.0.0.1", port: 0), wireProtocol: PerShardProtocol(noted))]
        let group = try ShardGroup(options: options, log: LogWriter(LogWriter.Options(), clock: { 0 }, sink: { _ in }))
        guard case .tcp(_, let port) = try group.start().addresses[0] else { throw HarnessError(what: "no TCP address") }
        var peers = seen.makeAsyncIterator()
        for shard in 0..<3 {
            let own = port + UInt16(shard)
            // Dealing out would send some of these elsewhere.
            for _ in 0..<4 {
                let client = try await Client.connect(to: "127.0.0.1:\(own)")
                let peer = try #require(await peers.next())
                #expect(peer.server.node == shard && peer.server.shards == 3)
                #expect(peer.server.directory == directory && peer.server.topics.segmentBytes == 5 << 20, "what the broker was started with")
                #expect(peer.reached == Endpoint(host: "127.0.0.1", port: own))
                await client.close()
            }
        }
        group.stop(within: 1_000_000_000)
    }

    @Test func aStartThatIsRefusedLeavesNothingBehind() throws {
        let setup = Setup(driver: .epoll, shards: 3)
        let running = try Running(setup)
        let taken = running.address
        var options = ShardGroup.Options(directory: running.directory + "/second")
        options.driver = .epoll
        options.shards = 3
        let port = try #require(UInt16(taken.split(separator: ":").last ?? ""))
        options.listeners = [ShardGroup.Listener(address: .tcp(host: "127.0.0.1", port: port), wireProtocol: NativeProtocol())]
        let log = LogWriter(LogWriter.Options(), clock: { 0 }, sink: { _ in })
        // Sharing a port is among the shards of one process.
        let second = try ShardGroup(options: options, log: log)
        #expect(throws: StartError.self) { try second.start() }
        let isInTime = running.stop()
        #expect(isInTime)
        // Nothing holds the port any more.
        let third = try ShardGroup(options: options, log: log)
        let addresses = try third.start().addresses
        #expect(addresses == options.listeners.map(\.address))
        third.stop(within: 1_000_000_000)
    }
}
