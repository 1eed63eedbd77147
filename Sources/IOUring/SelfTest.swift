internal import Bytes
internal import CUring
internal import LinuxSystem

/// Small trials of one ring, each a few system calls long. Each throws what went wrong: the kernel's own error, `timedOut` when
/// nothing came, `protocolError` when what came is not what was asked for.
struct SelfTest {
    private let ring: Ring
    private static let id = OperationID(kind: 1, generation: 7, slot: 42)
    private static let cancelID = OperationID(kind: 2, generation: 0, slot: 0)

    init(_ ring: Ring) { self.ring = ring }

    func wakesFromWaiting() throws(Errno) {
        ring.nothing(id: SelfTest.id)
        let done = try next()
        try check(done.result == 0 && !done.hasMore)
    }

    func knows(_ operation: Int32) throws(Errno) {
        // Safety: the ring is set up.
        guard unsafe curing_supports(ring.ring, operation) > 0 else { throw .notSupported }
    }

    /// Two arrivals, each in a buffer of its own and read back, then the end.
    func receives(multishot: Bool) throws(Errno) {
        let buffers = try BufferRing(ring, group: 99, count: 4, bytesEach: 64)
        try withPair { (near: Socket, far: Socket) throws(Errno) in
            ring.receive(near, buffers, multishot: multishot, id: SelfTest.id)
            for round: UInt8 in 1...2 {
                try far.sendAll([round, round].rawSpan)
                let arrival = try next()
                if let error = arrival.error { throw error }
                guard let buffer = arrival.buffer, arrival.result == 2, arrival.hasMore == multishot else { throw .protocolError }
                let bytes = buffers.bytes(buffer, 2)
                var reader = ByteReader(bytes)
                let first = try? reader.byte()
                buffers.recycle(buffer)
                try check(first == round)
                if !multishot { ring.receive(near, buffers, multishot: false, id: SelfTest.id) }
            }
            far.shutDown(.write)
            let end = try next()
            try check(end.result == 0 && !end.hasMore)
        }
    }

    func cancels() throws(Errno) {
        let buffers = try BufferRing(ring, group: 99, count: 4, bytesEach: 64)
        try withPair { (near: Socket, far: Socket) throws(Errno) in
            ring.receive(near, buffers, multishot: false, id: SelfTest.id)
            ring.cancelAll(on: near, id: SelfTest.cancelID)
            var results: [OperationID: Int32] = [:]
            for _ in 0..<2 {
                let done = try next()
                results[done.id] = done.result
            }
            if let failed = results[SelfTest.cancelID], failed < 0 { throw Errno(-failed) }
            try check(results[SelfTest.id] == -Errno.cancelled.rawValue)
        }
    }

    /// Two connections from one submission, each a descriptor that is one.
    func accepts() throws(Errno) {
        guard let loopback = SocketAddress(host: "127.0.0.1", port: 0) else { throw .invalid }
        let listener = try Socket.make(for: loopback, .nonblocking)
        defer { listener.close() }
        try listener.bind(to: loopback)
        try listener.listen(backlog: 4)
        guard let address = listener.localAddress else { throw .invalid }
        ring.accept(listener, multishot: true, id: SelfTest.id)
        var failure: Errno?
        for _ in 0..<2 {
            let client = try Socket.make(for: address, .blocking)
            defer { client.close() }
            try client.connect(to: address)
            let accepted = try next()
            if let error = accepted.error {
                failure = error
                break
            }
            let server = Socket(descriptor: accepted.result)
            if server.peerAddress != client.localAddress || !accepted.hasMore { failure = .protocolError }
            server.close()
        }
        try settle()
        if let failure { throw failure }
    }

    func waitsAtLeast() throws(Errno) {
        guard ring.hasMinimumWait else { throw .notSupported }
        ring.nothing(id: SelfTest.id)
        try ring.wait(nanoseconds: 50_000_000, minimumMicroseconds: 100)
        guard let done = ring.take() else { throw .timedOut }
        try check(done.result == 0)
    }

    func sendsMessage() throws(Errno) {
        let theirs = OperationID(kind: OperationID.messageKind, generation: 0, slot: 5)
        ring.message(to: ring.descriptor, value: 11, theirs: theirs, id: SelfTest.id)
        var gotMessage = false
        for _ in 0..<2 {
            let done = try next()
            if let error = done.error { throw error }
            if done.id == theirs { gotMessage = done.result == 11 }
        }
        try check(gotMessage)
    }

    // MARK: Parts

    private func next() throws(Errno) -> Completion {
        for _ in 0..<10 {
            if let completion = ring.take() { return completion }
            try ring.wait(nanoseconds: 100_000_000)
        }
        throw .timedOut
    }

    private func check(_ holds: Bool) throws(Errno) { if !holds { throw .protocolError } }

    private func settle() throws(Errno) {
        guard ring.drain(nanoseconds: 1_000_000_000, { _ in }) else { throw .timedOut }
    }

    /// Two connected sockets; nothing is in flight any more when they go.
    private func withPair(_ body: (Socket, Socket) throws(Errno) -> Void) throws(Errno) {
        let (near, far) = try Socket.pair()
        defer {
            near.close()
            far.close()
        }
        var failure: Errno?
        do throws(Errno) { try body(near, far) } catch { failure = error }
        try settle()
        if let failure { throw failure }
    }
}
