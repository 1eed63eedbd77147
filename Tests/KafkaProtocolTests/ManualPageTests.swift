import BrokerCore
import Bytes
@testable import KafkaProtocol
import LinuxSystem
import SegmentLog
import Testing
import Wire

/// Goal: docs/protocols/kafka.md lists what the tables of the code have: APIs with versions, settings with what becomes of them.
@Suite struct ManualPageTests {
    private func rows(below header: String) throws -> [String] {
        let folder = FileSystem.parent(of: FileSystem.parent(of: FileSystem.parent(of: #filePath)))
        let file = try File.open("\(folder)/docs/protocols/kafka.md")
        var buffer = ByteBuffer()
        while try file.read(upTo: 65_536, into: &buffer) > 0 {}
        try file.close()
        let lines = String(decodingBytes: buffer.bytes).split(separator: "\n", omittingEmptySubsequences: false)
        let start = try #require(lines.firstIndex { $0 == header })
        return lines[(start + 2)...].prefix { $0.hasPrefix("|") }.map(String.init)
    }

    @Test func thePageListsEveryAPIAndItsVersions() throws {
        let expected = KafkaAPI.all.sorted { $0.key.rawValue < $1.key.rawValue }.map { api in
            "| \(name(api.key)) | \(api.key.rawValue) | \(api.versions.lowerBound) to \(api.versions.upperBound) |"
        }
        let found = try rows(below: "| API | key | versions |")
        #expect(found == expected, "the page should have:\n\(expected.joined(separator: "\n"))")
    }

    /// `initProducerID` is Kafka's InitProducerId.
    private func name(_ key: KafkaAPIKey) -> String {
        let name = String(describing: key)
        let capitalized = name.prefix(1).uppercased() + name.dropFirst()
        return capitalized.hasSuffix("ID") ? capitalized.dropLast(2) + "Id" : capitalized
    }

    @Test func thePageListsEverySettingOfATopic() throws {
        let sorted = TopicConfigs.all.sorted { ($0.isFormer ? 1 : 0, $0.name) < ($1.isFormer ? 1 : 0, $1.name) }
        let expected = sorted.map { config in
            let treatment =
                switch config.treatment {
                case .honoured: config.isForCreation ? "honoured, at creation" : "honoured"
                case .kept(let reason): "shown. \(reason)"
                case .fixed(let reason): "only `\(config.standard(Log.Options()))`: \(reason)"
                }
            let standard = config.standard(Log.Options())
            return "| `\(config.name)` | \(type(config.kind)) | \(standard.isEmpty ? "" : "`\(standard)`") | \(treatment) | \(config.words) |"
        }
        let found = try rows(below: "| name | type | default | here | what it says |")
        #expect(found == expected, "the page should have:\n\(expected.joined(separator: "\n"))")
    }

    private func type(_ kind: ConfigKind) -> String {
        switch kind {
        case .flag: "boolean"
        case .int: "int"
        case .long: "long"
        case .ratio: "double"
        case .text: "string"
        case .list: "list"
        }
    }

    @Test func thePageListsEverySettingOfABroker() throws {
        let expected = BrokerConfigs.all.map { "| `\($0.name)` | \($0.words) |" }
        let found = try rows(below: "| name | what it says |")
        #expect(found == expected, "the page should have:\n\(expected.joined(separator: "\n"))")
    }

    @Test func everySettingIsDescribed() {
        for config in TopicConfigs.all { #expect(config.words.hasSuffix("."), "\(config.name)") }
        for config in BrokerConfigs.all { #expect(config.words.hasSuffix("."), "\(config.name)") }
    }
}
