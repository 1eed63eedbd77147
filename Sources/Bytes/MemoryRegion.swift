/// Memory handed to an operation of the kernel (or of its simulation): an address and a count.
///
/// It keeps nothing alive. Whoever starts the operation owns the memory until the operation's last completion; the types that
/// hand regions out (`ByteBuffer`, `SegmentMemory`) say how long each stays valid.
@usableFromInline
package struct MemoryRegion: Equatable, Sendable {
    @usableFromInline package let address: UInt
    @usableFromInline package let count: Int

    @inlinable package init(address: UInt, count: Int) {
        self.address = address
        self.count = count
    }

    /// The region without its first `dropped` bytes.
    package func dropping(_ dropped: Int) -> MemoryRegion {
        precondition(dropped >= 0 && dropped <= count)
        return MemoryRegion(address: address &+ UInt(dropped), count: count &- dropped)
    }
}

extension RawSpan {
    /// The span's memory as a region. The caller sees to it that the operation ends before the span's owner moves or frees it.
    package var region: MemoryRegion {
        // Safety: only the address is taken.
        unsafe withUnsafeBytes { MemoryRegion(address: UInt(bitPattern: $0.baseAddress), count: $0.count) }
    }
}
