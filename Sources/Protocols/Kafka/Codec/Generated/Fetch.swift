// Made by tools/kafka-codec/generate from tools/kafka-codec/messages.facts: change those.
internal import Bytes

struct FetchRequest: KafkaMessage, Equatable, Sendable {
    static let key = KafkaAPIKey.fetch
    var clusterID: String?
    var replicaID: Int32 = -1
    var maxWaitMs: Int32 = 0
    var minBytes: Int32 = 0
    var maxBytes: Int32 = 2147483647
    var isolationLevel: Int8 = 0
    var sessionID: Int32 = 0
    var sessionEpoch: Int32 = -1
    var topics: [Topic] = []
    var forgottenTopicsData: [ForgottenTopic] = []
    var rackID = ""

    struct Topic: KafkaStruct, Equatable, Sendable {
        static let minSize = 3
        var topic = ""
        var partitions: [Partition] = []
    }

    struct Partition: KafkaStruct, Equatable, Sendable {
        static let minSize = 16
        var partition: Int32 = 0
        var currentLeaderEpoch: Int32 = -1
        var fetchOffset: Int64 = 0
        var lastFetchedEpoch: Int32 = -1
        var logStartOffset: Int64 = -1
        var partitionMaxBytes: Int32 = 0
    }

    struct ForgottenTopic: KafkaStruct, Equatable, Sendable {
        static let minSize = 3
        var topic = ""
        var partitions: [Int32] = []
    }
}

extension FetchRequest {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 12
        replicaID = try reader.integer()
        maxWaitMs = try reader.integer()
        minBytes = try reader.integer()
        maxBytes = try reader.integer()
        isolationLevel = try reader.integer()
        if version >= 7 { sessionID = try reader.integer() }
        if version >= 7 { sessionEpoch = try reader.integer() }
        topics = try reader.array(version, compact: flexible)
        if version >= 7 { forgottenTopicsData = try reader.array(version, compact: flexible) }
        if version >= 11 { rackID = try reader.string(compact: flexible) }
        if flexible {
            for _ in 0..<(try reader.taggedFieldCount()) {
                let field = try reader.taggedField()
                switch field.tag {
                case 0: clusterID = try reader.nullableString(compact: flexible)
                default: try reader.skip(field)
                }
                try reader.finish(field)
            }
        }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 12
        buffer.append(big: replicaID)
        buffer.append(big: maxWaitMs)
        buffer.append(big: minBytes)
        buffer.append(big: maxBytes)
        buffer.append(big: isolationLevel)
        if version >= 7 { buffer.append(big: sessionID) }
        if version >= 7 { buffer.append(big: sessionEpoch) }
        buffer.append(array: topics, version, compact: flexible)
        if version >= 7 { buffer.append(array: forgottenTopicsData, version, compact: flexible) }
        if version >= 11 { buffer.append(string: rackID, compact: flexible) }
        if flexible {
            var tagged = TaggedFields()
            if clusterID != nil { tagged.add(0) { $0.append(nullableString: clusterID, compact: flexible) } }
            tagged.write(to: &buffer)
        }
    }
}

extension FetchRequest.Topic {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 12
        topic = try reader.string(compact: flexible)
        partitions = try reader.array(version, compact: flexible)
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 12
        buffer.append(string: topic, compact: flexible)
        buffer.append(array: partitions, version, compact: flexible)
        if flexible { buffer.appendNoTaggedFields() }
    }
}

extension FetchRequest.Partition {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 12
        partition = try reader.integer()
        if version >= 9 { currentLeaderEpoch = try reader.integer() }
        fetchOffset = try reader.integer()
        if version >= 12 { lastFetchedEpoch = try reader.integer() }
        if version >= 5 { logStartOffset = try reader.integer() }
        partitionMaxBytes = try reader.integer()
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 12
        buffer.append(big: partition)
        if version >= 9 { buffer.append(big: currentLeaderEpoch) }
        buffer.append(big: fetchOffset)
        if version >= 12 { buffer.append(big: lastFetchedEpoch) }
        if version >= 5 { buffer.append(big: logStartOffset) }
        buffer.append(big: partitionMaxBytes)
        if flexible { buffer.appendNoTaggedFields() }
    }
}

