// Made by tools/kafka-codec/generate from tools/kafka-codec/messages.facts: change those.
internal import Bytes

struct OffsetFetchRequest: KafkaMessage, Equatable, Sendable {
    static let key = KafkaAPIKey.offsetFetch
    var groupID = ""
    var topics: [Topic]? = []
    var groups: [Group] = []
    var requireStable = false

    struct Topic: KafkaStruct, Equatable, Sendable {
        static let minSize = 3
        var name = ""
        var partitionIndexes: [Int32] = []
    }

    struct Group: KafkaStruct, Equatable, Sendable {
        static let minSize = 3
        var groupID = ""
        var topics: [Topic]? = []
    }
}

extension OffsetFetchRequest {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 6
        if version <= 7 { groupID = try reader.string(compact: flexible) }
        if version <= 7 { topics = try reader.nullableArray(version, compact: flexible, nullable: version >= 2) }
        if version >= 8 { groups = try reader.array(version, compact: flexible) }
        if version >= 7 { requireStable = try reader.bool() }
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 6
        if version <= 7 { buffer.append(string: groupID, compact: flexible) }
        if version <= 7 { buffer.append(nullableArray: topics, version, compact: flexible, nullable: version >= 2) }
        if version >= 8 { buffer.append(array: groups, version, compact: flexible) }
        if version >= 7 { buffer.append(bool: requireStable) }
        if flexible { buffer.appendNoTaggedFields() }
    }
}

extension OffsetFetchRequest.Topic {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 6
        name = try reader.string(compact: flexible)
        partitionIndexes = try reader.array(version, compact: flexible)
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 6
        buffer.append(string: name, compact: flexible)
        buffer.append(array: partitionIndexes, version, compact: flexible)
        if flexible { buffer.appendNoTaggedFields() }
    }
}

extension OffsetFetchRequest.Group {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        groupID = try reader.string(compact: true)
        topics = try reader.nullableArray(version, compact: true)
        try reader.skipTaggedFields()
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        buffer.append(string: groupID, compact: true)
        buffer.append(nullableArray: topics, version, compact: true)
        buffer.appendNoTaggedFields()
    }
}

struct OffsetFetchResponse: KafkaMessage, Equatable, Sendable {
    static let key = KafkaAPIKey.offsetFetch
    var throttleTimeMs: Int32 = 0
    var topics: [Topic] = []
    var errorCode: Int16 = 0
    var groups: [Group] = []

    struct Topic: KafkaStruct, Equatable, Sendable {
        static let minSize = 3
        var name = ""
        var partitions: [Partition] = []
    }

    struct Partition: KafkaStruct, Equatable, Sendable {
        static let minSize = 16
        var partitionIndex: Int32 = 0
        var committedOffset: Int64 = 0
        var committedLeaderEpoch: Int32 = -1
        var metadata: String? = ""
        var errorCode: Int16 = 0
    }

    struct Group: KafkaStruct, Equatable, Sendable {
        static let minSize = 5
        var groupID = ""
        var topics: [Topic] = []
        var errorCode: Int16 = 0
    }
}

extension OffsetFetchResponse {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 6
        if version >= 3 { throttleTimeMs = try reader.integer() }
        if version <= 7 { topics = try reader.array(version, compact: flexible) }
        if version >= 2 && version <= 7 { errorCode = try reader.integer() }
        if version >= 8 { groups = try reader.array(version, compact: flexible) }
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 6
        if version >= 3 { buffer.append(big: throttleTimeMs) }
        if version <= 7 { buffer.append(array: topics, version, compact: flexible) }
        if version >= 2 && version <= 7 { buffer.append(big: errorCode) }
        if version >= 8 { buffer.append(array: groups, version, compact: flexible) }
        if flexible { buffer.appendNoTaggedFields() }
    }
}

extension OffsetFetchResponse.Topic {
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

extension OffsetFetchResponse.Partition {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 6
        partitionIndex = try reader.integer()
        committedOffset = try reader.integer()
        if version >= 5 { committedLeaderEpoch = try reader.integer() }
        metadata = try reader.nullableString(compact: flexible)
        errorCode = try reader.integer()
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 6
        buffer.append(big: partitionIndex)
        buffer.append(big: committedOffset)
        if version >= 5 { buffer.append(big: committedLeaderEpoch) }
        buffer.append(nullableString: metadata, compact: flexible)
        buffer.append(big: errorCode)
        if flexible { buffer.appendNoTaggedFields() }
    }
}

extension OffsetFetchResponse.Group {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        groupID = try reader.string(compact: true)
        topics = try reader.array(version, compact: true)
        errorCode = try reader.integer()
        try reader.skipTaggedFields()
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        buffer.append(string: groupID, compact: true)
        buffer.append(array: topics, version, compact: true)
        buffer.append(big: errorCode)
        buffer.appendNoTaggedFields()
    }
}
