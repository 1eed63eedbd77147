/// What the value of a configuration is: its type on the wire and what is allowed.
enum ConfigKind: Sendable {
    case flag
    case int(ClosedRange<Int64>)
    case long(ClosedRange<Int64>)
    case ratio
    /// One of these words; none: any text.
    case text([String])
    /// Words with commas between them, each one of these; none: any words.
    case list([String])

    /// Kafka's `ConfigType`.
    var wire: Int8 {
        switch self {
        case .flag: 1
        case .text: 2
        case .int: 3
        case .long: 5
        case .ratio: 6
        case .list: 7
        }
    }

    var isList: Bool { if case .list = self { true } else { false } }

    /// The most of one value.
    static let longestText = 4_096

    /// `text` as it is kept and shown.
    func canonical(_ text: String, for name: String) throws(ConfigRefusal) -> String {
        func refuse(_ reason: String) -> ConfigRefusal { ConfigRefusal("Invalid value \(text.prefix(64)) for configuration \(name): \(reason)") }
        guard text.utf8.count <= ConfigKind.longestText else { throw refuse("At most \(ConfigKind.longestText) bytes are taken") }
        let word = text.trimmed
        switch self {
        case .flag:
            guard let found = ["true", "false"].first(where: { $0 == word.lowercased() }) else { throw refuse("Expected value to be either true or false") }
            return found
        case .int(let range):
            guard let number = Int32(word) else { throw refuse("Not a number of type INT") }
            try check(Int64(number), range, refuse)
            return String(number)
        case .long(let range):
            guard let number = Int64(word) else { throw refuse("Not a number of type LONG") }
            try check(number, range, refuse)
            return String(number)
        case .ratio:
            guard let number = Double(word) else { throw refuse("Not a number of type DOUBLE") }
            guard number >= 0 else { throw refuse("Value must be at least 0") }
            guard number <= 1 else { throw refuse("Value must be no more than 1") }
            return String(number)
        case .text(let words):
            guard words.isEmpty || words.contains(word) else { throw refuse("String must be one of: \(words.joined(separator: ", "))") }
            return word
        case .list(let words):
            let parts = ConfigKind.words(of: word)
            if !words.isEmpty, let other = parts.first(where: { !words.contains($0) }) {
                throw ConfigRefusal("Invalid value \(other.prefix(64)) for configuration \(name): String must be one of: \(words.joined(separator: ", "))")
            }
            return parts.joined(separator: ",")
        }
    }

    private func check(_ number: Int64, _ range: ClosedRange<Int64>, _ refuse: (String) -> ConfigRefusal) throws(ConfigRefusal) {
        guard number >= range.lowerBound else { throw refuse("Value must be at least \(range.lowerBound)") }
        guard number <= range.upperBound else { throw refuse("Value must be no more than \(range.upperBound)") }
    }

    /// The words of a list, each once, in their order.
    static func words(of text: String) -> [String] {
        var words: [String] = []
        for part in text.split(separator: ",") {
            let word = String(part).trimmed
            if !word.isEmpty, !words.contains(word) { words.append(word) }
        }
        return words
    }
}

/// Why a configuration is not taken; INVALID_CONFIG with this sentence.
struct ConfigRefusal: Error, Equatable {
    var text: String
    init(_ text: String) { self.text = text }
}

/// Kafka's `ConfigSource`: who said a value.
enum ConfigSource: Int8 {
    case topic = 1
    /// The configuration of this broker.
    case broker = 4
    case standard = 5
}

extension String {
    fileprivate var trimmed: String {
        var part = self[...]
        while part.first?.isWhitespace == true { part.removeFirst() }
        while part.last?.isWhitespace == true { part.removeLast() }
        return String(part)
    }
}
