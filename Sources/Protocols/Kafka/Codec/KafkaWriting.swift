internal import Bytes

/// The primitives of Kafka's protocol. Nothing here fails: nil where a version has no null is written as empty, and what is too long for
/// its length field is cut (a string of 32 KiB in an old version; nothing that a broker says is).
extension ByteBuffer {
    mutating func append(bool value: Bool) { append(value ? 1 : 0 as UInt8) }
    mutating func append(double value: Double) { append(big: value.bitPattern) }

    mutating func append(uuid: KafkaUUID) {
        append(big: uuid.high)
        append(big: uuid.low)
    }

    /// A count, or null; the compact form is one more than it.
    private mutating func append<T: FixedWidthInteger & BitwiseCopyable>(length: Int?, _: T.Type, compact: Bool) {
        if compact {
            append(unsignedVarInt: UInt64(length.map { $0 &+ 1 } ?? 0))
        } else {
            append(big: length.map { T(clamping: $0) } ?? -1)
        }
    }

    mutating func append(nullableString text: String?, compact: Bool, nullable: Bool = true) {
        guard let text = text ?? (nullable ? nil : "") else { return append(length: nil, Int16.self, compact: compact) }
        append(string: text, compact: compact)
    }

    mutating func append(string text: String, compact: Bool) {
        let size = text.utf8.count
        append(length: size, Int16.self, compact: compact)
        let start = count
        append(text)
        if !compact && size > Int(Int16.max) { truncate(to: start + Int(Int16.max)) }
    }

    mutating func append(nullableBytes bytes: [UInt8]?, compact: Bool, nullable: Bool = true) {
        guard let bytes = bytes ?? (nullable ? nil : []) else { return append(length: nil, Int32.self, compact: compact) }
        append(bytes: bytes, compact: compact)
    }

    mutating func append(bytes: [UInt8], compact: Bool) {
        append(length: bytes.count, Int32.self, compact: compact)
        append(bytes)
    }

    /// The length before record batches, which the caller appends or references.
    mutating func append(recordsByteCount: Int?, compact: Bool) { append(length: recordsByteCount, Int32.self, compact: compact) }

    mutating func append(arrayCount: Int, compact: Bool) { append(length: arrayCount, Int32.self, compact: compact) }

    mutating func append<T: KafkaElement & KafkaWritable>(nullableArray elements: [T]?, _ version: Int16, compact: Bool, nullable: Bool = true) {
        guard let elements = elements ?? (nullable ? nil : []) else { return append(length: nil, Int32.self, compact: compact) }
        append(array: elements, version, compact: compact)
    }

    mutating func append<T: KafkaElement & KafkaWritable>(array elements: [T], _ version: Int16, compact: Bool) {
        append(arrayCount: elements.count, compact: compact)
        for element in elements { element.encodeElement(to: &self, version: version, compact: compact) }
    }

    /// A structure behind a byte that says whether it is there.
    mutating func append<T: KafkaStruct>(nullable value: T?, _ version: Int16) {
        append(big: value == nil ? -1 : 1 as Int8)
        value?.encode(to: &self, version: version)
    }

    mutating func appendNoTaggedFields() { append(0 as UInt8) }
}

/// The tagged fields of one structure, in the order of their tags, before their count is known. Only fields that differ from their default are added.
struct TaggedFields: ~Copyable {
    private var count: UInt64 = 0
    private var fields = ByteBuffer()

    mutating func add(_ tag: UInt64, _ write: (inout ByteBuffer) -> Void) {
        var value = ByteBuffer()
        write(&value)
        count += 1
        fields.append(unsignedVarInt: tag)
        fields.append(unsignedVarInt: UInt64(value.count))
        fields.append(value.bytes)
    }

    func write(to buffer: inout ByteBuffer) {
        buffer.append(unsignedVarInt: count)
        buffer.append(fields.bytes)
    }
}
