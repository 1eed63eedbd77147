package import Bytes

/// Room for the names of the frames: `Frame.Publish`, `Frame.Fetched`. One value type each, which reads and writes itself.
package enum Frame {}

/// A frame without its header.
///
/// Most frames are written whole. A frame that ends in somebody's bytes (a payload, stored batches) keeps them as a range; of it
/// only the head is written, and whoever writes it appends `tailCount` bytes behind, or sends them from where they lie.
package protocol FrameBody: Equatable {
    static var type: FrameType { get }
    /// Flags that the frame may carry; others are refused.
    static var knownFlags: UInt8 { get }
    var flags: UInt8 { get }
    /// Bytes behind the head.
    var tailCount: Int { get }
    func write(to buffer: inout ByteBuffer)
    /// Reads from a reader that ends where the frame ends. Ranges count from the start of the reader's span.
    @_lifetime(reader: copy reader)
    static func read(_ reader: inout ByteReader, flags: UInt8) throws(ByteError) -> Self
}

extension FrameBody {
    package static var knownFlags: UInt8 { 0 }
    package var flags: UInt8 { 0 }
    package var tailCount: Int { 0 }

    /// Writes the frame with its header, up to the tail.
    @inline(__always)
    package func encode(to buffer: inout ByteBuffer, correlation: UInt64 = 0) {
        let start = buffer.count
        buffer.append(little: UInt32(0))
        buffer.append(little: UInt16(Self.type.rawValue) | UInt16(flags) &<< 8)
        buffer.append(little: UInt16(0))
        buffer.append(little: correlation)
        write(to: &buffer)
        buffer.patch(little: UInt32(truncatingIfNeeded: buffer.count &- start &+ tailCount), at: start)
    }

    /// Reads the frame whose header `header` was cut at `start` of `input`. Everything in the frame must have been understood:
    /// bytes left over are refused. Ranges count from the start of `input`.
    @inline(__always)
    package static func decode(_ header: FrameHeader, in input: RawSpan, at start: Int) throws(ByteError) -> Self {
        guard header.flags & ~knownFlags == 0, start >= 0, header.size >= FrameHeader.size, input.byteCount &- start >= header.size else {
            throw .outOfRange
        }
        var reader = ByteReader(input.extracting(0..<(start &+ header.size)))
        try reader.seek(to: start &+ FrameHeader.size)
        let frame = try read(&reader, flags: header.flags)
        guard reader.isAtEnd else { throw .outOfRange }
        return frame
    }
}

/// How numbers that may be absent and texts are written. Absent numbers have a value of their own: the least of their width.
extension ByteBuffer {
    /// u16 length and UTF-8. Longer text is cut (names that long are refused by every server; error texts lose their end).
    mutating func append(text: String) {
        let whole = text.utf8.count
        guard whole <= maxTextBytes else {
            var kept = Array(text.utf8.prefix(maxTextBytes))
            // Not in the middle of a character.
            while let last = kept.last, last & 0xC0 == 0x80 { kept.removeLast() }
            if let last = kept.last, last >= 0xC0 { kept.removeLast() }
            append(little: UInt16(truncatingIfNeeded: kept.count))
            append(kept)
            return
        }
        append(little: UInt16(truncatingIfNeeded: whole))
        append(text)
    }

    mutating func append(optionalText text: String?) {
        if let text { append(text: text) } else { append(little: absentText) }
    }

    mutating func append(optional value: Int64?) { append(little: value ?? absentInt64) }
    mutating func append(optional value: Int32?) { append(little: value ?? absentInt32) }
    /// The count of a list.
    mutating func append(listCount count: Int) { append(little: UInt32(truncatingIfNeeded: count)) }
}

extension ByteReader {
    @_lifetime(self: copy self)
    mutating func text() throws(ByteError) -> String {
        let length = try little(UInt16.self)
        guard length != absentText else { throw .outOfRange }
        return try text(Int(length))
    }

    @_lifetime(self: copy self)
    mutating func optionalText() throws(ByteError) -> String? {
        let length = try little(UInt16.self)
        return length == absentText ? nil : try text(Int(length))
    }

    @_lifetime(self: copy self)
    mutating func optionalInt64() throws(ByteError) -> Int64? {
        let value = try little(Int64.self)
        return value == absentInt64 ? nil : value
    }

    @_lifetime(self: copy self)
    mutating func optionalInt32() throws(ByteError) -> Int32? {
        let value = try little(Int32.self)
        return value == absentInt32 ? nil : value
    }

    /// The count of a list whose elements take at least `elementBytes` each: believed only when that many bytes are there (rule P1).
    @_lifetime(self: copy self)
    mutating func listCount(elementBytes: Int) throws(ByteError) -> Int {
        let count = Int(try little(UInt32.self))
        guard count <= remaining / max(1, elementBytes) else { throw .truncated }
        return count
    }

    /// A byte length as i32; -1 stands for nothing (Kafka's null).
    @_lifetime(self: copy self)
    mutating func nullableLength() throws(ByteError) -> Int {
        let length = try little(Int32.self)
        guard length >= -1 else { throw .outOfRange }
        return Int(length)
    }

    @_lifetime(self: copy self)
    mutating func rest() throws(ByteError) -> ByteRange { try range(remaining) }

    @_lifetime(self: copy self)
    mutating func flag() throws(ByteError) -> Bool {
        switch try byte() {
        case 0: return false
        case 1: return true
        default: throw .outOfRange
        }
    }

    /// Bytes that must be zero.
    @_lifetime(self: copy self)
    mutating func reserved(_ count: Int) throws(ByteError) {
        for _ in 0..<count where try byte() != 0 { throw .outOfRange }
    }

    /// One byte that names a case.
    @_lifetime(self: copy self)
    mutating func choice<T: RawRepresentable<UInt8>>(_: T.Type = T.self) throws(ByteError) -> T {
        guard let value = T(rawValue: try byte()) else { throw .outOfRange }
        return value
    }

    /// A number that may not be negative.
    @_lifetime(self: copy self)
    mutating func natural<T: FixedWidthInteger & BitwiseCopyable>(_: T.Type = T.self) throws(ByteError) -> T {
        let value = try little(T.self)
        guard value >= 0 else { throw .outOfRange }
        return value
    }
}

let maxTextBytes = 0xFFFE
let absentText: UInt16 = 0xFFFF
let absentInt64 = Int64.min
let absentInt32 = Int32.min