extension FetchRequest.ForgottenTopic {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 12
        topic = try reader.string(compact: flexible)
        partitions = try reader.array(version, compact: flexible)
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 12
        buffer.append(string: topic, compact: flexible)
        buffer.append(array: partitions, version, compact: flexible)
        if flexible { buffer.appendNoTaggedFields() }
    }
}

struct FetchResponse: KafkaMessageWithRecords, Equatable, Sendable {
    static let key = KafkaAPIKey.fetch
    var throttleTimeMs: Int32 = 0
    var errorCode: Int16 = 0
    var sessionID: Int32 = 0
    var responses: [Topic] = []

    struct Topic: KafkaStructWithRecords, Equatable, Sendable {
        static let minSize = 3
        var topic = ""
        var partitions: [Partition] = []
    }

    struct Partition: KafkaStructWithRecords, Equatable, Sendable {
        static let minSize = 30
        var partitionIndex: Int32 = 0
        var errorCode: Int16 = 0
        var highWatermark: Int64 = 0
        var lastStableOffset: Int64 = -1
        var logStartOffset: Int64 = -1
        var divergingEpoch = DivergingEpoch()
        var currentLeader = CurrentLeader()
        var snapshotID = Snapshot()
        var abortedTransactions: [AbortedTransaction]? = []
        var preferredReadReplica: Int32 = -1
        var records: ByteRange?
    }

    struct DivergingEpoch: KafkaStruct, Equatable, Sendable {
        static let minSize = 13
        var epoch: Int32 = -1
        var endOffset: Int64 = -1
    }

    struct CurrentLeader: KafkaStruct, Equatable, Sendable {
        static let minSize = 9
        var leaderID: Int32 = -1
        var leaderEpoch: Int32 = -1
    }

    struct Snapshot: KafkaStruct, Equatable, Sendable {
        static let minSize = 13
        var endOffset: Int64 = -1
        var epoch: Int32 = -1
    }

    struct AbortedTransaction: KafkaStruct, Equatable, Sendable {
        static let minSize = 16
        var producerID: Int64 = 0
        var firstOffset: Int64 = 0
    }
}

extension FetchResponse {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 12
        throttleTimeMs = try reader.integer()
        if version >= 7 { errorCode = try reader.integer() }
        if version >= 7 { sessionID = try reader.integer() }
        responses = try reader.array(version, compact: flexible)
        if flexible { try reader.skipTaggedFields() }
    }

    /// Everything before the elements of `responses`, which are `count`.
    func encodeHead(to buffer: inout ByteBuffer, version: Int16, count: Int) {
        let flexible = version >= 12
        buffer.append(big: throttleTimeMs)
        if version >= 7 { buffer.append(big: errorCode) }
        if version >= 7 { buffer.append(big: sessionID) }
        buffer.append(arrayCount: count, compact: flexible)
    }

    /// Everything behind `responses`.
    func encodeTail(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 12
        if flexible { buffer.appendNoTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16, recordsIn input: RawSpan) {
        encodeHead(to: &buffer, version: version, count: responses.count)
        for element in responses { element.encode(to: &buffer, version: version, recordsIn: input) }
        encodeTail(to: &buffer, version: version)
    }
}

