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

    /// The least payload: sequence and intended send time.
    static let leastSize = BenchPayload.headSize
}
