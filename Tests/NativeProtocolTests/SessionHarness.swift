import BrokerCore
import Bytes
import NativeCodec
import NativeProtocol
import SegmentLog
import Wire

/// A session without a connection: feeds it bytes as one would, keeps what it says and what it asks for.
final class SessionHarness {
    let session: NativeSession
    /// What the session asked for, with the bytes that its ranges show.
    private(set) var requests: [(id: UInt64, text: String)] = []
    private(set) var sent: [UInt8] = []
    private(set) var error: ProtocolError?
    private(set) var isClosed = false
    private(set) var lanes: [LaneRequest] = []
    private var input: [UInt8] = []

    init(limits: Limits = Limits(), server: ServerIdentity = ServerIdentity()) {
        session = NativeSession(Peer(address: "test", isLocal: true, limits: limits, server: server))
    }

    /// One that has said hello.
    static func open(limits: Limits = Limits(), maxFrameBytes: UInt32 = 1 << 20, features: UInt64 = 0) -> SessionHarness {
        let harness = SessionHarness(limits: limits)
        harness.feed(Frame.Hello(maxFrameBytes: maxFrameBytes, features: features, client: "test"))
        _ = harness.takeFrames()
        return harness
    }

    func feed(_ bytes: some Sequence<UInt8>) {
        guard !isClosed else { return }
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
        take(&output, given)
        // As a connection does that has time for it.
        if session.isPausing, error == nil { feed([]) }
    }

    /// As `feed`, of a connection that has no time for requests that may take long; answers how much was left.
    func feedLate(_ bytes: [UInt8]) -> Int {
        input.append(contentsOf: bytes)
        var output = SessionOutput()
        output.defersLongRequests = true
        let given = input
        do throws(ProtocolError) { input.removeFirst(try session.receive(given.rawSpan, &output)) } catch { self.error = error }
        take(&output, given)
        return input.count
    }

    func feed<F: FrameBody>(_ frame: F, correlation: UInt64 = 1, tail: [UInt8] = []) { feed(encoded(frame, correlation, tail)) }

    func complete(_ id: UInt64, _ response: Response) {
        var output = SessionOutput()
        session.complete(RequestID(rawValue: id), response, &output)
        take(&output, [])
    }

    func answerLane(_ id: RequestID, _ answer: LaneAnswer) {
        var output = SessionOutput()
        session.laneAnswered(id, answer, &output)
        take(&output, [])
    }

    func deliver(_ delivery: Delivery) {
        var output = SessionOutput()
        session.deliver(delivery, &output)
        take(&output, [])
    }

    func notify(_ consumer: UInt32, _ event: ConsumerEvent) {
        var output = SessionOutput()
        session.notify(ConsumerID(rawValue: consumer), event, &output)
        take(&output, [])
    }

    func advance(milliseconds: UInt64) {
        var output = SessionOutput()
        let now = Now(instant: Instant(nanoseconds: milliseconds * 1_000_000), time: Timestamp(milliseconds: 0))
        do throws(ProtocolError) { try session.advance(to: now, &output) } catch { self.error = error }
        take(&output, [])
    }

    func shutDown() {
        var output = SessionOutput()
        session.shutDown(&output)
        take(&output, [])
    }

    private func take(_ output: inout SessionOutput, _ given: [UInt8]) {
        if let lane = output.laneRequest { lanes.append(lane) }
        var asked: [(id: RequestID, request: Request)] = []
        output.takeRequests(into: &asked)
        for (id, request) in asked { requests.append((id.rawValue, text(of: request, in: given))) }
        output.closePiece()
        let written = [UInt8](output.bytes.bytes)
        for piece in output.pieces {
            switch piece {
            case .bytes(let range): sent += written[range.indices]
            case .slice(let slice): sent += [UInt8](slice.memory.bytes(slice.range))
            }
        }
        if output.closes { isClosed = true }
    }

    /// The frames said since the last call.
    func takeFrames() -> [(header: FrameHeader, bytes: [UInt8])] {
        var frames: [(header: FrameHeader, bytes: [UInt8])] = []
        var at = 0
        while case .frame(let header) = try? FrameSplitter.next(in: sent.rawSpan, at: at, limit: .max) {
            frames.append((header, Array(sent[at..<at + header.size])))
            at += header.size
        }
        precondition(at == sent.count, "the session says whole frames")
        sent = []
        return frames
    }

    /// The only frame said since the last call, when it is an `F`.
    func takeFrame<F: FrameBody>(_: F.Type = F.self) -> F? {
        let frames = takeFrames()
        guard frames.count == 1, let (header, bytes) = frames.first, header.type == F.type.rawValue else { return nil }
        return try? F.decode(header, in: bytes.rawSpan, at: 0)
    }

    /// The code of the last ERROR.
    func lastError() -> ErrorCode? {
        guard let (header, bytes) = takeFrames().last, header.type == FrameType.error.rawValue else { return nil }
        return try? Frame.Failure.decode(header, in: bytes.rawSpan, at: 0).code
    }
}

func encoded<F: FrameBody>(_ frame: F, _ correlation: UInt64 = 1, _ tail: [UInt8] = []) -> [UInt8] {
    var buffer = ByteBuffer()
    frame.encode(to: &buffer, correlation: correlation)
    buffer.append(tail)
    return [UInt8](buffer.bytes)
}

/// A request with the bytes of its ranges in their place, so that requests from different inputs compare.
private func text(of request: Request, in input: [UInt8]) -> String {
    func shown(_ range: ByteRange?) -> String { range.map { "\(input[$0.indices].map { $0 })" } ?? "null" }
    guard case .append(let append) = request else { return "\(request)" }
    let target =
        switch append.target {
        case .topic(let id, let partition): "topic \(id.rawValue) partition \(partition)"
        case .exchange(let id, let key): "exchange \(id.rawValue) key \(shown(key))"
        }
    let content =
        switch append.content {
        case .batch(let batch): "batch \(shown(batch))"
        case .message(let message):
            "key \(shown(message.key)) headers \(message.headerCount) \(shown(message.headers)) payload \(shown(message.payload)) "
                + "at \(message.timestamp?.rawValue ?? -1) producer \(message.producer.map { "\($0)" } ?? "none")"
        }
    return "append to \(target): \(content), \(append.durability), \(append.answer)"
}
