package import Bytes

/// Builds one record batch at the end of a buffer: `init` leaves room for the header, `append` writes one record each, `finish`
/// fills the header in and computes the checksum. The buffer may hold other things before the batch, none behind it meanwhile.
///
/// Used by the log, which joins the single messages of a tick, and by clients.
package struct RecordBatchBuilder: Sendable {
    /// Where in the buffer the batch begins.
    package let start: Int
    package private(set) var count: Int32 = 0
    package let producerID: Int64
    package let producerEpoch: Int16
    package let baseSequence: Int32
    /// The broker's time stands for that of every record.
    package var isStamped = false
    private var baseTimestamp = Timestamp(milliseconds: 0)
    package private(set) var maxTimestamp = Timestamp(milliseconds: -1)

    package init(into buffer: inout ByteBuffer, producerID: Int64 = -1, producerEpoch: Int16 = -1, baseSequence: Int32 = -1) {
        start = buffer.count
        self.producerID = producerID
        self.producerEpoch = producerEpoch
        self.baseSequence = baseSequence
        buffer.appendZeros(RecordBatchHeader.byteCount)
    }

    /// An upper bound for what a record of these parts adds.
    package static func recordBound(key: Int, value: Int, headers: Int) -> Int { key &+ value &+ headers &+ 41 }

    /// Adds one record whose parts lie in `input`. The ranges must lie within it, and `headers` must hold `headerCount` headers in
    /// the record's own encoding; see `RecordHeaderReader.check`.
    package mutating func append(
        key: ByteRange?, value: ByteRange?, headers: ByteRange, headerCount: Int32, timestamp: Timestamp, input: RawSpan, into buffer: inout ByteBuffer
    ) {
        let valueLength = beginRecord(
            keyBytes: key?.count, valueBytes: value?.count, headerBytes: headers.count, headerCount: headerCount, timestamp: timestamp, &buffer)
        if let key { buffer.append(input.extracting(key.indices)) }
        buffer.append(varInt: valueLength)
        if let value { buffer.append(input.extracting(value.indices)) }
        buffer.append(varInt: Int64(headerCount))
        if headers.count > 0 { buffer.append(input.extracting(headers.indices)) }
        count &+= 1
    }

    /// Adds one record made of arrays; what clients use.
    package mutating func append(
        key: [UInt8]?, value: [UInt8]?, headers: [(name: String, value: [UInt8]?)] = [], timestamp: Timestamp, into buffer: inout ByteBuffer
    ) {
        var headerBytes = 0
        for header in headers {
            let name = header.name.utf8.count
            headerBytes &+= varIntSize(Int64(name)) &+ name &+ varIntSize(Int64(header.value?.count ?? -1)) &+ (header.value?.count ?? 0)
        }
        let valueLength = beginRecord(
            keyBytes: key?.count, valueBytes: value?.count, headerBytes: headerBytes, headerCount: Int32(headers.count), timestamp: timestamp, &buffer)
        if let key { buffer.append(key) }
        buffer.append(varInt: valueLength)
        if let value { buffer.append(value) }
        buffer.append(varInt: Int64(headers.count))
        for header in headers { RecordHeaderReader.encode(name: header.name, value: header.value, into: &buffer) }
        count &+= 1
    }

    /// Writes everything of a record up to its key length.
    private mutating func beginRecord(
        keyBytes: Int?, valueBytes: Int?, headerBytes: Int, headerCount: Int32, timestamp: Timestamp, _ buffer: inout ByteBuffer
    ) -> Int64 {
        if count == 0 { baseTimestamp = timestamp }
        if timestamp > maxTimestamp { maxTimestamp = timestamp }
        let delta = timestamp.rawValue &- baseTimestamp.rawValue
        let keyLength = Int64(keyBytes ?? -1)
        let valueLength = Int64(valueBytes ?? -1)
        let size =
            1 &+ varIntSize(delta) &+ varIntSize(Int64(count)) &+ varIntSize(keyLength) &+ (keyBytes ?? 0) &+ varIntSize(valueLength)
            &+ (valueBytes ?? 0) &+ varIntSize(Int64(headerCount)) &+ headerBytes
        buffer.reserve(size &+ 10)
        buffer.append(varInt: Int64(size))
        buffer.append(UInt8(0))
        buffer.append(varInt: delta)
        buffer.append(varInt: Int64(count))
        buffer.append(varInt: keyLength)
        return valueLength
    }

    /// Bytes of the batch so far, header included.
    package func byteCount(in buffer: borrowing ByteBuffer) -> Int { buffer.count &- start }

    /// Fills the header in. At least one record was added.
    @discardableResult
    package func finish(into buffer: inout ByteBuffer, baseOffset: Offset = .zero, leaderEpoch: Int32 = -1) -> RecordBatchHeader {
        precondition(count > 0)
        var header = RecordBatchHeader(
            baseOffset: baseOffset, batchLength: Int32(truncatingIfNeeded: buffer.count &- start &- RecordBatchHeader.lengthOverhead),
            leaderEpoch: leaderEpoch, lastOffsetDelta: count &- 1, baseTimestamp: baseTimestamp, maxTimestamp: maxTimestamp,
            producerID: producerID, producerEpoch: producerEpoch, baseSequence: baseSequence, recordCount: count)
        if isStamped { header.attributes |= RecordBatchHeader.stampedBit }
        header.patch(into: &buffer, at: start)
        header.crc = CRC32C.checksum(buffer.bytes.extracting(start &+ RecordBatchHeader.checkedStart..<buffer.count))
        buffer.patch(big: header.crc, at: start + 17)
        return header
    }
}

extension RecordBatchHeader {
    /// A header of a batch of our own making: uncompressed, creation times.
    init(
        baseOffset: Offset, batchLength: Int32, leaderEpoch: Int32, lastOffsetDelta: Int32, baseTimestamp: Timestamp, maxTimestamp: Timestamp,
        producerID: Int64, producerEpoch: Int16, baseSequence: Int32, recordCount: Int32
    ) {
        self.baseOffset = baseOffset
        self.batchLength = batchLength
        self.leaderEpoch = leaderEpoch
        magic = 2
        crc = 0
        attributes = 0
        self.lastOffsetDelta = lastOffsetDelta
        self.baseTimestamp = baseTimestamp
        self.maxTimestamp = maxTimestamp
        self.producerID = producerID
        self.producerEpoch = producerEpoch
        self.baseSequence = baseSequence
        self.recordCount = recordCount
    }
}
