/// What is due when: a binary heap by deadline, first in first out among equals.
///
/// Entries are never cancelled; whoever takes one asks its subject whether it is still meant. Owners keep at most a few entries per
/// subject, so stale ones stay few.
@usableFromInline
package struct DeadlineHeap<Element> {
    @usableFromInline struct Entry {
        @usableFromInline var deadline: UInt64
        @usableFromInline var order: UInt64
        @usableFromInline var element: Element
        @inlinable init(deadline: UInt64, order: UInt64, element: Element) {
            self.deadline = deadline
            self.order = order
            self.element = element
        }
        @inlinable func isBefore(_ other: Entry) -> Bool { (deadline, order) < (other.deadline, other.order) }
    }

    @usableFromInline var entries: [Entry] = []
    @usableFromInline var added: UInt64 = 0

    @inlinable package init() {}

    @inlinable package var count: Int { entries.count }
    @inlinable package var isEmpty: Bool { entries.isEmpty }
    /// The earliest deadline; `UInt64.max` when there is none.
    @inlinable package var earliest: UInt64 { entries.first?.deadline ?? .max }

    @inlinable package mutating func insert(_ element: Element, deadline: UInt64) {
        entries.append(Entry(deadline: deadline, order: added, element: element))
        added &+= 1
        var child = entries.count &- 1
        while child > 0 {
            let parent = (child &- 1) / 2
            guard entries[child].isBefore(entries[parent]) else { return }
            entries.swapAt(child, parent)
            child = parent
        }
    }

    /// Keeps the entries that `keep` accepts.
    @inlinable package mutating func filter(_ keep: (Element) -> Bool) {
        // A sorted array is a heap.
        entries = entries.filter { keep($0.element) }.sorted { $0.isBefore($1) }
    }

    /// Takes the earliest entry when it is due at `now`.
    @inlinable package mutating func popDue(_ now: UInt64) -> Element? {
        guard let head = entries.first, head.deadline <= now else { return nil }
        let tail = entries.removeLast()
        if !entries.isEmpty {
            entries[0] = tail
            var parent = 0
            while true {
                var least = parent
                let left = 2 &* parent &+ 1
                if left < entries.count, entries[left].isBefore(entries[least]) { least = left }
                if left &+ 1 < entries.count, entries[left &+ 1].isBefore(entries[least]) { least = left &+ 1 }
                if least == parent { break }
                entries.swapAt(parent, least)
                parent = least
            }
        }
        return head.element
    }
}
