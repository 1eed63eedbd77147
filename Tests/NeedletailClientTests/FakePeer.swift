import Bytes
import LinuxSystem
import NativeCodec
import Synchronization

/// A server made of nothing but NativeCodec and a blocking loopback socket. Each connection is handled by the next of `scripts`, in
/// turn (the last one again for all that follow), and closed when its script returns or throws.
final class FakeServer: Sendable {
    typealias Script = @Sendable (inout FakePeer) throws -> Void

    let address: String
    private let listener: Socket

    init(_ scripts: [Script]) throws {
        listener = try Socket.make(for: .ipv4(0x7f00_0001, port: 0), .blocking)
        try listener.bind(to: .ipv4(0x7f00_0001, port: 0))
        try listener.listen(backlog: 16)
        guard let bound = listener.localAddress else { throw Errno.invalid }
        address = bound.description
        let listener = listener
        _ = try Thread.spawn("fake-server") {
            var turn = 0
            while let socket = try? listener.accept(.blocking) {
                var peer = FakePeer(socket)
                // A script that throws has seen the client go, or wants it gone.
                try? scripts[min(turn, scripts.count - 1)](&peer)
                turn += 1
                socket.closeInOrder()
            }
            listener.close()
        }
    }

    /// Ends the accepting thread.
    deinit { listener.shutDown(.both) }
}

/// One connection of the fake server.
struct FakePeer: ~Copyable {
    struct Ended: Error {}

    let socket: Socket
    private var input = ByteBuffer()

    init(_ socket: Socket) { self.socket = socket }

    /// The next frame, header included.
    mutating func next() throws -> (header: FrameHeader, bytes: [UInt8]) {
        while true {
            if case .frame(let header) = try FrameSplitter.next(in: input.bytes, at: 0, limit: 64 << 20) {
                let bytes = [UInt8](input.bytes.extracting(0..<header.size))
                input.removeFirst(header.size)
                return (header, bytes)
            }
            guard try socket.receive(upTo: 64 << 10, into: &input) > 0 else { throw Ended() }
        }
    }

    /// The next frame, which must be a `Body`.
    mutating func expect<Body: FrameBody>(_: Body.Type) throws -> (body: Body, correlation: UInt64) {
        let (header, bytes) = try next()
        guard header.type == Body.type.rawValue else { throw Ended() }
        return (try Body.decode(header, in: bytes.rawSpan, at: 0), header.correlation)
    }

    mutating func send(_ body: some FrameBody, correlation: UInt64 = 0, tail: [UInt8] = []) throws {
        var output = ByteBuffer()
        body.encode(to: &output, correlation: correlation)
        output.append(tail)
        try socket.sendAll(output.bytes)
    }

    mutating func send(raw bytes: [UInt8]) throws { try socket.sendAll(bytes.rawSpan) }

    /// Greets as a good server does.
    mutating func welcome() throws {
        _ = try expect(Frame.Hello.self)
        try send(
            Frame.Welcome(
                version: 1, features: 0, maxFrameBytes: 64 << 20, maxMessageBytes: 1 << 20, maxUnanswered: 65_536, maxConsumers: 1_024, node: 0, shards: 1,
                server: "fake", serverVersion: "1"))
    }
}

/// As much of a broker as a client can tell from a real one: one topic, `t`, with one partition and one log; producers with sequences;
/// consumers that get everything from where they start.
final class FakeBroker: Sendable {
    struct Stored: Sendable {
        var base: Int64
        var count: Int64
        var bytes: [UInt8]
        var identity: [UInt8]
    }

    struct State {
        var log: [Stored] = []
        var end: Int64 = 0
        var nextProducer: Int64 = 100
        var subscribed: [Frame.Subscribe] = []
        var settled: [Frame.Settle.Range] = []
        var credits: [Frame.Credit] = []
        var duplicates = 0
        /// The next publish is stored, and its connection ends without an answer.
        var losesNextAnswer = false
        var refuses: ErrorCode?
    }

    static let topic: UInt32 = 7
    let state = Mutex(State())

    init() {}

    /// Serves one connection until it ends.
    var script: FakeServer.Script {
        { peer in
            try peer.welcome()
            while true { try self.serve(&peer) }
        }
    }

