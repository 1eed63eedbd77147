package import Bytes
internal import Mutants

/// The head of a stored batch: Kafka's record batch, magic 2, all numbers big-endian.
///
///      0 baseOffset 8 | 8 batchLength 4 | 12 partitionLeaderEpoch 4 | 16 magic 1 | 17 crc 4 | 21 attributes 2 |
///     23 lastOffsetDelta 4 | 27 baseTimestamp 8 | 35 maxTimestamp 8 | 43 producerId 8 | 51 producerEpoch 2 |
///     53 baseSequence 4 | 57 recordCount 4 | 61 records
///
/// `batchLength` counts from the leader epoch on; the CRC-32C covers everything from `attributes` on. So base offset and leader
/// epoch can be patched without touching the checksum; the leader epoch carries the log's incarnation.
package struct RecordBatchHeader: Equatable, Sendable {
    /// Bytes of the header.
    package static let byteCount = 61
    /// Bytes in front of what `batchLength` counts.
    package static let lengthOverhead = 12
    /// Bytes that a log patches: base offset, length, leader epoch.
    package static let patchedByteCount = 16
    /// Up to where a log patches when it stamps a batch with its own time: up to the producer's id.
    package static let stampedByteCount = 43
    /// The checksum covers the batch from here on.
    package static let checkedStart = 21
    /// The attribute that says that the broker stamped the batch.
    package static let stampedBit: Int16 = 0x8
    /// The least bytes an uncompressed record takes.
    package static let leastRecordByteCount = 7

    package var baseOffset: Offset
    package var batchLength: Int32
    package var leaderEpoch: Int32
    package var magic: UInt8
    package var crc: UInt32
    package var attributes: Int16
    package var lastOffsetDelta: Int32
    package var baseTimestamp: Timestamp
    package var maxTimestamp: Timestamp
    package var producerID: Int64
    package var producerEpoch: Int16
    package var baseSequence: Int32
    package var recordCount: Int32

    /// Reads the fields at `position` of `bytes` and judges none of them.
    package init(decoding bytes: RawSpan, at position: Int = 0) throws(ByteError) {
        var reader = ByteReader(bytes)
        try reader.seek(to: position)
        guard reader.remaining >= Self.byteCount else { throw .truncated }
        baseOffset = Offset(try reader.big(Int64.self))
        batchLength = try reader.big()
        leaderEpoch = try reader.big()
        magic = try reader.byte()
        crc = try reader.big()
        attributes = try reader.big()
        lastOffsetDelta = try reader.big()
        baseTimestamp = Timestamp(milliseconds: try reader.big())
        maxTimestamp = Timestamp(milliseconds: try reader.big())
        producerID = try reader.big()
        producerEpoch = try reader.big()
        baseSequence = try reader.big()
        recordCount = try reader.big()
    }

    /// Bytes of the whole batch; nonsense in gives nonsense out, never a trap.
    package var totalByteCount: Int { Int(batchLength) &+ Self.lengthOverhead }
    package var lastOffset: Offset { baseOffset + Int64(lastOffsetDelta) }
    package var nextOffset: Offset { baseOffset + (Int64(lastOffsetDelta) &+ 1) }
    package var compression: Int16 { attributes & 0x7 }
    package var isCompressed: Bool { compression != 0 }
    /// The broker's time stands for that of every record (timestamp type 1).
    package var isStamped: Bool { attributes & Self.stampedBit != 0 }
    package var isTransactional: Bool { attributes & 0x10 != 0 }
    package var isControl: Bool { attributes & 0x20 != 0 }

    /// When a record of this batch was made, or stored where the broker stamps them.
    package func timestamp(of record: Record) -> Timestamp {
        isStamped ? maxTimestamp : Timestamp(milliseconds: baseTimestamp.rawValue &+ record.timestampDelta)
    }

    /// What is wrong with the fields by themselves, without looking at the records; nil when nothing is. Whoever reads stored
    /// batches (recovery, inspection) relies on this before using a length or a count.
    package var structuralFault: BatchFault? {
        guard magic == 2 else { return .magic(magic) }
        guard batchLength >= Int32(Self.byteCount - Self.lengthOverhead) else { return .length(batchLength) }
        guard lastOffsetDelta >= 0 else { return .count }
        guard recordCount >= 0, Int64(recordCount) <= Int64(lastOffsetDelta) + 1 else { return .count }
        guard baseOffset.rawValue >= 0, baseOffset.rawValue <= Int64.max - Int64(Int32.max) - 1 else { return .offset }
        guard compression <= 4 else { return .compression(compression) }
        let records = totalByteCount &- Self.byteCount
        if !isCompressed, Int(recordCount) > records / Self.leastRecordByteCount { return .count }
        return nil
    }

    /// Gives the batch the broker's time for all its records, and writes the header's part from the magic up to `stampedByteCount`, with
    /// the checksum of the whole.
    mutating func stamp(with time: Timestamp, _ batch: RawSpan, into buffer: inout ByteBuffer) {
        attributes |= Self.stampedBit
        maxTimestamp = time
        buffer.append(magic)
        let place = buffer.count
        buffer.append(big: crc)
        let checked = buffer.count
        buffer.append(big: attributes)
        buffer.append(big: lastOffsetDelta)
        buffer.append(big: baseTimestamp.rawValue)
        buffer.append(big: maxTimestamp.rawValue)
        let front = CRC32C.checksum(buffer.bytes.extracting(checked..<buffer.count))
        crc = CRC32C.checksum(batch.extracting(Self.stampedByteCount..<batch.byteCount), continuing: front)
        buffer.patch(big: crc, at: place)
    }

    /// Writes the header; the checksum as it stands in `crc`.
    package func encode(into buffer: inout ByteBuffer) {
        buffer.append(big: baseOffset.rawValue)
        buffer.append(big: batchLength)
        buffer.append(big: leaderEpoch)
        buffer.append(magic)
        buffer.append(big: crc)
        buffer.append(big: attributes)
        buffer.append(big: lastOffsetDelta)
        buffer.append(big: baseTimestamp.rawValue)
        buffer.append(big: maxTimestamp.rawValue)
        buffer.append(big: producerID)
        buffer.append(big: producerEpoch)
        buffer.append(big: baseSequence)
        buffer.append(big: recordCount)
    }

    /// Writes the header over what stands at `start`.
    func patch(into buffer: inout ByteBuffer, at start: Int) {
        buffer.patch(big: baseOffset.rawValue, at: start)
        buffer.patch(big: batchLength, at: start &+ 8)
        buffer.patch(big: leaderEpoch, at: start &+ 12)
        buffer.patch(big: magic, at: start &+ 16)
        buffer.patch(big: crc, at: start &+ 17)
        buffer.patch(big: attributes, at: start &+ 21)
        buffer.patch(big: lastOffsetDelta, at: start &+ 23)
        buffer.patch(big: baseTimestamp.rawValue, at: start &+ 27)
        buffer.patch(big: maxTimestamp.rawValue, at: start &+ 35)
        buffer.patch(big: producerID, at: start &+ 43)
        buffer.patch(big: producerEpoch, at: start &+ 51)
        buffer.patch(big: baseSequence, at: start &+ 53)
        buffer.patch(big: recordCount, at: start &+ 57)
    }

    /// Whether the checksum of the whole batch at `position` holds. The length must have been checked to lie within `bytes`.
    package func checksumHolds(in bytes: RawSpan, at position: Int = 0) -> Bool {
        let end = position &+ totalByteCount
        guard position >= 0, totalByteCount >= Self.byteCount, end <= bytes.byteCount else { return false }
        return CRC32C.checksum(bytes.extracting(position &+ Self.checkedStart..<end)) == crc
    }
}

