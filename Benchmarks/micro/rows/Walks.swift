import BrokerCore
import Bytes
import KafkaProtocol
import NativeCodec
import NativeProtocol
import SegmentLog
import Wire

/// A broker over memory, and one session before it: what a shard does with what it receives, without sockets and disk.
final class Bed {
    static let session = SessionID(rawValue: 1)
    private let broker: Broker
    private let session: any WireSession
    private var now = Now(instant: Instant(nanoseconds: 1_000_000_000), time: Sample.time)
    private var output = SessionOutput()
    private var asked: [(id: RequestID, request: Request)] = []
    /// The id of the topic `bench`.
    private(set) var topic: UInt32 = 0
    /// Where the last delivery ended.
    private(set) var delivered = Offset.zero
    /// What is given away for it: as many bytes as were answered.
    private(set) var sent = 0

    init(_ proto: some WireProtocol, _ options: TopicOptions) {
        var brokerOptions = Broker.Options(directory: "memory")
        // What is measured stores without end.
        brokerOptions.log.segmentBytes = 4 << 20
        brokerOptions.log.retentionBytes = 16 << 20
        brokerOptions.log.durability = .none
        brokerOptions.retentionCheckMilliseconds = 100
        do { broker = try Broker(options: brokerOptions, storage: MemoryStorage(), now: now) } catch { fatalError("the broker does not start: \(error)") }
        session = proto.makeSession(Peer(address: "bench", isLocal: true, reached: Endpoint(host: "127.0.0.1", port: 9_092), limits: Limits()))
        broker.open(Bed.session)
        broker.perform(.createTopic(name: "bench", options), RequestID(rawValue: 0), from: Bed.session, input: [UInt8]().rawSpan, now: now)
        broker.endTick(now: now)
        for effect in broker.takeEffects() { if case .respond(_, _, .topics(let made)) = effect { topic = made.first?.id.rawValue ?? 0 } }
        precondition(topic > 0, "no topic was made")
    }

    /// One tick: bytes in, requests, effects, bytes out. Answers how many messages were taken, and how many delivered.
    func tick(_ input: borrowing RawSpan) -> Int {
        now.instant = now.instant.advanced(byNanoseconds: 1_000_000)
        now.time.rawValue &+= 1
        var messages = 0
        var used = 0
        repeat {
            let rest = input.extracting(droppingFirst: used)
            do throws(ProtocolError) { used &+= try session.receive(rest, &output) } catch { mustNotFail(error) }
            output.takeRequests(into: &asked)
            for (id, request) in asked { broker.perform(request, id, from: Bed.session, input: rest, now: now) }
            asked.removeAll(keepingCapacity: true)
            broker.endTick(now: now)
            while let effect = broker.takeEffect() { messages &+= take(effect) }
        } while used < input.byteCount
        output.closePiece()
        sent = output.pendingBytes
        output.clear()
        return messages
    }

    private func take(_ effect: Effect) -> Int {
        switch effect {
        case .respond(_, let id, let response):
            session.complete(id, response, &output)
            if case .appended(let appended) = response { return Int(appended.count) }
        case .deliver(_, let delivery):
            session.deliver(delivery, &output)
            delivered = delivery.last
            return Int(delivery.last - delivery.first + 1)
        case .notify(_, let consumer, let event): session.notify(consumer, event, &output)
        }
        return 0
    }
}

private func encoded(_ frames: (inout ByteBuffer) -> Void) -> [UInt8] {
    var buffer = ByteBuffer()
    frames(&buffer)
    return [UInt8](buffer.bytes)
}

private func nativeBed(_ options: TopicOptions = TopicOptions()) -> Bed {
    let bed = Bed(NativeProtocol(), options)
    _ = bed.tick(encoded { Frame.Hello(maxFrameBytes: 8 << 20, client: "bench").encode(to: &$0, correlation: 1) }.rawSpan)
    return bed
}

private func publishBatch(_ bed: Bed, _ batch: [UInt8]) -> [UInt8] {
    encoded { buffer in
        let frame = Frame.PublishBatch(
            target: .topic(bed.topic, partition: 0), batch: ByteRange(start: 0, count: batch.count), durability: .none, wantsAnswer: true)
        frame.encode(to: &buffer, correlation: 2)
        buffer.append(batch)
    }
}

/// A request of Kafka's protocol in a version without tagged fields.
private func kafkaRequest(_ key: Int16, version: Int16, _ body: (inout ByteBuffer) -> Void) -> [UInt8] {
    encoded { buffer in
        buffer.append(big: Int32(0))
        buffer.append(big: key)
        buffer.append(big: version)
        buffer.append(big: Int32(1))
        buffer.append(kafkaText: "bench")
        body(&buffer)
        buffer.patch(big: Int32(buffer.count - 4), at: 0)
    }
}

extension ByteBuffer {
    fileprivate mutating func append(kafkaText text: String) {
        append(big: Int16(text.utf8.count))
        append(text)
    }
}

private func kafkaProduce(_ batch: [UInt8]) -> [UInt8] {
    kafkaRequest(0, version: 7) { buffer in
        buffer.append(big: Int16(-1))  // no transaction
        buffer.append(big: Int16(-1))  // acknowledged by all
        buffer.append(big: Int32(1_000))
        buffer.append(big: Int32(1))
        buffer.append(kafkaText: "bench")
        buffer.append(big: Int32(1))
        buffer.append(big: Int32(0))
        buffer.append(big: Int32(batch.count))
        buffer.append(batch)
    }
}

