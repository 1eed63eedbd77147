// Made by tools/kafka-codec/generate from tools/kafka-codec/messages.facts: change those.
internal import Bytes

struct DescribeClusterRequest: KafkaMessage, Equatable, Sendable {
    static let key = KafkaAPIKey.describeCluster
    var includeClusterAuthorizedOperations = false
    var endpointType: Int8 = 1
    var includeFencedBrokers = false
}

extension DescribeClusterRequest {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        includeClusterAuthorizedOperations = try reader.bool()
        if version >= 1 { endpointType = try reader.integer() }
        if version >= 2 { includeFencedBrokers = try reader.bool() }
        try reader.skipTaggedFields()
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        buffer.append(bool: includeClusterAuthorizedOperations)
        if version >= 1 { buffer.append(big: endpointType) }
        if version >= 2 { buffer.append(bool: includeFencedBrokers) }
        buffer.appendNoTaggedFields()
    }
}

struct DescribeClusterResponse: KafkaMessage, Equatable, Sendable {
    static let key = KafkaAPIKey.describeCluster
    var throttleTimeMs: Int32 = 0
    var errorCode: Int16 = 0
    var errorMessage: String?
    var endpointType: Int8 = 1
    var clusterID = ""
    var controllerID: Int32 = -1
    var brokers: [Broker] = []
    var clusterAuthorizedOperations: Int32 = -2147483648

    struct Broker: KafkaStruct, Equatable, Sendable {
        static let minSize = 11
        var brokerID: Int32 = 0
        var host = ""
        var port: Int32 = 0
        var rack: String?
        var isFenced = false
    }
}

extension DescribeClusterResponse {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        throttleTimeMs = try reader.integer()
        errorCode = try reader.integer()
        errorMessage = try reader.nullableString(compact: true)
        if version >= 1 { endpointType = try reader.integer() }
        clusterID = try reader.string(compact: true)
        controllerID = try reader.integer()
        brokers = try reader.array(version, compact: true)
        clusterAuthorizedOperations = try reader.integer()
        try reader.skipTaggedFields()
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        buffer.append(big: throttleTimeMs)
        buffer.append(big: errorCode)
        buffer.append(nullableString: errorMessage, compact: true)
        if version >= 1 { buffer.append(big: endpointType) }
        buffer.append(string: clusterID, compact: true)
        buffer.append(big: controllerID)
        buffer.append(array: brokers, version, compact: true)
        buffer.append(big: clusterAuthorizedOperations)
        buffer.appendNoTaggedFields()
    }
}

extension DescribeClusterResponse.Broker {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        brokerID = try reader.integer()
        host = try reader.string(compact: true)
        port = try reader.integer()
        rack = try reader.nullableString(compact: true)
        if version >= 2 { isFenced = try reader.bool() }
        try reader.skipTaggedFields()
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        buffer.append(big: brokerID)
        buffer.append(string: host, compact: true)
        buffer.append(big: port)
        buffer.append(nullableString: rack, compact: true)
        if version >= 2 { buffer.append(bool: isFenced) }
        buffer.appendNoTaggedFields()
    }
}
