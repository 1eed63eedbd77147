import BrokerCore
import Bytes
import NativeCodec
import SegmentLog
import Testing
import Wire

/// What the broker's answers, deliveries and events become.
@Suite struct AnswerTests {
    @Test func codesOfTheBrokerAndOfTheWireAreTheSame() {
        for code in BrokerError.Code.allCases {
            let named = ErrorCode(rawValue: code.rawValue).description
            #expect(named == "\(code)")
        }
    }

    @Test func welcomeSaysVersionAndLimits() {
        var limits = Limits()
        limits.frameBytes = 1 << 20
        limits.unansweredRequests = 77
        let harness = SessionHarness(limits: limits, server: ServerIdentity(name: "n", version: "9", node: 3, shards: 4))
        harness.feed(Frame.Hello(oldestVersion: 1, newestVersion: 9, maxFrameBytes: 1 << 20, features: .max, client: "x"), correlation: 42)
        let welcome: Frame.Welcome? = harness.takeFrame()
        #expect(welcome?.version == 1)
        #expect(welcome?.features == (Frame.Hello.compaction | Frame.Hello.lanes | Frame.Hello.traces))
        #expect(welcome?.maxFrameBytes == 1 << 20)
        #expect(welcome?.maxUnanswered == 77)
        #expect(welcome?.node == 3 && welcome?.shards == 4 && welcome?.server == "n" && welcome?.serverVersion == "9")
    }

