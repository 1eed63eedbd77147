/// Where a value came from.
package enum ConfigSource: Hashable, Sendable, CustomStringConvertible {
    case builtIn
    case file(path: String, line: Int, column: Int)
    case environment(String)
    case flag(String)

    package var description: String {
        switch self {
        case .builtIn: "default"
        case .file(let path, let line, let column): "\(path):\(line):\(column)"
        case .environment(let name): name
        case .flag(let name): name
        }
    }
}

/// One thing that is wrong: `needletail.yaml:4:17: topics.segment_size: '1 GB/s' is no size; allowed: 64 KiB to 2 GiB`.
package struct ConfigFault: Error, Equatable, Sendable, CustomStringConvertible {
    package var source: ConfigSource
    /// The whole path of the key; empty when it is about the text itself.
    package var key: String
    /// What is wrong and what is allowed.
    package var problem: String

    package init(source: ConfigSource, key: String, problem: String) {
        self.source = source
        self.key = key
        self.problem = problem
    }

    package var description: String { key.isEmpty ? "\(source): \(problem)" : "\(source): \(key): \(problem)" }
}

/// Everything that is wrong with a configuration, in the order of the file.
package struct ConfigError: Error, Equatable, Sendable, CustomStringConvertible {
    package private(set) var faults: [ConfigFault]

    package init(_ faults: [ConfigFault]) {
        self.faults = faults.enumerated().sorted { ($0.element.rank, $0.offset) < ($1.element.rank, $1.offset) }.map(\.element)
    }

    package var description: String { faults.map(\.description).joined(separator: "\n") }
}

extension ConfigFault {
    /// Flags and variables first, then by place in the file.
    fileprivate var rank: Int {
        guard case .file(_, let line, let column) = source else { return 0 }
        return line << 20 | min(column, 1 << 20 - 1)
    }
}

/// Text from outside as it may stand in a message: quoted, without control characters, not endless.
package func quoted(_ text: String) -> String {
    var shown = "'"
    for (count, scalar) in text.unicodeScalars.enumerated() {
        guard count < 60 else {
            shown += "…"
            break
        }
        shown.unicodeScalars.append(scalar.isVisible ? scalar : "\u{FFFD}")
    }
    return shown + "'"
}

extension Unicode.Scalar {
    /// Neither a control nor a format character, nor a separator of lines.
    fileprivate var isVisible: Bool {
        if value < 0x7f { return value >= 0x20 }
        let category = properties.generalCategory
        return category != .control && category != .format && category != .lineSeparator && category != .paragraphSeparator
    }
}
