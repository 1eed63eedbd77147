public import Synchronization

/// A bounded queue from one thread to another, without locks. Full is an answer, not a wait.
///
///     head (reader) ---- filled ---- tail (writer) ---- empty ---- head + capacity
///
/// Why `@unchecked Sendable` holds: a slot belongs to the writer while its position is at or behind `tail`, to the reader while it is
/// between `head` and `tail`; each side hands slots over by a releasing store of its own counter, which the other side reads
/// acquiring. `cachedHead` is the writer's alone, `cachedTail` the reader's alone. That there is one writer and one reader is the
/// caller's promise. Checked by a stress test under the thread sanitizer.
@safe
@usableFromInline
package final class SPSCRingBuffer<Element: Sendable>: @unchecked Sendable {
    // Safety: `mask + 1` slots, initialised from `head` up to `tail`, owned by this object.
    @usableFromInline let slots: UnsafeMutablePointer<Element>
    @usableFromInline let mask: Int

    @usableFromInline let readerPadding = CacheLinePadding()
    @usableFromInline let head = Atomic<Int>(0)
    @usableFromInline var cachedTail = 0

    @usableFromInline let writerPadding = CacheLinePadding()
    @usableFromInline let tail = Atomic<Int>(0)
    @usableFromInline var cachedHead = 0
    @usableFromInline let endPadding = CacheLinePadding()

    /// - Parameter capacity: is rounded up to a power of two.
    package init(capacity: Int) {
        let capacity = ringCapacity(capacity)
        mask = capacity - 1
        unsafe slots = .allocate(capacity: capacity)
    }

    deinit {
        var position = head.load(ordering: .acquiring)
        let end = tail.load(ordering: .acquiring)
        while position != end {
            // Safety: initialised, see `slots`.
            unsafe (slots + (position & mask)).deinitialize(count: 1)
            position &+= 1
        }
        unsafe slots.deallocate()
    }

    package var capacity: Int { mask + 1 }

    /// The writer's verb. False when the ring is full.
    @inlinable package func push(_ element: consuming Element) -> Bool {
        let position = tail.load(ordering: .relaxed)
        if position &- cachedHead > mask {
            cachedHead = head.load(ordering: .acquiring)
            if position &- cachedHead > mask { return false }
        }
        // Safety: the slot is the writer's, and empty.
        unsafe (slots + (position & mask)).initialize(to: element)
        tail.store(position &+ 1, ordering: .releasing)
        return true
    }

    /// The reader's verb. nil when the ring is empty.
    @inlinable package func pop() -> Element? {
        let position = head.load(ordering: .relaxed)
        if position == cachedTail {
            cachedTail = tail.load(ordering: .acquiring)
            if position == cachedTail { return nil }
        }
        // Safety: the slot is the reader's, and filled.
        let element = unsafe (slots + (position & mask)).move()
        head.store(position &+ 1, ordering: .releasing)
        return element
    }

    /// Whether the reader would find something. Exact for the reader, a hint for others.
    @inlinable package var isEmpty: Bool { head.load(ordering: .relaxed) == tail.load(ordering: .acquiring) }
    /// A hint for both sides.
    package var count: Int { max(0, tail.load(ordering: .acquiring) &- head.load(ordering: .acquiring)) }
}
