/// The one of `names` that was most likely meant by `word`; nil when none is near. Used for keys, options and commands alike.
package func nearestName(to word: String, among names: [String]) -> String? {
    let written = Array(word.lowercased().unicodeScalars.prefix(64))
    guard !written.isEmpty else { return nil }
    let most = max(1, written.count / 3)
    var best: (name: String, distance: Int)?
    for name in names {
        let candidate = Array(name.lowercased().unicodeScalars.prefix(64))
        // A beginning counts as one slip: `retention` for `retention_time`.
        let isPrefix = written.count >= 3 && candidate.starts(with: written)
        // Lengths that differ by more are no nearer.
        guard isPrefix || abs(written.count - candidate.count) <= most else { continue }
        let distance = isPrefix ? 1 : editDistance(written, candidate)
        if distance <= most, distance < best?.distance ?? .max { best = (name, distance) }
    }
    return best?.name
}

/// How many insertions, deletions, replacements and swaps of neighbours lie between the two.
package func editDistance(_ left: [Unicode.Scalar], _ right: [Unicode.Scalar]) -> Int {
    var beforeLast = Array(0...right.count)
    var last = beforeLast
    var current = beforeLast
    for row in left.indices {
        current[0] = row + 1
        for column in right.indices {
            let replaced = last[column] + (left[row] == right[column] ? 0 : 1)
            var least = min(replaced, last[column + 1] + 1, current[column] + 1)
            if row > 0, column > 0, left[row] == right[column - 1], left[row - 1] == right[column] {
                least = min(least, beforeLast[column - 1] + 1)
            }
            current[column + 1] = least
        }
        // The oldest row is written over next.
        swap(&beforeLast, &last)
        swap(&last, &current)
    }
    return last[right.count]
}
