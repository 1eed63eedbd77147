// Made by tools/kafka-codec/generate from tools/kafka-codec/messages.facts: change those.
internal import Bytes

struct SyncGroupRequest: KafkaMessage, Equatable, Sendable {
    static let key = KafkaAPIKey.syncGroup
    var groupID = ""
    var generationID: Int32 = 0
    var memberID = ""
    var groupInstanceID: String?
    var protocolType: String?
    var protocolName: String?
    var assignments: [Assignment] = []

    struct Assignment: KafkaStruct, Equatable, Sendable {
        static let minSize = 3
        var memberID = ""
        var assignment: [UInt8] = []
    }
}

extension SyncGroupRequest {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 4
        groupID = try reader.string(compact: flexible)
        generationID = try reader.integer()
        memberID = try reader.string(compact: flexible)
        if version >= 3 { groupInstanceID = try reader.nullableString(compact: flexible) }
        if version >= 5 { protocolType = try reader.nullableString(compact: flexible) }
        if version >= 5 { protocolName = try reader.nullableString(compact: flexible) }
        assignments = try reader.array(version, compact: flexible)
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 4
        buffer.append(string: groupID, compact: flexible)
        buffer.append(big: generationID)
        buffer.append(string: memberID, compact: flexible)
        if version >= 3 { buffer.append(nullableString: groupInstanceID, compact: flexible) }
        if version >= 5 { buffer.append(nullableString: protocolType, compact: flexible) }
        if version >= 5 { buffer.append(nullableString: protocolName, compact: flexible) }
        buffer.append(array: assignments, version, compact: flexible)
        if flexible { buffer.appendNoTaggedFields() }
    }
}

extension SyncGroupRequest.Assignment {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 4
        memberID = try reader.string(compact: flexible)
        assignment = try reader.bytes(compact: flexible)
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 4
        buffer.append(string: memberID, compact: flexible)
        buffer.append(bytes: assignment, compact: flexible)
        if flexible { buffer.appendNoTaggedFields() }
    }
}

struct SyncGroupResponse: KafkaMessage, Equatable, Sendable {
    static let key = KafkaAPIKey.syncGroup
    var throttleTimeMs: Int32 = 0
    var errorCode: Int16 = 0
    var protocolType: String?
    var protocolName: String?
    var assignment: [UInt8] = []
}

extension SyncGroupResponse {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 4
        if version >= 1 { throttleTimeMs = try reader.integer() }
        errorCode = try reader.integer()
        if version >= 5 { protocolType = try reader.nullableString(compact: flexible) }
        if version >= 5 { protocolName = try reader.nullableString(compact: flexible) }
        assignment = try reader.bytes(compact: flexible)
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 4
        if version >= 1 { buffer.append(big: throttleTimeMs) }
        buffer.append(big: errorCode)
        if version >= 5 { buffer.append(nullableString: protocolType, compact: flexible) }
        if version >= 5 { buffer.append(nullableString: protocolName, compact: flexible) }
        buffer.append(bytes: assignment, compact: flexible)
        if flexible { buffer.appendNoTaggedFields() }
    }
}
