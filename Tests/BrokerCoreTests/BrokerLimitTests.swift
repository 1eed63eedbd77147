import Bytes
import SegmentLog
import Testing

@testable import BrokerCore

/// Each bound of the broker is reached: the answer names it, the counter counts it, and nothing else is harmed.
struct BrokerLimitTests {
    func refused(_ harness: Harness, _ request: Request, _ name: String, input: [UInt8] = []) {
        let before = harness.statistic("limit_\(name)_total") ?? -1
        #expect(harness.errorCode(harness.answer(request, input: input)) == .limitReached, "\(name)")
        #expect(harness.statistic("limit_\(name)_total") == before + 1, "\(name)")
    }

    @Test func topicsAndPartitions() throws {
        let harness = try Harness { options in
            options.limits.topics = 2
            options.limits.partitionsPerTopic = 4
        }
        refused(harness, .createTopic(name: "wide", TopicOptions(partitions: 5)), "partitions_per_topic")
        _ = try harness.create("a", TopicOptions(partitions: 4))
        _ = try harness.create("b")
        refused(harness, .createTopic(name: "c", TopicOptions()), "topics")
        refused(harness, .createReplyTopic, "topics")
        _ = harness.answer(.deleteTopic(name: "a"))
        _ = try harness.create("c")
    }

    @Test func partitionsOfAllTopics() throws {
        let harness = try Harness { $0.limits.partitions = 6 }
        _ = try harness.create("a", TopicOptions(partitions: 4))
        refused(harness, .createTopic(name: "b", TopicOptions(partitions: 3)), "partitions")
        _ = try harness.create("b", TopicOptions(partitions: 2))
        refused(harness, .createReplyTopic, "partitions")
        refused(harness, .createTopic(name: "q", .queue()), "partitions")
        refused(harness, .alterTopic(name: "a", TopicChange(partitions: 5)), "partitions")
        try harness.restart(clean: false)
        refused(harness, .createTopic(name: "c", TopicOptions()), "partitions")
        _ = harness.answer(.deleteTopic(name: "b"))
        _ = harness.answer(.alterTopic(name: "a", TopicChange(partitions: 5)))
        _ = try harness.create("c")
        refused(harness, .createReplyTopic, "partitions")
    }

    @Test func namesAndSettingsWithoutEffect() throws {
        let harness = try Harness { options in
            options.limits.nameBytes = 10
            options.limits.annotations = 2
        }
        let before = harness.statistic("limit_name_length_total") ?? -1
        #expect(harness.errorCode(harness.answer(.createTopic(name: "elevenbytes", TopicOptions()))) == .invalidName)
        #expect(harness.errorCode(harness.answer(.createExchange(name: "elevenbytes", .topic))) == .invalidName)
        #expect(harness.statistic("limit_name_length_total") == before + 2)
        var options = TopicOptions()
        options.annotations = ["a": "1", "b": "2", "c": "3"]
        refused(harness, .createTopic(name: "t", options), "annotations")
        options.annotations["c"] = nil
        _ = try harness.create("t", options)
        var change = TopicChange()
        change.annotations = ["c": .set("3")]
        refused(harness, .alterTopic(name: "t", change), "annotations")
    }

    /// What is not set aside stays where it is, with its segments.
    @Test func messagesSetAside() throws {
        let harness = try Harness { options in
            options.log.segmentBytes = 1_024
            options.segmentsBeforeAside = 2
            options.retentionCheckMilliseconds = 1_000
            options.deliveryRecords = 1
            options.limits.setAside = 1
        }
        let topic = try harness.create("q", .queue())
        harness.subscribe("q", "queue", credit: 100_000)
        let held = BrokerAsideTests.fill(harness, topic, keeping: ["m1003", "m1004"])
        #expect((harness.statistic("limit_set_aside_total") ?? 0) > 0 && harness.statistic("set_aside_total") == 0)
        #expect(BrokerAsideTests.segments(harness) > 4)
        harness.settle(held[1])
        for _ in 0..<60 { harness.advance(milliseconds: 1_000) }
        #expect(harness.statistic("set_aside_total") == 1)
        #expect(BrokerAsideTests.segments(harness) <= 4)
    }

