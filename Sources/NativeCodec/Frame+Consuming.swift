package import Bytes

extension Frame {
    package struct Subscribe: FrameBody {
        package static let type = FrameType.subscribe
        package static let knownFlags: UInt8 = 1
        /// Chosen by the client, unique on its connection.
        package var consumer: UInt32
        package var topic: String
        /// Empty: a subscription of this consumer alone, gone with it.
        package var name: String
        package var mode: SubscriptionMode
        package var start: Position
        package var form: DeliveryForm
        package var messageCredit: Int32
        package var byteCredit: Int64
        package var options: SubscriptionOptions
        /// Deliveries are settled by being sent; nothing is to be said about them.
        package var settlesItself: Bool

        package init(
            consumer: UInt32, topic: String, name: String, mode: SubscriptionMode, start: Position, form: DeliveryForm, messageCredit: Int32,
            byteCredit: Int64, options: SubscriptionOptions = SubscriptionOptions(), settlesItself: Bool = false
        ) {
            self.consumer = consumer
            self.topic = topic
            self.name = name
            self.mode = mode
            self.start = start
            self.form = form
            self.messageCredit = messageCredit
            self.byteCredit = byteCredit
            self.options = options
            self.settlesItself = settlesItself
        }

        package var flags: UInt8 { settlesItself ? 1 : 0 }

        package func write(to buffer: inout ByteBuffer) {
            buffer.append(little: consumer)
            buffer.append(mode.rawValue)
            buffer.append(form.rawValue)
            buffer.appendZeros(2)
            buffer.append(start)
            buffer.append(little: messageCredit)
            buffer.append(little: byteCredit)
            options.write(to: &buffer)
            buffer.append(text: topic)
            buffer.append(text: name)
        }

        @_lifetime(reader: copy reader)
        package static func read(_ reader: inout ByteReader, flags: UInt8) throws(ByteError) -> Subscribe {
            let consumer = try reader.little(UInt32.self)
            let mode = try reader.choice(SubscriptionMode.self)
            let form = try reader.choice(DeliveryForm.self)
            try reader.reserved(2)
            let start = try reader.position()
            let messageCredit: Int32 = try reader.natural()
            let byteCredit: Int64 = try reader.natural()
            let options = try SubscriptionOptions.read(&reader)
            return Subscribe(
                consumer: consumer, topic: try reader.text(), name: try reader.text(), mode: mode, start: start, form: form,
                messageCredit: messageCredit, byteCredit: byteCredit, options: options, settlesItself: flags & 1 != 0)
        }
    }

    package struct Subscribed: FrameBody {
        package static let type = FrameType.subscribed
        package var subscription: UInt32
        /// False: stands by until the consumers before it have gone.
        package var isActive: Bool
        package init(subscription: UInt32, isActive: Bool) {
            self.subscription = subscription
            self.isActive = isActive
        }

        package func write(to buffer: inout ByteBuffer) {
            buffer.append(little: subscription)
            buffer.append(isActive ? 1 : 0)
        }

        @_lifetime(reader: copy reader)
        package static func read(_ reader: inout ByteReader, flags: UInt8) throws(ByteError) -> Subscribed {
            Subscribed(subscription: try reader.little(), isActive: try reader.flag())
        }
    }

    package struct Unsubscribe: FrameBody {
        package static let type = FrameType.unsubscribe
        package var consumer: UInt32
        package init(consumer: UInt32) { self.consumer = consumer }

        package func write(to buffer: inout ByteBuffer) { buffer.append(little: consumer) }

        @_lifetime(reader: copy reader)
        package static func read(_ reader: inout ByteReader, flags: UInt8) throws(ByteError) -> Unsubscribe {
            Unsubscribe(consumer: try reader.little())
        }
    }

    /// Adds to what a consumer may still be sent. Never answered.
    package struct Credit: FrameBody {
        package static let type = FrameType.credit
        package var consumer: UInt32
        package var messages: Int32
        package var bytes: Int64
        package init(consumer: UInt32, messages: Int32, bytes: Int64) {
            self.consumer = consumer
            self.messages = messages
            self.bytes = bytes
        }

        package func write(to buffer: inout ByteBuffer) {
            buffer.append(little: consumer)
            buffer.append(little: messages)
            buffer.append(little: bytes)
        }

        @_lifetime(reader: copy reader)
        package static func read(_ reader: inout ByteReader, flags: UInt8) throws(ByteError) -> Credit {
            Credit(consumer: try reader.little(), messages: try reader.natural(), bytes: try reader.natural())
        }
    }

