import BrokerCore
import Bytes
import SegmentLog
import Testing

/// Who is given what, and what settling, leases and limits make of it; by the method of `BrokerScenarioTests`.
struct BrokerConsumingTests {
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

    /// Whoever may publish among dead letters may write any origin: it leads no further than to topics whose letters these are.
    @Test func aForgedOriginLeadsNowhere() throws {
        let harness = try Harness()
        let victim = try harness.create("victim", .queue())
        let other = try harness.create("other", .queue(SubscriptionOptions(deadLetterTopic: "elsewhere")))
        let topic = try harness.create("q", .queue(SubscriptionOptions(deadLetterTopic: "dead")))
        let dead = try harness.create("dead", .queue())
        func letter(_ origin: String) {
            var input = ByteBuffer()
            RecordHeaderReader.encode(name: "x-origin-topic", value: Array(origin.utf8), into: &input)
            let headers = ByteRange(start: 0, count: input.count)
            input.append(Array("forged \(origin)".utf8))
            let message = MessageRanges(
                key: nil, payload: ByteRange(start: headers.count, count: input.count - headers.count), headers: headers, headerCount: 1, timestamp: nil,
                producer: nil)
            harness.answer(
                .append(Append(target: .topic(dead, partition: 0), content: .message(message), durability: .none, answer: .whenReached)),
                input: [UInt8](input.bytes))
        }
        for origin in ["victim", "other", "dead", "q", "nobody"] { letter(origin) }
        harness.subscribe("q", "queue", credit: 1_000)
        harness.publish(topic, count: 2)
        for delivery in harness.taken() { harness.settle(delivery.delivery, .reject) }
        harness.settleDown()
        // Those behind the forged ones go back all the same.
        guard case .count(3)? = harness.answer(.redrive(topic: "dead", limit: 0)) else {
            Issue.record("the letters of 'q' go back, and no others")
            return
        }
        #expect(harness.takenPayloads() == ["forged q", "m0", "m1"])
        for (consumer, name) in ["victim", "other"].enumerated() {
            harness.subscribe(name, "queue", consumer: UInt32(10 + consumer))
            #expect(harness.takenPayloads().isEmpty, "\(name)")
        }
        harness.subscribe("dead", "queue", consumer: 20)
        #expect(harness.takenPayloads() == ["forged victim", "forged other", "forged dead", "forged nobody"])
        _ = (victim, other)
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
}
