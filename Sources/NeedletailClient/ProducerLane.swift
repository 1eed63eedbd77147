/// Messages on their way to one place (a partition of a topic, or an exchange under one routing key), in the order of publishing.
///
///     add → open ── full, lingered or flushed ──→ waiting ── room in the window ──→ in flight ── answered ──→ gone
///
/// At most `window` batches are in flight. A lane without linger sends at once while its window has room and gathers while it has
/// none, so batches grow with the load by themselves. A pure state machine: its owner sends what it answers.
struct ProducerLane: Sendable {
    /// Messages that travel together, and who waits for them.
    struct Batch: Sendable {
        let number: UInt64
        var builder = RecordBatchBuilder()
        /// Bytes of the producer's budget that return when the batch is settled.
        var charged = 0
        var receipts: [(index: Int64, promise: Promise<Receipt>)] = []
        var flushes: [FlushWait] = []
        /// Nobody waits any longer for more messages: the linger passed, or a flush wants it gone.
        var isDue: Bool
    }

    /// A batch that leaves now, with the sequence of its first message.
    struct Departure: Sendable {
        var number: UInt64
        var bytes: [UInt8]
    }

    let window: Int
    let batchBytes: Int
    let lingers: Bool

    private var open: Batch?
    private var waiting: [Batch] = []
    private(set) var inFlight: [Batch] = []
    private var nextNumber: UInt64 = 0
    private var nextSequence: Int32 = 0

    init(window: Int, batchBytes: Int, lingers: Bool) {
        self.window = window
        self.batchBytes = batchBytes
        self.lingers = lingers
    }

    var isEmpty: Bool { open == nil && waiting.isEmpty && inFlight.isEmpty }

    /// Takes one message. Answers the number of the batch that it opened, whose linger begins now; nil when it joined one.
    mutating func add(
        key: [UInt8]?, payload: [UInt8]?, headers: [Header], timestamp: Int64, charged: Int, promise: Promise<Receipt>?
    ) -> UInt64? {
        if let full = open, full.builder.bytes.count + charged > batchBytes { close() }
        var opened: UInt64?
        if open == nil {
            open = Batch(number: nextNumber, isDue: !lingers)
            opened = nextNumber
            nextNumber += 1
        }
        let index = Int64(open?.builder.count ?? 0)
        open?.builder.add(key: key, payload: payload, headers: headers, timestamp: timestamp)
        open?.charged += charged
        if let promise { open?.receipts.append((index, promise)) }
        if let full = open, full.builder.bytes.count >= batchBytes { close() }
        return opened
    }

    /// The linger of this batch has passed.
    mutating func lingered(_ number: UInt64) {
        if open?.number == number { open?.isDue = true }
    }

    /// Everything taken so far shall leave; `wait` is told when it is settled.
    mutating func flush(_ wait: FlushWait) {
        open?.isDue = true
        open?.flushes.append(wait.joined())
        for index in waiting.indices { waiting[index].flushes.append(wait.joined()) }
        for index in inFlight.indices { inFlight[index].flushes.append(wait.joined()) }
    }

    /// The next batch that may leave now, sealed with `identity` and the lane's sequence.
    mutating func depart(_ identity: ProducerIdentity?) -> Departure? {
        guard inFlight.count < window else { return nil }
        if waiting.isEmpty, let due = open, due.isDue { close() }
        guard !waiting.isEmpty else { return nil }
        var batch = waiting.removeFirst()
        // Taken out, so that sealing happens in place and the connection alone keeps the bytes until the answer.
        var builder = RecordBatchBuilder()
        swap(&builder, &batch.builder)
        let count = builder.count
        let bytes = builder.seal(producer: identity, sequence: nextSequence)
        // Kafka's sequences go from the largest back to 0.
        nextSequence = (nextSequence &+ count) & Int32.max
        inFlight.append(batch)
        return Departure(number: batch.number, bytes: bytes)
    }

    /// The batch was answered, or given up; it is the caller's to settle.
    mutating func answered(_ number: UInt64) -> Batch? {
        guard let index = inFlight.firstIndex(where: { $0.number == number }) else { return nil }
        return inFlight.remove(at: index)
    }

    /// A new identity counts from 0.
    mutating func restartSequence() { nextSequence = 0 }

    /// Gives up what has not left yet.
    mutating func abandon() -> [Batch] {
        close()
        defer { waiting = [] }
        return waiting
    }

    private mutating func close() {
        if let full = open { waiting.append(full) }
        open = nil
    }
}
