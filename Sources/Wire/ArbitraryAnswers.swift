internal import Bytes
package import BrokerCore
internal import SegmentLog

/// Plays the broker for the fuzz entries of sessions: answers what a session asks with what the given bytes choose. Mostly an answer of
/// the right kind with arbitrary numbers in it, sometimes a failure, sometimes an answer to another question.
package struct ArbitraryAnswers {
    private let bytes: [UInt8]
    private var at = 0

    package init(_ bytes: RawSpan) { self.bytes = [UInt8](bytes) }

    /// The next choice, from 0 to `count` - 1.
    package mutating func choose(_ count: Int) -> Int {
        guard !bytes.isEmpty else { return 0 }
        at = (at + 1) % bytes.count
        return Int(bytes[at] ^ UInt8(truncatingIfNeeded: at)) % count
    }

    mutating func number() -> Int64 {
        switch choose(8) {
        case 0: .max
        case 1: -1
        case 2: .max - Int64(Int32.max) - 1
        case let choice: Int64(choose(256)) << Int64(choice * 2)
        }
    }

    mutating func offset() -> Offset { Offset(number()) }
    mutating func time() -> Timestamp { Timestamp(milliseconds: number()) }
    mutating func small() -> Int32 { Int32(truncatingIfNeeded: number()) }
    mutating func failure() -> BrokerError { BrokerError(BrokerError.Code.allCases[choose(BrokerError.Code.allCases.count)], "arbitrary") }

    package mutating func answer(to request: Request) -> Response {
        let choice = choose(16)
        if choice == 0 { return .failed(failure()) }
        if choice == 1 { return any(choose(10), for: nil) }
        switch request {
        case .append: return any(0, for: nil)
        case .startProducer: return any(1, for: nil)
        case .fetch(let fetch): return any(2, for: fetch)
        case .findOffset: return any(3, for: nil)
        case .subscribe: return any(4, for: nil)
        case .createTopic, .createReplyTopic, .describeTopic, .listTopics: return any(5, for: nil)
        case .createExchange, .listExchanges, .findExchange: return any(6, for: nil)
        case .listSubscriptions: return any(7, for: nil)
        case .statistics: return any(8, for: nil)
        case .trace: return .traced([Statistic(name: "append_microseconds", value: Double(number()))])
        case .purge, .redrive: return any(9, for: nil)
        case .endOfEpoch: return .epochEnd(epoch: small(), offset())
        case .group(let request): return answer(to: request)
        default: return .done
        }
    }

    private mutating func any(_ kind: Int, for fetch: Fetch?) -> Response {
        switch kind {
        case 0:
            return .appended(
                Appended(
                    topic: TopicID(rawValue: UInt32(choose(4))), partition: small(), baseOffset: offset(), count: small(), reached: .group, logs: small(),
                    duplicate: choose(2) == 0))
        case 1: return .producer(id: number(), epoch: Int16(truncatingIfNeeded: number()))
        case 2:
            var parts: [Fetched] = []
            for part in fetch?.parts ?? [] {
                parts.append(
                    Fetched(
                        topic: part.topic, partition: part.partition, start: offset(), visibleEnd: offset(), slice: choose(2) == 0 ? nil : slice(),
                        failure: choose(4) == 0 ? failure() : nil))
            }
            return .fetched(parts)
        case 3: return .offset(offset(), time(), epoch: small())
        case 4: return .subscribed(SubscriptionID(rawValue: UInt32(choose(256))), active: choose(2) == 0)
        case 5: return .topics(topics())
        case 6: return .exchanges([ExchangeDescription(id: ExchangeID(rawValue: 1), name: "exchange", kind: .topic, bindings: [])])
        case 7:
            let cursor = CursorDescription(partition: small(), floor: offset(), next: offset(), end: offset(), inFlight: number(), redeliver: number())
            return .subscriptions([
                SubscriptionDescription(id: SubscriptionID(rawValue: 1), topic: "a", name: "s", mode: .shared, consumers: small(), cursors: [cursor])
            ])
        case 8: return .statistics([Statistic(name: "figure", value: Double(number()))])
        case 9: return choose(2) == 0 ? .purged(number(), start: offset()) : .count(number())
        default: return .done
        }
    }

    private mutating func topics() -> [TopicDescription] {
        var topics: [TopicDescription] = []
        for index in 0..<choose(4) {
            var partitions: [PartitionDescription] = []
            for partition in 0..<choose(5) {
                partitions.append(
                    PartitionDescription(
                        index: Int32(partition), start: offset(), flushed: offset(), end: offset(), bytes: number(), segments: small(), fault: nil))
            }
            var options = TopicOptions(partitions: Int32(partitions.count), retentionMilliseconds: number())
            options.isQueue = choose(4) == 0
            topics.append(
                TopicDescription(
                    id: TopicID(rawValue: UInt32(1 + choose(6))), name: ["a", "b", "orders", "topic"][index], options: options, partitions: partitions,
                    owner: Int32(choose(3))))
        }
        return topics
    }

    /// Stored bytes, too few and many enough to be referenced.
    private mutating func slice() -> LogSlice {
        let count = choose(2) == 0 ? 61 + choose(200) : SessionOutput.copyLimit + 1 + choose(200)
        return LogSlice(memory: ArbitraryAnswers.stored, range: 0..<count)
    }

    private static let stored: SegmentMemory = {
        let storage = MemoryStorage()
        do {
            try storage.makeDirectory("fuzz")
            let file = try storage.open("fuzz/stored", .create)
            try storage.truncate(file, to: 4_096)
            return try storage.map(file, length: 4_096)
        } catch { preconditionFailure("a file in memory cannot be made: \(error)") }
    }()
}
