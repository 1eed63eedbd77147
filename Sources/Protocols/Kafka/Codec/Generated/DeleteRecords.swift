// Made by tools/kafka-codec/generate from tools/kafka-codec/messages.facts: change those.
internal import Bytes

struct DeleteRecordsRequest: KafkaMessage, Equatable, Sendable {
    static let key = KafkaAPIKey.deleteRecords
    var topics: [Topic] = []
    var timeoutMs: Int32 = 0

    struct Topic: KafkaStruct, Equatable, Sendable {
        static let minSize = 3
        var name = ""
        var partitions: [Partition] = []
    }

    struct Partition: KafkaStruct, Equatable, Sendable {
        static let minSize = 12
        var partitionIndex: Int32 = 0
        var offset: Int64 = 0
    }
}

extension DeleteRecordsRequest {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 2
        topics = try reader.array(version, compact: flexible)
        timeoutMs = try reader.integer()
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 2
        buffer.append(array: topics, version, compact: flexible)
        buffer.append(big: timeoutMs)
        if flexible { buffer.appendNoTaggedFields() }
    }
}

extension DeleteRecordsRequest.Topic {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 2
        name = try reader.string(compact: flexible)
        partitions = try reader.array(version, compact: flexible)
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 2
        buffer.append(string: name, compact: flexible)
        buffer.append(array: partitions, version, compact: flexible)
        if flexible { buffer.appendNoTaggedFields() }
    }
}

extension DeleteRecordsRequest.Partition {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 2
        partitionIndex = try reader.integer()
        offset = try reader.integer()
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 2
        buffer.append(big: partitionIndex)
        buffer.append(big: offset)
        if flexible { buffer.appendNoTaggedFields() }
    }
}

struct DeleteRecordsResponse: KafkaMessage, Equatable, Sendable {
    static let key = KafkaAPIKey.deleteRecords
    var throttleTimeMs: Int32 = 0
    var topics: [Topic] = []

    struct Topic: KafkaStruct, Equatable, Sendable {
        static let minSize = 3
        var name = ""
        var partitions: [Partition] = []
    }

    struct Partition: KafkaStruct, Equatable, Sendable {
        static let minSize = 14
        var partitionIndex: Int32 = 0
        var lowWatermark: Int64 = 0
        var errorCode: Int16 = 0
    }
}

extension DeleteRecordsResponse {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 2
        throttleTimeMs = try reader.integer()
        topics = try reader.array(version, compact: flexible)
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 2
        buffer.append(big: throttleTimeMs)
        buffer.append(array: topics, version, compact: flexible)
        if flexible { buffer.appendNoTaggedFields() }
    }
}

extension DeleteRecordsResponse.Topic {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 2
        name = try reader.string(compact: flexible)
        partitions = try reader.array(version, compact: flexible)
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 2
        buffer.append(string: name, compact: flexible)
        buffer.append(array: partitions, version, compact: flexible)
        if flexible { buffer.appendNoTaggedFields() }
    }
}

extension DeleteRecordsResponse.Partition {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 2
        partitionIndex = try reader.integer()
        lowWatermark = try reader.integer()
        errorCode = try reader.integer()
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 2
        buffer.append(big: partitionIndex)
        buffer.append(big: lowWatermark)
        buffer.append(big: errorCode)
        if flexible { buffer.appendNoTaggedFields() }
    }
}
