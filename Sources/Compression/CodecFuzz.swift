internal import Bytes

/// The fuzz entry of the codecs: the first byte chooses one, and whether the rest is decompressed, or compressed and decompressed again.
/// What comes out is never longer than was allowed, and nothing is left behind by what is refused.
package func fuzzCodecs(_ bytes: RawSpan) {
    guard bytes.byteCount > 0 else { return }
    var reader = ByteReader(bytes)
    guard let choice = try? reader.byte(), let codec = Codec(rawValue: choice % 4 + 1) else { return }
    let rest = bytes.extracting(droppingFirst: 1)
    var output = ByteBuffer()
    output.append(7 as UInt8)
    guard choice & 0x80 == 0 else {
        var compressed = ByteBuffer()
        do throws(CompressionError) {
            try codec.compress(rest, into: &compressed)
            try codec.decompress(compressed.bytes, atMost: rest.byteCount, into: &output)
        } catch { preconditionFailure("\(codec.name) does not read what it wrote: \(error)") }
        precondition([UInt8](output.bytes.extracting(droppingFirst: 1)) == [UInt8](rest), "\(codec.name) reads something else than it wrote")
        return
    }
    let limit = [0, 100, 4_096, 1 << 16][Int(choice >> 2) % 4]
    do throws(CompressionError) {
        try codec.decompress(rest, atMost: limit, into: &output)
        precondition(output.count <= limit + 1, "more than was allowed")
    } catch { precondition(output.count == 1, "what was refused left something behind") }
}
