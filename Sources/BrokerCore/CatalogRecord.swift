internal import Bytes
internal import SegmentLog

/// One entry of the catalog's log: an upsert or a removal, so that replaying any part twice changes nothing.
///
///     version 1 | kind 1 | fields, numbers as zig-zag varints, text as length and UTF-8
enum CatalogRecord: Equatable, Sendable {
    case topic(id: TopicID, name: String, options: TopicOptions)
    case topicDeleted(TopicID)
    case exchange(id: ExchangeID, name: String, kind: ExchangeKind)
    case exchangeDeleted(ExchangeID)
    case bound(exchange: ExchangeID, toExchange: Bool, target: UInt32, pattern: String)
    case unbound(exchange: ExchangeID, toExchange: Bool, target: UInt32, pattern: String)
    case subscription(id: SubscriptionID, topic: TopicID, name: String, mode: SubscriptionMode, options: SubscriptionOptions, starts: [Offset])
    case subscriptionDeleted(SubscriptionID)
    /// Every id below is used up, even where what it named is gone.
    case marks(topic: UInt32, exchange: UInt32, subscription: UInt32, producer: Int64)

    static let version: UInt8 = 1

    /// The topic of a subscription.
    var topic: TopicID? { if case .subscription(_, let topic, _, _, _, _) = self { topic } else { nil } }

    func encode(into buffer: inout ByteBuffer) {
        buffer.append(CatalogRecord.version)
        switch self {
        case .topic(let id, let name, let options):
            buffer.append(UInt8(1))
            buffer.append(varInt: Int64(id.rawValue))
            buffer.appendText(name)
            options.encode(into: &buffer)
        case .topicDeleted(let id):
            buffer.append(UInt8(2))
            buffer.append(varInt: Int64(id.rawValue))
        case .exchange(let id, let name, let kind):
            buffer.append(UInt8(3))
            buffer.append(varInt: Int64(id.rawValue))
            buffer.appendText(name)
            buffer.append(kind.rawValue)
        case .exchangeDeleted(let id):
            buffer.append(UInt8(4))
            buffer.append(varInt: Int64(id.rawValue))
        case .bound(let exchange, let toExchange, let target, let pattern), .unbound(let exchange, let toExchange, let target, let pattern):
            if case .bound = self { buffer.append(UInt8(5)) } else { buffer.append(UInt8(6)) }
            buffer.append(varInt: Int64(exchange.rawValue))
            buffer.append(UInt8(toExchange ? 1 : 0))
            buffer.append(varInt: Int64(target))
            buffer.appendText(pattern)
        case .subscription(let id, let topic, let name, let mode, let options, let starts):
            buffer.append(UInt8(7))
            buffer.append(varInt: Int64(id.rawValue))
            buffer.append(varInt: Int64(topic.rawValue))
            buffer.appendText(name)
            buffer.append(mode.rawValue)
            options.encode(into: &buffer)
            buffer.append(varInt: Int64(starts.count))
            for start in starts { buffer.append(varInt: start.rawValue) }
        case .subscriptionDeleted(let id):
            buffer.append(UInt8(8))
            buffer.append(varInt: Int64(id.rawValue))
        case .marks(let topic, let exchange, let subscription, let producer):
            buffer.append(UInt8(9))
            buffer.append(varInt: Int64(topic))
            buffer.append(varInt: Int64(exchange))
            buffer.append(varInt: Int64(subscription))
            buffer.append(varInt: producer)
        }
    }

