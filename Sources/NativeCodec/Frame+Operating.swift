package import Bytes

extension Frame {
    /// Drops what a queue (or a log up to `before`) holds. Answered with a COUNT.
    package struct Purge: FrameBody {
        package static let type = FrameType.purge
        package var topic: String
        /// nil: all.
        package var partition: Int32?
        package var before: Int64?
        package init(topic: String, partition: Int32?, before: Int64?) {
            self.topic = topic
            self.partition = partition
            self.before = before
        }

        package func write(to buffer: inout ByteBuffer) {
            buffer.append(optional: partition)
            buffer.append(optional: before)
            buffer.append(text: topic)
        }

        @_lifetime(reader: copy reader)
        package static func read(_ reader: inout ByteReader, flags: UInt8) throws(ByteError) -> Purge {
            let partition = try reader.optionalInt32()
            let before = try reader.optionalInt64()
            guard partition ?? 0 >= 0, before ?? 0 >= 0 else { throw .outOfRange }
            return Purge(topic: try reader.text(), partition: partition, before: before)
        }
    }

    /// Moves dead letters back to where they came from. Answered with a COUNT.
    package struct Redrive: FrameBody {
        package static let type = FrameType.redrive
        package var topic: String
        package var limit: Int64
        package init(topic: String, limit: Int64) {
            self.topic = topic
            self.limit = limit
        }

        package func write(to buffer: inout ByteBuffer) {
            buffer.append(little: limit)
            buffer.append(text: topic)
        }

        @_lifetime(reader: copy reader)
        package static func read(_ reader: inout ByteReader, flags: UInt8) throws(ByteError) -> Redrive {
            let limit: Int64 = try reader.natural()
            return Redrive(topic: try reader.text(), limit: limit)
        }
    }

    package struct Statistics: EmptyFrameBody {
        package static let type = FrameType.statistics
        package init() {}
    }

    /// Follows the next message that is appended to a topic. Answered with its FIGURES.
    package struct Trace: FrameBody {
        package static let type = FrameType.trace
        package var topic: String
        /// How long to wait for one.
        package var waitMilliseconds: UInt32
        package init(topic: String, waitMilliseconds: UInt32) {
            self.topic = topic
            self.waitMilliseconds = waitMilliseconds
        }

        package func write(to buffer: inout ByteBuffer) {
            buffer.append(little: waitMilliseconds)
            buffer.append(text: topic)
        }

        @_lifetime(reader: copy reader)
        package static func read(_ reader: inout ByteReader, flags: UInt8) throws(ByteError) -> Trace {
            let milliseconds: UInt32 = try reader.little()
            return Trace(topic: try reader.text(), waitMilliseconds: milliseconds)
        }
    }

    package struct Figures: ListFrameBody {
        package static let type = FrameType.figures
        package var hasMore: Bool
        package var elements: [Figure]
        package init(hasMore: Bool, elements: [Figure]) {
            self.hasMore = hasMore
            self.elements = elements
        }
    }

    /// One figure with its Prometheus-style name.
    package struct Figure: ListElement {
        package static let minSize = 10
        package var name: String
        package var value: Double
        package init(name: String, value: Double) {
            self.name = name
            self.value = value
        }

        package func write(to buffer: inout ByteBuffer) {
            buffer.append(little: value.bitPattern)
            buffer.append(text: name)
        }

        @_lifetime(reader: copy reader)
        package static func read(_ reader: inout ByteReader) throws(ByteError) -> Figure {
            let value = Double(bitPattern: try reader.little())
            return Figure(name: try reader.text(), value: value)
        }

        /// By bits, so that a not-a-number equals itself.
        package static func == (left: Figure, right: Figure) -> Bool {
            left.name == right.name && left.value.bitPattern == right.value.bitPattern
        }
    }
}
