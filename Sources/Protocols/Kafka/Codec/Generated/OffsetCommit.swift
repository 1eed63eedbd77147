// Made by tools/kafka-codec/generate from tools/kafka-codec/messages.facts: change those.
internal import Bytes

struct OffsetCommitRequest: KafkaMessage, Equatable, Sendable {
    static let key = KafkaAPIKey.offsetCommit
    var groupID = ""
    var generationIDOrMemberEpoch: Int32 = -1
    var memberID = ""
    var groupInstanceID: String?
    var retentionTimeMs: Int64 = -1
    var topics: [Topic] = []

    struct Topic: KafkaStruct, Equatable, Sendable {
        static let minSize = 3
        var name = ""
        var partitions: [Partition] = []
    }

    struct Partition: KafkaStruct, Equatable, Sendable {
        static let minSize = 14
        var partitionIndex: Int32 = 0
        var committedOffset: Int64 = 0
        var committedLeaderEpoch: Int32 = -1
        var commitTimestamp: Int64 = -1
        var committedMetadata: String? = ""
    }
}

extension OffsetCommitRequest {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 8
        groupID = try reader.string(compact: flexible)
        generationIDOrMemberEpoch = try reader.integer()
        memberID = try reader.string(compact: flexible)
        if version >= 7 { groupInstanceID = try reader.nullableString(compact: flexible) }
        if version >= 2 && version <= 4 { retentionTimeMs = try reader.integer() }
        topics = try reader.array(version, compact: flexible)
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 8
        buffer.append(string: groupID, compact: flexible)
        buffer.append(big: generationIDOrMemberEpoch)
        buffer.append(string: memberID, compact: flexible)
        if version >= 7 { buffer.append(nullableString: groupInstanceID, compact: flexible) }
        if version >= 2 && version <= 4 { buffer.append(big: retentionTimeMs) }
        buffer.append(array: topics, version, compact: flexible)
        if flexible { buffer.appendNoTaggedFields() }
    }
}

extension OffsetCommitRequest.Topic {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 8
        name = try reader.string(compact: flexible)
        partitions = try reader.array(version, compact: flexible)
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 8
        buffer.append(string: name, compact: flexible)
        buffer.append(array: partitions, version, compact: flexible)
        if flexible { buffer.appendNoTaggedFields() }
    }
}

extension OffsetCommitRequest.Partition {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 8
        partitionIndex = try reader.integer()
        committedOffset = try reader.integer()
        if version >= 6 { committedLeaderEpoch = try reader.integer() }
        if version == 1 { commitTimestamp = try reader.integer() }
        committedMetadata = try reader.nullableString(compact: flexible)
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 8
        buffer.append(big: partitionIndex)
        buffer.append(big: committedOffset)
        if version >= 6 { buffer.append(big: committedLeaderEpoch) }
        if version == 1 { buffer.append(big: commitTimestamp) }
        buffer.append(nullableString: committedMetadata, compact: flexible)
        if flexible { buffer.appendNoTaggedFields() }
    }
}

struct OffsetCommitResponse: KafkaMessage, Equatable, Sendable {
    static let key = KafkaAPIKey.offsetCommit
    var throttleTimeMs: Int32 = 0
    var topics: [Topic] = []

    struct Topic: KafkaStruct, Equatable, Sendable {
        static let minSize = 3
        var name = ""
        var partitions: [Partition] = []
    }

    struct Partition: KafkaStruct, Equatable, Sendable {
        static let minSize = 6
        var partitionIndex: Int32 = 0
        var errorCode: Int16 = 0
    }
}

extension OffsetCommitResponse {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 8
        if version >= 3 { throttleTimeMs = try reader.integer() }
        topics = try reader.array(version, compact: flexible)
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 8
        if version >= 3 { buffer.append(big: throttleTimeMs) }
        buffer.append(array: topics, version, compact: flexible)
        if flexible { buffer.appendNoTaggedFields() }
    }
}

extension OffsetCommitResponse.Topic {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 8
        name = try reader.string(compact: flexible)
        partitions = try reader.array(version, compact: flexible)
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 8
        buffer.append(string: name, compact: flexible)
        buffer.append(array: partitions, version, compact: flexible)
        if flexible { buffer.appendNoTaggedFields() }
    }
}

extension OffsetCommitResponse.Partition {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 8
        partitionIndex = try reader.integer()
        errorCode = try reader.integer()
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 8
        buffer.append(big: partitionIndex)
        buffer.append(big: errorCode)
        if flexible { buffer.appendNoTaggedFields() }
    }
}
