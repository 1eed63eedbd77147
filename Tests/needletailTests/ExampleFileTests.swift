import Bytes
import ConfigFile
import LinuxSystem
import Testing

@testable import needletail

/// Goal: needletail.example.yaml and docs/configuration.md say what the types say: every key, its default, and one description.
@Suite struct ExampleFileTests {
    private struct Key: Equatable {
        var path: String
        var text: String
        var description: String
    }

    private func contents(_ name: String) throws -> [UInt8] {
        let folder = FileSystem.parent(of: FileSystem.parent(of: FileSystem.parent(of: #filePath)))
        let file = try File.open("\(folder)/\(name)")
        var buffer = ByteBuffer()
        while try file.read(upTo: 65_536, into: &buffer) > 0 {}
        try file.close()
        return [UInt8](buffer.bytes)
    }

    private func lines(_ name: String) throws -> [Substring] { String(decoding: try contents(name), as: UTF8.self).split(separator: "\n") }

    /// The keys of the example in its order, with the comment that stands directly above each.
    private func keys() throws -> [Key] {
        var keys: [Key] = []
        var comment = ""
        var parents: [(indent: Int, name: String)] = []
        for line in try lines("needletail.example.yaml") {
            var rest = line.drop { $0 == " " }
            if rest.hasPrefix("#") {
                comment = String(rest.dropFirst(2))
                continue
            }
            if rest.hasPrefix("- ") { rest = rest.dropFirst(2) }
            let colon = try #require(rest.firstIndex(of: ":"))
            let indent = line.distance(from: line.startIndex, to: rest.startIndex)
            parents.removeAll { $0.indent >= indent }
            let name = String(rest[..<colon])
            let text = String(rest[colon...].dropFirst().drop { $0 == " " })
            keys.append(Key(path: (parents.map(\.name) + [name]).joined(separator: "."), text: text, description: comment))
            if text.isEmpty { parents.append((indent, name == "listeners" ? name + "[]" : name)) }
            comment = ""
        }
        return keys
    }

    @Test func theExampleIsTheDefaults() throws {
        let document = ConfigDocument(try contents("needletail.example.yaml"), path: "example")
        let example = try ServerConfig(document).effective
        let defaults = try ServerConfig(ConfigDocument(), surroundings: ServerConfig.Surroundings(isRoot: true)).effective
        #expect(example.map(\.path).sorted() == defaults.map(\.path).sorted())
        #expect(example.map { "\($0.path) \($0.text)" }.sorted() == defaults.map { "\($0.path) \($0.text)" }.sorted())
        #expect(example.allSatisfy { $0.source != .builtIn }, "a key is missing from the example")
    }

    @Test func everyKeyOfTheExampleIsDescribed() throws {
        for key in try keys() { #expect(key.description.hasSuffix("."), "\(key.path)") }
    }

    @Test func theDocumentationListsTheSame() throws {
        let rows = try lines("docs/configuration.md").filter { $0.hasPrefix("| `") }
        let expected = try keys().map { "| `\($0.path)` | \($0.text.isEmpty ? "" : "`\($0.text)`") | \($0.description) |" }
        #expect(rows.map(String.init) == expected)
    }
}

/// Goal: docs/cli.md lists the commands and exit codes that there are.
@Suite struct CommandLinePageTests {
    @Test func thePageListsEveryCommandAndExitCode() throws {
        let folder = FileSystem.parent(of: FileSystem.parent(of: FileSystem.parent(of: #filePath)))
        let rows = try TextFile.read("\(folder)/docs/cli.md", most: 1 << 20).split(separator: "\n").filter { $0.hasPrefix("| ") }.map(String.init)
        let codes = ExitCode.table.map { "| \($0.code.rawValue) | \($0.meaning) |" }
        let commands = CommandList.needletail.commands.map { "| `needletail \($0.name)` | \($0.summary) |" }
        let expected = ["| code | meaning |", "| --- | --- |"] + codes + ["| command | what it does |", "| --- | --- |"] + commands
        #expect(rows == expected)
    }
}
