package import ConfigFile
internal import BrokerCore
package import Wire

/// Kafka's protocol, as its clients of the versions from 0.11 to 4.x speak it; what is supported is said in docs/protocols/kafka.md.
///
/// Every shard has a port of its own and is a broker of the cluster that clients are told about, so that they connect to the shard
/// that has their topic.
package struct KafkaProtocol: WireProtocol {
    package static let name = "kafka"
    package static let listensPerShard = true

    package struct Options: Sendable, Equatable {
        /// Whether a topic that a client asks for, and that does not exist, is made; nil: for clients on this machine.
        package var createsTopics: Bool?
        /// How many partitions a topic has whose creator leaves that to the broker.
        package var defaultPartitions: Int32 = 1
        /// Where clients are told to connect to; nil: to the address at which they have arrived. Shard k adds k to the port.
        package var advertised: Endpoint?
        package init() {}
    }

    package let options: Options

    package init(_ section: ConfigSection) throws(ConfigError) {
        var options = Options()
        options.createsTopics = section.choice("auto_create_topics", default: Bool?.none, among: [("local", nil), ("true", true), ("false", false)])
        options.defaultPartitions = Int32(section.integer("default_partitions", default: 1, in: 1...1_024))
        options.advertised = section.value("advertise", default: Endpoint?.none, show: { $0.map { "\($0.host):\($0.port)" } ?? "reached" }) { text in
            if text == "reached" { return .value(nil) }
            guard let endpoint = Endpoint(text) else { return .wrong("is no address; allowed: HOST:PORT, as clients are to reach it, or reached") }
            return .value(endpoint)
        }
        self.options = options
    }

    package init(options: Options) { self.options = options }

    package func makeSession(_ peer: Peer) -> any WireSession { KafkaSession(peer, options) }
}

extension Endpoint {
    init?(_ text: String) {
        guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]), port > 0 else { return nil }
        var host = String(text[..<colon])
        if host.hasPrefix("["), host.hasSuffix("]") { host = String(host.dropFirst().dropLast()) }
        guard !host.isEmpty, host.utf8.count <= 255, !host.contains(where: { $0 == "/" || $0.isWhitespace }) else { return nil }
        self.init(host: host, port: port)
    }
}
