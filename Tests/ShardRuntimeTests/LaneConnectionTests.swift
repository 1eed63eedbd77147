import BrokerCore
import LinuxSystem
import NativeProtocol
import NeedletailClient
import Observability
import Synchronization
import Testing
import Wire

@testable import ShardRuntime

/// The client over shared memory against real shards: everything that holds over a socket holds here.
@Suite(.serialized, .timeLimit(.minutes(20))) struct LaneConnectionTests {
    struct Setup: Sendable, CustomTestStringConvertible {
        var driver: DriverChoice
        var wait: WaitPolicy.Mode
        var testDescription: String { "\(driver.rawValue), \(wait.rawValue)" }
        static let all = [DriverChoice.ioUring, .epoll].flatMap { driver in WaitPolicy.Mode.allCases.map { Setup(driver: driver, wait: $0) } }
    }

    final class Running {
        let directory: String
        let path: String
        let group: ShardGroup

        init(_ setup: Setup, limits: Limits = Limits()) throws {
            directory = "/tmp/needletail-lane-\(LinuxSystem.Clock.monotonic)"
            path = directory + ".socket"
            try FileSystem.makeDirectory(directory)
            var options = ShardGroup.Options(directory: directory)
            options.driver = setup.driver
            options.shard.waiting = WaitPolicy(setup.wait)
            options.shard.limits = limits
            options.listeners = [ShardGroup.Listener(address: .unix(path: path), wireProtocol: NativeProtocol())]
            let log = LogWriter(LogWriter.Options(), clock: { 0 }, sink: { line in Issue.record("logged: \(String(decoding: line, as: UTF8.self))") })
            group = try ShardGroup(options: options, log: log)
            _ = try group.start()
        }

        deinit {
            group.stop(within: 3_000_000_000)
            try? FileSystem.removeTree(directory)
        }

        func connect(_ scheme: String = "shm:", spin: Duration = .zero) async throws -> Client {
            var options = ClientOptions()
            options.spin = spin
            return try await Client.connect(to: scheme + path, options)
        }
    }

    final class Seen: Sendable {
        private let table = Mutex<[String: Int]>([:])
        func add(_ payload: String) { table.withLock { $0[payload, default: 0] += 1 } }
        var counts: [String: Int] { table.withLock { $0 } }
    }

    private static func figure(_ name: String, _ client: Client) async throws -> Double {
        try await client.statistics().first { $0.name == "needletail_" + name }?.value ?? -1
    }

    @Test(arguments: Setup.all) func whatOneClientPublishesAnotherReads(_ setup: Setup) async throws {
        let running = try Running(setup)
        let (writer, reader) = (try await running.connect(), try await running.connect(spin: .microseconds(20)))
        _ = try await writer.createTopic("t")
        let producer = try await writer.producer(topic: "t")
        let consumer = try await reader.consumer(topic: "t", from: .earliest)
        let payload = [UInt8](repeating: 7, count: 300)
        for number in 0..<20_000 { try await producer.enqueue(Array("\(number) ".utf8) + payload) }
        try await producer.flush()
        var next = 0
        for try await message in consumer {
            #expect(message.offset == Int64(next) && message.payload == Array("\(next) ".utf8) + payload)
            next += 1
            if next == 20_000 { break }
        }
        #expect(try await LaneConnectionTests.figure("lanes_opened_total", writer) == 2)
        await writer.close()
        await reader.close()
    }

    /// A message larger than both rings goes through in pieces, and what one side does not take yet does not stop the other for ever.
    @Test(arguments: Setup.all) func aMessageLargerThanTheRingsArrives(_ setup: Setup) async throws {
        var limits = Limits()
        limits.laneBytes = Lane.leastBytes
        let running = try Running(setup, limits: limits)
        let client = try await running.connect()
        var options = TopicOptions()
        options.maxMessageBytes = 4 << 20
        _ = try await client.createTopic("t", options)
        let producer = try await client.producer(topic: "t")
        let consumer = try await client.consumer(topic: "t", from: .earliest)
        let large = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 17) }
        for number in 0..<4 {
            _ = try await producer.send(large + [UInt8(number)])
        }
        var number: UInt8 = 0
        for try await message in consumer {
            #expect(message.payload == large + [number])
            number += 1
            if number == 4 { break }
        }
        await client.close()
    }

    @Test(arguments: Setup.all) func aQueueOverSharedMemoryAndASocketGivesEachMessageOnce(_ setup: Setup) async throws {
        let running = try Running(setup)
        let clients = [try await running.connect(), try await running.connect("unix:"), try await running.connect()]
        _ = try await clients[0].createTopic("work")
        let producer = try await clients[1].producer(topic: "work")
        for number in 0..<3_000 { try await producer.enqueue(Array("\(number)".utf8)) }
        try await producer.flush()
        let seen = Seen()
        try await withThrowingTaskGroup { tasks in
            for client in clients {
                tasks.addTask {
                    let worker = try await client.worker(queue: "work", group: "workers")
                    for try await message in worker {
                        seen.add(String(decoding: message.payload, as: UTF8.self))
                        try await worker.accept(message)
                    }
                }
            }
            while seen.counts.count < 3_000 { try await Task.sleep(for: .milliseconds(1)) }
            tasks.cancelAll()
            // They wait for more, and are told that there is none.
            while await tasks.nextResult() != nil {}
        }
        #expect(seen.counts.values.allSatisfy { $0 == 1 })
        for client in clients { await client.close() }
    }

    @Test func oneLaneMoreThanThereMayBeIsRefusedByName() async throws {
        var limits = Limits()
        limits.lanes = 1
        let running = try Running(Setup(driver: .auto, wait: .sleep), limits: limits)
        let first = try await running.connect()
        await #expect {
            _ = try await running.connect()
        } throws: {
            "\($0)".contains("limits.lanes")
        }
        #expect(try await LaneConnectionTests.figure("lanes_refused_total", first) == 1)
        #expect(try await LaneConnectionTests.figure("limit_lanes_total", first) == 1)
        await first.close()
    }
}
