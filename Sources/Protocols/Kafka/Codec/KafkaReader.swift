internal import Bytes
internal import Mutants

/// Reads the primitives of Kafka's protocol from one request or response, never trapping and never taking more memory than it was
/// allowed, whatever the bytes say.
///
/// Three bounds hold at every array: its count is checked against the bytes that remain (each element takes at least `minSize` of them)
/// before memory is taken; what decoded values take in memory, which may be many times their bytes, is counted against `memoryLimit`;
/// structures nest as deep as the schema and no deeper.
/// Ranges that it hands out (records) count from the start of the span that it was made of.
struct KafkaReader: ~Copyable, ~Escapable {
    /// What the decoded values of one message may take unless the caller says otherwise.
    static let defaultMemoryLimit = 64 << 20
    /// More tagged fields than that in one structure are refused. Kafka itself has fewer than ten.
    static let taggedFieldLimit = 256

    private var bytes: ByteReader
    /// How much memory decoded values may still take.
    private var memory: Int
    /// Where the frame begins in the input.
    private let base: Int

    @_lifetime(copy input)
    init(_ input: RawSpan, memoryLimit: Int = defaultMemoryLimit) {
        bytes = ByteReader(input)
        memory = memoryLimit
        base = 0
    }

    /// Reads the frame that lies at `frame` of the input, which must be whole; positions and ranges count from the start of the input.
    @_lifetime(copy input)
    init(_ input: RawSpan, frame: ByteRange, memoryLimit: Int = defaultMemoryLimit) {
        bytes = ByteReader(input.extracting(frame.indices))
        memory = memoryLimit
        base = frame.start
    }

    var position: Int { base &+ bytes.position }
    var remaining: Int { bytes.remaining }
    var isAtEnd: Bool { bytes.isAtEnd }

    // Numbers

    @_lifetime(self: copy self)
    mutating func integer<T: FixedWidthInteger & BitwiseCopyable>(_: T.Type = T.self) throws(ByteError) -> T { try bytes.big() }

    /// Anything but 0 is true, as in Kafka.
    @_lifetime(self: copy self)
    mutating func bool() throws(ByteError) -> Bool { try bytes.byte() != 0 }

    @_lifetime(self: copy self)
    mutating func double() throws(ByteError) -> Double { Double(bitPattern: try bytes.big()) }

    @_lifetime(self: copy self)
    mutating func uuid() throws(ByteError) -> KafkaUUID { KafkaUUID(high: try bytes.big(), low: try bytes.big()) }

    /// Kafka's unsigned varints have 32 bits.
    @_lifetime(self: copy self)
    mutating func unsignedVarInt() throws(ByteError) -> UInt32 {
        let value = try bytes.unsignedVarInt()
        guard let value = UInt32(exactly: value) else { throw .outOfRange }
        return value
    }

    // Lengths

    /// A count of bytes: -1 is null, in the compact form 0 is null and everything else is one more than the count.
    @_lifetime(self: copy self)
    private mutating func length<T: FixedWidthInteger & BitwiseCopyable>(_: T.Type, compact: Bool) throws(ByteError) -> Int? {
        let count = compact ? Int(try unsignedVarInt()) &- 1 : Int(truncatingIfNeeded: try bytes.big(T.self))
        guard count >= 0 else {
            guard count == -1 else { throw .outOfRange }
            return nil
        }
        guard count <= bytes.remaining else { throw .truncated }
        return count
    }

    private mutating func take(memory count: Int) throws(ByteError) {
        guard count <= memory else { throw .outOfRange }
        memory &-= count
    }

    @_lifetime(self: copy self)
    private mutating func range(_ count: Int) throws(ByteError) -> ByteRange {
        let found = try bytes.range(count)
        return ByteRange(start: base &+ found.start, count: found.count)
    }

    // Strings and bytes

    @_lifetime(self: copy self)
    mutating func nullableString(compact: Bool, nullable: Bool = true) throws(ByteError) -> String? {
        guard let count = try length(Int16.self, compact: compact) else {
            guard nullable else { throw .outOfRange }
            return nil
        }
        try take(memory: count)
        return try bytes.text(count)
    }

