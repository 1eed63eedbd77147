/// Elements under handles that stay valid while others come and go. A handle of a removed element finds nothing, even after its
/// slot was given to another: index and generation must both fit.
@usableFromInline
package struct Slab<Element> {
    @usableFromInline package struct Handle: Hashable, Sendable {
        @usableFromInline package let index: UInt32
        @usableFromInline package let generation: UInt32

        @inlinable package init(index: UInt32, generation: UInt32) {
            self.index = index
            self.generation = generation
        }
        /// As one number, for user data of operations.
        @inlinable package init(rawValue: UInt64) {
            index = UInt32(truncatingIfNeeded: rawValue)
            generation = UInt32(truncatingIfNeeded: rawValue &>> 32)
        }
        @inlinable package var rawValue: UInt64 { UInt64(generation) &<< 32 | UInt64(index) }
    }

    @usableFromInline struct Slot {
        @usableFromInline var generation: UInt32
        @usableFromInline var element: Element?
        @inlinable init(generation: UInt32, element: Element?) {
            self.generation = generation
            self.element = element
        }
    }

    @usableFromInline var slots: [Slot] = []
    @usableFromInline var free: [UInt32] = []
    @usableFromInline package private(set) var count = 0

    @inlinable package init() {}

    @inlinable package mutating func insert(_ element: Element) -> Handle {
        count &+= 1
        if let index = free.popLast() {
            slots[Int(index)].element = element
            return Handle(index: index, generation: slots[Int(index)].generation)
        }
        slots.append(Slot(generation: 1, element: element))
        return Handle(index: UInt32(slots.count &- 1), generation: 1)
    }

    @inlinable package func contains(_ handle: Handle) -> Bool {
        Int(handle.index) < slots.count && slots[Int(handle.index)].generation == handle.generation && slots[Int(handle.index)].element != nil
    }

    @inlinable package subscript(handle: Handle) -> Element? {
        get { contains(handle) ? slots[Int(handle.index)].element : nil }
        set {
            precondition(contains(handle) && newValue != nil, "only living elements change; use remove")
            slots[Int(handle.index)].element = newValue
        }
    }

    @inlinable @discardableResult package mutating func remove(_ handle: Handle) -> Element? {
        guard contains(handle) else { return nil }
        let element = slots[Int(handle.index)].element
        slots[Int(handle.index)].element = nil
        slots[Int(handle.index)].generation &+= 1
        free.append(handle.index)
        count &-= 1
        return element
    }
}
