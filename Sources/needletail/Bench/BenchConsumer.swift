import Bytes
import LinuxSystem
import NativeCodec
import Observability
import SegmentLog

/// Reads the whole topic from one thread, verifies every message and records how long it was on its way. The clock is read once for
/// what arrived together.
struct BenchConsumer: ~Copyable {
    private static let consumer: UInt32 = 1
    private static let messageCredit: Int32 = 900_000
    private static let byteCredit: Int64 = 64 << 20
    /// After this long without a message, with all sent, the rest counts as lost.
    private static let patience: UInt64 = 5_000_000_000

    private let run: BenchRun
    private let histogram: Histogram
    private var connection: BenchConnection
    private var verifier: BenchVerifier
    private var output = ByteBuffer()
    private var messagesTaken: Int64 = 0
    private var bytesTaken: Int64 = 0

    static func run(_ run: BenchRun, index: Int) throws {
        var connection = try BenchConnection.open(run.settings.server)
        _ = try connection.call(
            Frame.Subscribe(
                consumer: BenchConsumer.consumer, topic: run.settings.topic, name: "", mode: .exclusive, start: .earliest, form: .batches,
                messageCredit: BenchConsumer.messageCredit, byteCredit: BenchConsumer.byteCredit, settlesItself: true),
            Frame.Subscribed.self)
        var consumer = BenchConsumer(run, index, connection)
        try consumer.work()
    }

    private init(_ run: BenchRun, _ index: Int, _ connection: consuming BenchConnection) {
        self.run = run
        histogram = run.delivered[index]
        verifier = BenchVerifier(producers: run.settings.producers)
        self.connection = connection
    }

    private mutating func work() throws {
        _ = run.awaitStart()
        var last = Clock.monotonic
        while !run.hasFailed {
            if let total = run.totalSent {
                if verifier.received >= total || Clock.monotonic - last > BenchConsumer.patience { break }
            }
            guard try connection.receive(within: 50) else { continue }
            let now = Clock.monotonic
            while let header = try connection.next() { try take(header, now) }
            last = now
            try giveCredit()
        }
        run.consumerEnded(verifier, at: last)
    }

    private mutating func take(_ header: FrameHeader, _ now: UInt64) throws {
        let at = connection.position - header.size
        guard header.type == FrameType.deliverBatches.rawValue else {
            let failure = try? Frame.Failure.decode(header, in: connection.input.bytes, at: at)
            throw CommandFailure(.refused, "the broker ended the reader: \(failure.map { "\($0.text) (\($0.code))" } ?? "frame \(header.type)")")
        }
        let frame = try Frame.DeliverBatches.decode(header, in: connection.input.bytes, at: at)
        messagesTaken += frame.head.last - frame.head.first + 1
        bytesTaken += Int64(frame.batches.count)
        try BenchConsumer.verify(connection, frame, now, &verifier, histogram)
    }

    private mutating func giveCredit() throws {
        guard messagesTaken > Int64(BenchConsumer.messageCredit / 4) || bytesTaken > BenchConsumer.byteCredit / 4 else { return }
        Frame.Credit(consumer: BenchConsumer.consumer, messages: Int32(clamping: messagesTaken), bytes: bytesTaken).encode(to: &output)
        try connection.socket.sendAll(output.bytes)
        output.clear()
        messagesTaken = 0
        bytesTaken = 0
    }

    /// Walks the records of whole batches between the offsets that were handed over.
    private static func verify(
        _ connection: borrowing BenchConnection, _ frame: Frame.DeliverBatches, _ now: UInt64, _ verifier: inout BenchVerifier, _ histogram: Histogram
    ) throws(ByteError) {
        let head = frame.head
        var reader = ByteReader(connection.input.bytes.extracting(frame.batches.indices))
        while !reader.isAtEnd {
            let start = reader.position
            let base: Int64 = try reader.big()
            let length: Int32 = try reader.big()
            let end = start + 12 + Int(length)
            try reader.seek(to: start + RecordBatchHeader.byteCount - 4)
            let count: Int32 = try reader.big()
            for _ in 0..<max(0, count) {
                let size = Int(truncatingIfNeeded: try reader.varInt())
                let next = reader.position &+ size
                _ = try reader.byte()
                _ = try reader.varInt()
                let offset = base &+ (try reader.varInt())
                let key = try reader.varCount()
                if key > 0 { _ = try reader.range(key) }
                _ = try reader.varCount()
                if offset >= head.first, offset <= head.last {
                    let producer: UInt32 = try reader.little()
                    _ = try reader.little(UInt32.self)
                    let sequence: UInt64 = try reader.little()
                    let intended: UInt64 = try reader.little()
                    verifier.see(producer: producer, sequence: sequence)
                    histogram.record(now > intended ? now &- intended : 0)
                }
                try reader.seek(to: next)
            }
            try reader.seek(to: end)
        }
    }
}
