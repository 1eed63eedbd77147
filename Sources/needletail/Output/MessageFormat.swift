import NeedletailClient
import Observability

/// How messages are printed.
struct MessageFormat: Sendable {
    enum Kind: String, CaseIterable, Sendable {
        /// The payload and a line feed; on a terminal without what could drive it.
        case text
        /// An object a line, with everything that is known.
        case json
        /// The payloads as they are, nothing between them.
        case raw
    }

    static let option = Option.value(
        "format", short: "f", "FORMAT", .choice(Kind.allCases.map(\.rawValue)), "How messages are printed.", fallback: "text, or json with --json")

    var kind: Kind
    var isForTerminal: Bool

    init(_ kind: Kind, isForTerminal: Bool) {
        self.kind = kind
        self.isForTerminal = isForTerminal
    }

    init(_ invocation: Invocation) {
        self.init(invocation.choice("format") ?? (invocation.has("json") ? .json : .text), isForTerminal: invocation.console.isTerminal)
    }

    func bytes(_ messages: [Message]) -> [UInt8] {
        var bytes: [UInt8] = []
        for message in messages { append(message, to: &bytes) }
        return bytes
    }

    private func append(_ message: Message, to bytes: inout [UInt8]) {
        switch kind {
        case .raw: bytes += message.payload
        case .text where isForTerminal:
            bytes += TerminalText.shown(message.payload).utf8
            bytes.append(UInt8(ascii: "\n"))
        case .text:
            bytes += message.payload
            bytes.append(UInt8(ascii: "\n"))
        case .json:
            bytes += MessageFormat.json(message).description.utf8
            bytes.append(UInt8(ascii: "\n"))
        }
    }

    private static func json(_ message: Message) -> JSON {
        var members: [(String, JSON)] = [
            ("partition", .integer(Int64(message.partition))), ("offset", .integer(message.offset)),
            ("time", .text(UTCTime(milliseconds: message.timestamp).description)), TerminalText.json("key", message.key),
            TerminalText.json("payload", message.isTombstone ? nil : message.payload),
        ]
        // A list, because a name may occur twice.
        let headers = message.headers.map { header in JSON.object([("name", .text(header.name)), TerminalText.json("value", header.value)]) }
        if !headers.isEmpty { members.append(("headers", .list(headers))) }
        if message.isRedelivery { members.append(("redelivered", true)) }
        if message.attempt > 1 { members.append(("attempt", .integer(Int64(message.attempt)))) }
        return .object(members)
    }
}
