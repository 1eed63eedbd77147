/// First in, first out, in a ring that grows: waiters, ready lists. Elements are moved in and out: a large one is not copied on its way.
///
/// Its memory is a power of two of slots, of which `count` from `head` on, going round, hold elements.
@safe
@usableFromInline
package struct RingQueue<Element>: ~Copyable {
    // Safety: memory for `capacity` elements that only this queue has, initialised as the head comment says; nil where `capacity` is 0.
    @usableFromInline var slots: UnsafeMutablePointer<Element>?
    @usableFromInline var capacity: Int
    @usableFromInline var head: Int
    @usableFromInline package private(set) var count: Int

    @inlinable package init() {
        unsafe slots = nil
        capacity = 0
        head = 0
        count = 0
    }

    deinit {
        guard let slots = unsafe slots else { return }
        // Safety: as the head comment says; nothing uses the memory any more.
        for index in 0..<count { unsafe (slots + ((head &+ index) & (capacity &- 1))).deinitialize(count: 1) }
        unsafe slots.deallocate()
    }

    @inlinable package var isEmpty: Bool { count == 0 }
    @inlinable package var first: Element? { element(at: 0) }

    /// The element behind `index` others; nil when there are not so many.
    @inlinable package func element(at index: Int) -> Element? {
        guard index >= 0, index < count else { return nil }
        // Safety: one of the `count` slots that hold elements.
        return unsafe slots.unsafelyUnwrapped[(head &+ index) & (capacity &- 1)]
    }

    @inlinable package mutating func append(_ element: consuming Element) {
        if count == capacity { grow() }
        // Safety: the slot behind the last element; there is one after `grow`.
        unsafe (slots.unsafelyUnwrapped + ((head &+ count) & (capacity &- 1))).initialize(to: element)
        count &+= 1
    }

    @inlinable package mutating func popFirst() -> Element? {
        guard count > 0 else { return nil }
        // Safety: the first slot holds an element, and does not any more when `head` is behind it.
        let element = unsafe (slots.unsafelyUnwrapped + head).move()
        head = (head &+ 1) & (capacity &- 1)
        count &-= 1
        return element
    }

    /// Takes the first element where `isDue` says so of it.
    @inlinable package mutating func popFirst(if isDue: (borrowing Element) -> Bool) -> Element? {
        // Safety: the first slot holds an element.
        guard count > 0, unsafe isDue(slots.unsafelyUnwrapped[head]) else { return nil }
        return popFirst()
    }

    @usableFromInline mutating func grow() {
        let more = max(8, capacity * 2)
        let bigger = UnsafeMutablePointer<Element>.allocate(capacity: more)
        // Safety: every element is moved into memory with room for more, in its order; then the old memory holds none.
        for index in 0..<count { unsafe (bigger + index).initialize(to: (slots.unsafelyUnwrapped + ((head &+ index) & (capacity &- 1))).move()) }
        if let slots = unsafe slots { unsafe slots.deallocate() }
        unsafe slots = bigger
        capacity = more
        head = 0
    }

    /// Keeps the elements that `keep` accepts, in their order.
    @inlinable package mutating func filter(_ keep: (Element) -> Bool) {
        for _ in 0..<count {
            if let element = popFirst(), keep(element) { append(element) }
        }
    }
}
