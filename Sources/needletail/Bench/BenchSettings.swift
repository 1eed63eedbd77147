import NativeCodec

/// What one run of `needletail bench` measures.
struct BenchSettings: Sendable {
    enum Workload: String, CaseIterable, Sendable {
        /// Acknowledged publishes.
        case ingest
        /// Through the broker, every message verified by sequence.
        case stream
        /// Open loop at a fixed rate, timed from the intended send time.
        case latency
        /// As `stream`, to many.
        case fanout
        /// Consumers compete, each message settled by the one that got it.
        case queue
        /// What was stored before is read.
        case catchup

        /// How many read unless it is said.
        var defaultConsumers: Int {
            switch self {
            case .ingest: 0
            case .stream, .latency, .catchup: 1
            case .queue: 4
            case .fanout: 8
            }
        }

        var defaultSize: Int {
            switch self {
            case .ingest, .stream, .fanout, .queue: 100
            case .latency: 128
            case .catchup: 1_024
            }
        }
    }

    var workload: Workload
    var server: ServerAddress
    /// Bytes of a message's payload.
    var size: Int
    /// Messages a second over all producers; nil: as fast as the window allows.
    var rate: Int?
    var seconds: Double
    /// Ends the run early.
    var messages: Int?
    /// Messages in a record batch.
    var batch: Int
    /// Batches in flight for each producer.
    var window: Int
    var durability: Frame.Durability
    var producers: Int
    var consumers: Int
    var topic: String
    var transport = Transport.tcp
    /// What a broker of its own was told to do without work.
    var wait: String?
    /// How long the generator, and a broker of its own that is adaptive, look for more before they sleep.
    var spinNanoseconds: UInt64 = 0
    /// One thread publishes and reads in turn, so that a broker that spins has a core for itself on a machine of two.
    var isTogether = false

    enum Transport: String, CaseIterable, Sendable { case tcp, unix, shm }

    /// What a catch-up reads unless a number of messages is said.
    static let backlogBytes = 2 << 30
    /// How many messages arrive when `count` are published.
    func deliveries(of count: Int) -> Int { workload == .queue ? count : count * consumers }

    /// The least payload: sequence and intended send time.
    static let leastSize = BenchPayload.headSize
}
