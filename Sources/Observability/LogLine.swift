/// One thing that happened, for people and collectors: a time, a level, the kind of event, and what belongs to it.
///
///     time=2026-11-21T12:04:48.250Z level=warn event=connection_refused peer=10.0.0.7:5123 limit=20000
///     {"time":"2026-11-21T12:04:48.250Z","level":"warn","event":"connection_refused","peer":"10.0.0.7:5123","limit":20000}
///
/// Values may come from anybody: they are escaped and cut so that no value looks like a field, a line or a terminal command.
package struct LogLine: Sendable {
    package enum Level: String, CaseIterable, Comparable, Sendable {
        case debug, info, warn, error

        package static func < (left: Level, right: Level) -> Bool { left.rank < right.rank }
        private var rank: Int { Level.allCases.firstIndex(of: self) ?? 0 }

        /// The number that systemd's journal reads in front of a line (sd-daemon(3)).
        var priority: Int {
            switch self {
            case .debug: 7
            case .info: 6
            case .warn: 4
            case .error: 3
            }
        }
    }

    package enum Format: String, CaseIterable, Sendable { case logfmt, json }

    package enum Value: Sendable, ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral {
        case text(String)
        case integer(Int64)
        case real(Double)
        case flag(Bool)
        package init(stringLiteral value: String) { self = .text(value) }
        package init(integerLiteral value: Int64) { self = .integer(value) }
        package init(booleanLiteral value: Bool) { self = .flag(value) }
        package init(_ value: some BinaryInteger) { self = .integer(Int64(clamping: value)) }
    }

    package var level: Level
    /// A word of ours, `listener_open`; it is what the rate is limited by, so it never holds words from outside.
    package var event: StaticString
    package var fields: [(name: StaticString, value: Value)]

    /// Of one value. A line stays below what a pipe takes in one piece.
    package static let valueScalarsMax = 256

    package init(_ level: Level, _ event: StaticString, _ fields: [(name: StaticString, value: Value)] = []) {
        self.level = level
        self.event = event
        self.fields = fields
    }

    /// The line with its line feed.
    package func text(_ format: Format, at milliseconds: Int64, priorityPrefix: Bool) -> String {
        let time = UTCTime(milliseconds: milliseconds).description
        var line = priorityPrefix ? "<\(level.priority)>" : ""
        switch format {
        case .logfmt:
            line += "time=\(time) level=\(level.rawValue) event=\(event)"
            for (name, value) in fields {
                line += " \(name)="
                LogLine.write(value, to: &line)
            }
        case .json:
            let head: [(String, JSON)] = [("time", .text(time)), ("level", .text(level.rawValue)), ("event", .text(event.description))]
            JSON.object(head + fields.map { ($0.name.description, LogLine.json($0.value)) }).write(to: &line)
        }
        line += "\n"
        return line
    }

    private static func cut(_ text: String) -> String {
        guard text.unicodeScalars.count > valueScalarsMax else { return text }
        return String(String.UnicodeScalarView(text.unicodeScalars.prefix(valueScalarsMax))) + "…"
    }

    private static func json(_ value: Value) -> JSON {
        switch value {
        case .text(let text): .text(cut(text))
        case .integer(let number): .integer(number)
        case .real(let number): .real(number)
        case .flag(let flag): .flag(flag)
        }
    }

    private static func write(_ value: Value, to line: inout String) {
        guard case .text(let text) = value else { return json(value).write(to: &line) }
        let isPlain = text.unicodeScalars.allSatisfy { $0.value > 0x20 && $0.value < 0x7f && $0 != "=" && $0 != "\"" && $0 != "\\" }
        if isPlain && !text.isEmpty { line += cut(text) } else { JSON.write(cut(text), to: &line) }
    }
}
