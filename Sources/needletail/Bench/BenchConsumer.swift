import Bytes
import LinuxSystem
import NativeCodec
import Observability
import SegmentLog

/// Reads the whole topic, or its share of a queue, from one thread, verifies every message and records how long it was on its way. The
/// clock is read once for what arrived together; of a queue it is settled together too, in order of arrival.
struct BenchConsumer: ~Copyable {
    private static let consumer: UInt32 = 1
    /// After this long without a message, with all sent, the rest counts as lost.
    static let patience: UInt64 = 5_000_000_000

    private let run: BenchRun
    private let histogram: Histogram
    private let credit: (messages: Int32, bytes: Int64)
    private var connection: BenchConnection
    private var verifier: BenchVerifier
    private var output = ByteBuffer()
    private var messagesTaken: Int64 = 0
    private var bytesTaken: Int64 = 0
    /// What came since the last settlement; a reader of its own has nothing to settle.
    private var unsettled: [Frame.Settle.Range] = []
    private var isCompeting: Bool { run.settings.workload == .queue }

    static func run(_ run: BenchRun, index: Int) throws {
        var consumer = try open(run, index: index)
        try consumer.work()
    }

    /// Subscribes.
    static func open(_ run: BenchRun, index: Int) throws -> BenchConsumer {
        var connection = try BenchConnection.open(run.settings)
        // A backlog is asked for when the time begins, not before.
        if run.settings.workload == .catchup { run.pauseUntilStart() }
        let competes = run.settings.workload == .queue
        // Competing consumers hold little at a time, or one of them would hold everything.
        let credit: (messages: Int32, bytes: Int64) = competes ? (20_000, 8 << 20) : (900_000, 64 << 20)
        _ = try connection.call(
            Frame.Subscribe(
                consumer: BenchConsumer.consumer, topic: run.settings.topic, name: competes ? "workers" : "", mode: competes ? .shared : .exclusive,
                start: .earliest, form: .batches, messageCredit: credit.messages, byteCredit: credit.bytes, settlesItself: !competes),
            Frame.Subscribed.self)
        return BenchConsumer(run, index, connection, credit)
    }

    private init(_ run: BenchRun, _ index: Int, _ connection: consuming BenchConnection, _ credit: (messages: Int32, bytes: Int64)) {
        self.run = run
        self.credit = credit
        histogram = run.delivered[index]
        verifier = BenchVerifier(producers: run.settings.producers)
        self.connection = connection
    }

    private mutating func work() throws {
        if run.settings.workload != .catchup { _ = run.awaitStart() }
        var last = Clock.monotonic
        while !run.hasFailed {
            if let total = run.totalSent {
                if (isCompeting ? run.receivedByAll : verifier.received) >= total || Clock.monotonic - last > BenchConsumer.patience { break }
            }
            guard try connection.receive(within: 50) else { continue }
            last = try takeAll()
        }
        run.consumerEnded(verifier, at: last)
    }

    /// Takes what was received; answers when that was.
    private mutating func takeAll() throws -> UInt64 {
        let now = Clock.monotonic
        let seen = verifier.received
        while let header = try connection.next() { try take(header, now) }
        run.received(verifier.received - seen)
        try answer()
        return now
    }

    /// Takes what is there, if anything is; answers how much has been seen in all. For one thread that publishes too.
    mutating func look() throws -> Int {
        do throws(Errno) { _ = try connection.receive(.nonblocking) } catch .wouldBlock { return verifier.received }
        _ = try takeAll()
        return verifier.received
    }

    mutating func end(at time: UInt64) { run.consumerEnded(verifier, at: time) }

    private mutating func take(_ header: FrameHeader, _ now: UInt64) throws {
        let at = connection.position - header.size
        guard header.type == FrameType.deliverBatches.rawValue else {
            let failure = try? Frame.Failure.decode(header, in: connection.input.bytes, at: at)
            throw CommandFailure(.refused, "the broker ended the reader: \(failure.map { "\($0.text) (\($0.code))" } ?? "frame \(header.type)")")
        }
        let frame = try Frame.DeliverBatches.decode(header, in: connection.input.bytes, at: at)
        messagesTaken += frame.head.last - frame.head.first + 1
        bytesTaken += Int64(frame.batches.count)
        if isCompeting {
            unsettled.append(Frame.Settle.Range(partition: frame.head.partition, outcome: .accept, first: frame.head.first, last: frame.head.last))
            if unsettled.count == Frame.Settle.maxRanges { try answer() }
        }
        try BenchConsumer.verify(connection, frame, now, &verifier, histogram)
    }

    /// Settles what came, and gives credit for more when a quarter of it is used up.
    private mutating func answer() throws {
        if !unsettled.isEmpty {
            Frame.Settle(consumer: BenchConsumer.consumer, confirm: false, ranges: unsettled).encode(to: &output)
            unsettled.removeAll(keepingCapacity: true)
        }
        if messagesTaken > Int64(credit.messages / 4) || bytesTaken > credit.bytes / 4 {
            Frame.Credit(consumer: BenchConsumer.consumer, messages: Int32(clamping: messagesTaken), bytes: bytesTaken).encode(to: &output)
            messagesTaken = 0
            bytesTaken = 0
        }
        guard !output.isEmpty else { return }
        try connection.send(&output)
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
