import Bytes
import Routing
import Testing

struct RouteTableTests {
    func resolve(_ table: RouteTable, _ exchange: UInt32, _ key: String) -> [UInt32]? {
        let bytes = Array(key.utf8)
        return table.resolve(exchange, bytes.rawSpan)
    }

    @Test(arguments: [
        ("a.b", "a.b", true), ("a.b", "a.c", false), ("a.*", "a.b", true), ("a.*", "a", false), ("a.*", "a.b.c", false), ("a.#", "a", true),
        ("a.#", "a.b.c.d", true), ("a.#", "b", false), ("#", "", true), ("#", "a", true), ("#", "a.b.c", true), ("*", "a", true), ("*", "a.b", false),
        ("*", "", true), ("#.b", "b", true), ("#.b", "a.x.b", true), ("#.b", "a.x.c", false), ("*.b.#", "a.b", true), ("*.b.#", "a.b.c", true),
        ("*.b.#", "b", false), ("a.#.b", "a.b", true), ("a.#.b", "a.x.y.b", true), ("a.#.b", "a.x.y", false), ("#.#", "a", true), ("#.*", "", true),
        ("#.*.#", "a.b", true), ("a.#.#.c", "a.c", true), ("a..b", "a..b", true), ("a.*.b", "a..b", true), ("", "", true), ("", "a", false),
        ("*.*", "a.b", true), ("*.#.*", "a", false), ("*.#.*", "a.b", true), ("stock.usd.*", "stock.usd.nyse", true),
        // Words are bytes: an accent behind a dot is a word of its own, and what only looks the same is another word.
        ("a.*", "a.\u{301}", true), ("a.#", "a.\u{301}.b", true), ("caf\u{e9}.*", "caf\u{e9}.x", true), ("caf\u{e9}", "cafe\u{301}", false),
    ])
    func patternsFitAsTheySay(pattern: String, key: String, fits: Bool) throws {
        let table = RouteTable()
        table.addExchange(1, .topic)
        try table.bind(RouteBinding(exchange: 1, destination: .topic(7), pattern: pattern))
        #expect(resolve(table, 1, key) == (fits ? [7] : []), "\(pattern) against \(key)")
    }

    /// The oracle is the obvious recursive matcher.
    func naive(_ pattern: ArraySlice<Substring>, _ key: ArraySlice<Substring>) -> Bool {
        guard let head = pattern.first else { return key.isEmpty }
        if head == "#" { return naive(pattern.dropFirst(), key) || (!key.isEmpty && naive(pattern, key.dropFirst())) }
        guard let word = key.first, head == "*" || head == word else { return false }
        return naive(pattern.dropFirst(), key.dropFirst())
    }

    @Test func theTrieAgreesWithTheObviousMatcher() throws {
        var state: UInt64 = 42
        func random(_ bound: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % bound
        }
        let table = RouteTable()
        table.addExchange(1, .topic)
        var patterns: [UInt32: String] = [:]
        for id in UInt32(0)..<200 {
            let pattern = (0..<(1 + random(5))).map { _ in ["a", "b", "*", "#", "c"][random(5)] }.joined(separator: ".")
            patterns[id] = pattern
            try table.bind(RouteBinding(exchange: 1, destination: .topic(id), pattern: pattern))
        }
        for round in 0..<600 {
            if round % 6 == 5, let victim = patterns.keys.sorted().first {
                try table.unbind(RouteBinding(exchange: 1, destination: .topic(victim), pattern: patterns[victim] ?? ""))
                patterns[victim] = nil
            }
            let key = (0..<random(6)).map { _ in ["a", "b", "c", "d"][random(4)] }.joined(separator: ".")
            let words = key.split(separator: ".", omittingEmptySubsequences: false)[...]
            let expected = patterns.filter { naive($0.value.split(separator: ".", omittingEmptySubsequences: false)[...], words) }.keys.sorted()
            #expect(resolve(table, 1, key) == expected, "key \(key)")
        }
    }

