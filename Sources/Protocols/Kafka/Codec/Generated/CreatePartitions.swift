// Made by tools/kafka-codec/generate from tools/kafka-codec/messages.facts: change those.
internal import Bytes

struct CreatePartitionsRequest: KafkaMessage, Equatable, Sendable {
    static let key = KafkaAPIKey.createPartitions
    var topics: [Topic] = []
    var timeoutMs: Int32 = 0
    var validateOnly = false

    struct Topic: KafkaStruct, Equatable, Sendable {
        static let minSize = 7
        var name = ""
        var count: Int32 = 0
        var assignments: [Assignment]? = []
    }

    struct Assignment: KafkaStruct, Equatable, Sendable {
        static let minSize = 2
        var brokerIDs: [Int32] = []
    }
}

extension CreatePartitionsRequest {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 2
        topics = try reader.array(version, compact: flexible)
        timeoutMs = try reader.integer()
        validateOnly = try reader.bool()
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 2
        buffer.append(array: topics, version, compact: flexible)
        buffer.append(big: timeoutMs)
        buffer.append(bool: validateOnly)
        if flexible { buffer.appendNoTaggedFields() }
    }
}

extension CreatePartitionsRequest.Topic {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 2
        name = try reader.string(compact: flexible)
        count = try reader.integer()
        assignments = try reader.nullableArray(version, compact: flexible)
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 2
        buffer.append(string: name, compact: flexible)
        buffer.append(big: count)
        buffer.append(nullableArray: assignments, version, compact: flexible)
        if flexible { buffer.appendNoTaggedFields() }
    }
}

extension CreatePartitionsRequest.Assignment {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 2
        brokerIDs = try reader.array(version, compact: flexible)
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 2
        buffer.append(array: brokerIDs, version, compact: flexible)
        if flexible { buffer.appendNoTaggedFields() }
    }
}

struct CreatePartitionsResponse: KafkaMessage, Equatable, Sendable {
    static let key = KafkaAPIKey.createPartitions
    var throttleTimeMs: Int32 = 0
    var results: [Topic] = []

    struct Topic: KafkaStruct, Equatable, Sendable {
        static let minSize = 5
        var name = ""
        var errorCode: Int16 = 0
        var errorMessage: String?
    }
}

extension CreatePartitionsResponse {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 2
        throttleTimeMs = try reader.integer()
        results = try reader.array(version, compact: flexible)
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 2
        buffer.append(big: throttleTimeMs)
        buffer.append(array: results, version, compact: flexible)
        if flexible { buffer.appendNoTaggedFields() }
    }
}

extension CreatePartitionsResponse.Topic {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 2
        name = try reader.string(compact: flexible)
        errorCode = try reader.integer()
        errorMessage = try reader.nullableString(compact: flexible)
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 2
        buffer.append(string: name, compact: flexible)
        buffer.append(big: errorCode)
        buffer.append(nullableString: errorMessage, compact: flexible)
        if flexible { buffer.appendNoTaggedFields() }
    }
}
