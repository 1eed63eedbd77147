package import Bytes

/// What a log knows of itself, in one small file that is replaced as a whole: docs/formats/checkpoint.md.
///
/// Everything below `durable` was on the disk when this was written; recovery begins to scan there.
package struct Checkpoint {
    package static let magic: UInt64 = 0x3154_504b_434c_544e  // "NTLCKPT1", read as little-endian
    package static let version: UInt16 = 1
    package static let byteCountMax = 64 << 20

    package struct SegmentRecord: Equatable, Sendable {
        package var base: Offset
        package var length: Int64
        package var firstAppend: Timestamp
        package var lastAppend: Timestamp
        package var maxTimestamp: Timestamp
    }

    /// Nothing was appended after this was written: lengths and end are exact.
    package var isClean: Bool
    package var incarnation: Int32
    package var start: Offset
    package var durable: Offset
    /// Where `durable` lies: in the segment with this base, at this position.
    package var durableSegment: Offset
    package var durablePosition: Int64
    package var end: Offset
    package var segments: [SegmentRecord]
    package var producers: ProducerState

    func encoded() -> [UInt8] {
        var buffer = ByteBuffer()
        buffer.append(little: Self.magic)
        buffer.append(little: Self.version)
        buffer.append(little: UInt16(isClean ? 1 : 0))
        buffer.append(little: incarnation)
        buffer.append(little: start.rawValue)
        buffer.append(little: durable.rawValue)
        buffer.append(little: durableSegment.rawValue)
        buffer.append(little: durablePosition)
        buffer.append(little: end.rawValue)
        buffer.append(little: UInt32(truncatingIfNeeded: segments.count))
        for segment in segments {
            buffer.append(little: segment.base.rawValue)
            buffer.append(little: segment.length)
            buffer.append(little: segment.firstAppend.rawValue)
            buffer.append(little: segment.lastAppend.rawValue)
            buffer.append(little: segment.maxTimestamp.rawValue)
        }
        producers.encode(into: &buffer)
        let checksum = CRC32C.checksum(buffer.bytes)
        buffer.append(little: checksum)
        return [UInt8](buffer.bytes)
    }

    /// Takes a file's content apart; nothing is believed before the checksum holds.
    package init(decoding bytes: RawSpan) throws(ByteError) {
        var reader = ByteReader(bytes)
        guard bytes.byteCount >= 12 else { throw .truncated }
        guard try reader.little(UInt64.self) == Self.magic, try reader.little(UInt16.self) == Self.version else { throw .outOfRange }
        let body = bytes.byteCount - 4
        var tail = ByteReader(bytes)
        try tail.seek(to: body)
        guard try tail.little(UInt32.self) == CRC32C.checksum(bytes.extracting(0..<body)) else { throw .outOfRange }
        isClean = try reader.little(UInt16.self) & 1 != 0
        incarnation = try reader.little()
        start = Offset(try reader.little(Int64.self))
        durable = Offset(try reader.little(Int64.self))
        durableSegment = Offset(try reader.little(Int64.self))
        durablePosition = try reader.little()
        end = Offset(try reader.little(Int64.self))
        guard start.rawValue >= 0, start <= durable, durable <= end, durableSegment.rawValue >= 0, durableSegment <= durable else { throw .outOfRange }
        guard durablePosition >= 0, durablePosition <= Int64(Int32.max), end.rawValue < Int64.max - Int64(Int32.max) else { throw .outOfRange }
        let count = Int(try reader.little(UInt32.self))
        guard count <= reader.remaining / 40 else { throw .truncated }
        segments = []
        for _ in 0..<count {
            let record = SegmentRecord(
                base: Offset(try reader.little(Int64.self)), length: try reader.little(), firstAppend: Timestamp(milliseconds: try reader.little()),
                lastAppend: Timestamp(milliseconds: try reader.little()), maxTimestamp: Timestamp(milliseconds: try reader.little()))
            guard record.base > segments.last?.base ?? Offset(-1), record.length >= 0, record.length <= Int64(Int32.max) else { throw .outOfRange }
            segments.append(record)
        }
        producers = try ProducerState(decoding: &reader)
        guard reader.position == body else { throw .outOfRange }
    }

    package init(
        isClean: Bool, incarnation: Int32, start: Offset, durable: Offset, durableSegment: Offset, durablePosition: Int64, end: Offset,
        segments: [SegmentRecord], producers: ProducerState
    ) {
        self.isClean = isClean
        self.incarnation = incarnation
        self.start = start
        self.durable = durable
        self.durableSegment = durableSegment
        self.durablePosition = durablePosition
        self.end = end
        self.segments = segments
        self.producers = producers
    }
}
