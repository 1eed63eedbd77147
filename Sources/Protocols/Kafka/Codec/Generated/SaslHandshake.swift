// Made by tools/kafka-codec/generate from tools/kafka-codec/messages.facts: change those.
internal import Bytes

struct SaslHandshakeRequest: KafkaMessage, Equatable, Sendable {
    static let key = KafkaAPIKey.saslHandshake
    var mechanism = ""
}

extension SaslHandshakeRequest {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        mechanism = try reader.string(compact: false)
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        buffer.append(string: mechanism, compact: false)
    }
}

struct SaslHandshakeResponse: KafkaMessage, Equatable, Sendable {
    static let key = KafkaAPIKey.saslHandshake
    var errorCode: Int16 = 0
    var mechanisms: [String] = []
}

extension SaslHandshakeResponse {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        errorCode = try reader.integer()
        mechanisms = try reader.array(version, compact: false)
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        buffer.append(big: errorCode)
        buffer.append(array: mechanisms, version, compact: false)
    }
}
