internal import Bytes
internal import Compression

/// A Kafka record batch (version 2) under construction: what the broker stores untouched.
///
///     base offset 8 · length 4 · leader epoch 4 · magic 1 · CRC 4 · attributes 2 · last delta 4 · base time 8 · max time 8
///     · producer id 8 · epoch 2 · base sequence 4 · record count 4 · records …                       (big-endian; CRC-32C from attributes on)
///
/// The header's room stands at the front from the beginning and is filled in by `seal`, so nothing is copied.
struct RecordBatchBuilder: Sendable {
    static let headerSize = 61
    private static let checkedFrom = 21

    private(set) var bytes = [UInt8](repeating: 0, count: headerSize)
    private(set) var count: Int32 = 0
    private var baseTimestamp: Int64 = 0
    private var lastTimestamp: Int64 = 0

    init() {}

    var isEmpty: Bool { count == 0 }

    /// An upper bound of what a record adds.
    static func size(key: [UInt8]?, payload: [UInt8]?, headers: [Header]) -> Int {
        headers.reduce(32 + (key?.count ?? 0) + (payload?.count ?? 0)) { $0 + $1.name.utf8.count + ($1.value?.count ?? 0) + 10 }
    }

    mutating func add(key: [UInt8]?, payload: [UInt8]?, headers: [Header], timestamp: Int64) {
        if count == 0 {
            baseTimestamp = timestamp
            lastTimestamp = timestamp
        }
        lastTimestamp = max(lastTimestamp, timestamp)
        let timestampDelta = timestamp &- baseTimestamp
        var size = 1 + varIntSize(timestampDelta) + varIntSize(Int64(count))
        size += RecordBatchBuilder.size(of: key) + RecordBatchBuilder.size(of: payload) + varIntSize(Int64(headers.count))
        for header in headers {
            let name = header.name.utf8.count
            size += varIntSize(Int64(name)) + name + RecordBatchBuilder.size(of: header.value)
        }
        RecordBatchBuilder.append(varInt: Int64(size), to: &bytes)
        bytes.append(0)
        RecordBatchBuilder.append(varInt: timestampDelta, to: &bytes)
        RecordBatchBuilder.append(varInt: Int64(count), to: &bytes)
        RecordBatchBuilder.append(key, to: &bytes)
        RecordBatchBuilder.append(payload, to: &bytes)
        RecordBatchBuilder.append(varInt: Int64(headers.count), to: &bytes)
        RecordBatchBuilder.append(headers, to: &bytes)
        count += 1
    }

    /// Completes the header and hands the batch over.
    consuming func seal(producer: ProducerIdentity?, sequence: Int32) -> [UInt8] {
        precondition(count > 0)
        put(Int32(bytes.count - 12), at: 8)
        put(Int32(-1), at: 12)
        bytes[16] = 2
        put(count - 1, at: 23)
        put(baseTimestamp, at: 27)
        put(lastTimestamp, at: 35)
        put(producer?.id ?? -1, at: 43)
        put(producer?.epoch ?? -1, at: 51)
        put(producer == nil ? -1 : sequence, at: 53)
        put(count, at: 57)
        put(CRC32C.checksum(bytes.rawSpan.extracting(RecordBatchBuilder.checkedFrom..<bytes.count)), at: 17)
        return bytes
    }

    private static func size(of bytes: [UInt8]?) -> Int {
        guard let bytes else { return 1 }
        return varIntSize(Int64(bytes.count)) + bytes.count
    }

    /// Headers as a record has them, without their count.
    static func append(_ headers: [Header], to bytes: inout [UInt8]) {
        for header in headers {
            append(varInt: Int64(header.name.utf8.count), to: &bytes)
            bytes.append(contentsOf: header.name.utf8)
            append(header.value, to: &bytes)
        }
    }

    private static func append(_ field: [UInt8]?, to bytes: inout [UInt8]) {
        guard let field else { return append(varInt: -1, to: &bytes) }
        append(varInt: Int64(field.count), to: &bytes)
        bytes.append(contentsOf: field)
    }

    private static func append(varInt value: Int64, to bytes: inout [UInt8]) {
        var rest = zigZag(value)
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }

    private mutating func put<T: FixedWidthInteger>(_ value: T, at offset: Int) {
        for index in 0..<MemoryLayout<T>.size {
            bytes[offset + index] = UInt8(truncatingIfNeeded: value >> T((MemoryLayout<T>.size - 1 - index) * 8))
        }
    }
}

/// Who publishes, so that the broker recognises a batch that it was sent twice.
struct ProducerIdentity: Equatable, Sendable {
    var id: Int64
    var epoch: Int16
}

/// Stored records made into messages. Whatever the bytes say, the answer is messages or an error.
enum RecordDecoding {
    /// What one batch may be decompressed to. Producers fill batches of a megabyte or so; what claims more is no batch of theirs.
    static let decompressedBytes = 256 << 20

