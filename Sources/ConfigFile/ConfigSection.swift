/// One mapping of the configuration (or of nothing: all defaults), read key by key by the component that owns it.
///
///     init(_ options: ConfigSection) throws(ConfigError) {
///         frameSize = options.size("frame_size", default: .mebibytes(64), in: .kibibytes(64)...(.gibibytes(1)))
///         try options.finish()
///     }
///
/// No accessor throws: a wrong value is noted as a fault and the default is answered, so that one report names everything.
/// `finish` throws what was noted here and in every section read through this one, unknown keys included. What was read is
/// kept with its source, in the order of reading, for `config print`.
package final class ConfigSection {
    /// Where this mapping is: `topics`, `listeners[0]`; empty for the whole.
    package let path: String
    package private(set) var values: [Value] = []

    private let node: YAMLNode
    private let overlay: ConfigOverlay
    private var faults: [ConfigFault]
    private var sections: [ConfigSection] = []
    private var isFinished = false

    /// A key that was read, with what is in force.
    package struct Value {
        package var key: String
        package var content: Content
        package var source: ConfigSource

        package enum Content {
            case scalar(String)
            case list([String])
            case section(ConfigSection)
            case sections([ConfigSection])
        }
    }

    /// What a text stands for, or what is wrong with it.
    package enum Reading<T> {
        case value(T)
        /// The middle of the message: `is no whole number; allowed: 1 to 64`.
        case wrong(String)
    }

    /// Nothing but defaults.
    package convenience init() { self.init(path: "", node: YAMLNode(.null, .builtIn), overlay: ConfigOverlay()) }

    init(path: String, node: YAMLNode, overlay: ConfigOverlay, faults: [ConfigFault] = []) {
        self.path = path
        self.node = node
        self.overlay = overlay
        self.faults = faults
        switch node.content {
        case .null, .mapping: break
        case .scalar, .list: note(node.source, "", "expected `key: value` pairs")
        }
    }

    // MARK: Values

    /// Whether anybody said something for `key`.
    package func has(_ key: String) -> Bool { overlay.values(at: joined(key)) != nil || entry(key) != nil }

    /// The base of all accessors, for kinds of values that a component has alone.
    package func value<T>(_ key: String, default fallback: T, show: (T) -> String, read: (String) -> Reading<T>) -> T {
        guard let (text, source) = scalar(key) else {
            remember(key, .scalar(show(fallback)), .builtIn)
            return fallback
        }
        switch text.map(read) {
        case .value(let value)?:
            remember(key, .scalar(show(value)), source)
            return value
        case .wrong(let problem)?:
            note(source, key, text.map { quoted($0) + " " + problem } ?? problem)
        case nil:
            // What is allowed is what the reader says of nothing at all.
            guard case .wrong(let problem) = read("") else { break }
            let allowed = problem.split(separator: ";", maxSplits: 1).last.map { ";" + $0 } ?? ""
            note(source, key, "expected one value, not nothing, a list or a section\(allowed)")
        }
        remember(key, .scalar(show(fallback)), .builtIn)
        return fallback
    }

    package func text(_ key: String, default fallback: String) -> String {
        value(key, default: fallback, show: { $0 }, read: ConfigSection.text)
    }

    package func integer(_ key: String, default fallback: Int, in range: ClosedRange<Int>) -> Int {
        value(key, default: fallback, show: String.init) { ConfigSection.ranged(Int(String($0.filter { $0 != "_" })), "whole number", range, String.init) }
    }

    package func flag(_ key: String, default fallback: Bool) -> Bool {
        value(key, default: fallback, show: String.init) { Bool($0).map(Reading.value) ?? .wrong("is neither; allowed: true, false") }
    }

    /// One of the enum's names.
    package func choice<T: RawRepresentable & CaseIterable & Equatable>(_ key: String, default fallback: T) -> T where T.RawValue == String {
        choice(key, default: fallback, among: T.allCases.map { ($0.rawValue, $0) })
    }

    package func choice<T>(_ key: String, default fallback: T, among names: [(name: String, value: T)]) -> T where T: Equatable {
        value(key, default: fallback, show: { shown in names.first { $0.value == shown }?.name ?? "" }) { text in
            if let found = names.first(where: { $0.name == text }) { return .value(found.value) }
            let all = names.map(\.name)
            let hint = nearestName(to: text, among: all).map { " (did you mean \($0)?)" } ?? ""
            return .wrong("is none of them\(hint); allowed: \(all.joined(separator: ", "))")
        }
    }

    package func size(_ key: String, default fallback: ByteCount, in range: ClosedRange<ByteCount>) -> ByteCount {
        value(key, default: fallback, show: \.description) {
            ConfigSection.ranged(ByteCount($0), "size (units: \(ByteCount.units))", range, \.description)
        }
    }

    package func duration(_ key: String, default fallback: Duration, in range: ClosedRange<Duration>) -> Duration {
        value(key, default: fallback, show: \.text) {
            ConfigSection.ranged(Duration(text: $0), "time (a number and one of \(Duration.textUnits))", range, \.text)
        }
    }

    /// As `integer`, with a word for none: `auto`, `unlimited`.
    package func integer(_ key: String, default fallback: Int?, in range: ClosedRange<Int>, or none: String) -> Int? {
        value(key, default: fallback, show: { $0.map(String.init) ?? none }) {
            $0 == none ? .value(nil) : ConfigSection.ranged(Int($0), "whole number", range, String.init, or: none)
        }
    }

    package func size(_ key: String, default fallback: ByteCount?, in range: ClosedRange<ByteCount>, or none: String) -> ByteCount? {
        value(key, default: fallback, show: { $0?.description ?? none }) {
            $0 == none ? .value(nil) : ConfigSection.ranged(ByteCount($0), "size (units: \(ByteCount.units))", range, \.description, or: none)
        }
    }

    package func duration(_ key: String, default fallback: Duration?, in range: ClosedRange<Duration>, or none: String) -> Duration? {
        value(key, default: fallback, show: { $0?.text ?? none }) {
            $0 == none
                ? .value(nil) : ConfigSection.ranged(Duration(text: $0), "time (a number and one of \(Duration.textUnits))", range, \.text, or: none)
        }
    }

    /// A list of texts; in a variable of the environment they are separated by commas.
    package func list(_ key: String, default fallback: [String]) -> [String] {
        guard let (nodes, source) = elements(key) else {
            remember(key, .list(fallback), .builtIn)
            return fallback
        }
        var texts: [String] = []
        for node in nodes {
            guard case .scalar(let text) = node.content, case .value = ConfigSection.text(text) else {
                note(node.source, key, "expected a list of texts")
                continue
            }
            texts.append(text)
        }
        remember(key, .list(texts), source)
        return texts
    }

    // MARK: Sections

    package func section(_ key: String) -> ConfigSection {
        let entry = entry(key)
        let section = ConfigSection(path: joined(key), node: entry?.value ?? YAMLNode(.null, .builtIn), overlay: overlay)
        sections.append(section)
        remember(key, .section(section), entry?.keySource ?? .builtIn)
        return section
    }

    /// A list of mappings. An element may also be one text (as it must in flags and variables), which `shorthand` takes apart.
    package func sections(
        _ key: String, default fallback: [String], shorthand: (String) -> Reading<[(key: String, value: String)]>
    ) -> [ConfigSection] {
        let given = elements(key)
        let nodes = given?.nodes ?? fallback.map { YAMLNode(.scalar($0), .builtIn) }
        var found: [ConfigSection] = []
        for (index, node) in nodes.enumerated() {
            var node = node
            if case .scalar(let text) = node.content {
                switch shorthand(text) {
                case .value(let pairs):
                    let entries = pairs.map { YAMLNode.Entry(key: $0.key, keySource: node.source, value: YAMLNode(.scalar($0.value), node.source)) }
                    node.content = .mapping(entries)
                case .wrong(let problem):
                    note(node.source, key, "\(quoted(text)) \(problem)")
                    continue
                }
            }
            found.append(ConfigSection(path: "\(joined(key))[\(index)]", node: node, overlay: overlay))
        }
        sections += found
        remember(key, .sections(found), given?.source ?? .builtIn)
        return found
    }

    // MARK: The end

    /// Notes a fault that the owner found in what it read.
    package func fault(_ key: String, _ problem: String) { note(source(of: key), key, problem) }

    /// Where `key` was said; where this section begins when it was not.
    package func source(of key: String) -> ConfigSource {
        let source = values.first { $0.key == key }?.source ?? .builtIn
        return source == .builtIn ? entry(key)?.value.source ?? node.source : source
    }

    /// Throws everything that is wrong here and below. What was thrown once is not thrown again by the section around.
    package func finish() throws(ConfigError) {
        let all = takeFaults()
        if !all.isEmpty { throw ConfigError(all) }
    }

    private func takeFaults() -> [ConfigFault] {
        guard !isFinished else { return [] }
        isFinished = true
        noteUnknownKeys()
        return faults + sections.flatMap { $0.takeFaults() }
    }

    private func noteUnknownKeys() {
        guard case .mapping(let entries) = node.content else { return }
        let known = values.map(\.key)
        for entry in entries where !known.contains(entry.key) {
            let nearest = nearestName(to: entry.key, among: known)
            let allowed = known.isEmpty ? "no keys are allowed here" : "allowed: \(known.joined(separator: ", "))"
            let name = entry.key.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_") } ? String(entry.key.prefix(60)) : quoted(entry.key)
            note(entry.keySource, name, nearest.map { "unknown key; did you mean \($0)?" } ?? "unknown key; \(allowed)")
        }
    }

    // MARK: Private parts

    private func joined(_ key: String) -> String { path.isEmpty ? key : key.isEmpty ? path : "\(path).\(key)" }

    private func note(_ source: ConfigSource, _ key: String, _ problem: String) {
        faults.append(ConfigFault(source: source, key: joined(key), problem: problem))
    }

    private func remember(_ key: String, _ content: Value.Content, _ source: ConfigSource) {
        let value = Value(key: key, content: content, source: source)
        if let index = values.firstIndex(where: { $0.key == key }) { values[index] = value } else { values.append(value) }
    }

    private func entry(_ key: String) -> YAMLNode.Entry? {
        guard case .mapping(let entries) = node.content else { return nil }
        return entries.first { $0.key == key }
    }

    /// What was said for `key`: nil when nothing was; a nil text when it is no single value.
    private func scalar(_ key: String) -> (text: String?, source: ConfigSource)? {
        if let (values, source) = overlay.values(at: joined(key)) { return (values.last, source) }
        guard let entry = entry(key) else { return nil }
        guard case .scalar(let text) = entry.value.content else { return (nil, entry.value.source) }
        return (text, entry.value.source)
    }

    private func elements(_ key: String) -> (nodes: [YAMLNode], source: ConfigSource)? {
        if let (values, source) = overlay.values(at: joined(key)) {
            var texts = values
            if case .environment = source { texts = values.flatMap { $0.split(separator: ",").map { String($0.drop { $0 == " " }) } } }
            return (texts.map { YAMLNode(.scalar($0), source) }, source)
        }
        guard let entry = entry(key) else { return nil }
        switch entry.value.content {
        case .null: return ([], entry.value.source)
        case .list(let nodes): return (nodes, entry.value.source)
        case .scalar, .mapping:
            note(entry.value.source, key, "expected a list (`- …` lines or [a, b])")
            return ([], entry.value.source)
        }
    }

    /// Texts become paths, names and log lines: none has control characters.
    private static func text(_ text: String) -> Reading<String> {
        if text.isEmpty { return .wrong("is empty; allowed: some text") }
        guard !text.unicodeScalars.contains(where: { $0.value < 0x20 || $0.value == 0x7f }) else {
            return .wrong("contains control characters; allowed: printable text")
        }
        return .value(text)
    }

    private static func ranged<T: Comparable>(
        _ value: T?, _ kind: String, _ range: ClosedRange<T>, _ show: (T) -> String, or none: String? = nil
    ) -> Reading<T> {
        let allowed = "allowed: \(show(range.lowerBound)) to \(show(range.upperBound))" + (none.map { ", or \($0)" } ?? "")
        guard let value else { return .wrong("is no \(kind); \(allowed)") }
        guard range.contains(value) else { return .wrong("is out of range; \(allowed)") }
        return .value(value)
    }

    private static func ranged<T: Comparable>(
        _ value: T?, _ kind: String, _ range: ClosedRange<T>, _ show: (T) -> String, or none: String
    ) -> Reading<T?> {
        switch ranged(value, kind, range, show, or: .some(none)) as Reading<T> {
        case .value(let value): .value(value)
        case .wrong(let problem): .wrong(problem)
        }
    }
}
