import Bytes
import LinuxSystem
import Testing

@testable import needletail

/// Goal: every entry that `tools/fuzz` runs has a corpus, and what was once found stays found. An entry that does not hold traps, and
/// the test process with it.
@Suite struct FuzzTests {
    private static let corpora = FileSystem.parent(of: FileSystem.parent(of: FileSystem.parent(of: #filePath))) + "/tools/fuzzer/corpora"

    @Test(arguments: FuzzEntry.all.map(\.name)) func anEntryTakesItsCorpus(_ name: String) throws {
        let entry = try #require(FuzzEntry.all.first { $0.name == name })
        let folder = FuzzTests.corpora + "/" + name
        let files = try FileSystem.list(folder).filter { !$0.isDirectory }
        #expect(!files.isEmpty)
        for file in files {
            let bytes = try TextFile.bytes(folder + "/" + file.name, most: 1 << 20)
            // Broken off and with one bit turned, as a fuzzer begins.
            var turned = bytes
            if !turned.isEmpty { turned[turned.count / 2] ^= 0x10 }
            for input in [bytes, Array(bytes.prefix(bytes.count * 2 / 3)), turned] {
                entry.run(input.rawSpan)
                entry.decoder?.run(input.rawSpan)
            }
        }
    }

    @Test func everyCorpusHasAnEntry() throws {
        let folders = try FileSystem.list(FuzzTests.corpora).map(\.name)
        #expect(folders.sorted() == FuzzEntry.all.map(\.name).sorted())
    }
}
