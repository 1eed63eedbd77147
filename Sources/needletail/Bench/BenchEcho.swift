import Bytes
import LinuxSystem
import Observability
import Synchronization

/// The physical limit beside each run: the same bytes over loopback TCP on a route without a broker, which this closes.
enum BenchEcho {
    /// From the intended send time of a message to its arrival, at a fixed rate, everybody sleeping in between but perhaps who is on the
    /// route: an open loop as in the latency workload.
    static func latency(over route: BenchRoute, size: Int, rate: Int, seconds: Double) throws -> HistogramSnapshot {
        let size = max(size, BenchPayload.headSize)
        defer { route.close() }
        let total = max(1, Int(seconds * Double(rate)))
        let start = Clock.monotonic + 10_000_000
        let sender = try Thread.spawn("bench-echo-send") {
            Clock.setTimerSlack(nanoseconds: 1)
            var payload = BenchPayload(producer: 0, size: size)
            var output = ByteBuffer()
            var answers = ByteBuffer()
            for number in 0..<total {
                let due = start + UInt64(Double(number) * 1e9 / Double(rate))
                let now = Clock.monotonic
                if due > now { Clock.sleep(nanoseconds: due - now) }
                payload.set(sequence: UInt64(number), intended: due)
                output.clear()
                payload.add(into: &output)
                guard (try? route.entry.sendAll(output.bytes)) != nil else { return }
                route.takeAnswers(into: &answers)
            }
        }
        let histogram = Histogram()
        var input = ByteBuffer()
        var received = 0
        while received < total {
            guard try route.exit.receive(upTo: 64 << 10, into: &input) > 0 else { break }
            received += try record(input: &input, size, histogram)
        }
        sender.join()
        return histogram.snapshot()
    }

    /// The same with nobody asleep: one thread sends and receives in turn.
    static func latencyAwake(over route: BenchRoute, size: Int, rate: Int, seconds: Double) throws -> HistogramSnapshot {
        let size = max(size, BenchPayload.headSize)
        defer { route.close() }
        let total = max(1, Int(seconds * Double(rate)))
        let start = Clock.monotonic + 10_000_000
        let histogram = Histogram()
        var payload = BenchPayload(producer: 0, size: size)
        var output = ByteBuffer()
        var input = ByteBuffer()
        var answers = ByteBuffer()
        var (sent, received) = (0, 0)
        while received < total {
            let due = start + UInt64(Double(sent) * 1e9 / Double(rate))
            if sent < total, Clock.monotonic >= due {
                payload.set(sequence: UInt64(sent), intended: due)
                output.clear()
                payload.add(into: &output)
                try route.entry.sendAll(output.bytes)
                sent += 1
            }
            if sent > received { route.takeAnswers(into: &answers) }
            do throws(Errno) {
                if try route.exit.receive(upTo: 64 << 10, into: &input, .nonblocking) == 0 { break }
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
        let route = try BenchRoute.echo()
        defer { route.close() }
        let start = Clock.monotonic
        let end = start + UInt64(seconds * 1e9)
        let sender = try Thread.spawn("bench-echo-send") {
            var output = ByteBuffer()
            output.appendZeros(max(1, pieceBytes))
            while Clock.monotonic < end, (try? route.entry.sendAll(output.bytes)) != nil {}
            route.entry.shutDown(.write)
        }
        var input = ByteBuffer()
        var bytes = 0
        while true {
            input.clear()
            let count = try route.exit.receive(upTo: 1 << 20, into: &input)
            if count == 0 { break }
            bytes += count
        }
        let elapsed = Clock.monotonic - start
        sender.join()
        return Double(bytes) * 1e9 / Double(max(1, elapsed))
    }
}
