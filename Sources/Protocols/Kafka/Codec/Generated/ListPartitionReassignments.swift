// Made by tools/kafka-codec/generate from tools/kafka-codec/messages.facts: change those.
internal import Bytes

struct ListPartitionReassignmentsRequest: KafkaMessage, Equatable, Sendable {
    static let key = KafkaAPIKey.listPartitionReassignments
    var timeoutMs: Int32 = 60000
    var topics: [Topic]?

    struct Topic: KafkaStruct, Equatable, Sendable {
        static let minSize = 3
        var name = ""
        var partitionIndexes: [Int32] = []
    }
}

extension ListPartitionReassignmentsRequest {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        timeoutMs = try reader.integer()
        topics = try reader.nullableArray(version, compact: true)
        try reader.skipTaggedFields()
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        buffer.append(big: timeoutMs)
        buffer.append(nullableArray: topics, version, compact: true)
        buffer.appendNoTaggedFields()
    }
}

extension ListPartitionReassignmentsRequest.Topic {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        name = try reader.string(compact: true)
        partitionIndexes = try reader.array(version, compact: true)
        try reader.skipTaggedFields()
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        buffer.append(string: name, compact: true)
        buffer.append(array: partitionIndexes, version, compact: true)
        buffer.appendNoTaggedFields()
    }
}

struct ListPartitionReassignmentsResponse: KafkaMessage, Equatable, Sendable {
    static let key = KafkaAPIKey.listPartitionReassignments
    var throttleTimeMs: Int32 = 0
    var errorCode: Int16 = 0
    var errorMessage: String? = ""
    var topics: [Topic] = []

    struct Topic: KafkaStruct, Equatable, Sendable {
        static let minSize = 3
        var name = ""
        var partitions: [Partition] = []
    }

    struct Partition: KafkaStruct, Equatable, Sendable {
        static let minSize = 8
        var partitionIndex: Int32 = 0
        var replicas: [Int32] = []
        var addingReplicas: [Int32] = []
        var removingReplicas: [Int32] = []
    }
}

extension ListPartitionReassignmentsResponse {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        throttleTimeMs = try reader.integer()
        errorCode = try reader.integer()
        errorMessage = try reader.nullableString(compact: true)
        topics = try reader.array(version, compact: true)
        try reader.skipTaggedFields()
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        buffer.append(big: throttleTimeMs)
        buffer.append(big: errorCode)
        buffer.append(nullableString: errorMessage, compact: true)
        buffer.append(array: topics, version, compact: true)
        buffer.appendNoTaggedFields()
    }
}

extension ListPartitionReassignmentsResponse.Topic {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        name = try reader.string(compact: true)
        partitions = try reader.array(version, compact: true)
        try reader.skipTaggedFields()
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        buffer.append(string: name, compact: true)
        buffer.append(array: partitions, version, compact: true)
        buffer.appendNoTaggedFields()
    }
}

extension ListPartitionReassignmentsResponse.Partition {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        partitionIndex = try reader.integer()
        replicas = try reader.array(version, compact: true)
        addingReplicas = try reader.array(version, compact: true)
        removingReplicas = try reader.array(version, compact: true)
        try reader.skipTaggedFields()
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        buffer.append(big: partitionIndex)
        buffer.append(array: replicas, version, compact: true)
        buffer.append(array: addingReplicas, version, compact: true)
        buffer.append(array: removingReplicas, version, compact: true)
        buffer.appendNoTaggedFields()
    }
}
