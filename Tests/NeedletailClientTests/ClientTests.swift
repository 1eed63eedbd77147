import Bytes
import LinuxSystem
import NativeCodec
import Synchronization
import Testing

@testable import NeedletailClient

/// The client against a server that speaks the protocol over a real loopback socket and loses connections when told to.
@Suite(.timeLimit(.minutes(20))) struct ClientTests {
    static func quickly() -> ClientOptions {
        var options = ClientOptions()
        options.reconnectFirst = .milliseconds(1)
        options.reconnectMost = .milliseconds(5)
        return options
    }

    @Test func aMessageComesBackAsItWasSent() async throws {
        let server = try FakeServer([FakeBroker().script])
        let client = try await Client.connect(to: server.address, Self.quickly())
        let producer = try await client.producer(topic: "t")
        let headers = [Header("kind", "test"), Header("null", nil as [UInt8]?)]
        let receipt = try await producer.send([1, 2, 3], key: [9], headers: headers)
        try await producer.send(nil)
        #expect(receipt == Receipt(partition: 0, offset: 0, durability: .group, logs: 1, isDuplicate: false))

        var messages = try await client.consumer(topic: "t", from: .earliest).makeAsyncIterator()
        let first = try #require(try await messages.next())
        #expect((first.payload, first.key, first.headers, first.offset, first.attempt) == ([1, 2, 3], [9], headers, 0, 1))
        let second = try #require(try await messages.next())
        #expect(second.isTombstone && second.offset == 1 && second.key == nil)
        #expect(client.server?.name == "fake")
        await client.close()
    }

    @Test func batchesGrowWithTheLoadAndKeepTheOrder() async throws {
        let broker = FakeBroker()
        let server = try FakeServer([broker.script])
        let client = try await Client.connect(to: server.address, Self.quickly())
        let producer = try await client.producer(topic: "t")
        for number in 0..<5_000 { try await producer.enqueue(Array(String(number).utf8)) }
        try await producer.flush()
        let batches = broker.state.withLock { $0.log.count }
        #expect(batches < 2_500)

        var number = 0
        for try await messages in try await client.consumer(topic: "t", from: .earliest).batches {
            for message in messages {
                #expect(message.text == String(number) && message.offset == Int64(number))
                number += 1
            }
            if number == 5_000 { break }
        }
        await client.close()
    }

    @Test func anIdempotentPublishIsStoredOnceAlthoughItsAnswerWasLost() async throws {
        let broker = FakeBroker()
        let server = try FakeServer([broker.script])
        let client = try await Client.connect(to: server.address, Self.quickly())
        let producer = try await client.producer(topic: "t")
        try await producer.send("one")
        broker.state.withLock { $0.losesNextAnswer = true }
        let receipt = try await producer.send("two")
        #expect(receipt.isDuplicate && receipt.offset == 1)
        #expect(try await producer.send("three").offset == 2)
        #expect(broker.state.withLock { ($0.log.count, $0.duplicates) } == (3, 1))
        await client.close()
    }

    @Test func anotherPublishFailsAsUnknown() async throws {
        let broker = FakeBroker()
        let server = try FakeServer([broker.script])
        let client = try await Client.connect(to: server.address, Self.quickly())
        let producer = try await client.producer(exchange: "e")
        broker.state.withLock { $0.losesNextAnswer = true }
        await #expect(throws: ClientError.outcomeUnknown) { try await producer.send("one", routingKey: "a.b") }
        #expect(try await producer.send("two", routingKey: "a.b").offset == 1)
        await client.close()
    }

    @Test func aRefusedBatchFailsAloneAndTheProducerGoesOnWithANewIdentity() async throws {
        let broker = FakeBroker()
        let server = try FakeServer([broker.script])
        let client = try await Client.connect(to: server.address, Self.quickly())
        let producer = try await client.producer(topic: "t")
        try await producer.send("one")
        broker.state.withLock { $0.refuses = .messageTooLarge }
        await #expect(throws: ClientError.refused(Refusal(code: .messageTooLarge, text: "told to"))) { try await producer.send("two") }
        #expect(try await producer.send("three").offset == 1)
        let identities = broker.state.withLock { $0.log.map(\.identity) }
        // The second identity, from sequence 0.
        #expect(identities.map { $0[7] } == [101, 102] && identities.map { $0[13] } == [0, 0])

        broker.state.withLock { $0.refuses = .storageFailed }
        try await producer.enqueue([1])
        await #expect(throws: ClientError.self) { try await producer.flush() }
        try await producer.flush()
        await client.close()
    }

    @Test func questionsAreAskedAgainOnTheNextConnection() async throws {
        let server = try FakeServer([
            { peer in
                try peer.welcome()
                _ = try peer.next()
            }, FakeBroker().script,
        ])
        let client = try await Client.connect(to: server.address, Self.quickly())
        #expect(try await client.topic("t").id == FakeBroker.topic)
        await client.close()
    }

    @Test func commandsAreNotAskedAgain() async throws {
        let server = try FakeServer([
            { peer in
                try peer.welcome()
                _ = try peer.next()
            }, FakeBroker().script,
        ])
        let client = try await Client.connect(to: server.address, Self.quickly())
        await #expect(throws: ClientError.outcomeUnknown) { try await client.deleteTopic("t") }
        await client.close()
    }

    @Test func anAnswerThatNeverComesTimesOut() async throws {
        let server = try FakeServer([
            { peer in
                try peer.welcome()
                while true { _ = try peer.next() }
            }
        ])
        var options = Self.quickly()
        options.requestTimeout = .milliseconds(20)
        let client = try await Client.connect(to: server.address, options)
        await #expect(throws: ClientError.timedOut("listing the topics")) { try await client.topics() }
        await client.close()
    }

    @Test func closingEndsEverythingThatWaits() async throws {
        let server = try FakeServer([
            { peer in
                try peer.welcome()
                while true { _ = try peer.next() }
            }
        ])
        let client = try await Client.connect(to: server.address, Self.quickly())
        async let answer = client.topics()
        await client.close()
        do {
            _ = try await answer
            Issue.record("there was an answer")
        } catch let error as ClientError {
            #expect(error == .closed)
        }
        await #expect(throws: ClientError.closed) { try await client.topics() }
    }

    @Test func whereNobodyListensConnectingFailsWithAdvice() async throws {
        // Bound and not listening: nobody else gets the port meanwhile.
        let socket = try Socket.make(for: .ipv4(0x7f00_0001, port: 0), .blocking)
        defer { socket.close() }
        try socket.bind(to: .ipv4(0x7f00_0001, port: 0))
        let address = try #require(socket.localAddress).description
        do {
            _ = try await Client.connect(to: address)
            Issue.record("connected")
        } catch {
            #expect("\(error)".contains("cannot connect to \(address)") && "\(error)".contains("is the broker running"))
        }
    }

    @Test func aRefusedGreetingSaysWhy() async throws {
        let server = try FakeServer([
            { peer in
                _ = try peer.expect(Frame.Hello.self)
                try peer.send(Frame.Failure(code: .unsupportedVersion, isFatal: true, text: "speaks version 9 only"))
            }
        ])
        await #expect(throws: ClientError.refused(Refusal(code: .other(101), text: "speaks version 9 only"))) {
            try await Client.connect(to: server.address)
        }
    }

    @Test func aRequestGetsItsReply() async throws {
        let server = try FakeServer([
            { peer in
                try peer.welcome()
                let broker = FakeBroker()
                var consumer: UInt32 = 0
                while true {
                    let (header, bytes) = try peer.next()
                    switch FrameType(rawValue: header.type) {
                    case .publish:
                        // Answers with the payload, and with the headers as they came.
                        let publish = try Frame.Publish.decode(header, in: bytes.rawSpan, at: 0)
                        try peer.send(
                            Frame.Published(topic: 7, partition: 0, baseOffset: 0, count: 1, logs: 1, reached: .none, isDuplicate: false),
                            correlation: header.correlation)
                        let payload = try #require(publish.payload)
                        let record: [UInt8] =
                            [0, 0, 0, 1, UInt8(payload.count * 2)] + bytes[payload.indices] + [UInt8(publish.headerCount * 2)]
                            + bytes[publish.headers.indices]
                        let run = [UInt8(record.count * 2 % 128 + 128), UInt8(record.count * 2 / 128)] + record
                        let head = Frame.DeliveryHead(consumer: consumer, topic: 7, partition: 0, attempt: 1, first: 0, last: 0)
                        try peer.send(
                            Frame.DeliverRecords(head: head, baseOffset: 0, baseTimestamp: 0, records: ByteRange(start: 0, count: run.count)), tail: run)
                    case .subscribe:
                        consumer = try Frame.Subscribe.decode(header, in: bytes.rawSpan, at: 0).consumer
                        try peer.send(Frame.Subscribed(subscription: 1, isActive: true), correlation: header.correlation)
                    case .describeTopic, .createReplyTopic: try broker.answerTopics(header, &peer)
                    default: break
                    }
                }
            }
        ])
        let client = try await Client.connect(to: server.address, Self.quickly())
        let reply = try await client.request(topic: "t", payload: Array("ping".utf8), timeout: .seconds(20))
        #expect(reply.text == "ping" && reply.header("reply-to") == Array("t".utf8))
        await client.close()
    }
}
