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

    @Test func competingConsumersShareAndNobodyGetsWhatAnotherHas() throws {
        let harness = try Harness()
        let topic = try harness.create("q", .queue())
        for consumer in UInt32(1)...4 { harness.subscribe("q", "queue", consumer: consumer, credit: 10) }
        harness.publish(topic, count: 36)
        let taken = harness.taken()
        #expect(taken.flatMap(\.payloads).sorted() == (0..<36).map { "m\($0)" }.sorted())
        let shares = Dictionary(grouping: taken, by: \.delivery.consumer).mapValues { $0.flatMap(\.payloads).count }
        #expect(shares.count == 4)
        #expect(shares.values.allSatisfy { $0 >= 5 && $0 <= 10 }, "\(shares)")
    }

    @Test(arguments: [DeliveryForm.records, .batches])
    func creditBoundsWhatIsSent(form: DeliveryForm) throws {
        let harness = try Harness()
        let topic = try harness.create("t")
        harness.subscribe("t", "s", .exclusive, form: form, credit: 3)
        // Batches of one record, so that both forms can stop exactly.
        for number in 0..<10 {
            harness.publish(topic, "m\(number)")
            harness.settleDown()
        }
        #expect(harness.takenPayloads() == ["m0", "m1", "m2"])
        harness.ask(.credit(ConsumerID(rawValue: 1), messages: 2, bytes: 0))
        harness.settleDown()
        #expect(harness.takenPayloads() == ["m3", "m4"])
    }

    @Test func wholeBatchesOvershootByTheLastOneOnly() throws {
        let harness = try Harness()
        let topic = try harness.create("t")
        harness.publish(topic, count: 5)
        harness.publish(topic, count: 5, from: 5)
        harness.subscribe("t", "s", .exclusive, form: .batches, credit: 7)
        #expect(harness.takenPayloads() == (0..<10).map { "m\($0)" })
        harness.publish(topic, count: 1, from: 10)
        harness.ask(.credit(ConsumerID(rawValue: 1), messages: 3, bytes: 0))
        harness.settleDown()
        #expect(harness.takenPayloads() == [], "three are still owed")
        harness.ask(.credit(ConsumerID(rawValue: 1), messages: 1, bytes: 0))
        harness.settleDown()
        #expect(harness.takenPayloads() == ["m10"])
    }

    @Test func oneExclusiveConsumerIsServedAndTheNextTakesOver() throws {
        let harness = try Harness()
        let topic = try harness.create("t")
        guard case .subscribed(_, true)? = harness.subscribe("t", "s", .exclusive, consumer: 1) else {
            Issue.record("the first is active")
            return
        }
        guard case .subscribed(_, false)? = harness.subscribe("t", "s", .exclusive, consumer: 2, session: Harness.two) else {
            Issue.record("the second stands by")
            return
        }
        harness.publish(topic, count: 4)
        let first = harness.taken()
        #expect(first.allSatisfy { $0.session == Harness.one })
        #expect(first.flatMap(\.payloads).count == 4)
        harness.ask(.settle(Settle(consumer: ConsumerID(rawValue: 1), partition: 0, first: .zero, last: Offset(1), outcome: .accept, confirm: false)))
        harness.broker.close(Harness.one, now: harness.now)
        harness.take()
        harness.settleDown()
        #expect(harness.events.contains { $0.session == Harness.two && isActivated($0.event) })
        let second = harness.taken()
        #expect(second.allSatisfy { $0.session == Harness.two && $0.delivery.isRedelivery && $0.delivery.attempt == 2 })
        #expect(second.flatMap(\.payloads) == ["m2", "m3"])
    }

    func isActivated(_ event: ConsumerEvent) -> Bool { if case .activated = event { true } else { false } }

    @Test func eachBroadcastSubscriberHasItsOwnPlace() throws {
        let harness = try Harness()
        let topic = try harness.create("t")
        harness.subscribe("t", "a", .broadcast, consumer: 1)
        harness.publish(topic, count: 2)
        harness.subscribe("t", "b", .broadcast, consumer: 2)
        harness.subscribe("t", "", .exclusive, consumer: 3, start: .latest)
        harness.publish(topic, count: 2, from: 2)
        let byConsumer = Dictionary(grouping: harness.taken(), by: \.delivery.consumer.rawValue).mapValues { $0.flatMap(\.payloads) }
        #expect(byConsumer == [1: ["m0", "m1", "m2", "m3"], 2: ["m0", "m1", "m2", "m3"], 3: ["m2", "m3"]])
    }

    @Test func requeuedComesFirstFlaggedAndCountedAndReleasedIsNotCounted() throws {
        let harness = try Harness()
        let topic = try harness.create("q", .queue())
        harness.subscribe("q", "queue", credit: 2)
        harness.publish(topic, count: 4)
        let first = harness.taken()
        #expect(first.flatMap(\.payloads) == ["m0", "m1"])
        for delivery in first { harness.settle(delivery.delivery, .requeue) }
        harness.ask(.credit(ConsumerID(rawValue: 1), messages: 2, bytes: 0))
        harness.settleDown()
        let again = harness.taken()
        #expect(again.flatMap(\.payloads) == ["m0", "m1"])
        #expect(again.allSatisfy { $0.delivery.isRedelivery && $0.delivery.attempt == 2 })
        for delivery in again { harness.settle(delivery.delivery, .release) }
        harness.ask(.credit(ConsumerID(rawValue: 1), messages: 3, bytes: 0))
        harness.settleDown()
        let third = harness.taken()
        #expect(third.flatMap(\.payloads) == ["m0", "m1", "m2"])
        #expect(third.first?.delivery.attempt == 2)
        #expect(third.last?.delivery.isRedelivery == false)
    }

    @Test func aLeaseEndsExtendsAndNeverOverlaps() throws {
        let harness = try Harness()
        let topic = try harness.create("q", .queue(SubscriptionOptions(leaseMilliseconds: 6_400)))
        harness.subscribe("q", "queue", consumer: 1, credit: 1)
        harness.publish(topic, count: 1)
        let first = try #require(harness.taken().first)
        harness.subscribe("q", "queue", consumer: 2, session: Harness.two, credit: 5)
        harness.advance(milliseconds: 6_000)
        #expect(harness.taken().isEmpty)
        #expect(
            isDone(
                harness.answer(
                    .extendLease(ConsumerID(rawValue: 1), partition: 0, first: first.delivery.first, last: first.delivery.last, milliseconds: 6_400))))
        harness.advance(milliseconds: 6_000)
        #expect(harness.taken().isEmpty, "extended")
        harness.advance(milliseconds: 600)
        let second = harness.taken()
        #expect(second.flatMap(\.payloads) == ["m0"])
        #expect(second.first?.session == Harness.two)
        #expect(second.first?.delivery.attempt == 2)
        harness.settle(first.delivery)
        #expect(harness.events.contains { if case .settleFailed(let error) = $0.event { error.code == .notInFlight } else { false } })
    }

    func isDone(_ response: Response?) -> Bool { if case .done? = response { true } else { false } }

    @Test func theDeliveryLimitLeadsToTheDeadLetterTopicWithItsHistory() throws {
        let harness = try Harness()
        let topic = try harness.create("q", .queue(SubscriptionOptions(deliveryLimit: 3, deadLetterTopic: "dead")))
        harness.subscribe("q", "queue", credit: 100)
        harness.publish(topic, "poison")
        harness.settleDown()
        for attempt in Int32(1)...3 {
            let delivery = try #require(harness.taken().first?.delivery)
            #expect(delivery.attempt == attempt)
            harness.settle(delivery, .requeue)
            harness.settleDown()
        }
        #expect(harness.taken().isEmpty)
        harness.subscribe("dead", "queue", consumer: 9)
        let letter = try #require(harness.taken().first)
        let record = try #require(harness.records(letter.delivery).first)
        #expect(record.payload == "poison")
        #expect(record.headers["x-death-reason"] == "delivery-limit")
        #expect(record.headers["x-origin-topic"] == "q")
        #expect(record.headers["x-origin-partition"] == "0")
        #expect(record.headers["x-origin-offset"] == "0")
        #expect(record.headers["x-delivery-count"] == "3")
        #expect(record.headers["x-death-time"] != nil)
        #expect(harness.statistic("dead_lettered_total") == 1)
        #expect(harness.statistic("in_flight") == 1, "only the letter is in flight")
    }

    @Test func aRejectedRecordIsDurableThereBeforeItIsSettledHere() throws {
        let harness = try Harness()
        let topic = try harness.create("q", .queue(SubscriptionOptions(deadLetterTopic: "dead")))
        _ = try harness.create("dead", .queue())
        harness.subscribe("q", "queue")
        harness.publish(topic, count: 3)
        let delivery = try #require(harness.taken().first?.delivery)
        #expect(delivery.last == Offset(2))
        harness.settle(delivery, .reject)
        harness.tick()
        #expect(harness.broker.counters.deadLettered == 0, "not before the flush")
        harness.settleDown()
        #expect(harness.broker.counters.deadLettered == 3)
    }

    @Test func redriveBringsDeadLettersBackWithoutTheirHistory() throws {
        let harness = try Harness()
        let topic = try harness.create("q", .queue(SubscriptionOptions(deadLetterTopic: "dead")))
        harness.subscribe("q", "queue", credit: 1_000)
        harness.publish(topic, count: 3)
        for delivery in harness.taken() { harness.settle(delivery.delivery, .reject) }
        harness.settleDown()
        guard case .count(2)? = harness.answer(.redrive(topic: "dead", limit: 2)) else {
            Issue.record("two come back")
            return
        }
        let back = harness.taken()
        #expect(back.flatMap(\.payloads) == ["m0", "m1"])
        #expect(back.flatMap { harness.records($0.delivery) }.allSatisfy { $0.headers.isEmpty })
        guard case .count(1)? = harness.answer(.redrive(topic: "dead", limit: 0)) else {
            Issue.record("the last comes back")
            return
        }
        #expect(harness.takenPayloads() == ["m2"])
        guard case .count(0)? = harness.answer(.redrive(topic: "dead", limit: 0)) else {
            Issue.record("nothing is left")
            return
        }
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

    @Test func fetchesWaitForBytesOrForTheirTime() throws {
        let harness = try Harness()
        let topic = try harness.create("t")
        let fetch = Fetch(topic: topic, partition: 0, from: .zero, maxBytes: 1 << 20, minBytes: 1, waitMilliseconds: 500)
        let waiting = harness.ask(.fetch(fetch))
        harness.settleDown()
        #expect(harness.responses[waiting] == nil)
        harness.publish(topic, count: 2)
        guard case .fetched(let parts)? = harness.responses[waiting], let fetched = parts.first else {
            Issue.record("not answered")
            return
        }
        #expect(fetched.visibleEnd == Offset(2))
        #expect(fetched.slice != nil)
        var behind = fetch
        behind.parts[0].from = Offset(2)
        let late = harness.ask(.fetch(behind))
        harness.advance(milliseconds: 499)
        #expect(harness.responses[late] == nil)
        harness.advance(milliseconds: 1)
        guard case .fetched(let parts)? = harness.responses[late], let empty = parts.first else {
            Issue.record("not answered in time")
            return
        }
        #expect(empty.slice == nil)
        behind.parts[0].from = Offset(3)
        #expect(harness.errorCode(harness.answer(.fetch(behind))) == .offsetOutOfRange)
    }

    /// Kafka's rules: the sum of all partitions counts against `minBytes`, a part that fails ends the waiting and spoils no other, and
    /// only the first batch of the answer may exceed the limits.
    @Test func aFetchReadsSeveralPartitions() throws {
        let harness = try Harness()
        let topic = try harness.create("t", TopicOptions(partitions: 3))
        func part(_ index: Int32, from: Int64 = 0, maxBytes: Int = 1 << 20) -> Fetch.Part {
            Fetch.Part(topic: topic, partition: index, from: Offset(from), maxBytes: maxBytes)
        }
        func sizes(_ request: RequestID) -> [Int]? {
            guard case .fetched(let parts)? = harness.responses[request] else { return nil }
            return parts.map { $0.slice?.range.count ?? 0 }
        }
        let size = 61 + 9
        let waiting = harness.ask(.fetch(Fetch(parts: [part(0), part(1), part(2)], maxBytes: 1 << 20, minBytes: 2 * size, waitMilliseconds: 500)))
        harness.publish(topic, "x1", partition: 2)
        harness.settleDown()
        #expect(sizes(waiting) == nil, "half of what was asked for")
        harness.publish(topic, "x2", partition: 0)
        harness.settleDown()
        #expect(sizes(waiting) == [size, 0, size])
        let tight = harness.ask(.fetch(Fetch(parts: [part(1), part(2, maxBytes: 1), part(0)], maxBytes: 1, minBytes: 1, waitMilliseconds: 500)))
        harness.settleDown()
        #expect(sizes(tight) == [0, size, 0], "the first batch whole, and nothing beyond")
        let broken = harness.ask(.fetch(Fetch(parts: [part(2), part(7)], maxBytes: 1 << 20, minBytes: 1 << 20, waitMilliseconds: 500)))
        harness.settleDown()
        #expect(sizes(broken) == [size, 0])
        #expect(harness.errorCode(harness.responses[broken]) == .unknownPartition)
        let orphan = harness.ask(.fetch(Fetch(parts: [part(1), part(1)], maxBytes: 1 << 20, minBytes: 1, waitMilliseconds: 500)))
        _ = harness.answer(.deleteTopic(name: "t"))
        #expect(harness.errorCode(harness.responses[orphan]) == .unknownTopic)
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