    func serve(_ peer: inout FakePeer) throws {
        let (header, bytes) = try peer.next()
        let answer = header.correlation
        switch FrameType(rawValue: header.type) {
        case .describeTopic, .createReplyTopic: try peer.send(topics, correlation: answer)
        case .findExchange:
            try peer.send(
                Frame.Exchanges(hasMore: false, elements: [Frame.ExchangeDescription(id: 9, name: "e", kind: .fanout, bindings: [])]), correlation: answer)
        case .startProducer:
            let id = state.withLock { state in
                state.nextProducer += 1
                return state.nextProducer
            }
            try peer.send(Frame.Producer(id: id, epoch: 0), correlation: answer)
        case .publishBatch:
            let frame = try Frame.PublishBatch.decode(header, in: bytes.rawSpan, at: 0)
            try publish(Array(bytes[frame.batch.indices]), answer, &peer)
        case .subscribe:
            let subscribe = try Frame.Subscribe.decode(header, in: bytes.rawSpan, at: 0)
            state.withLock { $0.subscribed.append(subscribe) }
            try peer.send(Frame.Subscribed(subscription: 1, isActive: true), correlation: answer)
            for stored in state.withLock({ $0.log }) { try deliver(stored, to: subscribe.consumer, &peer) }
        case .settle:
            let settle = try Frame.Settle.decode(header, in: bytes.rawSpan, at: 0)
            state.withLock { $0.settled += settle.ranges }
            if settle.confirm { try peer.send(Frame.OK(), correlation: answer) }
        case .credit:
            let credit = try Frame.Credit.decode(header, in: bytes.rawSpan, at: 0)
            state.withLock { $0.credits.append(credit) }
        case .ping: try peer.send(Frame.Pong(), correlation: answer)
        case .unsubscribe, .extendLease: try peer.send(Frame.OK(), correlation: answer)
        default: try peer.send(Frame.Failure(code: .unsupported, isFatal: false, text: "not in this fake"), correlation: answer)
        }
    }

    func answerTopics(_ header: FrameHeader, _ peer: inout FakePeer) throws { try peer.send(topics, correlation: header.correlation) }

    func deliver(_ stored: Stored, to consumer: UInt32, _ peer: inout FakePeer) throws {
        let head = Frame.DeliveryHead(
            consumer: consumer, topic: FakeBroker.topic, partition: 0, attempt: 1, first: stored.base, last: stored.base + stored.count - 1)
        try peer.send(Frame.DeliverBatches(head: head, batches: ByteRange(start: 0, count: stored.bytes.count)), tail: stored.bytes)
    }

    private var topics: Frame.Topics {
        let end = state.withLock { $0.end }
        let partition = Frame.PartitionDescription(index: 0, start: 0, flushed: end, end: end, bytes: 0, segments: 1, fault: nil)
        return Frame.Topics(
            hasMore: false, elements: [Frame.TopicDescription(id: FakeBroker.topic, name: "t", options: Frame.TopicOptions(), partitions: [partition])])
    }

    private func publish(_ batch: [UInt8], _ answer: UInt64, _ peer: inout FakePeer) throws {
        let (stored, isDuplicate, isLost, refusal) = state.withLock { state -> (Stored, Bool, Bool, ErrorCode?) in
            if let refusal = state.refuses {
                state.refuses = nil
                return (Stored(base: 0, count: 0, bytes: [], identity: []), false, false, refusal)
            }
            // Producer id, epoch and base sequence lie together.
            let identity = Array(batch[43..<57])
            let isDuplicate = identity.first != 0xff && state.log.contains { $0.identity == identity }
            var stored = Stored(base: state.end, count: Int64(batch[60]) | Int64(batch[59]) << 8, bytes: batch, identity: identity)
            if isDuplicate {
                state.duplicates += 1
                stored = state.log.first { $0.identity == identity } ?? stored
            } else {
                // The base offset is outside the checksum, so that it can be set here.
                for index in 0..<8 { stored.bytes[index] = UInt8(truncatingIfNeeded: state.end >> (56 - 8 * Int64(index))) }
                state.log.append(stored)
                state.end += stored.count
            }
            defer { state.losesNextAnswer = false }
            return (stored, isDuplicate, state.losesNextAnswer, nil)
        }
        if let refusal { return try peer.send(Frame.Failure(code: refusal, isFatal: false, text: "told to"), correlation: answer) }
        if isLost { throw FakePeer.Ended() }
        try peer.send(
            Frame.Published(
                topic: FakeBroker.topic, partition: 0, baseOffset: stored.base, count: Int32(stored.count), logs: 1, reached: .group,
                isDuplicate: isDuplicate), correlation: answer)
    }
}
