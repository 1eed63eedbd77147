package import Bytes

/// A frame that is one name.
package protocol NameFrameBody: FrameBody {
    var name: String { get set }
    init(name: String)
}

extension NameFrameBody {
    package func write(to buffer: inout ByteBuffer) { buffer.append(text: name) }

    @_lifetime(reader: copy reader)
    package static func read(_ reader: inout ByteReader, flags: UInt8) throws(ByteError) -> Self { Self(name: try reader.text()) }
}

/// A frame that is one list. A long list comes in several frames with the same correlation; all but the last have the flag `more`.
package protocol ListFrameBody: FrameBody {
    associatedtype Element: ListElement
    var hasMore: Bool { get set }
    var elements: [Element] { get set }
    init(hasMore: Bool, elements: [Element])
}

extension ListFrameBody {
    package static var knownFlags: UInt8 { 1 }
    package var flags: UInt8 { hasMore ? 1 : 0 }
    package func write(to buffer: inout ByteBuffer) { buffer.append(list: elements) }

    @_lifetime(reader: copy reader)
    package static func read(_ reader: inout ByteReader, flags: UInt8) throws(ByteError) -> Self {
        Self(hasMore: flags & 1 != 0, elements: try reader.list())
    }

    /// Writes `elements` in as many frames as `partBytes` each asks for; an element larger than that gets a frame of its own.
    /// `hasMore`: others follow. Answers the size of the largest frame.
    package static func encodeParts<Source: Sequence>(
        of source: Source, to buffer: inout ByteBuffer, correlation: UInt64, partBytes: Int, hasMore: Bool = false,
        _ element: (Source.Element) -> Element
    ) -> Int {
        var frame = buffer.count
        var largest = 0
        var count = 0
        Self(hasMore: true, elements: []).encode(to: &buffer, correlation: correlation)
        for item in source {
            if count > 0 && buffer.count &- frame >= partBytes {
                largest = max(largest, buffer.closePart(from: frame, count))
                frame = buffer.count
                count = 0
                Self(hasMore: true, elements: []).encode(to: &buffer, correlation: correlation)
            }
            element(item).write(to: &buffer)
            count &+= 1
        }
        largest = max(largest, buffer.closePart(from: frame, count))
        // The flags stand behind size and type.
        if !hasMore { buffer.patch(little: UInt8(0), at: frame &+ 5) }
        return largest
    }
}

/// One element of a list.
package protocol ListElement: Equatable, Sendable {
    /// The fewest bytes that one takes.
    static var minSize: Int { get }
    func write(to buffer: inout ByteBuffer)
    @_lifetime(reader: copy reader)
    static func read(_ reader: inout ByteReader) throws(ByteError) -> Self
}

extension ByteBuffer {
    mutating func append<Element: ListElement>(list: [Element]) {
        append(listCount: list.count)
        for element in list { element.write(to: &self) }
    }

    fileprivate mutating func closePart(from frame: Int, _ elements: Int) -> Int {
        let size = count &- frame
        patch(little: UInt32(truncatingIfNeeded: size), at: frame)
        patch(little: UInt32(truncatingIfNeeded: elements), at: frame &+ FrameHeader.size)
        return size
    }
}

extension ByteReader {
    @_lifetime(self: copy self)
    mutating func list<Element: ListElement>() throws(ByteError) -> [Element] {
        let count = try listCount(elementBytes: Element.minSize)
        // Grows as elements are read: the count is believed only as far as the bytes go.
        var elements: [Element] = []
        for _ in 0..<count { elements.append(try Element.read(&self)) }
        return elements
    }
}
