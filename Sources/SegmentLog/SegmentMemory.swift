package import Bytes

/// The bytes of one segment as memory, for reading only. Whoever holds a reference keeps the mapping alive, so a send in flight
/// pins the segment by holding this object; a removed segment's mapping goes with the last reference.
@safe
package final class SegmentMemory {
    // Safety: valid for `count` bytes as long as `owner` lives, which this object holds. Written by the storage beyond what the log
    // calls its end, never below; readers stay below.
    private let base: UnsafeRawPointer
    package let count: Int
    private let owner: AnyObject

    /// - Parameter owner: unmaps or frees the memory when it goes.
    package init(base: UnsafeRawPointer, count: Int, owner: AnyObject) {
        unsafe self.base = base
        self.count = count
        self.owner = owner
    }

    /// The bytes of `range`; they stay valid while this object is borrowed.
    @_lifetime(borrow self)
    package func bytes(_ range: Range<Int>) -> RawSpan {
        precondition(range.lowerBound >= 0 && range.upperBound <= count)
        // Safety: inside the mapping, checked above; the span borrows self, which holds the mapping.
        let span = unsafe RawSpan(_unsafeStart: base + range.lowerBound, byteCount: range.count)
        return unsafe _overrideLifetime(span, borrowing: self)
    }

    /// Where `range` lies, for an operation whose owner holds this object until the operation ends.
    package func region(_ range: Range<Int>) -> MemoryRegion {
        precondition(range.lowerBound >= 0 && range.upperBound <= count)
        // Safety: only the address is taken.
        return unsafe MemoryRegion(address: UInt(bitPattern: base) &+ UInt(range.lowerBound), count: range.count)
    }
}

/// Stored bytes of one segment: whole record batches, or a run of records within one batch.
package struct LogSlice {
    package let memory: SegmentMemory
    package let range: Range<Int>

    package init(memory: SegmentMemory, range: Range<Int>) {
        self.memory = memory
        self.range = range
    }
}
