/// Reads numbers and runs of bytes from the front of borrowed memory. Every operation checks what remains first and throws;
/// none traps, whatever the bytes say (rule W1 of the reliability programme).
///
/// `position` counts from the start of the span it was made of, so that a decoder can say where something lay.
@usableFromInline
package struct ByteReader: ~Copyable, ~Escapable {
    @usableFromInline let span: RawSpan
    @usableFromInline package private(set) var position: Int

    @inlinable @_lifetime(copy span)
    package init(_ span: RawSpan) {
        self.span = span
        self.position = 0
    }

    @inlinable package var remaining: Int { span.byteCount &- position }
    @inlinable package var isAtEnd: Bool { position == span.byteCount }

    /// The next integer in little-endian order.
    @inlinable @_lifetime(self: copy self)
    package mutating func little<T: FixedWidthInteger & BitwiseCopyable>(_: T.Type = T.self) throws(ByteError) -> T {
        T(littleEndian: try raw())
    }

    /// The next integer in network order.
    @inlinable @_lifetime(self: copy self)
    package mutating func big<T: FixedWidthInteger & BitwiseCopyable>(_: T.Type = T.self) throws(ByteError) -> T {
        T(bigEndian: try raw())
    }

    @inlinable @_lifetime(self: copy self)
    package mutating func byte() throws(ByteError) -> UInt8 { try raw() }

    @inlinable @_lifetime(self: copy self)
    mutating func raw<T: FixedWidthInteger & BitwiseCopyable>() throws(ByteError) -> T {
        let size = MemoryLayout<T>.size
        guard remaining >= size else { throw .truncated }
        // Safety: the guard above leaves `size` bytes after `position`.
        let value = unsafe span.unsafeLoadUnaligned(fromUncheckedByteOffset: position, as: T.self)
        position &+= size
        return value
    }

    /// The next `count` bytes, without copying.
    @inlinable @_lifetime(copy self) @_lifetime(self: copy self)
    package mutating func take(_ count: Int) throws(ByteError) -> RawSpan {
        guard count >= 0, remaining >= count else { throw .truncated }
        let start = position
        position &+= count
        return span.extracting(start..<position)
    }

    /// The place of the next `count` bytes, which are passed over.
    @inlinable @_lifetime(self: copy self)
    package mutating func range(_ count: Int) throws(ByteError) -> ByteRange {
        guard count >= 0, remaining >= count else { throw .truncated }
        let start = position
        position &+= count
        return ByteRange(start: start, count: count)
    }

    /// The next `count` bytes as text; bytes that are not UTF-8 are refused.
    @_lifetime(self: copy self)
    package mutating func text(_ count: Int) throws(ByteError) -> String {
        let bytes = try take(count)
        guard let text = String(validatingBytes: bytes) else { throw .notText }
        return text
    }

    /// Unsigned LEB128 of at most 64 bits, as Kafka's and Protocol Buffers' varints.
    @inlinable @_lifetime(self: copy self)
    package mutating func unsignedVarInt() throws(ByteError) -> UInt64 {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while true {
            let next = try byte()
            if shift == 63 && next > 1 { throw .overlong }
            value |= UInt64(next & 0x7f) &<< shift
            if next & 0x80 == 0 { return value }
            shift &+= 7
            if shift > 63 { throw .overlong }
        }
    }

    /// Zig-zag LEB128, as the record fields of Kafka's batch format.
    @inlinable @_lifetime(self: copy self)
    package mutating func varInt() throws(ByteError) -> Int64 {
        let raw = try unsignedVarInt()
        return Int64(bitPattern: raw &>> 1) ^ -Int64(bitPattern: raw & 1)
    }

    /// A zig-zag varint that counts bytes or elements: -1 (null) up to what remains and to `limit`.
    @inlinable @_lifetime(self: copy self)
    package mutating func varCount(atMost limit: Int = .max) throws(ByteError) -> Int {
        let value = try varInt()
        guard value >= -1 else { throw .outOfRange }
        guard value <= Int64(remaining) else { throw .truncated }
        guard value <= Int64(limit) else { throw .outOfRange }
        return Int(truncatingIfNeeded: value)
    }

    /// Moves to `position`, counted from the start; behind the end is refused.
    @inlinable @_lifetime(self: copy self)
    package mutating func seek(to position: Int) throws(ByteError) {
        guard position >= 0, position <= span.byteCount else { throw .truncated }
        self.position = position
    }
}

/// What can be wrong with bytes from outside.
@usableFromInline
package enum ByteError: Error, Equatable, Sendable {
    case truncated
    case overlong
    case outOfRange
    case notText
}

/// A place in some input: a start and a count, both counted in bytes. It keeps nothing alive.
@usableFromInline
package struct ByteRange: Equatable, Sendable {
    @usableFromInline package var start: Int
    @usableFromInline package var count: Int

    @inlinable package init(start: Int, count: Int) {
        self.start = start
        self.count = count
    }

    package static let empty = ByteRange(start: 0, count: 0)
    @inlinable package var end: Int { start &+ count }
    @inlinable package var indices: Range<Int> { start..<end }
}
