package import Bytes

extension Frame {
    /// Flags of PUBLISH and PUBLISH_BATCH.
    private static let toExchange: UInt8 = 1
    private static let unanswered: UInt8 = 2

    /// One message. The tail is routing key, key, headers, payload, in this order.
    package struct Publish: FrameBody {
        package static let type = FrameType.publish
        package static let knownFlags: UInt8 = toExchange | unanswered
        /// Bytes from the start of the frame to the routing key.
        package static let headSize = 64

        package var target: Target
        package var key: ByteRange?
        /// In the record's own encoding: per header varint key length, key, varint value length (-1 null), value.
        package var headers: ByteRange
        package var headerCount: UInt16
        package var payload: ByteRange?
        /// nil: the broker's time.
        package var timestamp: Int64?
        package var producer: ProducerSequence?
        package var durability: Durability
        package var wantsAnswer: Bool

        package init(
            target: Target, key: ByteRange?, headers: ByteRange, headerCount: UInt16, payload: ByteRange?, timestamp: Int64?,
            producer: ProducerSequence?, durability: Durability, wantsAnswer: Bool
        ) {
            self.target = target
            self.key = key
            self.headers = headers
            self.headerCount = headerCount
            self.payload = payload
            self.timestamp = timestamp
            self.producer = producer
            self.durability = durability
            self.wantsAnswer = wantsAnswer
        }

        package var flags: UInt8 { publishFlags(target, wantsAnswer) }
        package var tailCount: Int { target.routingKeyCount &+ (key?.count ?? 0) &+ headers.count &+ (payload?.count ?? 0) }

        /// Writes header and head; the tail is the caller's. Only the counts of the ranges are used.
        package func encodeHead(to buffer: inout ByteBuffer, correlation: UInt64) { encode(to: &buffer, correlation: correlation) }

        package func write(to buffer: inout ByteBuffer) {
            target.write(to: &buffer, durability)
            buffer.append(little: Int32(truncatingIfNeeded: key?.count ?? -1))
            buffer.append(little: UInt32(truncatingIfNeeded: headers.count))
            buffer.append(little: Int32(truncatingIfNeeded: payload?.count ?? -1))
            buffer.append(little: headerCount)
            buffer.append(little: producer?.epoch ?? -1)
            buffer.append(little: producer?.sequence ?? -1)
            buffer.append(optional: timestamp)
            buffer.append(little: producer?.id ?? -1)
        }

        @_lifetime(reader: copy reader)
        package static func read(_ reader: inout ByteReader, flags: UInt8) throws(ByteError) -> Publish {
            let head = try TargetHead.read(&reader)
            let keyLength = try reader.nullableLength()
            let headersLength = Int(try reader.little(UInt32.self))
            let payloadLength = try reader.nullableLength()
            let headerCount = try reader.little(UInt16.self)
            let epoch = try reader.little(Int16.self)
            let sequence = try reader.little(Int32.self)
            let timestamp = try reader.optionalInt64()
            let id = try reader.little(Int64.self)

            let target = try head.target(flags: flags, routingKey: try reader.range(head.routingKeyLength))
            let key = keyLength < 0 ? nil : try reader.range(keyLength)
            let headers = try readHeaders(&reader, count: Int(headerCount), length: headersLength)
            let payload = payloadLength < 0 ? nil : try reader.range(payloadLength)
            var producer: ProducerSequence?
            if id >= 0 {
                guard epoch >= 0, sequence >= 0 else { throw .outOfRange }
                producer = ProducerSequence(id: id, epoch: epoch, sequence: sequence)
            } else {
                guard id == -1, epoch == -1, sequence == -1 else { throw .outOfRange }
            }
            return Publish(
                target: target, key: key, headers: headers, headerCount: headerCount, payload: payload, timestamp: timestamp,
                producer: producer, durability: head.durability, wantsAnswer: flags & unanswered == 0)
        }

        /// Walks the headers, so that what is stored is what its count says: they become part of a record as they are.
        @_lifetime(reader: copy reader)
        private static func readHeaders(_ reader: inout ByteReader, count: Int, length: Int) throws(ByteError) -> ByteRange {
            let start = reader.position
            guard length <= reader.remaining else { throw .truncated }
            for _ in 0..<count {
                let key = try reader.varCount()
                guard key >= 0 else { throw .outOfRange }
                _ = try reader.range(key)
                _ = try reader.range(max(0, try reader.varCount()))
            }
            guard reader.position &- start == length else { throw .outOfRange }
            return ByteRange(start: start, count: length)
        }
    }

    /// One whole Kafka record batch v2. The tail is routing key and batch.
    package struct PublishBatch: FrameBody {
        package static let type = FrameType.publishBatch
        package static let knownFlags: UInt8 = toExchange | unanswered
        /// Bytes from the start of the frame to the routing key.
        package static let headSize = 28

        package var target: Target
        package var batch: ByteRange
        package var durability: Durability
        package var wantsAnswer: Bool

        package init(target: Target, batch: ByteRange, durability: Durability, wantsAnswer: Bool) {
            self.target = target
            self.batch = batch
            self.durability = durability
            self.wantsAnswer = wantsAnswer
        }

        package var flags: UInt8 { publishFlags(target, wantsAnswer) }
        package var tailCount: Int { target.routingKeyCount &+ batch.count }

        /// Writes header and head; the tail is the caller's. Only the counts of the ranges are used.
        package func encodeHead(to buffer: inout ByteBuffer, correlation: UInt64) { encode(to: &buffer, correlation: correlation) }

        package func write(to buffer: inout ByteBuffer) { target.write(to: &buffer, durability) }

        @_lifetime(reader: copy reader)
        package static func read(_ reader: inout ByteReader, flags: UInt8) throws(ByteError) -> PublishBatch {
            let head = try TargetHead.read(&reader)
            let target = try head.target(flags: flags, routingKey: try reader.range(head.routingKeyLength))
            return PublishBatch(
                target: target, batch: try reader.rest(), durability: head.durability, wantsAnswer: flags & unanswered == 0)
        }
    }

