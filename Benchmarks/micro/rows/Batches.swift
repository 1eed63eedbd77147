import Bytes
import SegmentLog

/// 500 messages of 100 bytes, as producers send them together.
enum Sample {
    static let count = 500
    static let size = 100
    static let time = Timestamp(milliseconds: 1_700_000_000_000)
    static let payload = [UInt8]((0..<size).map { UInt8(truncatingIfNeeded: $0 &* 7) })

    /// One batch; `headers` for each of its records.
    static func batch(_ count: Int = count, headers: Int = 0) -> [UInt8] {
        var buffer = ByteBuffer()
        var builder = RecordBatchBuilder(into: &buffer)
        let named = (0..<headers).map { (name: "header-\($0)", value: [UInt8]?.some([1, 2, 3, 4])) }
        for _ in 0..<count { builder.append(key: nil, value: payload, headers: named, timestamp: time, into: &buffer) }
        builder.finish(into: &buffer)
        return [UInt8](buffer.bytes)
    }
}

/// Memory that stays from one iteration to the next.
final class Scratch {
    private var buffer = ByteBuffer()
    func use(_ work: (inout ByteBuffer) -> Int) -> Int {
        buffer.clear()
        return work(&buffer)
    }
}

/// What the bytes of well-formed samples never cause.
func mustNotFail(_ error: any Error) -> Never { fatalError("a sample cannot be read: \(error)") }

let batchRows: [Row] = [
    Row("batch: build 500 of 100 B", items: Sample.count, bytes: Sample.count * Sample.size) {
        let scratch = Scratch()
        return Row.Prepared(expected: Sample.batch().count) {
            scratch.use { buffer in
                var builder = RecordBatchBuilder(into: &buffer)
                let parts = Sample.payload
                let value = ByteRange(start: 0, count: parts.count)
                for _ in 0..<Sample.count {
                    builder.append(
                        key: nil, value: value, headers: .empty, headerCount: 0, timestamp: Sample.time, input: parts.rawSpan, into: &buffer)
                }
                return builder.finish(into: &buffer).totalByteCount
            }
        }
    },
    Row("batch: check 500 of 100 B as it arrives", items: Sample.count, bytes: Sample.batch().count) {
        let batch = Sample.batch()
        return Row.Prepared(expected: Sample.count) {
            do { return Int(try RecordBatchHeader(checking: batch.rawSpan, limit: 1 << 20).recordCount) } catch { mustNotFail(error) }
        }
    },
    Row("batch: read 500 records of 100 B", items: Sample.count, bytes: Sample.batch().count) {
        let batch = Sample.batch()
        return Row.Prepared(expected: Sample.count * Sample.size + Sample.count * (Sample.count - 1) / 2) {
            var sum = 0
            do {
                var reader = try RecordReader(batch.rawSpan, records: RecordBatchHeader.byteCount..<batch.count)
                while let record = try reader.next() { sum &+= (record.value?.count ?? 0) &+ Int(record.offsetDelta) }
            } catch { mustNotFail(error) }
            return sum
        }
    },
    Row("batch: find records 400 to 450 of 500", items: 451) {
        let batch = Sample.batch()
        let record = (batch.count - RecordBatchHeader.byteCount) / Sample.count
        // From record 64 on the offset takes two bytes.
        return Row.Prepared(expected: 51 * (record + 1)) {
            do {
                return try RecordReader.range(of: 400, through: 450, in: batch.rawSpan, records: RecordBatchHeader.byteCount..<batch.count).count
            } catch { mustNotFail(error) }
        }
    },
    Row("batch: decode 100 headers", items: 100, bytes: 100 * RecordBatchHeader.byteCount) {
        let one = Sample.batch(1)
        let many = [UInt8]((0..<100).flatMap { _ in one })
        return Row.Prepared(expected: 100 * one.count) {
            var sum = 0
            do {
                for index in 0..<100 { sum &+= try RecordBatchHeader(decoding: many.rawSpan, at: index &* one.count).totalByteCount }
            } catch { mustNotFail(error) }
            return sum
        }
    },
    Row("record: look up the last of 8 headers, 100 times", items: 800) {
        let batch = Sample.batch(100, headers: 8)
        let wanted = [UInt8]("header-7".utf8)
        return Row.Prepared(expected: 100 * 4) {
            var sum = 0
            do {
                let bytes = batch.rawSpan
                var reader = try RecordReader(bytes, records: RecordBatchHeader.byteCount..<batch.count)
                while let record = try reader.next() {
                    var headers = try RecordHeaderReader(bytes, headers: record.headers)
                    while let header = try headers.next() {
                        if bytes.extracting(header.name.indices).equals(wanted.rawSpan) { sum &+= header.value?.count ?? 0 }
                    }
                }
            } catch { mustNotFail(error) }
            return sum
        }
    },
]

let checksumRows: [Row] = [(64, 100), (1 << 10, 100), (64 << 10, 1), (1 << 20, 1)].map { size, times in
    let shown = size >= 1 << 20 ? "\(size >> 20) MiB" : size >= 1 << 10 ? "\(size >> 10) KiB" : "\(size) B"
    return Row("crc-32c: \(times == 1 ? "" : "\(times) times ")\(shown)", bytes: size * times) {
        let bytes = [UInt8]((0..<size).map { UInt8(truncatingIfNeeded: $0 &* 131 &+ $0 >> 8) })
        // Told by the form without the processor's instruction.
        return Row.Prepared(expected: times * Int(CRC32C.portableChecksum(bytes.rawSpan))) {
            var sum = 0
            for _ in 0..<times { sum &+= Int(CRC32C.checksum(bytes.rawSpan)) }
            return sum
        }
    }
}
