internal import Bytes

/// What a reader can read by itself: messages and the structures inside them.
protocol KafkaReadable {
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader, version: Int16) throws(ByteError)
}

/// What can stand in an array.
protocol KafkaElement {
    /// The fewest bytes of one element in any version; an array's count is checked with it.
    static var minSize: Int { get }

    @_lifetime(reader: copy reader)
    static func element(from reader: inout KafkaReader, version: Int16, compact: Bool) throws(ByteError) -> Self
}

protocol KafkaWritable {
    func encodeElement(to buffer: inout ByteBuffer, version: Int16, compact: Bool)
}

/// A structure inside a message.
protocol KafkaStruct: KafkaStructWithRecords, KafkaWritable {
    func encode(to buffer: inout ByteBuffer, version: Int16)
}

/// A structure with record batches somewhere in it: they are a range of the input when it is read, and appended or referenced by the
/// caller when it is written (`encodeHead`, `encodeTail`).
protocol KafkaStructWithRecords: KafkaReadable, KafkaElement {}

/// A request or a response. The version is one of `key.validVersions`.
protocol KafkaMessage: KafkaReadable, Sendable {
    static var key: KafkaAPIKey { get }
    func encode(to buffer: inout ByteBuffer, version: Int16)
}

/// A message that carries record batches.
protocol KafkaMessageWithRecords: KafkaReadable, Sendable {
    static var key: KafkaAPIKey { get }
    /// For tests and tools: copies the records out of `input`, whose ranges the message holds.
    func encode(to buffer: inout ByteBuffer, version: Int16, recordsIn input: RawSpan)
}

extension KafkaStructWithRecords {
    @_lifetime(reader: copy reader)
    static func element(from reader: inout KafkaReader, version: Int16, compact: Bool) throws(ByteError) -> Self {
        try Self(from: &reader, version: version)
    }
}

extension KafkaStruct {
    func encodeElement(to buffer: inout ByteBuffer, version: Int16, compact: Bool) { encode(to: &buffer, version: version) }
}

extension Int8: KafkaElement, KafkaWritable {
    static let minSize = 1

    @_lifetime(reader: copy reader)
    static func element(from reader: inout KafkaReader, version: Int16, compact: Bool) throws(ByteError) -> Int8 { try reader.integer() }
    func encodeElement(to buffer: inout ByteBuffer, version: Int16, compact: Bool) { buffer.append(big: self) }
}

extension Int32: KafkaElement, KafkaWritable {
    static let minSize = 4

    @_lifetime(reader: copy reader)
    static func element(from reader: inout KafkaReader, version: Int16, compact: Bool) throws(ByteError) -> Int32 { try reader.integer() }
    func encodeElement(to buffer: inout ByteBuffer, version: Int16, compact: Bool) { buffer.append(big: self) }
}

extension String: KafkaElement, KafkaWritable {
    static let minSize = 1

    @_lifetime(reader: copy reader)
    static func element(from reader: inout KafkaReader, version: Int16, compact: Bool) throws(ByteError) -> String {
        try reader.string(compact: compact)
    }
    func encodeElement(to buffer: inout ByteBuffer, version: Int16, compact: Bool) { buffer.append(string: self, compact: compact) }
}
