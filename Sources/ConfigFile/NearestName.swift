/// The one of `names` that was most likely meant by `word`; nil when none is near. Used for keys, options and commands alike.
package func nearestName(to word: String, among names: [String]) -> String? {
    let written = Array(word.lowercased().unicodeScalars.prefix(64))
    guard !written.isEmpty else { return nil }
    var best: (name: String, distance: Int)?
    for name in names {
        let candidate = Array(name.lowercased().unicodeScalars.prefix(64))
        // A beginning counts as one slip: `retention` for `retention_time`.
        let isPrefix = written.count >= 3 && candidate.starts(with: written)
        let distance = isPrefix ? 1 : editDistance(written, candidate)
        if distance < best?.distance ?? .max { best = (name, distance) }
    }
    guard let best, best.distance <= max(1, written.count / 3) else { return nil }
    return best.name
}

/// How many insertions, deletions, replacements and swaps of neighbours lie between the two.
package func editDistance(_ left: [Unicode.Scalar], _ right: [Unicode.Scalar]) -> Int {
    var beforeLast: [Int] = []
    var last = Array(0...right.count)
    for row in left.indices {
        var current = [row + 1]
        for column in right.indices {
            let replaced = last[column] + (left[row] == right[column] ? 0 : 1)
            var least = min(replaced, last[column + 1] + 1, current[column] + 1)
            if row > 0, column > 0, left[row] == right[column - 1], left[row - 1] == right[column] {
                least = min(least, beforeLast[column - 1] + 1)
            }
            current.append(least)
        }
        beforeLast = last
        last = current
    }
    return last[right.count]
}
