internal import Bytes
internal import Compression

/// Reads any segment file, ours or Kafka's, front to back as plain values: what `needletail log dump` prints. It goes on behind a
/// batch whose checksum does not hold, and ends at the first place where no batch can be made out.
package struct SegmentInspector: ~Copyable {
    private var scanner: SegmentScanner
    private let storage: any LogStorage
    private let file: FileHandle
    private var isDone: Bool
    /// Where the batches end, once `next` answered nil, and why they end there; a nil reason is an orderly end.
    package private(set) var end: (position: Int, fault: BatchFault?)

    package init(path: String, storage: any LogStorage) throws(StorageError) {
        let opened = try storage.open(path, .read)
        let scanner = try Self.scanner(of: opened, storage)
        self.scanner = scanner
        self.storage = storage
        file = opened
        isDone = false
        end = (0, nil)
    }

    private static func scanner(of file: FileHandle, _ storage: any LogStorage) throws(StorageError) -> SegmentScanner {
        do { return try SegmentScanner(file, of: storage) } catch {
            try? storage.close(file)
            throw error
        }
    }

    deinit { try? storage.close(file) }

    package var fileBytes: Int { scanner.fileBytes }

    /// The next batch; nil at the end.
    package mutating func next() throws(StorageError) -> InspectedBatch? {
        guard !isDone else { return nil }
        switch try scanner.next() {
        case .batch(let position, let header):
            return inspect(header, at: position, isIntact: true)
        case .end(let position):
            end = (position, nil)
        case .bad(let position, let fault):
            if fault == .checksum, let header = scanner.passOver() { return inspect(header, at: position, isIntact: false) }
            end = (position, fault)
        }
        isDone = true
        return nil
    }

    private func inspect(_ header: RecordBatchHeader, at position: Int, isIntact: Bool) -> InspectedBatch {
        let bytes = scanner.copyBatch(position: position, count: header.totalByteCount) ?? []
        return InspectedBatch(position: position, header: header, isIntact: isIntact, bytes: bytes)
    }
}

package struct InspectedBatch: Sendable {
    package var position: Int
    package var header: RecordBatchHeader
    /// The checksum holds.
    package var isIntact: Bool
    /// The whole batch as stored.
    package var bytes: [UInt8]

    /// The records; nil when they are compressed in a way that is not known, or not what that way writes. `isComplete` is false when
    /// they cannot all be taken apart.
    package func records() -> (records: [InspectedRecord], isComplete: Bool)? {
        var buffer = ByteBuffer()
        guard let codec = BatchCodec.of(header), codec.expand(bytes.rawSpan, atMost: BatchFilter.decompressedBytesMax, into: &buffer) else { return nil }
        let plain = [UInt8](buffer.bytes)
        var found: [InspectedRecord] = []
        do throws(ByteError) {
            var reader = try RecordReader(plain.rawSpan, records: plain.indices)
            while let record = try reader.next() { found.append(try InspectedRecord(record, of: header, in: plain)) }
        } catch {
            return (found, false)
        }
        return (found, found.count == Int(header.recordCount))
    }
}

package struct InspectedRecord: Equatable, Sendable {
    package var offset: Offset
    package var timestamp: Timestamp
    package var key: [UInt8]?
    package var value: [UInt8]?
    package var headers: [Header]

    package struct Header: Equatable, Sendable {
        package var name: String
        package var value: [UInt8]?
    }

    package init(offset: Offset, timestamp: Timestamp, key: [UInt8]?, value: [UInt8]?, headers: [Header]) {
        self.offset = offset
        self.timestamp = timestamp
        self.key = key
        self.value = value
        self.headers = headers
    }

    init(_ record: Record, of header: RecordBatchHeader, in bytes: [UInt8]) throws(ByteError) {
        offset = header.baseOffset + Int64(record.offsetDelta)
        timestamp = header.timestamp(of: record)
        key = record.key.map { Array(bytes[$0.indices]) }
        value = record.value.map { Array(bytes[$0.indices]) }
        headers = []
        var reader = try RecordHeaderReader(bytes.rawSpan, headers: record.headers)
        while let (name, value) = try reader.next() {
            headers.append(Header(name: String(decoding: bytes[name.indices], as: UTF8.self), value: value.map { Array(bytes[$0.indices]) }))
        }
    }
}

extension RecordBatchHeader {
    /// How the records are compressed; nil when they are not.
    package var compressionName: String? { isCompressed ? Codec(rawValue: UInt8(compression))?.name ?? "compression \(compression)" : nil }
}
