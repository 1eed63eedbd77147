// Made by tools/kafka-codec/generate from tools/kafka-codec/messages.facts: change those.
internal import Bytes

struct ProduceRequest: KafkaMessageWithRecords, Equatable, Sendable {
    static let key = KafkaAPIKey.produce
    var transactionalID: String?
    var acks: Int16 = 0
    var timeoutMs: Int32 = 0
    var topicData: [Topic] = []

    struct Topic: KafkaStructWithRecords, Equatable, Sendable {
        static let minSize = 3
        var name = ""
        var partitionData: [Partition] = []
    }

    struct Partition: KafkaStructWithRecords, Equatable, Sendable {
        static let minSize = 6
        var index: Int32 = 0
        var records: ByteRange?
    }
}

extension ProduceRequest {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 9
        if version >= 3 { transactionalID = try reader.nullableString(compact: flexible) }
        acks = try reader.integer()
        timeoutMs = try reader.integer()
        topicData = try reader.array(version, compact: flexible)
        if flexible { try reader.skipTaggedFields() }
    }

    /// Everything before the elements of `topicData`, which are `count`.
    func encodeHead(to buffer: inout ByteBuffer, version: Int16, count: Int) {
        let flexible = version >= 9
        if version >= 3 { buffer.append(nullableString: transactionalID, compact: flexible) }
        buffer.append(big: acks)
        buffer.append(big: timeoutMs)
        buffer.append(arrayCount: count, compact: flexible)
    }

    /// Everything behind `topicData`.
    func encodeTail(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 9
        if flexible { buffer.appendNoTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16, recordsIn input: RawSpan) {
        encodeHead(to: &buffer, version: version, count: topicData.count)
        for element in topicData { element.encode(to: &buffer, version: version, recordsIn: input) }
        encodeTail(to: &buffer, version: version)
    }
}

extension ProduceRequest.Topic {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 9
        name = try reader.string(compact: flexible)
        partitionData = try reader.array(version, compact: flexible)
        if flexible { try reader.skipTaggedFields() }
    }

    /// Everything before the elements of `partitionData`, which are `count`.
    func encodeHead(to buffer: inout ByteBuffer, version: Int16, count: Int) {
        let flexible = version >= 9
        buffer.append(string: name, compact: flexible)
        buffer.append(arrayCount: count, compact: flexible)
    }

    /// Everything behind `partitionData`.
    func encodeTail(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 9
        if flexible { buffer.appendNoTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16, recordsIn input: RawSpan) {
        encodeHead(to: &buffer, version: version, count: partitionData.count)
        for element in partitionData { element.encode(to: &buffer, version: version, recordsIn: input) }
        encodeTail(to: &buffer, version: version)
    }
}

extension ProduceRequest.Partition {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 9
        index = try reader.integer()
        records = try reader.records(compact: flexible)
        if flexible { try reader.skipTaggedFields() }
    }

    /// Everything before the bytes of `records`; no bytes and nil are different things.
    func encodeHead(to buffer: inout ByteBuffer, version: Int16, recordsByteCount: Int?) {
        let flexible = version >= 9
        buffer.append(big: index)
        buffer.append(recordsByteCount: recordsByteCount, compact: flexible)
    }

    /// Everything behind `records`.
    func encodeTail(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 9
        if flexible { buffer.appendNoTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16, recordsIn input: RawSpan) {
        encodeHead(to: &buffer, version: version, recordsByteCount: records?.count)
        if let records { buffer.append(input.extracting(records.indices)) }
        encodeTail(to: &buffer, version: version)
    }
}

struct ProduceResponse: KafkaMessage, Equatable, Sendable {
    static let key = KafkaAPIKey.produce
    var responses: [Topic] = []
    var throttleTimeMs: Int32 = 0
    var nodeEndpoints: [NodeEndpoint] = []

    struct Topic: KafkaStruct, Equatable, Sendable {
        static let minSize = 3
        var name = ""
        var partitionResponses: [Partition] = []
    }

    struct Partition: KafkaStruct, Equatable, Sendable {
        static let minSize = 14
        var index: Int32 = 0
        var errorCode: Int16 = 0
        var baseOffset: Int64 = 0
        var logAppendTimeMs: Int64 = -1
        var logStartOffset: Int64 = -1
        var recordErrors: [RecordError] = []
        var errorMessage: String?
        var currentLeader = CurrentLeader()
    }

