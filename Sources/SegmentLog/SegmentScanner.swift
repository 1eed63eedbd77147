internal import Bytes

/// Walks the batches of a segment file front to back through reads, never through a mapping, so that an error of the disk is a
/// result. It believes no length before it has checked it against the file.
package struct SegmentScanner: ~Copyable {
    package enum Item: Equatable {
        /// A batch whose fields are plausible and whose checksum holds, where that was asked for.
        case batch(position: Int, RecordBatchHeader)
        /// Nothing follows: the file ends here, or only zeros were found where a header would be.
        case end(position: Int)
        case bad(position: Int, BatchFault)
    }

    static let chunkBytes = 1 << 20
    /// A length beyond it is nonsense: no batch is larger than a message may be, and none larger than this is configured.
    static let batchBytesMax = 512 << 20

    private let stream: any FileStream
    package let fileBytes: Int
    private let checksChecksum: Bool
    private var buffer = ByteBuffer()
    /// Where in the file `buffer` begins.
    private var bufferStart: Int
    package private(set) var position: Int

    package init(_ file: FileHandle, of storage: any LogStorage, from position: Int = 0, checksChecksum: Bool = true) throws(StorageError) {
        self.init(
            try storage.stream(file, from: position), fileBytes: try storage.size(of: file), from: position, checksChecksum: checksChecksum)
    }

    /// - Parameter stream: the file's, whose reading may have begun already.
    init(_ stream: any FileStream, fileBytes: Int, from position: Int, checksChecksum: Bool = true) {
        self.stream = stream
        self.checksChecksum = checksChecksum
        self.fileBytes = fileBytes
        self.position = position
        bufferStart = position
    }

    package mutating func next() throws(StorageError) -> Item {
        let start = position
        let rest = fileBytes - start
        guard rest > 0 else { return .end(position: start) }
        guard try fill(min(rest, RecordBatchHeader.byteCount)) else { return .bad(position: start, .truncated) }
        let at = start - bufferStart
        if isZero(at, 16), isZero(at, min(rest, RecordBatchHeader.byteCount)) { return .end(position: start) }
        guard rest >= RecordBatchHeader.byteCount, let header = try? RecordBatchHeader(decoding: buffer.bytes, at: at) else {
            return .bad(position: start, .truncated)
        }
        if let fault = header.structuralFault { return .bad(position: start, fault) }
        let length = header.totalByteCount
        guard length <= rest, length <= Self.batchBytesMax else { return .bad(position: start, .truncated) }
        if checksChecksum {
            guard try fill(length) else { return .bad(position: start, .truncated) }
            guard header.checksumHolds(in: buffer.bytes, at: start - bufferStart) else { return .bad(position: start, .checksum) }
        }
        position = start + length
        return .batch(position: start, header)
    }

    /// The bytes of the batch that `next` just gave, where checksums are checked.
    package func copyBatch(position: Int, count: Int) -> [UInt8]? {
        let at = position - bufferStart
        guard at >= 0, count >= 0, at + count <= buffer.count else { return nil }
        return [UInt8](buffer.bytes.extracting(at..<at + count))
    }

    /// Passes over a batch whose checksum does not hold, which `next` refused; nil where something else is wrong. For inspection.
    package mutating func passOver() -> RecordBatchHeader? {
        let at = position - bufferStart
        guard let header = try? RecordBatchHeader(decoding: buffer.bytes, at: at), header.structuralFault == nil else { return nil }
        guard header.totalByteCount <= buffer.count - at else { return nil }
        position += header.totalByteCount
        return header
    }

    /// Whether a sound batch with offsets behind `offset` lies anywhere from `start` on. Looks at every byte: for what should never
    /// happen.
    package mutating func hasBatch(from start: Int, behind offset: Offset) throws(StorageError) -> Bool {
        position = start
        let end = try endOfContent()
        // A batch may end in zeros, so its end may lie behind that of the content.
        while position < end, position &+ RecordBatchHeader.byteCount <= fileBytes {
            guard try fill(RecordBatchHeader.byteCount) else { return false }
            let header = try? RecordBatchHeader(decoding: buffer.bytes, at: position - bufferStart)
            if let header, header.structuralFault == nil, header.baseOffset > offset, header.totalByteCount <= min(fileBytes - position, Self.batchBytesMax) {
                if try fill(header.totalByteCount), header.checksumHolds(in: buffer.bytes, at: position - bufferStart) { return true }
            }
            position &+= 1
        }
        return false
    }

    /// Where the last byte that is not zero ends, from `position` on; `position` when all are zero.
    package mutating func endOfContent() throws(StorageError) -> Int {
        var end = position
        var at = position
        while at < fileBytes {
            buffer.clear()
            bufferStart = at
            try stream.read(at: at, count: min(Self.chunkBytes, fileBytes - at), into: &buffer)
            guard buffer.count > 0 else { break }
            var last = buffer.count
            while last > 0, isZero(last - 1, 1) { last -= 1 }
            if last > 0 { end = at + last }
            at += buffer.count
        }
        return end
    }

    /// Reads until `count` bytes from `position` on are in the buffer; false when the file ends before.
    private mutating func fill(_ count: Int) throws(StorageError) -> Bool {
        var at = position - bufferStart
        if at >= 0, buffer.count - at >= count { return true }
        if at > buffer.count || at < 0 {
            buffer.clear()
            bufferStart = position
        } else {
            buffer.removeFirst(at)
            bufferStart += at
        }
        at = 0
        while buffer.count < count {
            let before = buffer.count
            let wanted = min(max(Self.chunkBytes, count) - before, fileBytes - bufferStart - before)
            if wanted <= 0 { return false }
            try stream.read(at: bufferStart + before, count: wanted, into: &buffer)
            if buffer.count == before { return false }
        }
        return true
    }

    private func isZero(_ start: Int, _ count: Int) -> Bool {
        let bytes = buffer.bytes
        var reader = ByteReader(bytes)
        do throws(ByteError) {
            try reader.seek(to: start)
            for _ in 0..<count where try reader.byte() != 0 { return false }
        } catch {}
        // What lies behind the buffer's end was judged by the caller's count.
        return true
    }
}
