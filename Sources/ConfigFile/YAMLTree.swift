internal import CYAML

/// One node of a configuration text, with where it begins.
package struct YAMLNode: Equatable, Sendable {
    package var content: Content
    package var source: ConfigSource

    package enum Content: Equatable, Sendable {
        /// Nothing, or a plain `null` or `~`.
        case null
        case scalar(String)
        case list([YAMLNode])
        case mapping([Entry])
    }

    package struct Entry: Equatable, Sendable {
        package var key: String
        package var keySource: ConfigSource
        package var value: YAMLNode
    }

    package init(_ content: Content, _ source: ConfigSource) {
        self.content = content
        self.source = source
    }
}

/// A configuration text made into nodes: the part of YAML that a configuration needs, and no more.
///
/// Refused: a second document, anchors, aliases, tags, keys that are no plain text, keys said twice, and texts beyond `Bounds`.
/// Any bytes give a tree or faults, never a trap. What can be read in spite of a fault is read, so that one report names them all.
package struct YAMLTree {
    package private(set) var root: YAMLNode
    package private(set) var faults: [ConfigFault] = []

    package enum Bounds {
        package static let bytes = 1 << 20
        package static let depth = 32
        package static let nodes = 50_000
    }

    private let path: String
    private var events: ArraySlice<Event> = []

    package init(_ bytes: [UInt8], path: String) {
        self.path = path
        root = YAMLNode(.null, .file(path: path, line: 1, column: 1))
        guard bytes.count <= Bounds.bytes else {
            fault(root.source, "the file has \(bytes.count) bytes; allowed: at most \(Bounds.bytes)")
            return
        }
        let all = YAMLTree.events(of: bytes)
        events = all[...]
        if let last = all.last, case .broken(let problem) = last.kind {
            fault(source(last), problem)
            return
        }
        guard next()?.kind == .document else { return }
        root = node()
        if let second = events.first, second.kind == .document {
            fault(source(second), "a second document begins here; allowed: one")
        }
    }

    // MARK: Events

    private struct Event {
        enum Kind: Equatable {
            case document, alias, list, listEnd, mapping, mappingEnd, end
            case scalar(String, isPlain: Bool)
            case broken(String)
        }
        var kind: Kind
        var line: Int
        var column: Int
        var hasAnchor = false
        var hasTag = false
    }

    /// All events up to the end or to what is wrong; then the last one is `.broken`.
    private static func events(of bytes: [UInt8]) -> [Event] {
        // Safety: the parser reads `bytes` only between open and close, within the closure; an event's text is copied before the
        // next call, which is what frees it.
        unsafe bytes.withUnsafeBufferPointer { buffer -> [Event] in
            guard let parser = unsafe needletail_yaml_open(buffer.baseAddress, buffer.count) else {
                return [Event(kind: .broken("out of memory"), line: 1, column: 1)]
            }
            defer { unsafe needletail_yaml_close(parser) }
            var events: [Event] = []
            var depth = 0
            while true {
                var raw = unsafe needletail_yaml_event()
                unsafe needletail_yaml_next(parser, &raw)
                let text = unsafe String(decoding: UnsafeBufferPointer(start: raw.text, count: raw.length), as: UTF8.self)
                let kind = unsafe YAMLTree.kind(raw.kind, text, isPlain: raw.is_plain != 0)
                var event = unsafe Event(kind: kind, line: Int(raw.line), column: Int(raw.column))
                unsafe event.hasAnchor = raw.has_anchor != 0
                unsafe event.hasTag = raw.has_tag != 0
                switch kind {
                case .list, .mapping: depth += 1
                case .listEnd, .mappingEnd: depth -= 1
                default: break
                }
                if depth > Bounds.depth { event.kind = .broken("nested deeper than \(Bounds.depth) levels") }
                if events.count >= Bounds.nodes { event.kind = .broken("more than \(Bounds.nodes) values") }
                events.append(event)
                switch event.kind {
                case .end, .broken: return events
                default: continue
                }
            }
        }
    }

    private static func kind(_ kind: Int32, _ text: String, isPlain: Bool) -> Event.Kind {
        switch Int(kind) {
        case NEEDLETAIL_YAML_ERROR: .broken(text)
        case NEEDLETAIL_YAML_DOCUMENT: .document
        case NEEDLETAIL_YAML_ALIAS: .alias
        case NEEDLETAIL_YAML_SCALAR: .scalar(text, isPlain: isPlain)
        case NEEDLETAIL_YAML_LIST: .list
        case NEEDLETAIL_YAML_LIST_END: .listEnd
        case NEEDLETAIL_YAML_MAPPING: .mapping
        case NEEDLETAIL_YAML_MAPPING_END: .mappingEnd
        default: .end
        }
    }

    // MARK: Nodes

    private mutating func next() -> Event? { events.popFirst() }

    private func source(_ event: Event) -> ConfigSource { .file(path: path, line: event.line, column: event.column) }

    private mutating func fault(_ source: ConfigSource, _ problem: String, key: String = "") {
        faults.append(ConfigFault(source: source, key: key, problem: problem))
    }

    /// The node that the next event begins. The depth was bounded when the events were read.
    private mutating func node() -> YAMLNode {
        guard let event = next() else { return root }
        let source = source(event)
        if event.hasAnchor { fault(source, "anchors (&name) are not supported") }
        if event.hasTag { fault(source, "tags (!name) are not supported") }
        switch event.kind {
        case .scalar(let text, let isPlain):
            return YAMLNode(isPlain && ["", "~", "null"].contains(text) ? .null : .scalar(text), source)
        case .list:
            var elements: [YAMLNode] = []
            while let first = events.first, first.kind != .listEnd { elements.append(node()) }
            _ = next()
            return YAMLNode(.list(elements), source)
        case .mapping:
            let entries = mapping()
            return YAMLNode(.mapping(entries), source)
        case .alias:
            fault(source, "aliases (*name) are not supported")
            return YAMLNode(.null, source)
        case .document, .listEnd, .mappingEnd, .end, .broken:
            return YAMLNode(.null, source)
        }
    }

    private mutating func mapping() -> [YAMLNode.Entry] {
        var entries: [YAMLNode.Entry] = []
        var lines: [String: ConfigSource] = [:]
        while let first = events.first, first.kind != .mappingEnd {
            let keyNode = node()
            let value = events.first?.kind == .mappingEnd ? YAMLNode(.null, keyNode.source) : node()
            guard case .scalar(let key) = keyNode.content else {
                fault(keyNode.source, "a key must be plain text")
                continue
            }
            if let earlier = lines[key] {
                fault(keyNode.source, "said twice; the first is at \(earlier)", key: key)
                continue
            }
            lines[key] = keyNode.source
            entries.append(YAMLNode.Entry(key: key, keySource: keyNode.source, value: value))
        }
        _ = next()
        return entries
    }
}