    struct RecordError: KafkaStruct, Equatable, Sendable {
        static let minSize = 6
        var batchIndex: Int32 = 0
        var batchIndexErrorMessage: String?
    }

    struct CurrentLeader: KafkaStruct, Equatable, Sendable {
        static let minSize = 9
        var leaderID: Int32 = -1
        var leaderEpoch: Int32 = -1
    }

    struct NodeEndpoint: KafkaStruct, Equatable, Sendable {
        static let minSize = 11
        var nodeID: Int32 = 0
        var host = ""
        var port: Int32 = 0
        var rack: String?
    }
}

extension ProduceResponse {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 9
        responses = try reader.array(version, compact: flexible)
        if version >= 1 { throttleTimeMs = try reader.integer() }
        if flexible {
            for _ in 0..<(try reader.taggedFieldCount()) {
                let field = try reader.taggedField()
                switch field.tag {
                case 0 where version >= 10: nodeEndpoints = try reader.array(version, compact: flexible)
                default: try reader.skip(field)
                }
                try reader.finish(field)
            }
        }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 9
        buffer.append(array: responses, version, compact: flexible)
        if version >= 1 { buffer.append(big: throttleTimeMs) }
        if flexible {
            var tagged = TaggedFields()
            if version >= 10 && !nodeEndpoints.isEmpty { tagged.add(0) { $0.append(array: nodeEndpoints, version, compact: flexible) } }
            tagged.write(to: &buffer)
        }
    }
}

extension ProduceResponse.Topic {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 9
        name = try reader.string(compact: flexible)
        partitionResponses = try reader.array(version, compact: flexible)
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 9
        buffer.append(string: name, compact: flexible)
        buffer.append(array: partitionResponses, version, compact: flexible)
        if flexible { buffer.appendNoTaggedFields() }
    }
}

extension ProduceResponse.Partition {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 9
        index = try reader.integer()
        errorCode = try reader.integer()
        baseOffset = try reader.integer()
        if version >= 2 { logAppendTimeMs = try reader.integer() }
        if version >= 5 { logStartOffset = try reader.integer() }
        if version >= 8 { recordErrors = try reader.array(version, compact: flexible) }
        if version >= 8 { errorMessage = try reader.nullableString(compact: flexible) }
        if flexible {
            for _ in 0..<(try reader.taggedFieldCount()) {
                let field = try reader.taggedField()
                switch field.tag {
                case 0 where version >= 10: currentLeader = try ProduceResponse.CurrentLeader(from: &reader, version: version)
                default: try reader.skip(field)
                }
                try reader.finish(field)
            }
        }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 9
        buffer.append(big: index)
        buffer.append(big: errorCode)
        buffer.append(big: baseOffset)
        if version >= 2 { buffer.append(big: logAppendTimeMs) }
        if version >= 5 { buffer.append(big: logStartOffset) }
        if version >= 8 { buffer.append(array: recordErrors, version, compact: flexible) }
        if version >= 8 { buffer.append(nullableString: errorMessage, compact: flexible) }
        if flexible {
            var tagged = TaggedFields()
            if version >= 10 && currentLeader != ProduceResponse.CurrentLeader() { tagged.add(0) { currentLeader.encode(to: &$0, version: version) } }
            tagged.write(to: &buffer)
        }
    }
}

extension ProduceResponse.RecordError {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 9
        batchIndex = try reader.integer()
        batchIndexErrorMessage = try reader.nullableString(compact: flexible)
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 9
        buffer.append(big: batchIndex)
        buffer.append(nullableString: batchIndexErrorMessage, compact: flexible)
        if flexible { buffer.appendNoTaggedFields() }
    }
}

extension ProduceResponse.CurrentLeader {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        leaderID = try reader.integer()
        leaderEpoch = try reader.integer()
        try reader.skipTaggedFields()
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        buffer.append(big: leaderID)
        buffer.append(big: leaderEpoch)
        buffer.appendNoTaggedFields()
    }
}

extension ProduceResponse.NodeEndpoint {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        nodeID = try reader.integer()
        host = try reader.string(compact: true)
        port = try reader.integer()
        rack = try reader.nullableString(compact: true)
        try reader.skipTaggedFields()
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        buffer.append(big: nodeID)
        buffer.append(string: host, compact: true)
        buffer.append(big: port)
        buffer.append(nullableString: rack, compact: true)
        buffer.appendNoTaggedFields()
    }
}
