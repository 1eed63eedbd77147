internal import Bytes
internal import Compression

/// Decides which records of a batch stay, and writes the batch anew where not all do.
///
/// A record stays when it is the newest of its key, as far as the map knows, or lies behind what the map covers. One without value (a
/// tombstone) stays until `deleteRetentionMilliseconds` after it was first compacted: that time stands in the batch as its base
/// timestamp, marked by an attribute, as Kafka has it (KIP-534). What cannot be taken apart stays as it is.
struct BatchFilter: ~Copyable {
    /// The base timestamp is the time at which tombstones may go.
    static let horizonBit: Int16 = 0x40
    /// Far more than a batch is when it comes; what claims more is left as it is.
    static let decompressedBytesMax = 256 << 20

    let map: KeyMap
    let through: Offset
    let now: Timestamp
    let deleteRetentionMilliseconds: Int64
    /// The last offset of each idempotent producer: its batch keeps its head, though nothing else of it may stay.
    let lastOffsets: [Int64: Offset]
    private var plain = ByteBuffer()
    private var body = ByteBuffer()
    private(set) var removed: Int64 = 0

    init(map: KeyMap, through: Offset, now: Timestamp, deleteRetentionMilliseconds: Int64, lastOffsets: [Int64: Offset]) {
        self.map = map
        self.through = through
        self.now = now
        self.deleteRetentionMilliseconds = deleteRetentionMilliseconds
        self.lastOffsets = lastOffsets
    }

    enum Verdict: Equatable {
        /// Stays as it is; nothing was written.
        case whole
        /// Was written to the buffer, with this header.
        case anew(RecordBatchHeader)
        case gone
    }

    mutating func filter(_ header: RecordBatchHeader, _ batch: RawSpan, into output: inout ByteBuffer) -> Verdict {
        // Out of the struct and back: spans of one are read while the other is written.
        var plain = ByteBuffer()
        var body = ByteBuffer()
        swap(&plain, &self.plain)
        swap(&body, &self.body)
        let verdict = filter(header, batch, &plain, &body, into: &output)
        swap(&plain, &self.plain)
        swap(&body, &self.body)
        return verdict
    }

    private mutating func filter(
        _ header: RecordBatchHeader, _ batch: RawSpan, _ plain: inout ByteBuffer, _ body: inout ByteBuffer, into output: inout ByteBuffer
    ) -> Verdict {
        if header.isControl || header.baseOffset > through { return .whole }
        let isLastOfProducer = header.producerID >= 0 && lastOffsets[header.producerID] == header.lastOffset
        if header.recordCount == 0 { return isLastOfProducer ? .whole : .gone }
        guard let codec = BatchCodec.of(header), codec.expand(batch, atMost: Self.decompressedBytesMax, into: &plain) else { return .whole }
        guard let judged = judge(header, plain.bytes) else { return .whole }
        removed &+= Int64(header.recordCount) &- Int64(judged.kept.count)
        let hasHorizon = header.attributes & Self.horizonBit != 0
        let setsHorizon = judged.hasTombstone && !hasHorizon
        if judged.kept.count == Int(header.recordCount), !setsHorizon { return .whole }
        if judged.kept.isEmpty {
            guard isLastOfProducer else { return .gone }
            return .anew(writeEmpty(header, into: &output))
        }
        var changed = header
        changed.recordCount = Int32(judged.kept.count)
        if !header.isStamped { changed.maxTimestamp = judged.latest }
        body.clear()
        if setsHorizon {
            let (horizon, overflow) = now.rawValue.addingReportingOverflow(max(0, deleteRetentionMilliseconds))
            changed.baseTimestamp = Timestamp(milliseconds: overflow ? .max : horizon)
            changed.attributes |= Self.horizonBit
            for record in judged.kept { Self.rebase(record, plain.bytes, from: header.baseTimestamp, to: changed.baseTimestamp, into: &body) }
        } else {
            for record in judged.kept { body.append(plain.bytes.extracting(record.range.indices)) }
        }
        let start = output.count
        output.appendZeros(RecordBatchHeader.byteCount)
        guard codec.reduce(body.bytes, into: &output) else {
            output.truncate(to: start)
            removed &-= Int64(header.recordCount) &- Int64(judged.kept.count)
            return .whole
        }
        finish(&changed, at: start, in: &output)
        return .anew(changed)
    }

