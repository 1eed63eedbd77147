internal import Bytes
internal import LinuxSystem
internal import NativeCodec
internal import Synchronization

/// The thread behind a `Connection`, for as long as the client lives: connects, greets, receives, hands out, reconnects.
///
/// It alone opens and closes sockets. Whatever the server sends, the worst outcome is a connection that ends with a
/// `protocolViolation`; every length is checked by the codec before memory is taken for it.
struct ConnectionThread: ~Copyable {
    private let connection: Connection
    private let poller: Poller
    private var input = ByteBuffer()
    private var backoff: Backoff
    private var random = SystemRandomNumberGenerator()

    private static let wakeToken: UInt64 = 0
    private static let socketToken: UInt64 = 1
    /// After this long without a byte the server is asked for a sign of life; after twice as long the connection counts as lost.
    private static let silence: UInt64 = 10_000_000_000
    private static let receiveBytes = 256 << 10
    /// A connection that stood this long was a good one: the next back-off starts small.
    private static let settledAfter: UInt64 = 1_000_000_000

    private init(_ connection: Connection, _ poller: Poller) {
        self.connection = connection
        self.poller = poller
        backoff = Backoff(first: connection.options.reconnectFirst, most: connection.options.reconnectMost)
    }

    /// Starts the thread. `first` is told how the first attempt to connect ended.
    static func start(_ connection: Connection, first: Promise<Void>) throws(ClientError) {
        do {
            _ = try Thread.spawn("nt-client") {
                do {
                    let poller = try Poller()
                    try poller.add(connection.wake.descriptor, .read, token: ConnectionThread.wakeToken)
                    var thread = ConnectionThread(connection, poller)
                    thread.run(first)
                } catch {
                    let failure = ClientError.cannotConnect(address: connection.address.text, reason: "\(error)")
                    connection.close(failure)
                    first.fail(failure)
                }
                connection.finish()
            }
        } catch {
            throw .cannotConnect(address: connection.address.text, reason: "no thread could be started (\(error))")
        }
    }

    private mutating func run(_ first: Promise<Void>) {
        var isFirst = true
        var lostAt = Clock.monotonic
        while !connection.isClosed {
            do {
                let (socket, lane) = try establish()
                let began = Clock.monotonic
                first.succeed()
                isFirst = false
                let reason = lane.map { pump(socket, $0) } ?? pump(socket)
                connection.lost()
                poller.remove(socket.descriptor)
                socket.closeInOrder()
                input.release()
                lostAt = Clock.monotonic
                if lostAt - began >= ConnectionThread.settledAfter { backoff.reset() }
                _ = reason
            } catch {
                if isFirst {
                    connection.close(error)
                    return first.fail(error)
                }
                if let limit = connection.options.giveUpAfter, Clock.monotonic - lostAt >= limit.nanoseconds {
                    return connection.close(.connectionLost("no connection for \(limit): \(error)"))
                }
            }
            pause(backoff.next(using: &random))
        }
    }

    // MARK: Connecting

    /// A connected socket whose server has welcomed us, known to the connection and watched; and shared memory in its place where that is wanted.
    private mutating func establish() throws(ClientError) -> (Socket, Lane?) {
        let deadline = Clock.monotonic &+ connection.options.connectTimeout.nanoseconds
        var failure = ClientError.cannotConnect(address: connection.address.text, reason: "it has no address")
        for address in try addresses() {
            do throws(ClientError) {
                let socket = try connect(address, deadline)
                do throws(ClientError) {
                    let server = try greet(socket, deadline)
                    let lane = connection.address.wantsLane ? try openLane(socket, deadline) : nil
                    try watch(socket)
                    connection.opened(socket, lane, server)
                    return (socket, lane)
                } catch {
                    socket.close()
                    throw error
                }
            } catch {
                failure = error
            }
        }
        throw failure
    }

    private func addresses() throws(ClientError) -> [SocketAddress] {
        switch connection.address.place {
        case .unix(let path), .sharedMemory(let path): return [.unix(path: path)]
        case .internet(let host, let port):
            do {
                return try SocketAddress.resolve(host: host, port: port)
            } catch {
                throw cannot("\(error)")
            }
        }
    }

    private func connect(_ address: SocketAddress, _ deadline: UInt64) throws(ClientError) -> Socket {
        do throws(Errno) {
            let socket = try Socket.make(for: address, .nonblocking)
            do throws(Errno) {
                do throws(Errno) {
                    try socket.connect(to: address)
                } catch .inProgress {
                    guard try socket.wait(for: .write, milliseconds: ConnectionThread.milliseconds(until: deadline)) else { throw Errno.timedOut }
                    if let error = socket.pendingError { throw error }
                }
                if case .unix = address {} else { try? socket.setNoDelay() }
                return socket
            } catch {
                socket.close()
                throw error
            }
        } catch {
            throw cannot("\(error)")
        }
    }

