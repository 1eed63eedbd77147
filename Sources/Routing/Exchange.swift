/// Where routing happens: takes a routing key, names destinations.
///
/// To add or to remove one takes the same however many there are; `bindings` and `removeBindings` go through all of them once.
///
/// Invariant: `places` has each binding that is in `list`, and where; keys, trie and counts have the same bindings.
final class Exchange {
    let id: UInt32
    let kind: RoutingKind
    /// `direct`: by key. `fanout`: under the empty key.
    private var exact: [[UInt8]: Set<RouteDestination>] = [:]
    /// `topic`.
    private var trie = TopicTrie<RouteDestination>()
    /// The bindings in the order in which they were made; nil where one is gone.
    private var list: [RouteBinding?] = []
    private var places: [Identity: Int] = [:]
    /// How often each is bound.
    private var topics: [UInt32: Int] = [:]
    private var exchanges: [UInt32: Int] = [:]

    /// What makes a binding the same as another: two patterns may be equal as text and not as bytes.
    private struct Identity: Hashable {
        var destination: RouteDestination
        var pattern: [UInt8]
    }

    /// About what a binding takes in memory, and what each node of the trie does.
    private static let (bindingBytes, nodeBytes) = (400, 256)

    init(id: UInt32, kind: RoutingKind) {
        self.id = id
        self.kind = kind
    }

    /// Of memory, about.
    var bytes: Int { places.count * Exchange.bindingBytes + trie.nodeCount * Exchange.nodeBytes }
    var bindingCount: Int { places.count }
    var bindings: [RouteBinding] { list.compactMap { $0 } }
    /// The exchanges behind this one.
    var targets: Dictionary<UInt32, Int>.Keys { exchanges.keys }

    func contains(_ destination: RouteDestination, _ pattern: String) -> Bool { places[identity(destination, pattern)] != nil }

    func add(_ destination: RouteDestination, _ pattern: String) -> Bool {
        let identity = identity(destination, pattern)
        guard places[identity] == nil else { return false }
        switch kind {
        case .direct, .fanout: exact[identity.pattern, default: []].insert(destination)
        case .topic: _ = trie.insert(destination, identity.pattern)
        }
        places[identity] = list.count
        list.append(RouteBinding(exchange: id, destination: destination, pattern: kind == .fanout ? "" : pattern))
        count(destination, 1)
        return true
    }

    func remove(_ destination: RouteDestination, _ pattern: String) -> Bool {
        guard remove(identity(destination, pattern)) else { return false }
        closeGaps()
        return true
    }

    /// Removes all to `destination`; answers how many those were.
    func removeBindings(to destination: RouteDestination) -> Int {
        guard isBound(to: destination) else { return 0 }
        let before = places.count
        for case let binding? in list where binding.destination == destination { _ = remove(identity(destination, binding.pattern)) }
        closeGaps()
        return before - places.count
    }

    func match(_ key: [UInt8], _ found: (RouteDestination) -> Void) {
        switch kind {
        case .direct: for destination in exact[key] ?? [] { found(destination) }
        case .fanout: for destination in exact[[]] ?? [] { found(destination) }
        case .topic: trie.match(key, found)
        }
    }

    private func identity(_ destination: RouteDestination, _ pattern: String) -> Identity {
        Identity(destination: destination, pattern: kind == .fanout ? [] : Array(pattern.utf8))
    }

    private func remove(_ identity: Identity) -> Bool {
        guard let index = places.removeValue(forKey: identity) else { return false }
        list[index] = nil
        switch kind {
        case .direct, .fanout:
            exact[identity.pattern]?.remove(identity.destination)
            if exact[identity.pattern]?.isEmpty == true { exact[identity.pattern] = nil }
        case .topic: _ = trie.remove(identity.destination, identity.pattern)
        }
        count(identity.destination, -1)
        return true
    }

    /// Half of the list at least are bindings.
    private func closeGaps() {
        guard list.count > 2 * places.count + 16 else { return }
        list = bindings
        for (index, binding) in list.enumerated() { if let binding { places[identity(binding.destination, binding.pattern)] = index } }
    }

    private func isBound(to destination: RouteDestination) -> Bool {
        switch destination {
        case .topic(let id): topics[id] != nil
        case .exchange(let id): exchanges[id] != nil
        }
    }

    private func count(_ destination: RouteDestination, _ change: Int) {
        func count(_ id: UInt32, in table: inout [UInt32: Int]) {
            let now = (table[id] ?? 0) + change
            table[id] = now == 0 ? nil : now
        }
        switch destination {
        case .topic(let id): count(id, in: &topics)
        case .exchange(let id): count(id, in: &exchanges)
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
