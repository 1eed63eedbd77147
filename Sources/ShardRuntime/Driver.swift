package import Bytes
package import SegmentLog
package import Wire

/// The one seam to the machine: sockets, the disk, the clocks. Implemented over io_uring, over epoll, and by the simulator; a shard
/// runs unchanged on each.
///
/// A driver belongs to one thread. All of its answers come out of `poll`, through the handler.
package protocol Driver: AnyObject {
    /// `io_uring`, `epoll` or `simulated`, for people.
    var name: String { get }
    /// The clocks, read once per `poll`.
    var now: Now { get }
    /// Reads the monotonic clock anew, for stage timings.
    func readClock() -> Instant
    var storage: any LogStorage { get }
    /// Wakes this driver's `poll` from another thread.
    var waker: any Waker { get }

    /// Opens a listening socket and starts to accept. Answers the address it is bound to (a port of 0 is resolved).
    func listen(_ address: ListenAddress, _ listener: ListenerID, _ use: PortUse) throws(DriverError) -> ListenAddress
    /// Stops (and resumes) accepting without closing: at the connection limit, or when the process is out of descriptors.
    func pause(_ listener: ListenerID)
    func resume(_ listener: ListenerID)
    func closeListener(_ listener: ListenerID)

    /// Delivers whatever arrives through `received` until stopped. A new connection starts stopped.
    func startReceiving(_ socket: SocketID)
    /// Nothing more is received; what was on its way may still arrive once.
    func stopReceiving(_ socket: SocketID)
    /// Sends all of `pieces` in order; one send is in flight per socket. True when the socket took all of it at once; otherwise `sent` follows,
    /// once, and the memory belongs to the operation until then, or `closed`.
    func send(_ socket: SocketID, _ pieces: [OutputPiece]) -> Bool
    /// Sends `bytes` at once, and with them another descriptor of shared memory; nothing else may be on its way. False where the peer is not
    /// on a unix socket, or the socket takes nothing.
    func send(_ socket: SocketID, _ bytes: RawSpan, carrying descriptor: Int32) -> Bool
    /// A number that grows while the peer takes what is sent; nil where that cannot be told.
    func bytesTaken(_ socket: SocketID) -> UInt64?
    /// Ends the connection. `closed` follows once, after the last operation has let go of its memory.
    func close(_ socket: SocketID)

    /// Submits what was asked for, then waits for something to happen, at most until `deadline`, and hands out what has. With a
    /// deadline that is past it only looks.
    func poll(until deadline: Instant, _ handler: any DriverHandler)
}

extension Driver {
    package func bytesTaken(_ socket: SocketID) -> UInt64? { nil }
    package func listen(_ address: ListenAddress, _ listener: ListenerID) throws(DriverError) -> ListenAddress { try listen(address, listener, .alone) }
}

extension Driver {
    package func send(_ socket: SocketID, _ bytes: RawSpan, carrying descriptor: Int32) -> Bool { false }
    package func send(_ socket: SocketID, memory regions: [MemoryRegion]) -> Bool { send(socket, regions.map { OutputPiece($0) }) }
}

/// What happened. Called from within `poll` only; the handler may ask the driver for more at once.
package protocol DriverHandler: AnyObject {
    /// - Parameter reached: the address that the peer has connected to.
    func accepted(_ socket: SocketID, from peer: PeerAddress, at reached: ListenAddress, on listener: ListenerID)
    /// The process or the machine has no room for another connection; the listener is paused.
    func acceptFailed(_ listener: ListenerID, _ reason: String)
    /// `bytes` are valid during the call.
    func received(_ socket: SocketID, _ bytes: RawSpan)
    /// The peer sends no more (an orderly end), or the connection broke. `close` is to be called, unless it was.
    func disconnected(_ socket: SocketID, _ reason: DisconnectReason)
    func sent(_ socket: SocketID)
    /// Nothing of this socket is in flight any more; its id is free.
    func closed(_ socket: SocketID)
    func storageCompleted(_ ticket: StorageTicket, _ result: StorageResult)
    /// The waker was used.
    func woken()
}

package protocol Waker: AnyObject, Sendable {
    func wake()
}

/// A connection of the driver: the slot in the low 32 bits (dense, used again), its generation above.
package struct SocketID: RawRepresentable, Hashable, Sendable {
    package var rawValue: UInt64
    package init(rawValue: UInt64) { self.rawValue = rawValue }
    package var slot: Int { Int(rawValue & 0xffff_ffff) }
}

/// Chosen by the shard.
package struct ListenerID: RawRepresentable, Hashable, Sendable {
    package var rawValue: UInt32
    package init(rawValue: UInt32) { self.rawValue = rawValue }
}

package enum ListenAddress: Equatable, Sendable, CustomStringConvertible {
    /// A numeric IPv4 or IPv6 address, and a port; 0 lets the system choose.
    case tcp(host: String, port: UInt16)
    case unix(path: String)

    package var description: String {
        switch self {
        case .tcp(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
        case .unix(let path): "unix:\(path)"
        }
    }

    /// Without unix sockets.
    var endpoint: Endpoint? { if case .tcp(let host, let port) = self { Endpoint(host: host, port: port) } else { nil } }
}

package enum DisconnectReason: Sendable {
    case ended
    case failed(String)
    /// Memory that was to be sent could not be read: a segment's disk failed below its mapping.
    case unreadable
}

/// The machine refused something that was asked for at start.
package struct DriverError: Error, Sendable, CustomStringConvertible {
    package var operation: String
    package var code: Int32
    package var reason: String
    package init(operation: String, code: Int32, reason: String) {
        self.operation = operation
        self.code = code
        self.reason = reason
    }
    package var description: String { "\(operation): \(reason)" }
}
