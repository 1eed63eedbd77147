import Bytes
import LinuxSystem
import NativeCodec
import Observability
import SegmentLog

/// Publishes to one partition from one thread: as many batches as the window allows, or (with a rate) each message at its time.
///
/// With a rate the loop is open: the n-th message is due at start + n / rate whatever happened to those before, and that time, not the
/// time of sending, is what latency counts from. Nothing here allocates per message.
struct BenchProducer: ~Copyable {
    private let run: BenchRun
    private let index: Int
    private let histogram: Histogram
    private let target: Frame.Target
    private let limit: Int
    private let durability: Frame.Durability
    /// Nanoseconds between two messages of this producer; 0: no rate.
    private let interval: Double
    private let batch: Int
    private let window: Int
    /// Watches for answers while a message's time is awaited. Only where acknowledgements are what is measured: elsewhere the wake-ups
    /// would take processor time from the broker.
    private let watches: Bool

    private var connection: BenchConnection
    private var payload: BenchPayload
    private var output = ByteBuffer()
    /// Per batch in flight: the intended time of its first message, by correlation.
    private var intended: [UInt64]
    private var departed = 0
    private var answered = 0
    private var sequence: UInt64 = 0
    private var lastBase: Int64 = -1
    private var outOfOrder = 0

    static func run(_ run: BenchRun, index: Int) throws {
        var producer = try open(run, index: index)
        try producer.work()
    }

    static func open(_ run: BenchRun, index: Int) throws -> BenchProducer {
        let connection = try BenchConnection.open(run.settings)
        return BenchProducer(run, index, connection)
    }

    private init(_ run: BenchRun, _ index: Int, _ connection: consuming BenchConnection) {
        let settings = run.settings
        self.run = run
        self.index = index
        histogram = run.acknowledged[index]
        target = .topic(run.topic, partition: Int32(index))
        limit = settings.messages.map { $0 / settings.producers + (index < $0 % settings.producers ? 1 : 0) } ?? .max
        durability = settings.durability
        interval = settings.rate.map { 1e9 * Double(settings.producers) / Double($0) } ?? 0
        batch = settings.batch
        window = settings.window
        intended = Array(repeating: 0, count: settings.window)
        watches = settings.workload == .ingest && settings.rate != nil
        payload = BenchPayload(producer: index, size: settings.size)
        self.connection = connection
    }

    private mutating func work() throws {
        if interval > 0 { Clock.setTimerSlack(nanoseconds: 1) }
        let start = run.pauseUntilStart()
        let end = start &+ UInt64(run.settings.seconds * 1e9)
        var last = start
        var isSending = true
        while isSending || answered < departed {
            let now = Clock.monotonic
            if now >= end || Int(sequence) >= limit || run.isOver { isSending = false }
            var next = UInt64.max
            if isSending { next = fill(now, start) }
            if !output.isEmpty { try connection.send(&output) }
            try takeAnswers()
            if answered < departed { last = Clock.monotonic }
            if next == .max, answered < departed {
                // The window is full, or the run ends: nothing to do but wait.
                guard try connection.receive(within: 10_000) else {
                    throw CommandFailure(.failure, "no acknowledgement within 10 s; \(departed - answered) are missing")
                }
                try takeAnswers()
                last = Clock.monotonic
            } else if isSending, interval > 0 {
                try pause(until: next)
            }
        }
        run.producerEnded(sent: Int(sequence), outOfOrder: outOfOrder, at: last)
    }

    /// Sends what is due and takes what has been answered, without waiting; true when all is sent and answered. For one thread that reads too.
    mutating func look(_ start: UInt64, _ end: UInt64) throws -> Bool {
        let now = Clock.monotonic
        // Not with `&&`: its closure over what cannot be copied is more than the compiler takes.
        var isSending = false
        if now < end, Int(sequence) < limit, !run.isOver { isSending = true }
        if isSending {
            _ = fill(now, start)
            if !output.isEmpty { try connection.send(&output) }
        }
        guard answered < departed else { return !isSending }
        try receiveWhatIsThere()
        try takeAnswers()
        return false
    }

