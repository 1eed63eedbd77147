internal import Bytes

/// The fuzz entry of patterns and routing keys: lines of text; the first is the key, the others are patterns. The trie must find what
/// comparing word by word finds, and be empty when everything was taken out again.
package func fuzzPatterns(_ bytes: RawSpan) {
    let lines = [UInt8](bytes).split(separator: UInt8(ascii: "\n"), maxSplits: 19, omittingEmptySubsequences: false).map { [UInt8]($0.prefix(200)) }
    guard let key = lines.first else { return }
    var trie = TopicTrie<Int>()
    let patterns = Array(lines.dropFirst())
    for (index, pattern) in patterns.enumerated() { precondition(trie.insert(index, pattern), "a new value can be put in") }
    if let first = patterns.first { precondition(!trie.insert(0, first), "a value is there once") }
    var found: Set<Int> = []
    trie.match(key) { found.insert($0) }
    let words = TopicTrie<Int>.words(key)
    for (index, pattern) in patterns.enumerated() {
        let fits = fits(words, TopicTrie<Int>.words(pattern))
        precondition(found.contains(index) == fits, "the trie says otherwise than the words")
    }
    for (index, pattern) in patterns.enumerated() { precondition(trie.remove(index, pattern), "what was put in can be taken out") }
    precondition(trie.nodeCount == 1, "nodes are left behind")
}

/// By a table: whether the first i words fit the first j of the pattern.
private func fits(_ words: [ArraySlice<UInt8>], _ pattern: [ArraySlice<UInt8>]) -> Bool {
    var row = [true] + [Bool](repeating: false, count: words.count)
    for part in pattern {
        let stands = part.standsFor
        var next = [Bool](repeating: false, count: words.count + 1)
        next[0] = stands == .anyWords && row[0]
        for index in words.indices {
            next[index + 1] = stands == .anyWords ? row[index + 1] || next[index] : row[index] && (stands == .anyWord || part == words[index])
        }
        row = next
    }
    return row[words.count]
}