    /// With more keys than the memory has room for, a pass takes a part of the log, and the next one the rest.
    @Test func memoryOfCompaction() throws {
        let harness = try Harness { options in options.limits.compactionBytes = 4_096 }
        var options = TopicOptions(segmentBytes: 4_096)
        options.cleanup = .compact
        options.minCleanableDirtyRatio = 0.01
        let topic = try harness.create("t", options)
        for round in 0..<100 {
            let entries = (0..<10).map { (key: "key \((round * 10 + $0) % 500)", value: String(repeating: "x", count: 40)) }
            _ = BrokerHostileBatchTests.send(harness, topic, try BrokerCompactionTests.batch(entries, nil))
            harness.settleDown()
        }
        for _ in 0..<20 { harness.advance(milliseconds: 5_000) }
        #expect((harness.statistic("limit_compaction_memory_total") ?? 0) > 0)
        #expect((harness.statistic("compacted_records_total") ?? 0) > 0 && harness.statistic("compactions_failed_total") == 0)
    }

    @Test(arguments: [100, 101])
    func protocolsOfAMember(count: Int) throws {
        let harness = try Harness()
        guard case .group(.join(var asked)) = Harness.asked("g") else {
            Issue.record("the harness asks for something else")
            return
        }
        asked.protocols = (0..<count).map { GroupProtocol(name: "p\($0)", metadata: []) }
        #expect(harness.errorCode(harness.answer(.group(.join(asked)))) == (count > 100 ? .inconsistentProtocol : nil))
    }

    @Test func exchangesAndBindings() throws {
        let harness = try Harness { options in
            options.limits.exchanges = 3
            options.limits.bindings = 2
            options.limits.routeDepth = 2
            options.limits.routingKeyBytes = 8
        }
        _ = try harness.create("t")
        for name in ["x", "y", "z"] { _ = harness.answer(.createExchange(name: name, .topic)) }
        refused(harness, .createExchange(name: "w", .fanout), "exchanges")
        refused(harness, .bind(Binding(exchange: "x", destination: .topic("t"), pattern: "too.long.a.pattern")), "routing_key_length")
        _ = harness.answer(.bind(Binding(exchange: "x", destination: .exchange("y"), pattern: "#")))
        refused(harness, .bind(Binding(exchange: "y", destination: .exchange("z"), pattern: "#")), "route_depth")
        #expect(harness.errorCode(harness.answer(.bind(Binding(exchange: "y", destination: .exchange("x"), pattern: "#")))) == .conflict)
        _ = harness.answer(.bind(Binding(exchange: "x", destination: .topic("t"), pattern: "a")))
        refused(harness, .bind(Binding(exchange: "x", destination: .topic("t"), pattern: "b")), "bindings")
        // What is there already is no more.
        #expect(harness.errorCode(harness.answer(.bind(Binding(exchange: "x", destination: .topic("t"), pattern: "a")))) == nil)
    }

    @Test func subscriptionsAndConsumers() throws {
        let harness = try Harness { options in
            options.limits.subscriptions = 2
            options.limits.consumersPerSession = 3
        }
        _ = try harness.create("t")
        harness.subscribe("t", "a", consumer: 1)
        harness.subscribe("t", "b", consumer: 2)
        #expect(harness.errorCode(harness.subscribe("t", "c", consumer: 3)) == .limitReached)
        #expect(harness.statistic("limit_subscriptions_total") == 1)
        harness.subscribe("t", "a", consumer: 3)
        #expect(harness.errorCode(harness.subscribe("t", "a", consumer: 4)) == .limitReached)
        #expect(harness.statistic("limit_consumers_per_session_total") == 1)
    }

    @Test func unsettledDeliveriesOfOneConsumer() throws {
        let harness = try Harness { $0.limits.unsettledPerConsumer = 5 }
        let topic = try harness.create("q", .queue())
        harness.subscribe("q", "queue", credit: 1_000)
        harness.publish(topic, count: 12)
        let first = harness.taken()
        #expect(first.flatMap(\.payloads).count == 5)
        #expect(harness.statistic("limit_unsettled_per_consumer_total") == 1)
        for delivery in first { harness.settle(delivery.delivery) }
        harness.settleDown()
        #expect(harness.takenPayloads() == ["m5", "m6", "m7", "m8", "m9"])
    }