    mutating func end(at time: UInt64) { run.producerEnded(sent: Int(sequence), outOfOrder: outOfOrder, at: time) }

    /// Builds every batch that may leave now. Answers when the next is due: `.max` when the window is full, 0 without a rate.
    private mutating func fill(_ now: UInt64, _ start: UInt64) -> UInt64 {
        while departed - answered < window {
            let count = min(batch, limit - Int(sequence))
            guard count > 0 else { return .max }
            if interval > 0 {
                let due = self.due(sequence &+ UInt64(count - 1), start)
                guard due <= now else { return due }
            }
            intended[departed % window] = interval > 0 ? due(sequence, start) : now
            if batch == 1 { buildMessage(now, start) } else { buildBatch(count, now, start) }
            departed += 1
            // Enough for one send; answers are looked at in between.
            if output.count >= 256 << 10 { break }
        }
        return departed - answered < window ? 0 : .max
    }

    private func due(_ sequence: UInt64, _ start: UInt64) -> UInt64 { start &+ UInt64(Double(sequence) * interval) }

    private mutating func buildBatch(_ count: Int, _ now: UInt64, _ start: UInt64) {
        let frame = output.count
        Frame.PublishBatch(target: target, batch: .empty, durability: durability, wantsAnswer: true).encodeHead(to: &output, correlation: UInt64(departed))
        var builder = RecordBatchBuilder(into: &output)
        let time = Timestamp(milliseconds: Clock.realtimeMilliseconds)
        for _ in 0..<count {
            payload.set(sequence: sequence, intended: interval > 0 ? due(sequence, start) : now)
            payload.add(to: &builder, timestamp: time, into: &output)
            sequence &+= 1
        }
        builder.finish(into: &output)
        // The size was not known when the head was written.
        output.patch(little: UInt32(truncatingIfNeeded: output.count - frame), at: frame)
    }

    private mutating func buildMessage(_ now: UInt64, _ start: UInt64) {
        payload.set(sequence: sequence, intended: interval > 0 ? due(sequence, start) : now)
        Frame.Publish(
            target: target, key: nil, headers: .empty, headerCount: 0, payload: ByteRange(start: 0, count: run.settings.size), timestamp: nil, producer: nil,
            durability: durability, wantsAnswer: true
        ).encodeHead(to: &output, correlation: UInt64(departed))
        payload.add(into: &output)
        sequence &+= 1
    }

    /// Waits for the next message's time, or (where it is watched for) for an answer.
    private mutating func pause(until time: UInt64) throws {
        var now = Clock.monotonic
        guard time > now else { return }
        if watches {
            if try connection.wait(time - now), answered < departed { try receiveWhatIsThere() }
            return
        }
        // Before the wait: what is done behind it makes the next message late.
        if answered < departed {
            try receiveWhatIsThere()
            now = Clock.monotonic
            guard time > now else { return }
        }
        if time - now <= run.settings.spinNanoseconds {
            while Clock.monotonic < time {}
        } else {
            Clock.sleep(nanoseconds: time - now)
        }
    }

    private mutating func receiveWhatIsThere() throws(Errno) {
        do throws(Errno) {
            guard try connection.receive(.nonblocking) else { throw .connectionReset }
        } catch .wouldBlock {}
    }

    private mutating func takeAnswers() throws {
        var now: UInt64 = 0
        while let header = try connection.next() {
            let at = connection.position - header.size
            guard header.type == FrameType.published.rawValue else {
                let failure = try? Frame.Failure.decode(header, in: connection.input.bytes, at: at)
                throw CommandFailure(.refused, "the broker refused a publish: \(failure.map { "\($0.text) (\($0.code))" } ?? "frame \(header.type)")")
            }
            let published = try Frame.Published.decode(header, in: connection.input.bytes, at: at)
            if now == 0 { now = Clock.monotonic }
            let since = intended[Int(header.correlation) % window]
            histogram.record(now > since ? now - since : 0)
            if published.baseOffset <= lastBase { outOfOrder += 1 }
            lastBase = published.baseOffset
            answered += 1
        }
    }
}
