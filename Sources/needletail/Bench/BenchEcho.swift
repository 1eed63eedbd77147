import Bytes
import LinuxSystem
import Observability
import Synchronization

/// The physical limit beside each run: the same bytes over a raw loopback TCP connection, through a thread that sends back what it
/// receives and does nothing else.
enum BenchEcho {
    /// From the intended send time of a message to its return, at a fixed rate, everybody sleeping in between but perhaps the echo: an
    /// open loop as in the latency workload.
    static func latency(size: Int, rate: Int, seconds: Double, isAwake: Bool) throws -> HistogramSnapshot {
        let size = max(size, BenchPayload.headSize)
        let socket = try connect(isAwake ? .nonblocking : .blocking)
        defer { socket.close() }
        let total = max(1, Int(seconds * Double(rate)))
        let start = Clock.monotonic + 10_000_000
        let sender = try Thread.spawn("bench-echo-send") {
            Clock.setTimerSlack(nanoseconds: 1)
            var payload = BenchPayload(producer: 0, size: size)
            var output = ByteBuffer()
            for number in 0..<total {
                let due = start + UInt64(Double(number) * 1e9 / Double(rate))
                let now = Clock.monotonic
                if due > now { Clock.sleep(nanoseconds: due - now) }
                payload.set(sequence: UInt64(number), intended: due)
                output.clear()
                payload.add(into: &output)
                guard (try? socket.sendAll(output.bytes)) != nil else { return }
            }
        }
        let histogram = Histogram()
        var input = ByteBuffer()
        var received = 0
        while received < total {
            guard try socket.receive(upTo: 64 << 10, into: &input) > 0 else { break }
            received += try record(input: &input, size, histogram)
        }
        sender.join()
        return histogram.snapshot()
    }

    /// The same with nobody asleep: one thread sends and receives in turn, the echo looks for more all the time.
    static func latencyAwake(size: Int, rate: Int, seconds: Double) throws -> HistogramSnapshot {
        let size = max(size, BenchPayload.headSize)
        let socket = try connect(.nonblocking)
        defer { socket.close() }
        let total = max(1, Int(seconds * Double(rate)))
        let start = Clock.monotonic + 10_000_000
        let histogram = Histogram()
        var payload = BenchPayload(producer: 0, size: size)
        var output = ByteBuffer()
        var input = ByteBuffer()
        var (sent, received) = (0, 0)
        while received < total {
            let due = start + UInt64(Double(sent) * 1e9 / Double(rate))
            if sent < total, Clock.monotonic >= due {
                payload.set(sequence: UInt64(sent), intended: due)
                output.clear()
                payload.add(into: &output)
                try socket.sendAll(output.bytes)
                sent += 1
            }
            do throws(Errno) {
                if try socket.receive(upTo: 64 << 10, into: &input, .nonblocking) == 0 { break }
            } catch {
                guard error == .wouldBlock else { throw error }
                continue
            }
            received += try record(input: &input, size, histogram)
        }
        return histogram.snapshot()
    }

    /// Takes down how long each whole message was on its way, and answers how many that were.
    private static func record(input: inout ByteBuffer, _ size: Int, _ histogram: Histogram) throws(ByteError) -> Int {
        let now = Clock.monotonic
        let whole = input.count / size
        for index in 0..<whole {
            var reader = ByteReader(input.bytes)
            try reader.seek(to: index * size + 16)
            let intended: UInt64 = try reader.little()
            histogram.record(now > intended ? now - intended : 0)
        }
        input.removeFirst(whole * size)
        return whole
    }

    /// Bytes a second through the echo, in pieces of `pieceBytes`.
    static func throughput(pieceBytes: Int, seconds: Double) throws -> Double {
        let socket = try connect()
        defer { socket.close() }
        let start = Clock.monotonic
        let end = start + UInt64(seconds * 1e9)
        let sender = try Thread.spawn("bench-echo-send") {
            var output = ByteBuffer()
            output.appendZeros(max(1, pieceBytes))
            while Clock.monotonic < end, (try? socket.sendAll(output.bytes)) != nil {}
            socket.shutDown(.write)
        }
        var input = ByteBuffer()
        var bytes = 0
        while true {
            input.clear()
            let count = try socket.receive(upTo: 1 << 20, into: &input)
            if count == 0 { break }
            bytes += count
        }
        let elapsed = Clock.monotonic - start
        sender.join()
        return Double(bytes) * 1e9 / Double(max(1, elapsed))
    }

    /// A connection to an echoing thread that ends with it.
    private static func connect(_ waiting: Socket.Blocking = .blocking) throws -> Socket {
        let any = SocketAddress.ipv4(0x7f00_0001, port: 0)
        let listener = try Socket.make(for: any, .blocking)
        defer { listener.close() }
        try listener.bind(to: any)
        try listener.listen(backlog: 1)
        guard let address = listener.localAddress else { throw Errno.invalid }
        let socket = try Socket.make(for: address, .blocking)
        try socket.connect(to: address)
        try socket.setNoDelay()
        let echo = try listener.accept(.blocking)
        try echo.setNoDelay()
        _ = try Thread.spawn("bench-echo") {
            var buffer = ByteBuffer()
            while let count = try? receive(echo, &buffer, waiting), count > 0, (try? echo.sendAll(buffer.bytes)) != nil { buffer.clear() }
            echo.close()
        }
        return socket
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
