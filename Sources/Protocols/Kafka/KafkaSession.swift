package import BrokerCore
internal import Bytes
internal import Containers
internal import Mutants
package import SegmentLog
package import Wire

/// One connection of a Kafka client.
///
/// Requests are carried out one after the other, as Kafka does, with one exception: produce requests follow each other without waiting.
/// Responses leave in the order of the requests. Topics are named on the wire and numbered in the broker: a produce or fetch that names
/// one for the first time stays unread until the broker has said its number.
///
/// A request's id is its call's serial number and, in the low 24 bits, the number of the question within the call; serial 0 is the
/// session's own looking up of names.
package final class KafkaSession: WireSession {
    private static let partBits: UInt64 = 24

    private let context: KafkaContext
    /// Whose responses are not sent yet, oldest first; the first one's serial number.
    private var calls = RingQueue<KafkaCall>()
    private var firstSerial: UInt64 = 1
    private var names = TopicNames()
    private var isClosing = false
    /// A whole request has come. Every client asks something as soon as it is connected.
    package private(set) var isEstablished = false
    /// Known from the first `advance` on.
    private var handshakeDeadline: Instant?
    package private(set) var bytesWanted = 0
    package private(set) var isHolding = false
    package private(set) var isPausing = false
    package var isLookingUp: Bool { !names.isComplete }

    package init(_ peer: Peer, _ options: KafkaProtocol.Options) { context = KafkaContext(peer: peer, options: options) }

    // MARK: From the client

    package func receive(_ input: RawSpan, _ output: inout SessionOutput) throws(ProtocolError) -> Int {
        var used = 0
        bytesWanted = 0
        isHolding = false
        isPausing = false
        while !isClosing {
            // What follows is read when the client has taken its answers.
            if output.pendingBytes > context.peer.limits.outboxBytes { return used }
            let rest = input.byteCount &- used
            if rest < 4 { return used }
            let size = try frameSize(input, at: used, &output)
            guard rest >= 4 &+ size else {
                bytesWanted = 4 &+ size
                return used
            }
            isEstablished = true
            guard try take(ByteRange(start: used &+ 4, count: size), of: input, &output) else {
                isHolding = !isPausing
                return used
            }
            used &+= 4 &+ size
            if isPausing { return used }
        }
        return input.byteCount
    }

    /// Checks the size of the frame at `start` before anything is kept for it. At least four bytes are there.
    private func frameSize(_ input: RawSpan, at start: Int, _ output: inout SessionOutput) throws(ProtocolError) -> Int {
        var reader = ByteReader(input.extracting(droppingFirst: start))
        let size = Int((try? reader.big(Int32.self)) ?? 0)
        let limit = context.peer.limits.frameBytes
        guard size >= 8, size <= limit else {
            if size > limit { output.reach(.frameSize) }
            throw ProtocolError("frameSize", "a request of \(size) bytes, from 8 to \(limit) are taken here")
        }
        if size > KafkaAPI.leastRequestBytes, let key = try? reader.big(Int16.self) {
            let most = KafkaAPI.requestBytes(key, atMost: limit)
            let isTaken = size <= most || Mutant.isActive("takesKafkaRequestsOfAnySize")
            guard isTaken else { throw ProtocolError("frameSize", "a request of \(size) bytes to API \(key), up to \(most) are taken") }
        }
        return size
    }

    /// Begins what the client asks for. False: not now, the frame stays unread.
    private func take(_ frame: ByteRange, of input: RawSpan, _ output: inout SessionOutput) throws(ProtocolError) -> Bool {
        let header: RequestHeader
        let body: ByteRange
        do throws(ByteError) {
            var reader = KafkaReader(input, frame: frame)
            header = try RequestHeader(from: &reader)
            body = ByteRange(start: reader.position, count: reader.remaining)
        } catch { throw ProtocolError("malformedRequest", "the header of a request is malformed: \(error)") }
        switch header.api {
        case .unknownKey: throw ProtocolError("unknownAPI", "there is no API with number \(header.key)")
        case .unsupportedVersion(.apiVersions):
            guard mayBegin(.apiVersions) else { return false }
            refuseVersion(header, &output)
            return true
        case .unsupportedVersion(let key): throw ProtocolError("unsupportedVersion", "version \(header.version) of \(key)")
        case .supported(let key):
            guard let api = KafkaAPI.table[key] else { throw ProtocolError("unknownAPI", "\(key) is not supported") }
            guard mayBegin(key) else { return false }
            if key.mayTakeLong, output.defersLongRequests {
                isPausing = true
                return false
            }
            do throws(ByteError) {
                let hasBegun = try begin(api, header, body, of: input, &output)
                isPausing = hasBegun && key.mayTakeLong
                return hasBegun
            } catch {
                throw ProtocolError("malformedRequest", "a request to \(key), version \(header.version), is malformed: \(error)")
            }
        }
    }

    private func mayBegin(_ key: KafkaAPIKey) -> Bool {
        guard names.isComplete else { return false }
        guard let first = calls.first, !Mutant.isActive("beginsAllKafkaRequestsAtOnce") else { return true }
        return key == .produce && first.key == .produce && calls.count < context.peer.limits.unansweredRequests
    }

    private func begin(
        _ api: KafkaAPI, _ header: RequestHeader, _ body: ByteRange, of input: RawSpan, _ output: inout SessionOutput
    ) throws(ByteError) -> Bool {
        let client = header.clientID.map { String(validatingBytes: input.extracting($0.indices)) ?? "?" } ?? ""
        let call = KafkaCall(api.key, version: header.version, correlationID: header.correlationID, clientID: client, context: context)
        guard try api.begin(input, body, call, &names) else {
            for (part, name) in names.takeQuestions() { output.request(.describeTopic(name: name), id: RequestID(rawValue: UInt64(part))) }
            return false
        }
        calls.append(call)
        ask(call, firstSerial &+ UInt64(calls.count &- 1), &output)
        respond(&output)
        return true
    }

    /// What a client that knows a newer version understands in any case: the oldest form, with what is spoken here.
    private func refuseVersion(_ header: RequestHeader, _ output: inout SessionOutput) {
        let frame = ResponseFrame(.apiVersions, version: 0, correlationID: header.correlationID, to: &output.bytes)
        KafkaAPI.versions(.unsupportedVersion).encode(to: &output.bytes, version: 0)
        frame.end(in: &output.bytes)
    }

    // MARK: From the broker

    package func complete(_ id: RequestID, _ response: Response, _ output: inout SessionOutput) {
        let serial = id.rawValue >> Self.partBits
        let part = Int(id.rawValue & (1 << Self.partBits &- 1))
        if serial == 0 {
            names.answered(part, response)
        } else if let call = calls.element(at: Int(truncatingIfNeeded: serial &- firstSerial)) {
            call.answered(part, response)
            for topic in call.takeVanished() { names.forget(topic) }
            ask(call, serial, &output)
            respond(&output)
        }
        // Not at each answer: what is left unread is moved every time.
        if names.isComplete, calls.count <= (calls.first?.key == .produce ? context.peer.limits.unansweredRequests / 2 : 0) { isHolding = false }
    }

    private func ask(_ call: KafkaCall, _ serial: UInt64, _ output: inout SessionOutput) {
        for (part, request) in call.takeQuestions() {
            output.request(request, id: RequestID(rawValue: serial << Self.partBits | UInt64(part ?? 0)))
        }
    }

    /// Sends the responses that are due, in order.
    private func respond(_ output: inout SessionOutput) {
        while let first = calls.first, first.isDone {
            _ = calls.popFirst()
            firstSerial &+= 1
            if first.hangsUp { return shutDown(&output) }
            first.writeResponse(&output)
        }
    }

    package func deliver(_ delivery: Delivery, _ output: inout SessionOutput) {}
    package func notify(_ consumer: ConsumerID, _ event: ConsumerEvent, _ output: inout SessionOutput) {}

    package func advance(to now: Now, _ output: inout SessionOutput) throws(ProtocolError) {
        guard !isEstablished, !isClosing else { return }
        guard let deadline = handshakeDeadline else {
            handshakeDeadline = now.instant.advanced(byNanoseconds: UInt64(clamping: context.peer.limits.handshakeMilliseconds) * 1_000_000)
            return
        }
        guard now.instant < deadline else {
            output.reach(.handshakeTimeout)
            throw ProtocolError("handshakeTimeout", "no request within \(context.peer.limits.handshakeMilliseconds) ms")
        }
    }

    /// Kafka has no word for it: clients look for another broker, and come back.
    package func shutDown(_ output: inout SessionOutput) {
        isClosing = true
        output.close()
    }
}
