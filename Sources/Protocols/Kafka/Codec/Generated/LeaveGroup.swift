// Made by tools/kafka-codec/generate from tools/kafka-codec/messages.facts: change those.
internal import Bytes

struct LeaveGroupRequest: KafkaMessage, Equatable, Sendable {
    static let key = KafkaAPIKey.leaveGroup
    var groupID = ""
    var memberID = ""
    var members: [Member] = []

    struct Member: KafkaStruct, Equatable, Sendable {
        static let minSize = 3
        var memberID = ""
        var groupInstanceID: String?
        var reason: String?
    }
}

extension LeaveGroupRequest {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 4
        groupID = try reader.string(compact: flexible)
        if version <= 2 { memberID = try reader.string(compact: flexible) }
        if version >= 3 { members = try reader.array(version, compact: flexible) }
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 4
        buffer.append(string: groupID, compact: flexible)
        if version <= 2 { buffer.append(string: memberID, compact: flexible) }
        if version >= 3 { buffer.append(array: members, version, compact: flexible) }
        if flexible { buffer.appendNoTaggedFields() }
    }
}

extension LeaveGroupRequest.Member {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 4
        memberID = try reader.string(compact: flexible)
        groupInstanceID = try reader.nullableString(compact: flexible)
        if version >= 5 { reason = try reader.nullableString(compact: flexible) }
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 4
        buffer.append(string: memberID, compact: flexible)
        buffer.append(nullableString: groupInstanceID, compact: flexible)
        if version >= 5 { buffer.append(nullableString: reason, compact: flexible) }
        if flexible { buffer.appendNoTaggedFields() }
    }
}

struct LeaveGroupResponse: KafkaMessage, Equatable, Sendable {
    static let key = KafkaAPIKey.leaveGroup
    var throttleTimeMs: Int32 = 0
    var errorCode: Int16 = 0
    var members: [Member] = []

    struct Member: KafkaStruct, Equatable, Sendable {
        static let minSize = 5
        var memberID = ""
        var groupInstanceID: String? = ""
        var errorCode: Int16 = 0
    }
}

extension LeaveGroupResponse {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 4
        if version >= 1 { throttleTimeMs = try reader.integer() }
        errorCode = try reader.integer()
        if version >= 3 { members = try reader.array(version, compact: flexible) }
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 4
        if version >= 1 { buffer.append(big: throttleTimeMs) }
        buffer.append(big: errorCode)
        if version >= 3 { buffer.append(array: members, version, compact: flexible) }
        if flexible { buffer.appendNoTaggedFields() }
    }
}

extension LeaveGroupResponse.Member {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 4
        memberID = try reader.string(compact: flexible)
        groupInstanceID = try reader.nullableString(compact: flexible)
        errorCode = try reader.integer()
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 4
        buffer.append(string: memberID, compact: flexible)
        buffer.append(nullableString: groupInstanceID, compact: flexible)
        buffer.append(big: errorCode)
        if flexible { buffer.appendNoTaggedFields() }
    }
}
