// Made by tools/kafka-codec/generate from tools/kafka-codec/messages.facts: change those.
internal import Bytes

struct JoinGroupRequest: KafkaMessage, Equatable, Sendable {
    static let key = KafkaAPIKey.joinGroup
    var groupID = ""
    var sessionTimeoutMs: Int32 = 0
    var rebalanceTimeoutMs: Int32 = -1
    var memberID = ""
    var groupInstanceID: String?
    var protocolType = ""
    var protocols: [GroupProtocol] = []
    var reason: String?

    struct GroupProtocol: KafkaStruct, Equatable, Sendable {
        static let minSize = 3
        var name = ""
        var metadata: [UInt8] = []
    }
}

extension JoinGroupRequest {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 6
        groupID = try reader.string(compact: flexible)
        sessionTimeoutMs = try reader.integer()
        if version >= 1 { rebalanceTimeoutMs = try reader.integer() }
        memberID = try reader.string(compact: flexible)
        if version >= 5 { groupInstanceID = try reader.nullableString(compact: flexible) }
        protocolType = try reader.string(compact: flexible)
        protocols = try reader.array(version, compact: flexible)
        if version >= 8 { reason = try reader.nullableString(compact: flexible) }
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 6
        buffer.append(string: groupID, compact: flexible)
        buffer.append(big: sessionTimeoutMs)
        if version >= 1 { buffer.append(big: rebalanceTimeoutMs) }
        buffer.append(string: memberID, compact: flexible)
        if version >= 5 { buffer.append(nullableString: groupInstanceID, compact: flexible) }
        buffer.append(string: protocolType, compact: flexible)
        buffer.append(array: protocols, version, compact: flexible)
        if version >= 8 { buffer.append(nullableString: reason, compact: flexible) }
        if flexible { buffer.appendNoTaggedFields() }
    }
}

extension JoinGroupRequest.GroupProtocol {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 6
        name = try reader.string(compact: flexible)
        metadata = try reader.bytes(compact: flexible)
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 6
        buffer.append(string: name, compact: flexible)
        buffer.append(bytes: metadata, compact: flexible)
        if flexible { buffer.appendNoTaggedFields() }
    }
}

struct JoinGroupResponse: KafkaMessage, Equatable, Sendable {
    static let key = KafkaAPIKey.joinGroup
    var throttleTimeMs: Int32 = 0
    var errorCode: Int16 = 0
    var generationID: Int32 = -1
    var protocolType: String?
    var protocolName: String? = ""
    var leader = ""
    var skipAssignment = false
    var memberID = ""
    var members: [Member] = []

    struct Member: KafkaStruct, Equatable, Sendable {
        static let minSize = 4
        var memberID = ""
        var groupInstanceID: String?
        var metadata: [UInt8] = []
    }
}

extension JoinGroupResponse {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 6
        if version >= 2 { throttleTimeMs = try reader.integer() }
        errorCode = try reader.integer()
        generationID = try reader.integer()
        if version >= 7 { protocolType = try reader.nullableString(compact: flexible) }
        protocolName = try reader.nullableString(compact: flexible, nullable: version >= 7)
        leader = try reader.string(compact: flexible)
        if version >= 9 { skipAssignment = try reader.bool() }
        memberID = try reader.string(compact: flexible)
        members = try reader.array(version, compact: flexible)
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 6
        if version >= 2 { buffer.append(big: throttleTimeMs) }
        buffer.append(big: errorCode)
        buffer.append(big: generationID)
        if version >= 7 { buffer.append(nullableString: protocolType, compact: flexible) }
        buffer.append(nullableString: protocolName, compact: flexible, nullable: version >= 7)
        buffer.append(string: leader, compact: flexible)
        if version >= 9 { buffer.append(bool: skipAssignment) }
        buffer.append(string: memberID, compact: flexible)
        buffer.append(array: members, version, compact: flexible)
        if flexible { buffer.appendNoTaggedFields() }
    }
}

extension JoinGroupResponse.Member {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 6
        memberID = try reader.string(compact: flexible)
        if version >= 5 { groupInstanceID = try reader.nullableString(compact: flexible) }
        metadata = try reader.bytes(compact: flexible)
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 6
        buffer.append(string: memberID, compact: flexible)
        if version >= 5 { buffer.append(nullableString: groupInstanceID, compact: flexible) }
        buffer.append(bytes: metadata, compact: flexible)
        if flexible { buffer.appendNoTaggedFields() }
    }
}
