extension Array {
    /// Empties it and keeps its memory, for arrays of a few elements that are filled again and again: `removeAll(keepingCapacity: true)` takes
    /// more than a hundred instructions, however few there are.
    @inlinable package mutating func empty() {
        while !isEmpty { removeLast() }
    }
}
