package import Bytes

/// Reading without a subscription.
extension Frame {
    package struct Fetch: FrameBody {
        package static let type = FrameType.fetch
        package var topic: UInt32
        package var partition: Int32
        package var from: Int64
        /// The first batch comes whole even when it is larger.
        package var maxBytes: Int32
        /// The answer waits for this much, at most `waitMilliseconds`.
        package var minBytes: Int32
        package var waitMilliseconds: UInt32
        package init(topic: UInt32, partition: Int32, from: Int64, maxBytes: Int32, minBytes: Int32, waitMilliseconds: UInt32) {
            self.topic = topic
            self.partition = partition
            self.from = from
            self.maxBytes = maxBytes
            self.minBytes = minBytes
            self.waitMilliseconds = waitMilliseconds
        }

        package func write(to buffer: inout ByteBuffer) {
            buffer.append(little: topic)
            buffer.append(little: partition)
            buffer.append(little: from)
            buffer.append(little: maxBytes)
            buffer.append(little: minBytes)
            buffer.append(little: waitMilliseconds)
        }

        @_lifetime(reader: copy reader)
        package static func read(_ reader: inout ByteReader, flags: UInt8) throws(ByteError) -> Fetch {
            Fetch(
                topic: try reader.little(), partition: try reader.natural(), from: try reader.natural(), maxBytes: try reader.natural(),
                minBytes: try reader.natural(), waitMilliseconds: try reader.little())
        }
    }

    /// The tail is whole record batches, or nothing.
    package struct Fetched: FrameBody {
        package static let type = FrameType.fetched
        package static let headSize = 40
        package var topic: UInt32
        package var partition: Int32
        package var start: Int64
        /// The end of what readers may see.
        package var visibleEnd: Int64
        package var batches: ByteRange
        package init(topic: UInt32, partition: Int32, start: Int64, visibleEnd: Int64, batches: ByteRange) {
            self.topic = topic
            self.partition = partition
            self.start = start
            self.visibleEnd = visibleEnd
            self.batches = batches
        }

        package var tailCount: Int { batches.count }

        /// Writes header and head; the tail is the caller's.
        package func encodeHead(to buffer: inout ByteBuffer, correlation: UInt64) { encode(to: &buffer, correlation: correlation) }

        package func write(to buffer: inout ByteBuffer) {
            buffer.append(little: topic)
            buffer.append(little: partition)
            buffer.append(little: start)
            buffer.append(little: visibleEnd)
        }

        @_lifetime(reader: copy reader)
        package static func read(_ reader: inout ByteReader, flags: UInt8) throws(ByteError) -> Fetched {
            Fetched(
                topic: try reader.little(), partition: try reader.little(), start: try reader.little(), visibleEnd: try reader.little(),
                batches: try reader.rest())
        }
    }

    package struct FindOffset: FrameBody {
        package static let type = FrameType.findOffset
        package var partition: Int32
        package var position: Position
        package var topic: String
        package init(topic: String, partition: Int32, position: Position) {
            self.topic = topic
            self.partition = partition
            self.position = position
        }

        package func write(to buffer: inout ByteBuffer) {
            buffer.append(little: partition)
            buffer.append(position)
            buffer.append(text: topic)
        }

        @_lifetime(reader: copy reader)
        package static func read(_ reader: inout ByteReader, flags: UInt8) throws(ByteError) -> FindOffset {
            let partition: Int32 = try reader.natural()
            let position = try reader.position()
            return FindOffset(topic: try reader.text(), partition: partition, position: position)
        }
    }

    package struct FoundOffset: FrameBody {
        package static let type = FrameType.offset
        package var offset: Int64
        /// Milliseconds since 1970; -1 when there is no record there.
        package var timestamp: Int64
        package init(offset: Int64, timestamp: Int64) {
            self.offset = offset
            self.timestamp = timestamp
        }

        package func write(to buffer: inout ByteBuffer) {
            buffer.append(little: offset)
            buffer.append(little: timestamp)
        }

        @_lifetime(reader: copy reader)
        package static func read(_ reader: inout ByteReader, flags: UInt8) throws(ByteError) -> FoundOffset {
            FoundOffset(offset: try reader.little(), timestamp: try reader.little())
        }
    }
}
