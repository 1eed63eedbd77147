import Bytes
import LinuxSystem
import NativeCodec
import Synchronization
import Testing

@testable import NeedletailClient

/// Consumers: order and credit, settling, what a lost connection does to streams and to queues.
@Suite(.timeLimit(.minutes(20))) struct ConsumerTests {
    /// A stored batch of texts from `base` on.
    static func batch(_ base: Int64, _ texts: [String]) -> FakeBroker.Stored {
        var builder = RecordBatchBuilder()
        for text in texts { builder.add(key: nil, payload: Array(text.utf8), headers: [], timestamp: 1) }
        var bytes = builder.seal(producer: nil, sequence: 0)
        for index in 0..<8 { bytes[index] = UInt8(truncatingIfNeeded: base >> (56 - 8 * Int64(index))) }
        return FakeBroker.Stored(base: base, count: Int64(texts.count), bytes: bytes, identity: [])
    }

    @Test(arguments: [nil, "group"])
    func aStreamGoesOnBehindWhatWasTaken(_ group: String?) async throws {
        let broker = FakeBroker()
        let (lossAllowed, allow) = (Gate(), Gate())
        let server = try FakeServer([
            { peer in
                try peer.welcome()
                try broker.serve(&peer)
                if group == nil { try broker.serve(&peer) }
                allow.open()
                lossAllowed.wait()
            },
            { peer in
                broker.state.withLock { $0.log.append(Self.batch(3, ["d"])) }
                try peer.welcome()
                while true { try broker.serve(&peer) }
            },
        ])
        broker.state.withLock { $0.log = [Self.batch(0, ["a", "b", "c"])] }
        let client = try await Client.connect(to: server.address, ClientTests.quickly())
        let consumer = try await client.consumer(topic: "t", group: group, from: .earliest)
        var messages = consumer.makeAsyncIterator()
        #expect(try await messages.next()?.text == "a")
        lossAllowed.open()
        var rest: [String] = []
        while rest.count < 3, let message = try await messages.next() { rest.append(message.text) }
        #expect(rest == ["b", "c", "d"])
        let starts = broker.state.withLock { $0.subscribed.map(\.start) }
        #expect(starts == [.earliest, group == nil ? .offset(3) : .earliest])
        await client.close()
    }

    @Test func creditComesBackAsMessagesAreTaken() async throws {
        let broker = FakeBroker()
        broker.state.withLock { $0.log = (0..<5).map { Self.batch($0 * 2, ["x", "y"]) } }
        let server = try FakeServer([broker.script])
        let client = try await Client.connect(to: server.address, ClientTests.quickly())
        var options = ConsumerOptions()
        options.prefetchMessages = 10
        let consumer = try await client.consumer(topic: "t", group: "g", options)
        var messages = consumer.makeAsyncIterator()
        for _ in 0..<10 { _ = try await messages.next() }
        _ = try await client.ping()
        // Six of ten taken is above half; the four that follow are not yet.
        #expect(broker.state.withLock { $0.credits.map(\.messages) } == [6])
        #expect(broker.state.withLock { $0.subscribed.map(\.messageCredit) } == [10])
        await client.close()
    }

    @Test func settlementsTravelAsRanges() async throws {
        let broker = FakeBroker()
        broker.state.withLock { $0.log = [Self.batch(0, ["a", "b", "c", "d"])] }
        let server = try FakeServer([broker.script])
        let client = try await Client.connect(to: server.address, ClientTests.quickly())
        let worker = try await client.worker(queue: "t")
        var runs = worker.batches.makeAsyncIterator()
        let run = try #require(try await runs.next())
        try await worker.accept([run[3], run[0], run[1]], .durable)
        try await worker.requeue(run[2], .durable)
        typealias Range = Frame.Settle.Range
        #expect(
            broker.state.withLock { $0.settled } == [
                Range(partition: 0, outcome: .accept, first: 0, last: 1), Range(partition: 0, outcome: .accept, first: 3, last: 3),
                Range(partition: 0, outcome: .requeue, first: 2, last: 2),
            ])
        #expect(broker.state.withLock { $0.subscribed.map(\.mode) } == [.shared])
        await client.close()
    }

    @Test func aSettlementThatFailedIsToldToTheNext() async throws {
        let broker = FakeBroker()
        let server = try FakeServer([
            { peer in
                try peer.welcome()
                let (subscribe, correlation) = try peer.expect(Frame.Subscribe.self)
                try peer.send(Frame.Subscribed(subscription: 1, isActive: true), correlation: correlation)
                try broker.deliver(Self.batch(0, ["a"]), to: subscribe.consumer, &peer)
                _ = try peer.expect(Frame.Settle.self)
                try peer.send(Frame.ConsumerEvent(consumer: subscribe.consumer, kind: .settleFailed, code: .notInFlight, text: "too late"))
                while true { try broker.serve(&peer) }
            }
        ])
        let client = try await Client.connect(to: server.address, ClientTests.quickly())
        let worker = try await client.worker(queue: "t")
        var messages = worker.makeAsyncIterator()
        let message = try #require(try await messages.next())
        try await worker.accept(message)
        _ = try await client.ping()
        await #expect(throws: ClientError.refused(Refusal(code: .notInFlight, text: "too late"))) { try await worker.accept(message) }
        await client.close()
    }

    @Test func aConsumerThatTheBrokerEndsSaysWhy() async throws {
        let server = try FakeServer([
            { peer in
                try peer.welcome()
                let (subscribe, correlation) = try peer.expect(Frame.Subscribe.self)
                try peer.send(Frame.Subscribed(subscription: 1, isActive: true), correlation: correlation)
                try peer.send(Frame.ConsumerEvent(consumer: subscribe.consumer, kind: .ended, code: .unknownTopic, text: "deleted"))
                while true { _ = try peer.next() }
            }
        ])
        let client = try await Client.connect(to: server.address, ClientTests.quickly())
        let consumer = try await client.consumer(topic: "t", group: "g")
        await #expect(throws: ClientError.refused(Refusal(code: .unknownTopic, text: "deleted"))) {
            for try await _ in consumer {}
        }
        await client.close()
    }

    @Test func receivingAsksForAsMuchAsIsWantedAndGivesLateComersBack() async throws {
        let broker = FakeBroker()
        let late = Gate()
        let server = try FakeServer([
            { peer in
                try peer.welcome()
                let (subscribe, correlation) = try peer.expect(Frame.Subscribe.self)
                #expect(subscribe.messageCredit == 0)
                try peer.send(Frame.Subscribed(subscription: 1, isActive: true), correlation: correlation)
                #expect(try peer.expect(Frame.Credit.self).body.messages == 2)
                try broker.deliver(Self.batch(0, ["a", "b"]), to: subscribe.consumer, &peer)
                #expect(try peer.expect(Frame.Credit.self).body.messages == 3)
                late.wait()
                try broker.deliver(Self.batch(2, ["c"]), to: subscribe.consumer, &peer)
                while true { try broker.serve(&peer) }
            }
        ])
        let client = try await Client.connect(to: server.address, ClientTests.quickly())
        let queue = try await client.queue("t")
        #expect(try await queue.receive(max: 2, wait: .seconds(20)).map(\.text) == ["a", "b"])
        #expect(try await queue.receive(max: 3, wait: .zero).isEmpty)
        late.open()
        // The ping's answer stands behind the delivery, and the release before the next ping.
        _ = try await client.ping()
        _ = try await client.ping()
        #expect(broker.state.withLock { $0.settled } == [Frame.Settle.Range(partition: 0, outcome: .release, first: 2, last: 2)])
        await client.close()
    }
}

/// Lets one thread wait for another's word.
final class Gate: Sendable {
    private let isOpen = Mutex(false)
    func open() { isOpen.withLock { $0 = true } }
    func wait() { while !isOpen.withLock({ $0 }) { LinuxSystem.Clock.sleep(nanoseconds: 100_000) } }
}
