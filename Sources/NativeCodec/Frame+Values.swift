package import Bytes

/// The values that several frames share.
extension Frame {
    /// What an acknowledgement promises.
    package enum Durability: UInt8, Sendable, CaseIterable { case none = 0, interval = 1, group = 2, each = 3 }
    package enum Storage: UInt8, Sendable, CaseIterable { case disk = 0, memory = 1 }
    /// What becomes of old records: forgotten, replaced by newer ones of their key, or both.
    package enum Cleanup: UInt8, Sendable, CaseIterable { case delete = 0, compact = 1, both = 2 }
    package enum SubscriptionMode: UInt8, Sendable, CaseIterable { case exclusive = 0, shared = 1, broadcast = 2 }
    package enum DeliveryForm: UInt8, Sendable, CaseIterable { case batches = 0, records = 1 }
    package enum Outcome: UInt8, Sendable, CaseIterable { case accept = 0, requeue = 1, reject = 2, release = 3 }
    package enum ExchangeKind: UInt8, Sendable, CaseIterable { case direct = 0, topic = 1, fanout = 2 }

    /// Where reading begins: a kind in one byte, and a value in eight that is 0 where the kind has none.
    package enum Position: Equatable, Sendable {
        case earliest
        case latest
        case offset(Int64)
        case time(milliseconds: Int64)

        var kind: UInt8 {
            switch self {
            case .earliest: 0
            case .latest: 1
            case .offset: 2
            case .time: 3
            }
        }

        var value: Int64 {
            switch self {
            case .earliest, .latest: 0
            case .offset(let value), .time(let value): value
            }
        }

        init(kind: UInt8, value: Int64) throws(ByteError) {
            switch (kind, value) {
            case (0, 0): self = .earliest
            case (1, 0): self = .latest
            case (2, 0...): self = .offset(value)
            case (3, _): self = .time(milliseconds: value)
            default: throw .outOfRange
            }
        }
    }

    /// Where a publish goes. In the frame: id u32, partition i32 (-1: the broker chooses; always -1 for an exchange).
    package enum Target: Equatable, Sendable {
        case topic(UInt32, partition: Int32)
        case exchange(UInt32, routingKey: ByteRange)

        var routingKeyCount: Int {
            switch self {
            case .topic: 0
            case .exchange(_, let key): key.count
            }
        }
    }

    package struct ProducerSequence: Equatable, Sendable {
        package var id: Int64
        package var epoch: Int16
        package var sequence: Int32
        package init(id: Int64, epoch: Int16, sequence: Int32) {
            self.id = id
            self.epoch = epoch
            self.sequence = sequence
        }
    }

    /// How a subscription treats deliveries that are not settled; nil: as its topic says.
    package struct SubscriptionOptions: Equatable, Sendable {
        package var leaseMilliseconds: UInt32?
        package var deliveryLimit: UInt16?
        package var deadLetterTopic: String?
        package init(leaseMilliseconds: UInt32? = nil, deliveryLimit: UInt16? = nil, deadLetterTopic: String? = nil) {
            self.leaseMilliseconds = leaseMilliseconds
            self.deliveryLimit = deliveryLimit
            self.deadLetterTopic = deadLetterTopic
        }

        func write(to buffer: inout ByteBuffer) {
            buffer.append(optional: leaseMilliseconds.map(Int64.init))
            buffer.append(optional: deliveryLimit.map(Int32.init))
            buffer.append(optionalText: deadLetterTopic)
        }

        @_lifetime(reader: copy reader)
        static func read(_ reader: inout ByteReader) throws(ByteError) -> SubscriptionOptions {
            var options = SubscriptionOptions()
            if let lease = try reader.optionalInt64() {
                guard let lease = UInt32(exactly: lease) else { throw .outOfRange }
                options.leaseMilliseconds = lease
            }
            if let limit = try reader.optionalInt32() {
                guard let limit = UInt16(exactly: limit) else { throw .outOfRange }
                options.deliveryLimit = limit
            }
            options.deadLetterTopic = try reader.optionalText()
            return options
        }
    }

