// Made by tools/kafka-codec/generate from tools/kafka-codec/messages.facts: change those.
internal import Bytes

struct ApiVersionsRequest: KafkaMessage, Equatable, Sendable {
    static let key = KafkaAPIKey.apiVersions
    var clientSoftwareName = ""
    var clientSoftwareVersion = ""
}

extension ApiVersionsRequest {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 3
        if version >= 3 { clientSoftwareName = try reader.string(compact: flexible) }
        if version >= 3 { clientSoftwareVersion = try reader.string(compact: flexible) }
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 3
        if version >= 3 { buffer.append(string: clientSoftwareName, compact: flexible) }
        if version >= 3 { buffer.append(string: clientSoftwareVersion, compact: flexible) }
        if flexible { buffer.appendNoTaggedFields() }
    }
}

struct ApiVersionsResponse: KafkaMessage, Equatable, Sendable {
    static let key = KafkaAPIKey.apiVersions
    var errorCode: Int16 = 0
    var apiKeys: [API] = []
    var throttleTimeMs: Int32 = 0
    var supportedFeatures: [SupportedFeature] = []
    var finalizedFeaturesEpoch: Int64 = -1
    var finalizedFeatures: [FinalizedFeature] = []
    var zkMigrationReady = false

    struct API: KafkaStruct, Equatable, Sendable {
        static let minSize = 6
        var apiKey: Int16 = 0
        var minVersion: Int16 = 0
        var maxVersion: Int16 = 0
    }

    struct SupportedFeature: KafkaStruct, Equatable, Sendable {
        static let minSize = 6
        var name = ""
        var minVersion: Int16 = 0
        var maxVersion: Int16 = 0
    }

    struct FinalizedFeature: KafkaStruct, Equatable, Sendable {
        static let minSize = 6
        var name = ""
        var maxVersionLevel: Int16 = 0
        var minVersionLevel: Int16 = 0
    }
}

extension ApiVersionsResponse {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 3
        errorCode = try reader.integer()
        apiKeys = try reader.array(version, compact: flexible)
        if version >= 1 { throttleTimeMs = try reader.integer() }
        if flexible {
            for _ in 0..<(try reader.taggedFieldCount()) {
                let field = try reader.taggedField()
                switch field.tag {
                case 0: supportedFeatures = try reader.array(version, compact: flexible)
                case 1: finalizedFeaturesEpoch = try reader.integer()
                case 2: finalizedFeatures = try reader.array(version, compact: flexible)
                case 3: zkMigrationReady = try reader.bool()
                default: try reader.skip(field)
                }
                try reader.finish(field)
            }
        }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 3
        buffer.append(big: errorCode)
        buffer.append(array: apiKeys, version, compact: flexible)
        if version >= 1 { buffer.append(big: throttleTimeMs) }
        if flexible {
            var tagged = TaggedFields()
            if !supportedFeatures.isEmpty { tagged.add(0) { $0.append(array: supportedFeatures, version, compact: flexible) } }
            if finalizedFeaturesEpoch != -1 { tagged.add(1) { $0.append(big: finalizedFeaturesEpoch) } }
            if !finalizedFeatures.isEmpty { tagged.add(2) { $0.append(array: finalizedFeatures, version, compact: flexible) } }
            if zkMigrationReady { tagged.add(3) { $0.append(bool: zkMigrationReady) } }
            tagged.write(to: &buffer)
        }
    }
}

extension ApiVersionsResponse.API {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 3
        apiKey = try reader.integer()
        minVersion = try reader.integer()
        maxVersion = try reader.integer()
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 3
        buffer.append(big: apiKey)
        buffer.append(big: minVersion)
        buffer.append(big: maxVersion)
        if flexible { buffer.appendNoTaggedFields() }
    }
}

extension ApiVersionsResponse.SupportedFeature {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        name = try reader.string(compact: true)
        minVersion = try reader.integer()
        maxVersion = try reader.integer()
        try reader.skipTaggedFields()
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        buffer.append(string: name, compact: true)
        buffer.append(big: minVersion)
        buffer.append(big: maxVersion)
        buffer.appendNoTaggedFields()
    }
}

extension ApiVersionsResponse.FinalizedFeature {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        name = try reader.string(compact: true)
        maxVersionLevel = try reader.integer()
        minVersionLevel = try reader.integer()
        try reader.skipTaggedFields()
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        buffer.append(string: name, compact: true)
        buffer.append(big: maxVersionLevel)
        buffer.append(big: minVersionLevel)
        buffer.appendNoTaggedFields()
    }
}
