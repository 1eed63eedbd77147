package import Bytes
internal import CLinux

/// A stream socket. A handle without ownership: whoever made it closes it.
package struct Socket: Hashable, Sendable {
    package let descriptor: Int32

    package init(descriptor: Int32) { self.descriptor = descriptor }

    package enum Blocking: Sendable { case blocking, nonblocking }
    package enum Direction: Sendable { case read, write, both }

    package static func make(for address: SocketAddress, _ blocking: Blocking) throws(Errno) -> Socket {
        Socket(descriptor: try Errno.check(sys_socket(address.family, blocking == .nonblocking ? 1 : 0)))
    }

    /// Two unix sockets connected with each other.
    package static func pair() throws(Errno) -> (Socket, Socket) {
        var ends: (Int32, Int32) = (-1, -1)
        // Safety: the C function fills two adjacent numbers.
        let result = unsafe withUnsafeMutableBytes(of: &ends) { unsafe sys_socketpair($0.baseAddress.unsafelyUnwrapped.assumingMemoryBound(to: Int32.self)) }
        try Errno.check(result)
        return (Socket(descriptor: ends.0), Socket(descriptor: ends.1))
    }

    package func bind(to address: SocketAddress) throws(Errno) {
        // Safety: the address is lent through the call.
        unsafe try address.withSystemForm { (form: UnsafeRawPointer, length: UInt32) throws(Errno) in
            _ = try Errno.check(unsafe sys_bind(descriptor, form, length))
        }
    }

    package func listen(backlog: Int32) throws(Errno) { try Errno.check(sys_listen(descriptor, backlog)) }

    /// Connects; a non-blocking socket answers `inProgress` and is writable once it is connected or has failed (`pendingError`).
    package func connect(to address: SocketAddress) throws(Errno) {
        // Safety: the address is lent through the call.
        unsafe try address.withSystemForm { (form: UnsafeRawPointer, length: UInt32) throws(Errno) in
            _ = try Errno.check(unsafe sys_connect(descriptor, form, length))
        }
    }

    package func accept(_ blocking: Blocking) throws(Errno) -> Socket {
        Socket(descriptor: try Errno.check(sys_accept(descriptor, blocking == .nonblocking ? 1 : 0)))
    }

    package var localAddress: SocketAddress? { unsafe address { unsafe sys_local_address(descriptor, $0, $1) } }
    package var peerAddress: SocketAddress? { unsafe address { unsafe sys_peer_address(descriptor, $0, $1) } }

    private func address(_ read: (UnsafeMutableRawPointer, UnsafeMutablePointer<UInt32>) -> Int32) -> SocketAddress? {
        // Safety: the system writes at most `length` bytes into the buffer and says how many.
        unsafe withUnsafeTemporaryAllocation(byteCount: 128, alignment: 8) { room in
            var length = UInt32(room.count)
            guard unsafe read(room.baseAddress.unsafelyUnwrapped, &length) == 0 else { return nil }
            return unsafe SocketAddress(room.baseAddress.unsafelyUnwrapped, min(Int(length), room.count))
        }
    }

    /// Appends what has arrived, at most `count` bytes; 0 when the peer sends no more.
    package func receive(upTo count: Int, into buffer: inout ByteBuffer, _ blocking: Blocking = .blocking) throws(Errno) -> Int {
        let before = buffer.count
        let descriptor = descriptor
        unsafe try buffer.appendUninitialized(count) { (room: UnsafeMutableRawBufferPointer) throws(Errno) -> Int in
            // Safety: `room` has `count` bytes.
            Int(try File.repeating { () in unsafe sys_receive(descriptor, room.baseAddress, count, blocking == .nonblocking ? 1 : 0) })
        }
        return buffer.count - before
    }

    /// Sends as much of `bytes` as the socket takes; answers how much that was.
    package func send(_ bytes: RawSpan, _ blocking: Blocking = .blocking) throws(Errno) -> Int {
        let region = bytes.region
        // Safety: the region lies in `bytes`, which is borrowed through this call.
        let sent = try File.repeating { () in
            unsafe sys_send(descriptor, UnsafeRawPointer(bitPattern: region.address), region.count, blocking == .nonblocking ? 1 : 0)
        }
        return Int(sent)
    }

    /// Sends all of `bytes` on a blocking socket.
    package func sendAll(_ bytes: RawSpan) throws(Errno) {
        var done = 0
        while done < bytes.byteCount { done += try send(bytes.extracting(done..<bytes.byteCount)) }
    }

    /// Sends what it can of `region`, without waiting; answers how many bytes.
    package func send(_ region: MemoryRegion) throws(Errno) -> Int {
        // Safety: the memory is kept by whoever names it.
        Int(try File.repeating { () in unsafe sys_send(descriptor, UnsafeRawPointer(bitPattern: region.address), region.count, 1) })
    }

    /// Sends what it can of `gather`, without waiting; answers how many bytes. With `isFollowed` the system may hold the last packet
    /// back until more is sent.
    package func send(_ gather: GatherList, isFollowed: Bool = false) throws(Errno) -> Int {
        // Safety: the memory is kept by whoever loaded `gather`.
        Int(try File.repeating { () in unsafe sys_send_message(descriptor, gather.message, isFollowed ? 1 : 0) })
    }

    /// Sends what it can of the file's bytes out of the system's cache, without waiting; answers how many bytes. The signal of a peer
    /// that is gone has to be ignored.
    package func send(_ file: File, at position: Int, count: Int) throws(Errno) -> Int {
        Int(try File.repeating { () in sys_send_file(descriptor, file.descriptor, Int64(position), count) })
    }

    /// Receives into memory that the caller owns, without waiting.
    package func receive(into room: UnsafeMutableRawBufferPointer) throws(Errno) -> Int {
        // Safety: `room` is the caller's.
        Int(try File.repeating { () in unsafe sys_receive(descriptor, room.baseAddress, room.count, 1) })
    }

    /// Sends all of `bytes` with another descriptor of `file`, without waiting. Unix sockets only.
    package func send(_ bytes: RawSpan, carrying file: File) throws(Errno) {
        let region = bytes.region
        // Safety: the region lies in `bytes`, which is borrowed through this call.
        let sent = try File.repeating { () in
            unsafe sys_send_descriptor(descriptor, UnsafeRawPointer(bitPattern: region.address), region.count, file.descriptor)
        }
        guard Int(sent) == region.count else { throw .wouldBlock }
    }

    /// Appends what has arrived, at most `count` bytes, and the file that came with it, without waiting. The file is the caller's to close.
    package func receiveFile(upTo count: Int, into buffer: inout ByteBuffer) throws(Errno) -> (count: Int, file: File?) {
        let before = buffer.count
        let descriptor = descriptor
        var carried: Int32 = -1
        unsafe try buffer.appendUninitialized(count) { (room: UnsafeMutableRawBufferPointer) throws(Errno) -> Int in
            // Safety: `room` has `count` bytes.
            Int(try File.repeating { () in unsafe sys_receive_descriptor(descriptor, room.baseAddress, count, &carried) })
        }
        return (buffer.count - before, carried < 0 ? nil : File(descriptor: carried))
    }

    /// Waits until the socket can be read or written; false after the time-out.
    package func wait(for direction: Direction, milliseconds: Int32) throws(Errno) -> Bool {
        let events =
            switch direction {
            case .read: SYS_EVENT_IN
            case .write: SYS_EVENT_OUT
            case .both: SYS_EVENT_IN | SYS_EVENT_OUT
            }
        return try File.repeating { () in sys_poll(descriptor, Int32(events), milliseconds) } != 0
    }

    /// How many bytes the peer has acknowledged, on TCP; nil elsewhere.
    package var bytesTaken: UInt64? {
        let taken = sys_bytes_taken(descriptor)
        return taken < 0 ? nil : UInt64(taken)
    }

    package func shutDown(_ direction: Direction) {
        let how =
            switch direction {
            case .read: SYS_SHUT_READ
            case .write: SYS_SHUT_WRITE
            case .both: SYS_SHUT_BOTH
            }
        sys_shutdown(descriptor, Int32(how))
    }

    /// Closes so that what was sent still arrives: TCP answers unread input with a reset that can overtake the last reply, so a
    /// bounded amount of it is thrown away first.
    package func closeInOrder() {
        sys_shutdown(descriptor, Int32(SYS_SHUT_WRITE))
        for _ in 0..<16 where sys_discard(descriptor, 256 << 10) <= 0 { break }
        sys_close(descriptor)
    }

    package func close() { sys_close(descriptor) }

    // Options. Each is a hint where it fails: the connection works without.
    package func setReuseAddress() throws(Errno) { try Errno.check(sys_set_reuse_address(descriptor)) }
    package func setReusePort() throws(Errno) { try Errno.check(sys_set_reuse_port(descriptor)) }
    /// How long a blocking receive waits before it fails with `wouldBlock`; 0: for ever.
    package func setReceiveTimeout(milliseconds: Int32) throws(Errno) { try Errno.check(sys_set_receive_timeout(descriptor, milliseconds)) }
    package func setNoDelay() throws(Errno) { try Errno.check(sys_set_no_delay(descriptor)) }
    /// A peer that is silent for so long is asked for a sign of life, four times in as long again; then the connection breaks.
    package func setKeepAlive(seconds: Int32) throws(Errno) { try Errno.check(sys_set_keep_alive(descriptor, seconds)) }
    /// 0: never.
    package var keepAliveSeconds: Int32 { max(0, sys_keep_alive(descriptor)) }
    package func setV6Only() throws(Errno) { try Errno.check(sys_set_v6_only(descriptor)) }
    package func setResetOnClose() throws(Errno) { try Errno.check(sys_set_reset_on_close(descriptor)) }
    package func setReceiveBuffer(_ bytes: Int32) throws(Errno) { try Errno.check(sys_set_receive_buffer(descriptor, bytes)) }
    package func setBlocking(_ blocking: Blocking) throws(Errno) { try Errno.check(sys_set_nonblocking(descriptor, blocking == .nonblocking ? 1 : 0)) }
    package func setCongestionControl(_ name: String) throws(Errno) { try Errno.check(unsafe sys_set_congestion(descriptor, name)) }

    package var congestionControl: String? {
        // Safety: the C function writes at most `count` bytes; the buffer ends with a zero of ours.
        unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: 32) { name in
            unsafe name.initialize(repeating: 0)
            guard unsafe sys_get_congestion(descriptor, name.baseAddress, name.count - 1) == 0 else { return nil }
            return unsafe String(cString: name.baseAddress.unsafelyUnwrapped)
        }
    }

    /// Why a non-blocking connect failed, or what broke the connection; nil when nothing did.
    package var pendingError: Errno? {
        let code = sys_socket_error(descriptor)
        return code == 0 ? nil : Errno(code)
    }
}
