// Made by tools/kafka-codec/generate from tools/kafka-codec/messages.facts: change those.
internal import Bytes

struct ListGroupsRequest: KafkaMessage, Equatable, Sendable {
    static let key = KafkaAPIKey.listGroups
    var statesFilter: [String] = []
    var typesFilter: [String] = []
}

extension ListGroupsRequest {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 3
        if version >= 4 { statesFilter = try reader.array(version, compact: flexible) }
        if version >= 5 { typesFilter = try reader.array(version, compact: flexible) }
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 3
        if version >= 4 { buffer.append(array: statesFilter, version, compact: flexible) }
        if version >= 5 { buffer.append(array: typesFilter, version, compact: flexible) }
        if flexible { buffer.appendNoTaggedFields() }
    }
}

struct ListGroupsResponse: KafkaMessage, Equatable, Sendable {
    static let key = KafkaAPIKey.listGroups
    var throttleTimeMs: Int32 = 0
    var errorCode: Int16 = 0
    var groups: [Group] = []

    struct Group: KafkaStruct, Equatable, Sendable {
        static let minSize = 3
        var groupID = ""
        var protocolType = ""
        var groupState = ""
        var groupType = ""
    }
}

extension ListGroupsResponse {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 3
        if version >= 1 { throttleTimeMs = try reader.integer() }
        errorCode = try reader.integer()
        groups = try reader.array(version, compact: flexible)
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 3
        if version >= 1 { buffer.append(big: throttleTimeMs) }
        buffer.append(big: errorCode)
        buffer.append(array: groups, version, compact: flexible)
        if flexible { buffer.appendNoTaggedFields() }
    }
}

extension ListGroupsResponse.Group {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 3
        groupID = try reader.string(compact: flexible)
        protocolType = try reader.string(compact: flexible)
        if version >= 4 { groupState = try reader.string(compact: flexible) }
        if version >= 5 { groupType = try reader.string(compact: flexible) }
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 3
        buffer.append(string: groupID, compact: flexible)
        buffer.append(string: protocolType, compact: flexible)
        if version >= 4 { buffer.append(string: groupState, compact: flexible) }
        if version >= 5 { buffer.append(string: groupType, compact: flexible) }
        if flexible { buffer.appendNoTaggedFields() }
    }
}
