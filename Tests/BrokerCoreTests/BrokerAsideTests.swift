import BrokerCore
import Bytes
import SegmentLog
import Testing

/// Method: a queue of small segments whose consumer keeps some messages for long while everything around them is settled; restarts of both
/// kinds at any step. Goal: the segments go, and the old messages are delivered, counted, settled, moved and purged as if they had not.
struct BrokerAsideTests {
    static func make(
        segments: Int = 2, _ options: SubscriptionOptions = SubscriptionOptions(), storage: TopicOptions.Storage = .disk
    ) throws -> (Harness, TopicID) {
        let harness = try Harness { options in
            options.log.segmentBytes = 1_024
            options.segmentsBeforeAside = segments
            options.retentionCheckMilliseconds = 1_000
            options.deliveryRecords = 1
        }
        return (harness, try harness.create("q", .queue(options, storage: storage)))
    }

    /// Publishes and settles so much that old segments could go.
    static func fill(_ harness: Harness, _ topic: TopicID, from first: Int = 1_000, keeping kept: Set<String> = []) -> [Delivery] {
        var held: [Delivery] = []
        for round in 0..<40 {
            harness.publish(topic, count: 20, from: first + round * 20)
            for one in harness.taken() {
                if let payload = one.payloads.first, kept.contains(payload) { held.append(one.delivery) } else { harness.settle(one.delivery) }
            }
            harness.advance(milliseconds: 60)
        }
        for _ in 0..<4 { harness.advance(milliseconds: 500) }
        return held
    }

    static func segments(_ harness: Harness, _ name: String = "q") -> Int32 {
        guard case .topics(let found)? = harness.answer(.describeTopic(name: name)) else { return -1 }
        return found.first?.partitions.first?.segments ?? -1
    }

    static func start(_ harness: Harness) -> Offset? {
        guard case .topics(let found)? = harness.answer(.describeTopic(name: "q")) else { return nil }
        return found.first?.partitions.first?.start
    }

    static func isSurvivorsLogEmpty(_ harness: Harness) throws -> Bool {
        let log = try Log(directory: "/data/__aside", number: 99, options: Log.Options(), storage: harness.storage, now: harness.now)
        let (start, end) = (log.watermarks.start, log.watermarks.end)
        return start == end
    }

