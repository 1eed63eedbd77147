/// A value to be written as JSON (RFC 8259). Members keep their order. There is no reader: nothing here takes JSON in.
package enum JSON: Sendable, CustomStringConvertible, ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral {
    case null
    case flag(Bool)
    case integer(Int64)
    case real(Double)
    case text(String)
    case list([JSON])
    case object([(String, JSON)])

    package init(stringLiteral value: String) { self = .text(value) }
    package init(integerLiteral value: Int64) { self = .integer(value) }
    package init(booleanLiteral value: Bool) { self = .flag(value) }

    /// Text where there is one, else null.
    package static func optional(_ text: String?) -> JSON { text.map(JSON.text) ?? .null }
    package static func optional(_ number: Int64?) -> JSON { number.map(JSON.integer) ?? .null }

    /// On one line.
    package var description: String {
        var text = ""
        write(to: &text)
        return text
    }

    package func write(to text: inout String) {
        switch self {
        case .null: text += "null"
        case .flag(let value): text += value ? "true" : "false"
        case .integer(let value): text += String(value)
        case .real(let value): text += JSON.number(value)
        case .text(let value): JSON.write(value, to: &text)
        case .list(let values):
            text += "["
            for (index, value) in values.enumerated() {
                if index > 0 { text += "," }
                value.write(to: &text)
            }
            text += "]"
        case .object(let members):
            text += "{"
            for (index, (name, value)) in members.enumerated() {
                if index > 0 { text += "," }
                JSON.write(name, to: &text)
                text += ":"
                value.write(to: &text)
            }
            text += "}"
        }
    }

    /// JSON has no infinities; whole numbers are written without a fraction.
    private static func number(_ value: Double) -> String {
        guard value.isFinite else { return "null" }
        if let whole = Int64(exactly: value), abs(whole) < 1 << 53 { return String(whole) }
        return value.description
    }

    /// A string literal. Beyond what the RFC asks for, everything that could move a terminal's cursor or break a line is escaped.
    static func write(_ value: String, to text: inout String) {
        text += "\""
        for scalar in value.unicodeScalars {
            switch scalar {
            case "\"": text += "\\\""
            case "\\": text += "\\\\"
            case "\n": text += "\\n"
            case "\r": text += "\\r"
            case "\t": text += "\\t"
            case _ where scalar.isUnprintable: text += escape(scalar)
            default: text.unicodeScalars.append(scalar)
            }
        }
        text += "\""
    }

    private static func escape(_ scalar: Unicode.Scalar) -> String {
        var units = ""
        for unit in UTF16.encode(scalar)?.map(\.self) ?? [] {
            let digits = String(unit, radix: 16)
            units += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
        }
        return units
    }
}

extension Unicode.Scalar {
    /// Control and format characters (bidirectional overrides are among them), and separators of lines.
    package var isUnprintable: Bool {
        if value < 0x7f { return value < 0x20 }
        switch properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator, .unassigned, .privateUse: return true
        default: return false
        }
    }
}
