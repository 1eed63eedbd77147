/// One option of a command. Parsing, help and completion read nothing but this.
struct Option: Sendable {
    /// Without the dashes: `retention-time`.
    var name: String
    var short: Character?
    /// nil: a switch, which takes no value.
    var kind: ValueKind?
    /// How help shows the value: `SIZE`.
    var placeholder: String
    var help: String
    var isRepeated = false
    /// For help only.
    var fallback: String?
    /// A variable of the environment that is read when the option is not given.
    var variable: String?

    static func flag(_ name: String, short: Character? = nil, _ help: String) -> Option {
        Option(name: name, short: short, kind: nil, placeholder: "", help: help)
    }

    static func value(
        _ name: String, short: Character? = nil, _ placeholder: String, _ kind: ValueKind, _ help: String, fallback: String? = nil, variable: String? = nil,
        isRepeated: Bool = false
    ) -> Option {
        Option(
            name: name, short: short, kind: kind, placeholder: placeholder, help: help, isRepeated: isRepeated, fallback: fallback, variable: variable)
    }

    /// As typed: `--size`.
    var flag: String { "--" + name }
}

/// A word behind the options.
struct Argument: Sendable {
    var name: String
    var help: String
    var kind = ValueKind.text
    var isRequired = true
    /// The last argument may take all further words.
    var isRepeated = false

    static func required(_ name: String, _ help: String, _ kind: ValueKind = .text) -> Argument { Argument(name: name, help: help, kind: kind) }
    static func optional(_ name: String, _ help: String, _ kind: ValueKind = .text) -> Argument {
        Argument(name: name, help: help, kind: kind, isRequired: false)
    }
    static func repeated(_ name: String, _ help: String, _ kind: ValueKind = .text, isRequired: Bool = false) -> Argument {
        Argument(name: name, help: help, kind: kind, isRequired: isRequired, isRepeated: true)
    }

    /// As usage lines show it: `[FILE…]`.
    var usage: String {
        let name = isRepeated ? self.name + "…" : self.name
        return isRequired ? name : "[\(name)]"
    }
}

/// What a value must look like. It is checked while parsing, so that a command never meets a malformed one.
enum ValueKind: Sendable {
    case text
    case integer(ClosedRange<Int>)
    case size
    case duration
    case choice([String])
    /// `NAME=VALUE`.
    case pair
    /// `HOST:PORT` or `unix:PATH`.
    case address
    case file
    case directory
}
