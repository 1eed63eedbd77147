package import Bytes

/// Beginning, end and pulse of a connection, and the answers that many requests share.
extension Frame {
    /// The first frame of every connection.
    package struct Hello: FrameBody {
        package static let type = FrameType.hello
        /// `NTAIL`, a line end as files have it that no text transfer may touch, and an end-of-file of old.
        package static let magic = UInt64(littleEndian: 0x1A0A_0D4C_4941_544E)
        /// The least that a client may announce as its `maxFrameBytes`: what a server hands over at a time fits well.
        package static let minFrameBytes: UInt32 = 1 << 20
        /// The feature of knowing topics that are compacted.
        package static let compaction: UInt64 = 1
        /// The feature of shared memory in place of the socket, for peers on a unix socket.
        package static let lanes: UInt64 = 2
        /// The feature of following a message.
        package static let traces: UInt64 = 4

        package var magic: UInt64
        package var oldestVersion: UInt16
        package var newestVersion: UInt16
        /// The largest frame that the client takes.
        package var maxFrameBytes: UInt32
        package var features: UInt64
        /// For people: shown in lists of connections.
        package var client: String

        package init(
            magic: UInt64 = Hello.magic, oldestVersion: UInt16 = 1, newestVersion: UInt16 = 1, maxFrameBytes: UInt32, features: UInt64 = 0,
            client: String
        ) {
            self.magic = magic
            self.oldestVersion = oldestVersion
            self.newestVersion = newestVersion
            self.maxFrameBytes = maxFrameBytes
            self.features = features
            self.client = client
        }

        package func write(to buffer: inout ByteBuffer) {
            buffer.append(little: magic)
            buffer.append(little: oldestVersion)
            buffer.append(little: newestVersion)
            buffer.append(little: maxFrameBytes)
            buffer.append(little: features)
            buffer.append(text: client)
        }

        @_lifetime(reader: copy reader)
        package static func read(_ reader: inout ByteReader, flags: UInt8) throws(ByteError) -> Hello {
            Hello(
                magic: try reader.little(), oldestVersion: try reader.little(), newestVersion: try reader.little(),
                maxFrameBytes: try reader.little(), features: try reader.little(), client: try reader.text())
        }
    }

    /// The answer to HELLO.
    package struct Welcome: FrameBody {
        package static let type = FrameType.welcome
        package var version: UInt16
        /// What both sides know of the features that the client named.
        package var features: UInt64
        /// The largest frame that the server takes.
        package var maxFrameBytes: UInt32
        /// The largest message or record batch that fits; a topic may allow less.
        package var maxMessageBytes: UInt32
        /// Requests that may be unanswered at a time.
        package var maxUnanswered: UInt32
        package var maxConsumers: UInt32
        package var node: Int32
        package var shards: Int32
        package var server: String
        package var serverVersion: String

        package init(
            version: UInt16, features: UInt64, maxFrameBytes: UInt32, maxMessageBytes: UInt32, maxUnanswered: UInt32, maxConsumers: UInt32,
            node: Int32, shards: Int32, server: String, serverVersion: String
        ) {
            self.version = version
            self.features = features
            self.maxFrameBytes = maxFrameBytes
            self.maxMessageBytes = maxMessageBytes
            self.maxUnanswered = maxUnanswered
            self.maxConsumers = maxConsumers
            self.node = node
            self.shards = shards
            self.server = server
            self.serverVersion = serverVersion
        }

        package func write(to buffer: inout ByteBuffer) {
            buffer.append(little: version)
            buffer.appendZeros(6)
            buffer.append(little: features)
            buffer.append(little: maxFrameBytes)
            buffer.append(little: maxMessageBytes)
            buffer.append(little: maxUnanswered)
            buffer.append(little: maxConsumers)
            buffer.append(little: node)
            buffer.append(little: shards)
            buffer.append(text: server)
            buffer.append(text: serverVersion)
        }

        @_lifetime(reader: copy reader)
        package static func read(_ reader: inout ByteReader, flags: UInt8) throws(ByteError) -> Welcome {
            let version = try reader.little(UInt16.self)
            try reader.reserved(6)
            return Welcome(
                version: version, features: try reader.little(), maxFrameBytes: try reader.little(), maxMessageBytes: try reader.little(),
                maxUnanswered: try reader.little(), maxConsumers: try reader.little(), node: try reader.little(),
                shards: try reader.little(), server: try reader.text(), serverVersion: try reader.text())
        }
    }