    /// What both kinds of delivery begin with.
    package struct DeliveryHead: Equatable, Sendable {
        package var consumer: UInt32
        package var topic: UInt32
        package var partition: Int32
        /// 1 at the first attempt.
        package var attempt: Int32
        /// What is handed over; the tail may show more.
        package var first: Int64
        package var last: Int64
        /// It was, or may have been, delivered before. A flag of the frame.
        package var isRedelivery: Bool
        package init(
            consumer: UInt32, topic: UInt32, partition: Int32, attempt: Int32, first: Int64, last: Int64, isRedelivery: Bool = false
        ) {
            self.consumer = consumer
            self.topic = topic
            self.partition = partition
            self.attempt = attempt
            self.first = first
            self.last = last
            self.isRedelivery = isRedelivery
        }

        static let knownFlags: UInt8 = 1
        var flags: UInt8 { isRedelivery ? 1 : 0 }

        func write(to buffer: inout ByteBuffer) {
            buffer.append(little: consumer)
            buffer.append(little: topic)
            buffer.append(little: partition)
            buffer.append(little: attempt)
            buffer.append(little: first)
            buffer.append(little: last)
        }

        @_lifetime(reader: copy reader)
        static func read(_ reader: inout ByteReader, flags: UInt8) throws(ByteError) -> DeliveryHead {
            DeliveryHead(
                consumer: try reader.little(), topic: try reader.little(), partition: try reader.little(), attempt: try reader.little(),
                first: try reader.little(), last: try reader.little(), isRedelivery: flags & 1 != 0)
        }
    }

    /// The tail is whole record batches.
    package struct DeliverBatches: FrameBody {
        package static let type = FrameType.deliverBatches
        package static let knownFlags = DeliveryHead.knownFlags
        package static let headSize = 48
        package var head: DeliveryHead
        package var batches: ByteRange
        package init(head: DeliveryHead, batches: ByteRange) {
            self.head = head
            self.batches = batches
        }

        package var flags: UInt8 { head.flags }
        package var tailCount: Int { batches.count }

        /// Writes header and head; the tail is the caller's.
        package func encodeHead(to buffer: inout ByteBuffer) { encode(to: &buffer) }

        package func write(to buffer: inout ByteBuffer) { head.write(to: &buffer) }

        @_lifetime(reader: copy reader)
        package static func read(_ reader: inout ByteReader, flags: UInt8) throws(ByteError) -> DeliverBatches {
            DeliverBatches(head: try DeliveryHead.read(&reader, flags: flags), batches: try reader.rest())
        }
    }

    /// The tail is records without their batch's header; their deltas count from `baseOffset` and `baseTimestamp`.
    package struct DeliverRecords: FrameBody {
        package static let type = FrameType.deliverRecords
        package static let knownFlags = DeliveryHead.knownFlags
        package static let headSize = 64
        package var head: DeliveryHead
        package var baseOffset: Int64
        package var baseTimestamp: Int64
        package var records: ByteRange
        package init(head: DeliveryHead, baseOffset: Int64, baseTimestamp: Int64, records: ByteRange) {
            self.head = head
            self.baseOffset = baseOffset
            self.baseTimestamp = baseTimestamp
            self.records = records
        }

        package var flags: UInt8 { head.flags }
        package var tailCount: Int { records.count }

        /// Writes header and head; the tail is the caller's.
        package func encodeHead(to buffer: inout ByteBuffer) { encode(to: &buffer) }

        package func write(to buffer: inout ByteBuffer) {
            head.write(to: &buffer)
            buffer.append(little: baseOffset)
            buffer.append(little: baseTimestamp)
        }

        @_lifetime(reader: copy reader)
        package static func read(_ reader: inout ByteReader, flags: UInt8) throws(ByteError) -> DeliverRecords {
            let head = try DeliveryHead.read(&reader, flags: flags)
            return DeliverRecords(
                head: head, baseOffset: try reader.little(), baseTimestamp: try reader.little(), records: try reader.rest())
        }
    }

