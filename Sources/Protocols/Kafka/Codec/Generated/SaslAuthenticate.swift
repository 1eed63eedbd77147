// Made by tools/kafka-codec/generate from tools/kafka-codec/messages.facts: change those.
internal import Bytes

struct SaslAuthenticateRequest: KafkaMessage, Equatable, Sendable {
    static let key = KafkaAPIKey.saslAuthenticate
    var authBytes: [UInt8] = []
}

extension SaslAuthenticateRequest {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 2
        authBytes = try reader.bytes(compact: flexible)
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 2
        buffer.append(bytes: authBytes, compact: flexible)
        if flexible { buffer.appendNoTaggedFields() }
    }
}

struct SaslAuthenticateResponse: KafkaMessage, Equatable, Sendable {
    static let key = KafkaAPIKey.saslAuthenticate
    var errorCode: Int16 = 0
    var errorMessage: String? = ""
    var authBytes: [UInt8] = []
    var sessionLifetimeMs: Int64 = 0
}

extension SaslAuthenticateResponse {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 2
        errorCode = try reader.integer()
        errorMessage = try reader.nullableString(compact: flexible)
        authBytes = try reader.bytes(compact: flexible)
        if version >= 1 { sessionLifetimeMs = try reader.integer() }
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 2
        buffer.append(big: errorCode)
        buffer.append(nullableString: errorMessage, compact: flexible)
        buffer.append(bytes: authBytes, compact: flexible)
        if version >= 1 { buffer.append(big: sessionLifetimeMs) }
        if flexible { buffer.appendNoTaggedFields() }
    }
}