extension FetchResponse.Topic {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 12
        topic = try reader.string(compact: flexible)
        partitions = try reader.array(version, compact: flexible)
        if flexible { try reader.skipTaggedFields() }
    }

    /// Everything before the elements of `partitions`, which are `count`.
    func encodeHead(to buffer: inout ByteBuffer, version: Int16, count: Int) {
        let flexible = version >= 12
        buffer.append(string: topic, compact: flexible)
        buffer.append(arrayCount: count, compact: flexible)
    }

    /// Everything behind `partitions`.
    func encodeTail(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 12
        if flexible { buffer.appendNoTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16, recordsIn input: RawSpan) {
        encodeHead(to: &buffer, version: version, count: partitions.count)
        for element in partitions { element.encode(to: &buffer, version: version, recordsIn: input) }
        encodeTail(to: &buffer, version: version)
    }
}

extension FetchResponse.Partition {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 12
        partitionIndex = try reader.integer()
        errorCode = try reader.integer()
        highWatermark = try reader.integer()
        lastStableOffset = try reader.integer()
        if version >= 5 { logStartOffset = try reader.integer() }
        abortedTransactions = try reader.nullableArray(version, compact: flexible)
        if version >= 11 { preferredReadReplica = try reader.integer() }
        records = try reader.records(compact: flexible)
        if flexible {
            for _ in 0..<(try reader.taggedFieldCount()) {
                let field = try reader.taggedField()
                switch field.tag {
                case 0: divergingEpoch = try FetchResponse.DivergingEpoch(from: &reader, version: version)
                case 1: currentLeader = try FetchResponse.CurrentLeader(from: &reader, version: version)
                case 2: snapshotID = try FetchResponse.Snapshot(from: &reader, version: version)
                default: try reader.skip(field)
                }
                try reader.finish(field)
            }
        }
    }

    /// Everything before the bytes of `records`; no bytes and nil are different things.
    func encodeHead(to buffer: inout ByteBuffer, version: Int16, recordsByteCount: Int?) {
        let flexible = version >= 12
        buffer.append(big: partitionIndex)
        buffer.append(big: errorCode)
        buffer.append(big: highWatermark)
        buffer.append(big: lastStableOffset)
        if version >= 5 { buffer.append(big: logStartOffset) }
        buffer.append(nullableArray: abortedTransactions, version, compact: flexible)
        if version >= 11 { buffer.append(big: preferredReadReplica) }
        buffer.append(recordsByteCount: recordsByteCount, compact: flexible)
    }

    /// Everything behind `records`.
    func encodeTail(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 12
        if flexible {
            var tagged = TaggedFields()
            if divergingEpoch != FetchResponse.DivergingEpoch() { tagged.add(0) { divergingEpoch.encode(to: &$0, version: version) } }
            if currentLeader != FetchResponse.CurrentLeader() { tagged.add(1) { currentLeader.encode(to: &$0, version: version) } }
            if snapshotID != FetchResponse.Snapshot() { tagged.add(2) { snapshotID.encode(to: &$0, version: version) } }
            tagged.write(to: &buffer)
        }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16, recordsIn input: RawSpan) {
        encodeHead(to: &buffer, version: version, recordsByteCount: records?.count)
        if let records { buffer.append(input.extracting(records.indices)) }
        encodeTail(to: &buffer, version: version)
    }
}

extension FetchResponse.DivergingEpoch {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        epoch = try reader.integer()
        endOffset = try reader.integer()
        try reader.skipTaggedFields()
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        buffer.append(big: epoch)
        buffer.append(big: endOffset)
        buffer.appendNoTaggedFields()
    }
}

extension FetchResponse.CurrentLeader {
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

extension FetchResponse.Snapshot {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        endOffset = try reader.integer()
        epoch = try reader.integer()
        try reader.skipTaggedFields()
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        buffer.append(big: endOffset)
        buffer.append(big: epoch)
        buffer.appendNoTaggedFields()
    }
}

extension FetchResponse.AbortedTransaction {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 12
        producerID = try reader.integer()
        firstOffset = try reader.integer()
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 12
        buffer.append(big: producerID)
        buffer.append(big: firstOffset)
        if flexible { buffer.appendNoTaggedFields() }
    }
}
