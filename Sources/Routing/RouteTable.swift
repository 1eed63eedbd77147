internal import Bytes
internal import Mutants

/// All exchanges and their bindings; answers to which topics a message of an exchange and routing key goes.
///
/// The graph of exchanges has no cycle and no path longer than `depthLimit`: a binding that would make one is refused. What was
/// resolved once is cached per (exchange, routing key) and found again by the key's bytes, without making a string; every change
/// empties the cache.
package final class RouteTable {
    package struct Options: Sendable {
        package var depthLimit = 16
        /// What is kept of resolved routes, about.
        package var cacheBytes = 16 << 20
        package init() {}
    }

    private let options: Options
    private var exchanges: [UInt32: Exchange] = [:]
    package private(set) var bindingCount = 0
    /// What the bindings take in memory, about.
    package private(set) var bytes = 0
    private var cache: [UInt64: CachedRoute] = [:]
    private var cachedBytes = 0
    package private(set) var hits = 0
    package private(set) var misses = 0

    private struct CachedRoute {
        var exchange: UInt32
        var key: [UInt8]
        var topics: [UInt32]
        var bytes: Int { 128 + key.count + 4 * topics.count }
    }

    package init(_ options: Options = Options()) { self.options = options }

    package enum Refusal: Error, Equatable, Sendable {
        case unknownExchange
        case exists
        case absent
        case cycle
        case tooDeep
    }

    package func addExchange(_ id: UInt32, _ kind: RoutingKind) {
        let exchange = Exchange(id: id, kind: kind)
        exchanges[id] = exchange
        bytes += exchange.bytes
        forgetRoutes()
    }

    /// Removes the exchange with all bindings from and to it.
    package func removeExchange(_ id: UInt32) {
        guard let removed = exchanges.removeValue(forKey: id) else { return }
        bindingCount -= removed.bindingCount
        bytes -= removed.bytes
        removeBindings(to: .exchange(id))
    }

    /// Removes every binding to `destination`.
    package func removeBindings(to destination: RouteDestination) {
        for exchange in exchanges.values {
            let before = exchange.bytes
            bindingCount -= exchange.removeBindings(to: destination)
            bytes += exchange.bytes - before
        }
        forgetRoutes()
    }

    package func contains(_ binding: RouteBinding) -> Bool { exchanges[binding.exchange]?.contains(binding.destination, binding.pattern) ?? false }

    package func bind(_ binding: RouteBinding) throws(Refusal) {
        guard let exchange = exchanges[binding.exchange] else { throw .unknownExchange }
        if case .exchange(let target) = binding.destination {
            guard exchanges[target] != nil else { throw .unknownExchange }
            if reaches(from: target, binding.exchange) { throw .cycle }
            if height(above: binding.exchange) + depth(below: target) > options.depthLimit, !Mutant.isActive("bindsAtAnyDepth") { throw .tooDeep }
        }
        let before = exchange.bytes
        guard exchange.add(binding.destination, binding.pattern) else { throw .exists }
        bindingCount += 1
        bytes += exchange.bytes - before
        if !Mutant.isActive("keepsOldRoutes") { forgetRoutes() }
    }

    package func unbind(_ binding: RouteBinding) throws(Refusal) {
        guard let exchange = exchanges[binding.exchange] else { throw .unknownExchange }
        let before = exchange.bytes
        guard exchange.remove(binding.destination, binding.pattern) else { throw .absent }
        bindingCount -= 1
        bytes += exchange.bytes - before
        forgetRoutes()
    }

    package func bindings(of exchange: UInt32) -> [RouteBinding] { exchanges[exchange]?.bindings ?? [] }

    /// The topics of a message, each once, in ascending order; nil when there is no such exchange.
    package func resolve(_ exchange: UInt32, _ key: RawSpan) -> [UInt32]? {
        let hash = UInt64(murmur2(key)) &<< 32 | UInt64(exchange)
        if let found = cache[hash], found.exchange == exchange, found.key.rawSpan.equals(key) {
            hits &+= 1
            return found.topics
        }
        guard exchanges[exchange] != nil else { return nil }
        misses &+= 1
        let bytes = [UInt8](key)
        let route = CachedRoute(exchange: exchange, key: bytes, topics: resolve(exchange, bytes))
        cachedBytes -= cache[hash]?.bytes ?? 0
        if cachedBytes + route.bytes > options.cacheBytes { forgetRoutes() }
        if route.bytes <= options.cacheBytes {
            cache[hash] = route
            cachedBytes += route.bytes
        }
        return route.topics
    }

    private func forgetRoutes() {
        cache.removeAll(keepingCapacity: true)
        cachedBytes = 0
    }

    private func resolve(_ first: UInt32, _ key: [UInt8]) -> [UInt32] {
        var topics: Set<UInt32> = []
        var seen: Set<UInt32> = [first]
        var pending = [first]
        while let next = pending.popLast() {
            exchanges[next]?.match(key) { destination in
                switch destination {
                case .topic(let topic): topics.insert(topic)
                case .exchange(let exchange): if seen.insert(exchange).inserted { pending.append(exchange) }
                }
            }
        }
        return topics.sorted()
    }

    // MARK: The graph

    private func targets(of exchange: UInt32) -> [UInt32] { exchanges[exchange].map { Array($0.targets) } ?? [] }

    private func reaches(from start: UInt32, _ goal: UInt32) -> Bool {
        var seen: Set<UInt32> = [start]
        var pending = [start]
        while let next = pending.popLast() {
            if next == goal { return true }
            for target in targets(of: next) where seen.insert(target).inserted { pending.append(target) }
        }
        return false
    }

    /// How many exchanges the longest path from here passes, this one included. The graph has no cycles.
    private func depth(below exchange: UInt32) -> Int {
        var known: [UInt32: Int] = [:]
        return longest(exchange, &known) { self.targets(of: $0) }
    }

    private func height(above exchange: UInt32) -> Int {
        var sources: [UInt32: [UInt32]] = [:]
        for id in exchanges.keys { for target in targets(of: id) { sources[target, default: []].append(id) } }
        var known: [UInt32: Int] = [:]
        return longest(exchange, &known) { sources[$0] ?? [] }
    }

    /// Recursion is at most `depthLimit` deep, because no longer path is ever let in.
    private func longest(_ exchange: UInt32, _ known: inout [UInt32: Int], _ neighbours: (UInt32) -> [UInt32]) -> Int {
        if let found = known[exchange] { return found }
        var most = 0
        for next in neighbours(exchange) { most = max(most, longest(next, &known, neighbours)) }
        known[exchange] = most + 1
        return most + 1
    }
}
