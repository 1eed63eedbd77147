import BrokerCore
import Bytes
import SegmentLog
import Testing

/// What topics may be told, when they are made and while they live.
struct BrokerTopicOptionsTests {
    static let full: TopicOptions = {
        var options = TopicOptions(partitions: 2, durability: .interval, segmentBytes: 1 << 20, segmentMilliseconds: 60_000)
        options.cleanup = .both
        options.timestampType = .append
        options.minInsyncReplicas = 2
        options.deleteRetentionMilliseconds = 3
        options.minCompactionLagMilliseconds = 4
        options.maxCompactionLagMilliseconds = 5
        options.minCleanableDirtyRatio = 0.25
        options.timestampBeforeMaxMilliseconds = 6
        options.timestampAfterMaxMilliseconds = 7
        options.flushIntervalMilliseconds = 8
        options.annotations = ["unclean.leader.election.enable": "false", "a": ""]
        return options
    }()

    private func options(_ harness: Harness, _ name: String) -> TopicOptions? {
        guard case .topics(let topics)? = harness.answer(.describeTopic(name: name)) else { return nil }
        return topics.first?.options
    }

    @Test(arguments: [true, false])
    func allOptionsAreThereAfterARestart(clean: Bool) throws {
        let harness = try Harness()
        _ = try harness.create("full", Self.full)
        _ = try harness.create("plain")
        try harness.restart(clean: clean)
        #expect(options(harness, "full") == Self.full && options(harness, "plain") == TopicOptions())
    }

    @Test func eachSettingIsLeftSetOrPutBack() throws {
        let harness = try Harness()
        _ = try harness.create("t", Self.full)
        var change = TopicChange()
        change.cleanup = .reset
        change.retentionBytes = .set(77)
        change.timestampType = .set(.create)
        change.annotations = ["a": .reset, "b": .set("c")]
        _ = harness.answer(.alterTopic(name: "t", change))
        var expected = Self.full
        expected.cleanup = nil
        expected.retentionBytes = 77
        expected.timestampType = .create
        expected.annotations = ["unclean.leader.election.enable": "false", "b": "c"]
        #expect(options(harness, "t") == expected)
        try harness.restart(clean: false)
        #expect(options(harness, "t") == expected)
    }

    @Test(arguments: [Durability.none, .interval])
    func whoWasPromisedAFlushGetsItFromATopicThatIsWeakened(durability: Durability) throws {
        let harness = try Harness()
        let topic = try harness.create("t", TopicOptions(durability: .group))
        let before = harness.publish(topic, "before")
        // No tick between: nothing of it is written yet.
        harness.ask(.alterTopic(name: "t", TopicChange(durability: durability)))
        let after = harness.publish(topic, "after")
        harness.settleDown()
        for (request, promised) in [(before, Durability.group), (after, durability)] {
            guard case .appended(let appended)? = harness.responses[request] else {
                Issue.record("no acknowledgement of what was promised \(promised)")
                continue
            }
            #expect(appended.reached >= promised)
        }
    }

    @Test func partitionsGrowUnderAConsumerAndNeverShrink() throws {
        let harness = try Harness()
        let topic = try harness.create("t", TopicOptions(partitions: 1))
        harness.subscribe("t", "s")
        #expect(harness.errorCode(harness.answer(.alterTopic(name: "t", TopicChange(partitions: 0)))) == .invalidRequest)
        _ = harness.answer(.alterTopic(name: "t", TopicChange(partitions: 3)))
        #expect(harness.errorCode(harness.answer(.alterTopic(name: "t", TopicChange(partitions: 2)))) == .invalidRequest)
        for partition in 0..<3 as Range<Int32> { harness.publish(topic, "p\(partition)", partition: partition) }
        harness.settleDown()
        let taken = harness.taken()
        #expect(taken.flatMap(\.payloads).sorted() == ["p0", "p1", "p2"])
        for (_, delivery, _) in taken where delivery.partition != 1 { harness.settle(delivery, confirm: true) }
        harness.settleDown()
        try harness.restart(clean: false)
        harness.subscribe("t", "s")
        #expect(harness.takenPayloads() == ["p1"])
    }

