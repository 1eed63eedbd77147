// Made by tools/kafka-codec/generate from tools/kafka-codec/messages.facts: change those.
internal import Bytes

struct DescribeLogDirsRequest: KafkaMessage, Equatable, Sendable {
    static let key = KafkaAPIKey.describeLogDirs
    var topics: [Topic]? = []

    struct Topic: KafkaStruct, Equatable, Sendable {
        static let minSize = 3
        var topic = ""
        var partitions: [Int32] = []
    }
}

extension DescribeLogDirsRequest {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 2
        topics = try reader.nullableArray(version, compact: flexible)
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 2
        buffer.append(nullableArray: topics, version, compact: flexible)
        if flexible { buffer.appendNoTaggedFields() }
    }
}

extension DescribeLogDirsRequest.Topic {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 2
        topic = try reader.string(compact: flexible)
        partitions = try reader.array(version, compact: flexible)
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 2
        buffer.append(string: topic, compact: flexible)
        buffer.append(array: partitions, version, compact: flexible)
        if flexible { buffer.appendNoTaggedFields() }
    }
}

struct DescribeLogDirsResponse: KafkaMessage, Equatable, Sendable {
    static let key = KafkaAPIKey.describeLogDirs
    var throttleTimeMs: Int32 = 0
    var errorCode: Int16 = 0
    var results: [LogDir] = []

    struct LogDir: KafkaStruct, Equatable, Sendable {
        static let minSize = 5
        var errorCode: Int16 = 0
        var logDir = ""
        var topics: [Topic] = []
        var totalBytes: Int64 = -1
        var usableBytes: Int64 = -1
    }

    struct Topic: KafkaStruct, Equatable, Sendable {
        static let minSize = 3
        var name = ""
        var partitions: [Partition] = []
    }

    struct Partition: KafkaStruct, Equatable, Sendable {
        static let minSize = 21
        var partitionIndex: Int32 = 0
        var partitionSize: Int64 = 0
        var offsetLag: Int64 = 0
        var isFutureKey = false
    }
}

extension DescribeLogDirsResponse {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 2
        throttleTimeMs = try reader.integer()
        if version >= 3 { errorCode = try reader.integer() }
        results = try reader.array(version, compact: flexible)
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 2
        buffer.append(big: throttleTimeMs)
        if version >= 3 { buffer.append(big: errorCode) }
        buffer.append(array: results, version, compact: flexible)
        if flexible { buffer.appendNoTaggedFields() }
    }
}

extension DescribeLogDirsResponse.LogDir {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 2
        errorCode = try reader.integer()
        logDir = try reader.string(compact: flexible)
        topics = try reader.array(version, compact: flexible)
        if version >= 4 { totalBytes = try reader.integer() }
        if version >= 4 { usableBytes = try reader.integer() }
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 2
        buffer.append(big: errorCode)
        buffer.append(string: logDir, compact: flexible)
        buffer.append(array: topics, version, compact: flexible)
        if version >= 4 { buffer.append(big: totalBytes) }
        if version >= 4 { buffer.append(big: usableBytes) }
        if flexible { buffer.appendNoTaggedFields() }
    }
}

extension DescribeLogDirsResponse.Topic {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 2
        name = try reader.string(compact: flexible)
        partitions = try reader.array(version, compact: flexible)
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 2
        buffer.append(string: name, compact: flexible)
        buffer.append(array: partitions, version, compact: flexible)
        if flexible { buffer.appendNoTaggedFields() }
    }
}

extension DescribeLogDirsResponse.Partition {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        let flexible = version >= 2
        partitionIndex = try reader.integer()
        partitionSize = try reader.integer()
        offsetLag = try reader.integer()
        isFutureKey = try reader.bool()
        if flexible { try reader.skipTaggedFields() }
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        let flexible = version >= 2
        buffer.append(big: partitionIndex)
        buffer.append(big: partitionSize)
        buffer.append(big: offsetLag)
        buffer.append(bool: isFutureKey)
        if flexible { buffer.appendNoTaggedFields() }
    }
}
