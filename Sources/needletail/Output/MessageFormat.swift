import NeedletailClient
import Observability

/// How messages are printed.
struct MessageFormat: Sendable {
    enum Kind: String, CaseIterable, Sendable {
        /// The payload and the delimiter; on a terminal without what could drive it.
        case text
        /// An object a line, with everything that is known.
        case json
        /// The payload and the delimiter, byte for byte, wherever they go.
        case raw
    }

    static let option = Option.value(
        "format", short: "f", "FORMAT", .choice(Kind.allCases.map(\.rawValue)), "How messages are printed.", fallback: "text, or json with --json")

    static let delimiterOption = Option.value(
        "delimiter", "TEXT", .text, "What follows each text or raw message; \\n, \\t and \\0 are understood, nothing is possible.", fallback: "\\n")

    var kind: Kind
    var isForTerminal: Bool
    var delimiter: [UInt8]

    init(_ kind: Kind, isForTerminal: Bool, delimiter: String = "\n") {
        self.kind = kind
        self.isForTerminal = isForTerminal
        self.delimiter = Array(delimiter.utf8)
    }

    init(_ invocation: Invocation) {
        self.init(invocation.choice("format") ?? (invocation.has("json") ? .json : .text), isForTerminal: invocation.console.isTerminal)
        guard invocation.command.options.contains(where: { $0.name == "delimiter" }), let text = invocation.text("delimiter") else { return }
        delimiter = MessageFormat.unescaped(text)
    }

    /// With a shell's usual escapes carried out.
    static func unescaped(_ text: String) -> [UInt8] {
        var bytes: [UInt8] = []
        var isEscaped = false
        for byte in text.utf8 {
            switch (isEscaped, byte) {
            case (false, UInt8(ascii: "\\")):
                isEscaped = true
                continue
            case (true, UInt8(ascii: "n")): bytes.append(0x0a)
            case (true, UInt8(ascii: "t")): bytes.append(0x09)
            case (true, UInt8(ascii: "0")): bytes.append(0)
            case (true, _) where byte != UInt8(ascii: "\\"): bytes += [UInt8(ascii: "\\"), byte]
            default: bytes.append(byte)
            }
            isEscaped = false
        }
        return isEscaped ? bytes + [UInt8(ascii: "\\")] : bytes
    }

    func bytes(_ messages: [Message]) -> [UInt8] {
        var bytes: [UInt8] = []
        for message in messages { append(message, to: &bytes) }
        return bytes
    }

    private func append(_ message: Message, to bytes: inout [UInt8]) {
        switch kind {
        case .text where isForTerminal: bytes += Array(TerminalText.shown(message.payload).utf8) + delimiter
        case .text, .raw:
            bytes += message.payload
            bytes += delimiter
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
