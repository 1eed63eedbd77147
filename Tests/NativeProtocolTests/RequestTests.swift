import BrokerCore
import Bytes
import NativeCodec
import NativeProtocol
import SegmentLog
import Testing
import Wire

/// What the client's frames ask of the broker.
@Suite struct RequestTests {
    static let key = Array("key".utf8)
    static let headers: [UInt8] = [2, 0x61, 2, 0x62]
    static let payload = Array("hello".utf8)

    static func publish(_ target: Frame.Target, wantsAnswer: Bool = true) -> Frame.Publish {
        Frame.Publish(
            target: target, key: ByteRange(start: 0, count: 3), headers: ByteRange(start: 0, count: 4), headerCount: 1,
            payload: ByteRange(start: 0, count: 5), timestamp: 7, producer: Frame.ProducerSequence(id: 1, epoch: 2, sequence: 3),
            durability: .each, wantsAnswer: wantsAnswer)
    }

    static let tail = key + headers + payload
    static let settle = Frame.Settle(
        consumer: 9, confirm: true,
        ranges: [
            Frame.Settle.Range(partition: 0, outcome: .accept, first: 1, last: 5),
            Frame.Settle.Range(partition: 1, outcome: .reject, first: 6, last: 6),
        ])

    /// One of every frame that a client sends, each with its own correlation.
    static let stream: [[UInt8]] = [
        encoded(Frame.Hello(maxFrameBytes: 1 << 20, client: "test"), 1), encoded(Frame.Ping(), 2),
        encoded(publish(.topic(5, partition: -1)), 3, tail),
        encoded(publish(.exchange(6, routingKey: ByteRange(start: 0, count: 4)), wantsAnswer: false), 4, Array("eu.x".utf8) + tail),
        encoded(
            Frame.PublishBatch(target: .topic(5, partition: 2), batch: ByteRange(start: 0, count: 70), durability: .none, wantsAnswer: true), 5,
            [UInt8](repeating: 0xBB, count: 70)),
        encoded(Frame.StartProducer(id: -1, epoch: -1), 6),
        encoded(Frame.Fetch(topic: 5, partition: 0, from: 3, maxBytes: 1 << 16, minBytes: 1, waitMilliseconds: 100), 7),
        encoded(Frame.FindOffset(topic: "t", partition: 0, position: .time(milliseconds: 5)), 8),
        encoded(
            Frame.Subscribe(
                consumer: 9, topic: "t", name: "s", mode: .shared, start: .earliest, form: .records, messageCredit: 10, byteCredit: 1000,
                options: Frame.SubscriptionOptions(leaseMilliseconds: 1, deliveryLimit: 2, deadLetterTopic: "d"), settlesItself: true), 9),
        encoded(Frame.Credit(consumer: 9, messages: 5, bytes: 6), 0), encoded(settle, 10),
        encoded(Frame.Settle(consumer: 9, confirm: false, ranges: settle.ranges), 0),
        encoded(Frame.ExtendLease(consumer: 9, partition: 0, first: 1, last: 2, milliseconds: 3), 11),
        encoded(Frame.Unsubscribe(consumer: 9), 12), encoded(Frame.Seek(topic: "t", subscription: "s", position: .offset(4)), 13),
        encoded(Frame.DeleteSubscription(topic: "t", name: "s"), 14), encoded(Frame.ListSubscriptions(name: "t"), 15),
        encoded(Frame.CreateTopic(name: "t", options: Frame.TopicOptions(partitions: 3, durability: .each)), 16),
        encoded(Frame.AlterTopic(name: "t", change: Frame.TopicChange(retentionBytes: 5)), 17), encoded(Frame.DeleteTopic(name: "t"), 18),
        encoded(Frame.DescribeTopic(name: "t"), 19), encoded(Frame.ListTopics(), 20), encoded(Frame.CreateReplyTopic(), 21),
        encoded(Frame.CreateExchange(name: "e", kind: .fanout), 22), encoded(Frame.DeleteExchange(name: "e"), 23),
        encoded(Frame.Bind(binding: Frame.Binding(exchange: "e", destination: .topic("t"), pattern: "#")), 24),
        encoded(Frame.Unbind(binding: Frame.Binding(exchange: "e", destination: .exchange("f"), pattern: "")), 25),
        encoded(Frame.ListExchanges(), 26), encoded(Frame.FindExchange(name: "e"), 27),
        encoded(Frame.Purge(topic: "t", partition: nil, before: 5), 28), encoded(Frame.Redrive(topic: "t", limit: 5), 29),
        encoded(Frame.Statistics(), 30), encoded(Frame.Trace(topic: "t", waitMilliseconds: 70), 31),
    ]

