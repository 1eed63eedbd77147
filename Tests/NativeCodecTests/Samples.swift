import Bytes
import NativeCodec
import Testing

/// One encoded frame and what it must decode to.
struct Sample: Sendable, CustomTestStringConvertible {
    let type: FrameType
    /// The whole frame, tail included.
    let bytes: [UInt8]
    /// Decodes the frame that starts at `at`; answers whether it is what was encoded. Ranges are expected to count from the start.
    let decodesBack: @Sendable (_ input: [UInt8]) throws(ByteError) -> Bool

    var testDescription: String { "\(type)" }

    init<F: FrameBody & Sendable>(_ frame: F, tail: [UInt8] = []) {
        type = F.type
        var buffer = ByteBuffer()
        frame.encode(to: &buffer, correlation: 0x0102_0304_0506_0708)
        buffer.append(tail)
        bytes = [UInt8](buffer.bytes)
        decodesBack = { (input: [UInt8]) throws(ByteError) -> Bool in
            guard input.count >= FrameHeader.size else { throw .truncated }
            var header = FrameHeader(size: input.count, type: input[4], flags: input[5], correlation: 0)
            if let declared = try? FrameSplitter.next(in: input.rawSpan, at: 0, limit: .max), case .frame(let found) = declared { header = found }
            return try F.decode(header, in: input.rawSpan, at: 0) == frame
        }
    }
}

extension Sample {
    private static let subscription = Frame.SubscriptionOptions(leaseMilliseconds: 30_000, deliveryLimit: 5, deadLetterTopic: "orders.dead")
    private static let topicOptions = Frame.TopicOptions(
        partitions: 12, storage: .memory, durability: .each, segmentBytes: 1 << 30, segmentMilliseconds: 1, retentionMilliseconds: -1,
        retentionBytes: .max, untilAcknowledged: true, maxMessageBytes: 0, subscription: subscription, isQueue: true)
    private static let head = Frame.DeliveryHead(consumer: 7, topic: 8, partition: 9, attempt: 2, first: 1 << 40, last: (1 << 40) + 99, isRedelivery: true)
    private static let binding = Frame.Binding(exchange: "in", destination: .topic("orders"), pattern: "eu.*.#")
    private static let headers: [UInt8] = [2, 0x61, 2, 0x62, 4, 0x63, 0x64, 1]  // a: b, cd: null

    static let all: [Sample] = connection + publishing + reading + consuming + topology + operating

    static let connection: [Sample] = [
        Sample(Frame.Hello(oldestVersion: 1, newestVersion: 3, maxFrameBytes: 1 << 20, features: 5, client: "test é")),
        Sample(
            Frame.Welcome(
                version: 1, features: 1, maxFrameBytes: 1 << 26, maxMessageBytes: 1 << 20, maxUnanswered: 65_536, maxConsumers: 1024, node: 3,
                shards: 4, server: "needletail", serverVersion: "0.1.0")),
        Sample(Frame.Ping()), Sample(Frame.Pong()), Sample(Frame.OK()), Sample(Frame.Count(count: -1)),
        Sample(Frame.OpenLane(toServerBytes: 1 << 20, toClientBytes: 0)), Sample(Frame.LaneOpened(toServerBytes: 1 << 20, toClientBytes: 4 << 20)),
        Sample(Frame.Failure(code: .unknownTopic, isFatal: true, text: "there is no topic 'x'")),
        Sample(Frame.Failure(code: ErrorCode(rawValue: 999), isFatal: false, text: "")),
    ]

    static let publishing: [Sample] = [
        Sample(
            Frame.Publish(
                target: .topic(5, partition: -1), key: ByteRange(start: 64, count: 3), headers: ByteRange(start: 67, count: 8), headerCount: 2,
                payload: ByteRange(start: 75, count: 5), timestamp: 1_700_000_000_000,
                producer: Frame.ProducerSequence(id: 77, epoch: 2, sequence: 9), durability: .group, wantsAnswer: true),
            tail: Array("key".utf8) + headers + Array("hello".utf8)),
        Sample(
            Frame.Publish(
                target: .exchange(6, routingKey: ByteRange(start: 64, count: 4)), key: nil, headers: ByteRange(start: 68, count: 0),
                headerCount: 0, payload: nil, timestamp: nil, producer: nil, durability: .none, wantsAnswer: false),
            tail: Array("eu.x".utf8)),
        Sample(
            Frame.PublishBatch(
                target: .topic(5, partition: 3), batch: ByteRange(start: 28, count: 61), durability: .each, wantsAnswer: true),
            tail: [UInt8](repeating: 0xAB, count: 61)),
        Sample(
            Frame.PublishBatch(
                target: .exchange(1, routingKey: ByteRange(start: 28, count: 2)), batch: ByteRange(start: 30, count: 4), durability: .interval,
                wantsAnswer: false),
            tail: [1, 2, 3, 4, 5, 6]),
        Sample(
            Frame.Published(topic: 1, partition: 2, baseOffset: 3, count: 4, logs: 5, reached: .group, isDuplicate: true)),
        Sample(Frame.StartProducer(id: -1, epoch: -1)), Sample(Frame.Producer(id: .max, epoch: 32_767)),
    ]

    static let reading: [Sample] = [
        Sample(Frame.Fetch(topic: 1, partition: 0, from: 10, maxBytes: 1 << 20, minBytes: 1, waitMilliseconds: 500)),
        Sample(Frame.Fetched(topic: 1, partition: 0, start: 0, visibleEnd: 0, batches: ByteRange(start: 40, count: 0))),
        Sample(
            Frame.Fetched(topic: 1, partition: 0, start: 0, visibleEnd: 20, batches: ByteRange(start: 40, count: 7)),
            tail: [UInt8](repeating: 9, count: 7)),
        Sample(Frame.FindOffset(topic: "orders", partition: 1, position: .time(milliseconds: 1_700_000_000_000))),
        Sample(Frame.FoundOffset(offset: 12, timestamp: -1)),
    ]

