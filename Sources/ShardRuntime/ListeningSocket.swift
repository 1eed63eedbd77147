internal import IOUring
internal import LinuxSystem

/// A listening socket as a driver sees it.
final class ListeningSocket {
    let id: ListenerID
    let index: UInt32
    let socket: Socket
    let address: ListenAddress
    /// What accepted connections count as, and are called where their own address is unknown.
    private let isUnix: Bool
    /// The socket file that was made, so that another's is not removed.
    private let file: (path: String, device: UInt64, inode: UInt64)?
    var wantsConnections = true
    var isAccepting = false
    var isCancelling = false
    var isClosing = false

    /// Binds and listens.
    init(_ wanted: ListenAddress, _ id: ListenerID, index: UInt32, _ use: PortUse, options: DriverOptions) throws(DriverError) {
        self.id = id
        self.index = index
        switch wanted {
        case .tcp(let host, let port):
            guard let target = SocketAddress(host: host, port: port) else {
                throw DriverError(operation: "listen on \(wanted)", code: Errno.invalid.rawValue, reason: "'\(host)' is no numeric IPv4 or IPv6 address")
            }
            isUnix = false
            file = nil
            (socket, address) = try driving("listen on \(wanted)") { () throws(Errno) in
                let socket = try Socket.make(for: target, .nonblocking)
                do throws(Errno) {
                    try socket.setReuseAddress()
                    if use == .join { try socket.setReusePort() }
                    // The address says what is listened on: [::] does not take 0.0.0.0 along.
                    if case .ipv6 = target { try socket.setV6Only() }
                    // Accepted sockets inherit these. Measured: cubic sends 1.6 times as fast as bbr on loopback.
                    try socket.setNoDelay()
                    try socket.setKeepAlive(seconds: options.keepAliveSeconds)
                    if let name = options.congestionControl { try? socket.setCongestionControl(name) }
                    try socket.bind(to: target)
                    try socket.listen(backlog: options.backlog)
                    // Only now, so that `bind` and `listen` have refused a port that another process has, even if it shares.
                    if use == .share { try socket.setReusePort() }
                } catch {
                    socket.close()
                    throw error
                }
                return (socket, .tcp(host: host, port: socket.localAddress?.port ?? port))
            }
        case .unix(let path):
            isUnix = true
            address = wanted
            try ListeningSocket.removeStale(path, wanted)
            (socket, file) = try driving("listen on \(wanted)") { () throws(Errno) in
                let target = SocketAddress.unix(path: path)
                let socket = try Socket.make(for: target, .nonblocking)
                do throws(Errno) {
                    try socket.bind(to: target)
                    let made = try FileSystem.status(of: path)
                    try socket.listen(backlog: options.backlog)
                    return (socket, (path, made.device, made.inode))
                } catch {
                    socket.close()
                    throw error
                }
            }
        }
    }

    var operation: OperationID { OperationID(kind: OperationKind.accept.rawValue, generation: 0, slot: index) }
    var canAccept: Bool { wantsConnections && !isAccepting && !isClosing }

    func peer(of socket: Socket) -> PeerAddress { PeerAddress(isUnix ? .unnamed : socket.peerAddress) }

    /// Where a peer has connected to.
    func address(of socket: Socket) -> ListenAddress {
        // Who listens on all addresses has to ask which it was.
        guard case .tcp(let host, _) = address, host == "0.0.0.0" || host == "::", let own = socket.localAddress, let port = own.port else { return address }
        return .tcp(host: own.host, port: port)
    }

    func close() {
        socket.close()
        guard let file, let now = try? FileSystem.status(of: file.path), now.device == file.device, now.inode == file.inode else { return }
        try? FileSystem.remove(file.path)
    }

    /// A socket file that nobody answers on is left over from a process that was killed. Anything else is not ours to remove.
    private static func removeStale(_ path: String, _ wanted: ListenAddress) throws(DriverError) {
        guard let found = try? FileSystem.status(of: path) else { return }
        let operation = "listen on \(wanted)"
        guard found.isSocket else {
            throw DriverError(operation: operation, code: Errno.exists.rawValue, reason: "the file exists and is no socket; it is left alone")
        }
        try driving(operation) { () throws(Errno) in
            let target = SocketAddress.unix(path: path)
            // Without waiting: a listener whose queue is full answers too, by `wouldBlock`.
            let probe = try Socket.make(for: target, .nonblocking)
            defer { probe.close() }
            do throws(Errno) {
                try probe.connect(to: target)
            } catch .connectionRefused {
                try FileSystem.remove(path)
                return
            } catch .noEntry {
                return
            } catch .wouldBlock, .inProgress {
                throw .addressInUse
            }
            throw .addressInUse
        }
    }

    /// Whether an accept that failed so has to wait until something is freed, and what is said about it; nil for what concerns only
    /// the one connection.
    static func reasonToPause(_ error: Errno) -> String? {
        switch error {
        case .tooManyFiles: "the process may not open more files (ulimit -n)"
        case .fileTableFull: "the system's table of open files is full"
        case .noBuffers, .outOfMemory: "the system has no memory for another connection"
        case .invalid, .badDescriptor, .notSocket, .notSupported: "accept: \(error)"
        default: nil
        }
    }
}

/// Whether one TCP port has several listening sockets (SO_REUSEPORT); the system then deals connections out to them.
package enum PortUse: Sendable {
    /// Nobody else can listen on it.
    case alone
    /// Nobody else does; then drivers that `join` may. A second program that wants the port alone or to share it is refused.
    case share
    /// Listens beside the one that shares.
    case join
}

/// What a driver may be told.
package struct DriverOptions: Sendable {
    package var backlog: Int32 = 1024
    /// How long a TCP peer may be silent before the system asks whether it is there. One whose machine is gone holds its place, and what
    /// is its alone, for twice as long.
    package var keepAliveSeconds: Int32 = 60
    /// For accepted connections; nil keeps the system's. Where the system lacks it, the system's stays.
    package var congestionControl: String? = "cubic"
    /// Receive buffers lent to the kernel (a power of two), and the bytes of each. io_uring only.
    package var receiveBuffers = 128
    package var receiveBufferBytes = 64 << 10
    /// While waiting, gather completions for so long before waking: less processor time for many small frames, more latency. 0: off.
    package var minimumWaitMicroseconds: UInt32 = 0
    /// Use the ring with single operations only, for kernels that one does not trust. io_uring only.
    package var plainRing = false
    package init() {}
}

/// Names what failed.
func driving<R>(_ operation: @autoclosure () -> String, _ body: () throws(Errno) -> R) throws(DriverError) -> R {
    do { return try body() } catch { throw DriverError(operation: operation(), code: error.rawValue, reason: error.description) }
}