    private mutating func greet(_ socket: Socket, _ deadline: UInt64) throws(ClientError) -> ServerDescription {
        input.clear()
        var hello = ByteBuffer()
        Frame.Hello(
            maxFrameBytes: UInt32(clamping: connection.options.frameBytes), features: Frame.Hello.compaction | Frame.Hello.lanes | Frame.Hello.traces,
            client: connection.options.name
        ).encode(to: &hello)
        do {
            guard try socket.send(hello.bytes, .nonblocking) == hello.count else { throw cannot("it does not take the greeting") }
            while true {
                switch try FrameSplitter.next(in: input.bytes, at: 0, limit: 64 << 10) {
                case .frame(let header):
                    let server = try welcome(header)
                    input.removeFirst(header.size)
                    return server
                case .incomplete:
                    guard try socket.wait(for: .read, milliseconds: ConnectionThread.milliseconds(until: deadline)) else {
                        throw cannot("it accepts connections but does not answer")
                    }
                    guard try socket.receive(upTo: 64 << 10, into: &input, .nonblocking) > 0 else { throw cannot("it closed the connection at once") }
                }
            }
        } catch let error as ClientError {
            throw error
        } catch let error as FrameError {
            throw .protocolViolation("\(connection.address.text) does not speak the native protocol (\(error))")
        } catch {
            throw cannot("\(error)")
        }
    }

    private func welcome(_ header: FrameHeader) throws -> ServerDescription {
        switch FrameType(rawValue: header.type) {
        case .welcome:
            let welcome = try Frame.Welcome.decode(header, in: input.bytes, at: 0)
            return ServerDescription(
                name: welcome.server, version: welcome.serverVersion, maxMessageBytes: Int(welcome.maxMessageBytes), features: welcome.features)
        case .error:
            let failure = try Frame.Failure.decode(header, in: input.bytes, at: 0)
            throw ClientError.refused(Refusal(number: failure.code.rawValue, text: failure.text))
        default:
            throw ClientError.protocolViolation("\(connection.address.text) answers the greeting with a frame of type \(header.type)")
        }
    }

    /// Goes on through shared memory. The file comes with the frame's first byte, and nothing behind it.
    private mutating func openLane(_ socket: Socket, _ deadline: UInt64) throws(ClientError) -> Lane {
        var frame = ByteBuffer()
        Frame.OpenLane().encode(to: &frame, correlation: 1)
        input.clear()
        do {
            guard try socket.send(frame.bytes, .nonblocking) == frame.count else { throw cannot("it takes no request") }
            guard try socket.wait(for: .read, milliseconds: ConnectionThread.milliseconds(until: deadline)) else { throw cannot("it does not answer") }
            let (_, file) = try socket.receiveFile(upTo: 64 << 10, into: &input)
            defer { try? file?.close() }
            try takeLaneAnswer()
            input.clear()
            guard let file else { throw ClientError.protocolViolation("shared memory was promised and did not come") }
            return try Lane.attach(file)
        } catch let error as ClientError {
            throw error
        } catch {
            throw cannot("\(error)")
        }
    }

    private mutating func takeLaneAnswer() throws {
        switch try FrameSplitter.next(in: input.bytes, at: 0, limit: 64 << 10) {
        case .incomplete: throw cannot("it closed the connection")
        case .frame(let header):
            if header.type == FrameType.error.rawValue {
                let failure = try Frame.Failure.decode(header, in: input.bytes, at: 0)
                throw ClientError.refused(Refusal(number: failure.code.rawValue, text: failure.text))
            }
            _ = try Frame.LaneOpened.decode(header, in: input.bytes, at: 0)
        }
    }

    private func watch(_ socket: Socket) throws(ClientError) {
        do {
            try poller.add(socket.descriptor, .read, token: ConnectionThread.socketToken)
        } catch {
            throw cannot("\(error)")
        }
    }

    private func cannot(_ reason: String) -> ClientError { .cannotConnect(address: connection.address.text, reason: reason) }

    private static func milliseconds(until deadline: UInt64) -> Int32 {
        let now = Clock.monotonic
        return now >= deadline ? 0 : Int32(clamping: (deadline - now) / 1_000_000 + 1)
    }

    // MARK: Receiving

    /// Receives and sends until the connection ends; answers why it did.
    private mutating func pump(_ socket: Socket) -> ClientError {
        var watchesWriting = false
        var heard = Clock.monotonic
        var pinged = false
        do {
            // What came in one piece with the welcome.
            try handle()
            while true {
                let (needsThread, deadline, isClosed) = connection.work
                if isClosed { return .closed }
                if needsThread != watchesWriting {
                    watchesWriting = needsThread
                    try poller.change(socket.descriptor, needsThread ? [.read, .write] : .read, token: ConnectionThread.socketToken)
                }
                let now = Clock.monotonic
                let next = min(deadline, heard + (pinged ? 2 : 1) * ConnectionThread.silence)
                let events = try poller.wait(next > now ? next - now : 0)
                for index in 0..<events {
                    let event = poller.event(index)
                    if event.token == ConnectionThread.wakeToken {
                        connection.wake.take()
                        continue
                    }
                    if event.ready.contains(.write) { connection.sendRest() }
                    if event.ready != .write {
                        try receive(socket)
                        heard = Clock.monotonic
                        pinged = false
                    }
                }
                try keepAlive(heard, &pinged, deadline)
            }
        } catch let error as ClientError {
            return error
        } catch {
            return .connectionLost("\(error)")
        }
    }

