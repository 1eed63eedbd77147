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
    /// Everything below was compacted once.
    package var cleaned: Offset
    /// Below it offsets may be missing.
    package var holesBelow: Offset
    /// Compaction is about to put one file in the place of some neighbouring ones, or has done so; see `resolveReplacement`.
    package var replacement: Replacement?

    package struct Replacement: Equatable, Sendable {
        /// The segments as they were, which `segments` still lists.
        package var old: [Offset]
        /// What replaces them, in the file of the first.
        package var new: SegmentRecord
    }

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
            segment.encode(into: &buffer)
        }
        producers.encode(into: &buffer)
        encodeCompaction(into: &buffer)
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
            let record = try SegmentRecord(from: &reader)
            guard record.base > segments.last?.base ?? Offset(-1) else { throw .outOfRange }
            segments.append(record)
        }
        producers = try ProducerState(decoding: &reader)
        cleaned = .zero
        holesBelow = .zero
        if reader.position < body { try readCompaction(&reader) }
        guard reader.position == body else { throw .outOfRange }
    }

    package init(
        isClean: Bool, incarnation: Int32, start: Offset, durable: Offset, durableSegment: Offset, durablePosition: Int64, end: Offset,
        segments: [SegmentRecord], producers: ProducerState, cleaned: Offset = .zero, holesBelow: Offset = .zero,
        replacement: Replacement? = nil
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
        self.cleaned = cleaned
        self.holesBelow = holesBelow
        self.replacement = replacement
    }
}
