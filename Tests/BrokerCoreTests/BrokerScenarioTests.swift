import BrokerCore
import Bytes
import SegmentLog
import Testing

/// Method: a broker on memory that behaves as a disk, driven by requests, ticks and the time; what it wants done is looked at.
struct BrokerScenarioTests {
    @Test func aPublishIsAnsweredAfterItsFlushAndSeenOnlyThen() throws {
        let harness = try Harness()
        let topic = try harness.create("t")
        harness.subscribe("t", "s", .exclusive)
        let request = harness.publish(topic, "hello")
        #expect(harness.responses[request] == nil)
        harness.tick()
        #expect(harness.responses[request] == nil, "the flush is under way")
        #expect(harness.deliveries.isEmpty, "consumers see only what is durable")
        harness.completeStorage()
        guard case .appended(let appended)? = harness.responses[request] else {
            Issue.record("no acknowledgement")
            return
        }
        #expect(appended.reached == .group)
        #expect(appended.baseOffset == .zero)
        harness.tick()
        #expect(harness.takenPayloads() == ["hello"])
    }

    @Test(arguments: [Durability.none, .interval])
    func aTopicWithoutFlushesAnswersAtTheEndOfTheTick(durability: Durability) throws {
        let harness = try Harness()
        let topic = try harness.create("t", TopicOptions(durability: durability))
        let weak = harness.publish(topic, "weak")
        let (strong, bytes) = harness.message(topic, "strong", durability: .group)
        let strongID = harness.ask(strong, input: bytes)
        harness.tick()
        guard case .appended(let appended)? = harness.responses[weak] else {
            Issue.record("no acknowledgement")
            return
        }
        #expect(appended.reached == durability)
        #expect(harness.responses[strongID] == nil)
        harness.settleDown()
        guard case .appended(let later)? = harness.responses[strongID] else {
            Issue.record("no acknowledgement")
            return
        }
        #expect(later.reached == .group)
    }

    @Test func aMemoryTopicPromisesNothingAndDeliversAtOnce() throws {
        let harness = try Harness()
        let topic = try harness.create("t", TopicOptions(storage: .memory))
        harness.subscribe("t", "", .exclusive, start: .latest)
        let request = harness.publish(topic, "now")
        harness.tick()
        guard case .appended(let appended)? = harness.responses[request] else {
            Issue.record("no acknowledgement")
            return
        }
        #expect(appended.reached == Durability.none)
        #expect(harness.takenPayloads() == ["now"])
    }

    @Test func anExchangeAppendsToEachDestinationOnceAndAnswersWhenAllHaveIt() throws {
        let harness = try Harness()
        for name in ["payment", "stock", "notify"] { _ = try harness.create(name, .queue()) }
        guard case .exchanges(let made)? = harness.answer(.createExchange(name: "orders", .topic)), let exchange = made.first else {
            Issue.record("no exchange")
            return
        }
        for (name, pattern) in [("payment", "order.*"), ("payment", "order.#"), ("stock", "order.new"), ("notify", "#")] {
            #expect(isDone(harness.answer(.bind(Binding(exchange: "orders", destination: .topic(name), pattern: pattern)))))
        }
        for (index, name) in ["payment", "stock", "notify"].enumerated() { harness.subscribe(name, "queue", consumer: UInt32(index + 1)) }
        func publish(_ key: String) -> RequestID {
            let bytes = Array(key.utf8) + Array("body".utf8)
            let ranges = MessageRanges(
                key: nil, payload: ByteRange(start: key.utf8.count, count: 4), headers: .empty, headerCount: 0, timestamp: nil, producer: nil)
            return harness.ask(
                .append(
                    Append(
                        target: .exchange(exchange.id, routingKey: ByteRange(start: 0, count: key.utf8.count)), content: .message(ranges), durability: .none,
                        answer: .whenReached)), input: bytes)
        }
        let request = publish("order.new")
        harness.tick()
        #expect(harness.responses[request] == nil)
        harness.settleDown()
        guard case .appended(let appended)? = harness.responses[request] else {
            Issue.record("no acknowledgement")
            return
        }
        #expect(appended.logs == 3)
        #expect(appended.reached == .group)
        #expect(harness.takenPayloads() == ["body", "body", "body"])
        let other = publish("user.new")
        harness.settleDown()
        guard case .appended(let second)? = harness.responses[other] else {
            Issue.record("no acknowledgement")
            return
        }
        #expect(second.logs == 1)
    }

