import Bytes
import Testing

@testable import LinuxSystem

/// Mappings whose file is cut: what a failing disk does, too.
@Suite struct MappedFileTests {
    private func file(_ bytes: Int) throws -> (File, String) {
        let path = "/tmp/needletail-mapped-\(SystemLimits.processID)-\(UInt32.random(in: 0 ... .max))"
        let file = try File.open(path, [.readWrite, .exclusive])
        let content = [UInt8](repeating: 7, count: bytes)
        try file.write(content.rawSpan)
        try FileSystem.remove(path)
        return (file, path)
    }

    private func byte(_ mapped: MappedFile, _ at: Int) -> UInt8 { unsafe mapped.base.load(fromByteOffset: at, as: UInt8.self) }

    @Test func aPageThatIsGoneReadsAsZerosAndIsTold() throws {
        let (file, _) = try file(64 << 10)
        let whole = try MappedFile(file.descriptor, length: 64 << 10)
        let other = try MappedFile(file.descriptor, length: 4_096)
        #expect(byte(whole, 40_000) == 7)
        try file.truncate(to: 8_192)
        #expect(!whole.hasFailed, "nobody has read it yet")
        #expect(byte(whole, 8_191) == 7 && !whole.hasFailed)
        #expect(byte(whole, 8_192) == 0)
        #expect(whole.hasFailed)
        #expect(byte(whole, 65_535) == 0, "and again")
        #expect(byte(whole, 0) == 7, "the rest stays readable")
        other.touch(0..<4_096)
        #expect(!other.hasFailed, "another mapping is not concerned")
        try file.close()
    }

    @Test func touchingFindsWhatWasNotRead() throws {
        let (file, _) = try file(32 << 10)
        let mapped = try MappedFile(file.descriptor, length: 32 << 10)
        mapped.touch(0..<mapped.count)
        #expect(!mapped.hasFailed)
        try file.truncate(to: 20_000)
        mapped.touch(0..<20_000)
        #expect(!mapped.hasFailed)
        mapped.touch(10..<30_000)
        #expect(mapped.hasFailed)
        try file.close()
    }

    @Test func aPlaceThatIsUsedAgainBeginsUnmarked() throws {
        let (file, _) = try file(8_192)
        for round in 0..<3 {
            let mappings = try (0..<1_500).map { _ in try MappedFile(file.descriptor, length: 8_192) }
            #expect(!mappings.contains { $0.hasFailed })
            try file.truncate(to: 0)
            for number in stride(from: round, to: 1_500, by: 7) { mappings[number].touch(0..<1) }
            for (number, mapped) in mappings.enumerated() { #expect(mapped.hasFailed == (number % 7 == round)) }
            try file.truncate(to: 8_192)
        }
        try file.close()
    }
}
