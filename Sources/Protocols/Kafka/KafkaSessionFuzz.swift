internal import BrokerCore
internal import Bytes
internal import SegmentLog
internal import Wire

/// The fuzz entry of the session. What it says must be whole responses.
package func fuzzKafkaSession(_ bytes: RawSpan) {
    _ = responses(fuzzSession(makeSession(), bytes, answers: bytes))
    fuzzSplits(makeSession, bytes, frames: responses)
}

/// The same with requests that are made of `bytes`, so that nearly all of them are carried out.
package func fuzzKafkaRequests(_ bytes: RawSpan) {
    var maker = ArbitraryRequests(Choices(bytes), batches: fuzzedBatches)
    var requests = ByteBuffer()
    var count = 0
    while !maker.isUsedUp, count < 24 {
        maker.next(into: &requests)
        count += 1
    }
    let stream = [UInt8](requests.bytes)
    _ = responses(fuzzSession(makeSession(), stream.rawSpan, answers: bytes))
    fuzzSplits(makeSession, stream.rawSpan, frames: responses)
}

/// Batches as producers send them: of one record, of several, of an idempotent producer, compressed in name.
package let fuzzedBatches: [[UInt8]] = {
    func batch(_ count: Int, producer: Int64 = -1) -> [UInt8] {
        var buffer = ByteBuffer()
        var builder = RecordBatchBuilder(
            into: &buffer, producerID: producer, producerEpoch: producer < 0 ? -1 : 0, baseSequence: producer < 0 ? -1 : 0)
        for index in 0..<count {
            builder.append(
                key: index % 2 == 0 ? [1] : nil, value: index % 3 == 0 ? nil : [2, 3], headers: [("h", [4])], timestamp: Timestamp(milliseconds: 5),
                into: &buffer)
        }
        builder.finish(into: &buffer)
        return [UInt8](buffer.bytes)
    }
    var compressed = batch(1)
    compressed[22] = 3
    return [batch(1), batch(3), batch(1, producer: 7), batchWithItsChecksum(compressed) ?? [], batch(1) + batch(1), []]
}()

private func makeSession() -> any WireSession {
    let peer = Peer(address: "fuzz", isLocal: true, reached: Endpoint(host: "127.0.0.1", port: 9_092), limits: Limits())
    return KafkaSession(peer, KafkaProtocol.Options())
}

/// Takes apart what was sent.
private func responses(_ sent: [UInt8]) -> [[UInt8]] {
    var found: [[UInt8]] = []
    var at = 0
    while at < sent.count {
        var reader = ByteReader(sent.rawSpan.extracting(droppingFirst: at))
        guard let size = try? reader.big(Int32.self), size >= 4, Int(size) <= reader.remaining else {
            preconditionFailure("what is sent are no responses")
        }
        found.append(Array(sent[at..<at + 4 + Int(size)]))
        at += 4 + Int(size)
    }
    return found
}