    @Test func keysThatAreNoTextStayApart() throws {
        let table = RouteTable()
        table.addExchange(1, .direct)
        table.addExchange(2, .topic)
        for exchange: UInt32 in [1, 2] { try table.bind(RouteBinding(exchange: exchange, destination: .topic(7), pattern: "\u{fffd}")) }
        for exchange: UInt32 in [1, 2] {
            for key: [UInt8] in [[0xff], [0xc3], [0x80, 0x80]] { #expect(table.resolve(exchange, key.rawSpan) == []) }
            #expect(resolve(table, exchange, "\u{fffd}") == [7])
        }
    }

    @Test func directIsExactAndFanoutTakesAll() throws {
        let table = RouteTable()
        table.addExchange(1, .direct)
        table.addExchange(2, .fanout)
        try table.bind(RouteBinding(exchange: 1, destination: .topic(1), pattern: "red"))
        try table.bind(RouteBinding(exchange: 1, destination: .topic(2), pattern: "blue"))
        try table.bind(RouteBinding(exchange: 2, destination: .topic(3), pattern: "ignored"))
        try table.bind(RouteBinding(exchange: 2, destination: .topic(4), pattern: ""))
        #expect(resolve(table, 1, "red") == [1])
        #expect(resolve(table, 1, "re*") == [])
        #expect(resolve(table, 2, "whatever") == [3, 4])
        #expect(resolve(table, 9, "x") == nil)
        #expect(throws: RouteTable.Refusal.exists) { try table.bind(RouteBinding(exchange: 2, destination: .topic(3), pattern: "other")) }
        #expect(throws: RouteTable.Refusal.absent) { try table.unbind(RouteBinding(exchange: 1, destination: .topic(2), pattern: "red")) }
    }

    @Test func aMessageReachesATopicOnceByWhateverWays() throws {
        let table = RouteTable()
        for id in UInt32(1)...4 { table.addExchange(id, .fanout) }
        for id in [2, 3] as [UInt32] {
            try table.bind(RouteBinding(exchange: 1, destination: .exchange(id), pattern: ""))
            try table.bind(RouteBinding(exchange: id, destination: .exchange(4), pattern: ""))
        }
        try table.bind(RouteBinding(exchange: 4, destination: .topic(9), pattern: ""))
        try table.bind(RouteBinding(exchange: 1, destination: .topic(9), pattern: ""))
        #expect(resolve(table, 1, "k") == [9])
    }

    @Test func cyclesAndPathsThatAreTooLongAreRefused() throws {
        var options = RouteTable.Options()
        options.depthLimit = 4
        let table = RouteTable(options)
        for id in UInt32(1)...6 { table.addExchange(id, .fanout) }
        func join(_ from: UInt32, _ to: UInt32) throws { try table.bind(RouteBinding(exchange: from, destination: .exchange(to), pattern: "")) }
        try join(1, 2)
        try join(2, 3)
        #expect(throws: RouteTable.Refusal.cycle) { try join(3, 1) }
        #expect(throws: RouteTable.Refusal.cycle) { try join(1, 1) }
        try join(3, 4)
        #expect(throws: RouteTable.Refusal.tooDeep) { try join(4, 5) }
        #expect(throws: RouteTable.Refusal.tooDeep) { try join(6, 1) }
        #expect(throws: RouteTable.Refusal.unknownExchange) { try join(1, 99) }
    }

    @Test func aChangeIsSeenByTheNextMessage() throws {
        let table = RouteTable()
        table.addExchange(1, .topic)
        table.addExchange(2, .fanout)
        #expect(resolve(table, 1, "a.b") == [])
        try table.bind(RouteBinding(exchange: 1, destination: .topic(1), pattern: "a.*"))
        #expect(resolve(table, 1, "a.b") == [1])
        #expect(resolve(table, 1, "a.b") == [1])
        #expect(table.hits == 1)
        try table.bind(RouteBinding(exchange: 2, destination: .topic(5), pattern: ""))
        try table.bind(RouteBinding(exchange: 1, destination: .exchange(2), pattern: "a.#"))
        #expect(resolve(table, 1, "a.b") == [1, 5])
        table.removeExchange(2)
        #expect(resolve(table, 1, "a.b") == [1])
        table.removeBindings(to: .topic(1))
        #expect(resolve(table, 1, "a.b") == [])
        #expect(table.bindingCount == 0)
    }

    @Test func theCacheIsBounded() throws {
        var options = RouteTable.Options()
        // Seven of them, or one with many topics less than it has.
        options.cacheBytes = 1_000
        let table = RouteTable(options)
        table.addExchange(1, .fanout)
        try table.bind(RouteBinding(exchange: 1, destination: .topic(1), pattern: ""))
        for number in 0..<100 { #expect(resolve(table, 1, "k\(number)") == [1]) }
        #expect(resolve(table, 1, "k99") == [1])
        #expect(table.hits == 1)
        for topic in UInt32(2)...300 { try table.bind(RouteBinding(exchange: 1, destination: .topic(topic), pattern: "")) }
        for _ in 0..<2 { #expect(resolve(table, 1, "many")?.count == 300) }
        #expect(table.hits == 1)
    }

    /// One that goes through all bindings for each of them takes minutes here.
    @Test(.timeLimit(.minutes(1)), arguments: [RoutingKind.direct, .topic])
    func whatIsBoundAHundredThousandTimesIsRidOfAtOnce(kind: RoutingKind) throws {
        let table = RouteTable()
        let empty = table.bytes
        for exchange in UInt32(1)...2 { table.addExchange(exchange, kind) }
        let idle = table.bytes
        for number in 0..<100_000 { try table.bind(RouteBinding(exchange: 1, destination: .topic(7), pattern: "key.\(number)")) }
        try table.bind(RouteBinding(exchange: 1, destination: .topic(8), pattern: "key.1"))
        try table.bind(RouteBinding(exchange: 1, destination: .exchange(2), pattern: "key.2"))
        #expect(table.bindingCount == 100_002 && table.bytes - idle > 100_000 * 100)
        for number in 0..<50_000 { try table.unbind(RouteBinding(exchange: 1, destination: .topic(7), pattern: "key.\(number)")) }
        #expect(table.bindings(of: 1).first == RouteBinding(exchange: 1, destination: .topic(7), pattern: "key.50000"))
        #expect(resolve(table, 1, "key.1") == [8] && resolve(table, 1, "key.60000") == [7])
        table.removeBindings(to: .topic(7))
        let left = [(RouteDestination.topic(8), "key.1"), (.exchange(2), "key.2")].map { RouteBinding(exchange: 1, destination: $0.0, pattern: $0.1) }
        #expect(table.bindings(of: 1) == left)
        #expect(table.bindingCount == 2 && resolve(table, 1, "key.60000") == [])
        for binding in left { try table.unbind(binding) }
        #expect(table.bytes == idle)
        for exchange in UInt32(1)...2 { table.removeExchange(exchange) }
        #expect(table.bytes == empty && table.bindingCount == 0)
    }

    /// With backtracking this takes longer than the age of the universe.
    @Test func hostilePatternsStayCheap() throws {
        let table = RouteTable()
        table.addExchange(1, .topic)
        let hostile = Array(repeating: "#.a", count: 60).joined(separator: ".")
        try table.bind(RouteBinding(exchange: 1, destination: .topic(1), pattern: hostile))
        let key = Array(repeating: "a", count: 120).joined(separator: ".")
        #expect(resolve(table, 1, key) == [1])
        #expect(resolve(table, 1, key + ".b") == [])
    }
}
