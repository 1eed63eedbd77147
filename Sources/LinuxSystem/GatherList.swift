package import Bytes
internal import Glibc

/// Pieces of memory as the kernel wants them for one gathered operation (`sendmsg`, `pwritev`), and how much of them is done.
///
/// Reused by its owner: loading keeps the memory of earlier loads. The memory that the pieces name is kept alive by whoever
/// loads them until the operation has ended, and so is this object.
@safe
package final class GatherList {
    /// The kernel takes no more vectors at once (IOV_MAX).
    package static let vectorsMax = 1024

    // Safety: `capacity` vectors, `count` of them initialised, owned by this object alone.
    private var storage: UnsafeMutablePointer<iovec>
    // Safety: one message header, owned by this object; it points into `storage`.
    private let header: UnsafeMutablePointer<msghdr>
    private var capacity: Int
    private var count = 0
    /// The first vector with something left.
    private var next = 0
    package private(set) var bytesLeft = 0

    package init(capacity: Int = 16) {
        self.capacity = max(1, capacity)
        unsafe storage = .allocate(capacity: self.capacity)
        unsafe header = .allocate(capacity: 1)
        unsafe header.initialize(to: msghdr())
    }

    deinit {
        unsafe storage.deallocate()
        unsafe header.deallocate()
    }

    package var isEmpty: Bool { bytesLeft == 0 }

    /// Replaces what was loaded before.
    package func load(_ pieces: [MemoryRegion]) {
        if pieces.count > capacity {
            unsafe storage.deallocate()
            capacity = max(pieces.count, capacity * 2)
            unsafe storage = .allocate(capacity: capacity)
        }
        count = 0
        next = 0
        bytesLeft = 0
        for piece in pieces where piece.count > 0 {
            // Safety: no more vectors than pieces, for which there is room.
            unsafe (storage + count).initialize(to: iovec(iov_base: UnsafeMutableRawPointer(bitPattern: piece.address), iov_len: piece.count))
            count += 1
            bytesLeft += piece.count
        }
    }

    /// Passes over `bytes` that are done.
    package func advance(by bytes: Int) {
        precondition(bytes >= 0 && bytes <= bytesLeft)
        bytesLeft -= bytes
        var rest = bytes
        while rest > 0 {
            // Safety: `next` is below `count` as long as bytes are left.
            let length = unsafe storage[next].iov_len
            if rest < length {
                unsafe storage[next].iov_base += rest
                unsafe storage[next].iov_len = length - rest
                return
            }
            rest -= length
            next += 1
        }
    }

    /// The vectors of the next operation.
    // Safety of both: valid until the next load or the end of this object.
    package var vectors: UnsafeMutableRawPointer { unsafe UnsafeMutableRawPointer(storage + next) }
    package var vectorCount: Int32 { Int32(min(count - next, GatherList.vectorsMax)) }

    /// What is left as a message header for `sendmsg`; it stays where it is while this object lives.
    package var message: UnsafeMutableRawPointer {
        // Safety: see `vectors`.
        unsafe header.pointee.msg_iov = unsafe storage + next
        unsafe header.pointee.msg_iovlen = Int(vectorCount)
        return unsafe UnsafeMutableRawPointer(header)
    }
}
