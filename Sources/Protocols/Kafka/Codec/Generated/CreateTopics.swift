// Made by tools/kafka-codec/generate from tools/kafka-codec/messages.facts: change those.
internal import Bytes

struct CreateTopicsRequest: KafkaMessage, Equatable, Sendable {
    static let key = KafkaAPIKey.createTopics
    var topics: [Topic] = []
    var timeoutMs: Int32 = 60000
    var validateOnly = false

    struct Topic: KafkaStruct, Equatable, Sendable {
        static let minSize = 10
        var name = ""
        var numPartitions: Int32 = 0
        var replicationFactor: Int16 = 0
        var assignments: [Assignment] = []
        var configs: [Config] = []
    }

    struct Assignment: KafkaStruct, Equatable, Sendable {
        static let minSize = 6
        var partitionIndex: Int32 = 0
        var brokerIDs: [Int32] = []
    }

    struct Config: KafkaStruct, Equatable, Sendable {
        static let minSize = 3
        var name = ""
        var value: String? = ""
    }
}

extension CreateTopicsRequest {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 5
        topics = try reader.array(version, compact: flexible)
        timeoutMs = try reader.integer()
        if version >= 1 { validateOnly = try reader.bool() }
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 5
        buffer.append(array: topics, version, compact: flexible)
        buffer.append(big: timeoutMs)
        if version >= 1 { buffer.append(bool: validateOnly) }
        if flexible { buffer.appendNoTaggedFields() }
    }
}

extension CreateTopicsRequest.Topic {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 5
        name = try reader.string(compact: flexible)
        numPartitions = try reader.integer()
        replicationFactor = try reader.integer()
        assignments = try reader.array(version, compact: flexible)
        configs = try reader.array(version, compact: flexible)
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 5
        buffer.append(string: name, compact: flexible)
        buffer.append(big: numPartitions)
        buffer.append(big: replicationFactor)
        buffer.append(array: assignments, version, compact: flexible)
        buffer.append(array: configs, version, compact: flexible)
        if flexible { buffer.appendNoTaggedFields() }
    }
}

extension CreateTopicsRequest.Assignment {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 5
        partitionIndex = try reader.integer()
        brokerIDs = try reader.array(version, compact: flexible)
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 5
        buffer.append(big: partitionIndex)
        buffer.append(array: brokerIDs, version, compact: flexible)
        if flexible { buffer.appendNoTaggedFields() }
    }
}

extension CreateTopicsRequest.Config {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 5
        name = try reader.string(compact: flexible)
        value = try reader.nullableString(compact: flexible)
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 5
        buffer.append(string: name, compact: flexible)
        buffer.append(nullableString: value, compact: flexible)
        if flexible { buffer.appendNoTaggedFields() }
    }
}

struct CreateTopicsResponse: KafkaMessage, Equatable, Sendable {
    static let key = KafkaAPIKey.createTopics
    var throttleTimeMs: Int32 = 0
    var topics: [Topic] = []

    struct Topic: KafkaStruct, Equatable, Sendable {
        static let minSize = 4
        var name = ""
        var topicID = KafkaUUID.zero
        var errorCode: Int16 = 0
        var errorMessage: String? = ""
        var topicConfigErrorCode: Int16 = 0
        var numPartitions: Int32 = -1
        var replicationFactor: Int16 = -1
        var configs: [Config]? = []
    }

    struct Config: KafkaStruct, Equatable, Sendable {
        static let minSize = 6
        var name = ""
        var value: String? = ""
        var readOnly = false
        var configSource: Int8 = -1
        var isSensitive = false
    }
}

extension CreateTopicsResponse {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 5
        if version >= 2 { throttleTimeMs = try reader.integer() }
        topics = try reader.array(version, compact: flexible)
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 5
        if version >= 2 { buffer.append(big: throttleTimeMs) }
        buffer.append(array: topics, version, compact: flexible)
        if flexible { buffer.appendNoTaggedFields() }
    }
}

extension CreateTopicsResponse.Topic {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 5
        name = try reader.string(compact: flexible)
        if version >= 7 { topicID = try reader.uuid() }
        errorCode = try reader.integer()
        if version >= 1 { errorMessage = try reader.nullableString(compact: flexible) }
        if version >= 5 { numPartitions = try reader.integer() }
        if version >= 5 { replicationFactor = try reader.integer() }
        if version >= 5 { configs = try reader.nullableArray(version, compact: flexible) }
        if flexible {
            for _ in 0..<(try reader.taggedFieldCount()) {
                let field = try reader.taggedField()
                switch field.tag {
                case 0: topicConfigErrorCode = try reader.integer()
                default: try reader.skip(field)
                }
                try reader.finish(field)
            }
        }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 5
        buffer.append(string: name, compact: flexible)
        if version >= 7 { buffer.append(uuid: topicID) }
        buffer.append(big: errorCode)
        if version >= 1 { buffer.append(nullableString: errorMessage, compact: flexible) }
        if version >= 5 { buffer.append(big: numPartitions) }
        if version >= 5 { buffer.append(big: replicationFactor) }
        if version >= 5 { buffer.append(nullableArray: configs, version, compact: flexible) }
        if flexible {
            var tagged = TaggedFields()
            if topicConfigErrorCode != 0 { tagged.add(0) { $0.append(big: topicConfigErrorCode) } }
            tagged.write(to: &buffer)
        }
    }
}

extension CreateTopicsResponse.Config {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        name = try reader.string(compact: true)
        value = try reader.nullableString(compact: true)
        readOnly = try reader.bool()
        configSource = try reader.integer()
        isSensitive = try reader.bool()
        try reader.skipTaggedFields()
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        buffer.append(string: name, compact: true)
        buffer.append(nullableString: value, compact: true)
        buffer.append(bool: readOnly)
        buffer.append(big: configSource)
        buffer.append(bool: isSensitive)
        buffer.appendNoTaggedFields()
    }
}
