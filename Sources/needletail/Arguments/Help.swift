/// Help texts, made from the tables: as wide as the terminal allows, with colour only there.
extension CommandList {
    func help(_ path: [String], style: TextStyle) -> String {
        if let command = commands.first(where: { $0.path == path }) { return help(command, style) }
        return path.isEmpty ? overview(style) : groupHelp(path, style)
    }

    private func overview(_ style: TextStyle) -> String {
        var text = "\(style.bold(program)) \(version) – \(summary)\n\n"
        text += style.heading("Usage") + "  \(program) COMMAND [OPTION…]\n\n" + style.heading("Commands")
        let leaves = words(after: []).flatMap { word -> [(String, String)] in
            let below = words(after: [word.name])
            guard !below.isEmpty else { return [(word.name, word.summary)] }
            return [("\(word.name) \(below.map(\.name).joined(separator: "|"))", word.summary)]
        }
        text += style.columns(leaves, widest: 34)
        text +=
            "\n" + style.heading("Options")
            + style.columns([("-h, --help", "Show help; `\(program) COMMAND --help` for one command."), ("    --version", "Show the version.")])
        text += "\n" + style.heading("Try")
        return text
            + style.columns([
                ("\(program) serve", "start a broker on this machine"), ("\(program) produce greetings", "send what you type, one message a line"),
                ("\(program) consume greetings --follow", "read it back, as it comes"),
            ])
    }

    private func groupHelp(_ path: [String], _ style: TextStyle) -> String {
        let name = path.joined(separator: " ")
        let summary = groups.first { $0.name == name }?.summary ?? ""
        return "\(summary)\n\n" + style.heading("Usage") + "  \(program) \(name) COMMAND [OPTION…]\n\n" + style.heading("Commands")
            + style.columns(words(after: path).map { ("\(program) \(name) \($0.name)", $0.summary) })
    }

    private func help(_ command: Command, _ style: TextStyle) -> String {
        let usage = ([program, command.name] + command.arguments.map(\.usage) + ["[OPTION…]"]).joined(separator: " ")
        var text = style.wrapped(command.summary) + "\n" + style.heading("Usage") + "  \(usage)\n"
        if !command.arguments.isEmpty {
            text += "\n" + style.heading("Arguments") + style.columns(command.arguments.map { ($0.name, $0.help) })
        }
        text += "\n" + style.heading("Options") + style.columns(command.allOptions.map { ($0.usage, $0.fullHelp) })
        if !command.notes.isEmpty { text += "\n" + command.notes.map { style.wrapped($0) }.joined(separator: "\n") }
        if !command.examples.isEmpty {
            text += "\n" + style.heading("Examples")
            text += command.examples.map { "  \(style.dim("# " + $0.what))\n  \($0.line)\n" }.joined(separator: "\n")
        }
        return text
    }
}

extension Option {
    /// `-n, --max COUNT`.
    var usage: String { (short.map { "-\($0), " } ?? "    ") + flag + (kind == nil ? "" : " \(placeholder)") }

    fileprivate var fullHelp: String {
        var text = help
        if case .choice(let names)? = kind { text += " One of \(names.joined(separator: ", "))." }
        if isRepeated { text += " May be given more than once." }
        if let fallback { text += " Default: \(fallback)." }
        if let variable { text += " Also by \(variable)." }
        return text
    }
}

/// How text is laid out for a reader: a terminal of some width, or a plain pipe.
struct TextStyle: Sendable {
    var width: Int
    var hasColour: Bool

    static let plain = TextStyle(width: 100, hasColour: false)

    func bold(_ text: String) -> String { hasColour ? "\u{1B}[1m\(text)\u{1B}[0m" : text }
    func dim(_ text: String) -> String { hasColour ? "\u{1B}[2m\(text)\u{1B}[0m" : text }
    func red(_ text: String) -> String { hasColour ? "\u{1B}[31m\(text)\u{1B}[0m" : text }
    func green(_ text: String) -> String { hasColour ? "\u{1B}[32m\(text)\u{1B}[0m" : text }
    func yellow(_ text: String) -> String { hasColour ? "\u{1B}[33m\(text)\u{1B}[0m" : text }

    func heading(_ text: String) -> String { bold(text + ":") + "\n" }

    /// Names on the left, what they mean on the right, wrapped there.
    func columns(_ rows: [(String, String)], widest: Int = 30) -> String {
        let left = min(widest, rows.map(\.0.count).max() ?? 0)
        var text = ""
        for (name, meaning) in rows {
            let lines = lines(meaning, width: max(30, width - left - 4))
            let pad = String(repeating: " ", count: left + 4)
            if name.count > left {
                text += "  \(name)\n" + lines.map { pad + $0 + "\n" }.joined()
            } else {
                text += "  \(name)" + String(repeating: " ", count: left - name.count + 2) + (lines.first ?? "") + "\n"
                text += lines.dropFirst().map { pad + $0 + "\n" }.joined()
            }
        }
        return text
    }

    func wrapped(_ text: String) -> String { lines(text, width: width).map { $0 + "\n" }.joined() }

    private func lines(_ text: String, width: Int) -> [String] {
        var lines: [String] = []
        var line = ""
        for word in text.split(separator: " ") {
            if !line.isEmpty, line.count + 1 + word.count > width {
                lines.append(line)
                line = ""
            }
            line += (line.isEmpty ? "" : " ") + word
        }
        return line.isEmpty ? lines : lines + [line]
    }
}
