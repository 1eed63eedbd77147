internal import BrokerCore
internal import Bytes
internal import Wire

/// The fuzz entry of the session. What it says must be whole responses.
package func fuzzKafkaSession(_ bytes: RawSpan) {
    let peer = Peer(address: "fuzz", isLocal: true, reached: Endpoint(host: "127.0.0.1", port: 9_092), limits: Limits())
    let sent = fuzzSession(KafkaSession(peer, KafkaProtocol.Options()), bytes)
    var at = 0
    while at < sent.count {
        var reader = ByteReader(sent.rawSpan.extracting(droppingFirst: at))
        guard let size = try? reader.big(Int32.self), size >= 4, Int(size) <= reader.remaining else {
            preconditionFailure("what is sent are no responses")
        }
        at += 4 + Int(size)
    }
}
