import Bytes
import Compression
import Testing

struct CodecTests {
    private func compressed(_ bytes: [UInt8], _ codec: Codec) throws -> [UInt8] {
        var buffer = ByteBuffer()
        try codec.compress(bytes.rawSpan, into: &buffer)
        return [UInt8](buffer.bytes)
    }

    private func decompressed(_ bytes: [UInt8], _ codec: Codec, atMost limit: Int = 1 << 24) throws -> [UInt8] {
        var buffer = ByteBuffer()
        buffer.append([9])
        try codec.decompress(bytes.rawSpan, atMost: limit, into: &buffer)
        return [UInt8](buffer.bytes).dropFirst().map { $0 }
    }

    static let inputs: [[UInt8]] = [
        [], [7], Array("hello, hello, hello".utf8), [UInt8](repeating: 0, count: 1_000_000), (0..<200_000).map { UInt8(truncatingIfNeeded: $0 &* $0 >> 3) },
        (0..<70_000).map { UInt8(truncatingIfNeeded: ($0 &* 2_654_435_761) >> 13) },
    ]

    @Test(arguments: Codec.allCases)
    func whatGoesInComesOut(codec: Codec) throws {
        for input in Self.inputs { #expect(try decompressed(try compressed(input, codec), codec) == input, "\(codec) of \(input.count)") }
    }

    @Test(arguments: Codec.allCases)
    func aBombCostsItsLimitAtTheMost(codec: Codec) throws {
        let bomb = try compressed([UInt8](repeating: 0, count: 8 << 20), codec)
        #expect(throws: CompressionError.tooLarge(limit: 1 << 20)) { try decompressed(bomb, codec, atMost: 1 << 20) }
        #expect(try decompressed(bomb, codec, atMost: 8 << 20).count == 8 << 20)
        #expect(throws: CompressionError.tooLarge(limit: (8 << 20) - 1)) { try decompressed(bomb, codec, atMost: (8 << 20) - 1) }
    }

    @Test(arguments: Codec.allCases)
    func damageIsToldAndNeverTraps(codec: Codec) throws {
        var state: UInt64 = 88_172_645_463_325_252
        let good = try compressed(Self.inputs[2] + Self.inputs[4].prefix(3_000), codec)
        #expect(throws: CompressionError.self) { try decompressed(Array(good.prefix(good.count / 2)), codec) }
        for _ in 0..<2_000 {
            var bad = good
            for _ in 0..<3 {
                state ^= state << 13
                state ^= state >> 7
                state ^= state << 17
                bad[Int(state % UInt64(bad.count))] = UInt8(truncatingIfNeeded: state >> 32)
            }
            // Whatever comes out is within the limit; most of it is refused.
            if let output = try? decompressed(bad, codec, atMost: 1 << 16) { #expect(output.count <= 1 << 16) }
        }
    }

    /// What other libraries wrote: Python's gzip in two members, a raw snappy block, and zstd and lz4 frames of the tools.
    @Test func framesOfOthersAreRead() throws {
        let cases: [(Codec, [UInt8], String)] = [
            (.snappy, [0x0b, 0x28] + Array("hello snapp".utf8), "hello snapp"),
            (.lz4, [0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82, 0x05, 0x00, 0x00, 0x80] + Array("hello".utf8) + [0, 0, 0, 0], "hello"),
            (.zstd, [0x28, 0xb5, 0x2f, 0xfd, 0x20, 0x05, 0x29, 0x00, 0x00] + Array("hello".utf8), "hello"),
        ]
        for (codec, bytes, text) in cases { #expect(try decompressed(bytes, codec) == Array(text.utf8), "\(codec)") }
        let member = try compressed(Array("twice ".utf8), .gzip)
        #expect(try decompressed(member + member, .gzip) == Array("twice twice ".utf8))
    }

    /// The first frame of several says how long it is alone; here that it is empty. Room that grew from nothing grew for ever.
    @Test func framesBehindAnEmptyOneAreRead() throws {
        let empty = try compressed([], .zstd)
        let second = try compressed(Array("behind".utf8), .zstd)
        #expect(try decompressed(empty + second, .zstd) == Array("behind".utf8))
        // A frame that claims to be empty and is not.
        let lie: [UInt8] = [
            0x28, 0xb5, 0x2f, 0xfd, 0xc6, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x02, 0x78, 0x01, 0xd8, 0x61, 0x00, 0x04, 0x00, 0x28, 0x2a, 0x40, 0x02,
        ]
        #expect(throws: CompressionError.self) { _ = try decompressed(lie, .zstd) }
    }

    /// A few bytes that claim to become 200 MB are not given 200 MB to find out.
    @Test(
        arguments: [
            (Codec.snappy, [0x80, 0x84, 0xaf, 0x5f, 0x10] + Array("hello".utf8)),
            (Codec.zstd, [0x28, 0xb5, 0x2f, 0xfd, 0xa0, 0x00, 0xc2, 0xeb, 0x0b, 0x29, 0x00, 0x00] + Array("hello".utf8)),
        ] as [(Codec, [UInt8])])
    func aLieAboutTheLengthCostsLittle(codec: Codec, lie: [UInt8]) {
        var buffer = ByteBuffer()
        #expect(throws: CompressionError.damaged) { try codec.decompress(lie.rawSpan, atMost: 256 << 20, into: &buffer) }
        let (count, capacity) = (buffer.count, buffer.capacity)
        #expect(count == 0 && capacity < 64 << 10)
    }
}
