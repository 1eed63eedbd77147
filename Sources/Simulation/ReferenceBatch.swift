internal import Bytes
package import SegmentLog

/// Kafka's record batch v2, written and read here once more from its description, so that the log's own code is not its own judge.
/// A message is its number: key, payload and size follow from it.
package enum ReferenceBatch {
    package struct Producer: Equatable, Sendable {
        package var id: Int64
        package var epoch: Int16
        package var sequence: Int32
        package init(id: Int64, epoch: Int16, sequence: Int32) {
            self.id = id
            self.epoch = epoch
            self.sequence = sequence
        }
    }

    package struct Record: Equatable, Sendable {
        package var offset: Int64
        package var message: UInt64
        package var timestamp: Int64
        package init(offset: Int64, message: UInt64, timestamp: Int64) {
            self.offset = offset
            self.message = message
            self.timestamp = timestamp
        }
    }

    package static let headerBytes = 61

    /// Where in the bytes of the segment that begins with `base` the batch with this offset is; where the last one ends, if it is the next;
    /// nil where neither is found.
    static func position(of offset: Int64, in bytes: [UInt8], from base: Int64) -> Int? {
        if offset == base { return 0 }
        func number(_ at: Int, _ count: Int) -> Int64 { bytes[at..<at + count].reduce(0) { $0 << 8 | Int64($1) } }
        var position = 0
        while position + headerBytes <= bytes.count {
            let (length, next) = (Int(number(position + 8, 4)), number(position, 8) + number(position + 23, 4) + 1)
            guard length >= headerBytes - 12, position + 12 + length <= bytes.count else { return nil }
            if offset < next { return position }
            position += 12 + length
            if offset == next { return position }
        }
        return nil
    }

    /// The payload of a message: its number, then as many bytes as its number says.
    package static func payload(_ message: UInt64) -> [UInt8] {
        var bytes: [UInt8] = []
        for shift in 0..<8 { bytes.append(UInt8(truncatingIfNeeded: message &>> UInt64(shift * 8))) }
        bytes.append(contentsOf: repeatElement(UInt8(truncatingIfNeeded: message &* 31 | 1), count: size(message)))
        return bytes
    }

    /// Mostly small; one in sixteen is larger than a sector, one in a hundred larger than a page.
    static func size(_ message: UInt64) -> Int {
        let mixed = Int(truncatingIfNeeded: Seed.mix(message) &>> 20)
        if mixed % 101 == 0 { return 4_096 + mixed % 3_000 }
        if mixed % 16 == 0 { return 500 + mixed % 600 }
        return mixed % 60
    }

    package static func encode(_ messages: [UInt64], timestamps: [Int64], producer: Producer? = nil) -> [UInt8] {
        var buffer = ByteBuffer()
        buffer.append(big: Int64(0))
        buffer.append(big: Int32(0))
        buffer.append(big: Int32(-1))
        buffer.append(UInt8(2))
        buffer.append(big: UInt32(0))
        let checked = buffer.count
        buffer.append(big: Int16(0))
        buffer.append(big: Int32(messages.count - 1))
        buffer.append(big: timestamps[0])
        buffer.append(big: timestamps.max() ?? 0)
        buffer.append(big: producer?.id ?? -1)
        buffer.append(big: producer?.epoch ?? -1)
        buffer.append(big: producer?.sequence ?? -1)
        buffer.append(big: Int32(messages.count))
        for (index, message) in messages.enumerated() {
            let payload = payload(message)
            var record = ByteBuffer()
            record.append(UInt8(0))
            record.append(varInt: timestamps[index] - timestamps[0])
            record.append(varInt: Int64(index))
            record.append(varInt: -1)
            record.append(varInt: Int64(payload.count))
            record.append(payload)
            record.append(varInt: 0)
            buffer.append(varInt: Int64(record.count))
            buffer.append(record.bytes)
        }
        buffer.patch(big: Int32(buffer.count - 12), at: 8)
        let crc = CRC32C.checksum(buffer.bytes.extracting(checked..<buffer.count))
        buffer.patch(big: crc, at: 17)
        return [UInt8](buffer.bytes)
    }

    /// The records of whole batches.
    package static func decode(_ slice: LogSlice) throws(Violation) -> [Record] {
        try decode(slice.memory.bytes(slice.range))
    }

    static func decode(_ bytes: RawSpan) throws(Violation) -> [Record] {
        var records: [Record] = []
        do throws(ByteError) {
            var reader = ByteReader(bytes)
            while !reader.isAtEnd {
                let offset = try reader.big(Int64.self)
                let length = Int(try reader.big(Int32.self))
                var batch = ByteReader(try reader.take(length))
                _ = try batch.big(Int32.self)
                guard try batch.byte() == 2 else { throw .outOfRange }
                let crc = try batch.big(UInt32.self)
                let rest = batch.position
                let checked = try batch.take(batch.remaining)
                guard CRC32C.checksum(checked) == crc else { throw .notText }
                try batch.seek(to: rest)
                _ = try batch.big(Int16.self)
                let lastDelta = try batch.big(Int32.self)
                let timestamp = try batch.big(Int64.self)
                _ = try batch.take(8 + 8 + 2 + 4)
                let count = try batch.big(Int32.self)
                guard count == lastDelta + 1, count > 0 else { throw .outOfRange }
                for index in 0..<Int64(count) {
                    let record = try decodeRecord(&batch, base: offset, timestamp: timestamp)
                    guard record.offset == offset + index else { throw .outOfRange }
                    records.append(record)
                }
                guard batch.isAtEnd else { throw .outOfRange }
            }
        } catch {
            throw Violation(.toldByReading, "what was read is no valid batch (\(error))")
        }
        return records
    }

    /// A run of records without a batch around them; their deltas count from `base` and `timestamp`.
    package static func decodeRecords(_ slice: LogSlice, base: Int64, timestamp: Int64) throws(Violation) -> [Record] {
        try decodeRecords(slice.memory.bytes(slice.range), base: base, timestamp: timestamp)
    }

    /// As above, of bytes that have arrived.
    package static func decodeRecords(_ bytes: [UInt8], base: Int64, timestamp: Int64) throws(Violation) -> [Record] {
        try decodeRecords(bytes.rawSpan, base: base, timestamp: timestamp)
    }

    package static func decode(_ bytes: [UInt8]) throws(Violation) -> [Record] { try decode(bytes.rawSpan) }

    private static func decodeRecords(_ bytes: RawSpan, base: Int64, timestamp: Int64) throws(Violation) -> [Record] {
        var records: [Record] = []
        do throws(ByteError) {
            var reader = ByteReader(bytes)
            while !reader.isAtEnd { records.append(try decodeRecord(&reader, base: base, timestamp: timestamp)) }
        } catch {
            throw Violation(.toldByReading, "what was delivered are no records (\(error))")
        }
        return records
    }

    private static func decodeRecord(_ reader: inout ByteReader, base: Int64, timestamp: Int64) throws(ByteError) -> Record {
        var record = ByteReader(try reader.take(Int(try reader.varInt())))
        _ = try record.byte()
        let timestampDelta = try record.varInt()
        let offsetDelta = try record.varInt()
        let key = try record.varInt()
        if key > 0 { _ = try record.take(Int(key)) }
        let value = try record.take(Int(try record.varInt()))
        var number = ByteReader(value)
        let message = try number.little(UInt64.self)
        guard value.equals(payload(message).rawSpan) else { throw .notText }
        return Record(offset: base + offsetDelta, message: message, timestamp: timestamp + timestampDelta)
    }
}
