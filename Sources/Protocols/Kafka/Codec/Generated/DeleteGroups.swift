// Made by tools/kafka-codec/generate from tools/kafka-codec/messages.facts: change those.
internal import Bytes

struct DeleteGroupsRequest: KafkaMessage, Equatable, Sendable {
    static let key = KafkaAPIKey.deleteGroups
    var groupsNames: [String] = []
}

extension DeleteGroupsRequest {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 2
        groupsNames = try reader.array(version, compact: flexible)
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 2
        buffer.append(array: groupsNames, version, compact: flexible)
        if flexible { buffer.appendNoTaggedFields() }
    }
}

struct DeleteGroupsResponse: KafkaMessage, Equatable, Sendable {
    static let key = KafkaAPIKey.deleteGroups
    var throttleTimeMs: Int32 = 0
    var results: [Group] = []

    struct Group: KafkaStruct, Equatable, Sendable {
        static let minSize = 4
        var groupID = ""
        var errorCode: Int16 = 0
    }
}

extension DeleteGroupsResponse {
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

extension DeleteGroupsResponse.Group {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 2
        groupID = try reader.string(compact: flexible)
        errorCode = try reader.integer()
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 2
        buffer.append(string: groupID, compact: flexible)
        buffer.append(big: errorCode)
        if flexible { buffer.appendNoTaggedFields() }
    }
}
