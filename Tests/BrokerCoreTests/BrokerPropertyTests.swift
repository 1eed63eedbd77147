import BrokerCore
import Bytes
import SegmentLog
import Testing

/// Method: publishers, workers and restarts by a seed against one queue with a dead-letter queue; every message is followed from its
/// acknowledgement to its end. Goal: the queue checkers Q1 to Q9 of the reliability programme.
struct BrokerPropertyTests {
    struct Random {
        var state: UInt64
        mutating func below(_ bound: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % bound
        }
    }

    struct Held {
        var consumer: ConsumerID
        var session: SessionID
        var delivery: Delivery
    }

    @Test(arguments: Array(1...30) as [UInt64])
    func everyAcknowledgedMessageEndsOnce(seed: UInt64) throws {
        var random = Random(state: seed)
        let limit: UInt16 = 3
        let harness = try Harness { options in
            options.log.segmentBytes = 4_096
            options.deliveryRecords = 7
            options.segmentsBeforeAside = Int(seed % 4)
        }
        let mode: Durability = seed % 3 == 0 ? .none : .group
        let topic = try harness.create(
            "q", .queue(SubscriptionOptions(leaseMilliseconds: 1_000, deliveryLimit: limit, deadLetterTopic: "dead"), durability: mode))
        var published = 0
        var ok: Set<String> = []
        var pending: [RequestID: String] = [:]
        var accepted: Set<String> = []
        var confirmed: Set<String> = []
        var confirming: [RequestID: [String]] = [:]
        var dead: Set<String> = []
        var held: [Int64: Held] = [:]
        var owed: [ConsumerID: Int64] = [:]
        var nextConsumer: UInt32 = 1
        var living: [(id: ConsumerID, session: SessionID)] = []
        var uncleanStops = 0
        var attempts: [String: Int32] = [:]

        func note() {
            for (id, payload) in pending {
                guard let response = harness.responses[id] else { continue }
                if case .appended = response { ok.insert(payload) }
                pending[id] = nil
            }
            for (id, payloads) in confirming where harness.responses[id] != nil {
                if case .done? = harness.responses[id] { confirmed.formUnion(payloads) }
                confirming[id] = nil
            }
            for (session, delivery, payloads) in harness.taken() {
                owed[delivery.consumer, default: 0] -= delivery.last - delivery.first + 1
                #expect(owed[delivery.consumer, default: 0] >= 0, "Q7: credit exceeded")
                for (index, payload) in payloads.enumerated() {
                    let offset = delivery.first.rawValue + Int64(index)
                    #expect(held[offset] == nil, "Q3: two hold \(payload)")
                    #expect(!confirmed.contains(payload), "Q4: \(payload) came after its confirmed settlement")
                    if accepted.contains(payload) { #expect(uncleanStops > 0 && delivery.isRedelivery, "Q4: an unflagged duplicate") }
                    let before = attempts[payload] ?? 0
                    #expect(delivery.attempt <= before + 1, "Q5: counted too much")
                    if uncleanStops == 0 { #expect(delivery.attempt == before + 1, "Q5: \(payload) counted too little") }
                    #expect(delivery.attempt <= Int32(limit))
                    if before > 0 { #expect(delivery.isRedelivery, "Q4") }
                    attempts[payload] = max(before, delivery.attempt)
                    held[offset] = Held(
                        consumer: delivery.consumer, session: session,
                        delivery: Delivery(
                            consumer: delivery.consumer, topic: delivery.topic, partition: 0, first: Offset(offset), last: Offset(offset),
                            attempt: delivery.attempt, content: delivery.content))
                }
            }
            for event in harness.events { if case .settleFailed(let error) = event.event { Issue.record("\(error)") } }
            harness.events = []
        }
        func lost() {
            held = [:]
            owed = [:]
            living = []
            confirming = [:]
        }

        for _ in 0..<400 {
            switch random.below(20) {
            case 0..<6:
                for _ in 0..<(1 + random.below(6)) {
                    let payload = "m\(published)"
                    published += 1
                    pending[harness.publish(topic, payload)] = payload
                }
            case 6..<9:
                harness.tick()
            case 9, 10:
                harness.completeStorage()
            case 11 where living.count < 4:
                let session = random.below(2) == 0 ? Harness.one : Harness.two
                let id = ConsumerID(rawValue: nextConsumer)
                nextConsumer += 1
                let credit = Int32(1 + random.below(12))
                owed[id] = Int64(credit)
                living.append((id, session))
                harness.ask(
                    .subscribe(
                        Subscribe(
                            consumer: id, topic: "q", name: "queue", mode: .shared, start: .earliest, form: .records, messageCredit: credit, byteCredit: .max,
                            options: SubscriptionOptions())), from: session)
            case 12, 13:
                guard !living.isEmpty else { break }
                let one = living[random.below(living.count)]
                let more = Int32(1 + random.below(6))
                owed[one.id, default: 0] += Int64(more)
                harness.ask(.credit(one.id, messages: more, bytes: 0), from: one.session)
            case 14, 15, 16:
                for offset in held.keys.sorted() where random.below(3) == 0 {
                    guard let one = held.removeValue(forKey: offset), let payload = harness.payloads(one.delivery).first else { continue }
                    let outcome: Settle.Outcome = [.accept, .accept, .accept, .requeue, .release, .reject][random.below(6)]
                    let confirm = random.below(4) == 0
                    let id = harness.settle(one.delivery, outcome, session: one.session, confirm: confirm)
                    if outcome == .accept {
                        accepted.insert(payload)
                        if confirm { confirming[id] = [payload] }
                    }
                    if outcome == .release { attempts[payload, default: 1] -= 1 }
                }
            case 17:
                let step = UInt64(200 + random.below(500))
                note()
                harness.now.instant = harness.now.instant.advanced(byNanoseconds: step * 1_000_000)
                // Leases end on a grid, so what is still held is asked of the broker: everything is given back here.
                for offset in held.keys.sorted() {
                    guard let one = held.removeValue(forKey: offset) else { continue }
                    harness.settle(one.delivery, .requeue, session: one.session)
                }
            case 18 where !living.isEmpty:
                note()
                let index = random.below(living.count)
                let one = living.remove(at: index)
                harness.ask(.unsubscribe(one.id), from: one.session)
                held = held.filter { $0.value.consumer != one.id }
            case 19 where random.below(4) == 0:
                note()
                let clean = random.below(2) == 0
                if !clean { uncleanStops += 1 }
                if clean {
                    harness.settleDown()
                    note()
                }
                lost()
                try harness.restart(clean: clean)
            default: break
            }
            note()
        }

        // The end: everything is taken by one worker and accepted; the dead are counted.
        harness.settleDown()
        note()
        for one in living { harness.ask(.unsubscribe(one.id), from: one.session) }
        lost()
        harness.settleDown()
        let drain = ConsumerID(rawValue: 9_000)
        owed[drain] = 1_000_000
        harness.subscribe("q", "queue", consumer: 9_000, credit: 1_000_000)
        for _ in 0..<20 {
            note()
            for offset in held.keys.sorted() {
                guard let one = held.removeValue(forKey: offset), let payload = harness.payloads(one.delivery).first else { continue }
                harness.settle(one.delivery)
                accepted.insert(payload)
            }
            harness.advance(milliseconds: 700)
        }
        note()
        if case .topics? = harness.answer(.describeTopic(name: "dead")) {
            harness.broker.open(SessionID(rawValue: 3))
            harness.subscribe("dead", "queue", consumer: 9_001, session: SessionID(rawValue: 3), credit: 1_000_000)
            for (_, _, payloads) in harness.taken() { dead.formUnion(payloads) }
        }
        for payload in ok where !accepted.contains(payload) && !dead.contains(payload) { Issue.record("Q1: \(payload) is lost (seed \(seed))") }
        for payload in accepted.union(dead) where !ok.contains(payload) && uncleanStops == 0 { Issue.record("Q2: \(payload) was never acknowledged") }
        if uncleanStops == 0 { #expect(accepted.isDisjoint(with: dead), "Q1: accepted and dead") }
        #expect(harness.statistic("ready") == 0)
    }
}
