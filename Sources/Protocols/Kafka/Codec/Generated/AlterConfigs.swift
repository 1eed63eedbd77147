// Made by tools/kafka-codec/generate from tools/kafka-codec/messages.facts: change those.
internal import Bytes

struct AlterConfigsRequest: KafkaMessage, Equatable, Sendable {
    static let key = KafkaAPIKey.alterConfigs
    var resources: [Resource] = []
    var validateOnly = false

    struct Resource: KafkaStruct, Equatable, Sendable {
        static let minSize = 4
        var resourceType: Int8 = 0
        var resourceName = ""
        var configs: [Config] = []
    }

    struct Config: KafkaStruct, Equatable, Sendable {
        static let minSize = 3
        var name = ""
        var value: String? = ""
    }
}

extension AlterConfigsRequest {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 2
        resources = try reader.array(version, compact: flexible)
        validateOnly = try reader.bool()
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 2
        buffer.append(array: resources, version, compact: flexible)
        buffer.append(bool: validateOnly)
        if flexible { buffer.appendNoTaggedFields() }
    }
}

extension AlterConfigsRequest.Resource {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 2
        resourceType = try reader.integer()
        resourceName = try reader.string(compact: flexible)
        configs = try reader.array(version, compact: flexible)
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 2
        buffer.append(big: resourceType)
        buffer.append(string: resourceName, compact: flexible)
        buffer.append(array: configs, version, compact: flexible)
        if flexible { buffer.appendNoTaggedFields() }
    }
}

extension AlterConfigsRequest.Config {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 2
        name = try reader.string(compact: flexible)
        value = try reader.nullableString(compact: flexible)
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 2
        buffer.append(string: name, compact: flexible)
        buffer.append(nullableString: value, compact: flexible)
        if flexible { buffer.appendNoTaggedFields() }
    }
}

struct AlterConfigsResponse: KafkaMessage, Equatable, Sendable {
    static let key = KafkaAPIKey.alterConfigs
    var throttleTimeMs: Int32 = 0
    var responses: [Resource] = []

    struct Resource: KafkaStruct, Equatable, Sendable {
        static let minSize = 6
        var errorCode: Int16 = 0
        var errorMessage: String? = ""
        var resourceType: Int8 = 0
        var resourceName = ""
    }
}

extension AlterConfigsResponse {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 2
        throttleTimeMs = try reader.integer()
        responses = try reader.array(version, compact: flexible)
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 2
        buffer.append(big: throttleTimeMs)
        buffer.append(array: responses, version, compact: flexible)
        if flexible { buffer.appendNoTaggedFields() }
    }
}

extension AlterConfigsResponse.Resource {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 2
        errorCode = try reader.integer()
        errorMessage = try reader.nullableString(compact: flexible)
        resourceType = try reader.integer()
        resourceName = try reader.string(compact: flexible)
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 2
        buffer.append(big: errorCode)
        buffer.append(nullableString: errorMessage, compact: flexible)
        buffer.append(big: resourceType)
        buffer.append(string: resourceName, compact: flexible)
        if flexible { buffer.appendNoTaggedFields() }
    }
}
