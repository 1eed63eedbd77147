package import Bytes

/// Walks the records of an uncompressed batch, or a run of them, without ever trapping, whatever the bytes say.
///
/// Positions and ranges count from the start of the span it was made of.
package struct RecordReader: ~Copyable, ~Escapable {
    private var reader: ByteReader
    private let end: Int

    /// - Parameter records: where in `bytes` the records lie (`BatchView.records`, or a whole delivered run).
    @_lifetime(copy bytes)
    package init(_ bytes: RawSpan, records: Range<Int>) throws(ByteError) {
        reader = ByteReader(bytes)
        try reader.seek(to: records.lowerBound)
        guard records.upperBound <= bytes.byteCount else { throw .truncated }
        end = records.upperBound
    }

    /// Where the next record begins.
    package var position: Int { reader.position }

    /// The next record; nil at the end.
    @_lifetime(self: copy self)
    package mutating func next() throws(ByteError) -> Record? {
        let start = reader.position
        guard start < end else { return nil }
        let length = try reader.varInt()
        guard length >= 0, length <= Int64(end &- reader.position) else { throw .truncated }
        let recordEnd = reader.position &+ Int(truncatingIfNeeded: length)
        let attributes = try reader.byte()
        let timestampDelta = try reader.varInt()
        let offsetDelta = try reader.varInt()
        guard offsetDelta >= 0, offsetDelta <= Int64(Int32.max) else { throw .outOfRange }
        let key = try field()
        let value = try field()
        let headerCount = try reader.varInt()
        guard reader.position <= recordEnd else { throw .truncated }
        let headers = ByteRange(start: reader.position, count: recordEnd &- reader.position)
        // A header takes two bytes at least: its key's length and its value's.
        guard headerCount >= 0, headerCount <= Int64(headers.count / 2) else { throw .outOfRange }
        try reader.seek(to: recordEnd)
        return Record(
            range: ByteRange(start: start, count: recordEnd &- start), attributes: attributes, timestampDelta: timestampDelta,
            offsetDelta: Int32(truncatingIfNeeded: offsetDelta), key: key, value: value, headers: headers,
            headerCount: Int32(truncatingIfNeeded: headerCount))
    }

    @_lifetime(self: copy self)
    private mutating func field() throws(ByteError) -> ByteRange? {
        let length = try reader.varCount()
        return length < 0 ? nil : try reader.range(length)
    }

    /// Passes over `count` records by their lengths alone.
    @_lifetime(self: copy self)
    package mutating func skip(_ count: Int) throws(ByteError) {
        var rest = count
        while rest > 0 {
            let length = try reader.varInt()
            guard length >= 0, length <= Int64(end &- reader.position) else { throw .truncated }
            try reader.seek(to: reader.position &+ Int(truncatingIfNeeded: length))
            rest &-= 1
        }
    }

    /// The bytes of records `first ... last` of a batch, by hopping over lengths. A caller that takes a batch in several runs gives
    /// the place where the last run ended, so that the hops are made once.
    package static func range(
        of first: Int, through last: Int, in bytes: RawSpan, records: Range<Int>, from place: RecordPlace? = nil
    ) throws(ByteError) -> Range<Int> {
        guard first >= 0, first <= last else { throw .outOfRange }
        var begin = records.lowerBound
        var index = 0
        if let place, place.index <= first, place.position >= records.lowerBound, place.position <= records.upperBound {
            begin = place.position
            index = place.index
        }
        var reader = try RecordReader(bytes, records: begin..<records.upperBound)
        try reader.skip(first &- index)
        let start = reader.position
        try reader.skip(last &- first &+ 1)
        return start..<reader.position
    }
}

/// A record boundary within a batch: the record with this index begins at this position.
package struct RecordPlace: Equatable, Sendable {
    package var index: Int
    package var position: Int
    package init(index: Int, position: Int) {
        self.index = index
        self.position = position
    }
}

/// One stored record, as ranges of the span that was read.
package struct Record: Equatable, Sendable {
    /// The whole record, its length included.
    package var range: ByteRange
    package var attributes: UInt8
    package var timestampDelta: Int64
    package var offsetDelta: Int32
    package var key: ByteRange?
    package var value: ByteRange?
    /// Headers in the record's own encoding; read them with `RecordHeaderReader`.
    package var headers: ByteRange
    package var headerCount: Int32
}

/// Walks the headers of one record: per header varint key length, key, varint value length (-1: null), value.
package struct RecordHeaderReader: ~Copyable, ~Escapable {
    private var reader: ByteReader
    private let end: Int

    @_lifetime(copy bytes)
    package init(_ bytes: RawSpan, headers: ByteRange) throws(ByteError) {
        reader = ByteReader(bytes)
        end = headers.end
        try reader.seek(to: headers.start)
        guard headers.count >= 0, headers.count <= reader.remaining else { throw .truncated }
    }

    /// The next header; nil at the end.
    @_lifetime(self: copy self)
    package mutating func next() throws(ByteError) -> (name: ByteRange, value: ByteRange?)? {
        guard reader.position < end else { return nil }
        let nameLength = try reader.varCount()
        guard nameLength >= 0 else { throw .outOfRange }
        let name = try reader.range(nameLength)
        let valueLength = try reader.varCount()
        let value = valueLength < 0 ? nil : try reader.range(valueLength)
        guard reader.position <= end else { throw .truncated }
        return (name, value)
    }

    /// Whether `headers` holds exactly `count` well-formed headers.
    package static func check(_ bytes: RawSpan, headers: ByteRange, count: Int32) -> Bool {
        do throws(ByteError) {
            var reader = try RecordHeaderReader(bytes, headers: headers)
            var found: Int32 = 0
            while try reader.next() != nil { found &+= 1 }
            return found == count
        } catch {
            return false
        }
    }

    /// Writes one header.
    package static func encode(name: String, value: [UInt8]?, into buffer: inout ByteBuffer) {
        buffer.append(varInt: Int64(name.utf8.count))
        buffer.append(name)
        buffer.append(varInt: Int64(value?.count ?? -1))
        if let value { buffer.append(value) }
    }
}
