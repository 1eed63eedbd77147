internal import BrokerCore
internal import Bytes
internal import NativeCodec
internal import Wire

/// The fuzz entry of the session. What it says must be whole frames.
package func fuzzNativeSession(_ bytes: RawSpan) {
    let sent = fuzzSession(NativeSession(Peer(address: "fuzz", isLocal: true, limits: Limits())), bytes)
    var at = 0
    while at < sent.count {
        guard case .frame(let header)? = try? FrameSplitter.next(in: sent.rawSpan, at: at, limit: .max), header.size > 0, header.size <= sent.count - at else {
            preconditionFailure("what is sent are no frames")
        }
        at += header.size
    }
}