    /// Requests whose time is over fail; a server that says nothing is asked, and given up.
    private func keepAlive(_ heard: UInt64, _ pinged: inout Bool, _ deadline: UInt64) throws(ClientError) {
        let now = Clock.monotonic
        if now >= deadline { connection.expire(now) }
        if now - heard >= 2 * ConnectionThread.silence { throw .connectionLost("the server has not said anything for 20 s") }
        if now - heard >= ConnectionThread.silence, !pinged {
            pinged = true
            connection.postNow(Frame.Ping())
        }
    }

    /// A server that was killed wakes nobody: its socket is looked at this often.
    private static let laneGlance: UInt64 = 20_000_000

    /// The same through shared memory, where the socket tells no more than that the server has gone.
    private mutating func pump(_ socket: Socket, _ lane: Lane) -> ClientError {
        var heard = Clock.monotonic
        var pinged = false
        let spin = connection.options.spin.nanoseconds
        do {
            while true {
                let (needsThread, deadline, isClosed) = connection.work
                if isClosed { return .closed }
                let now = Clock.monotonic
                let next = min(deadline, heard + (pinged ? 2 : 1) * ConnectionThread.silence)
                let rest = next > now ? next - now : 0
                let hasWork = try lane.clientWaits(wantsRoom: needsThread, spin: min(spin, rest), sleep: min(rest, ConnectionThread.laneGlance))
                if needsThread { connection.sendRest() }
                if try lane.read(upTo: ConnectionThread.receiveBytes, into: &input) > 0 {
                    if lane.mustKnock(.room) { try socket.knock() }
                    heard = Clock.monotonic
                    pinged = false
                    try handle()
                } else if !hasWork {
                    try look(at: socket, lane)
                }
                try keepAlive(heard, &pinged, deadline)
            }
        } catch let error as ClientError {
            return error
        } catch {
            return .connectionLost("\(error)")
        }
    }

    /// Whether the server is still there; and what was meant to wake the thread is taken.
    private func look(at socket: Socket, _ lane: Lane) throws {
        for index in 0..<(try poller.wait(0)) {
            if poller.event(index).token == ConnectionThread.wakeToken {
                connection.wake.take()
            } else if !lane.hasInput {
                throw ClientError.connectionLost("the server closed it")
            }
        }
    }

    private mutating func receive(_ socket: Socket) throws {
        var wanted = 0
        if case .incomplete(let frame) = try FrameSplitter.next(in: input.bytes, at: 0, limit: connection.options.frameBytes) { wanted = frame }
        // A large frame is received in few pieces, but only as fast as its bytes really come.
        let room = max(ConnectionThread.receiveBytes, min(wanted - input.count, input.count + ConnectionThread.receiveBytes))
        do {
            guard try socket.receive(upTo: room, into: &input, .nonblocking) > 0 else { throw ClientError.connectionLost("the server closed it") }
        } catch let error as Errno where error == .wouldBlock {
            return
        }
        try handle()
    }

    /// Hands out every whole frame of the input. What is sent in consequence leaves in one go at the end.
    private mutating func handle() throws {
        var at = 0
        connection.cork()
        defer { connection.uncork() }
        do {
            while case .frame(let header) = try FrameSplitter.next(in: input.bytes, at: at, limit: connection.options.frameBytes) {
                try FrameDispatch.dispatch(header, input.bytes, at, to: connection)
                at += header.size
            }
        } catch let error as ClientError {
            throw error
        } catch {
            throw ClientError.protocolViolation("a frame that cannot be read (\(error))")
        }
        input.removeFirst(at)
        if input.isEmpty, input.capacity > 4 * ConnectionThread.receiveBytes { input.release() }
    }

    // MARK: Waiting

    /// Waits before the next attempt; time-outs go on, and closing ends it.
    private func pause(_ time: Duration) {
        let end = Clock.monotonic &+ time.nanoseconds
        while true {
            let (_, deadline, isClosed) = connection.work
            let now = Clock.monotonic
            if isClosed || now >= end { return }
            let next = min(deadline, end)
            let events = (try? poller.wait(next > now ? next - now : 0)) ?? 0
            if events > 0 { connection.wake.take() }
            if Clock.monotonic >= deadline { connection.expire(Clock.monotonic) }
        }
    }
}
