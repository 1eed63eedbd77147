internal import Bytes
internal import Mutants

/// The first sixteen bytes of every frame of the native protocol (docs/formats/native-protocol.md), little-endian.
///
///     0        4      5      6          8                16
///     | size   | type | flags| reserved | correlation    |
///       u32      u8     u8     u16 = 0    u64
package struct FrameHeader: Equatable, Sendable {
    package static let size = 16

    /// Bytes of the whole frame, these sixteen included.
    package var size: Int
    /// What `FrameType` names; other values are kept, so that they can be refused by their number.
    package var type: UInt8
    package var flags: UInt8
    /// Chosen by the client, echoed in the answer; 0 in frames that answer nothing and want no answer.
    package var correlation: UInt64

    package init(size: Int, type: UInt8, flags: UInt8, correlation: UInt64) {
        self.size = size
        self.type = type
        self.flags = flags
        self.correlation = correlation
    }
}

/// What a frame is. Requests and answers of one subject stand beside each other.
package enum FrameType: UInt8, Sendable, CaseIterable {
    case hello = 0x01
    case welcome = 0x02
    case ping = 0x03
    case pong = 0x04
    case error = 0x05
    case ok = 0x06
    case count = 0x07
    case openLane = 0x08
    case laneOpened = 0x09

    case publish = 0x10
    case publishBatch = 0x11
    case published = 0x12
    case startProducer = 0x13
    case producer = 0x14

    case fetch = 0x20
    case fetched = 0x21
    case findOffset = 0x22
    case offset = 0x23

    case subscribe = 0x30
    case subscribed = 0x31
    case unsubscribe = 0x32
    case credit = 0x33
    case deliverBatches = 0x34
    case deliverRecords = 0x35
    case settle = 0x36
    case extendLease = 0x37
    case consumerEvent = 0x38
    case seek = 0x39
    case deleteSubscription = 0x3A
    case listSubscriptions = 0x3B
    case subscriptions = 0x3C

    case createTopic = 0x40
    case alterTopic = 0x41
    case deleteTopic = 0x42
    case describeTopic = 0x43
    case listTopics = 0x44
    case topics = 0x45
    case createReplyTopic = 0x46

    case createExchange = 0x48
    case deleteExchange = 0x49
    case bind = 0x4A
    case unbind = 0x4B
    case listExchanges = 0x4C
    case findExchange = 0x4D
    case exchanges = 0x4E

    case purge = 0x50
    case redrive = 0x51
    case statistics = 0x52
    case figures = 0x53
    case trace = 0x54

    /// Whether only a server sends it.
    package var isAnswer: Bool {
        switch self {
        case .welcome, .pong, .error, .ok, .count, .laneOpened, .published, .producer, .fetched, .offset, .subscribed, .deliverBatches, .deliverRecords,
            .consumerEvent, .subscriptions, .topics, .exchanges, .figures:
            true
        default: false
        }
    }
}

/// Why no frame can be cut from the input any more. Everything behind such bytes is meaningless: the connection ends.
package enum FrameError: Error, Equatable, Sendable {
    /// The size is below that of a header.
    case tooSmall(Int)
    /// The size is above what this side accepts.
    case tooLarge(Int, limit: Int)
    /// The reserved bytes are not zero.
    case reserved
}

/// Cuts a stream of bytes into frames, without copying any.
package enum FrameSplitter {
    package enum Step: Equatable, Sendable {
        /// The next frame is not whole; in all it needs so many bytes from its start, 0 when that is not known yet.
        case incomplete(wanted: Int)
        case frame(FrameHeader)
    }

    /// The frame that begins at `start`. Its size is checked as soon as its four bytes are there, before anything is awaited.
    package static func next(in input: RawSpan, at start: Int, limit: Int) throws(FrameError) -> Step {
        var reader = ByteReader(input)
        guard (try? reader.seek(to: start)) != nil, let declared = try? reader.little(UInt32.self) else { return .incomplete(wanted: 0) }
        let size = Mutant.isActive("trapsOnLongFrames") ? Int(Int32(declared)) : Int(declared)
        guard size >= FrameHeader.size else { throw .tooSmall(size) }
        guard size <= limit || Mutant.isActive("awaitsFramesOfAnySize") else { throw .tooLarge(size, limit: limit) }
        guard input.byteCount &- start >= size else { return .incomplete(wanted: size) }
        guard let type = try? reader.byte(), let flags = try? reader.byte(), let reserved = try? reader.little(UInt16.self),
            let correlation = try? reader.little(UInt64.self)
        else { return .incomplete(wanted: size) }
        guard reserved == 0 else { throw .reserved }
        return .frame(FrameHeader(size: size, type: type, flags: flags, correlation: correlation))
    }

    /// The type of the frame that begins at `start`, as soon as its byte is there.
    package static func typeOfNext(in input: RawSpan, at start: Int) -> UInt8? {
        var reader = ByteReader(input)
        guard (try? reader.seek(to: start)) != nil, (try? reader.little(UInt32.self)) != nil else { return nil }
        return try? reader.byte()
    }
}
