internal import BrokerCore
internal import Bytes
internal import NativeCodec
internal import Wire

/// The fuzz entry of the session. What it says must be whole frames, and the same however the bytes come where `splits` asks for that.
package func fuzzNativeSession(_ bytes: RawSpan, splits: Bool = true) {
    _ = frames(fuzzSession(makeSession(), bytes, answers: bytes))
    if splits { fuzzSplits(makeSession, bytes, frames: sorted) }
}

/// The same with frames that are made of `bytes`, so that nearly all of them are carried out.
package func fuzzNativeFrames(_ bytes: RawSpan) {
    var maker = ArbitraryFrames(Choices(bytes))
    var made = ByteBuffer()
    ArbitraryFrames.hello(into: &made)
    var count = 0
    while !maker.isUsedUp, count < 32 {
        maker.next(into: &made)
        count += 1
    }
    let stream = [UInt8](made.bytes)
    _ = frames(fuzzSession(makeSession(), stream.rawSpan, answers: bytes))
    fuzzSplits(makeSession, stream.rawSpan, frames: sorted)
}

private func makeSession() -> any WireSession {
    // How many lists and descriptions may be unanswered depends on how fast they are answered.
    var limits = Limits()
    limits.listingsPerSession = .max
    limits.descriptionsPerSession = .max
    return NativeSession(Peer(address: "fuzz", isLocal: true, limits: limits))
}

/// Answers come in the order of answering, not of asking.
private func sorted(_ sent: [UInt8]) -> [[UInt8]] { frames(sent).sorted { $0.lexicographicallyPrecedes($1) } }

/// Takes apart what was sent.
private func frames(_ sent: [UInt8]) -> [[UInt8]] {
    var found: [[UInt8]] = []
    var at = 0
    while at < sent.count {
        guard case .frame(let header)? = try? FrameSplitter.next(in: sent.rawSpan, at: at, limit: .max), header.size > 0, header.size <= sent.count - at else {
            preconditionFailure("what is sent are no frames")
        }
        found.append(Array(sent[at..<at + header.size]))
        at += header.size
    }
    return found
}
