/// Patterns of words separated by dots: `*` stands for exactly one word, `#` for any number of words, none included.
///
/// Matching keeps the set of nodes that the words so far may have reached, so that its cost is bounded by words times nodes whatever
/// the patterns are; there is no backtracking to make hostile patterns expensive. Words are bytes: what looks the same is the same only
/// when its bytes are.
struct TopicTrie<Value: Hashable> {
    private struct Node {
        var children: [Word: Int] = [:]
        var anyWord = -1
        var anyWords = -1
        var values: Set<Value> = []
        var parent = -1
        var word: Word = []
        var isEmpty: Bool { children.isEmpty && anyWord < 0 && anyWords < 0 && values.isEmpty }
    }

    typealias Word = ArraySlice<UInt8>

    private var nodes = [Node()]
    private var free: [Int] = []
    /// In which step a node was last reached, so that it is taken once a step. Steps are counted over all matches: a match touches the
    /// nodes that it reaches, not all that there are.
    private var reached: [UInt64] = [0]
    private var step: UInt64 = 0

    /// How many nodes are in use, the root included.
    var nodeCount: Int { nodes.count - free.count }

    static func words(_ text: [UInt8]) -> [Word] { text.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false) }

    /// Adds `value` under `pattern`. Answers false when it is there already.
    mutating func insert(_ value: Value, _ pattern: [UInt8]) -> Bool {
        var node = 0
        for word in Self.words(pattern) { node = child(of: node, word) ?? makeChild(of: node, word) }
        return nodes[node].values.insert(value).inserted
    }

    /// Removes `value` from `pattern`, and the nodes that only led there. Answers false when it was not there.
    mutating func remove(_ value: Value, _ pattern: [UInt8]) -> Bool {
        var node = 0
        for word in Self.words(pattern) {
            guard let next = child(of: node, word) else { return false }
            node = next
        }
        guard nodes[node].values.remove(value) != nil else { return false }
        while node != 0, nodes[node].isEmpty {
            let parent = nodes[node].parent
            switch nodes[node].word.standsFor {
            case .anyWord: nodes[parent].anyWord = -1
            case .anyWords: nodes[parent].anyWords = -1
            case .itself: nodes[parent].children[nodes[node].word] = nil
            }
            nodes[node] = Node()
            free.append(node)
            node = parent
        }
        return true
    }

    /// Every value whose pattern fits `key`; a value may come more than once when several of its patterns do.
    mutating func match(_ key: [UInt8], _ found: (Value) -> Void) {
        var current: [Int] = []
        var next: [Int] = []
        step += 1
        reach(0, &current)
        for word in Self.words(key) {
            step += 1
            next.removeAll(keepingCapacity: true)
            for node in current {
                if let child = nodes[node].children[word] { reach(child, &next) }
                if nodes[node].anyWord >= 0 { reach(nodes[node].anyWord, &next) }
                if nodes[node].word.standsFor == .anyWords { reach(node, &next) }
            }
            swap(&current, &next)
            if current.isEmpty { return }
        }
        for node in current { for value in nodes[node].values { found(value) } }
    }

    private mutating func reach(_ node: Int, _ list: inout [Int]) {
        var node = node
        // `#` also stands for no word: whoever is at a node is at its `#` child too.
        while node >= 0, reached[node] != step {
            reached[node] = step
            list.append(node)
            node = nodes[node].anyWords
        }
    }

    private func child(of node: Int, _ word: Word) -> Int? {
        switch word.standsFor {
        case .anyWord: nodes[node].anyWord < 0 ? nil : nodes[node].anyWord
        case .anyWords: nodes[node].anyWords < 0 ? nil : nodes[node].anyWords
        case .itself: nodes[node].children[word]
        }
    }

    private mutating func makeChild(of node: Int, _ word: Word) -> Int {
        var made = Node()
        made.parent = node
        made.word = word
        let index: Int
        if let reused = free.popLast() {
            index = reused
            nodes[index] = made
        } else {
            index = nodes.count
            nodes.append(made)
            reached.append(0)
        }
        switch word.standsFor {
        case .anyWord: nodes[node].anyWord = index
        case .anyWords: nodes[node].anyWords = index
        case .itself: nodes[node].children[word] = index
        }
        return index
    }
}

/// What a word of a pattern stands for.
enum PatternWord { case itself, anyWord, anyWords }

extension ArraySlice<UInt8> {
    var standsFor: PatternWord {
        guard count == 1 else { return .itself }
        return switch self[startIndex] {
        case UInt8(ascii: "*"): .anyWord
        case UInt8(ascii: "#"): .anyWords
        default: .itself
        }
    }
}
