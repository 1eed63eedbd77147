internal import CUring
internal import Glibc
package import LinuxSystem

/// Buffers lent to the kernel, which puts what arrives on any socket into whichever comes next. Ten thousand idle connections
/// share them and own none.
///
/// A buffer is the kernel's until a completion names it, then the reader's until `recycle`. Every named buffer is recycled once.
@safe
package final class BufferRing {
    package let group: UInt16
    package let count: Int
    package let bytesEach: Int
    private let ring: Ring
    // Safety: one page-aligned mapping of this object's, first the entries (shared with the kernel), then the buffers.
    private let entries: UnsafeMutablePointer<io_uring_buf_ring>
    private let memory: UnsafeMutableRawPointer
    private let mapping: UnsafeMutableRawPointer
    private let mappedBytes: Int

    /// - Parameters:
    ///   - count: a power of two up to 32,768.
    package init(_ ring: Ring, group: UInt16, count: Int, bytesEach: Int) throws(Errno) {
        precondition(count > 0 && count <= 32_768 && count & (count - 1) == 0)
        precondition(bytesEach > 0)
        self.ring = ring
        self.group = group
        self.count = count
        self.bytesEach = bytesEach
        let page = 4096
        let entryBytes = (count * 16 + page - 1) / page * page
        mappedBytes = entryBytes + count * bytesEach
        // Untouched pages cost nothing, so a large ring is paid for only as far as it is used.
        let found = unsafe mmap(nil, mappedBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        guard let start = unsafe found, unsafe start != MAP_FAILED else { throw .outOfMemory }
        unsafe mapping = unsafe start
        unsafe memory = unsafe start + entryBytes
        unsafe entries = unsafe start.bindMemory(to: io_uring_buf_ring.self, capacity: 1)
        // Safety: the mapping outlives the registration, see deinit.
        let result = unsafe curing_register_buffers(ring.ring, start, UInt32(count), group)
        guard result >= 0 else {
            unsafe munmap(start, mappedBytes)
            throw Errno(-result)
        }
        unsafe io_uring_buf_ring_init(entries)
        for number in 0..<count { recycle(UInt16(truncatingIfNeeded: number)) }
    }

    deinit {
        // Safety: nothing is received any more (the ring was drained); after this the kernel does not know the memory.
        _ = unsafe io_uring_unregister_buf_ring(ring.ring, Int32(group))
        unsafe munmap(mapping, mappedBytes)
    }

    /// The first `length` bytes of a buffer that a completion named; valid until it is recycled.
    @_lifetime(borrow self)
    package func bytes(_ number: UInt16, _ length: Int) -> RawSpan {
        precondition(Int(number) < count && length >= 0 && length <= bytesEach)
        // Safety: in bounds, checked above; the kernel does not write a buffer between naming and recycling.
        let span = unsafe RawSpan(_unsafeStart: UnsafeRawPointer(memory + Int(number) * bytesEach), byteCount: length)
        return unsafe _overrideLifetime(span, borrowing: self)
    }

    /// Gives a buffer (back) to the kernel.
    package func recycle(_ number: UInt16) {
        precondition(Int(number) < count)
        // Safety: in bounds; only this thread adds buffers.
        unsafe curing_give_buffer(entries, memory + Int(number) * bytesEach, UInt32(bytesEach), number, Int32(count - 1))
    }
}
