import Bytes
import LinuxSystem
import NeedletailClient
import Testing

/// The client library against the real binary, which is killed and started again under it.
@Suite(.serialized, .timeLimit(.minutes(20))) struct EndToEndTests {
    /// A broker process with its own data directory; started again it has the same directory and the same port.
    final class Broker {
        let directory: String
        let address: String
        private var process: ChildProcess

        init() throws {
            address = try Broker.quietPort().description
            directory = "/tmp/needletail-test-\(LinuxSystem.Clock.monotonic)"
            try FileSystem.makeDirectory(directory)
            process = try Broker.start(directory, address)
        }

        /// A port that nobody has, and that the system gives to nobody while the broker is down: not even to a client that looks for it.
        private static func quietPort() throws -> SocketAddress {
            while true {
                let address = SocketAddress.ipv4(0x7f00_0001, port: .random(in: 10_000..<32_000))
                let socket = try Socket.make(for: address, .blocking)
                defer { socket.close() }
                do { try socket.bind(to: address) } catch { continue }
                return address
            }
        }

        func killAndStartAgain() throws {
            process.kill()
            _ = process.wait(atMost: 60_000_000_000)
            process = try Broker.start(directory, address)
        }

        deinit {
            process.end(.terminate)
            if process.wait(atMost: 60_000_000_000) == nil { process.kill() }
            try? FileSystem.removeTree(directory)
        }

        /// The program lies beside the tests.
        private static func start(_ directory: String, _ address: String) throws -> ChildProcess {
            let tests = try File.open("/proc/self/exe")
            defer { try? tests.close() }
            let program = FileSystem.parent(of: tests.path) + "/needletail"
            let process = try ChildProcess([program, "serve", "--data", directory, "--listen", "native=\(address)", "--log-level", "error"])
            var output = ByteBuffer()
            while try process.read(into: &output) > 0, !String(decodingBytes: output.bytes).contains("\n") {}
            return process
        }
    }

    private var options: ClientOptions {
        var options = ClientOptions()
        options.reconnectFirst = .milliseconds(5)
        options.reconnectMost = .milliseconds(50)
        return options
    }

    @Test func everythingPublishedAcrossAKillArrivesOnceAndInOrder() async throws {
        let broker = try Broker()
        let client = try await Client.connect(to: broker.address, options)
        try await client.createTopic("t")
        let producer = try await client.producer(topic: "t")
        let consumer = try await client.consumer(topic: "t", group: "g", from: .earliest)
        let total = 20_000
        // The second half sets out together with the kill.
        let (kill, killing) = AsyncStream.makeStream(of: Void.self)
        let publishing = Task {
            for number in 0..<total {
                if number == total / 2 { for await _ in kill {} }
                try await producer.enqueue(Array(String(number).utf8))
            }
            try await producer.flush()
        }
        var next = 0
        for try await messages in consumer.batches {
            for message in messages {
                #expect(message.text == String(next))
                next += 1
            }
            if next >= 1_000, next - messages.count < 1_000 {
                killing.finish()
                try broker.killAndStartAgain()
            }
            if next >= total { break }
        }
        try await publishing.value
        #expect(next == total)
        #expect(try await client.topic("t").partitions.map(\.end) == [Int64(total)])
        await client.close()
    }

    @Test func aRequestIsAnsweredAndACommitIsKept() async throws {
        let broker = try Broker()
        let client = try await Client.connect(to: broker.address, options)
        try await client.createTopic("prices", .queue())
        let worker = try await client.worker(queue: "prices")
        let serving = Task {
            for try await request in worker {
                try await client.reply(to: request, payload: Array("\(request.text)!".utf8))
                try await worker.accept(request)
            }
        }
        for name in ["a", "b", "c"] {
            #expect(try await client.request(topic: "prices", payload: Array(name.utf8), timeout: .seconds(20)).text == "\(name)!")
        }
        await worker.close()
        try await serving.value

        try await client.createTopic("events")
        let producer = try await client.producer(topic: "events")
        for name in ["one", "two", "three"] { try await producer.send(name, key: "k") }
        let first = try await client.consumer(topic: "events", group: "g", from: .earliest)
        var messages = first.makeAsyncIterator()
        _ = try await messages.next()
        let second = try #require(try await messages.next())
        try await first.commit(second, .durable)
        await first.close()
        try broker.killAndStartAgain()
        var rest = try await client.consumer(topic: "events", group: "g").makeAsyncIterator()
        #expect(try await rest.next()?.text == "three")
        await client.close()
    }

    @Test func aTopicGrowsAndChangesWhatItForgets() async throws {
        let broker = try Broker()
        let client = try await Client.connect(to: broker.address, options)
        var compacted = TopicOptions()
        compacted.cleanup = .compact
        try await client.createTopic("t", compacted)
        var change = TopicChange()
        change.partitions = 3
        change.cleanup = .both
        try await client.alterTopic("t", change)
        try broker.killAndStartAgain()
        let topic = try await client.topic("t")
        #expect(topic.options.cleanup == .both && topic.partitions.count == 3)
        change.partitions = 2
        await #expect(throws: ClientError.self) { try await client.alterTopic("t", change) }
        await client.close()
    }
}
