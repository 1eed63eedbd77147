package import Bytes
internal import CUring
package import LinuxSystem

/// What can be asked of the kernel. Each verb prepares one submission; `Ring.look` or `Ring.wait` sends them off.
extension Ring {
    package enum Link: Sendable {
        case alone
        /// The next submission starts only when this one has succeeded in full.
        case thenNext
    }

    // Safety of all below: `nextEntry` answers an entry that is ours until the next entry into the kernel; descriptors and memory
    // are kept by the caller until the operation's last completion.

    package func nothing(id: OperationID, link: Link = .alone) {
        let entry = unsafe nextEntry()
        unsafe io_uring_prep_nop(entry)
        unsafe finish(entry, id, link)
    }

    /// Accepts connections until cancelled or failed; each completion's result is a new descriptor, closed on exec.
    package func accept(_ listener: Socket, multishot: Bool, id: OperationID) {
        let entry = unsafe nextEntry()
        if multishot {
            unsafe io_uring_prep_multishot_accept(entry, listener.descriptor, nil, nil, closeOnExec)
        } else {
            unsafe io_uring_prep_accept(entry, listener.descriptor, nil, nil, closeOnExec)
        }
        unsafe finish(entry, id, .alone)
    }

    /// Receives into buffers of `buffers`, until cancelled or failed where `multishot`.
    package func receive(_ socket: Socket, _ buffers: BufferRing, multishot: Bool, id: OperationID) {
        let entry = unsafe nextEntry()
        if multishot {
            unsafe io_uring_prep_recv_multishot(entry, socket.descriptor, nil, 0, 0)
        } else {
            unsafe io_uring_prep_recv(entry, socket.descriptor, nil, 0, 0)
        }
        unsafe entry.pointee.buf_group = buffers.group
        unsafe curing_set_flags(entry, UInt32(CURING_SQE_BUFFER_SELECT))
        unsafe finish(entry, id, .alone)
    }

    /// Completes when the socket takes more, or is broken.
    package func awaitRoom(on socket: Socket, id: OperationID) {
        let entry = unsafe nextEntry()
        unsafe io_uring_prep_poll_add(entry, socket.descriptor, pollOut)
        unsafe finish(entry, id, .alone)
    }

    package func read(_ file: File, into memory: UnsafeMutableRawBufferPointer, at position: UInt64, id: OperationID, link: Link = .alone) {
        let entry = unsafe nextEntry()
        unsafe io_uring_prep_read(entry, file.descriptor, memory.baseAddress, UInt32(memory.count), position)
        unsafe finish(entry, id, link)
    }

    package func write(_ file: File, _ region: MemoryRegion, at position: UInt64, id: OperationID, link: Link = .alone) {
        let entry = unsafe nextEntry()
        unsafe io_uring_prep_write(entry, file.descriptor, UnsafeRawPointer(bitPattern: region.address), UInt32(min(region.count, 1 << 30)), position)
        unsafe finish(entry, id, link)
    }

    package enum SyncScope: Sendable { case data, everything }

    /// Makes the file's content durable. It covers writes that had ended before, not those in flight (S12).
    package func sync(_ file: File, _ scope: SyncScope, id: OperationID, link: Link = .alone) {
        let entry = unsafe nextEntry()
        unsafe io_uring_prep_fsync(entry, file.descriptor, scope == .data ? IORING_FSYNC_DATASYNC : 0)
        unsafe finish(entry, id, link)
    }

    /// Wakes another ring: it gets a completion of its own with `theirs` (of a `messageKind`) as id and `value` as result.
    package func message(to ring: Int32, value: UInt32, theirs: OperationID, id: OperationID) {
        let entry = unsafe nextEntry()
        unsafe io_uring_prep_msg_ring(entry, ring, value, theirs.rawValue, 0)
        unsafe finish(entry, id, .alone)
    }

    /// Cancels the operation known as `target`.
    package func cancel(_ target: OperationID, id: OperationID) {
        let entry = unsafe nextEntry()
        unsafe io_uring_prep_cancel64(entry, target.rawValue, 0)
        unsafe finish(entry, id, .alone)
    }

    /// Cancels every operation on the socket.
    package func cancelAll(on socket: Socket, id: OperationID) {
        let entry = unsafe nextEntry()
        unsafe io_uring_prep_cancel_fd(entry, socket.descriptor, IORING_ASYNC_CANCEL_ALL)
        unsafe finish(entry, id, .alone)
    }

    /// Cancels every operation of the ring.
    func cancelEverything(id: OperationID) {
        let entry = unsafe nextEntry()
        unsafe io_uring_prep_cancel64(entry, 0, Int32(IORING_ASYNC_CANCEL_ANY))
        unsafe finish(entry, id, .alone)
    }

    // Safety: as above.
    private func finish(_ entry: UnsafeMutablePointer<io_uring_sqe>, _ id: OperationID, _ link: Link) {
        unsafe io_uring_sqe_set_data64(entry, id.rawValue)
        if link == .thenNext { unsafe curing_set_flags(entry, UInt32(CURING_SQE_LINK)) }
    }
}

/// SOCK_CLOEXEC.
private let closeOnExec: Int32 = 0o2000000
/// POLLOUT.
private let pollOut: UInt32 = 0x4