    /// What became of deliveries. Answered only when `confirm` is set: once all of it is durable.
    package struct Settle: FrameBody {
        package static let type = FrameType.settle
        package static let knownFlags: UInt8 = 1
        /// Bytes of one range.
        package static let rangeSize = 24
        package static let maxRanges = 4096

        package struct Range: Equatable, Sendable {
            package var partition: Int32
            package var outcome: Outcome
            package var first: Int64
            package var last: Int64
            package init(partition: Int32, outcome: Outcome, first: Int64, last: Int64) {
                self.partition = partition
                self.outcome = outcome
                self.first = first
                self.last = last
            }
        }

        package var consumer: UInt32
        package var confirm: Bool
        package var ranges: [Range]
        package init(consumer: UInt32, confirm: Bool, ranges: [Range]) {
            self.consumer = consumer
            self.confirm = confirm
            self.ranges = ranges
        }

        package var flags: UInt8 { confirm ? 1 : 0 }

        package func write(to buffer: inout ByteBuffer) {
            buffer.append(little: consumer)
            buffer.append(listCount: ranges.count)
            for range in ranges {
                buffer.append(little: range.partition)
                buffer.append(range.outcome.rawValue)
                buffer.appendZeros(3)
                buffer.append(little: range.first)
                buffer.append(little: range.last)
            }
        }

        @_lifetime(reader: copy reader)
        package static func read(_ reader: inout ByteReader, flags: UInt8) throws(ByteError) -> Settle {
            let consumer = try reader.little(UInt32.self)
            let count = try reader.listCount(elementBytes: rangeSize)
            guard count > 0, count <= maxRanges else { throw .outOfRange }
            var ranges: [Range] = []
            ranges.reserveCapacity(count)
            for _ in 0..<count {
                let partition: Int32 = try reader.natural()
                let outcome = try reader.choice(Outcome.self)
                try reader.reserved(3)
                let first: Int64 = try reader.natural()
                let last: Int64 = try reader.natural()
                guard first <= last else { throw .outOfRange }
                ranges.append(Range(partition: partition, outcome: outcome, first: first, last: last))
            }
            return Settle(consumer: consumer, confirm: flags & 1 != 0, ranges: ranges)
        }
    }

    /// Gives leased deliveries `milliseconds` more, counted from when the server reads it.
    package struct ExtendLease: FrameBody {
        package static let type = FrameType.extendLease
        package var consumer: UInt32
        package var partition: Int32
        package var first: Int64
        package var last: Int64
        package var milliseconds: UInt32
        package init(consumer: UInt32, partition: Int32, first: Int64, last: Int64, milliseconds: UInt32) {
            self.consumer = consumer
            self.partition = partition
            self.first = first
            self.last = last
            self.milliseconds = milliseconds
        }

        package func write(to buffer: inout ByteBuffer) {
            buffer.append(little: consumer)
            buffer.append(little: partition)
            buffer.append(little: first)
            buffer.append(little: last)
            buffer.append(little: milliseconds)
        }

        @_lifetime(reader: copy reader)
        package static func read(_ reader: inout ByteReader, flags: UInt8) throws(ByteError) -> ExtendLease {
            let lease = ExtendLease(
                consumer: try reader.little(), partition: try reader.natural(), first: try reader.natural(), last: try reader.natural(),
                milliseconds: try reader.little())
            guard lease.first <= lease.last else { throw .outOfRange }
            return lease
        }
    }

    package struct ConsumerEvent: FrameBody {
        package static let type = FrameType.consumerEvent

        package enum Kind: UInt8, Sendable, CaseIterable {
            /// A stand-by consumer became the active one.
            case activated = 0
            /// The consumer was detached by the broker.
            case ended = 1
            /// A settle without `confirm` could not be carried out.
            case settleFailed = 2
        }

        package var consumer: UInt32
        package var kind: Kind
        /// Why; 0 where there is no why.
        package var code: ErrorCode
        package var text: String
        package init(consumer: UInt32, kind: Kind, code: ErrorCode, text: String) {
            self.consumer = consumer
            self.kind = kind
            self.code = code
            self.text = text
        }

        package func write(to buffer: inout ByteBuffer) {
            buffer.append(little: consumer)
            buffer.append(kind.rawValue)
            buffer.append(0)
            buffer.append(little: code.rawValue)
            buffer.append(text: text)
        }

        @_lifetime(reader: copy reader)
        package static func read(_ reader: inout ByteReader, flags: UInt8) throws(ByteError) -> ConsumerEvent {
            let consumer = try reader.little(UInt32.self)
            let kind = try reader.choice(Kind.self)
            try reader.reserved(1)
            return ConsumerEvent(consumer: consumer, kind: kind, code: ErrorCode(rawValue: try reader.little()), text: try reader.text())
        }
    }
}
