import Bytes
import LinuxSystem

/// What stands between the generator and its reader where no broker does: one thread, over loopback TCP. It ends with the route.
struct BenchRoute {
    /// Messages go in here …
    let entry: Socket
    /// … and come out here; for the echo it is the same connection.
    let exit: Socket

    /// What is kept of the messages at most; then it is written over.
    private static let keptBytes = 64 << 20
    /// As many bytes as the native protocol's PUBLISHED.
    private static let answerBytes = 40

    /// What the relay has said on `entry`; nobody waits for it.
    func takeAnswers(into buffer: inout ByteBuffer) {
        guard exit.descriptor != entry.descriptor else { return }
        _ = try? entry.receive(upTo: 64 << 10, into: &buffer, .nonblocking)
        buffer.clear()
    }

    func close() {
        entry.close()
        if exit.descriptor != entry.descriptor { exit.close() }
    }

    /// Returns what it receives, and does nothing else.
    static func echo(_ waiting: Socket.Blocking = .blocking) throws -> BenchRoute {
        let (near, far) = try pair()
        _ = try Thread.spawn("bench-echo") {
            var buffer = ByteBuffer()
            while let count = try? receive(far, &buffer, waiting), count > 0, (try? far.sendAll(buffer.bytes)) != nil { buffer.clear() }
            far.close()
        }
        return BenchRoute(entry: near, exit: near)
    }

    /// The least that a broker does which keeps its messages: receives from one connection, writes to a file, sends on over another connection
    /// and answers the first.
    ///
    /// - Parameters:
    ///   - place: the directory of the file, which is gone at the end.
    ///   - flushes: the file is flushed before anything is sent.
    static func relay(_ waiting: Socket.Blocking = .blocking, in place: String, flushes: Bool) throws -> BenchRoute {
        let path = "\(place)/needletail-bench-relay-\(Clock.monotonic)"
        let file = try File.open(path, [.readWrite, .create, .exclusive])
        try? FileSystem.remove(path)
        try file.allocate(keptBytes)
        let ((near, far), (exit, sink)) = (try pair(), try pair())
        _ = try Thread.spawn("bench-relay") {
            var buffer = ByteBuffer()
            var end = 0
            var answer = ByteBuffer()
            answer.appendZeros(answerBytes)
            do {
                while try receive(far, &buffer, waiting) > 0 {
                    if end + buffer.count > keptBytes { end = 0 }
                    try file.write(buffer.bytes.region, at: end)
                    end += buffer.count
                    if flushes { try file.syncData() }
                    try sink.sendAll(buffer.bytes)
                    try far.sendAll(answer.bytes)
                    buffer.clear()
                }
            } catch {}
            far.close()
            sink.close()
            try? file.close()
        }
        return BenchRoute(entry: near, exit: exit)
    }

    /// Both ends of a connection.
    private static func pair() throws -> (Socket, Socket) {
        let any = SocketAddress.ipv4(0x7f00_0001, port: 0)
        let listener = try Socket.make(for: any, .blocking)
        defer { listener.close() }
        try listener.bind(to: any)
        try listener.listen(backlog: 1)
        guard let address = listener.localAddress else { throw Errno.invalid }
        let near = try Socket.make(for: address, .blocking)
        try near.connect(to: address)
        try near.setNoDelay()
        let far = try listener.accept(.blocking)
        try far.setNoDelay()
        return (near, far)
    }

    /// Waits for bytes, asleep or awake; 0 when no more come.
    private static func receive(_ socket: Socket, _ input: inout ByteBuffer, _ waiting: Socket.Blocking) throws(Errno) -> Int {
        while true {
            do throws(Errno) { return try socket.receive(upTo: 1 << 20, into: &input, waiting) } catch {
                guard error == .wouldBlock else { throw error }
            }
        }
    }
}
