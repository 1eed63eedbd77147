/// A run of consecutive numbers, `first` through `last`, with whatever its owner says about all of them.
@usableFromInline
package protocol Run {
    var first: Int64 { get set }
    var last: Int64 { get set }
}

extension Run {
    @inlinable package var length: Int64 { last &- first &+ 1 }
}

/// Disjoint runs in ascending order, kept in chunks so that finding, inserting and removing cost O(log n) plus a move within one
/// chunk, in the middle as well as at the ends.
///
/// Invariant: runs do not overlap, no chunk is empty, `covered` is the sum of all lengths. Runs that touch stay apart unless they
/// were inserted with `insert(_:mergingWhere:)`.
@usableFromInline
package struct RunList<Element: Run> {
    @usableFromInline var chunks: [[Element]] = []
    /// How many runs there are.
    @usableFromInline package private(set) var count = 0
    /// How many numbers the runs cover.
    @usableFromInline package private(set) var covered: Int64 = 0

    @usableFromInline static var chunkLimit: Int { 128 }

    @inlinable package init() {}

    @inlinable package var isEmpty: Bool { count == 0 }
    @inlinable package var first: Element? { chunks.isEmpty ? nil : chunks[0][0] }
    @inlinable package var last: Element? { chunks.isEmpty ? nil : chunks[chunks.count &- 1][chunks[chunks.count &- 1].count &- 1] }

    /// The run that contains `number`.
    @inlinable package func run(containing number: Int64) -> Element? {
        let place = place(atOrAfter: number)
        guard place.chunk < chunks.count else { return nil }
        let found = chunks[place.chunk][place.index]
        return found.first <= number ? found : nil
    }

    /// The first run that reaches `number` or lies behind it.
    @inlinable package func run(atOrAfter number: Int64) -> Element? {
        let place = place(atOrAfter: number)
        return place.chunk < chunks.count ? chunks[place.chunk][place.index] : nil
    }

    /// Visits all runs in order.
    @inlinable package func forEach(_ body: (Element) -> Void) {
        for chunk in chunks { for run in chunk { body(run) } }
    }

    /// Visits the runs that touch `first … last`, in order, whole.
    @inlinable package func forEach(from first: Int64, through last: Int64, _ body: (Element) -> Void) {
        var place = place(atOrAfter: first)
        while place.chunk < chunks.count {
            let run = chunks[place.chunk][place.index]
            if run.first > last { return }
            body(run)
            advance(&place)
        }
    }

    /// Adds a run that overlaps none.
    @inlinable package mutating func insert(_ run: Element) {
        insert(run, mergingWhere: { _, _ in false })
    }

    /// Adds a run that overlaps none, and joins it with the neighbours that it touches where `alike` says so.
    @inlinable package mutating func insert(_ run: Element, mergingWhere alike: (Element, Element) -> Bool) {
        precondition(run.first <= run.last)
        covered &+= run.length
        // Most runs are added behind all others.
        if let tail = last, tail.last < run.first {
            let chunk = chunks.count &- 1
            let index = chunks[chunk].count &- 1
            if tail.last &+ 1 == run.first, alike(tail, run) {
                chunks[chunk][index].last = run.last
                return
            }
            append(run)
            return
        }
        var place = place(atOrAfter: run.first)
        guard place.chunk < chunks.count else {
            append(run)
            return
        }
        let following = chunks[place.chunk][place.index]
        precondition(following.first > run.last, "runs overlap")
        let joinsFollowing = following.first == run.last &+ 1 && alike(run, following)
        if let before = previous(place) {
            let preceding = chunks[before.chunk][before.index]
            if preceding.last &+ 1 == run.first, alike(preceding, run) {
                chunks[before.chunk][before.index].last = joinsFollowing ? following.last : run.last
                if joinsFollowing { remove(&place) }
                return
            }
        }
        if joinsFollowing {
            chunks[place.chunk][place.index].first = run.first
            return
        }
        insert(run, at: place)
    }

    /// Takes the numbers `first … last` out of the runs that `matches` accepts; runs that reach beyond keep their rest. `taken` sees
    /// every part that was removed, in order.
    @inlinable package mutating func cut(_ first: Int64, _ last: Int64, where matches: (Element) -> Bool, _ taken: (Element) -> Void) {
        var place = place(atOrAfter: first)
        while place.chunk < chunks.count {
            let run = chunks[place.chunk][place.index]
            if run.first > last { return }
            guard matches(run) else {
                advance(&place)
                continue
            }
            var part = run
            part.first = max(run.first, first)
            part.last = min(run.last, last)
            covered &-= part.length
            let keepsLeft = run.first < first
            let keepsRight = run.last > last
            if keepsLeft {
                chunks[place.chunk][place.index].last = first &- 1
                advance(&place)
                if keepsRight {
                    var rest = run
                    rest.first = last &+ 1
                    if place.chunk < chunks.count { insert(rest, at: place) } else { append(rest) }
                }
            } else if keepsRight {
                chunks[place.chunk][place.index].first = last &+ 1
            } else {
                remove(&place)
            }
            taken(part)
            if keepsRight { return }
        }
    }

    @inlinable package mutating func cut(_ first: Int64, _ last: Int64, _ taken: (Element) -> Void) {
        cut(first, last, where: { _ in true }, taken)
    }

    /// Forgets all numbers below `number`.
    @inlinable package mutating func removeAll(below number: Int64) {
        guard let head = first, head.first < number else { return }
        cut(head.first, number &- 1) { _ in }
    }

    @inlinable package mutating func removeAll() {
        chunks.removeAll()
        count = 0
        covered = 0
    }

    /// Whether the invariant holds; for tests.
    package var isSound: Bool {
        var runs = 0
        var numbers: Int64 = 0
        var previous: Int64?
        for chunk in chunks {
            if chunk.isEmpty || chunk.count > Self.chunkLimit { return false }
            for run in chunk {
                if run.first > run.last { return false }
                if let previous, previous >= run.first { return false }
                previous = run.last
                runs += 1
                numbers += run.length
            }
        }
        return runs == count && numbers == covered
    }

    // MARK: Places

    @usableFromInline struct Place {
        @usableFromInline var chunk: Int
        @usableFromInline var index: Int
        @inlinable init(chunk: Int, index: Int) {
            self.chunk = chunk
            self.index = index
        }
    }

    /// The place of the first run whose `last` is at least `number`; behind the last chunk when there is none.
    @inlinable func place(atOrAfter number: Int64) -> Place {
        var low = 0
        var high = chunks.count
        while low < high {
            let middle = (low &+ high) >> 1
            if chunks[middle][chunks[middle].count &- 1].last < number { low = middle &+ 1 } else { high = middle }
        }
        let chunk = low
        guard chunk < chunks.count else { return Place(chunk: chunk, index: 0) }
        low = 0
        high = chunks[chunk].count
        while low < high {
            let middle = (low &+ high) >> 1
            if chunks[chunk][middle].last < number { low = middle &+ 1 } else { high = middle }
        }
        return Place(chunk: chunk, index: low)
    }

    @inlinable func advance(_ place: inout Place) {
        place.index &+= 1
        if place.index == chunks[place.chunk].count { place = Place(chunk: place.chunk &+ 1, index: 0) }
    }

    @inlinable func previous(_ place: Place) -> Place? {
        if place.index > 0 { return Place(chunk: place.chunk, index: place.index &- 1) }
        guard place.chunk > 0 else { return nil }
        return Place(chunk: place.chunk &- 1, index: chunks[place.chunk &- 1].count &- 1)
    }

    @inlinable mutating func append(_ run: Element) {
        count &+= 1
        if chunks.isEmpty || chunks[chunks.count &- 1].count == Self.chunkLimit {
            chunks.append([run])
        } else {
            chunks[chunks.count &- 1].append(run)
        }
    }

    @inlinable mutating func insert(_ run: Element, at place: Place) {
        count &+= 1
        guard chunks[place.chunk].count == Self.chunkLimit else {
            chunks[place.chunk].insert(run, at: place.index)
            return
        }
        let half = Self.chunkLimit / 2
        let upper = Array(chunks[place.chunk][half...])
        chunks[place.chunk].removeSubrange(half...)
        chunks.insert(upper, at: place.chunk &+ 1)
        if place.index <= half {
            chunks[place.chunk].insert(run, at: place.index)
        } else {
            chunks[place.chunk &+ 1].insert(run, at: place.index &- half)
        }
    }

    /// Removes the run at `place`, which then names the one that followed.
    @inlinable mutating func remove(_ place: inout Place) {
        count &-= 1
        chunks[place.chunk].remove(at: place.index)
        if chunks[place.chunk].isEmpty {
            chunks.remove(at: place.chunk)
            place.index = 0
        } else if place.index == chunks[place.chunk].count {
            place = Place(chunk: place.chunk &+ 1, index: 0)
        }
    }
}