    @_lifetime(self: copy self)
    mutating func string(compact: Bool) throws(ByteError) -> String {
        guard let text = try nullableString(compact: compact) else { throw .outOfRange }
        return text
    }

    @_lifetime(self: copy self)
    mutating func nullableBytes(compact: Bool, nullable: Bool = true) throws(ByteError) -> [UInt8]? {
        guard let count = try length(Int32.self, compact: compact) else {
            guard nullable else { throw .outOfRange }
            return nil
        }
        try take(memory: count)
        return [UInt8](try bytes.take(count))
    }

    @_lifetime(self: copy self)
    mutating func bytes(compact: Bool) throws(ByteError) -> [UInt8] {
        guard let found = try nullableBytes(compact: compact) else { throw .outOfRange }
        return found
    }

    /// Where record batches lie; they are not looked at.
    @_lifetime(self: copy self)
    mutating func records(compact: Bool) throws(ByteError) -> ByteRange? {
        guard let count = try length(Int32.self, compact: compact) else { return nil }
        return try range(count)
    }

    /// Where a string of the old form lies; it need not be UTF-8.
    @_lifetime(self: copy self)
    mutating func nullableStringRange() throws(ByteError) -> ByteRange? {
        guard let count = try length(Int16.self, compact: false) else { return nil }
        return try range(count)
    }

    // Arrays and structures

    @_lifetime(self: copy self)
    mutating func nullableArray<T: KafkaElement>(_ version: Int16, compact: Bool, nullable: Bool = true) throws(ByteError) -> [T]? {
        guard let count = try length(Int32.self, compact: compact) else {
            guard nullable else { throw .outOfRange }
            return nil
        }
        guard count <= bytes.remaining / T.minSize || Mutant.isActive("takesMemoryBeforeCounting") else { throw .truncated }
        // Both factors are below 2^31.
        try take(memory: count &* MemoryLayout<T>.stride)
        var elements: [T] = []
        elements.reserveCapacity(count)
        for _ in 0..<count { elements.append(try T.element(from: &self, version: version, compact: compact)) }
        return elements
    }

    @_lifetime(self: copy self)
    mutating func array<T: KafkaElement>(_ version: Int16, compact: Bool) throws(ByteError) -> [T] {
        guard let elements: [T] = try nullableArray(version, compact: compact) else { throw .outOfRange }
        return elements
    }

    /// A structure behind a byte that says whether it is there.
    @_lifetime(self: copy self)
    mutating func nullable<T: KafkaReadable>(_ version: Int16) throws(ByteError) -> T? {
        guard try bytes.big(Int8.self) >= 0 else { return nil }
        return try T(from: &self, version: version)
    }

    // Tagged fields

    struct TaggedField {
        let tag: UInt32
        let end: Int
    }

    @_lifetime(self: copy self)
    mutating func taggedFieldCount() throws(ByteError) -> Int {
        let count = Int(try unsignedVarInt())
        guard count <= KafkaReader.taggedFieldLimit || Mutant.isActive("takesAnyNumberOfTaggedFields") else { throw .outOfRange }
        return count
    }

    @_lifetime(self: copy self)
    mutating func taggedField() throws(ByteError) -> TaggedField {
        let tag = try unsignedVarInt()
        let size = Int(try unsignedVarInt())
        guard size <= bytes.remaining else { throw .truncated }
        return TaggedField(tag: tag, end: bytes.position &+ size)
    }

    @_lifetime(self: copy self)
    mutating func skip(_ field: TaggedField) throws(ByteError) { try bytes.seek(to: field.end) }

    /// What was read of a tagged field must be as long as it said.
    mutating func finish(_ field: TaggedField) throws(ByteError) {
        guard bytes.position == field.end else { throw .outOfRange }
    }

    @_lifetime(self: copy self)
    mutating func skipTaggedFields() throws(ByteError) {
        for _ in 0..<(try taggedFieldCount()) { try skip(try taggedField()) }
    }
}
