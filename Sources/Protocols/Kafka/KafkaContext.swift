internal import BrokerCore
internal import Wire

/// What one connection's calls know of their surroundings.
struct KafkaContext {
    let peer: Peer
    let options: KafkaProtocol.Options

    var createsTopics: Bool { options.createsTopics ?? peer.isLocal }

    /// A broker of the cluster as clients see it: a shard.
    struct Node: Equatable {
        var id: Int32
        var host: String
        var port: Int32
    }

    /// All shards. Their ports follow each other.
    var nodes: [Node] { (0..<max(1, peer.server.shards)).map(node) }

    func node(_ shard: Int32) -> Node {
        if let advertised = options.advertised { return Node(id: shard, host: advertised.host, port: Int32(advertised.port) + shard) }
        guard let reached = peer.reached else { return Node(id: shard, host: "localhost", port: 9_092 + shard) }
        return Node(id: shard, host: reached.host, port: Int32(reached.port) - peer.server.node + shard)
    }

    /// What a Kafka cluster calls itself.
    var clusterID: String { "needletail" }
}