extension RecordBatchHeader {
    /// Checks one whole batch as a client sent it: exactly one batch, every length and count, the checksum, and that it is of a
    /// kind that is stored.
    package init(checking batch: RawSpan, limit: Int) throws(LogError) {
        guard batch.byteCount <= limit else { throw .tooLarge(bytes: batch.byteCount, limit: limit) }
        do { try self.init(decoding: batch) } catch { throw .corruptBatch("shorter than a batch header") }
        if magic == 0 || magic == 1 { throw .unsupportedBatch("message format \(magic)") }
        if let fault = structuralFault { throw .corruptBatch(fault.description) }
        guard totalByteCount == batch.byteCount else { throw .corruptBatch("length field says \(totalByteCount) bytes of \(batch.byteCount)") }
        if isControl { throw .unsupportedBatch("control batch") }
        if isTransactional { throw .unsupportedBatch("transactional batch") }
        guard producerID < 0 || (producerEpoch >= 0 && baseSequence >= 0) else { throw .corruptBatch("producer without epoch or sequence") }
        guard checksumHolds(in: batch) || Mutant.isActive("takesAnyChecksum") else { throw .corruptBatch("checksum") }
        // With the checksum right it is what the client meant: sending it again would not help.
        guard recordCount >= 1, lastOffsetDelta == recordCount &- 1 else { throw .invalidRecord("record count and offsets do not agree") }
    }
}

/// Which check a batch failed.
package enum BatchFault: Error, Equatable, Sendable, CustomStringConvertible {
    /// The bytes end before the batch does.
    case truncated
    case magic(UInt8)
    case length(Int32)
    case count
    case offset
    case compression(Int16)
    case checksum
    /// Well formed, but not the batch that follows here: another base offset than the next one, or an older incarnation.
    case sequence(expected: Offset, got: Offset)
    case incarnation(Int32)

    package var description: String {
        switch self {
        case .truncated: "truncated"
        case .magic(let magic): "magic \(magic)"
        case .length(let length): "length \(length)"
        case .count: "record count"
        case .offset: "base offset out of range"
        case .compression(let code): "unknown compression \(code)"
        case .checksum: "checksum"
        case .sequence(let expected, let got): "base offset \(got) where \(expected) follows"
        case .incarnation(let epoch): "incarnation \(epoch) of an older tail"
        }
    }
}
