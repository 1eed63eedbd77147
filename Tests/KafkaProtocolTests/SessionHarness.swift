import BrokerCore
import Bytes
@testable import KafkaProtocol
import SegmentLog
import Wire

/// A session without a connection and without a broker: feeds it requests, keeps what it says and what it asks for.
final class SessionHarness {
    let session: KafkaSession
    private(set) var asked: [(id: RequestID, request: Request)] = []
    private(set) var sent: [UInt8] = []
    private(set) var error: ProtocolError?
    private(set) var isClosed = false
    /// What the session has left unread.
    private(set) var input: [UInt8] = []

    init(
        limits: Limits = Limits(), options: KafkaProtocol.Options = KafkaProtocol.Options(), isLocal: Bool = true, server: ServerIdentity = ServerIdentity()
    ) {
        let reached = Endpoint(host: "127.0.0.1", port: 9_092)
        session = KafkaSession(Peer(address: "test", isLocal: isLocal, reached: reached, limits: limits, server: server), options)
    }

    func feed(_ bytes: some Sequence<UInt8>) {
        guard !isClosed, error == nil else { return }
        input.append(contentsOf: bytes)
        var output = SessionOutput()
        let given = input
        do throws(ProtocolError) {
            let used = try session.receive(given.rawSpan, &output)
            precondition(used >= 0 && used <= given.count)
            input.removeFirst(used)
        } catch {
            self.error = error
        }
        take(&output)
        // As a connection does that has time for it.
        if session.isPausing, error == nil { feed([]) }
    }

    func feed<M: KafkaMessage>(_ message: M, version: Int16, correlation: Int32 = 1, client: String = "test") {
        feed(frame(message, version: version, correlation: correlation, client: client))
    }

    func answer(_ index: Int, _ response: Response) {
        var output = SessionOutput()
        session.complete(asked[index].id, response, &output)
        take(&output)
        // As a connection does when the session has let go.
        if !input.isEmpty, !session.isHolding { feed([]) }
    }

    func shutDown() {
        var output = SessionOutput()
        session.shutDown(&output)
        take(&output)
    }

    private func take(_ output: inout SessionOutput) {
        asked += output.requests
        output.closePiece()
        for piece in output.pieces {
            switch piece {
            case .bytes(let range): sent += [UInt8](output.bytes.bytes.extracting(range.indices))
            case .slice(let slice): sent += [UInt8](slice.memory.bytes(slice.range))
            }
        }
        isClosed = isClosed || output.closes
    }

    /// The next whole response: its correlation, and its body as `M`.
    func response<M: KafkaReadable>(_: M.Type, _ key: KafkaAPIKey, version: Int16) throws -> (correlation: Int32, body: M)? {
        guard sent.count >= 4 else { return nil }
        let size = sent[0..<4].reduce(0) { $0 << 8 | Int($1) }
        guard sent.count >= 4 + size else { return nil }
        let bytes = Array(sent[4..<4 + size])
        sent.removeFirst(4 + size)
        var reader = KafkaReader(bytes.rawSpan)
        let correlation: Int32 = try reader.integer()
        if key.hasFlexibleResponseHeader(version) { try reader.skipTaggedFields() }
        let body = try M(from: &reader, version: version)
        let isAtEnd = reader.isAtEnd
        guard isAtEnd else { throw ByteError.outOfRange }
        return (correlation, body)
    }
}

/// A whole request as a client sends it.
func frame<M: KafkaMessage>(_ message: M, version: Int16, correlation: Int32 = 1, client: String = "test") -> [UInt8] {
    frame(M.key, version: version, correlation: correlation, client: client) { message.encode(to: &$0, version: version) }
}

func frame(_ key: KafkaAPIKey, version: Int16, correlation: Int32, client: String = "test", _ body: (inout ByteBuffer) -> Void) -> [UInt8] {
    var buffer = ByteBuffer()
    buffer.append(big: 0 as Int32)
    RequestHeader(key: key.rawValue, version: version, correlationID: correlation).encode(to: &buffer, client: client)
    body(&buffer)
    buffer.patch(big: Int32(buffer.count - 4), at: 0)
    return [UInt8](buffer.bytes)
}

/// A produce request for one topic, with as many bytes of "records" as each partition says.
func produce(_ topic: String, _ partitions: [(index: Int32, bytes: Int)], acks: Int16 = -1, version: Int16 = 9, correlation: Int32 = 1) -> [UInt8] {
    frame(.produce, version: version, correlation: correlation) { buffer in
        let most = partitions.map(\.bytes).max() ?? 0
        let records = [UInt8](repeating: 7, count: most)
        var request = ProduceRequest()
        request.acks = acks
        request.timeoutMs = 1_000
        request.topicData = [
            ProduceRequest.Topic(
                name: topic, partitionData: partitions.map { ProduceRequest.Partition(index: $0.index, records: ByteRange(start: 0, count: $0.bytes)) })
        ]
        request.encode(to: &buffer, version: version, recordsIn: records.rawSpan)
    }
}
