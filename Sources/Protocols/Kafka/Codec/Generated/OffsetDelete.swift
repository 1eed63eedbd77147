// Made by tools/kafka-codec/generate from tools/kafka-codec/messages.facts: change those.
internal import Bytes

struct OffsetDeleteRequest: KafkaMessage, Equatable, Sendable {
    static let key = KafkaAPIKey.offsetDelete
    var groupID = ""
    var topics: [Topic] = []

    struct Topic: KafkaStruct, Equatable, Sendable {
        static let minSize = 6
        var name = ""
        var partitions: [Partition] = []
    }

    struct Partition: KafkaStruct, Equatable, Sendable {
        static let minSize = 4
        var partitionIndex: Int32 = 0
    }
}

extension OffsetDeleteRequest {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        groupID = try reader.string(compact: false)
        topics = try reader.array(version, compact: false)
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        buffer.append(string: groupID, compact: false)
        buffer.append(array: topics, version, compact: false)
    }
}

extension OffsetDeleteRequest.Topic {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        name = try reader.string(compact: false)
        partitions = try reader.array(version, compact: false)
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        buffer.append(string: name, compact: false)
        buffer.append(array: partitions, version, compact: false)
    }
}

extension OffsetDeleteRequest.Partition {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        partitionIndex = try reader.integer()
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        buffer.append(big: partitionIndex)
    }
}

struct OffsetDeleteResponse: KafkaMessage, Equatable, Sendable {
    static let key = KafkaAPIKey.offsetDelete
    var errorCode: Int16 = 0
    var throttleTimeMs: Int32 = 0
    var topics: [Topic] = []

    struct Topic: KafkaStruct, Equatable, Sendable {
        static let minSize = 6
        var name = ""
        var partitions: [Partition] = []
    }

    struct Partition: KafkaStruct, Equatable, Sendable {
        static let minSize = 6
        var partitionIndex: Int32 = 0
        var errorCode: Int16 = 0
    }
}

extension OffsetDeleteResponse {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        errorCode = try reader.integer()
        throttleTimeMs = try reader.integer()
        topics = try reader.array(version, compact: false)
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        buffer.append(big: errorCode)
        buffer.append(big: throttleTimeMs)
        buffer.append(array: topics, version, compact: false)
    }
}

extension OffsetDeleteResponse.Topic {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        name = try reader.string(compact: false)
        partitions = try reader.array(version, compact: false)
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        buffer.append(string: name, compact: false)
        buffer.append(array: partitions, version, compact: false)
    }
}

extension OffsetDeleteResponse.Partition {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        partitionIndex = try reader.integer()
        errorCode = try reader.integer()
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        buffer.append(big: partitionIndex)
        buffer.append(big: errorCode)
    }
}