    private static func publishFlags(_ target: Target, _ wantsAnswer: Bool) -> UInt8 {
        var flags: UInt8 = wantsAnswer ? 0 : unanswered
        if case .exchange = target { flags |= toExchange }
        return flags
    }

    /// The twelve bytes with which both kinds of publish begin.
    private struct TargetHead {
        var id: UInt32
        var partition: Int32
        var durability: Durability
        var routingKeyLength: Int

        @_lifetime(reader: copy reader)
        static func read(_ reader: inout ByteReader) throws(ByteError) -> TargetHead {
            let id = try reader.little(UInt32.self)
            let partition = try reader.little(Int32.self)
            let durability = try reader.choice(Durability.self)
            try reader.reserved(1)
            return TargetHead(id: id, partition: partition, durability: durability, routingKeyLength: Int(try reader.little(UInt16.self)))
        }

        func target(flags: UInt8, routingKey: ByteRange) throws(ByteError) -> Target {
            if flags & toExchange != 0 {
                guard partition == -1 else { throw .outOfRange }
                return .exchange(id, routingKey: routingKey)
            }
            guard partition >= -1, routingKey.count == 0 else { throw .outOfRange }
            return .topic(id, partition: partition)
        }
    }

    /// The answer to both kinds of publish. Through an exchange the numbers are those of the first log reached.
    package struct Published: FrameBody {
        package static let type = FrameType.published
        package var topic: UInt32
        package var partition: Int32
        package var baseOffset: Int64
        package var count: Int32
        /// How many logs took it: 0 when an exchange had no binding for it.
        package var logs: Int32
        package var reached: Durability
        /// It was stored before; nothing was appended again.
        package var isDuplicate: Bool

        package init(topic: UInt32, partition: Int32, baseOffset: Int64, count: Int32, logs: Int32, reached: Durability, isDuplicate: Bool) {
            self.topic = topic
            self.partition = partition
            self.baseOffset = baseOffset
            self.count = count
            self.logs = logs
            self.reached = reached
            self.isDuplicate = isDuplicate
        }

        package func encodeHead(to buffer: inout ByteBuffer, correlation: UInt64) { encode(to: &buffer, correlation: correlation) }

        package func write(to buffer: inout ByteBuffer) {
            buffer.append(little: topic)
            buffer.append(little: partition)
            buffer.append(little: baseOffset)
            buffer.append(little: count)
            buffer.append(little: logs)
            buffer.append(reached.rawValue)
            buffer.append(isDuplicate ? 1 : 0)
            buffer.appendZeros(2)
        }

        @_lifetime(reader: copy reader)
        package static func read(_ reader: inout ByteReader, flags: UInt8) throws(ByteError) -> Published {
            let published = Published(
                topic: try reader.little(), partition: try reader.little(), baseOffset: try reader.little(), count: try reader.little(),
                logs: try reader.little(), reached: try reader.choice(), isDuplicate: try reader.flag())
            try reader.reserved(2)
            return published
        }
    }

    /// Asks for a producer id, or for the next epoch of one that is known (-1, -1: a new one).
    package struct StartProducer: FrameBody {
        package static let type = FrameType.startProducer
        package var id: Int64
        package var epoch: Int16
        package init(id: Int64, epoch: Int16) {
            self.id = id
            self.epoch = epoch
        }

        package func write(to buffer: inout ByteBuffer) {
            buffer.append(little: id)
            buffer.append(little: epoch)
        }

        @_lifetime(reader: copy reader)
        package static func read(_ reader: inout ByteReader, flags: UInt8) throws(ByteError) -> StartProducer {
            StartProducer(id: try reader.little(), epoch: try reader.little())
        }
    }

    package struct Producer: FrameBody {
        package static let type = FrameType.producer
        package var id: Int64
        package var epoch: Int16
        package init(id: Int64, epoch: Int16) {
            self.id = id
            self.epoch = epoch
        }

        package func write(to buffer: inout ByteBuffer) {
            buffer.append(little: id)
            buffer.append(little: epoch)
        }

        @_lifetime(reader: copy reader)
        package static func read(_ reader: inout ByteReader, flags: UInt8) throws(ByteError) -> Producer {
            Producer(id: try reader.little(), epoch: try reader.little())
        }
    }
}

extension Frame.Target {
    func write(to buffer: inout ByteBuffer, _ durability: Frame.Durability) {
        switch self {
        case .topic(let id, let partition):
            buffer.append(little: id)
            buffer.append(little: partition)
        case .exchange(let id, _):
            buffer.append(little: id)
            buffer.append(little: Int32(-1))
        }
        buffer.append(durability.rawValue)
        buffer.append(0)
        buffer.append(little: UInt16(truncatingIfNeeded: routingKeyCount))
    }
}
