// Made by tools/kafka-codec/generate from tools/kafka-codec/messages.facts: change those.
internal import Bytes

struct DescribeTopicPartitionsRequest: KafkaMessage, Equatable, Sendable {
    static let key = KafkaAPIKey.describeTopicPartitions
    var topics: [Topic] = []
    var responsePartitionLimit: Int32 = 2000
    var cursor: Cursor?

    struct Topic: KafkaStruct, Equatable, Sendable {
        static let minSize = 2
        var name = ""
    }

    struct Cursor: KafkaStruct, Equatable, Sendable {
        static let minSize = 6
        var topicName = ""
        var partitionIndex: Int32 = 0
    }
}

extension DescribeTopicPartitionsRequest {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        topics = try reader.array(version, compact: true)
        responsePartitionLimit = try reader.integer()
        cursor = try reader.nullable(version)
        try reader.skipTaggedFields()
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        buffer.append(array: topics, version, compact: true)
        buffer.append(big: responsePartitionLimit)
        buffer.append(nullable: cursor, version)
        buffer.appendNoTaggedFields()
    }
}

extension DescribeTopicPartitionsRequest.Topic {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        name = try reader.string(compact: true)
        try reader.skipTaggedFields()
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        buffer.append(string: name, compact: true)
        buffer.appendNoTaggedFields()
    }
}

extension DescribeTopicPartitionsRequest.Cursor {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        topicName = try reader.string(compact: true)
        partitionIndex = try reader.integer()
        try reader.skipTaggedFields()
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        buffer.append(string: topicName, compact: true)
        buffer.append(big: partitionIndex)
        buffer.appendNoTaggedFields()
    }
}

struct DescribeTopicPartitionsResponse: KafkaMessage, Equatable, Sendable {
    static let key = KafkaAPIKey.describeTopicPartitions
    var throttleTimeMs: Int32 = 0
    var topics: [Topic] = []
    var nextCursor: Cursor?

    struct Topic: KafkaStruct, Equatable, Sendable {
        static let minSize = 26
        var errorCode: Int16 = 0
        var name: String? = ""
        var topicID = KafkaUUID.zero
        var isInternal = false
        var partitions: [Partition] = []
        var topicAuthorizedOperations: Int32 = -2147483648
    }

    struct Partition: KafkaStruct, Equatable, Sendable {
        static let minSize = 20
        var errorCode: Int16 = 0
        var partitionIndex: Int32 = 0
        var leaderID: Int32 = 0
        var leaderEpoch: Int32 = -1
        var replicaNodes: [Int32] = []
        var isrNodes: [Int32] = []
        var eligibleLeaderReplicas: [Int32]?
        var lastKnownElr: [Int32]?
        var offlineReplicas: [Int32] = []
    }

    struct Cursor: KafkaStruct, Equatable, Sendable {
        static let minSize = 6
        var topicName = ""
        var partitionIndex: Int32 = 0
    }
}

extension DescribeTopicPartitionsResponse {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        throttleTimeMs = try reader.integer()
        topics = try reader.array(version, compact: true)
        nextCursor = try reader.nullable(version)
        try reader.skipTaggedFields()
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        buffer.append(big: throttleTimeMs)
        buffer.append(array: topics, version, compact: true)
        buffer.append(nullable: nextCursor, version)
        buffer.appendNoTaggedFields()
    }
}

extension DescribeTopicPartitionsResponse.Topic {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        errorCode = try reader.integer()
        name = try reader.nullableString(compact: true)
        topicID = try reader.uuid()
        isInternal = try reader.bool()
        partitions = try reader.array(version, compact: true)
        topicAuthorizedOperations = try reader.integer()
        try reader.skipTaggedFields()
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        buffer.append(big: errorCode)
        buffer.append(nullableString: name, compact: true)
        buffer.append(uuid: topicID)
        buffer.append(bool: isInternal)
        buffer.append(array: partitions, version, compact: true)
        buffer.append(big: topicAuthorizedOperations)
        buffer.appendNoTaggedFields()
    }
}

extension DescribeTopicPartitionsResponse.Partition {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        errorCode = try reader.integer()
        partitionIndex = try reader.integer()
        leaderID = try reader.integer()
        leaderEpoch = try reader.integer()
        replicaNodes = try reader.array(version, compact: true)
        isrNodes = try reader.array(version, compact: true)
        eligibleLeaderReplicas = try reader.nullableArray(version, compact: true)
        lastKnownElr = try reader.nullableArray(version, compact: true)
        offlineReplicas = try reader.array(version, compact: true)
        try reader.skipTaggedFields()
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        buffer.append(big: errorCode)
        buffer.append(big: partitionIndex)
        buffer.append(big: leaderID)
        buffer.append(big: leaderEpoch)
        buffer.append(array: replicaNodes, version, compact: true)
        buffer.append(array: isrNodes, version, compact: true)
        buffer.append(nullableArray: eligibleLeaderReplicas, version, compact: true)
        buffer.append(nullableArray: lastKnownElr, version, compact: true)
        buffer.append(array: offlineReplicas, version, compact: true)
        buffer.appendNoTaggedFields()
    }
}

extension DescribeTopicPartitionsResponse.Cursor {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        topicName = try reader.string(compact: true)
        partitionIndex = try reader.integer()
        try reader.skipTaggedFields()
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        buffer.append(string: topicName, compact: true)
        buffer.append(big: partitionIndex)
        buffer.appendNoTaggedFields()
    }
}
