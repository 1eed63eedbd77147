package import Bytes
internal import CCompression

/// How a run of bytes is compressed; the numbers are those of record batches' attributes.
package enum Codec: UInt8, Sendable, CaseIterable {
    case gzip = 1
    case snappy = 2
    case lz4 = 3
    case zstd = 4

    package var name: String {
        switch self {
        case .gzip: "gzip"
        case .snappy: "snappy"
        case .lz4: "lz4"
        case .zstd: "zstd"
        }
    }

    /// Appends what `bytes` were before they were compressed. What is longer than `limit` is refused; the buffer is then as it was.
    package func decompress(_ bytes: RawSpan, atMost limit: Int, into buffer: inout ByteBuffer) throws(CompressionError) {
        // Safety: the C function only reads the bytes.
        let claim = unsafe bytes.withUnsafeBytes { unsafe needletail_decompressed_claim(Int32(rawValue), $0.baseAddress, $0.count) }
        guard claim <= Int64(limit) else { throw .tooLarge(limit: limit) }
        // A claim may be a lie: what it says is believed as far as most bytes are compressed, and beyond that when room runs out.
        var room = min(limit, claim >= 0 ? min(Int(claim), max(16 << 10, bytes.byteCount &* 64)) : max(16 << 10, bytes.byteCount &* 4))
        while true {
            let result = run(.decompress, bytes, room: room, into: &buffer)
            switch Int(result) {
            case 0...: return
            case Int(NEEDLETAIL_COMPRESSION_NO_ROOM):
                guard room < limit else { throw .tooLarge(limit: limit) }
                // Even that there is nothing may be a lie: room grows from something.
                room = min(limit, max(room &* 4, 16 << 10))
            case Int(NEEDLETAIL_COMPRESSION_NO_MEMORY): throw .outOfMemory
            default: throw .damaged
            }
        }
    }

    /// Appends `bytes` compressed.
    package func compress(_ bytes: RawSpan, into buffer: inout ByteBuffer) throws(CompressionError) {
        let room = needletail_compress_bound(Int32(rawValue), bytes.byteCount)
        guard run(.compress, bytes, room: room, into: &buffer) >= 0 else { throw .outOfMemory }
    }

    private enum Way { case compress, decompress }

    /// Bytes written to the end of the buffer, or a code.
    private func run(_ way: Way, _ bytes: RawSpan, room: Int, into buffer: inout ByteBuffer) -> Int64 {
        var result: Int64 = 0
        // Safety: the C function reads `count` bytes of the source, writes at most `room` to the target, and keeps neither.
        unsafe bytes.withUnsafeBytes { source in
            // An empty buffer has no memory to write to; a byte of room costs nothing.
            unsafe buffer.appendUninitialized(max(room, 1)) { target in
                result =
                    switch way {
                    case .compress: unsafe needletail_compress(Int32(rawValue), source.baseAddress, source.count, target.baseAddress, room)
                    case .decompress: unsafe needletail_decompress(Int32(rawValue), source.baseAddress, source.count, target.baseAddress, room)
                    }
                return max(0, Int(result))
            }
        }
        return result
    }
}

package enum CompressionError: Error, Equatable, Sendable {
    /// The bytes are not what the codec writes.
    case damaged
    /// They would become longer than allowed.
    case tooLarge(limit: Int)
    case outOfMemory
}
