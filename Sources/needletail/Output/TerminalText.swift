import Observability

/// Text of a message as a person may see it: on a terminal, what could move the cursor or change colours is made visible.
enum TerminalText {
    static func shown(_ bytes: [UInt8]) -> String { shown(String(decoding: bytes, as: UTF8.self)) }

    static func shown(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: { $0.isUnprintable && $0 != "\t" }) else { return text }
        var result = ""
        for scalar in text.unicodeScalars { result.unicodeScalars.append(scalar.isUnprintable && scalar != "\t" ? "\u{FFFD}" : scalar) }
        return result
    }

    /// RFC 4648, for payloads that are no text.
    static func base64(_ bytes: [UInt8]) -> String {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
        var text: [UInt8] = []
        text.reserveCapacity((bytes.count + 2) / 3 * 4)
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = bytes[start..<min(start + 3, bytes.count)]
            var bits = group.reduce(0) { $0 << 8 | Int($1) }
            bits <<= 8 * (3 - group.count)
            for place in 0..<4 {
                text.append(place <= group.count ? alphabet[bits >> (18 - 6 * place) & 63] : UInt8(ascii: "="))
            }
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// A member for bytes: text where they are text, else `NAME_base64`.
    static func json(_ name: String, _ bytes: [UInt8]?) -> (String, JSON) {
        guard let bytes else { return (name, .null) }
        guard let text = String(validating: bytes, as: UTF8.self) else { return (name + "_base64", .text(base64(bytes))) }
        return (name, .text(text))
    }
}