    /// Asks for a PONG. Either the client's keep-alive or its measure of the way.
    package struct Ping: EmptyFrameBody {
        package static let type = FrameType.ping
        package init() {}
    }

    package struct Pong: EmptyFrameBody {
        package static let type = FrameType.pong
        package init() {}
    }

    /// Asks for shared memory in place of the socket: docs/formats/lane.md. Nothing follows it on the socket before the answer.
    package struct OpenLane: FrameBody {
        package static let type = FrameType.openLane
        /// Bytes of the two rings that the client would like; 0: as the server thinks right.
        package var toServerBytes: UInt32
        package var toClientBytes: UInt32
        package init(toServerBytes: UInt32 = 0, toClientBytes: UInt32 = 0) {
            self.toServerBytes = toServerBytes
            self.toClientBytes = toClientBytes
        }

        package func write(to buffer: inout ByteBuffer) {
            buffer.append(little: toServerBytes)
            buffer.append(little: toClientBytes)
        }

        @_lifetime(reader: copy reader)
        package static func read(_ reader: inout ByteReader, flags: UInt8) throws(ByteError) -> OpenLane {
            OpenLane(toServerBytes: try reader.little(), toClientBytes: try reader.little())
        }
    }

    /// The last frame on the socket: with it comes the memory's descriptor. All frames behind it, of both sides, go through the rings.
    package struct LaneOpened: FrameBody {
        package static let type = FrameType.laneOpened
        package var toServerBytes: UInt32
        package var toClientBytes: UInt32
        package init(toServerBytes: UInt32, toClientBytes: UInt32) {
            self.toServerBytes = toServerBytes
            self.toClientBytes = toClientBytes
        }

        package func write(to buffer: inout ByteBuffer) {
            buffer.append(little: toServerBytes)
            buffer.append(little: toClientBytes)
        }

        @_lifetime(reader: copy reader)
        package static func read(_ reader: inout ByteReader, flags: UInt8) throws(ByteError) -> LaneOpened {
            LaneOpened(toServerBytes: try reader.little(), toClientBytes: try reader.little())
        }
    }

    /// Done as asked.
    package struct OK: EmptyFrameBody {
        package static let type = FrameType.ok
        package init() {}
    }

    /// How many were concerned.
    package struct Count: FrameBody {
        package static let type = FrameType.count
        package var count: Int64
        package init(count: Int64) { self.count = count }

        package func write(to buffer: inout ByteBuffer) { buffer.append(little: count) }

        @_lifetime(reader: copy reader)
        package static func read(_ reader: inout ByteReader, flags: UInt8) throws(ByteError) -> Count { Count(count: try reader.little()) }
    }

    /// A request was refused, or (fatal) the connection ends behind this frame.
    package struct Failure: FrameBody {
        package static let type = FrameType.error
        package var code: ErrorCode
        package var isFatal: Bool
        package var text: String
        package init(code: ErrorCode, isFatal: Bool, text: String) {
            self.code = code
            self.isFatal = isFatal
            self.text = text
        }

        package func write(to buffer: inout ByteBuffer) {
            buffer.append(little: code.rawValue)
            buffer.append(isFatal ? 1 : 0)
            buffer.append(0)
            buffer.append(text: text)
        }

        @_lifetime(reader: copy reader)
        package static func read(_ reader: inout ByteReader, flags: UInt8) throws(ByteError) -> Failure {
            let code = ErrorCode(rawValue: try reader.little())
            let isFatal = try reader.flag()
            try reader.reserved(1)
            return Failure(code: code, isFatal: isFatal, text: try reader.text())
        }
    }
}

/// A frame that is all header.
package protocol EmptyFrameBody: FrameBody {
    init()
}

extension EmptyFrameBody {
    package func write(to buffer: inout ByteBuffer) {}

    @_lifetime(reader: copy reader)
    package static func read(_ reader: inout ByteReader, flags: UInt8) throws(ByteError) -> Self { Self() }
}