    @Test func parkedFetches() throws {
        let harness = try Harness { $0.limits.parkedFetches = 1 }
        let topic = try harness.create("t")
        let fetch = Request.fetch(Fetch(topic: topic, partition: 0, from: .zero, maxBytes: 1_000, minBytes: 1, waitMilliseconds: 1_000))
        let parked = harness.ask(fetch)
        guard case .fetched? = harness.answer(fetch) else {
            Issue.record("answered at once, with nothing")
            return
        }
        #expect(harness.responses[parked] == nil)
        #expect(harness.statistic("limit_parked_fetches_total") == 1)
        harness.broker.close(Harness.one, now: harness.now)
        harness.broker.open(Harness.one)
        harness.advance(milliseconds: 2_000)
        #expect(harness.responses[parked] == nil, "nobody is there to be answered")
        let again = harness.ask(fetch)
        #expect(harness.responses[again] == nil, "the place is free again")
    }

    @Test func holesAboveTheFloor() throws {
        let harness = try Harness { $0.limits.settledRanges = 3 }
        let topic = try harness.create("q", .queue())
        harness.subscribe("q", "queue", credit: 10)
        harness.publish(topic, count: 20)
        var held = harness.taken().map(\.delivery)
        #expect(held.map { $0.last - $0.first + 1 }.reduce(0, +) == 10)
        for offset in [Int64(1), 3, 5] {
            harness.ask(
                .settle(Settle(consumer: ConsumerID(rawValue: 1), partition: 0, first: Offset(offset), last: Offset(offset), outcome: .accept, confirm: false)))
        }
        harness.ask(.credit(ConsumerID(rawValue: 1), messages: 5, bytes: 0))
        harness.settleDown()
        #expect(harness.taken().isEmpty, "nothing new before a hole is filled")
        #expect((harness.statistic("limit_settled_ranges_total") ?? 0) > 0)
        harness.ask(.settle(Settle(consumer: ConsumerID(rawValue: 1), partition: 0, first: Offset(2), last: Offset(2), outcome: .accept, confirm: false)))
        harness.settleDown()
        held = harness.taken().map(\.delivery)
        #expect(held.first?.first == Offset(10))
    }

    @Test func producersThatAreForgottenMayGoOn() throws {
        let harness = try Harness { $0.limits.producers = 3 }
        for _ in 0..<5 { _ = harness.answer(.startProducer(id: -1, epoch: -1)) }
        #expect(harness.statistic("limit_producers_total") == 2)
        guard case .producer(0, 1)? = harness.answer(.startProducer(id: 0, epoch: 0)) else {
            Issue.record("its epoch is raised")
            return
        }
    }

    @Test func aMessageAboveTheTopicsSizeIsRefused() throws {
        let harness = try Harness()
        let topic = try harness.create("t", TopicOptions(maxMessageBytes: 100))
        let request = harness.publish(topic, String(repeating: "x", count: 200))
        harness.settleDown()
        #expect(harness.errorCode(harness.responses[request]) == .messageTooLarge)
    }

    @Test func groupsAndTheirMembers() throws {
        let harness = try Harness { options in
            options.groups.initialRebalanceMilliseconds = 0
            options.limits.groups = 2
            options.limits.membersPerGroup = 1
            options.limits.memberBytes = 2_000
        }
        let member = try harness.formGroup("a")
        _ = try harness.formGroup("b")
        refused(harness, Harness.asked("c"), "groups")
        refused(harness, Harness.asked("a", metadata: [UInt8](repeating: 0, count: 2_000)), "member_size")
        refused(harness, harness.sync("a", member, assign: [member.memberID: String(repeating: "x", count: 2_001)]), "member_size")
        #expect(harness.errorCode(harness.answer(Harness.asked("a"))) == .groupFull)
        #expect(harness.statistic("limit_members_per_group_total") == 1)
        _ = harness.answer(.group(.leave(group: "a", [LeavingMember(memberID: member.memberID, instanceID: nil, reason: nil)])))
        #expect(harness.join("a")?.generation == 3)
    }