    /// How a topic keeps and gives its messages; nil: the broker's default.
    package struct TopicOptions: Equatable, Sendable {
        package var partitions: Int32
        package var storage: Storage
        package var durability: Durability?
        package var segmentBytes: Int64?
        package var segmentMilliseconds: Int64?
        package var retentionMilliseconds: Int64?
        package var retentionBytes: Int64?
        package var untilAcknowledged: Bool
        package var maxMessageBytes: Int64?
        package var subscription: SubscriptionOptions
        package var isQueue: Bool
        /// `delete` where it is kept until acknowledged.
        package var cleanup: Cleanup

        package init(
            partitions: Int32 = 1, storage: Storage = .disk, durability: Durability? = nil, segmentBytes: Int64? = nil,
            segmentMilliseconds: Int64? = nil, retentionMilliseconds: Int64? = nil, retentionBytes: Int64? = nil,
            untilAcknowledged: Bool = false, maxMessageBytes: Int64? = nil, subscription: SubscriptionOptions = SubscriptionOptions(),
            isQueue: Bool = false, cleanup: Cleanup = .delete
        ) {
            self.partitions = partitions
            self.storage = storage
            self.durability = durability
            self.segmentBytes = segmentBytes
            self.segmentMilliseconds = segmentMilliseconds
            self.retentionMilliseconds = retentionMilliseconds
            self.retentionBytes = retentionBytes
            self.untilAcknowledged = untilAcknowledged
            self.maxMessageBytes = maxMessageBytes
            self.subscription = subscription
            self.isQueue = isQueue
            self.cleanup = cleanup
        }

        func write(to buffer: inout ByteBuffer) {
            buffer.append(little: partitions)
            buffer.append(storage.rawValue)
            buffer.append(optionalDurability: durability)
            buffer.append(untilAcknowledged ? 1 : cleanup == .delete ? 0 : 1 + cleanup.rawValue)
            buffer.append(isQueue ? 1 : 0)
            buffer.append(optional: segmentBytes)
            buffer.append(optional: segmentMilliseconds)
            buffer.append(optional: retentionMilliseconds)
            buffer.append(optional: retentionBytes)
            buffer.append(optional: maxMessageBytes)
            subscription.write(to: &buffer)
        }

        @_lifetime(reader: copy reader)
        static func read(_ reader: inout ByteReader) throws(ByteError) -> TopicOptions {
            let partitions = try reader.little(Int32.self)
            let storage = try reader.choice(Storage.self)
            let durability = try reader.optionalDurability()
            let forgetting = try reader.byte()
            let cleanup = forgetting < 2 ? Cleanup.delete : Cleanup(rawValue: forgetting - 1)
            guard let cleanup else { throw .outOfRange }
            let isQueue = try reader.flag()
            return TopicOptions(
                partitions: partitions, storage: storage, durability: durability, segmentBytes: try reader.optionalInt64(),
                segmentMilliseconds: try reader.optionalInt64(), retentionMilliseconds: try reader.optionalInt64(),
                retentionBytes: try reader.optionalInt64(), untilAcknowledged: forgetting == 1,
                maxMessageBytes: try reader.optionalInt64(), subscription: try SubscriptionOptions.read(&reader), isQueue: isQueue, cleanup: cleanup)
        }
    }

