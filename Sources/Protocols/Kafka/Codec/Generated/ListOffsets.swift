// Made by tools/kafka-codec/generate from tools/kafka-codec/messages.facts: change those.
internal import Bytes

struct ListOffsetsRequest: KafkaMessage, Equatable, Sendable {
    static let key = KafkaAPIKey.listOffsets
    var replicaID: Int32 = 0
    var isolationLevel: Int8 = 0
    var topics: [Topic] = []

    struct Topic: KafkaStruct, Equatable, Sendable {
        static let minSize = 3
        var name = ""
        var partitions: [Partition] = []
    }

    struct Partition: KafkaStruct, Equatable, Sendable {
        static let minSize = 12
        var partitionIndex: Int32 = 0
        var currentLeaderEpoch: Int32 = -1
        var timestamp: Int64 = 0
    }
}

extension ListOffsetsRequest {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 6
        replicaID = try reader.integer()
        if version >= 2 { isolationLevel = try reader.integer() }
        topics = try reader.array(version, compact: flexible)
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 6
        buffer.append(big: replicaID)
        if version >= 2 { buffer.append(big: isolationLevel) }
        buffer.append(array: topics, version, compact: flexible)
        if flexible { buffer.appendNoTaggedFields() }
    }
}

extension ListOffsetsRequest.Topic {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 6
        name = try reader.string(compact: flexible)
        partitions = try reader.array(version, compact: flexible)
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 6
        buffer.append(string: name, compact: flexible)
        buffer.append(array: partitions, version, compact: flexible)
        if flexible { buffer.appendNoTaggedFields() }
    }
}

extension ListOffsetsRequest.Partition {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 6
        partitionIndex = try reader.integer()
        if version >= 4 { currentLeaderEpoch = try reader.integer() }
        timestamp = try reader.integer()
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 6
        buffer.append(big: partitionIndex)
        if version >= 4 { buffer.append(big: currentLeaderEpoch) }
        buffer.append(big: timestamp)
        if flexible { buffer.appendNoTaggedFields() }
    }
}

struct ListOffsetsResponse: KafkaMessage, Equatable, Sendable {
    static let key = KafkaAPIKey.listOffsets
    var throttleTimeMs: Int32 = 0
    var topics: [Topic] = []

    struct Topic: KafkaStruct, Equatable, Sendable {
        static let minSize = 3
        var name = ""
        var partitions: [Partition] = []
    }

    struct Partition: KafkaStruct, Equatable, Sendable {
        static let minSize = 22
        var partitionIndex: Int32 = 0
        var errorCode: Int16 = 0
        var timestamp: Int64 = -1
        var offset: Int64 = -1
        var leaderEpoch: Int32 = -1
    }
}

extension ListOffsetsResponse {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 6
        if version >= 2 { throttleTimeMs = try reader.integer() }
        topics = try reader.array(version, compact: flexible)
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 6
        if version >= 2 { buffer.append(big: throttleTimeMs) }
        buffer.append(array: topics, version, compact: flexible)
        if flexible { buffer.appendNoTaggedFields() }
    }
}

extension ListOffsetsResponse.Topic {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 6
        name = try reader.string(compact: flexible)
        partitions = try reader.array(version, compact: flexible)
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 6
        buffer.append(string: name, compact: flexible)
        buffer.append(array: partitions, version, compact: flexible)
        if flexible { buffer.appendNoTaggedFields() }
    }
}

extension ListOffsetsResponse.Partition {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 6
        partitionIndex = try reader.integer()
        errorCode = try reader.integer()
        timestamp = try reader.integer()
        offset = try reader.integer()
        if version >= 4 { leaderEpoch = try reader.integer() }
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 6
        buffer.append(big: partitionIndex)
        buffer.append(big: errorCode)
        buffer.append(big: timestamp)
        buffer.append(big: offset)
        if version >= 4 { buffer.append(big: leaderEpoch) }
        if flexible { buffer.appendNoTaggedFields() }
    }
}