    @Test func offsetsOfGroups() throws {
        let harness = try Harness { options in
            options.limits.offsetsPerGroup = 2
            options.limits.offsetMetadataBytes = 10
        }
        _ = try harness.create("t", TopicOptions(partitions: 4))
        let response = harness.answer(Harness.commit("g", [("t", 0, 1), ("t", 1, 1), ("t", 2, 1), ("t", 0, 2)]))
        #expect(harness.outcomes(response) == [nil, nil, .limitReached, .limitReached])
        #expect(harness.outcomes(harness.answer(Harness.commit("g", [("t", 0, 3)]))) == [nil])
        #expect(harness.statistic("limit_offsets_per_group_total") == 2)
        #expect(harness.outcomes(harness.answer(Harness.commit("g", [("t", 0, 4)], metadata: "eleven more"))) == [.offsetMetadataTooLarge])
        #expect(harness.statistic("limit_offset_metadata_size_total") == 1)
        #expect(harness.committed("g") == ["t/0=3", "t/1=1"])
    }

    @Test func memoryOfAllGroups() throws {
        let harness = try Harness { options in
            options.groups.initialRebalanceMilliseconds = 0
            options.limits.groupBytes = 25_000
        }
        _ = try harness.create("t")
        var joined: [JoinedGroup] = []
        for number in 0..<3 { if let member = harness.join("g\(number)", metadata: [UInt8](repeating: 0, count: 5_000)) { joined.append(member) } }
        #expect(joined.count == 3)
        refused(harness, Harness.asked("g3", metadata: [UInt8](repeating: 0, count: 5_000)), "group_memory")
        refused(harness, harness.sync("g0", joined[0], assign: [joined[0].memberID: String(repeating: "x", count: 9_000)]), "group_memory")
        refused(harness, Harness.commit("h", (0..<3).map { ("t", $0, 1) }, metadata: String(repeating: "x", count: 4_000)), "group_memory")
        for (number, member) in joined.enumerated() {
            _ = harness.answer(.group(.leave(group: "g\(number)", [LeavingMember(memberID: member.memberID, instanceID: nil, reason: nil)])))
        }
        #expect(harness.join("g3", metadata: [UInt8](repeating: 0, count: 5_000)) != nil)
        let names = (0..<4).map { "g\($0)" }
        _ = harness.answer(
            .group(.leave(group: "g3", [LeavingMember(memberID: harness.described("g3")?.members.first?.memberID ?? "", instanceID: nil, reason: nil)])))
        _ = harness.answer(.group(.delete(names)))
        #expect(harness.statistic("group_bytes") == 0, "what is taken is given back")
    }

    /// What hostile numbers in requests must not do is end the process.
    @Test func hostileNumbersAreRefused() throws {
        let harness = try Harness()
        let topic = try harness.create("t")
        harness.subscribe("t", "s", .exclusive)
        let far = Offset(.max)
        let near = Offset(.min)
        for (first, last) in [(near, far), (far, near), (near, near), (far, far)] {
            for outcome in [Settle.Outcome.accept, .requeue, .reject, .release] {
                harness.ask(
                    .settle(Settle(consumer: ConsumerID(rawValue: 1), partition: 0, first: first, last: last, outcome: outcome, confirm: false)))
            }
            harness.ask(.extendLease(ConsumerID(rawValue: 1), partition: 0, first: first, last: last, milliseconds: .max))
            harness.ask(.purge(topic: "t", partition: 0, before: first))
            harness.ask(.seek(topic: "t", subscription: "s", position: .offset(first)))
            harness.ask(.fetch(Fetch(topic: topic, partition: 0, from: first, maxBytes: .max, minBytes: .min, waitMilliseconds: .max)))
            harness.ask(.findOffset(topic: "t", partition: 0, position: .time(Timestamp(milliseconds: first.rawValue))))
        }
        for _ in 0..<5 { harness.ask(.credit(ConsumerID(rawValue: 1), messages: .max, bytes: .max)) }
        harness.ask(.credit(ConsumerID(rawValue: 1), messages: .min, bytes: .min))
        harness.ask(.settle(Settle(consumer: ConsumerID(rawValue: 1), partition: .max, first: .zero, last: .zero, outcome: .accept, confirm: true)))
        harness.ask(.fetch(Fetch(topic: topic, partition: .min, from: .zero, maxBytes: 1, minBytes: 1, waitMilliseconds: 0)))
        harness.ask(.redrive(topic: "t", limit: .min))
        harness.ask(.startProducer(id: .max, epoch: .max))
        harness.publish(topic, count: 3)
        #expect(harness.takenPayloads() == ["m0", "m1", "m2"])
    }
}