    /// What may change on a living topic; nil leaves it as it is.
    package struct TopicChange: Equatable, Sendable {
        package var durability: Durability?
        package var retentionMilliseconds: Int64?
        package var retentionBytes: Int64?
        package var maxMessageBytes: Int64?
        package var subscription: SubscriptionOptions?
        /// So many instead of fewer.
        package var partitions: Int32?
        package var cleanup: Cleanup?
        package init(
            durability: Durability? = nil, retentionMilliseconds: Int64? = nil, retentionBytes: Int64? = nil, maxMessageBytes: Int64? = nil,
            subscription: SubscriptionOptions? = nil, partitions: Int32? = nil, cleanup: Cleanup? = nil
        ) {
            self.durability = durability
            self.retentionMilliseconds = retentionMilliseconds
            self.retentionBytes = retentionBytes
            self.maxMessageBytes = maxMessageBytes
            self.subscription = subscription
            self.partitions = partitions
            self.cleanup = cleanup
        }

        /// Whether it says what stands behind the rest, where the frame's flag says so.
        var isLong: Bool { partitions != nil || cleanup != nil }

        func write(to buffer: inout ByteBuffer) {
            buffer.append(optionalDurability: durability)
            buffer.append(subscription == nil ? 0 : 1)
            buffer.append(optional: retentionMilliseconds)
            buffer.append(optional: retentionBytes)
            buffer.append(optional: maxMessageBytes)
            subscription?.write(to: &buffer)
            guard isLong else { return }
            buffer.append(optional: partitions)
            buffer.append(cleanup?.rawValue ?? 0xFF)
        }

        @_lifetime(reader: copy reader)
        static func read(_ reader: inout ByteReader, isLong: Bool) throws(ByteError) -> TopicChange {
            let durability = try reader.optionalDurability()
            let hasSubscription = try reader.flag()
            var change = TopicChange(
                durability: durability, retentionMilliseconds: try reader.optionalInt64(), retentionBytes: try reader.optionalInt64(),
                maxMessageBytes: try reader.optionalInt64())
            if hasSubscription { change.subscription = try SubscriptionOptions.read(&reader) }
            guard isLong else { return change }
            change.partitions = try reader.optionalInt32()
            let cleanup = try reader.byte()
            if cleanup != 0xFF {
                change.cleanup = Cleanup(rawValue: cleanup)
                guard change.cleanup != nil else { throw .outOfRange }
            }
            // One form for each change.
            guard change.isLong else { throw .outOfRange }
            return change
        }
    }

    /// From an exchange to a topic, a queue or another exchange.
    package struct Binding: Equatable, Sendable {
        package enum Destination: Equatable, Sendable {
            case topic(String)
            case exchange(String)
        }

        package var exchange: String
        package var destination: Destination
        package var pattern: String
        package init(exchange: String, destination: Destination, pattern: String) {
            self.exchange = exchange
            self.destination = destination
            self.pattern = pattern
        }

        package func write(to buffer: inout ByteBuffer) {
            switch destination {
            case .topic(let name):
                buffer.append(0)
                buffer.append(text: exchange)
                buffer.append(text: name)
            case .exchange(let name):
                buffer.append(1)
                buffer.append(text: exchange)
                buffer.append(text: name)
            }
            buffer.append(text: pattern)
        }

        @_lifetime(reader: copy reader)
        package static func read(_ reader: inout ByteReader) throws(ByteError) -> Binding {
            let toExchange = try reader.flag()
            let exchange = try reader.text()
            let name = try reader.text()
            return Binding(exchange: exchange, destination: toExchange ? .exchange(name) : .topic(name), pattern: try reader.text())
        }
    }
}

extension ByteBuffer {
    mutating func append(optionalDurability durability: Frame.Durability?) { append(durability?.rawValue ?? 0xFF) }

    mutating func append(_ position: Frame.Position) {
        append(position.kind)
        appendZeros(3)
        append(little: position.value)
    }
}

extension ByteReader {
    @_lifetime(self: copy self)
    mutating func optionalDurability() throws(ByteError) -> Frame.Durability? {
        let value = try byte()
        if value == 0xFF { return nil }
        guard let durability = Frame.Durability(rawValue: value) else { throw .outOfRange }
        return durability
    }

    @_lifetime(self: copy self)
    mutating func position() throws(ByteError) -> Frame.Position {
        let kind = try byte()
        try reserved(3)
        return try Frame.Position(kind: kind, value: try little(Int64.self))
    }
}
