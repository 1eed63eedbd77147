/// First in, first out, in a ring that grows: waiters, ready lists.
@usableFromInline
package struct RingQueue<Element> {
    @usableFromInline var slots: [Element?] = []
    @usableFromInline var head = 0
    @usableFromInline package private(set) var count = 0

    @inlinable package init() {}

    @inlinable package var isEmpty: Bool { count == 0 }
    @inlinable package var first: Element? { count == 0 ? nil : slots[head] }

    /// The element behind `index` others; nil when there are not so many.
    @inlinable package func element(at index: Int) -> Element? {
        index >= 0 && index < count ? slots[(head &+ index) & (slots.count &- 1)] : nil
    }

    @inlinable package mutating func append(_ element: Element) {
        if count == slots.count { grow() }
        slots[(head &+ count) & (slots.count &- 1)] = element
        count &+= 1
    }

    @inlinable package mutating func popFirst() -> Element? {
        guard count > 0 else { return nil }
        let element = slots[head].take()
        head = (head &+ 1) & (slots.count &- 1)
        count &-= 1
        return element
    }

    @inlinable mutating func grow() {
        var bigger: [Element?] = []
        bigger.reserveCapacity(max(8, slots.count * 2))
        for index in 0..<count { bigger.append(slots[(head &+ index) & (slots.count &- 1)]) }
        while bigger.count < max(8, slots.count * 2) { bigger.append(nil) }
        slots = bigger
        head = 0
    }

    /// Keeps the elements that `keep` accepts, in their order.
    @inlinable package mutating func filter(_ keep: (Element) -> Bool) {
        var rest = RingQueue()
        while let element = popFirst() { if keep(element) { rest.append(element) } }
        self = rest
    }
}
