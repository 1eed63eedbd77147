// Made by tools/kafka-codec/generate from tools/kafka-codec/messages.facts: change those.
internal import Bytes

struct FindCoordinatorRequest: KafkaMessage, Equatable, Sendable {
    static let key = KafkaAPIKey.findCoordinator
    var key = ""
    var keyType: Int8 = 0
    var coordinatorKeys: [String] = []
}

extension FindCoordinatorRequest {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 3
        if version <= 3 { key = try reader.string(compact: flexible) }
        if version >= 1 { keyType = try reader.integer() }
        if version >= 4 { coordinatorKeys = try reader.array(version, compact: flexible) }
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 3
        if version <= 3 { buffer.append(string: key, compact: flexible) }
        if version >= 1 { buffer.append(big: keyType) }
        if version >= 4 { buffer.append(array: coordinatorKeys, version, compact: flexible) }
        if flexible { buffer.appendNoTaggedFields() }
    }
}

struct FindCoordinatorResponse: KafkaMessage, Equatable, Sendable {
    static let key = KafkaAPIKey.findCoordinator
    var throttleTimeMs: Int32 = 0
    var errorCode: Int16 = 0
    var errorMessage: String? = ""
    var nodeID: Int32 = 0
    var host = ""
    var port: Int32 = 0
    var coordinators: [Coordinator] = []

    struct Coordinator: KafkaStruct, Equatable, Sendable {
        static let minSize = 14
        var key = ""
        var nodeID: Int32 = 0
        var host = ""
        var port: Int32 = 0
        var errorCode: Int16 = 0
        var errorMessage: String? = ""
    }
}

extension FindCoordinatorResponse {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 3
        if version >= 1 { throttleTimeMs = try reader.integer() }
        if version <= 3 { errorCode = try reader.integer() }
        if version >= 1 && version <= 3 { errorMessage = try reader.nullableString(compact: flexible) }
        if version <= 3 { nodeID = try reader.integer() }
        if version <= 3 { host = try reader.string(compact: flexible) }
        if version <= 3 { port = try reader.integer() }
        if version >= 4 { coordinators = try reader.array(version, compact: flexible) }
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 3
        if version >= 1 { buffer.append(big: throttleTimeMs) }
        if version <= 3 { buffer.append(big: errorCode) }
        if version >= 1 && version <= 3 { buffer.append(nullableString: errorMessage, compact: flexible) }
        if version <= 3 { buffer.append(big: nodeID) }
        if version <= 3 { buffer.append(string: host, compact: flexible) }
        if version <= 3 { buffer.append(big: port) }
        if version >= 4 { buffer.append(array: coordinators, version, compact: flexible) }
        if flexible { buffer.appendNoTaggedFields() }
    }
}

extension FindCoordinatorResponse.Coordinator {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        key = try reader.string(compact: true)
        nodeID = try reader.integer()
        host = try reader.string(compact: true)
        port = try reader.integer()
        errorCode = try reader.integer()
        errorMessage = try reader.nullableString(compact: true)
        try reader.skipTaggedFields()
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        buffer.append(string: key, compact: true)
        buffer.append(big: nodeID)
        buffer.append(string: host, compact: true)
        buffer.append(big: port)
        buffer.append(big: errorCode)
        buffer.append(nullableString: errorMessage, compact: true)
        buffer.appendNoTaggedFields()
    }
}
