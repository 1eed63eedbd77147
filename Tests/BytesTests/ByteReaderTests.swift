import Testing

@testable import Bytes

@Suite struct ByteReaderTests {
    @Test(arguments: [0, 1, -1, 63, 64, -64, -65, 300, Int64.max, Int64.min])
    func varIntsComeBackAsWritten(_ value: Int64) throws {
        var buffer = ByteBuffer()
        buffer.append(varInt: value)
        let size = buffer.count
        #expect(size == varIntSize(value))
        var reader = ByteReader(buffer.bytes)
        let read = try reader.varInt()
        let atEnd = reader.isAtEnd
        #expect(read == value)
        #expect(atEnd)
    }

    @Test func noReadGoesBehindTheEnd() {
        for length in 0...2 {
            let failure = failure(of: [UInt8](repeating: 0x80, count: length))
            #expect(failure == .truncated)
        }
    }

    @Test func overlongVarIntsAreRefused() {
        let failure = failure(of: [UInt8](repeating: 0x80, count: 10) + [1])
        #expect(failure == .overlong)
    }

    private func failure(of bytes: [UInt8]) -> ByteError? {
        var reader = ByteReader(bytes.rawSpan)
        do {
            _ = try reader.unsignedVarInt()
            return nil
        } catch {
            return error
        }
    }
}