    @Test(
        arguments: [
            { $0.minCleanableDirtyRatio = 1.5 }, { $0.minCleanableDirtyRatio = .nan }, { $0.segmentBytes = 5 }, { $0.maxMessageBytes = 0 },
            {
                $0.storage = .memory
                $0.cleanup = .compact
            }, { $0.annotations = ["x": String(repeating: "y", count: 5_000)] },
            { $0.annotations = Dictionary(uniqueKeysWithValues: (0..<200).map { ("\($0)", "") }) },
        ] as [@Sendable (inout TopicOptions) -> Void])
    func nonsenseIsRefused(adjust: @Sendable (inout TopicOptions) -> Void) throws {
        let harness = try Harness()
        var wanted = TopicOptions()
        adjust(&wanted)
        let code = harness.errorCode(harness.answer(.createTopic(name: "t", wanted)))
        #expect(code == .invalidRequest || code == .limitReached)
        #expect(harness.errorCode(harness.answer(.describeTopic(name: "t"))) == .unknownTopic)
    }

    @Test func aCompactedTopicRefusesRecordsWithoutKeyAtOnce() throws {
        let harness = try Harness()
        let topic = try harness.create("t")
        harness.publish(topic, "fine")
        var change = TopicChange()
        change.cleanup = .set(.compact)
        _ = harness.answer(.alterTopic(name: "t", change))
        let (bare, bytes) = harness.message(topic, "bare")
        #expect(harness.errorCode(harness.answer(bare, input: bytes)) == .invalidRecord)
        let (keyed, keyedBytes) = harness.message(topic, "keyed", key: "k")
        guard case .appended? = harness.answer(keyed, input: keyedBytes) else { return #expect(Bool(false), "not taken") }
    }

    @Test func placesAreFoundWithTheirEpochs() throws {
        let harness = try Harness()
        let topic = try harness.create("t")
        harness.publish(topic, count: 2)
        try harness.restart(clean: false)
        harness.advance(milliseconds: 10)
        harness.publish(topic, count: 2, from: 2)
        func found(_ position: StartPosition) -> [Int64] {
            guard case .offset(let offset, let time, let epoch)? = harness.answer(.findOffset(topic: "t", partition: 0, position: position)) else { return [] }
            return [offset.rawValue, time.rawValue < 0 ? -1 : time.rawValue - 1_700_000_000_000, Int64(epoch)]
        }
        #expect(found(.earliest) == [0, -1, 0] && found(.latest) == [4, -1, 1] && found(.maxTimestamp) == [2, 10, 1])
        #expect(found(.time(Timestamp(milliseconds: 0))) == [0, 0, 0])
        func end(_ epoch: Int32) -> [Int64] {
            guard case .epochEnd(let epoch, let end)? = harness.answer(.endOfEpoch(topic, partition: 0, epoch: epoch)) else { return [] }
            return [Int64(epoch), end.rawValue]
        }
        #expect(end(0) == [0, 2] && end(1) == [1, 4] && end(2) == [-1, -1])
    }

    @Test(arguments: [true, false])
    func aStartThatMovedUpIsThereAfterARestart(clean: Bool) throws {
        let harness = try Harness()
        let topic = try harness.create("t")
        harness.publish(topic, count: 10)
        try harness.restart(clean: true)
        guard case .purged(4, start: Offset(4))? = harness.answer(.purge(topic: "t", partition: 0, before: Offset(4))) else {
            return #expect(Bool(false), "not four")
        }
        if !clean { harness.advance(milliseconds: 1_000) }
        try harness.restart(clean: clean)
        guard case .topics(let topics)? = harness.answer(.describeTopic(name: "t")) else { return #expect(Bool(false)) }
        #expect(topics.first?.partitions.first?.start == Offset(4))
        #expect(harness.errorCode(harness.answer(.purge(topic: "t", partition: 0, before: Offset(11)))) == .offsetOutOfRange)
        guard case .purged(6, start: Offset(10))? = harness.answer(.purge(topic: "t", partition: 0, before: Offset(-1))) else {
            return #expect(Bool(false), "not the rest")
        }
    }
}
