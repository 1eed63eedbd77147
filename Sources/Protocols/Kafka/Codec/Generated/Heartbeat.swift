// Made by tools/kafka-codec/generate from tools/kafka-codec/messages.facts: change those.
internal import Bytes

struct HeartbeatRequest: KafkaMessage, Equatable, Sendable {
    static let key = KafkaAPIKey.heartbeat
    var groupID = ""
    var generationID: Int32 = 0
    var memberID = ""
    var groupInstanceID: String?
}

extension HeartbeatRequest {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 4
        groupID = try reader.string(compact: flexible)
        generationID = try reader.integer()
        memberID = try reader.string(compact: flexible)
        if version >= 3 { groupInstanceID = try reader.nullableString(compact: flexible) }
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 4
        buffer.append(string: groupID, compact: flexible)
        buffer.append(big: generationID)
        buffer.append(string: memberID, compact: flexible)
        if version >= 3 { buffer.append(nullableString: groupInstanceID, compact: flexible) }
        if flexible { buffer.appendNoTaggedFields() }
    }
}

struct HeartbeatResponse: KafkaMessage, Equatable, Sendable {
    static let key = KafkaAPIKey.heartbeat
    var throttleTimeMs: Int32 = 0
    var errorCode: Int16 = 0
}

extension HeartbeatResponse {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 4
        if version >= 1 { throttleTimeMs = try reader.integer() }
        errorCode = try reader.integer()
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 4
        if version >= 1 { buffer.append(big: throttleTimeMs) }
        buffer.append(big: errorCode)
        if flexible { buffer.appendNoTaggedFields() }
    }
}
