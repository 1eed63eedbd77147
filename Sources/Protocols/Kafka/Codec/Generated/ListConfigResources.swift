// Made by tools/kafka-codec/generate from tools/kafka-codec/messages.facts: change those.
internal import Bytes

struct ListConfigResourcesRequest: KafkaMessage, Equatable, Sendable {
    static let key = KafkaAPIKey.listConfigResources
    var resourceTypes: [Int8] = []
}

extension ListConfigResourcesRequest {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        if version >= 1 { resourceTypes = try reader.array(version, compact: true) }
        try reader.skipTaggedFields()
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        if version >= 1 { buffer.append(array: resourceTypes, version, compact: true) }
        buffer.appendNoTaggedFields()
    }
}

struct ListConfigResourcesResponse: KafkaMessage, Equatable, Sendable {
    static let key = KafkaAPIKey.listConfigResources
    var throttleTimeMs: Int32 = 0
    var errorCode: Int16 = 0
    var configResources: [Resource] = []

    struct Resource: KafkaStruct, Equatable, Sendable {
        static let minSize = 2
        var resourceName = ""
        var resourceType: Int8 = 16
    }
}

extension ListConfigResourcesResponse {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        throttleTimeMs = try reader.integer()
        errorCode = try reader.integer()
        configResources = try reader.array(version, compact: true)
        try reader.skipTaggedFields()
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        buffer.append(big: throttleTimeMs)
        buffer.append(big: errorCode)
        buffer.append(array: configResources, version, compact: true)
        buffer.appendNoTaggedFields()
    }
}

extension ListConfigResourcesResponse.Resource {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        resourceName = try reader.string(compact: true)
        if version >= 1 { resourceType = try reader.integer() }
        try reader.skipTaggedFields()
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        buffer.append(string: resourceName, compact: true)
        if version >= 1 { buffer.append(big: resourceType) }
        buffer.appendNoTaggedFields()
    }
}
