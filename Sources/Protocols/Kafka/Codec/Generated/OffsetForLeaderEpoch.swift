// Made by tools/kafka-codec/generate from tools/kafka-codec/messages.facts: change those.
internal import Bytes

struct OffsetForLeaderEpochRequest: KafkaMessage, Equatable, Sendable {
    static let key = KafkaAPIKey.offsetForLeaderEpoch
    var replicaID: Int32 = -2
    var topics: [Topic] = []

    struct Topic: KafkaStruct, Equatable, Sendable {
        static let minSize = 3
        var topic = ""
        var partitions: [Partition] = []
    }

    struct Partition: KafkaStruct, Equatable, Sendable {
        static let minSize = 8
        var partition: Int32 = 0
        var currentLeaderEpoch: Int32 = -1
        var leaderEpoch: Int32 = 0
    }
}

extension OffsetForLeaderEpochRequest {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 4
        if version >= 3 { replicaID = try reader.integer() }
        topics = try reader.array(version, compact: flexible)
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 4
        if version >= 3 { buffer.append(big: replicaID) }
        buffer.append(array: topics, version, compact: flexible)
        if flexible { buffer.appendNoTaggedFields() }
    }
}

extension OffsetForLeaderEpochRequest.Topic {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 4
        topic = try reader.string(compact: flexible)
        partitions = try reader.array(version, compact: flexible)
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 4
        buffer.append(string: topic, compact: flexible)
        buffer.append(array: partitions, version, compact: flexible)
        if flexible { buffer.appendNoTaggedFields() }
    }
}

extension OffsetForLeaderEpochRequest.Partition {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 4
        partition = try reader.integer()
        if version >= 2 { currentLeaderEpoch = try reader.integer() }
        leaderEpoch = try reader.integer()
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 4
        buffer.append(big: partition)
        if version >= 2 { buffer.append(big: currentLeaderEpoch) }
        buffer.append(big: leaderEpoch)
        if flexible { buffer.appendNoTaggedFields() }
    }
}

struct OffsetForLeaderEpochResponse: KafkaMessage, Equatable, Sendable {
    static let key = KafkaAPIKey.offsetForLeaderEpoch
    var throttleTimeMs: Int32 = 0
    var topics: [Topic] = []

    struct Topic: KafkaStruct, Equatable, Sendable {
        static let minSize = 3
        var topic = ""
        var partitions: [Partition] = []
    }

    struct Partition: KafkaStruct, Equatable, Sendable {
        static let minSize = 14
        var errorCode: Int16 = 0
        var partition: Int32 = 0
        var leaderEpoch: Int32 = -1
        var endOffset: Int64 = -1
    }
}

extension OffsetForLeaderEpochResponse {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 4
        if version >= 2 { throttleTimeMs = try reader.integer() }
        topics = try reader.array(version, compact: flexible)
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 4
        if version >= 2 { buffer.append(big: throttleTimeMs) }
        buffer.append(array: topics, version, compact: flexible)
        if flexible { buffer.appendNoTaggedFields() }
    }
}

extension OffsetForLeaderEpochResponse.Topic {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 4
        topic = try reader.string(compact: flexible)
        partitions = try reader.array(version, compact: flexible)
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 4
        buffer.append(string: topic, compact: flexible)
        buffer.append(array: partitions, version, compact: flexible)
        if flexible { buffer.appendNoTaggedFields() }
    }
}

extension OffsetForLeaderEpochResponse.Partition {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 4
        errorCode = try reader.integer()
        partition = try reader.integer()
        if version >= 1 { leaderEpoch = try reader.integer() }
        endOffset = try reader.integer()
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 4
        buffer.append(big: errorCode)
        buffer.append(big: partition)
        if version >= 1 { buffer.append(big: leaderEpoch) }
        buffer.append(big: endOffset)
        if flexible { buffer.appendNoTaggedFields() }
    }
}