    @Test func aPublishIsAnsweredWithWhatWasReached() {
        let harness = SessionHarness.open()
        harness.feed(RequestTests.stream[2])
        harness.complete(
            harness.requests[0].id,
            .appended(
                Appended(topic: TopicID(rawValue: 5), partition: 1, baseOffset: Offset(10), count: 2, reached: .group, logs: 3, duplicate: true)))
        let published: Frame.Published? = harness.takeFrame()
        #expect(
            published
                == Frame.Published(topic: 5, partition: 1, baseOffset: 10, count: 2, logs: 3, reached: .group, isDuplicate: true))
    }

    /// Every answer of the broker has its frame, which carries the correlation.
    @Test func everyResponseHasItsFrame() {
        let error = BrokerError(.unknownTopic, "no such topic")
        let cases: [(Response, FrameType)] = [
            (.producer(id: 1, epoch: 2), .producer), (.offset(Offset(1), Timestamp(milliseconds: 2), epoch: 0), .offset),
            (.subscribed(SubscriptionID(rawValue: 1), active: true), .subscribed), (.topics([]), .topics), (.exchanges([]), .exchanges),
            (.subscriptions([]), .subscriptions), (.statistics([Statistic(name: "a", value: 1)]), .figures),
            (.traced([Statistic(name: "a", value: 1)]), .figures), (.count(3), .count), (.done, .ok), (.failed(error), .error),
            (.fetched([Fetched(topic: TopicID(rawValue: 1), partition: 0, start: .zero, visibleEnd: .zero, slice: nil)]), .fetched),
        ]
        for (response, type) in cases {
            let harness = SessionHarness.open()
            harness.feed(Frame.DescribeTopic(name: "t"), correlation: 0x00FF_FFFF_FFFF_FFFF)
            harness.complete(harness.requests[0].id, response)
            let frames = harness.takeFrames()
            #expect(frames.map(\.header.type) == [type.rawValue])
            #expect(frames.first?.header.correlation == 0x00FF_FFFF_FFFF_FFFF)
            let bytes = frames.first?.bytes ?? []
            let understood = decodeAnything(bytes.rawSpan)
            #expect(understood == 1)
        }
    }

    @Test(arguments: [0, 10, 1024, 1025, 5000])
    func fetchedBatchesFollowTheirHead(_ count: Int) {
        let stored = (0..<count).map { UInt8(truncatingIfNeeded: $0) }
        let harness = SessionHarness.open()
        harness.feed(RequestTests.stream[6])
        harness.complete(
            7,
            .fetched([
                Fetched(topic: TopicID(rawValue: 5), partition: 0, start: .zero, visibleEnd: Offset(9), slice: count == 0 ? nil : slice(stored))
            ]))
        let frames = harness.takeFrames()
        #expect(frames.count == 1)
        #expect(frames.first.map { Array($0.bytes.dropFirst(Frame.Fetched.headSize)) } == stored)
    }

    @Test(arguments: [10, 5000])
    func deliveriesFollowTheirHead(_ count: Int) throws {
        let stored = (0..<count).map { UInt8(truncatingIfNeeded: $0) }
        let harness = SessionHarness.open()
        harness.deliver(delivery(.batches(slice(stored))))
        harness.deliver(delivery(.records(slice(stored), base: RecordBase(offset: Offset(20), timestamp: Timestamp(milliseconds: 30)))))
        let frames = harness.takeFrames()
        try #require(frames.count == 2)
        let (first, second) = (frames[0].bytes, frames[1].bytes)
        let batches = try Frame.DeliverBatches.decode(frames[0].header, in: first.rawSpan, at: 0)
        let records = try Frame.DeliverRecords.decode(frames[1].header, in: second.rawSpan, at: 0)
        let head = Frame.DeliveryHead(consumer: 1, topic: 2, partition: 3, attempt: 6, first: 4, last: 5, isRedelivery: true)
        #expect(batches.head == head && records.head == head)
        #expect(records.baseOffset == 20 && records.baseTimestamp == 30)
        #expect(Array(first[batches.batches.indices]) == stored)
        #expect(Array(second[records.records.indices]) == stored)
    }

    @Test func aDeliveryThatTheClientDoesNotTakeEndsItsConsumer() {
        let harness = SessionHarness.open(maxFrameBytes: 1 << 20)
        harness.deliver(delivery(.batches(slice([UInt8](repeating: 1, count: 1 << 20)))))
        let event: Frame.ConsumerEvent? = harness.takeFrame()
        #expect(event?.kind == .ended)
        #expect(event?.code == .messageTooLarge)
        #expect(harness.requests.map(\.text).first?.hasPrefix("unsubscribe") == true)
    }

    @Test func eventsSayWhy() {
        let harness = SessionHarness.open()
        for (event, kind, code) in [
            (ConsumerEvent.activated, Frame.ConsumerEvent.Kind.activated, ErrorCode(rawValue: 0)),
            (.ended(BrokerError(.storageFailed, "EIO")), .ended, .storageFailed),
            (.settleFailed(BrokerError(.notInFlight, "?")), .settleFailed, .notInFlight),
        ] {
            harness.notify(5, event)
            let frame: Frame.ConsumerEvent? = harness.takeFrame()
            #expect(frame?.consumer == 5 && frame?.kind == kind && frame?.code == code)
        }
    }

    @Test func aConfirmedSettleOfSeveralRangesHasOneAnswer() {
        let harness = SessionHarness.open()
        harness.feed(RequestTests.settle, correlation: 10)
        #expect(harness.requests.map(\.id) == [10, 10])
        harness.complete(10, .done)
        #expect(harness.takeFrames().isEmpty)
        harness.complete(10, .done)
        let ok: Frame.OK? = harness.takeFrame()
        #expect(ok != nil)
        // The first failure is the answer.
        harness.feed(RequestTests.settle, correlation: 10)
        harness.complete(10, .failed(BrokerError(.notInFlight, "first")))
        harness.complete(10, .done)
        let failure: Frame.Failure? = harness.takeFrame()
        #expect(failure?.code == .notInFlight && failure?.isFatal == false)
    }

    @Test func whatHasNoAnswerGetsNone() {
        let harness = SessionHarness.open()
        harness.feed(Frame.Credit(consumer: 1, messages: 1, bytes: 1), correlation: 5)
        harness.complete(harness.requests[0].id, .done)
        harness.complete(harness.requests[0].id, .failed(BrokerError(.unknownConsumer, "?")))
        #expect(harness.takeFrames().isEmpty)
    }

    @Test func aLongListComesInParts() throws {
        let harness = SessionHarness.open(maxFrameBytes: 1 << 20)
        harness.feed(Frame.ListTopics(), correlation: 3)
        let topics = (0..<2_000).map { index in
            TopicDescription(id: TopicID(rawValue: UInt32(index)), name: "topic-\(index)", options: TopicOptions(), partitions: [])
        }
        harness.complete(harness.requests[0].id, .topics(topics))
        let frames = harness.takeFrames()
        var names: [String] = []
        for (header, bytes) in frames {
            #expect(header.size <= 1 << 16 && header.correlation == 3)
            names += try Frame.Topics.decode(header, in: bytes.rawSpan, at: 0).elements.map(\.name)
        }
        #expect(frames.count > 1)
        #expect(frames.map(\.header.flags) == Array(repeating: 1, count: frames.count - 1) + [0])
        #expect(names == topics.map(\.name))
    }

    private func delivery(_ content: Delivery.Content) -> Delivery {
        Delivery(
            consumer: ConsumerID(rawValue: 1), topic: TopicID(rawValue: 2), partition: 3, first: Offset(4), last: Offset(5), attempt: 6,
            isRedelivery: true, content: content)
    }

    /// A client from before compaction understands every answer; it is not told of what it could not read.
    @Test(arguments: [(UInt64(0), Frame.Cleanup.delete), (Frame.Hello.compaction, .compact)])
    func compactionIsShownToWhomItIsKnown(_ features: UInt64, _ shown: Frame.Cleanup) throws {
        var options = TopicOptions()
        options.cleanup = .compact
        let topic = TopicDescription(id: TopicID(rawValue: 1), name: "t", options: options, partitions: [])
        let harness = SessionHarness.open(features: features)
        harness.feed(Frame.DescribeTopic(name: "t"), correlation: 1)
        harness.complete(harness.requests[0].id, .topics([topic]))
        let frame = try #require(harness.takeFrames().first)
        let topics = try Frame.Topics.decode(frame.header, in: frame.bytes.rawSpan, at: 0)
        #expect(topics.elements.map(\.options.cleanup) == [shown])
    }
}
