// Made by tools/kafka-codec/generate from tools/kafka-codec/messages.facts: change those.
internal import Bytes

struct DescribeConfigsRequest: KafkaMessage, Equatable, Sendable {
    static let key = KafkaAPIKey.describeConfigs
    var resources: [Resource] = []
    var includeSynonyms = false
    var includeDocumentation = false

    struct Resource: KafkaStruct, Equatable, Sendable {
        static let minSize = 4
        var resourceType: Int8 = 0
        var resourceName = ""
        var configurationKeys: [String]? = []
    }
}

extension DescribeConfigsRequest {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 4
        resources = try reader.array(version, compact: flexible)
        if version >= 1 { includeSynonyms = try reader.bool() }
        if version >= 3 { includeDocumentation = try reader.bool() }
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 4
        buffer.append(array: resources, version, compact: flexible)
        if version >= 1 { buffer.append(bool: includeSynonyms) }
        if version >= 3 { buffer.append(bool: includeDocumentation) }
        if flexible { buffer.appendNoTaggedFields() }
    }
}

extension DescribeConfigsRequest.Resource {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 4
        resourceType = try reader.integer()
        resourceName = try reader.string(compact: flexible)
        configurationKeys = try reader.nullableArray(version, compact: flexible)
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 4
        buffer.append(big: resourceType)
        buffer.append(string: resourceName, compact: flexible)
        buffer.append(nullableArray: configurationKeys, version, compact: flexible)
        if flexible { buffer.appendNoTaggedFields() }
    }
}

struct DescribeConfigsResponse: KafkaMessage, Equatable, Sendable {
    static let key = KafkaAPIKey.describeConfigs
    var throttleTimeMs: Int32 = 0
    var results: [Resource] = []

    struct Resource: KafkaStruct, Equatable, Sendable {
        static let minSize = 7
        var errorCode: Int16 = 0
        var errorMessage: String? = ""
        var resourceType: Int8 = 0
        var resourceName = ""
        var configs: [Config] = []
    }

    struct Config: KafkaStruct, Equatable, Sendable {
        static let minSize = 7
        var name = ""
        var value: String? = ""
        var readOnly = false
        var isDefault = false
        var configSource: Int8 = -1
        var isSensitive = false
        var synonyms: [Synonym] = []
        var configType: Int8 = 0
        var documentation: String? = ""
    }

    struct Synonym: KafkaStruct, Equatable, Sendable {
        static let minSize = 4
        var name = ""
        var value: String? = ""
        var source: Int8 = 0
    }
}

extension DescribeConfigsResponse {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 4
        throttleTimeMs = try reader.integer()
        results = try reader.array(version, compact: flexible)
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 4
        buffer.append(big: throttleTimeMs)
        buffer.append(array: results, version, compact: flexible)
        if flexible { buffer.appendNoTaggedFields() }
    }
}

extension DescribeConfigsResponse.Resource {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 4
        errorCode = try reader.integer()
        errorMessage = try reader.nullableString(compact: flexible)
        resourceType = try reader.integer()
        resourceName = try reader.string(compact: flexible)
        configs = try reader.array(version, compact: flexible)
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 4
        buffer.append(big: errorCode)
        buffer.append(nullableString: errorMessage, compact: flexible)
        buffer.append(big: resourceType)
        buffer.append(string: resourceName, compact: flexible)
        buffer.append(array: configs, version, compact: flexible)
        if flexible { buffer.appendNoTaggedFields() }
    }
}

extension DescribeConfigsResponse.Config {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 4
        name = try reader.string(compact: flexible)
        value = try reader.nullableString(compact: flexible)
        readOnly = try reader.bool()
        if version == 0 { isDefault = try reader.bool() }
        if version >= 1 { configSource = try reader.integer() }
        isSensitive = try reader.bool()
        if version >= 1 { synonyms = try reader.array(version, compact: flexible) }
        if version >= 3 { configType = try reader.integer() }
        if version >= 3 { documentation = try reader.nullableString(compact: flexible) }
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 4
        buffer.append(string: name, compact: flexible)
        buffer.append(nullableString: value, compact: flexible)
        buffer.append(bool: readOnly)
        if version == 0 { buffer.append(bool: isDefault) }
        if version >= 1 { buffer.append(big: configSource) }
        buffer.append(bool: isSensitive)
        if version >= 1 { buffer.append(array: synonyms, version, compact: flexible) }
        if version >= 3 { buffer.append(big: configType) }
        if version >= 3 { buffer.append(nullableString: documentation, compact: flexible) }
        if flexible { buffer.appendNoTaggedFields() }
    }
}

extension DescribeConfigsResponse.Synonym {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 4
        name = try reader.string(compact: flexible)
        value = try reader.nullableString(compact: flexible)
        source = try reader.integer()
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 4
        buffer.append(string: name, compact: flexible)
        buffer.append(nullableString: value, compact: flexible)
        buffer.append(big: source)
        if flexible { buffer.appendNoTaggedFields() }
    }
}
