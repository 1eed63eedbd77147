// Made by tools/kafka-codec/generate from tools/kafka-codec/messages.facts: change those.
internal import Bytes

struct MetadataRequest: KafkaMessage, Equatable, Sendable {
    static let key = KafkaAPIKey.metadata
    var topics: [Topic]? = []
    var allowAutoTopicCreation = true
    var includeClusterAuthorizedOperations = false
    var includeTopicAuthorizedOperations = false

    struct Topic: KafkaStruct, Equatable, Sendable {
        static let minSize = 2
        var topicID = KafkaUUID.zero
        var name: String? = ""
    }
}

extension MetadataRequest {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 9
        topics = try reader.nullableArray(version, compact: flexible, nullable: version >= 1)
        if version >= 4 { allowAutoTopicCreation = try reader.bool() }
        if version >= 8 && version <= 10 { includeClusterAuthorizedOperations = try reader.bool() }
        if version >= 8 { includeTopicAuthorizedOperations = try reader.bool() }
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 9
        buffer.append(nullableArray: topics, version, compact: flexible, nullable: version >= 1)
        if version >= 4 { buffer.append(bool: allowAutoTopicCreation) }
        if version >= 8 && version <= 10 { buffer.append(bool: includeClusterAuthorizedOperations) }
        if version >= 8 { buffer.append(bool: includeTopicAuthorizedOperations) }
        if flexible { buffer.appendNoTaggedFields() }
    }
}

extension MetadataRequest.Topic {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 9
        if version >= 10 { topicID = try reader.uuid() }
        name = try reader.nullableString(compact: flexible, nullable: version >= 10)
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 9
        if version >= 10 { buffer.append(uuid: topicID) }
        buffer.append(nullableString: name, compact: flexible, nullable: version >= 10)
        if flexible { buffer.appendNoTaggedFields() }
    }
}

struct MetadataResponse: KafkaMessage, Equatable, Sendable {
    static let key = KafkaAPIKey.metadata
    var throttleTimeMs: Int32 = 0
    var brokers: [Broker] = []
    var clusterID: String?
    var controllerID: Int32 = -1
    var topics: [Topic] = []
    var clusterAuthorizedOperations: Int32 = -2147483648

    struct Broker: KafkaStruct, Equatable, Sendable {
        static let minSize = 10
        var nodeID: Int32 = 0
        var host = ""
        var port: Int32 = 0
        var rack: String?
    }

    struct Topic: KafkaStruct, Equatable, Sendable {
        static let minSize = 8
        var errorCode: Int16 = 0
        var name: String? = ""
        var topicID = KafkaUUID.zero
        var isInternal = false
        var partitions: [Partition] = []
        var topicAuthorizedOperations: Int32 = -2147483648
    }

    struct Partition: KafkaStruct, Equatable, Sendable {
        static let minSize = 18
        var errorCode: Int16 = 0
        var partitionIndex: Int32 = 0
        var leaderID: Int32 = 0
        var leaderEpoch: Int32 = -1
        var replicaNodes: [Int32] = []
        var isrNodes: [Int32] = []
        var offlineReplicas: [Int32] = []
    }
}

extension MetadataResponse {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 9
        if version >= 3 { throttleTimeMs = try reader.integer() }
        brokers = try reader.array(version, compact: flexible)
        if version >= 2 { clusterID = try reader.nullableString(compact: flexible) }
        if version >= 1 { controllerID = try reader.integer() }
        topics = try reader.array(version, compact: flexible)
        if version >= 8 && version <= 10 { clusterAuthorizedOperations = try reader.integer() }
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 9
        if version >= 3 { buffer.append(big: throttleTimeMs) }
        buffer.append(array: brokers, version, compact: flexible)
        if version >= 2 { buffer.append(nullableString: clusterID, compact: flexible) }
        if version >= 1 { buffer.append(big: controllerID) }
        buffer.append(array: topics, version, compact: flexible)
        if version >= 8 && version <= 10 { buffer.append(big: clusterAuthorizedOperations) }
        if flexible { buffer.appendNoTaggedFields() }
    }
}

extension MetadataResponse.Broker {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 9
        nodeID = try reader.integer()
        host = try reader.string(compact: flexible)
        port = try reader.integer()
        if version >= 1 { rack = try reader.nullableString(compact: flexible) }
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 9
        buffer.append(big: nodeID)
        buffer.append(string: host, compact: flexible)
        buffer.append(big: port)
        if version >= 1 { buffer.append(nullableString: rack, compact: flexible) }
        if flexible { buffer.appendNoTaggedFields() }
    }
}

extension MetadataResponse.Topic {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 9
        errorCode = try reader.integer()
        name = try reader.nullableString(compact: flexible, nullable: version >= 12)
        if version >= 10 { topicID = try reader.uuid() }
        if version >= 1 { isInternal = try reader.bool() }
        partitions = try reader.array(version, compact: flexible)
        if version >= 8 { topicAuthorizedOperations = try reader.integer() }
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 9
        buffer.append(big: errorCode)
        buffer.append(nullableString: name, compact: flexible, nullable: version >= 12)
        if version >= 10 { buffer.append(uuid: topicID) }
        if version >= 1 { buffer.append(bool: isInternal) }
        buffer.append(array: partitions, version, compact: flexible)
        if version >= 8 { buffer.append(big: topicAuthorizedOperations) }
        if flexible { buffer.appendNoTaggedFields() }
    }
}

extension MetadataResponse.Partition {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 9
        errorCode = try reader.integer()
        partitionIndex = try reader.integer()
        leaderID = try reader.integer()
        if version >= 7 { leaderEpoch = try reader.integer() }
        replicaNodes = try reader.array(version, compact: flexible)
        isrNodes = try reader.array(version, compact: flexible)
        if version >= 5 { offlineReplicas = try reader.array(version, compact: flexible) }
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 9
        buffer.append(big: errorCode)
        buffer.append(big: partitionIndex)
        buffer.append(big: leaderID)
        if version >= 7 { buffer.append(big: leaderEpoch) }
        buffer.append(array: replicaNodes, version, compact: flexible)
        buffer.append(array: isrNodes, version, compact: flexible)
        if version >= 5 { buffer.append(array: offlineReplicas, version, compact: flexible) }
        if flexible { buffer.appendNoTaggedFields() }
    }
}
