import BrokerCore
import Bytes
import Compression
import KafkaProtocol
import NativeCodec
import NativeProtocol
import NeedletailClient
import Routing
import SegmentLog
import ShardRuntime

/// Everything that reads bytes from outside, by name: what `tools/fuzz` runs, and what the tests replay the corpora through.
package struct FuzzEntry: Sendable {
    package let name: String
    package let bounds: Bounds
    package let run: @Sendable (RawSpan) -> Void
    /// What the neighbours of an input are given to: the entry itself where it is quick, what it decodes with where it works with a whole
    /// log, broker or configuration; nil where there is no such thing.
    package let decoder: Decoder?

    package struct Decoder: Sendable {
        package let bounds: Bounds
        package let run: @Sendable (RawSpan) -> Void
    }

    /// What one input may take: live memory at any moment, and processor time. tools/fuzzer watches both.
    package struct Bounds: Sendable {
        package let bytesPerByte: Int
        package let bytes: Int
        package let milliseconds: Int

        /// Bytes that become values.
        static let decoder = Bounds(bytesPerByte: 64, bytes: 64 << 10, milliseconds: 10)
        /// Bytes that become tables: a node for each word.
        static let tables = Bounds(bytesPerByte: 512, bytes: 64 << 10, milliseconds: 10)
        /// What one of the lane's rings holds, a few times over.
        static let ring = Bounds(bytesPerByte: 64, bytes: 1 << 20, milliseconds: 10)
        /// A session with its answers, some of which are as large as the tables that they show, and the input shown again and again.
        static let session = Bounds(bytesPerByte: 512, bytes: 1 << 20, milliseconds: 100)
        /// What may say that it is much longer than it is. Each is told how long at most.
        static let codec = Bounds(bytesPerByte: 64, bytes: 1 << 20, milliseconds: 20)
        /// The same for who may decompress 256 MiB (`RecordDecoding`, `BatchFilter`): room grows fourfold, and is copied once.
        static let client = Bounds(bytesPerByte: 256, bytes: 640 << 20, milliseconds: 1_000)
        /// A person's file or line: trees of text, and sentences about what is wrong in them.
        static let text = Bounds(bytesPerByte: 1_024, bytes: 4 << 20, milliseconds: 100)
        /// A log, or a broker with its logs, opened and worked with twice; each log holds a segment's memory.
        static let machine = Bounds(bytesPerByte: 256, bytes: 64 << 20, milliseconds: 1_000)
    }

    private init(_ name: String, _ bounds: Bounds, decoder: (@Sendable (RawSpan) -> Void)? = nil, _ run: @escaping @Sendable (RawSpan) -> Void) {
        self.name = name
        self.bounds = bounds
        self.run = run
        self.decoder = Decoder(bounds: bounds, run: decoder ?? run)
    }

    /// One that works with a log or a broker.
    private init(_ name: String, decoder: (@Sendable (RawSpan) -> Void)?, _ run: @escaping @Sendable (RawSpan) -> Void) {
        self.name = name
        bounds = .machine
        self.run = run
        self.decoder = decoder.map { Decoder(bounds: .decoder, run: $0) }
    }

    package static let all = [
        // A peer
        FuzzEntry("frames", .decoder) { _ = decodeAnything($0) },
        FuzzEntry("session", .session) { fuzzNativeSession($0) },
        FuzzEntry("session-frames", .session) { fuzzNativeFrames($0) },
        FuzzEntry("kafka-messages", .decoder) { _ = decodeAnyKafkaMessage($0) },
        FuzzEntry("kafka-headers", .decoder) { _ = decodeAnyKafkaHeader($0) },
        FuzzEntry("kafka-session", .session) { fuzzKafkaSession($0) },
        FuzzEntry("kafka-requests", .session) { fuzzKafkaRequests($0) },
        FuzzEntry("member-metadata", .decoder) { fuzzSubscriptionMetadata($0) },
        FuzzEntry("patterns", .tables) { fuzzPatterns($0) },
        FuzzEntry("batch", decoder: { fuzzBatchDecoders($0) }) { fuzzBatch($0) },
        FuzzEntry("deaths", decoder: nil) { fuzzDeaths($0) },
        FuzzEntry("compression", .codec) { fuzzCodecs($0) },
        FuzzEntry("lane", .ring) { fuzzLane($0) },
        // A server, seen from the client library
        FuzzEntry("deliveries", .client) { fuzzDeliveries($0) },
        // The data directory
        FuzzEntry("segment", decoder: { fuzzSegmentDecoders($0) }) { fuzzSegment($0) },
        FuzzEntry("checkpoint", decoder: { fuzzCheckpointDecoder($0) }) { fuzzCheckpoint($0) },
        FuzzEntry("indexes", decoder: { fuzzIndexDecoders($0) }) { fuzzIndexes($0) },
        FuzzEntry("compaction", decoder: { fuzzFilter($0) }) { fuzzCompaction($0) },
        FuzzEntry("catalog", decoder: { fuzzCatalogDecoder($0) }) { fuzzCatalog($0) },
        FuzzEntry("cursors", decoder: { fuzzCursorDecoder($0) }) { fuzzCursors($0) },
        FuzzEntry("aside", decoder: nil) { fuzzAside($0) },
        FuzzEntry("groups", decoder: { fuzzGroupDecoder($0) }) { fuzzGroups($0) },
        // The operator
        FuzzEntry("configuration", .text, decoder: { fuzzConfigurationText($0) }) { fuzzConfiguration($0) },
        FuzzEntry("command-line", .text) { fuzzCommandLine($0) },
        FuzzEntry("log-dump", .client, decoder: { fuzzLogDumpForm($0) }) { fuzzLogDump($0) },
        FuzzEntry("lines", .text) { fuzzLines($0) },
    ]
}
