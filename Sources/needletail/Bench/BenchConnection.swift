import Bytes
import LinuxSystem
import NativeCodec

/// The load generator's own connection: NativeCodec on a blocking socket, for one thread, without a queue between the two.
struct BenchConnection: ~Copyable {
    let socket: Socket
    private(set) var input = ByteBuffer()
    /// What of `input` was handed out.
    private var consumed = 0
    private var correlation: UInt64 = 1 << 40

    static let frameLimit = 64 << 20
    static let receiveBytes = 1 << 20

    static func open(_ server: ServerAddress) throws -> BenchConnection {
        let place: SocketAddress
        switch server {
        case .unix(let path): place = .unix(path: path)
        case .tcp(let host, let port):
            guard let first = try SocketAddress.resolve(host: host, port: port).first else { throw CommandFailure(.cannotConnect, "\(host) has no address") }
            place = first
        }
        var connection = BenchConnection(try Socket.make(for: place, .blocking))
        do {
            try connection.socket.connect(to: place)
        } catch {
            throw CommandFailure(.cannotConnect, "cannot connect to \(server): \(error)")
        }
        if case .unix = place {} else { try? connection.socket.setNoDelay() }
        var hello = ByteBuffer()
        Frame.Hello(maxFrameBytes: UInt32(frameLimit), client: "needletail bench").encode(to: &hello)
        try connection.socket.sendAll(hello.bytes)
        _ = try connection.expect(Frame.Welcome.self)
        return connection
    }

    private init(_ socket: Socket) { self.socket = socket }

    deinit { socket.close() }

    /// Asks and waits for the answer; to be used while nothing else is on its way.
    mutating func call<Body: FrameBody>(_ request: some FrameBody, _: Body.Type) throws -> Body {
        var frame = ByteBuffer()
        correlation += 1
        request.encode(to: &frame, correlation: correlation)
        try socket.sendAll(frame.bytes)
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

    /// Receives more; false when the broker has closed its side. Frames handed out before are gone.
    mutating func receive(_ blocking: Socket.Blocking = .blocking) throws(Errno) -> Bool {
        if consumed > 0 {
            input.removeFirst(consumed)
            consumed = 0
        }
        return try socket.receive(upTo: BenchConnection.receiveBytes, into: &input, blocking) > 0
    }

    /// Receives what is there, within a time; false when nothing came.
    mutating func receive(within milliseconds: Int32) throws(Errno) -> Bool {
        guard try socket.wait(for: .read, milliseconds: milliseconds) else { return false }
        guard try receive() else { throw .connectionReset }
        return true
    }
}
