import Testing

@testable import Bytes

@Suite struct HashTests {
    /// RFC 3720, appendix B.4, and the check value of the catalogues.
    private static let published: [([UInt8], UInt32)] = [
        ([UInt8](repeating: 0, count: 32), 0x8a91_36aa), ([UInt8](repeating: 0xff, count: 32), 0x62a8_ab43), (Array(0..<32), 0x46dd_794e),
        (Array("123456789".utf8), 0xe306_9283),
    ]

    @Test(arguments: published)
    func crcsAreThoseOfTheStandard(_ bytes: [UInt8], _ expected: UInt32) {
        #expect(CRC32C.checksum(bytes.rawSpan) == expected)
        #expect(CRC32C.portableChecksum(bytes.rawSpan) == expected)
    }

    @Test func bothFormsAgreeAtEveryLength() {
        var state: UInt32 = 1
        let bytes = (0..<20_000).map { _ in
            state = state &* 1_664_525 &+ 1_013_904_223
            return UInt8(truncatingIfNeeded: state >> 24)
        }
        for length in Array(0..<1_100) + [4_095, 4_096, 12_287, 12_288, 12_289, 20_000] {
            let part = Array(bytes[..<length])
            let fast = CRC32C.checksum(part.rawSpan, continuing: 7)
            #expect(fast == CRC32C.portableChecksum(part.rawSpan, continuing: 7), "length \(length)")
        }
    }

    /// The values that Kafka's own tests of `Utils.murmur2` list.
    @Test(arguments: [
        ("21", -973_932_308), ("foobar", -790_332_482), ("a-little-bit-long-string", -985_981_536),
        ("a-little-bit-longer-string", -1_486_304_829), ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971), ("abc", 479_470_107),
    ])
    func keysLandWhereKafkaPutsThem(_ key: String, _ hash: Int32) {
        #expect(Int32(bitPattern: murmur2(Array(key.utf8).rawSpan)) == hash)
        #expect(partition(forKey: Array(key.utf8).rawSpan, among: 12) == (hash & 0x7fff_ffff) % 12)
    }
}
