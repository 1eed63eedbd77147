import Bytes
import LinuxSystem
import Testing

@testable import KafkaProtocol

/// The facts of `tools/kafka-codec/messages.facts` as a tree, read without the generator: what these tests know of a message they know
/// from here, not from the generated code.
struct MessageFacts: Sendable, CustomTestStringConvertible {
    var key: KafkaAPIKey
    var isRequest: Bool
    var versions: ClosedRange<Int16>
    var flexible: ClosedRange<Int16>?
    var fields: [Field] = []

    struct Field: Sendable {
        var name: String
        var type: String
        var isArray: Bool
        var versions: ClosedRange<Int16>
        var nullable: ClosedRange<Int16>?
        var tag: UInt64?
        var fields: [Field] = []

        var isStruct: Bool { type.first.map { $0.isUppercase } == true }
    }

    var testDescription: String { key.name + (isRequest ? "Request" : "Response") }

    func isFlexible(_ version: Int16) -> Bool { flexible?.contains(version) == true }

    func recode(_ input: [UInt8], version: Int16) throws(ByteError) -> [UInt8] {
        var buffer = ByteBuffer()
        if isRequest {
            try key.recode(request: input.rawSpan, version: version, to: &buffer)
        } else {
            try key.recode(response: input.rawSpan, version: version, to: &buffer)
        }
        return [UInt8](buffer.bytes)
    }

    /// All messages.
    static let all: [MessageFacts] = parse(linesOfCodecFile("messages.facts"))

    static func of(_ key: KafkaAPIKey, isRequest: Bool) -> MessageFacts {
        guard let found = all.first(where: { $0.key == key && $0.isRequest == isRequest }) else { fatalError("no facts of \(key)") }
        return found
    }

    private static func parse(_ lines: [String]) -> [MessageFacts] {
        var messages: [MessageFacts] = []
        var head: MessageFacts?
        for line in lines {
            let text = line.prefix { $0 != "#" }
            let words = text.split(separator: " ").map(String.init)
            guard let first = words.first else { continue }
            if first == "api", let number = Int16(words[1]), let key = KafkaAPIKey(rawValue: number) {
                let versions = range(words[3], upTo: .max)
                let flexible = words[5] == "none" ? nil : range(words[5], upTo: versions.upperBound)
                head = MessageFacts(key: key, isRequest: true, versions: versions, flexible: flexible)
            } else if first == "request" || first == "response", var message = head {
                message.isRequest = first == "request"
                messages.append(message)
            } else if !messages.isEmpty {
                let depth = text.prefix { $0 == " " }.count / 2
                messages[messages.count - 1].add(words, depth: depth)
            }
        }
        return messages
    }

    private mutating func add(_ words: [String], depth: Int) { MessageFacts.add(words, depth: depth, to: &fields, inside: versions) }

    private static func add(_ words: [String], depth: Int, to fields: inout [Field], inside: ClosedRange<Int16>) {
        guard depth == 1 else { return add(words, depth: depth - 1, to: &fields[fields.count - 1].fields, inside: fields[fields.count - 1].versions) }
        let bare = words[1].filter { $0 != "[" && $0 != "]" }
        var made = Field(name: words[0], type: bare, isArray: words[1].hasPrefix("["), versions: inside)
        var at = 2
        func versions(upTo last: Int16) -> ClosedRange<Int16>? {
            guard at < words.count, words[at].first?.isNumber == true else { return nil }
            at += 1
            return range(words[at - 1], upTo: last)
        }
        if let own = versions(upTo: inside.upperBound) { made.versions = own }
        if at < words.count, words[at] == "nullable" {
            at += 1
            made.nullable = versions(upTo: made.versions.upperBound) ?? made.versions
        }
        if at < words.count, words[at] == "tag" { made.tag = UInt64(words[at + 1]) }
        fields.append(made)
    }

    /// `3+`, `0-4` or `2`.
    private static func range(_ text: String, upTo last: Int16) -> ClosedRange<Int16> {
        let parts = text.split { $0 == "-" || $0 == "+" }.compactMap { Int16($0) }
        if text.hasSuffix("+") { return parts[0]...max(parts[0], last) }
        return parts[0]...min(parts[parts.count - 1], last)
    }
}

/// The lines of a file in tools/kafka-codec.
func linesOfCodecFile(_ name: String) -> [String] {
    let path = "/" + #filePath.split(separator: "/").dropLast(3).joined(separator: "/") + "/tools/kafka-codec/" + name
    var buffer = ByteBuffer()
    guard let file = try? File.open(path), (try? file.read(upTo: 1 << 20, into: &buffer)) != nil, (try? file.close()) != nil else {
        fatalError("cannot read \(path)")
    }
    return String(decodingBytes: buffer.bytes).split(separator: "\n").map(String.init)
}

/// The bytes that a line of hexadecimal digits names.
func bytes(hex: String) -> [UInt8] {
    let digits = hex.compactMap(\.hexDigitValue)
    return stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0] * 16 + digits[$0 + 1]) }
}
