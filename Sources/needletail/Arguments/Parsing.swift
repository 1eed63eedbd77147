import ConfigFile

/// A command line that was not understood: one sentence, and where to look further.
struct UsageError: Error, Equatable {
    var message: String
    /// Whose `--help` is worth reading: `topic create`; empty for the program's.
    var command: String
}

/// What a command line asks for.
enum Intent {
    case run(Command, values: [String: [String]], words: [String])
    /// Of a command, a group, or (with nothing) the program.
    case help([String])
    case version
}

/// Takes a command line apart by GNU's conventions: `--size=100`, `--size 100`, `-n5`, `-n 5`, bundled switches, options anywhere,
/// `--` before words that begin with a dash, `-` as a word.
extension CommandList {
    func parse(_ line: [String], environment: [String: String] = [:]) throws(UsageError) -> Intent {
        var path: [String] = []
        var rest = line[...]
        while let word = rest.first {
            if word == "--help" || word == "-h" { return .help(path + leadingWords(rest.dropFirst(), after: path)) }
            if path.isEmpty, word == "--version" || word == "-V" || word == "version" { return .version }
            if path.isEmpty, word == "help" { return .help(try known(leadingWords(rest.dropFirst(), after: []), of: rest.dropFirst())) }
            if word.hasPrefix("-"), word != "-" {
                let hint = nearestName(to: word, among: ["--help", "--version"]).map { "; did you mean \($0)?" } ?? ""
                throw UsageError(message: "unknown option \(quoted(word)) before the command\(hint)", command: path.joined(separator: " "))
            }
            let next = words(after: path)
            guard next.contains(where: { $0.name == word }) else { throw unknown(word, after: path) }
            path.append(word)
            rest = rest.dropFirst()
            if let command = commands.first(where: { $0.path == path }) { return try parse(command, Array(rest), environment) }
        }
        guard !path.isEmpty else { return .help([]) }
        throw UsageError(
            message: "\(path.joined(separator: " ")) needs one of: \(words(after: path).map(\.name).joined(separator: ", "))",
            command: path.joined(separator: " "))
    }

    /// As many words as name a command or group.
    private func leadingWords(_ rest: ArraySlice<String>, after path: [String]) -> [String] {
        var found: [String] = []
        for word in rest {
            guard words(after: path + found).contains(where: { $0.name == word }) else { break }
            found.append(word)
        }
        return found
    }

    private func known(_ found: [String], of asked: ArraySlice<String>) throws(UsageError) -> [String] {
        if found.count < asked.count, !commands.contains(where: { $0.path == found }) { throw unknown(asked[asked.startIndex + found.count], after: found) }
        return found
    }

    private func unknown(_ word: String, after path: [String]) -> UsageError {
        let names = words(after: path).map(\.name)
        let place = path.isEmpty ? "unknown command" : "\(path.joined(separator: " ")): unknown command"
        let hint = nearestName(to: word, among: names).map { "did you mean \($0)?" } ?? "known: \(names.joined(separator: ", "))"
        return UsageError(message: "\(place) \(quoted(word)); \(hint)", command: path.joined(separator: " "))
    }

    private func parse(_ command: Command, _ line: [String], _ environment: [String: String]) throws(UsageError) -> Intent {
        var parser = OptionParser(command: command)
        for (index, word) in line.enumerated() { try parser.take(word, isLast: index == line.count - 1) }
        if parser.values["help"] != nil { return .help(command.path) }
        try parser.finish(environment)
        return .run(command, values: parser.values, words: parser.words)
    }
}

/// The words behind a command's name, one after the other.
private struct OptionParser {
    let command: Command
    private let options: [Option]
    private(set) var values: [String: [String]] = [:]
    private(set) var words: [String] = []
    private var waiting: (option: Option, written: String)?
    private var onlyWords = false

    init(command: Command) {
        self.command = command
        options = command.allOptions
    }

    mutating func take(_ word: String, isLast: Bool) throws(UsageError) {
        if let (option, written) = waiting {
            waiting = nil
            return try set(option, word, written)
        }
        if onlyWords || word == "-" || !word.hasPrefix("-") {
            words.append(word)
        } else if word == "--" {
            onlyWords = true
        } else if word.hasPrefix("--") {
            try takeLong(word)
        } else {
            try takeShort(word)
        }
        if isLast, let (option, written) = waiting, values["help"] == nil { throw fault("\(written) needs a value: \(option.placeholder)") }
    }

    private mutating func takeLong(_ word: String) throws(UsageError) {
        let parts = word.dropFirst(2).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        let written = "--" + parts[0]
        guard let option = options.first(where: { $0.name == parts[0] }) else {
            let names = options.map(\.flag)
            let hint = nearestName(to: written, among: names).map { "did you mean \($0)?" } ?? "known: \(names.joined(separator: ", "))"
            throw fault("unknown option \(quoted(written)); \(hint)")
        }
        if parts.count == 2 {
            guard option.kind != nil else { throw fault("\(written) takes no value") }
            try set(option, parts[1], written)
        } else if option.kind == nil {
            values[option.name, default: []].append("")
        } else {
            waiting = (option, written)
        }
    }

    private mutating func takeShort(_ word: String) throws(UsageError) {
        var rest = word.dropFirst()
        while let letter = rest.popFirst() {
            guard let option = options.first(where: { $0.short == letter }) else {
                let known = options.compactMap { option in option.short.map { "-\($0) (\(option.flag))" } }
                throw fault("unknown option \(quoted("-\(letter)")); known: \(known.joined(separator: ", "))")
            }
            if option.kind == nil {
                values[option.name, default: []].append("")
            } else if rest.isEmpty {
                waiting = (option, "-\(letter)")
            } else {
                return try set(option, String(rest), "-\(letter)")
            }
        }
    }

    private mutating func set(_ option: Option, _ value: String, _ written: String) throws(UsageError) {
        if let problem = option.kind?.fault(in: value) { throw fault("\(written): \(quoted(value)) \(problem)") }
        if option.isRepeated { values[option.name, default: []].append(value) } else { values[option.name] = [value] }
    }

    func finish(_ environment: [String: String]) throws(UsageError) {
        for option in command.options where values[option.name] == nil {
            guard let variable = option.variable, let value = environment[variable], !value.isEmpty else { continue }
            if let problem = option.kind?.fault(in: value) { throw fault("\(variable): \(quoted(value)) \(problem)") }
        }
        for (index, argument) in command.arguments.enumerated() {
            if argument.isRequired, index >= words.count { throw fault("\(argument.name) is missing: \(argument.help)") }
            let given = index < words.count ? (argument.isRepeated ? Array(words[index...]) : [words[index]]) : []
            for word in given {
                if let problem = argument.kind.fault(in: word) { throw fault("\(argument.name): \(quoted(word)) \(problem)") }
            }
        }
        if command.arguments.last?.isRepeated != true, words.count > command.arguments.count {
            throw fault("\(quoted(words[command.arguments.count])) is one word too many")
        }
    }

    private func fault(_ message: String) -> UsageError { UsageError(message: "\(command.name): \(message)", command: command.name) }
}
