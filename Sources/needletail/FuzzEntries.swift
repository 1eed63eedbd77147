import BrokerCore
import Bytes
import ConfigFile
import KafkaProtocol
import NativeCodec
import NativeProtocol
import SegmentLog

/// Everything that reads bytes from outside, by name: what `tools/fuzz` runs, and what the tests replay the corpora through.
package struct FuzzEntry: Sendable {
    package let name: String
    package let run: @Sendable (RawSpan) -> Void

    private init(_ name: String, _ run: @escaping @Sendable (RawSpan) -> Void) {
        self.name = name
        self.run = run
    }

    package static let all = [
        // A peer
        FuzzEntry("frames") { _ = decodeAnything($0) },
        FuzzEntry("session") { fuzzNativeSession($0) },
        FuzzEntry("kafka-messages") { _ = decodeAnyKafkaMessage($0) },
        FuzzEntry("kafka-headers") { _ = decodeAnyKafkaHeader($0) },
        FuzzEntry("kafka-session") { fuzzKafkaSession($0) },
        FuzzEntry("batch") { fuzzBatch($0) },
        // The data directory
        FuzzEntry("segment") { fuzzSegment($0) },
        FuzzEntry("checkpoint") { fuzzCheckpoint($0) },
        FuzzEntry("indexes") { fuzzIndexes($0) },
        FuzzEntry("catalog") { fuzzCatalog($0) },
        FuzzEntry("cursors") { fuzzCursors($0) },
        // The operator
        FuzzEntry("configuration") { fuzzConfiguration($0) },
    ]
}

/// A configuration file. What `config print` makes of a sound one must be read as the same.
private func fuzzConfiguration(_ bytes: RawSpan) {
    let document = ConfigDocument([UInt8](bytes), path: "fuzz.yaml")
    do throws(ConfigError) {
        let config = try ServerConfig(document)
        let printed = ServerConfig.yaml(document.root)
        do throws(ConfigError) {
            let again = try ServerConfig(ConfigDocument(Array(printed.utf8), path: "printed.yaml"))
            let (before, after) = (config.effective.map { "\($0.path)=\($0.text)" }, again.effective.map { "\($0.path)=\($0.text)" })
            precondition(before == after, "what is printed says something else")
        } catch { preconditionFailure("what is printed cannot be read: \(error)") }
    } catch { precondition(!error.description.isEmpty) }
}
