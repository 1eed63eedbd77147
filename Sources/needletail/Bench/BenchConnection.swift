import Bytes
import LinuxSystem
import NativeCodec

/// The load generator's own connection: NativeCodec on a blocking socket, or on shared memory, for one thread, without a queue between the two.
struct BenchConnection: ~Copyable {
    let socket: Socket
    /// Shared memory that has taken the socket's place.
    private var lane: Lane?
    private let spin: UInt64
    private(set) var input = ByteBuffer()
    /// What of `input` was handed out.
    private var consumed = 0
    private var correlation: UInt64 = 1 << 40
    private let poller: Poller
    /// How long a receive from the socket waits; 0: for ever.
    private var timeout: Int32 = 0

    static let frameLimit = 64 << 20
    static let receiveBytes = 1 << 20
    /// After sleeping so long on shared memory the socket is asked whether the broker is still there.
    private static let patience: UInt64 = 20_000_000

    static func open(_ settings: BenchSettings) throws -> BenchConnection {
        var connection = try open(settings.server, spin: settings.spinNanoseconds)
        if settings.transport == .shm { try connection.openLane() }
        return connection
    }

    static func open(_ server: ServerAddress, spin: UInt64 = 0) throws -> BenchConnection {
        let place: SocketAddress
        switch server {
        case .unix(let path), .sharedMemory(let path): place = .unix(path: path)
        case .tcp(let host, let port):
            guard let first = try SocketAddress.resolve(host: host, port: port).first else { throw CommandFailure(.cannotConnect, "\(host) has no address") }
            place = first
        }
        let poller = try Poller()
        var connection = BenchConnection(try Socket.make(for: place, .blocking), poller, spin: spin)
        do {
            try connection.socket.connect(to: place)
        } catch {
            throw CommandFailure(.cannotConnect, "cannot connect to \(server): \(error)")
        }
        try poller.add(connection.socket.descriptor, .read, token: 0)
        if case .unix = place {} else { try? connection.socket.setNoDelay() }
        var hello = ByteBuffer()
        Frame.Hello(maxFrameBytes: UInt32(frameLimit), features: Frame.Hello.lanes, client: "needletail bench").encode(to: &hello)
        try connection.send(&hello)
        _ = try connection.expect(Frame.Welcome.self)
        return connection
    }

    private init(_ socket: Socket, _ poller: Poller, spin: UInt64) {
        self.socket = socket
        self.poller = poller
        self.spin = spin
    }

    deinit { socket.close() }

    /// Goes on through shared memory.
    private mutating func openLane() throws {
        var frame = ByteBuffer()
        Frame.OpenLane().encode(to: &frame, correlation: 1)
        try socket.sendAll(frame.bytes)
        guard try socket.wait(for: .read, milliseconds: 10_000) else { throw CommandFailure(.failure, "the broker does not answer") }
        input.clear()
        consumed = 0
        let (_, file) = try socket.receiveFile(upTo: 4_096, into: &input)
        defer { try? file?.close() }
        _ = try expect(Frame.LaneOpened.self)
        guard let file else { throw CommandFailure(.failure, "the broker opened a lane and sent no memory") }
        lane = try Lane.attach(file)
    }

    /// Asks and waits for the answer; to be used while nothing else is on its way.
    mutating func call<Body: FrameBody>(_ request: some FrameBody, _: Body.Type) throws -> Body {
        var frame = ByteBuffer()
        correlation += 1
        request.encode(to: &frame, correlation: correlation)
        try send(&frame)
        return try expect(Body.self)
    }

    private mutating func expect<Body: FrameBody>(_: Body.Type) throws -> Body {
        while true {
            guard let header = try next() else {
                guard try receive() else { throw CommandFailure(.failure, "the broker closed the connection") }
                continue
            }
            let start = consumed - header.size
            if header.type == Body.type.rawValue { return try Body.decode(header, in: input.bytes, at: start) }
            if header.type == FrameType.error.rawValue {
                let failure = try Frame.Failure.decode(header, in: input.bytes, at: start)
                throw CommandFailure(.refused, "the broker refused: \(failure.text) (\(failure.code))")
            }
            throw CommandFailure(.failure, "the broker answers with a frame of type \(header.type)")
        }
    }