    static let consuming: [Sample] = [
        Sample(
            Frame.Subscribe(
                consumer: 1, topic: "orders", name: "billing", mode: .shared, start: .offset(5), form: .records, messageCredit: 100,
                byteCredit: 1 << 20, options: subscription, settlesItself: true)),
        Sample(
            Frame.Subscribe(
                consumer: .max, topic: "t", name: "", mode: .broadcast, start: .latest, form: .batches, messageCredit: 0, byteCredit: 0)),
        Sample(Frame.Subscribed(subscription: 3, isActive: false)), Sample(Frame.Unsubscribe(consumer: 3)),
        Sample(Frame.Credit(consumer: 1, messages: .max, bytes: .max)),
        Sample(Frame.DeliverBatches(head: head, batches: ByteRange(start: 48, count: 4)), tail: [1, 2, 3, 4]),
        Sample(
            Frame.DeliverRecords(head: head, baseOffset: 1 << 40, baseTimestamp: 99, records: ByteRange(start: 64, count: 3)), tail: [1, 2, 3]),
        Sample(
            Frame.Settle(
                consumer: 1, confirm: true,
                ranges: Frame.Outcome.allCases.map { Frame.Settle.Range(partition: 2, outcome: $0, first: 5, last: 5) })),
        Sample(Frame.Settle(consumer: 1, confirm: false, ranges: [Frame.Settle.Range(partition: 0, outcome: .accept, first: 0, last: .max)])),
        Sample(Frame.ExtendLease(consumer: 1, partition: 0, first: 1, last: 2, milliseconds: .max)),
        Sample(Frame.ConsumerEvent(consumer: 1, kind: .ended, code: .storageFailed, text: "gone")),
        Sample(Frame.Seek(topic: "a", subscription: "b", position: .earliest)),
        Sample(Frame.DeleteSubscription(topic: "a", name: "b")), Sample(Frame.ListSubscriptions(name: "a")),
        Sample(
            Frame.Subscriptions(
                hasMore: false,
                elements: [
                    Frame.SubscriptionDescription(
                        id: 1, topic: "a", name: "b", mode: .exclusive, consumers: 2,
                        cursors: [Frame.CursorDescription(partition: 0, floor: 1, next: 2, end: 3, inFlight: 4, redeliver: 5)])
                ])),
    ]

    static let topology: [Sample] = [
        Sample(Frame.CreateTopic(name: "orders", options: topicOptions)), Sample(Frame.CreateTopic(name: "", options: Frame.TopicOptions())),
        Sample(Frame.AlterTopic(name: "orders", change: Frame.TopicChange())),
        Sample(
            Frame.AlterTopic(
                name: "orders",
                change: Frame.TopicChange(
                    durability: Frame.Durability.none, retentionMilliseconds: 1, retentionBytes: 2, maxMessageBytes: 3, subscription: subscription))),
        Sample(Frame.AlterTopic(name: "orders", change: Frame.TopicChange(partitions: 8))),
        Sample(Frame.AlterTopic(name: "orders", change: Frame.TopicChange(subscription: subscription, cleanup: .both))),
        Sample(Frame.CreateTopic(name: "state", options: Frame.TopicOptions(cleanup: .compact))),
        Sample(Frame.CreateTopic(name: "state", options: Frame.TopicOptions(cleanup: .both))),
        Sample(Frame.DeleteTopic(name: "a")), Sample(Frame.DescribeTopic(name: "a")), Sample(Frame.ListTopics()),
        Sample(Frame.CreateReplyTopic()),
        Sample(
            Frame.Topics(
                hasMore: true,
                elements: [
                    Frame.TopicDescription(
                        id: 1, name: "orders", options: topicOptions,
                        partitions: [
                            Frame.PartitionDescription(index: 0, start: 1, flushed: 2, end: 3, bytes: 4, segments: 5, fault: nil),
                            Frame.PartitionDescription(index: 1, start: 1, flushed: 2, end: 3, bytes: 4, segments: 5, fault: "EIO"),
                        ]),
                    Frame.TopicDescription(id: 2, name: "b", options: Frame.TopicOptions(), partitions: []),
                ])),
        Sample(Frame.CreateExchange(name: "in", kind: .topic)), Sample(Frame.DeleteExchange(name: "in")),
        Sample(Frame.Bind(binding: binding)),
        Sample(Frame.Unbind(binding: Frame.Binding(exchange: "in", destination: .exchange("out"), pattern: ""))),
        Sample(Frame.ListExchanges()), Sample(Frame.FindExchange(name: "in")),
        Sample(Frame.Exchanges(hasMore: false, elements: [Frame.ExchangeDescription(id: 4, name: "in", kind: .fanout, bindings: [binding])])),
    ]

    static let operating: [Sample] = [
        Sample(Frame.Purge(topic: "a", partition: nil, before: nil)), Sample(Frame.Purge(topic: "a", partition: 0, before: 9)),
        Sample(Frame.Redrive(topic: "a", limit: 1)), Sample(Frame.Statistics()), Sample(Frame.Trace(topic: "a", waitMilliseconds: 9)),
        Sample(Frame.Figures(hasMore: false, elements: [Frame.Figure(name: "needletail_connections", value: 1.5)])),
        Sample(Frame.Figures(hasMore: false, elements: [])),
    ]
}
