// Made by tools/kafka-codec/generate from tools/kafka-codec/messages.facts: change those.
internal import Bytes

struct DescribeUserScramCredentialsRequest: KafkaMessage, Equatable, Sendable {
    static let key = KafkaAPIKey.describeUserScramCredentials
    var users: [User]? = []

    struct User: KafkaStruct, Equatable, Sendable {
        static let minSize = 2
        var name = ""
    }
}

extension DescribeUserScramCredentialsRequest {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        users = try reader.nullableArray(version, compact: true)
        try reader.skipTaggedFields()
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        buffer.append(nullableArray: users, version, compact: true)
        buffer.appendNoTaggedFields()
    }
}

extension DescribeUserScramCredentialsRequest.User {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        name = try reader.string(compact: true)
        try reader.skipTaggedFields()
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        buffer.append(string: name, compact: true)
        buffer.appendNoTaggedFields()
    }
}

struct DescribeUserScramCredentialsResponse: KafkaMessage, Equatable, Sendable {
    static let key = KafkaAPIKey.describeUserScramCredentials
    var throttleTimeMs: Int32 = 0
    var errorCode: Int16 = 0
    var errorMessage: String? = ""
    var results: [Result] = []

    struct Result: KafkaStruct, Equatable, Sendable {
        static let minSize = 6
        var user = ""
        var errorCode: Int16 = 0
        var errorMessage: String? = ""
        var credentialInfos: [Credential] = []
    }

    struct Credential: KafkaStruct, Equatable, Sendable {
        static let minSize = 6
        var mechanism: Int8 = 0
        var iterations: Int32 = 0
    }
}

extension DescribeUserScramCredentialsResponse {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        throttleTimeMs = try reader.integer()
        errorCode = try reader.integer()
        errorMessage = try reader.nullableString(compact: true)
        results = try reader.array(version, compact: true)
        try reader.skipTaggedFields()
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        buffer.append(big: throttleTimeMs)
        buffer.append(big: errorCode)
        buffer.append(nullableString: errorMessage, compact: true)
        buffer.append(array: results, version, compact: true)
        buffer.appendNoTaggedFields()
    }
}

extension DescribeUserScramCredentialsResponse.Result {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        user = try reader.string(compact: true)
        errorCode = try reader.integer()
        errorMessage = try reader.nullableString(compact: true)
        credentialInfos = try reader.array(version, compact: true)
        try reader.skipTaggedFields()
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        buffer.append(string: user, compact: true)
        buffer.append(big: errorCode)
        buffer.append(nullableString: errorMessage, compact: true)
        buffer.append(array: credentialInfos, version, compact: true)
        buffer.appendNoTaggedFields()
    }
}

extension DescribeUserScramCredentialsResponse.Credential {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {
        self.init()
        mechanism = try reader.integer()
        iterations = try reader.integer()
        try reader.skipTaggedFields()
    }

    func encode(to buffer: inout ByteBuffer, version: Int16) {
        buffer.append(big: mechanism)
        buffer.append(big: iterations)
        buffer.appendNoTaggedFields()
    }
}