    private struct Judged {
        var kept: [Record] = []
        var hasTombstone = false
        var latest = Timestamp(milliseconds: -1)
    }

    /// Which of the records in `bytes` stay; nil when they cannot be taken apart.
    private func judge(_ header: RecordBatchHeader, _ bytes: RawSpan) -> Judged? {
        let isPastHorizon = header.attributes & Self.horizonBit != 0 && now >= header.baseTimestamp
        var judged = Judged()
        var seen: Int32 = 0
        do throws(ByteError) {
            var reader = try RecordReader(bytes, records: 0..<bytes.byteCount)
            while let record = try reader.next() {
                seen &+= 1
                let offset = header.baseOffset + Int64(record.offsetDelta)
                if offset <= through {
                    // Without a key nothing can be said to be newer; such records were refused when they came.
                    guard let key = record.key else { continue }
                    if let newest = map.newest(bytes, key), newest > offset { continue }
                    if record.value == nil {
                        if isPastHorizon { continue }
                        judged.hasTombstone = true
                    }
                }
                judged.kept.append(record)
                judged.latest = max(judged.latest, header.timestamp(of: record))
            }
        } catch { return nil }
        return seen == header.recordCount ? judged : nil
    }

    /// Copies a record whose time counts from another base now.
    private static func rebase(_ record: Record, _ bytes: RawSpan, from: Timestamp, to: Timestamp, into body: inout ByteBuffer) {
        let delta = from.rawValue &+ record.timestampDelta &- to.rawValue
        // Length, one byte of attributes, the time, and then the rest as it is.
        var reader = ByteReader(bytes)
        do throws(ByteError) {
            try reader.seek(to: record.range.start)
            _ = try reader.varInt()
            let attributes = try reader.byte()
            _ = try reader.varInt()
            let rest = record.range.end &- reader.position
            body.append(varInt: Int64(1 &+ varIntSize(delta) &+ rest))
            body.append(attributes)
            body.append(varInt: delta)
            body.append(bytes.extracting(reader.position..<record.range.end))
        } catch { preconditionFailure("the record was read before") }
    }

    /// The head alone, for the sake of its producer's sequence.
    private func writeEmpty(_ header: RecordBatchHeader, into output: inout ByteBuffer) -> RecordBatchHeader {
        var empty = header
        empty.recordCount = 0
        empty.attributes &= ~(0x7 | Self.horizonBit)
        empty.baseTimestamp = header.maxTimestamp
        let start = output.count
        output.appendZeros(RecordBatchHeader.byteCount)
        finish(&empty, at: start, in: &output)
        return empty
    }

    /// Fills in the header of the batch that begins at `start` and ends with the buffer.
    private func finish(_ header: inout RecordBatchHeader, at start: Int, in output: inout ByteBuffer) {
        header.batchLength = Int32(truncatingIfNeeded: output.count &- start &- RecordBatchHeader.lengthOverhead)
        header.patch(into: &output, at: start)
        header.crc = CRC32C.checksum(output.bytes.extracting(start &+ RecordBatchHeader.checkedStart..<output.count))
        output.patch(big: header.crc, at: start &+ 17)
    }
}

/// How the records of a batch are stored.
enum BatchCodec {
    case plain
    case compressed(Codec)

    /// Puts the records of the batch into `buffer`; false when they cannot be had.
    func expand(_ batch: RawSpan, atMost limit: Int, into buffer: inout ByteBuffer) -> Bool {
        buffer.clear()
        let records = batch.extracting(RecordBatchHeader.byteCount..<batch.byteCount)
        switch self {
        case .plain:
            buffer.append(records)
            return true
        case .compressed(let codec):
            do throws(CompressionError) { try codec.decompress(records, atMost: limit, into: &buffer) } catch { return false }
            return true
        }
    }

    /// Appends records as the batch stores them.
    func reduce(_ records: RawSpan, into buffer: inout ByteBuffer) -> Bool {
        switch self {
        case .plain:
            buffer.append(records)
            return true
        case .compressed(let codec):
            do throws(CompressionError) { try codec.compress(records, into: &buffer) } catch { return false }
            return true
        }
    }
}

extension BatchCodec {
    /// nil for a codec that there is not.
    static func of(_ header: RecordBatchHeader) -> BatchCodec? {
        if header.compression == 0 { return .plain }
        return Codec(rawValue: UInt8(truncatingIfNeeded: header.compression)).map { .compressed($0) }
    }
}