    @Test func aRestartRestoresTopicsBindingsAndCursors() throws {
        for clean in [true, false] {
            let harness = try Harness()
            let topic = try harness.create("q", .queue(SubscriptionOptions(leaseMilliseconds: 5_000, deliveryLimit: 7, deadLetterTopic: "dead")))
            _ = harness.answer(.createExchange(name: "x", .fanout))
            _ = harness.answer(.bind(Binding(exchange: "x", destination: .topic("q"), pattern: "")))
            harness.subscribe("q", "queue", credit: 4)
            harness.publish(topic, count: 6)
            let first = harness.taken()
            #expect(first.flatMap(\.payloads) == ["m0", "m1", "m2", "m3"])
            harness.ask(.settle(Settle(consumer: ConsumerID(rawValue: 1), partition: 0, first: Offset(1), last: Offset(2), outcome: .accept, confirm: true)))
            harness.settleDown()
            try harness.restart(clean: clean)
            guard case .topics(let topics)? = harness.answer(.listTopics), case .exchanges(let exchanges)? = harness.answer(.listExchanges) else {
                Issue.record("no lists")
                return
            }
            #expect(topics.map(\.name) == ["q"])
            #expect(topics.first?.options.subscription.deliveryLimit == 7)
            #expect(exchanges.first?.bindings == [Binding(exchange: "x", destination: .topic("q"), pattern: "")])
            harness.subscribe("q", "queue")
            let again = harness.taken()
            #expect(again.flatMap(\.payloads) == ["m0", "m3", "m4", "m5"], "clean: \(clean)")
            let flagged = again.filter(\.delivery.isRedelivery).flatMap(\.payloads)
            #expect(flagged == (clean ? ["m0", "m3"] : ["m0", "m3", "m4", "m5"]), "clean: \(clean)")
        }
    }

    @Test func aStreamIsReadAgainAfterASeek() throws {
        let harness = try Harness()
        let topic = try harness.create("t", TopicOptions(partitions: 2))
        for number in 0..<10 { harness.publish(topic, "m\(number)", partition: Int32(number % 2)) }
        harness.settleDown()
        harness.subscribe("t", "s", .exclusive, form: .batches, credit: 1_000)
        #expect(harness.takenPayloads().count == 10)
        #expect(isDone(harness.answer(.seek(topic: "t", subscription: "s", position: .earliest))))
        #expect(harness.takenPayloads().count == 10)
        #expect(isDone(harness.answer(.seek(topic: "t", subscription: "s", position: .offset(Offset(3))))))
        #expect(harness.takenPayloads().sorted() == ["m6", "m7", "m8", "m9"])
        #expect(harness.errorCode(harness.answer(.seek(topic: "t", subscription: "s", position: .offset(Offset(99))))) == .offsetOutOfRange)
    }

    @Test func keysGoWhereKafkaPutsThem() throws {
        let harness = try Harness()
        let topic = try harness.create("t", TopicOptions(partitions: 8))
        for number in 0..<40 {
            let key = "key\(number)"
            let request = harness.publish(topic, "v", key: key)
            harness.settleDown()
            guard case .appended(let appended)? = harness.responses[request] else {
                Issue.record("no acknowledgement")
                return
            }
            let bytes = Array(key.utf8)
            let expected = partition(forKey: bytes.rawSpan, among: 8)
            #expect(appended.partition == expected)
        }
    }

