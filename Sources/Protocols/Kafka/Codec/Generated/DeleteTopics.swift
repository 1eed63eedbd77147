// Made by tools/kafka-codec/generate from tools/kafka-codec/messages.facts: change those.
internal import Bytes

struct DeleteTopicsRequest: KafkaMessage, Equatable, Sendable {
    static let key = KafkaAPIKey.deleteTopics
    var topics: [Topic] = []
    var topicNames: [String] = []
    var timeoutMs: Int32 = 0

    struct Topic: KafkaStruct, Equatable, Sendable {
        static let minSize = 18
        var name: String?
        var topicID = KafkaUUID.zero
    }
}

extension DeleteTopicsRequest {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 4
        if version >= 6 { topics = try reader.array(version, compact: flexible) }
        if version <= 5 { topicNames = try reader.array(version, compact: flexible) }
        timeoutMs = try reader.integer()
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 4
        if version >= 6 { buffer.append(array: topics, version, compact: flexible) }
        if version <= 5 { buffer.append(array: topicNames, version, compact: flexible) }
        buffer.append(big: timeoutMs)
        if flexible { buffer.appendNoTaggedFields() }
    }
}

extension DeleteTopicsRequest.Topic {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        name = try reader.nullableString(compact: true)
        topicID = try reader.uuid()
        try reader.skipTaggedFields()
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        buffer.append(nullableString: name, compact: true)
        buffer.append(uuid: topicID)
        buffer.appendNoTaggedFields()
    }
}

struct DeleteTopicsResponse: KafkaMessage, Equatable, Sendable {
    static let key = KafkaAPIKey.deleteTopics
    var throttleTimeMs: Int32 = 0
    var responses: [Topic] = []

    struct Topic: KafkaStruct, Equatable, Sendable {
        static let minSize = 4
        var name: String? = ""
        var topicID = KafkaUUID.zero
        var errorCode: Int16 = 0
        var errorMessage: String?
    }
}

extension DeleteTopicsResponse {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 4
        if version >= 1 { throttleTimeMs = try reader.integer() }
        responses = try reader.array(version, compact: flexible)
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 4
        if version >= 1 { buffer.append(big: throttleTimeMs) }
        buffer.append(array: responses, version, compact: flexible)
        if flexible { buffer.appendNoTaggedFields() }
    }
}

extension DeleteTopicsResponse.Topic {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 4
        name = try reader.nullableString(compact: flexible, nullable: version >= 6)
        if version >= 6 { topicID = try reader.uuid() }
        errorCode = try reader.integer()
        if version >= 5 { errorMessage = try reader.nullableString(compact: flexible) }
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 4
        buffer.append(nullableString: name, compact: flexible, nullable: version >= 6)
        if version >= 6 { buffer.append(uuid: topicID) }
        buffer.append(big: errorCode)
        if version >= 5 { buffer.append(nullableString: errorMessage, compact: flexible) }
        if flexible { buffer.appendNoTaggedFields() }
    }
}