    init(decoding bytes: RawSpan) throws(ByteError) {
        var reader = ByteReader(bytes)
        guard try reader.byte() == CatalogRecord.version else { throw .outOfRange }
        switch try reader.byte() {
        case 1:
            let id = TopicID(rawValue: try reader.ownNumber())
            let name = try reader.shortText()
            self = .topic(id: id, name: name, options: try TopicOptions(from: &reader))
        case 2: self = .topicDeleted(TopicID(rawValue: try reader.number()))
        case 3:
            let id = ExchangeID(rawValue: try reader.ownNumber())
            let name = try reader.shortText()
            guard let kind = ExchangeKind(rawValue: try reader.byte()) else { throw .outOfRange }
            self = .exchange(id: id, name: name, kind: kind)
        case 4: self = .exchangeDeleted(ExchangeID(rawValue: try reader.number()))
        case let code where code == 5 || code == 6:
            let exchange = ExchangeID(rawValue: try reader.number())
            let toExchange = try reader.byte() == 1
            let target: UInt32 = try reader.number()
            let pattern = try reader.shortText()
            self =
                code == 5
                ? .bound(exchange: exchange, toExchange: toExchange, target: target, pattern: pattern)
                : .unbound(exchange: exchange, toExchange: toExchange, target: target, pattern: pattern)
        case 7:
            let id = SubscriptionID(rawValue: try reader.ownNumber())
            let topic = TopicID(rawValue: try reader.number())
            let name = try reader.shortText()
            guard let mode = SubscriptionMode(rawValue: try reader.byte()) else { throw .outOfRange }
            let options = try SubscriptionOptions(from: &reader)
            let count = try reader.varCount()
            var starts: [Offset] = []
            for _ in 0..<max(0, count) { starts.append(Offset(try reader.varInt())) }
            self = .subscription(id: id, topic: topic, name: name, mode: mode, options: options, starts: starts)
        case 8: self = .subscriptionDeleted(SubscriptionID(rawValue: try reader.number()))
        case 9:
            let topic = try reader.ownNumber()
            let exchange = try reader.ownNumber()
            let subscription = try reader.ownNumber()
            let producer = try reader.varInt()
            guard producer >= 0, producer < 1 << 62 else { throw .outOfRange }
            self = .marks(topic: topic, exchange: exchange, subscription: subscription, producer: producer)
        default: throw .outOfRange
        }
    }
}

extension ByteBuffer {
    mutating func appendText(_ text: String) {
        append(varInt: Int64(text.utf8.count))
        append(text)
    }

    mutating func append(optional value: Int64?) {
        append(UInt8(value == nil ? 0 : 1))
        if let value { append(varInt: value) }
    }
}

extension ByteReader {
    @_lifetime(self: copy self)
    mutating func number() throws(ByteError) -> UInt32 {
        guard let value = UInt32(exactly: try varInt()) else { throw .outOfRange }
        return value
    }

    /// The number of something that is in the catalog itself: ids are counted on from the highest, so there must be room for more.
    @_lifetime(self: copy self)
    mutating func ownNumber() throws(ByteError) -> UInt32 {
        let value = try number()
        guard value < 1 << 31 else { throw .outOfRange }
        return value
    }

    @_lifetime(self: copy self)
    mutating func shortText() throws(ByteError) -> String { try text(max(0, try varCount(atMost: 4_096))) }

    @_lifetime(self: copy self)
    mutating func optional() throws(ByteError) -> Int64? { try byte() == 0 ? nil : try varInt() }
}

extension SubscriptionOptions {
    func encode(into buffer: inout ByteBuffer) {
        buffer.append(optional: leaseMilliseconds.map(Int64.init))
        buffer.append(optional: deliveryLimit.map(Int64.init))
        buffer.append(UInt8(deadLetterTopic == nil ? 0 : 1))
        if let deadLetterTopic { buffer.appendText(deadLetterTopic) }
    }

    init(from reader: inout ByteReader) throws(ByteError) {
        self.init()
        if let value = try reader.optional() {
            guard let lease = UInt32(exactly: value) else { throw .outOfRange }
            leaseMilliseconds = lease
        }
        if let value = try reader.optional() {
            guard let limit = UInt16(exactly: value) else { throw .outOfRange }
            deliveryLimit = limit
        }
        if try reader.byte() != 0 { deadLetterTopic = try reader.shortText() }
    }
}