    @Test func nothingIsDeliveredToASessionThatIsFull() throws {
        let harness = try Harness()
        let topic = try harness.create("t")
        harness.subscribe("t", "s", .exclusive)
        harness.broker.setWritable(Harness.one, false)
        harness.publish(topic, count: 3)
        #expect(harness.taken().isEmpty)
        harness.broker.setWritable(Harness.one, true)
        harness.settleDown()
        #expect(harness.takenPayloads() == ["m0", "m1", "m2"])
    }

    @Test func aReplyTopicGoesWithItsSession() throws {
        let harness = try Harness()
        guard case .topics(let made)? = harness.answer(.createReplyTopic, from: Harness.two), let reply = made.first else {
            Issue.record("no topic")
            return
        }
        harness.subscribe(reply.name, "", .exclusive, consumer: 5, session: Harness.two, settlesItself: true)
        harness.publish(reply.id, "answer")
        harness.settleDown()
        #expect(harness.takenPayloads() == ["answer"])
        harness.broker.close(Harness.two, now: harness.now)
        harness.take()
        #expect(harness.errorCode(harness.answer(.describeTopic(name: reply.name))) == .unknownTopic)
    }

    @Test func deletingATopicEndsItsConsumersAndItsWaiters() throws {
        let harness = try Harness()
        let topic = try harness.create("t")
        harness.subscribe("t", "s", .exclusive)
        let waiting = harness.publish(topic, "lost")
        #expect(isDone(harness.answer(.deleteTopic(name: "t"))))
        #expect(harness.errorCode(harness.responses[waiting]) == .unknownTopic)
        #expect(harness.events.contains { if case .ended = $0.event { true } else { false } })
        let again = try harness.create("t")
        #expect(again != topic)
        try harness.restart(clean: false)
        guard case .topics(let topics)? = harness.answer(.describeTopic(name: "t")) else {
            Issue.record("gone")
            return
        }
        #expect(topics.first?.id == again)
    }

    @Test func purgeDropsWhatAQueueHoldsButNotWhatIsInFlight() throws {
        let harness = try Harness()
        let topic = try harness.create("q", .queue())
        harness.subscribe("q", "queue", credit: 2)
        harness.publish(topic, count: 10)
        let held = harness.taken()
        guard case .purged(8, start: _)? = harness.answer(.purge(topic: "q", partition: nil, before: nil)) else {
            Issue.record("eight are dropped")
            return
        }
        harness.ask(.credit(ConsumerID(rawValue: 1), messages: 100, bytes: 0))
        for delivery in held { harness.settle(delivery.delivery, .requeue) }
        harness.settleDown()
        #expect(harness.takenPayloads() == ["m0", "m1"])
    }

    @Test func producerIdsAreNeverGivenOutTwice() throws {
        let harness = try Harness()
        var seen: Set<Int64> = []
        for round in 0..<3 {
            for _ in 0..<700 {
                guard case .producer(let id, let epoch)? = harness.answer(.startProducer(id: -1, epoch: -1)) else {
                    Issue.record("no id")
                    return
                }
                #expect(epoch == 0)
                #expect(seen.insert(id).inserted)
            }
            try harness.restart(clean: round == 1)
        }
        let known = try #require(seen.max())
        guard case .producer(known, 1)? = harness.answer(.startProducer(id: known, epoch: 0)) else {
            Issue.record("the epoch is raised")
            return
        }
        #expect(harness.errorCode(harness.answer(.startProducer(id: known, epoch: 0))) == .producerFenced)
    }

    @Test(arguments: [
        ("", false), ("a", true), ("orders.v1_x-y", true), ("a/b", false), ("..", false), (".", false), ("__catalog", false), ("_x", true),
        (String(repeating: "n", count: 249), true), (String(repeating: "n", count: 250), false), ("ä", false), ("a b", false), ("a\0", false),
    ])
    func namesAreJudgedInOnePlace(name: String, isGood: Bool) throws {
        let harness = try Harness()
        let response = harness.answer(.createTopic(name: name, TopicOptions()))
        #expect((harness.errorCode(response) == nil) == isGood)
        if !isGood { #expect(harness.errorCode(response) == .invalidName) }
    }
}
