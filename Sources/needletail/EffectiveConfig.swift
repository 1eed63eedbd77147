import ConfigFile
import Observability

/// One key as it is in force: its path, its value as text, and who said so.
struct EffectiveValue: Equatable, Sendable {
    /// `topics.durability`, `listeners[0].address`.
    var path: String
    var text: String
    var source: ConfigSource
}

extension ServerConfig {
    static func flatten(_ section: ConfigSection) -> [EffectiveValue] {
        section.values.flatMap { value -> [EffectiveValue] in
            let path = section.path.isEmpty ? value.key : "\(section.path).\(value.key)"
            switch value.content {
            case .scalar(let text): return [EffectiveValue(path: path, text: text, source: value.source)]
            case .list(let texts): return [EffectiveValue(path: path, text: "[" + texts.joined(separator: ", ") + "]", source: value.source)]
            case .section(let inner): return flatten(inner)
            case .sections(let inner): return inner.flatMap(flatten)
            }
        }
    }

    /// The configuration in force as a file that says the same, each line with its source.
    static func yaml(_ root: ConfigSection) -> String {
        let lines = yamlLines(root, indent: "")
        let width = min(56, lines.map(\.text.count).max() ?? 0)
        return lines.map { line in
            guard let source = line.source else { return line.text + "\n" }
            return line.text + String(repeating: " ", count: max(0, width - line.text.count)) + "  # \(source)\n"
        }.joined()
    }

    private static func yamlLines(_ section: ConfigSection, indent: String) -> [(text: String, source: ConfigSource?)] {
        var lines: [(text: String, source: ConfigSource?)] = []
        for value in section.values {
            switch value.content {
            case .scalar(let text): lines.append(("\(indent)\(value.key): \(yamlText(text))", value.source))
            case .list(let texts): lines.append(("\(indent)\(value.key): [\(texts.map(yamlText).joined(separator: ", "))]", value.source))
            case .section(let inner):
                lines.append(("\(indent)\(value.key):", nil))
                lines += yamlLines(inner, indent: indent + "  ")
            case .sections(let inner):
                lines.append(("\(indent)\(value.key):", nil))
                for element in inner {
                    for (index, line) in yamlLines(element, indent: "").enumerated() {
                        lines.append((indent + (index == 0 ? "  - " : "    ") + line.text, line.source))
                    }
                }
            }
        }
        return lines
    }

    /// Plain where that is unmistakable, else quoted; JSON's strings are YAML's.
    private static func yamlText(_ text: String) -> String {
        let isPlain =
            !text.isEmpty && !["~", "null"].contains(text)
            && text.unicodeScalars.allSatisfy { $0.isASCII && ($0.properties.isAlphabetic || "0123456789 _./-:".unicodeScalars.contains($0)) }
            && !text.hasPrefix("-") && !text.hasPrefix(" ") && !text.hasSuffix(" ") && !text.hasSuffix(":") && !text.contains(": ")
        return isPlain ? text : JSON.text(text).description
    }

    // MARK: Reloading

    /// What changes when this configuration takes the place of `old`.
    struct Change: Equatable {
        /// Takes effect at once.
        var live: [String] = []
        /// Takes effect with the next start.
        var needsRestart: [String] = []
    }

    /// Sections and keys that a running broker takes over; in them what it does not.
    static let live = (sections: ["topics", "queues", "limits", "log"], keys: ["disk_reserve", "spin", "wait"], except: ["limits.route_depth"])

    static func isLive(_ path: String) -> Bool {
        if live.except.contains(path) { return false }
        return live.keys.contains(path) || live.sections.contains { path.hasPrefix($0 + ".") }
    }

    func changes(from old: ServerConfig) -> Change {
        var change = Change()
        let before = Dictionary(old.effective.map { ($0.path, $0.text) }, uniquingKeysWith: { $1 })
        let after = Dictionary(effective.map { ($0.path, $0.text) }, uniquingKeysWith: { $1 })
        for path in Set(before.keys).union(after.keys).sorted() where before[path] != after[path] {
            if ServerConfig.isLive(path) { change.live.append(path) } else { change.needsRestart.append(path) }
        }
        return change
    }
}
