import Bytes
import Compression
@testable import NeedletailClient
import Testing

/// Batches that others have compressed, as Kafka's producers do, are messages like any.
@Suite struct CompressedBatchTests {
    /// Ten records with offsets from 40 on.
    private static func batch(base: Int64 = 40) -> [UInt8] {
        var builder = RecordBatchBuilder()
        for number in 0..<10 {
            builder.add(
                key: Array("key \(number)".utf8), payload: Array(String(repeating: "payload ", count: 50).utf8), headers: [Header("n", "\(number)")],
                timestamp: 1_000 + Int64(number))
        }
        var bytes = builder.seal(producer: nil, sequence: 0)
        put(base, at: 0, in: &bytes)
        return bytes
    }

    private static func put<T: FixedWidthInteger>(_ value: T, at offset: Int, in bytes: inout [UInt8]) {
        for index in 0..<MemoryLayout<T>.size { bytes[offset + index] = UInt8(truncatingIfNeeded: value >> T((MemoryLayout<T>.size - 1 - index) * 8)) }
    }

    /// The batch with `records` in place of its own, marked as compressed in way `kind`.
    private static func marked(_ batch: [UInt8], _ kind: UInt8, records: [UInt8]) -> [UInt8] {
        var bytes = Array(batch[..<61]) + records
        put(Int32(bytes.count - 12), at: 8, in: &bytes)
        put(Int16(kind), at: 21, in: &bytes)
        let checksum = CRC32C.checksum(bytes.rawSpan.extracting(21..<bytes.count))
        put(checksum, at: 17, in: &bytes)
        return bytes
    }

    private static func compressed(_ batch: [UInt8], _ codec: Codec) throws -> [UInt8] {
        var buffer = ByteBuffer()
        try codec.compress(batch.rawSpan.extracting(61..<batch.count), into: &buffer)
        return marked(batch, codec.rawValue, records: [UInt8](buffer.bytes))
    }

    private static func messages(_ bytes: [UInt8], first: Int64 = 40, last: Int64 = 49) throws -> [Message] {
        try RecordDecoding.messages(inBatches: bytes.rawSpan, partition: 0, first: first, last: last, attempt: 1)
    }

    @Test(arguments: Codec.allCases)
    func theyReadAsTheirOriginals(_ codec: Codec) throws {
        let plain = Self.batch()
        let bytes = try Self.compressed(plain, codec)
        #expect(bytes.count < plain.count)
        let expected = try Self.messages(plain)
        let read = try Self.messages(bytes + Self.batch(base: 50))
        #expect(read.map(\.offset) == expected.map(\.offset) && read.map(\.timestamp) == expected.map(\.timestamp))
        #expect(read.map(\.key) == expected.map(\.key) && read.map(\.payload) == expected.map(\.payload))
        #expect(try Self.messages(bytes, first: 43, last: 44).map(\.offset) == [43, 44])
    }

    /// A valid checksum over bytes that are no compression: whoever produced it may have done that on purpose.
    @Test func whatIsNotWhatItClaimsIsAnError() throws {
        let plain = Self.batch()
        for kind: UInt8 in 1...7 {
            for records in [[], [1, 2, 3], [UInt8](repeating: 0xff, count: 400), Array("no compression at all".utf8)] {
                #expect(throws: ClientError.self) { try Self.messages(Self.marked(plain, kind, records: records)) }
            }
        }
    }

    @Test(arguments: Codec.allCases)
    func damageInsideIsAnErrorOrAllTheRecords(_ codec: Codec) throws {
        let plain = Self.batch()
        let records = Array(try Self.compressed(plain, codec)[61...])
        for position in records.indices {
            var damaged = records
            damaged[position] ^= 0x10
            // Not every codec checks what it gives; it must only not trap.
            _ = try? Self.messages(Self.marked(plain, codec.rawValue, records: damaged))
        }
    }
}
