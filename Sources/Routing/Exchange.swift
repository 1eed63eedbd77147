/// Where routing happens: takes a routing key, names destinations.
final class Exchange {
    let id: UInt32
    let kind: RoutingKind
    /// `direct`: by key. `topic`: in the trie. `fanout`: under the empty pattern.
    private var exact: [[UInt8]: [RouteDestination]] = [:]
    private var trie = TopicTrie<RouteDestination>()
    /// How often each destination is bound, for walks over the graph of exchanges.
    private(set) var targets: [RouteDestination: Int] = [:]
    /// All bindings in the order in which they were made.
    private(set) var bindings: [RouteBinding] = []

    init(id: UInt32, kind: RoutingKind) {
        self.id = id
        self.kind = kind
    }

    func add(_ destination: RouteDestination, _ pattern: String) -> Bool {
        switch kind {
        case .direct, .fanout:
            let key = kind == .fanout ? [] : Array(pattern.utf8)
            if exact[key, default: []].contains(destination) { return false }
            exact[key, default: []].append(destination)
        case .topic:
            if !trie.insert(destination, Array(pattern.utf8)) { return false }
        }
        targets[destination, default: 0] += 1
        bindings.append(RouteBinding(exchange: id, destination: destination, pattern: kind == .fanout ? "" : pattern))
        return true
    }

    func remove(_ destination: RouteDestination, _ pattern: String) -> Bool {
        let key = kind == .fanout ? [] : Array(pattern.utf8)
        switch kind {
        case .direct, .fanout:
            guard let index = exact[key]?.firstIndex(of: destination) else { return false }
            exact[key]?.remove(at: index)
            if exact[key]?.isEmpty == true { exact[key] = nil }
        case .topic:
            if !trie.remove(destination, key) { return false }
        }
        let left = (targets[destination] ?? 1) - 1
        targets[destination] = left == 0 ? nil : left
        bindings.removeAll { $0.destination == destination && $0.pattern.utf8.elementsEqual(key) }
        return true
    }

    func match(_ key: [UInt8], _ found: (RouteDestination) -> Void) {
        switch kind {
        case .direct: for destination in exact[key] ?? [] { found(destination) }
        case .fanout: for destination in exact[[]] ?? [] { found(destination) }
        case .topic: trie.match(key, found)
        }
    }
}

package enum RoutingKind: UInt8, Sendable { case direct = 0, topic = 1, fanout = 2 }

package enum RouteDestination: Hashable, Sendable {
    case topic(UInt32)
    case exchange(UInt32)
}

package struct RouteBinding: Hashable, Sendable {
    package var exchange: UInt32
    package var destination: RouteDestination
    package var pattern: String
    package init(exchange: UInt32, destination: RouteDestination, pattern: String) {
        self.exchange = exchange
        self.destination = destination
        self.pattern = pattern
    }
}