    @Test func everyClientFrameIsInTheStream() {
        let types = Set(RequestTests.stream.map { $0[4] })
        let missing = FrameType.allCases.filter { !$0.isAnswer && $0 != .openLane && !types.contains($0.rawValue) }
        #expect(missing.isEmpty)
    }

    @Test func framesAskForWhatTheySay() {
        let harness = SessionHarness()
        harness.feed(RequestTests.stream.joined())
        #expect(harness.error == nil)
        let texts = harness.requests.map(\.text)
        let tail = "key [107, 101, 121] headers 1 [2, 97, 2, 98] payload [104, 101, 108, 108, 111] at 7"
        #expect(texts.count == 33)
        #expect(texts[0].hasPrefix("append to topic 5 partition -1: \(tail) producer "))
        #expect(texts[0].hasSuffix(", each, whenReached"))
        #expect(texts[1].hasPrefix("append to exchange 6 key [101, 117, 46, 120]: \(tail)"))
        #expect(texts[1].hasSuffix(", each, never"))
        #expect(texts[2] == "append to topic 5 partition 2: batch \([UInt8](repeating: 0xBB, count: 70)), none, whenReached")
        #expect(texts[3] == "startProducer(id: -1, epoch: -1)")
        for (text, names) in zip(texts[4...], ["fetch", "findOffset", "subscribe", "credit", "settle", "settle", "settle", "settle", "extendLease"]) {
            #expect(text.hasPrefix(names))
        }
        #expect(texts[6].contains("settlesItself: true"))
        #expect(texts[14].contains("\"t\""))
        #expect(texts[31] == "statistics" && texts[32] == "trace(topic: \"t\", milliseconds: 70)")
        // A correlation is the id of its request; what has no answer has none.
        #expect(harness.requests[0].id == 3)
        #expect(harness.requests[1].id == 1 << 63)
        // WELCOME and PONG.
        #expect(harness.takeFrames().map(\.header.type) == [FrameType.welcome.rawValue, FrameType.pong.rawValue])
    }

    /// Short ones in front are carried out, and the rest comes in its order when there is time.
    @Test func requestsThatMayTakeLongWaitWhereTheyStand() {
        let harness = SessionHarness.open()
        let ping = encoded(Frame.Ping(), 1)
        let describe = encoded(Frame.DescribeTopic(name: "t"), 2)
        let left = harness.feedLate(ping + describe + ping + describe)
        #expect(left == 2 * describe.count + ping.count && harness.session.isPausing && !harness.session.isHolding)
        #expect(harness.requests.isEmpty && harness.takeFrames().count == 1)
        #expect(harness.feedLate([]) == left)
        harness.feed([])
        #expect(harness.requests.count == 2 && harness.takeFrames().count == 1 && !harness.session.isPausing)
    }

    @Test func anySplitOfTheStreamAsksTheSame() {
        let stream = Array(RequestTests.stream.joined())
        let whole = SessionHarness()
        whole.feed(stream)
        let asked = whole.requests.map(\.text)
        let ids = whole.requests.map(\.id)
        let said = whole.takeFrames().map(\.bytes)
        for cut in 0...stream.count {
            let split = SessionHarness()
            split.feed(stream[..<cut])
            split.feed(stream[cut...])
            let same = split.requests.map(\.text) == asked && split.requests.map(\.id) == ids && split.takeFrames().map(\.bytes) == said
            #expect(same && split.error == nil, "cut at \(cut)")
        }
        let bytewise = SessionHarness()
        for byte in stream { bytewise.feed([byte]) }
        let same = bytewise.requests.map(\.text) == asked && bytewise.takeFrames().map(\.bytes) == said
        #expect(same)
    }

    @Test func theSizeOfAFrameIsSaidAsSoonAsItIsKnown() {
        let harness = SessionHarness.open()
        harness.feed([0, 0, 1])
        #expect(harness.session.bytesWanted == 0)
        harness.feed([0])
        #expect(harness.session.bytesWanted == 1 << 16)
    }

    @Test func aFetchAsksForNoMoreThanTheClientTakes() {
        let harness = SessionHarness.open(maxFrameBytes: 1 << 20)
        harness.feed(Frame.Fetch(topic: 1, partition: 0, from: 0, maxBytes: .max, minBytes: .max, waitMilliseconds: 0))
        #expect(harness.requests.first?.text.contains("maxBytes: \((1 << 20) - 64), minBytes: \((1 << 20) - 64)") == true)
    }
}