    /// The next whole frame of what was received, which begins `header.size` before `position`; nil when more must come.
    mutating func next() throws(FrameError) -> FrameHeader? {
        guard case .frame(let header) = try FrameSplitter.next(in: input.bytes, at: consumed, limit: BenchConnection.frameLimit) else { return nil }
        consumed += header.size
        return header
    }

    /// Behind the frame that `next` answered last.
    var position: Int { consumed }

    // MARK: Bytes

    /// Sends all of `output` and clears it.
    mutating func send(_ output: inout ByteBuffer) throws(Errno) {
        guard let lane else {
            try socket.sendAll(output.bytes)
            return output.clear()
        }
        var done = 0
        while true {
            done += try lane.write(output.bytes.extracting(done..<output.count))
            lane.show()
            if lane.mustKnock(.input) { try socket.knock() }
            if done == output.count { return output.clear() }
            // Whoever does not read may not be given room: what comes meanwhile is taken.
            _ = try lane.clientWaits(wantsRoom: true, spin: spin, sleep: BenchConnection.patience)
            if try lane.read(upTo: BenchConnection.receiveBytes, into: &input) == 0 { try confirmAlive() }
        }
    }

    /// Receives more; false when the broker has closed its side. Frames handed out before are gone.
    mutating func receive(_ blocking: Socket.Blocking = .blocking) throws(Errno) -> Bool {
        forget()
        guard let lane else {
            if blocking == .blocking { try setTimeout(0) }
            return try receiveFromSocket(blocking)
        }
        while try lane.read(upTo: BenchConnection.receiveBytes, into: &input) == 0 {
            if blocking == .nonblocking { throw .wouldBlock }
            if try !lane.clientWaits(spin: spin, sleep: BenchConnection.patience) { try confirmAlive() }
        }
        if lane.mustKnock(.room) { try socket.knock() }
        return true
    }

    /// Receives what is there, within a time; false when nothing came.
    mutating func receive(within milliseconds: Int32) throws(Errno) -> Bool {
        if lane == nil, spin == 0 {
            // One system call: whoever waits for a message waits in its receive.
            forget()
            try setTimeout(milliseconds)
            do throws(Errno) {
                guard try receiveFromSocket(.blocking) else { throw .connectionReset }
                return true
            } catch .wouldBlock { return false }
        }
        guard try wait(UInt64(milliseconds) * 1_000_000) else { return false }
        guard try receive() else { throw .connectionReset }
        return true
    }

    private mutating func receiveFromSocket(_ blocking: Socket.Blocking) throws(Errno) -> Bool {
        try socket.receive(upTo: BenchConnection.receiveBytes, into: &input, blocking) > 0
    }

    private mutating func setTimeout(_ milliseconds: Int32) throws(Errno) {
        guard milliseconds != timeout else { return }
        try socket.setReceiveTimeout(milliseconds: milliseconds)
        timeout = milliseconds
    }

    /// Waits until something has arrived; false after `nanoseconds`.
    func wait(_ nanoseconds: UInt64) throws(Errno) -> Bool {
        guard let lane else {
            // A socket has no memory to look at: it is asked.
            let end = spin > 0 ? Clock.monotonic + min(spin, nanoseconds) : 0
            while Clock.monotonic < end { if try poller.wait(0) > 0 { return true } }
            return try poller.wait(nanoseconds) > 0
        }
        if try lane.clientWaits(spin: min(spin, nanoseconds), sleep: nanoseconds) { return true }
        try confirmAlive()
        return false
    }

    private mutating func forget() {
        guard consumed > 0 else { return }
        input.removeFirst(consumed)
        consumed = 0
    }

    /// The socket says nothing any more but that the broker has gone.
    private func confirmAlive() throws(Errno) {
        guard try poller.wait(0) > 0, lane?.hasInput != true else { return }
        throw .connectionReset
    }
}