private let kafkaFetch = kafkaRequest(1, version: 4) { buffer in
    buffer.append(big: Int32(-1))  // no replica
    buffer.append(big: Int32(0))
    buffer.append(big: Int32(1))
    buffer.append(big: Int32(1 << 20))
    buffer.append(UInt8(0))
    buffer.append(big: Int32(1))
    buffer.append(kafkaText: "bench")
    buffer.append(big: Int32(1))
    buffer.append(big: Int32(0))
    buffer.append(big: Int64(0))
    buffer.append(big: Int32(1 << 20))
}

let walkRows: [Row] = [
    Row("walk: native publish, a batch of 500", items: Sample.count, bytes: Sample.batch().count) {
        let bed = nativeBed()
        let frame = publishBatch(bed, Sample.batch())
        return Row.Prepared(expected: Sample.count) { bed.tick(frame.rawSpan) }
    },
    Row("walk: native publish, 100 single messages", items: 100, bytes: 100 * Sample.size) {
        let bed = nativeBed()
        let frame = Frame.Publish(
            target: .topic(bed.topic, partition: 0), key: nil, headers: .empty, headerCount: 0, payload: ByteRange(start: 0, count: Sample.size),
            timestamp: nil, producer: nil, durability: .none, wantsAnswer: true)
        let frames = encoded { buffer in
            for number in 0..<100 as Range<UInt64> {
                frame.encode(to: &buffer, correlation: number)
                buffer.append(Sample.payload)
            }
        }
        return Row.Prepared(expected: 100) { bed.tick(frames.rawSpan) }
    },
    Row("walk: native publish, deliver, settle 500 of a queue", items: Sample.count, bytes: Sample.batch().count) {
        let bed = nativeBed(.queue())
        let subscribe = Frame.Subscribe(
            consumer: 1, topic: "bench", name: "queue", mode: .shared, start: .earliest, form: .records, messageCredit: 1 << 20, byteCredit: 1 << 30)
        _ = bed.tick(encoded { subscribe.encode(to: &$0, correlation: 3) }.rawSpan)
        let publish = publishBatch(bed, Sample.batch())
        let scratch = Scratch()
        var settled = Int64(0)
        return Row.Prepared(expected: 2 * Sample.count) {
            var messages = bed.tick(publish.rawSpan)
            // What comes in the next tick where the first one only showed it.
            while bed.delivered.rawValue &+ 1 < settled &+ Int64(Sample.count) { messages &+= bed.tick([UInt8]().rawSpan) }
            return messages
                &+ scratch.use { buffer in
                    let last = bed.delivered.rawValue
                    let range = Frame.Settle.Range(partition: 0, outcome: .accept, first: settled, last: last)
                    Frame.Settle(consumer: 1, confirm: false, ranges: [range]).encode(to: &buffer)
                    Frame.Credit(consumer: 1, messages: Int32(last &+ 1 &- settled), bytes: 1 << 20).encode(to: &buffer)
                    settled = last &+ 1
                    return bed.tick(buffer.bytes)
                }
        }
    },
    Row("walk: native fan-out, a batch of 500 to 8", items: 9 * Sample.count, bytes: Sample.batch().count) {
        let bed = nativeBed()
        _ = bed.tick(
            encoded { buffer in
                for number in 1...8 as ClosedRange<UInt32> {
                    let subscribe = Frame.Subscribe(
                        consumer: number, topic: "bench", name: "", mode: .broadcast, start: .latest, form: .batches, messageCredit: .max,
                        byteCredit: .max, settlesItself: true)
                    subscribe.encode(to: &buffer, correlation: UInt64(number))
                }
            }.rawSpan)
        let publish = publishBatch(bed, Sample.batch())
        let credit = encoded { buffer in
            for number in 1...8 as ClosedRange<UInt32> {
                Frame.Credit(consumer: number, messages: Int32(Sample.count), bytes: 1 << 20).encode(to: &buffer)
            }
        }
        return Row.Prepared(expected: 9 * Sample.count) { bed.tick(publish.rawSpan) &+ bed.tick(credit.rawSpan) }
    },
    Row("walk: kafka produce, a batch of 500", items: Sample.count, bytes: Sample.batch().count) {
        let bed = Bed(KafkaProtocol(options: KafkaProtocol.Options()), TopicOptions())
        let request = kafkaProduce(Sample.batch())
        return Row.Prepared(expected: Sample.count) { bed.tick(request.rawSpan) }
    },
    Row("walk: kafka fetch, a batch of 500", items: Sample.count, bytes: Sample.batch().count) {
        let bed = Bed(KafkaProtocol(options: KafkaProtocol.Options()), TopicOptions())
        let batch = Sample.batch()
        precondition(bed.tick(kafkaProduce(batch).rawSpan) == Sample.count)
        _ = bed.tick(kafkaFetch.rawSpan)
        let expected = bed.sent
        precondition(expected > batch.count && expected < batch.count + 100, "a fetch is answered with \(expected) bytes")
        return Row.Prepared(expected: expected) {
            _ = bed.tick(kafkaFetch.rawSpan)
            return bed.sent
        }
    },
]
