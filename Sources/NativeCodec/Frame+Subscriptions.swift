package import Bytes

/// Looking after subscriptions.
extension Frame {
    package struct Seek: FrameBody {
        package static let type = FrameType.seek
        package var position: Position
        package var topic: String
        package var subscription: String
        package init(topic: String, subscription: String, position: Position) {
            self.topic = topic
            self.subscription = subscription
            self.position = position
        }

        package func write(to buffer: inout ByteBuffer) {
            buffer.append(position)
            buffer.append(text: topic)
            buffer.append(text: subscription)
        }

        @_lifetime(reader: copy reader)
        package static func read(_ reader: inout ByteReader, flags: UInt8) throws(ByteError) -> Seek {
            let position = try reader.position()
            return Seek(topic: try reader.text(), subscription: try reader.text(), position: position)
        }
    }

    package struct DeleteSubscription: FrameBody {
        package static let type = FrameType.deleteSubscription
        package var topic: String
        package var name: String
        package init(topic: String, name: String) {
            self.topic = topic
            self.name = name
        }

        package func write(to buffer: inout ByteBuffer) {
            buffer.append(text: topic)
            buffer.append(text: name)
        }

        @_lifetime(reader: copy reader)
        package static func read(_ reader: inout ByteReader, flags: UInt8) throws(ByteError) -> DeleteSubscription {
            DeleteSubscription(topic: try reader.text(), name: try reader.text())
        }
    }

    package struct ListSubscriptions: NameFrameBody {
        package static let type = FrameType.listSubscriptions
        /// The topic.
        package var name: String
        package init(name: String) { self.name = name }
    }

    package struct Subscriptions: ListFrameBody {
        package static let type = FrameType.subscriptions
        package var hasMore: Bool
        package var elements: [SubscriptionDescription]
        package init(hasMore: Bool, elements: [SubscriptionDescription]) {
            self.hasMore = hasMore
            self.elements = elements
        }
    }

    package struct SubscriptionDescription: ListElement {
        package static let minSize = 17
        package var id: UInt32
        package var topic: String
        package var name: String
        package var mode: SubscriptionMode
        package var consumers: Int32
        package var cursors: [CursorDescription]
        package init(id: UInt32, topic: String, name: String, mode: SubscriptionMode, consumers: Int32, cursors: [CursorDescription]) {
            self.id = id
            self.topic = topic
            self.name = name
            self.mode = mode
            self.consumers = consumers
            self.cursors = cursors
        }

        package func write(to buffer: inout ByteBuffer) {
            buffer.append(little: id)
            buffer.append(little: consumers)
            buffer.append(mode.rawValue)
            buffer.append(text: topic)
            buffer.append(text: name)
            buffer.append(list: cursors)
        }

        @_lifetime(reader: copy reader)
        package static func read(_ reader: inout ByteReader) throws(ByteError) -> SubscriptionDescription {
            let id = try reader.little(UInt32.self)
            let consumers = try reader.little(Int32.self)
            let mode = try reader.choice(SubscriptionMode.self)
            return SubscriptionDescription(
                id: id, topic: try reader.text(), name: try reader.text(), mode: mode, consumers: consumers, cursors: try reader.list())
        }
    }

    package struct CursorDescription: ListElement {
        package static let minSize = 44
        package var partition: Int32
        package var floor: Int64
        package var next: Int64
        package var end: Int64
        package var inFlight: Int64
        package var redeliver: Int64
        package init(partition: Int32, floor: Int64, next: Int64, end: Int64, inFlight: Int64, redeliver: Int64) {
            self.partition = partition
            self.floor = floor
            self.next = next
            self.end = end
            self.inFlight = inFlight
            self.redeliver = redeliver
        }

        package func write(to buffer: inout ByteBuffer) {
            buffer.append(little: partition)
            buffer.append(little: floor)
            buffer.append(little: next)
            buffer.append(little: end)
            buffer.append(little: inFlight)
            buffer.append(little: redeliver)
        }

        @_lifetime(reader: copy reader)
        package static func read(_ reader: inout ByteReader) throws(ByteError) -> CursorDescription {
            CursorDescription(
                partition: try reader.little(), floor: try reader.little(), next: try reader.little(), end: try reader.little(),
                inFlight: try reader.little(), redeliver: try reader.little())
        }
    }
}
