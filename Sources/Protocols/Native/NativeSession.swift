package import BrokerCore
internal import Bytes
internal import Mutants
internal import NativeCodec
package import SegmentLog
package import Wire

/// One connection that speaks the native protocol.
///
///     awaitingHello --HELLO--> open --fault, shutDown--> closing
///            |                                              ^
///            +------- anything else, too late --------------+
///
/// A request's id is the client's correlation with the request's weight in the highest byte, which clients leave 0.
///
/// Invariants: what is unanswered of each weight stays within its limit; in `closing` nothing is read, asked or said any more.
package final class NativeSession: WireSession {
    private enum State {
        case awaitingHello
        /// The peer takes frames up to so many bytes.
        case open(maxFrameBytes: Int, features: UInt64)
        case closing
    }

    private let peer: Peer
    private var state = State.awaitingHello
    /// Known from the first `advance` on.
    private var handshakeDeadline: Instant?
    /// Answers that the broker owes, by weight.
    private var unanswered = Unanswered()
    /// Confirmed settles of several ranges: several requests, one answer.
    private var confirmations: [UInt64: Confirmation] = [:]
    package private(set) var bytesWanted = 0
    package private(set) var isHolding = false
    package private(set) var isPausing = false
    package var isEstablished: Bool { !isAwaitingHello }

    private struct Confirmation {
        var remaining: Int
        var failure: BrokerError?
    }

    /// Long lists are cut into frames of about this size.
    private static let partBytes = 48 << 10

    package init(_ peer: Peer) { self.peer = peer }

    // MARK: From the peer

    package func receive(_ input: RawSpan, _ output: inout SessionOutput) throws(ProtocolError) -> Int {
        var used = 0
        bytesWanted = 0
        isHolding = false
        isPausing = false
        while true {
            // What follows is read when the client has taken its answers.
            if output.pendingBytes > peer.limits.outboxBytes { return used }
            let limit: Int
            switch state {
            case .awaitingHello: limit = min(peer.limits.handshakeBytes, peer.limits.frameBytes)
            case .open: limit = peer.limits.frameBytes
            case .closing: return input.byteCount
            }
            switch try nextFrame(in: input, at: used, limit: limit, &output) {
            case .incomplete(let wanted):
                bytesWanted = wanted
                return used
            case .frame(let header):
                guard unanswered.total < peer.limits.unansweredRequests || Mutant.isActive("takesAnyNumberOfRequests") else {
                    isHolding = true
                    return used
                }
                isPausing = RequestWeight.mayTakeLong(header.type)
                if isPausing, output.defersLongRequests { return used }
                try take(header, in: input, at: used, &output)
                used &+= header.size
                if isPausing { return used }
            }
        }
    }

    private func nextFrame(
        in input: RawSpan, at start: Int, limit: Int, _ output: inout SessionOutput
    ) throws(ProtocolError) -> FrameSplitter.Step {
        if isAwaitingHello, let type = FrameSplitter.typeOfNext(in: input, at: start), type != FrameType.hello.rawValue {
            throw notNative(&output)
        }
        do throws(FrameError) {
            return try FrameSplitter.next(in: input, at: start, limit: limit)
        } catch {
            switch error {
            case .tooLarge where isAwaitingHello:
                output.reach(.handshakeSize)
                throw notNative(&output)
            case _ where isAwaitingHello: throw notNative(&output)
            case .tooLarge(let size, let limit):
                output.reach(.frameSize)
                throw fault(.frameTooLarge, "a frame of \(size) bytes, at most \(limit) are taken here", &output)
            case .tooSmall(let size): throw fault(.malformedFrame, "a frame of \(size) bytes is less than a header", &output)
            case .reserved: throw fault(.malformedFrame, "reserved bytes of a header are not zero", &output)
            }
        }
    }

    /// What does not begin as a HELLO does is not awaited.
    private func notNative(_ output: inout SessionOutput) -> ProtocolError {
        fault(.notNative, "this listener speaks Needletail's native protocol, which begins with a HELLO", &output)
    }

    private func take(_ header: FrameHeader, in input: RawSpan, at start: Int, _ output: inout SessionOutput) throws(ProtocolError) {
        guard let type = FrameType(rawValue: header.type) else {
            throw fault(.unknownFrame, "there is no frame of type \(header.type)", &output)
        }
        if isAwaitingHello {
            try greet(try read(header, in: input, at: start, &output), header.correlation, &output)
        } else if type.isAnswer || type == .hello {
            throw fault(.unexpectedFrame, "a \(type) frame is not for the client to send now", &output)
        } else {
            try carryOut(type, header, in: input, at: start, &output)
        }
    }

    private func greet(_ hello: Frame.Hello, _ correlation: UInt64, _ output: inout SessionOutput) throws(ProtocolError) {
        guard hello.magic == Frame.Hello.magic else { throw fault(.notNative, "a HELLO without the magic bytes", &output) }
        let versions = NativeProtocol.versions
        guard hello.oldestVersion <= hello.newestVersion, hello.oldestVersion <= versions.upperBound, hello.newestVersion >= versions.lowerBound
        else {
            throw fault(
                .unsupportedVersion,
                "versions \(versions.lowerBound) to \(versions.upperBound) are spoken here, the client speaks "
                    + "\(hello.oldestVersion) to \(hello.newestVersion)", &output)
        }
        guard hello.maxFrameBytes >= Frame.Hello.minFrameBytes else {
            throw fault(.malformedFrame, "a client takes frames of at least \(Frame.Hello.minFrameBytes) bytes", &output)
        }
        let limits = peer.limits
        state = .open(maxFrameBytes: Int(hello.maxFrameBytes), features: hello.features & NativeProtocol.features)
        Frame.Welcome(
            version: min(hello.newestVersion, versions.upperBound), features: hello.features & NativeProtocol.features,
            maxFrameBytes: UInt32(clamping: limits.frameBytes),
            maxMessageBytes: UInt32(clamping: limits.frameBytes &- Frame.Publish.headSize &- limits.routingKeyBytes),
            maxUnanswered: UInt32(clamping: limits.unansweredRequests), maxConsumers: UInt32(clamping: limits.consumersPerSession),
            node: peer.server.node, shards: peer.server.shards, server: peer.server.name, serverVersion: peer.server.version
        ).encode(to: &output.bytes, correlation: correlation)
    }

    // MARK: Requests

    private func carryOut(
        _ type: FrameType, _ header: FrameHeader, in input: RawSpan, at start: Int, _ output: inout SessionOutput
    ) throws(ProtocolError) {
        switch type {
        case .openLane:
            try openLane(try read(header, in: input, at: start, &output), header.correlation, &output)
        case .publish:
            let publish: Frame.Publish = try read(header, in: input, at: start, &output)
            try append(Append(publish), header.correlation, &output)
        case .publishBatch:
            let publish: Frame.PublishBatch = try read(header, in: input, at: start, &output)
            try append(Append(publish), header.correlation, &output)
        case .settle:
            try settle(try read(header, in: input, at: start, &output), header.correlation, &output)
        case .credit:
            let credit: Frame.Credit = try read(header, in: input, at: start, &output)
            askSilently(Request(credit), &output)
        case .fetch:
            let fetch: Frame.Fetch = try read(header, in: input, at: start, &output)
            try ask(.fetch(Fetch(fetch, atMost: maxTailBytes)), header.correlation, .plain, &output)
        case .ping:
            let _: Frame.Ping = try read(header, in: input, at: start, &output)
            Frame.Pong().encode(to: &output.bytes, correlation: header.correlation)
        default:
            try ask(try control(type, header, in: input, at: start, &output), header.correlation, RequestWeight(type), &output)
        }
    }

    /// The connection opens it, or not, once nothing else is on its way.
    private func openLane(_ wanted: Frame.OpenLane, _ correlation: UInt64, _ output: inout SessionOutput) throws(ProtocolError) {
        guard knowsLanes, output.laneRequest == nil, unanswered.total == 0 else {
            throw fault(.unexpectedFrame, "a lane is asked for once, in front of everything else, by a client that has named the feature", &output)
        }
        output.laneRequest = LaneRequest(
            id: RequestWeight.plain.id(correlation), toServerBytes: Int(wanted.toServerBytes), toClientBytes: Int(wanted.toClientBytes))
    }

    package func laneAnswered(_ id: RequestID, _ answer: LaneAnswer, _ output: inout SessionOutput) {
        guard case .open = state else { return }
        let correlation = RequestWeight.correlation(of: id)
        switch answer {
        case .opens(let toServer, let toClient):
            Frame.LaneOpened(toServerBytes: UInt32(clamping: toServer), toClientBytes: UInt32(clamping: toClient))
                .encode(to: &output.bytes, correlation: correlation)
        case .refused(let error): refuse(correlation, error, &output)
        }
    }

    private func append(_ append: Append, _ correlation: UInt64, _ output: inout SessionOutput) throws(ProtocolError) {
        guard append.answer == .whenReached else { return output.request(append, id: RequestWeight.silent.id(0)) }
        guard let id = try admit(correlation, .plain, &output) else { return }
        output.request(append, id: id)
    }

    /// The requests that come now and then, and always have an answer.
    private func control(
        _ type: FrameType, _ header: FrameHeader, in input: RawSpan, at start: Int, _ output: inout SessionOutput
    ) throws(ProtocolError) -> Request {
        switch type {
        case .startProducer: Request(try read(header, in: input, at: start, &output) as Frame.StartProducer)
        case .findOffset: Request(try read(header, in: input, at: start, &output) as Frame.FindOffset)
        case .subscribe: Request(try read(header, in: input, at: start, &output) as Frame.Subscribe)
        case .unsubscribe: Request(try read(header, in: input, at: start, &output) as Frame.Unsubscribe)
        case .extendLease: Request(try read(header, in: input, at: start, &output) as Frame.ExtendLease)
        case .seek: Request(try read(header, in: input, at: start, &output) as Frame.Seek)
        case .deleteSubscription: Request(try read(header, in: input, at: start, &output) as Frame.DeleteSubscription)
        case .listSubscriptions: Request(try read(header, in: input, at: start, &output) as Frame.ListSubscriptions)
        case .createTopic: Request(try read(header, in: input, at: start, &output) as Frame.CreateTopic)
        case .alterTopic: Request(try read(header, in: input, at: start, &output) as Frame.AlterTopic)
        case .deleteTopic: Request(try read(header, in: input, at: start, &output) as Frame.DeleteTopic)
        case .describeTopic: Request(try read(header, in: input, at: start, &output) as Frame.DescribeTopic)
        case .listTopics: Request(try read(header, in: input, at: start, &output) as Frame.ListTopics)
        case .createReplyTopic: Request(try read(header, in: input, at: start, &output) as Frame.CreateReplyTopic)
        case .createExchange: Request(try read(header, in: input, at: start, &output) as Frame.CreateExchange)
        case .deleteExchange: Request(try read(header, in: input, at: start, &output) as Frame.DeleteExchange)
        case .bind: Request(try read(header, in: input, at: start, &output) as Frame.Bind)
        case .unbind: Request(try read(header, in: input, at: start, &output) as Frame.Unbind)
        case .listExchanges: Request(try read(header, in: input, at: start, &output) as Frame.ListExchanges)
        case .findExchange: Request(try read(header, in: input, at: start, &output) as Frame.FindExchange)
        case .purge: Request(try read(header, in: input, at: start, &output) as Frame.Purge)
        case .redrive: Request(try read(header, in: input, at: start, &output) as Frame.Redrive)
        case .statistics: Request(try read(header, in: input, at: start, &output) as Frame.Statistics)
        case .trace: Request(try read(header, in: input, at: start, &output) as Frame.Trace)
        default: throw fault(.unexpectedFrame, "a \(type) frame is not for the client to send now", &output)
        }
    }

    /// Settles of several ranges are several requests; those with `confirm` share one answer.
    private func settle(_ settle: Frame.Settle, _ correlation: UInt64, _ output: inout SessionOutput) throws(ProtocolError) {
        guard settle.confirm else {
            for range in settle.ranges { askSilently(.settle(Settle(settle.consumer, range, confirm: false)), &output) }
            return
        }
        if settle.ranges.count > 1 {
            guard confirmations[correlation] == nil else {
                throw fault(.malformedFrame, "a settle with the correlation of one that is not answered yet", &output)
            }
            confirmations[correlation] = Confirmation(remaining: settle.ranges.count, failure: nil)
        }
        for range in settle.ranges { try ask(.settle(Settle(settle.consumer, range, confirm: true)), correlation, .plain, &output) }
    }

    private func ask(
        _ request: consuming Request, _ correlation: UInt64, _ weight: RequestWeight, _ output: inout SessionOutput
    ) throws(ProtocolError) {
        guard let id = try admit(correlation, weight, &output) else { return }
        output.request(request, id: id)
    }

    /// The id of a request that is to be answered; nil, and refused, where too many are unanswered.
    private func admit(_ correlation: UInt64, _ weight: RequestWeight, _ output: inout SessionOutput) throws(ProtocolError) -> RequestID? {
        guard correlation & RequestWeight.mask == 0 else {
            throw fault(.malformedFrame, "the highest byte of a correlation is not 0", &output)
        }
        guard unanswered.admits(weight, peer.limits) else {
            output.reach(weight == .listing ? .listingsPerSession : .descriptionsPerSession)
            refuse(correlation, BrokerError(.limitReached, "too many requests of this kind are unanswered"), &output)
            return nil
        }
        unanswered.count(weight, 1)
        return weight.id(correlation)
    }

    /// Asks for something whose outcome the peer does not want to hear of.
    private func askSilently(_ request: consuming Request, _ output: inout SessionOutput) {
        output.request(request, id: RequestWeight.silent.id(0))
    }

    private func read<F: FrameBody>(
        _ header: FrameHeader, in input: RawSpan, at start: Int, _ output: inout SessionOutput
    ) throws(ProtocolError) -> F {
        do throws(ByteError) {
            return try F.decode(header, in: input, at: start)
        } catch {
            throw fault(.malformedFrame, "a \(F.type) frame is malformed: \(error)", &output)
        }
    }

    // MARK: To the peer

    package func complete(_ id: RequestID, _ response: Response, _ output: inout SessionOutput) {
        let weight = RequestWeight(of: id)
        guard case .open = state, weight != .silent else { return }
        if case .someSubscriptions = response { return answer(RequestWeight.correlation(of: id), response, &output) }
        unanswered.count(weight, -1)
        // Not at each answer: what is left unread is moved every time.
        if isHolding && unanswered.total <= peer.limits.unansweredRequests / 2 { isHolding = false }
        let correlation = RequestWeight.correlation(of: id)
        if !confirmations.isEmpty, var confirmation = confirmations[correlation] {
            confirmation.remaining &-= 1
            if case .failed(let error) = response, confirmation.failure == nil { confirmation.failure = error }
            guard confirmation.remaining == 0 else {
                confirmations[correlation] = confirmation
                return
            }
            confirmations[correlation] = nil
            answer(correlation, confirmation.failure.map(Response.failed) ?? .done, &output)
            return
        }
        answer(correlation, response, &output)
    }

    private func answer(_ correlation: UInt64, _ response: Response, _ output: inout SessionOutput) {
        switch response {
        case .appended(let appended): Frame.Published(appended).encodeHead(to: &output.bytes, correlation: correlation)
        case .fetched(let parts): for fetched in parts { answer(correlation, fetched, &output) }
        case .producer(let id, let epoch): Frame.Producer(id: id, epoch: epoch).encode(to: &output.bytes, correlation: correlation)
        case .offset(let offset, let timestamp, _):
            Frame.FoundOffset(offset: offset.rawValue, timestamp: timestamp.rawValue).encode(to: &output.bytes, correlation: correlation)
        case .subscribed(let subscription, let active):
            Frame.Subscribed(subscription: subscription.rawValue, isActive: active).encode(to: &output.bytes, correlation: correlation)
        case .topics(let topics): list(Frame.Topics.self, topics, correlation, &output) { Frame.TopicDescription($0, showsCompaction: knowsCompaction) }
        case .exchanges(let exchanges): list(Frame.Exchanges.self, exchanges, correlation, &output) { Frame.ExchangeDescription($0) }
        case .subscriptions(let subscriptions):
            list(Frame.Subscriptions.self, subscriptions, correlation, &output) { Frame.SubscriptionDescription($0) }
        case .someSubscriptions(let subscriptions):
            list(Frame.Subscriptions.self, subscriptions, correlation, &output, hasMore: true) { Frame.SubscriptionDescription($0) }
        case .statistics(let statistics), .traced(let statistics):
            list(Frame.Figures.self, statistics, correlation, &output) { Frame.Figure($0) }
        case .count(let count), .purged(let count, _): Frame.Count(count: count).encode(to: &output.bytes, correlation: correlation)
        // Not asked for in this protocol.
        case .epochEnd: Frame.OK().encode(to: &output.bytes, correlation: correlation)
        case .done: Frame.OK().encode(to: &output.bytes, correlation: correlation)
        case .group: preconditionFailure("the native protocol asks nothing about groups")
        case .failed(let error): refuse(correlation, error, &output)
        }
    }

    private func answer(_ correlation: UInt64, _ fetched: Fetched, _ output: inout SessionOutput) {
        if let failure = fetched.failure { return refuse(correlation, failure, &output) }
        guard fetched.slice?.range.count ?? 0 <= maxTailBytes else {
            refuse(correlation, BrokerError(.messageTooLarge, "the next batch is larger than the client takes"), &output)
            return
        }
        Frame.Fetched(fetched).encodeHead(to: &output.bytes, correlation: correlation)
        if let slice = fetched.slice { output.reference(slice) }
    }

    private func list<F: ListFrameBody, Described>(
        _ frame: F.Type, _ elements: [Described], _ correlation: UInt64, _ output: inout SessionOutput, hasMore: Bool = false,
        _ describe: (Described) -> F.Element
    ) {
        let start = output.bytes.count
        let largest = F.encodeParts(
            of: elements, to: &output.bytes, correlation: correlation, partBytes: NativeSession.partBytes, hasMore: hasMore, describe)
        guard largest > maxFrameBytes else { return }
        output.bytes.truncate(to: start)
        refuse(correlation, BrokerError(.limitReached, "an element of the list is larger than the client takes"), &output)
    }

    private func refuse(_ correlation: UInt64, _ error: BrokerError, _ output: inout SessionOutput) {
        Frame.Failure(code: ErrorCode(error.code), isFatal: false, text: error.text).encode(to: &output.bytes, correlation: correlation)
    }

    package func deliver(_ delivery: Delivery, _ output: inout SessionOutput) {
        guard case .open = state else { return }
        let slice: LogSlice
        switch delivery.content {
        case .batches(let batches): slice = batches
        case .records(let records, _): slice = records
        }
        guard slice.range.count <= maxTailBytes else {
            let error = BrokerError(.messageTooLarge, "a delivery of \(slice.range.count) bytes is larger than the client takes")
            askSilently(.unsubscribe(delivery.consumer), &output)
            notify(delivery.consumer, .ended(error), &output)
            return
        }
        switch delivery.content {
        case .batches: Frame.DeliverBatches(delivery, slice).encodeHead(to: &output.bytes)
        case .records(_, let base): Frame.DeliverRecords(delivery, slice, base).encodeHead(to: &output.bytes)
        }
        output.reference(slice)
    }

    package func notify(_ consumer: ConsumerID, _ event: ConsumerEvent, _ output: inout SessionOutput) {
        guard case .open = state else { return }
        Frame.ConsumerEvent(consumer, event).encode(to: &output.bytes)
    }

    package func advance(to now: Now, _ output: inout SessionOutput) throws(ProtocolError) {
        guard isAwaitingHello else { return }
        guard let deadline = handshakeDeadline else {
            let patience = UInt64(clamping: peer.limits.handshakeMilliseconds).multipliedReportingOverflow(by: 1_000_000)
            handshakeDeadline = now.instant.advanced(byNanoseconds: patience.overflow ? .max : patience.partialValue)
            return
        }
        guard now.instant < deadline || Mutant.isActive("waitsForHelloForEver") else {
            output.reach(.handshakeTimeout)
            throw fault(.handshakeTimeout, "no HELLO within \(peer.limits.handshakeMilliseconds) ms", &output)
        }
    }

    package func shutDown(_ output: inout SessionOutput) { _ = fault(.shuttingDown, "the server goes down", &output) }

    // MARK: Limits and faults

    private var isAwaitingHello: Bool {
        if case .awaitingHello = state { true } else { false }
    }

    private var knowsCompaction: Bool {
        if case .open(_, let features) = state { features & Frame.Hello.compaction != 0 } else { false }
    }

    private var knowsLanes: Bool {
        if case .open(_, let features) = state { features & Frame.Hello.lanes != 0 } else { false }
    }

    private var maxFrameBytes: Int {
        if case .open(let bytes, _) = state { bytes } else { 0 }
    }

    /// What fits behind the longest head of a frame.
    private var maxTailBytes: Int { max(0, maxFrameBytes &- Frame.DeliverRecords.headSize) }

    /// Says why, for the last time, and closes.
    private func fault(_ code: ErrorCode, _ text: String, _ output: inout SessionOutput) -> ProtocolError {
        if case .closing = state {
        } else {
            state = .closing
            confirmations = [:]
            Frame.Failure(code: code, isFatal: true, text: text).encode(to: &output.bytes)
            output.close()
        }
        return ProtocolError(code.description, text)
    }
}
