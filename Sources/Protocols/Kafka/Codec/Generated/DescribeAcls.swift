// Made by tools/kafka-codec/generate from tools/kafka-codec/messages.facts: change those.
internal import Bytes

struct DescribeAclsRequest: KafkaMessage, Equatable, Sendable {
    static let key = KafkaAPIKey.describeAcls
    var resourceTypeFilter: Int8 = 0
    var resourceNameFilter: String? = ""
    var patternTypeFilter: Int8 = 3
    var principalFilter: String? = ""
    var hostFilter: String? = ""
    var operation: Int8 = 0
    var permissionType: Int8 = 0
}

extension DescribeAclsRequest {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 2
        resourceTypeFilter = try reader.integer()
        resourceNameFilter = try reader.nullableString(compact: flexible)
        patternTypeFilter = try reader.integer()
        principalFilter = try reader.nullableString(compact: flexible)
        hostFilter = try reader.nullableString(compact: flexible)
        operation = try reader.integer()
        permissionType = try reader.integer()
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 2
        buffer.append(big: resourceTypeFilter)
        buffer.append(nullableString: resourceNameFilter, compact: flexible)
        buffer.append(big: patternTypeFilter)
        buffer.append(nullableString: principalFilter, compact: flexible)
        buffer.append(nullableString: hostFilter, compact: flexible)
        buffer.append(big: operation)
        buffer.append(big: permissionType)
        if flexible { buffer.appendNoTaggedFields() }
    }
}

struct DescribeAclsResponse: KafkaMessage, Equatable, Sendable {
    static let key = KafkaAPIKey.describeAcls
    var throttleTimeMs: Int32 = 0
    var errorCode: Int16 = 0
    var errorMessage: String? = ""
    var resources: [Resource] = []

    struct Resource: KafkaStruct, Equatable, Sendable {
        static let minSize = 5
        var resourceType: Int8 = 0
        var resourceName = ""
        var patternType: Int8 = 3
        var acls: [Acl] = []
    }

    struct Acl: KafkaStruct, Equatable, Sendable {
        static let minSize = 5
        var principal = ""
        var host = ""
        var operation: Int8 = 0
        var permissionType: Int8 = 0
    }
}

extension DescribeAclsResponse {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 2
        throttleTimeMs = try reader.integer()
        errorCode = try reader.integer()
        errorMessage = try reader.nullableString(compact: flexible)
        resources = try reader.array(version, compact: flexible)
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 2
        buffer.append(big: throttleTimeMs)
        buffer.append(big: errorCode)
        buffer.append(nullableString: errorMessage, compact: flexible)
        buffer.append(array: resources, version, compact: flexible)
        if flexible { buffer.appendNoTaggedFields() }
    }
}

extension DescribeAclsResponse.Resource {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 2
        resourceType = try reader.integer()
        resourceName = try reader.string(compact: flexible)
        patternType = try reader.integer()
        acls = try reader.array(version, compact: flexible)
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 2
        buffer.append(big: resourceType)
        buffer.append(string: resourceName, compact: flexible)
        buffer.append(big: patternType)
        buffer.append(array: acls, version, compact: flexible)
        if flexible { buffer.appendNoTaggedFields() }
    }
}

extension DescribeAclsResponse.Acl {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 2
        principal = try reader.string(compact: flexible)
        host = try reader.string(compact: flexible)
        operation = try reader.integer()
        permissionType = try reader.integer()
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 2
        buffer.append(string: principal, compact: flexible)
        buffer.append(string: host, compact: flexible)
        buffer.append(big: operation)
        buffer.append(big: permissionType)
        if flexible { buffer.appendNoTaggedFields() }
    }
}
