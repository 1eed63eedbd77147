public import Synchronization

/// A bounded queue from many threads to one, without locks (Vyukov's array queue). Full is an answer, not a wait.
///
/// Each slot has a turn: `position` when it is free for the writer of that position, `position + 1` when it is filled for the reader.
/// Elements of one writer come out in its order.
///
/// Why `@unchecked Sendable` holds: a writer owns the slot whose position it has won by compare-and-exchange on `tail`, until its
/// releasing store of the turn; the reader owns it from its acquiring load of that turn until its own releasing store. `head` is the
/// reader's alone. That there is one reader is the caller's promise. Checked by a stress test under the thread sanitizer.
@safe
@usableFromInline
package final class MPSCRingBuffer<Element: Sendable>: @unchecked Sendable {
    // Safety: `mask + 1` slots, owned by this object; a slot's element is initialised exactly while its turn says filled.
    @usableFromInline let slots: UnsafeMutablePointer<Element>
    // Safety: `mask + 1` initialised counters, owned by this object.
    @usableFromInline let turns: UnsafeMutablePointer<Atomic<Int>>
    @usableFromInline let mask: Int

    @usableFromInline let writerPadding = CacheLinePadding()
    @usableFromInline let tail = Atomic<Int>(0)
    @usableFromInline let readerPadding = CacheLinePadding()
    @usableFromInline var head = 0
    @usableFromInline let endPadding = CacheLinePadding()

    /// - Parameter capacity: is rounded up to a power of two, at least 2.
    package init(capacity: Int) {
        let capacity = ringCapacity(max(2, capacity))
        mask = capacity - 1
        unsafe slots = .allocate(capacity: capacity)
        unsafe turns = .allocate(capacity: capacity)
        for position in 0..<capacity { unsafe (turns + position).initialize(to: Atomic(position)) }
    }

    deinit {
        while pop() != nil {}
        unsafe turns.deinitialize(count: mask + 1)
        unsafe turns.deallocate()
        unsafe slots.deallocate()
    }

    package var capacity: Int { mask + 1 }

    /// Any thread's verb. False when the ring is full.
    @inlinable package func push(_ element: consuming Element) -> Bool {
        var position = tail.load(ordering: .relaxed)
        while true {
            // Safety: in bounds by the mask.
            let turn = unsafe turns[position & mask].load(ordering: .acquiring)
            if turn == position {
                let (won, current) = tail.weakCompareExchange(expected: position, desired: position &+ 1, ordering: .relaxed)
                if won { break }
                position = current
            } else if turn &- position < 0 {
                return false
            } else {
                position = tail.load(ordering: .relaxed)
            }
        }
        // Safety: the slot was won and is empty.
        unsafe (slots + (position & mask)).initialize(to: element)
        unsafe turns[position & mask].store(position &+ 1, ordering: .releasing)
        return true
    }

    /// The reader's verb. nil when the ring is empty, or its next element is still being written.
    @inlinable package func pop() -> Element? {
        let position = head
        // Safety: in bounds by the mask.
        guard unsafe turns[position & mask].load(ordering: .acquiring) == position &+ 1 else { return nil }
        // Safety: the slot is filled, and the reader's.
        let element = unsafe (slots + (position & mask)).move()
        unsafe turns[position & mask].store(position &+ mask &+ 1, ordering: .releasing)
        head = position &+ 1
        return element
    }

    /// Whether the reader would find something; for the reader.
    @inlinable package var isEmpty: Bool { unsafe turns[head & mask].load(ordering: .acquiring) != head &+ 1 }
}
