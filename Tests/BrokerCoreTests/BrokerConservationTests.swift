import BrokerCore
import Bytes
import SegmentLog
import Testing

/// Method: one worker at a time and random outcomes by a seed, with redrives and restarts. Goal: Q6 (first deliveries in order, what came
/// back before anything new), Q8 (a dead letter is never in neither place) and Q9 (what was published is settled, dead, dropped, purged,
/// ready or in flight, by the counters, at every moment of rest).
struct BrokerConservationTests {
    /// The figures from which Q9 is reckoned; counters begin anew with every start.
    struct Balance {
        var carried: Double = 0

        func check(_ harness: Harness, _ place: String) {
            guard case .statistics(let list)? = harness.answer(.statistics) else { return #expect(Bool(false), "no figures") }
            func figure(_ name: String) -> Double { list.first { $0.name == "needletail_" + name }?.value ?? -1e9 }
            let came = figure("messages_in_total") + figure("redriven_total") + carried
            let went = figure("settled_total") + figure("dead_lettered_total") + figure("dropped_total") + figure("purged_total")
            #expect(came == went + rest(harness, "q"), "Q9: \(place)")
        }

        func rest(_ harness: Harness, _ topic: String) -> Double {
            guard case .subscriptions(let found)? = harness.answer(.listSubscriptions(topic: topic)), let cursor = found.first?.cursors.first else {
                return -1e9
            }
            return Double(cursor.redeliver + cursor.inFlight + (cursor.end - cursor.next))
        }
    }

    @Test(arguments: Array(1...30) as [UInt64])
    func firstDeliveriesAreInOrderAndNothingIsMiscounted(seed: UInt64) throws {
        var random = BrokerPropertyTests.Random(state: seed &* 31)
        let harness = try Harness { options in
            options.log.segmentBytes = 1_024
            options.segmentsBeforeAside = 1 + Int(seed % 2)
            options.deliveryRecords = 1
        }
        _ = try harness.create("dead", .queue())
        let topic = try harness.create("q", .queue(SubscriptionOptions(leaseMilliseconds: 0, deliveryLimit: 3, deadLetterTopic: "dead")))
        var published = 0
        var expected = 0
        var held: [(offset: Int64, delivery: Delivery)] = []
        var returned: Set<Int64> = []
        var rejected: Set<String> = []
        var redriven = false
        var balance = Balance()
        var lastFirst: Int64 = -1
        var mayBeAgain = false
        var consumer: UInt32 = 1
        func attach() {
            consumer += 1
            harness.subscribe("q", "queue", consumer: consumer, credit: 4)
        }
        func look() {
            for (_, delivery, payloads) in harness.taken() {
                let offset = delivery.first.rawValue
                if delivery.isRedelivery {
                    #expect(mayBeAgain || returned.min() == offset, "Q6: \(offset) came back before \(String(describing: returned.min())) (seed \(seed))")
                    returned.remove(offset)
                } else {
                    #expect(mayBeAgain || returned.isEmpty, "Q6: something new before what came back (seed \(seed))")
                    #expect(offset > lastFirst, "Q6: out of order (seed \(seed))")
                    lastFirst = offset
                    if !redriven {
                        #expect(payloads == ["m\(expected)"], "Q6: not as published (seed \(seed))")
                        expected += 1
                    }
                }
                held.append((offset, delivery))
            }
        }
        attach()
        for _ in 0..<250 {
            switch random.below(14) {
            case 0..<4:
                for _ in 0..<(1 + random.below(5)) {
                    harness.publish(topic, "m\(published)")
                    published += 1
                }
            case 4..<9:
                guard !held.isEmpty else { break }
                let one = held.remove(at: random.below(held.count))
                switch random.below(8) {
                case 0:
                    rejected.insert(harness.payloads(one.delivery).first ?? "")
                    harness.settle(one.delivery, .reject)
                case 1, 2:
                    if one.delivery.attempt < 3 { returned.insert(one.offset) }
                    harness.settle(one.delivery, .requeue)
                default: harness.settle(one.delivery)
                }
                look()
                harness.ask(.credit(ConsumerID(rawValue: consumer), messages: 1, bytes: 0))
            case 9: harness.tick()
            case 10: harness.completeStorage()
            case 11:
                harness.advance(milliseconds: UInt64(60 + random.below(1_500)))
                look()
                balance.check(harness, "seed \(seed)")
                look()
                // All that the stop gave back has come.
                if mayBeAgain, harness.statistic("ready") == 0 { mayBeAgain = false }
            case 12 where random.below(6) == 0:
                harness.settleDown()
                look()
                // From now on payloads are not in the order of their offsets.
                redriven = true
                harness.answer(.redrive(topic: "dead", limit: 2))
                harness.settleDown()
            case 13 where random.below(6) == 0:
                let clean = random.below(2) == 0
                harness.settleDown()
                look()
                let before = balance.rest(harness, "q")
                look()
                try harness.restart(clean: clean)
                let after = balance.rest(harness, "q")
                #expect(clean ? after == before : after >= before, "Q9: \(before) messages before the stop, \(after) after it (seed \(seed))")
                balance.carried = after
                if !clean { redriven = true }
                mayBeAgain = true
                held = []
                returned = []
                if !clean { lastFirst = -1 }
                attach()
            default: break
            }
            look()
        }
        harness.advance(milliseconds: 2_000)
        balance.check(harness, "at the end of seed \(seed)")
        // Q8: whatever was rejected is dead, or was brought back.
        harness.broker.open(SessionID(rawValue: 3))
        harness.deliveries = []
        harness.subscribe("dead", "queue", consumer: 9_000, session: SessionID(rawValue: 3), credit: 100_000)
        harness.advance(milliseconds: 100)
        let dead = Set(harness.deliveries.filter { $0.delivery.consumer == ConsumerID(rawValue: 9_000) }.flatMap(\.payloads))
        if !redriven { #expect(rejected.isSubset(of: dead), "Q8: seed \(seed)") }
    }
}
