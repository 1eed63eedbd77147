// Made by tools/kafka-codec/generate from tools/kafka-codec/messages.facts: change those.
internal import Bytes

struct DescribeClientQuotasRequest: KafkaMessage, Equatable, Sendable {
    static let key = KafkaAPIKey.describeClientQuotas
    var components: [Component] = []
    var strict = false

    struct Component: KafkaStruct, Equatable, Sendable {
        static let minSize = 4
        var entityType = ""
        var matchType: Int8 = 0
        var match: String? = ""
    }
}

extension DescribeClientQuotasRequest {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 1
        components = try reader.array(version, compact: flexible)
        strict = try reader.bool()
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 1
        buffer.append(array: components, version, compact: flexible)
        buffer.append(bool: strict)
        if flexible { buffer.appendNoTaggedFields() }
    }
}

extension DescribeClientQuotasRequest.Component {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 1
        entityType = try reader.string(compact: flexible)
        matchType = try reader.integer()
        match = try reader.nullableString(compact: flexible)
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 1
        buffer.append(string: entityType, compact: flexible)
        buffer.append(big: matchType)
        buffer.append(nullableString: match, compact: flexible)
        if flexible { buffer.appendNoTaggedFields() }
    }
}

struct DescribeClientQuotasResponse: KafkaMessage, Equatable, Sendable {
    static let key = KafkaAPIKey.describeClientQuotas
    var throttleTimeMs: Int32 = 0
    var errorCode: Int16 = 0
    var errorMessage: String? = ""
    var entries: [Entry]? = []

    struct Entry: KafkaStruct, Equatable, Sendable {
        static let minSize = 3
        var entity: [Entity] = []
        var values: [Value] = []
    }

    struct Entity: KafkaStruct, Equatable, Sendable {
        static let minSize = 3
        var entityType = ""
        var entityName: String? = ""
    }

    struct Value: KafkaStruct, Equatable, Sendable {
        static let minSize = 10
        var key = ""
        var value: Double = 0
    }
}

extension DescribeClientQuotasResponse {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 1
        throttleTimeMs = try reader.integer()
        errorCode = try reader.integer()
        errorMessage = try reader.nullableString(compact: flexible)
        entries = try reader.nullableArray(version, compact: flexible)
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 1
        buffer.append(big: throttleTimeMs)
        buffer.append(big: errorCode)
        buffer.append(nullableString: errorMessage, compact: flexible)
        buffer.append(nullableArray: entries, version, compact: flexible)
        if flexible { buffer.appendNoTaggedFields() }
    }
}

extension DescribeClientQuotasResponse.Entry {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 1
        entity = try reader.array(version, compact: flexible)
        values = try reader.array(version, compact: flexible)
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 1
        buffer.append(array: entity, version, compact: flexible)
        buffer.append(array: values, version, compact: flexible)
        if flexible { buffer.appendNoTaggedFields() }
    }
}

extension DescribeClientQuotasResponse.Entity {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 1
        entityType = try reader.string(compact: flexible)
        entityName = try reader.nullableString(compact: flexible)
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 1
        buffer.append(string: entityType, compact: flexible)
        buffer.append(nullableString: entityName, compact: flexible)
        if flexible { buffer.appendNoTaggedFields() }
    }
}

extension DescribeClientQuotasResponse.Value {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 1
        key = try reader.string(compact: flexible)
        value = try reader.double()
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 1
        buffer.append(string: key, compact: flexible)
        buffer.append(double: value)
        if flexible { buffer.appendNoTaggedFields() }
    }
}
