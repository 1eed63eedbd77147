package import Bytes

/// Makes frames that a client could send, of every kind, from what a fuzzer's bytes choose: with names and numbers that are often there,
/// and now and then with bytes changed. Their sizes are right, so that what stands behind the splitter is reached.
package struct ArbitraryFrames {
    private var choices: Choices
    private var correlation: UInt64 = 1
    /// Ids of topics and exchanges that are there, for publishes and fetches.
    private let ids: UInt32

    package init(_ choices: Choices, ids: UInt32 = 6) {
        self.choices = choices
        self.ids = ids
    }

    package var isUsedUp: Bool { choices.isUsedUp }

    /// The beginning of every session.
    package static func hello(into buffer: inout ByteBuffer) {
        Frame.Hello(maxFrameBytes: 1 << 20, features: Frame.Hello.compaction, client: "fuzz").encode(to: &buffer, correlation: 1)
    }

    package mutating func next(into buffer: inout ByteBuffer) {
        let start = buffer.count
        correlation = choices.oneIn(16) ? UInt64(bitPattern: choices.number()) : correlation &+ 1
        var tail: [UInt8] = []
        put(choices.choose(32), &tail, &buffer)
        buffer.append(tail)
        guard choices.oneIn(8) else { return }
        // One to three bytes behind the size are others, or the frame is cut or longer than its fields.
        switch choices.choose(6) {
        case 0: if buffer.count - start > FrameHeader.size { buffer.truncate(to: buffer.count - 1) }
        case 1: buffer.append(choices.byte())
        default:
            for _ in 0...choices.choose(3) {
                let place = start + 4 + (choices.choose(256) % max(1, buffer.count - start - 4))
                buffer.patch(little: choices.byte(), at: min(place, buffer.count - 1))
            }
        }
        buffer.patch(little: UInt32(truncatingIfNeeded: buffer.count - start), at: start)
    }

    // MARK: Values

    private mutating func id() -> UInt32 { choices.oneIn(12) ? UInt32(truncatingIfNeeded: choices.number()) : 1 + UInt32(choices.choose(Int(ids))) }
    private mutating func consumer() -> UInt32 { choices.oneIn(12) ? UInt32(truncatingIfNeeded: choices.number()) : UInt32(choices.choose(3)) }
    private mutating func partition() -> Int32 { choices.oneIn(8) ? choices.int32() : Int32(choices.choose(3)) - 1 }
    private mutating func offset() -> Int64 { choices.oneIn(4) ? choices.number() : Int64(choices.choose(32)) }
    private mutating func optional() -> Int64? { choices.choose(3) == 0 ? choices.number() : nil }

    private mutating func name() -> String { choices.pick(Self.names) }
    private mutating func pattern() -> String { choices.pick(Self.patterns) }

    private static let names = [
        "a", "b", "orders", "topic", "dead", "x", "__cursors", "", "../a", "a b", String(repeating: "n", count: 250), "\u{0}", "é",
    ]
    private static let patterns = ["", "#", "*.a", "a.*.#", "a", "#.#.#", String(repeating: "*.", count: 120)]

    private mutating func position() -> Frame.Position {
        switch choices.choose(4) {
        case 0: .earliest
        case 1: .latest
        case 2: .offset(max(0, offset()))
        default: .time(milliseconds: choices.number())
        }
    }

    private mutating func subscription() -> Frame.SubscriptionOptions {
        Frame.SubscriptionOptions(
            leaseMilliseconds: choices.oneIn(3) ? UInt32(truncatingIfNeeded: choices.number()) : nil,
            deliveryLimit: choices.oneIn(3) ? UInt16(choices.choose(4)) : nil, deadLetterTopic: choices.oneIn(3) ? name() : nil)
    }

    private mutating func options() -> Frame.TopicOptions {
        let cleanup = choices.pick([Frame.Cleanup.delete, .delete, .compact, .both])
        return Frame.TopicOptions(
            partitions: choices.oneIn(8) ? choices.int32() : Int32(1 + choices.choose(3)), storage: choices.pick(Frame.Storage.allCases),
            durability: choices.oneIn(2) ? choices.pick(Frame.Durability.allCases) : nil, segmentBytes: optional(), segmentMilliseconds: optional(),
            retentionMilliseconds: optional(), retentionBytes: optional(), untilAcknowledged: cleanup == .delete && choices.oneIn(2),
            maxMessageBytes: optional(), subscription: subscription(), isQueue: choices.oneIn(3), cleanup: cleanup)
    }

    private mutating func binding() -> Frame.Binding {
        Frame.Binding(exchange: name(), destination: choices.oneIn(2) ? .topic(name()) : .exchange(name()), pattern: pattern())
    }

    private mutating func target(_ tail: inout [UInt8]) -> Frame.Target {
        guard choices.oneIn(4) else { return .topic(id(), partition: partition()) }
        tail = Array(pattern().utf8)
        return .exchange(id(), routingKey: ByteRange(start: 0, count: tail.count))
    }

    private mutating func batch() -> [UInt8] {
        // A batch header of the right length; its checksum seldom fits, which is what most lies look like.
        var batch = [UInt8](repeating: 0, count: 61) + choices.take(choices.choose(32))
        batch[11] = UInt8(truncatingIfNeeded: batch.count - 12)
        batch[16] = 2
        return batch
    }

    private mutating func put(_ kind: Int, _ tail: inout [UInt8], _ buffer: inout ByteBuffer) {
        func say<F: FrameBody>(_ frame: F) { frame.encode(to: &buffer, correlation: correlation) }
        switch kind {
        case 0...5:
            let target = target(&tail)
            let (key, payload) = (choices.oneIn(2) ? choices.take(choices.choose(8)) : nil, choices.oneIn(8) ? nil : choices.take(choices.choose(24)))
            let headers: [UInt8] = choices.oneIn(4) ? choices.pick([[0, 0], [2, 0x61, 1], [2, 0x61, 4, 1, 2], [1], [0xFF, 0xFF]]) : []
            tail += (key ?? []) + headers + (payload ?? [])
            func range(_ count: Int) -> ByteRange { ByteRange(start: 0, count: count) }
            let stamp = choices.oneIn(4) ? Frame.ProducerSequence(id: max(0, offset()), epoch: 0, sequence: Int32(choices.choose(8))) : nil
            say(
                Frame.Publish(
                    target: target, key: key.map { range($0.count) }, headers: range(headers.count), headerCount: headers.isEmpty ? 0 : 1,
                    payload: payload.map { range($0.count) }, timestamp: optional(), producer: stamp, durability: choices.pick(Frame.Durability.allCases),
                    wantsAnswer: choices.choose(4) != 0))
        case 6:
            let target = target(&tail)
            let batch = batch()
            tail += batch
            say(
                Frame.PublishBatch(
                    target: target, batch: ByteRange(start: 0, count: batch.count), durability: choices.pick(Frame.Durability.allCases),
                    wantsAnswer: choices.choose(4) != 0))
        case 7: say(Frame.StartProducer(id: choices.oneIn(2) ? -1 : offset(), epoch: Int16(choices.choose(3)) - 1))
        case 8:
            say(
                Frame.Fetch(
                    topic: id(), partition: partition(), from: offset(), maxBytes: choices.int32(), minBytes: choices.int32(),
                    waitMilliseconds: UInt32(choices.choose(200))))
        case 9: say(Frame.FindOffset(topic: name(), partition: partition(), position: position()))
        case 10...13:
            say(
                Frame.Subscribe(
                    consumer: consumer(), topic: name(), name: choices.pick(["", "queue", "s", "t"]), mode: choices.pick(Frame.SubscriptionMode.allCases),
                    start: position(), form: choices.pick(Frame.DeliveryForm.allCases), messageCredit: Int32(choices.choose(40)),
                    byteCredit: Int64(choices.choose(256)) << 8, options: subscription(), settlesItself: choices.oneIn(4)))
        case 14: say(Frame.Unsubscribe(consumer: consumer()))
        case 15: say(Frame.Credit(consumer: consumer(), messages: choices.int32(), bytes: choices.number()))
        case 16...18:
            var ranges: [Frame.Settle.Range] = []
            for _ in 0...choices.choose(3) {
                let first = offset()
                ranges.append(
                    Frame.Settle.Range(partition: partition(), outcome: choices.pick(Frame.Outcome.allCases), first: first, last: max(first, offset())))
            }
            say(Frame.Settle(consumer: consumer(), confirm: choices.oneIn(2), ranges: ranges))
        case 19:
            say(
                Frame.ExtendLease(
                    consumer: consumer(), partition: partition(), first: offset(), last: offset(), milliseconds: UInt32(truncatingIfNeeded: choices.number())))
        case 20: say(Frame.Seek(topic: name(), subscription: choices.pick(["queue", "s", ""]), position: position()))
        case 21: say(Frame.DeleteSubscription(topic: name(), name: choices.pick(["queue", "s", "t"])))
        case 22: say(Frame.CreateTopic(name: name(), options: options()))
        case 23:
            say(
                Frame.AlterTopic(
                    name: name(),
                    change: Frame.TopicChange(
                        durability: choices.oneIn(2) ? choices.pick(Frame.Durability.allCases) : nil, retentionMilliseconds: optional(),
                        retentionBytes: optional(), maxMessageBytes: optional(), subscription: choices.oneIn(2) ? subscription() : nil,
                        partitions: choices.oneIn(4) ? choices.int32() : nil, cleanup: choices.oneIn(4) ? choices.pick(Frame.Cleanup.allCases) : nil)))
        case 24: if choices.oneIn(2) { say(Frame.DeleteTopic(name: name())) } else { say(Frame.DescribeTopic(name: name())) }
        case 25: if choices.oneIn(2) { say(Frame.CreateReplyTopic()) } else { say(Frame.ListTopics()) }
        case 26: say(Frame.CreateExchange(name: name(), kind: choices.pick(Frame.ExchangeKind.allCases)))
        case 27: if choices.oneIn(2) { say(Frame.DeleteExchange(name: name())) } else { say(Frame.FindExchange(name: name())) }
        case 28: if choices.oneIn(3) { say(Frame.Unbind(binding: binding())) } else { say(Frame.Bind(binding: binding())) }
        case 29: if choices.oneIn(2) { say(Frame.ListExchanges()) } else { say(Frame.ListSubscriptions(name: name())) }
        case 30: say(Frame.Purge(topic: name(), partition: choices.oneIn(2) ? partition() : nil, before: choices.oneIn(2) ? offset() : nil))
        default:
            switch choices.choose(6) {
            case 0: say(Frame.Redrive(topic: name(), limit: choices.number()))
            case 1: say(Frame.Statistics())
            case 2: say(Frame.Ping())
            case 4: say(Frame.Trace(topic: name(), waitMilliseconds: UInt32(truncatingIfNeeded: choices.number())))
            case 3:
                let sizes = (UInt32(truncatingIfNeeded: choices.number()), UInt32(truncatingIfNeeded: choices.number()))
                say(Frame.OpenLane(toServerBytes: sizes.0, toClientBytes: sizes.1))
            default: say(Frame.Hello(maxFrameBytes: UInt32(truncatingIfNeeded: choices.number()), client: name()))
            }
        }
    }
}
