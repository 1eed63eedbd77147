// Made by tools/kafka-codec/generate from tools/kafka-codec/messages.facts: change those.
internal import Bytes

struct DescribeGroupsRequest: KafkaMessage, Equatable, Sendable {
    static let key = KafkaAPIKey.describeGroups
    var groups: [String] = []
    var includeAuthorizedOperations = false
}

extension DescribeGroupsRequest {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 5
        groups = try reader.array(version, compact: flexible)
        if version >= 3 { includeAuthorizedOperations = try reader.bool() }
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 5
        buffer.append(array: groups, version, compact: flexible)
        if version >= 3 { buffer.append(bool: includeAuthorizedOperations) }
        if flexible { buffer.appendNoTaggedFields() }
    }
}

struct DescribeGroupsResponse: KafkaMessage, Equatable, Sendable {
    static let key = KafkaAPIKey.describeGroups
    var throttleTimeMs: Int32 = 0
    var groups: [Group] = []

    struct Group: KafkaStruct, Equatable, Sendable {
        static let minSize = 12
        var errorCode: Int16 = 0
        var errorMessage: String?
        var groupID = ""
        var groupState = ""
        var protocolType = ""
        var protocolData = ""
        var members: [Member] = []
        var authorizedOperations: Int32 = -2147483648
    }

    struct Member: KafkaStruct, Equatable, Sendable {
        static let minSize = 7
        var memberID = ""
        var groupInstanceID: String?
        var clientID = ""
        var clientHost = ""
        var memberMetadata: [UInt8] = []
        var memberAssignment: [UInt8] = []
    }
}

extension DescribeGroupsResponse {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 5
        if version >= 1 { throttleTimeMs = try reader.integer() }
        groups = try reader.array(version, compact: flexible)
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 5
        if version >= 1 { buffer.append(big: throttleTimeMs) }
        buffer.append(array: groups, version, compact: flexible)
        if flexible { buffer.appendNoTaggedFields() }
    }
}

extension DescribeGroupsResponse.Group {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 5
        errorCode = try reader.integer()
        if version >= 6 { errorMessage = try reader.nullableString(compact: flexible) }
        groupID = try reader.string(compact: flexible)
        groupState = try reader.string(compact: flexible)
        protocolType = try reader.string(compact: flexible)
        protocolData = try reader.string(compact: flexible)
        members = try reader.array(version, compact: flexible)
        if version >= 3 { authorizedOperations = try reader.integer() }
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 5
        buffer.append(big: errorCode)
        if version >= 6 { buffer.append(nullableString: errorMessage, compact: flexible) }
        buffer.append(string: groupID, compact: flexible)
        buffer.append(string: groupState, compact: flexible)
        buffer.append(string: protocolType, compact: flexible)
        buffer.append(string: protocolData, compact: flexible)
        buffer.append(array: members, version, compact: flexible)
        if version >= 3 { buffer.append(big: authorizedOperations) }
        if flexible { buffer.appendNoTaggedFields() }
    }
}

extension DescribeGroupsResponse.Member {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 5
        memberID = try reader.string(compact: flexible)
        if version >= 4 { groupInstanceID = try reader.nullableString(compact: flexible) }
        clientID = try reader.string(compact: flexible)
        clientHost = try reader.string(compact: flexible)
        memberMetadata = try reader.bytes(compact: flexible)
        memberAssignment = try reader.bytes(compact: flexible)
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 5
        buffer.append(string: memberID, compact: flexible)
        if version >= 4 { buffer.append(nullableString: groupInstanceID, compact: flexible) }
        buffer.append(string: clientID, compact: flexible)
        buffer.append(string: clientHost, compact: flexible)
        buffer.append(bytes: memberMetadata, compact: flexible)
        buffer.append(bytes: memberAssignment, compact: flexible)
        if flexible { buffer.appendNoTaggedFields() }
    }
}
