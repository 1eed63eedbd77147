// Made by tools/kafka-codec/generate from tools/kafka-codec/messages.facts: change those.
internal import Bytes

struct InitProducerIdRequest: KafkaMessage, Equatable, Sendable {
    static let key = KafkaAPIKey.initProducerID
    var transactionalID: String? = ""
    var transactionTimeoutMs: Int32 = 0
    var producerID: Int64 = -1
    var producerEpoch: Int16 = -1
}

extension InitProducerIdRequest {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 2
        transactionalID = try reader.nullableString(compact: flexible)
        transactionTimeoutMs = try reader.integer()
        if version >= 3 { producerID = try reader.integer() }
        if version >= 3 { producerEpoch = try reader.integer() }
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 2
        buffer.append(nullableString: transactionalID, compact: flexible)
        buffer.append(big: transactionTimeoutMs)
        if version >= 3 { buffer.append(big: producerID) }
        if version >= 3 { buffer.append(big: producerEpoch) }
        if flexible { buffer.appendNoTaggedFields() }
    }
}

struct InitProducerIdResponse: KafkaMessage, Equatable, Sendable {
    static let key = KafkaAPIKey.initProducerID
    var throttleTimeMs: Int32 = 0
    var errorCode: Int16 = 0
    var producerID: Int64 = -1
    var producerEpoch: Int16 = 0
}

extension InitProducerIdResponse {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 2
        throttleTimeMs = try reader.integer()
        errorCode = try reader.integer()
        producerID = try reader.integer()
        producerEpoch = try reader.integer()
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 2
        buffer.append(big: throttleTimeMs)
        buffer.append(big: errorCode)
        buffer.append(big: producerID)
        buffer.append(big: producerEpoch)
        if flexible { buffer.appendNoTaggedFields() }
    }
}
