import Bytes
import LinuxSystem
import Testing

@testable import needletail

/// Goal: whatever reads bytes from outside has a fuzz entry. Whoever writes a decoder must name here the entries that reach it.
@Suite struct FuzzCoverageTests {
    /// What makes a file one that decodes.
    private static let signs = ["ByteReader(", "KafkaReader(", "RecordReader(", "RecordHeaderReader(", ".decompress(", "YAMLTree("]

    /// By file, without `Sources/`.
    private static let reachedBy: [String: [String]] = [
        "BrokerCore/Broker+Aside.swift": ["aside", "cursors"],
        "BrokerCore/Broker+DeadLetters.swift": ["deaths"],
        "BrokerCore/Broker+Persistence.swift": ["catalog", "cursors", "groups"],
        "BrokerCore/Broker+Publishing.swift": ["deaths"],
        "BrokerCore/Broker+Unreadable.swift": ["deaths"],
        "BrokerCore/CatalogRecord.swift": ["catalog"],
        "BrokerCore/ConsumerGroup+Offsets.swift": ["member-metadata", "groups"],
        "BrokerCore/CursorRecord.swift": ["cursors"],
        "BrokerCore/GroupRecord.swift": ["groups"],
        "ConfigFile/ConfigDocument.swift": ["configuration"],
        "NativeCodec/Frame.swift": ["frames", "session", "session-frames"],
        "NativeCodec/FrameHeader.swift": ["frames", "session"],
        "NeedletailClient/RecordBatch.swift": ["deliveries"],
        "Protocols/Kafka/Codec/KafkaReader.swift": ["kafka-messages", "kafka-headers"],
        "Protocols/Kafka/KafkaAPI.swift": ["kafka-session", "kafka-requests"],
        "Protocols/Kafka/KafkaSession.swift": ["kafka-session", "kafka-requests"],
        "Protocols/Kafka/Mapping/Fetching.swift": ["kafka-requests"],
        "Protocols/Kafka/Mapping/Offsets.swift": ["kafka-requests"],
        "Protocols/Kafka/Mapping/Producing.swift": ["kafka-requests"],
        "SegmentLog/BatchRuns.swift": ["deaths", "compaction"],
        "SegmentLog/Checkpoint.swift": ["checkpoint"],
        "SegmentLog/Compaction/BatchFilter.swift": ["compaction"],
        "SegmentLog/Compaction/CompactionStep.swift": ["compaction"],
        "SegmentLog/Compaction/KeyHash.swift": ["compaction"],
        "SegmentLog/Log+Reading.swift": ["batch", "segment"],
        "SegmentLog/OffsetIndex.swift": ["indexes"],
        "SegmentLog/RecordBatchHeader.swift": ["batch", "segment"],
        "SegmentLog/RecordChecks.swift": ["batch"],
        "SegmentLog/RecordReader.swift": ["batch", "segment"],
        "SegmentLog/SegmentInspector.swift": ["log-dump"],
        "SegmentLog/SegmentScanner.swift": ["segment", "log-dump"],
        "SegmentLog/TimeIndex.swift": ["indexes"],
    ]

    /// Decoders of what nobody outside has written.
    private static let ownBytes: Set<String> = [
        // The kernel's answer to the self-test's own datagram; the benchmark's peers; the simulation's second opinion.
        "IOUring/SelfTest.swift", "needletail/Bench/BenchConsumer.swift", "needletail/Bench/BenchEcho.swift", "Simulation/ReferenceBatch.swift",
    ]

    @Test func everyDecoderIsReachedByAnEntry() throws {
        let sources = FileSystem.parent(of: FileSystem.parent(of: FileSystem.parent(of: #filePath))) + "/Sources"
        var decoders: Set<String> = []
        for path in try FuzzCoverageTests.files(sources) where path.hasSuffix(".swift") {
            let name = String(path.dropFirst(sources.count + 1))
            // The entries themselves, and what is made of the facts of Kafka's messages, which its reader reads.
            if name.contains("Fuzz") || name.contains("/Generated/") { continue }
            let text = try TextFile.read(path, most: 1 << 20)
            if FuzzCoverageTests.signs.contains(where: text.contains) { decoders.insert(name) }
        }
        let known = Set(FuzzCoverageTests.reachedBy.keys)
        #expect(decoders.subtracting(known).subtracting(FuzzCoverageTests.ownBytes).sorted() == [], "decoders without an entry")
        #expect(known.union(FuzzCoverageTests.ownBytes).subtracting(decoders).sorted() == [], "decoders that are not there")
        let entries = Set(FuzzEntry.all.map(\.name))
        #expect(Set(FuzzCoverageTests.reachedBy.values.joined()).subtracting(entries).sorted() == [], "entries that are not there")
    }

    private static func files(_ folder: String) throws -> [String] {
        try FileSystem.list(folder).flatMap { entry in
            let path = "\(folder)/\(entry.name)"
            return entry.isDirectory ? try files(path) : [path]
        }
    }
}
