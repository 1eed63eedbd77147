internal import BrokerCore
internal import Wire

/// The fuzz entry of the session: one connection that receives `bytes`, in two parts, and is answered with failures.
package func fuzzSession(_ bytes: RawSpan) {
    let session = NativeSession(Peer(address: "fuzz", isLocal: true, limits: Limits()))
    var output = SessionOutput()
    do throws(ProtocolError) {
        let used = try session.receive(bytes.extracting(first: bytes.byteCount / 2), &output)
        _ = try session.receive(bytes.extracting(droppingFirst: used), &output)
    } catch {
        output.clear()
    }
    var requests: [(id: RequestID, request: Request)] = []
    output.takeRequests(into: &requests)
    for (id, _) in requests { session.complete(id, .failed(BrokerError(.unsupported, "")), &output) }
    session.shutDown(&output)
}
