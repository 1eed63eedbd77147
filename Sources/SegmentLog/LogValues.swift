package import Bytes

/// One message as ranges of the input; headers in the record's own encoding (per header: varint key length, key, varint value
/// length or -1, value).
package struct MessageParts {
    package var key: ByteRange?
    package var payload: ByteRange?
    package var headers: ByteRange
    package var headerCount: Int32
    package var timestamp: Timestamp?
    package var producerID: Int64
    package var producerEpoch: Int16
    package var sequence: Int32
    package init(
        key: ByteRange?, payload: ByteRange?, headers: ByteRange = .empty, headerCount: Int32 = 0, timestamp: Timestamp? = nil, producerID: Int64 = -1,
        producerEpoch: Int16 = -1, sequence: Int32 = -1
    ) {
        self.key = key
        self.payload = payload
        self.headers = headers
        self.headerCount = headerCount
        self.timestamp = timestamp
        self.producerID = producerID
        self.producerEpoch = producerEpoch
        self.sequence = sequence
    }
}

package struct AppendResult: Equatable, Sendable {
    /// The first record's offset; -1 for a duplicate that was stored so long ago that its offset is forgotten.
    package var baseOffset: Offset
    package var count: Int32
    /// The batch was stored before (same producer, epoch and sequence); the offset is the one it has.
    package var isDuplicate: Bool
    package init(baseOffset: Offset, count: Int32, isDuplicate: Bool) {
        self.baseOffset = baseOffset
        self.count = count
        self.isDuplicate = isDuplicate
    }
}

package struct ReadResult {
    package var slice: LogSlice
    /// The base offset of the first batch.
    package var first: Offset
    /// Behind the last record of the last batch.
    package var next: Offset
    package init(slice: LogSlice, first: Offset, next: Offset) {
        self.slice = slice
        self.first = first
        self.next = next
    }
}

/// One stored batch: its decoded header, and where it lies.
package struct BatchView {
    package var header: RecordBatchHeader
    /// The whole batch, header included.
    package var slice: LogSlice

    package init(_ header: RecordBatchHeader, slice: LogSlice) {
        self.header = header
        self.slice = slice
    }

    package var baseOffset: Offset { header.baseOffset }
    package var lastOffset: Offset { header.lastOffset }
    package var baseTimestamp: Timestamp { header.baseTimestamp }
    package var recordCount: Int32 { header.recordCount }
    package var isCompressed: Bool { header.isCompressed }
    /// The records without the header, in the segment's memory.
    package var records: Range<Int> { slice.range.lowerBound &+ RecordBatchHeader.byteCount..<slice.range.upperBound }
    package func timestamp(of record: Record) -> Timestamp { header.timestamp(of: record) }
}

/// What opening a log found and did.
package struct RecoveryReport: Sendable {
    package var wasClean = true
    package var checkedBytes = 0
    /// Bytes of a torn tail that were cut.
    package var truncatedBytes = 0
    package var truncatedAt: Offset?
    /// Why the tail was cut there.
    package var truncatedReason: String?
    package var rebuiltIndexes = 0
    /// Of the batches that were checked; -1 when none was.
    package var newestIncarnation: Int32 = -1
    /// The checkpoint was there but could not be read.
    package var checkpointFault: String?
    package init() {}
}