    /// The records between `first` and `last` of whole batches.
    static func messages(inBatches bytes: RawSpan, partition: Int32, first: Int64, last: Int64, attempt: Int) throws(ClientError) -> [Message] {
        var messages: [Message] = []
        do {
            var reader = ByteReader(bytes)
            while !reader.isAtEnd {
                let base: Int64 = try reader.big()
                let length: Int32 = try reader.big()
                var batch = ByteReader(try reader.take(Int(length)))
                _ = try batch.take(4)
                guard try batch.byte() == 2 else { throw ByteError.outOfRange }
                let checksum: UInt32 = try batch.big()
                let at = reader.position - Int(length) + 9
                guard CRC32C.checksum(bytes.extracting(at..<reader.position)) == checksum else {
                    throw ClientError.damaged("the batch at offset \(base) of partition \(partition) fails its checksum")
                }
                let attributes: Int16 = try batch.big()
                _ = try batch.take(4)
                let baseTimestamp: Int64 = try batch.big()
                let maxTimestamp: Int64 = try batch.big()
                _ = try batch.take(14)
                let count: Int32 = try batch.big()
                // Control batches (transaction markers) carry nothing for applications.
                if attributes & 0x20 != 0 { continue }
                let records = RecordBase(offset: base, timestamp: baseTimestamp, appendTime: attributes & 0x08 != 0 ? maxTimestamp : nil)
                // Each record takes at least seven bytes, so a lying count ends at the end of the bytes.
                var read = 0
                if attributes & 7 == 0 {
                    read = try add(&batch, count: Int(count), records, partition, first, last, attempt, to: &messages)
                } else {
                    var buffer = ByteBuffer()
                    try decompress(try batch.take(batch.remaining), Int(attributes & 7), base, partition, into: &buffer)
                    var decompressed = ByteReader(buffer.bytes)
                    read = try add(&decompressed, count: Int(count), records, partition, first, last, attempt, to: &messages)
                }
                guard read == Int(count) else { throw ByteError.truncated }
            }
        } catch let error as ClientError {
            throw error
        } catch {
            throw .protocolViolation("a delivered batch of partition \(partition) is malformed (\(error))")
        }
        return messages
    }

    private static func decompress(
        _ bytes: RawSpan, _ kind: Int, _ base: Int64, _ partition: Int32, into buffer: inout ByteBuffer
    ) throws(ClientError) {
        let batch = "the batch at offset \(base) of partition \(partition)"
        guard let codec = Codec(rawValue: UInt8(kind)) else { throw .protocolViolation("\(batch) is compressed in way \(kind), which is not known") }
        do throws(CompressionError) {
            try codec.decompress(bytes, atMost: decompressedBytes, into: &buffer)
        } catch {
            switch error {
            case .damaged: throw .damaged("\(batch) is not what \(codec.name) writes")
            case .tooLarge(let limit): throw .damaged("\(batch) would decompress to more than \(limit) bytes")
            case .outOfMemory: throw .damaged("\(batch) could not be decompressed: out of memory")
            }
        }
    }

    /// The records between `first` and `last` of a run without batch header.
    static func messages(
        inRun bytes: RawSpan, base: RecordBase, partition: Int32, first: Int64, last: Int64, attempt: Int
    ) throws(ClientError) -> [Message] {
        var messages: [Message] = []
        do {
            var reader = ByteReader(bytes)
            _ = try add(&reader, count: .max, base, partition, first, last, attempt, to: &messages)
        } catch {
            throw .protocolViolation("delivered records of partition \(partition) are malformed (\(error))")
        }
        return messages
    }

    /// Answers how many records there were, up to `count`.
    private static func add(
        _ reader: inout ByteReader, count: Int, _ base: RecordBase, _ partition: Int32, _ first: Int64, _ last: Int64, _ attempt: Int,
        to messages: inout [Message]
    ) throws(ByteError) -> Int {
        var read = 0
        while read < count, !reader.isAtEnd {
            read += 1
            let length = try reader.varCount()
            guard length >= 0 else { throw .outOfRange }
            let end = reader.position + length
            _ = try reader.byte()
            let timestampDelta = try reader.varInt()
            let timestamp = base.appendTime ?? (base.timestamp &+ timestampDelta)
            let offset = base.offset &+ (try reader.varInt())
            guard offset >= first, offset <= last else {
                try reader.seek(to: end)
                continue
            }
            let key = try field(&reader)
            let payload = try field(&reader)
            let headers = try headers(&reader)
            guard reader.position == end else { throw .outOfRange }
            messages.append(
                Message(
                    partition: partition, offset: offset, timestamp: timestamp, key: key, payload: payload ?? [], isTombstone: payload == nil,
                    headers: headers, attempt: attempt))
        }
        return read
    }

    private static func field(_ reader: inout ByteReader) throws(ByteError) -> [UInt8]? {
        let count = try reader.varCount()
        return count < 0 ? nil : [UInt8](try reader.take(count))
    }

    private static func headers(_ reader: inout ByteReader) throws(ByteError) -> [Header] {
        let count = try reader.varCount()
        guard count > 0 else { return [] }
        var headers: [Header] = []
        for _ in 0..<count {
            let length = try reader.varCount()
            guard length >= 0 else { throw .outOfRange }
            let name = String(decodingBytes: try reader.take(length))
            headers.append(Header(name, try field(&reader)))
        }
        return headers
    }
}

/// What the deltas of a run of records count from.
struct RecordBase: Equatable, Sendable {
    var offset: Int64
    var timestamp: Int64
    /// Set where the broker's own time replaces that of the records.
    var appendTime: Int64?
}
