import ConfigFile

/// A command line that was understood: what a command is given to run with. Values were checked against the table.
struct Invocation: Sendable {
    let command: Command
    let environment: [String: String]
    let console: Console
    /// Set when the user asks to finish.
    let stop: StopSignal
    private let values: [String: [String]]
    private let words: [String]

    init(
        _ command: Command, values: [String: [String]], words: [String], environment: [String: String] = [:], console: Console = .none,
        stop: StopSignal = StopSignal()
    ) {
        self.command = command
        self.values = values
        self.words = words
        self.environment = environment
        self.console = console
        self.stop = stop
    }

    /// Whether a switch was given.
    func has(_ name: String) -> Bool { !given(name).isEmpty }

    /// The value of an option, or of the variable that stands for it.
    func text(_ name: String) -> String? { texts(name).last }

    func texts(_ name: String) -> [String] {
        let values = given(name)
        if values.isEmpty, let variable = option(name).variable, let value = environment[variable], !value.isEmpty { return [value] }
        return values
    }

    func integer(_ name: String) -> Int? { text(name).flatMap { Int($0) } }
    func size(_ name: String) -> ByteCount? { text(name).flatMap { ByteCount($0) } }
    func duration(_ name: String) -> Duration? { text(name).flatMap { Duration(text: $0) } }
    func choice<T: RawRepresentable>(_ name: String) -> T? where T.RawValue == String { text(name).flatMap { T(rawValue: $0) } }
    func pairs(_ name: String) -> [(name: String, value: String)] {
        texts(name).map { text in
            let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            return (String(parts[0]), parts.count > 1 ? String(parts[1]) : "")
        }
    }

    /// The word of an argument; nil when an optional one was not given.
    func argument(_ name: String) -> String? { arguments(name).first }

    func arguments(_ name: String) -> [String] {
        guard let index = command.arguments.firstIndex(where: { $0.name == name }) else { preconditionFailure("\(command.name) has no argument \(name)") }
        guard index < words.count else { return [] }
        return command.arguments[index].isRepeated ? Array(words[index...]) : [words[index]]
    }

    private func option(_ name: String) -> Option {
        guard let option = command.options.first(where: { $0.name == name }) else { preconditionFailure("\(command.name) has no option \(name)") }
        return option
    }

    private func given(_ name: String) -> [String] { values[option(name).name] ?? [] }
}