    @Test(arguments: [TopicOptions.Storage.disk, .memory])
    func segmentsGoThoughOneMessageIsNeverSettled(storage: TopicOptions.Storage) throws {
        let (harness, topic) = try Self.make(storage: storage)
        harness.subscribe("q", "queue", credit: 100_000)
        let held = Self.fill(harness, topic, keeping: ["m1003", "m1004", "m1300"])
        #expect(held.count == 3)
        #expect(Self.segments(harness) <= 4)
        #expect(harness.statistic("set_aside_total") == 3)
        let start = try #require(Self.start(harness))
        #expect(start > held[2].first)
        // Their leases go on: each is settled as before, once.
        let accepted = harness.settle(held[0], confirm: true)
        harness.settleDown()
        guard case .done? = harness.responses[accepted] else { return #expect(Bool(false), "not settled") }
        let again = harness.settle(held[0], confirm: true)
        #expect(harness.errorCode(harness.responses[again]) == .notInFlight)
        // They come again under their offsets, counted.
        harness.settle(held[1], .requeue)
        harness.settleDown()
        let second = harness.taken()
        #expect(second.map(\.payloads) == [["m1004"]])
        #expect(second.first?.delivery.attempt == 2 && second.first?.delivery.first == held[1].first)
        // And whole, to who reads batches.
        harness.ask(.unsubscribe(ConsumerID(rawValue: 1)))
        harness.subscribe("q", "queue", consumer: 2, form: .batches, credit: 100_000)
        harness.settleDown()
        let batches = harness.taken()
        #expect(batches.flatMap { harness.records($0.delivery).map(\.payload) } == ["m1004", "m1300"])
        #expect(batches.map(\.delivery.attempt) == [3, 2])
        for one in batches { harness.settle(one.delivery) }
        harness.advance(milliseconds: 100)
        #expect(harness.statistic("in_flight") == 0 && harness.statistic("ready") == 0)
    }

    @Test(arguments: [true, false], [1, 3])
    func survivorsOutliveRestartsAndAreNotSeenAgainOnceSettled(clean: Bool, segments: Int) throws {
        let (harness, topic) = try Self.make(segments: segments)
        harness.subscribe("q", "queue", credit: 100_000)
        let held = Self.fill(harness, topic, keeping: ["m1003", "m1010", "m1011", "m1500"])
        #expect(Self.segments(harness) <= Int32(segments) + 2)
        harness.settle(held[1], confirm: true)
        harness.settleDown()
        for round in 0..<3 {
            try harness.restart(clean: clean)
            harness.subscribe("q", "queue", consumer: 5, credit: 100_000)
            harness.settleDown()
            let taken = harness.taken()
            #expect(taken.flatMap(\.payloads).prefix(3) == ["m1003", "m1011", "m1500"], "round \(round)")
            #expect(taken.prefix(3).allSatisfy { $0.delivery.isRedelivery })
            for one in taken.dropFirst(3) { harness.settle(one.delivery) }
            harness.ask(.unsubscribe(ConsumerID(rawValue: 5)))
            harness.advance(milliseconds: 100)
        }
        harness.subscribe("q", "queue", consumer: 6, credit: 100_000)
        harness.settleDown()
        for one in harness.taken() { harness.settle(one.delivery, confirm: true) }
        harness.advance(milliseconds: 2_500)
        try harness.restart(clean: clean)
        harness.subscribe("q", "queue", consumer: 7, credit: 100_000)
        harness.settleDown()
        #expect(harness.takenPayloads() == [])
        #expect(try Self.isSurvivorsLogEmpty(harness))
    }

    @Test func deadLettersPurgesSeeksAndDeletionsKnowThem() throws {
        let (harness, topic) = try Self.make(SubscriptionOptions(deadLetterTopic: "dead"))
        harness.subscribe("q", "queue", credit: 100_000)
        let held = Self.fill(harness, topic, keeping: ["m1001", "m1002", "m1003", "m1004"])
        #expect(Self.segments(harness) <= 4)
        // Rejected: moved with its history.
        harness.settle(held[0], .reject)
        harness.settleDown()
        harness.broker.open(SessionID(rawValue: 3))
        harness.subscribe("dead", "queue", consumer: 9, session: SessionID(rawValue: 3))
        harness.settleDown()
        let dead = harness.taken()
        #expect(dead.map(\.payloads) == [["m1001"]])
        #expect(dead.first.flatMap { harness.records($0.delivery).first?.headers["x-origin-offset"] } == "\(held[0].first.rawValue)")
        // Given back and purged: gone, but for what is in flight.
        harness.ask(.unsubscribe(ConsumerID(rawValue: 1)))
        harness.settleDown()
        harness.subscribe("q", "queue", consumer: 2, credit: 1)
        harness.settleDown()
        let kept = harness.taken()
        #expect(kept.map(\.payloads) == [["m1002"]])
        guard case .purged(2, start: _)? = harness.answer(.purge(topic: "q", partition: nil, before: nil)) else { return #expect(Bool(false), "not two") }
        harness.advance(milliseconds: 1_500)
        harness.settle(kept[0].delivery, .requeue)
        harness.ask(.credit(ConsumerID(rawValue: 2), messages: 10, bytes: 0))
        harness.settleDown()
        #expect(harness.takenPayloads() == ["m1002"])
        // A seek forgets what is no more in the log.
        harness.answer(.seek(topic: "q", subscription: "queue", position: .latest))
        harness.advance(milliseconds: 2_500)
        #expect(harness.takenPayloads() == [])
        #expect(try Self.isSurvivorsLogEmpty(harness))

        let more = Self.fill(harness, topic, from: 5_000, keeping: ["m5001"])
        // The credit is used up meanwhile: a backlog is not moved, whatever its length.
        #expect(more.count == 1 && Self.segments(harness) > 8)
        #expect(try Self.isSurvivorsLogEmpty(harness))
        harness.ask(.credit(ConsumerID(rawValue: 2), messages: 10_000, bytes: 0))
        harness.settleDown()
        _ = Self.fill(harness, topic, from: 7_000)
        #expect(Self.segments(harness) <= 4)
        #expect(try !Self.isSurvivorsLogEmpty(harness))
        harness.answer(.deleteTopic(name: "q"))
        harness.advance(milliseconds: 2_500)
        #expect(try Self.isSurvivorsLogEmpty(harness))
    }

    @Test func theirLogIsWrittenAnewWhereMostOfItIsDead() throws {
        let (harness, topic) = try Self.make(segments: 1)
        harness.subscribe("q", "queue", credit: 100_000)
        // One large survivor for each round; the first small one pins them all.
        let big = String(repeating: "x", count: 900_000)
        harness.publish(topic, "first")
        var held: [Delivery] = []
        var first: Delivery?
        for round in 0..<40 {
            harness.publish(topic, "\(round)" + big)
            harness.settleDown()
            for filler in 0..<3 { harness.publish(topic, "f\(filler)" + String(repeating: "y", count: 5_000)) }
            harness.settleDown()
            for one in harness.taken() {
                guard let payload = one.payloads.first else { continue }
                switch payload {
                case "first": first = one.delivery
                case _ where payload.hasSuffix("xx"): held.append(one.delivery)
                default: harness.settle(one.delivery)
                }
            }
            harness.advance(milliseconds: 100)
            if held.count > 2 { harness.settle(held.removeFirst()) }
            harness.advance(milliseconds: 1_100)
        }
        let aside = try Log(directory: "/data/__aside", number: 99, options: Log.Options(), storage: harness.storage, now: harness.now)
        let bytes = aside.bytes
        #expect(bytes < 24 << 20)
        let start = aside.watermarks.start.rawValue
        #expect(start > 0)
        try harness.restart(clean: false)
        harness.subscribe("q", "queue", consumer: 3, credit: 100_000)
        harness.settleDown()
        let taken = harness.taken()
        #expect(taken.first?.payloads == ["first"] && taken.first?.delivery.first == first?.first)
        let large = Set(taken.flatMap(\.payloads).filter { $0.hasSuffix("xx") })
        #expect(large.count >= held.count)
    }

    /// Nothing acknowledged is lost, nothing confirmed comes back, offsets stay, and segments do not pile up; whatever step a restart hits.
    @Test(arguments: Array(1...30) as [UInt64])
    func nothingIsLostOrResurrectedAtAnyStep(seed: UInt64) throws {
        var random = BrokerPropertyTests.Random(state: seed &* 77)
        let (harness, topic) = try Self.make(segments: 1 + Int(seed % 3))
        var published = 0
        var pending: [RequestID: String] = [:]
        var acknowledged: Set<String> = []
        var confirming: [RequestID: String] = [:]
        var confirmed: Set<String> = []
        var accepted: Set<String> = []
        var offsets: [String: Int64] = [:]
        var held: [(payload: String, delivery: Delivery)] = []
        var attempts: [String: Int32] = [:]
        var consumer: UInt32 = 1
        func subscribe() {
            consumer += 1
            harness.subscribe("q", "queue", consumer: consumer, credit: 1_000_000)
        }
        func note() {
            for (id, payload) in pending {
                guard let response = harness.responses[id] else { continue }
                if case .appended = response { acknowledged.insert(payload) }
                pending[id] = nil
            }
            for (id, payload) in confirming where harness.responses[id] != nil {
                if case .done? = harness.responses[id] { confirmed.insert(payload) }
                confirming[id] = nil
            }
            for (_, delivery, _) in harness.taken() {
                for record in harness.records(delivery) {
                    #expect(!confirmed.contains(record.payload), "\(record.payload) came back (seed \(seed))")
                    #expect(offsets[record.payload] ?? record.offset == record.offset, "\(record.payload) moved (seed \(seed))")
                    #expect(delivery.attempt <= (attempts[record.payload] ?? 0) + 1)
                    offsets[record.payload] = record.offset
                    attempts[record.payload] = max(attempts[record.payload] ?? 0, delivery.attempt)
                    held.append((record.payload, delivery))
                }
            }
        }
        subscribe()
        for _ in 0..<400 {
            switch random.below(18) {
            case 0..<5:
                for _ in 0..<(1 + random.below(12)) {
                    let payload = "message \(published)"
                    published += 1
                    pending[harness.publish(topic, payload)] = payload
                }
            case 5..<9: harness.tick()
            case 9, 10: harness.completeStorage()
            case 11..<16:
                note()
                var rest: [(payload: String, delivery: Delivery)] = []
                for one in held {
                    // A few are kept for long, and come back now and then.
                    if one.payload.hasSuffix("17") {
                        switch random.below(80) {
                        case 0: harness.settle(one.delivery, .requeue)
                        case 1:
                            harness.settle(one.delivery)
                            accepted.insert(one.payload)
                        default: rest.append(one)
                        }
                    } else if random.below(4) > 0 {
                        let confirm = random.below(2) == 0
                        let id = harness.settle(one.delivery, confirm: confirm)
                        accepted.insert(one.payload)
                        if confirm { confirming[id] = one.payload }
                    } else {
                        rest.append(one)
                    }
                }
                held = rest
            case 16: harness.advance(milliseconds: UInt64(60 + random.below(1_500)))
            case 17 where random.below(6) == 0:
                note()
                let clean = random.below(2) == 0
                if clean {
                    harness.settleDown()
                    note()
                }
                try harness.restart(clean: clean)
                held = []
                confirming = [:]
                pending = [:]
                subscribe()
            default: break
            }
        }
        note()
        for event in harness.events { if case .settleFailed(let error) = event.event { Issue.record("\(error) (seed \(seed))") } }
        // All but the survivors are settled: the log is short.
        var rest: [(payload: String, delivery: Delivery)] = []
        for one in held { if one.payload.hasSuffix("17") { rest.append(one) } else { harness.settle(one.delivery) } }
        accepted.formUnion(held.map(\.payload).filter { !$0.hasSuffix("17") })
        held = rest
        for _ in 0..<6 {
            harness.advance(milliseconds: 1_100)
            note()
            for one in held where !one.payload.hasSuffix("17") {
                harness.settle(one.delivery)
                accepted.insert(one.payload)
            }
            held.removeAll { !$0.payload.hasSuffix("17") }
        }
        #expect(Self.segments(harness) <= 3 + Int32(seed % 3), "seed \(seed)")
        for one in held {
            harness.settle(one.delivery)
            accepted.insert(one.payload)
        }
        harness.advance(milliseconds: 2_500)
        #expect(harness.statistic("ready") == 0 && harness.statistic("in_flight") == 0, "seed \(seed)")
        for payload in acknowledged where !accepted.contains(payload) { Issue.record("\(payload) is lost (seed \(seed))") }
        #expect(try Self.isSurvivorsLogEmpty(harness))
    }
}
