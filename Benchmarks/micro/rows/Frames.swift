import Bytes
import NativeCodec

private let publish = Frame.Publish(
    target: .topic(1, partition: 0), key: nil, headers: .empty, headerCount: 0, payload: ByteRange(start: 0, count: Sample.size), timestamp: nil,
    producer: nil, durability: .none, wantsAnswer: true)

private func encoded(_ frame: some FrameBody, tail: [UInt8] = []) -> [UInt8] {
    var buffer = ByteBuffer()
    frame.encode(to: &buffer, correlation: 1)
    buffer.append(tail)
    return [UInt8](buffer.bytes)
}

let frameRows: [Row] = [
    Row("native: write 100 publishes of 100 B", items: 100, bytes: 100 * (Frame.Publish.headSize + Sample.size)) {
        let scratch = Scratch()
        return Row.Prepared(expected: 100 * (Frame.Publish.headSize + Sample.size)) {
            scratch.use { buffer in
                for number in 0..<100 {
                    publish.encode(to: &buffer, correlation: UInt64(truncatingIfNeeded: number))
                    buffer.append(Sample.payload.rawSpan)
                }
                return buffer.count
            }
        }
    },
    Row("native: read 100 publishes of 100 B", items: 100, bytes: 100 * (Frame.Publish.headSize + Sample.size)) {
        let one = encoded(publish, tail: Sample.payload)
        let many = [UInt8]((0..<100).flatMap { _ in one })
        return Row.Prepared(expected: 100 * Sample.size) {
            var sum = 0
            var at = 0
            do {
                while case .frame(let header) = try FrameSplitter.next(in: many.rawSpan, at: at, limit: 1 << 20) {
                    sum &+= try Frame.Publish.decode(header, in: many.rawSpan, at: at).payload?.count ?? 0
                    at &+= header.size
                }
            } catch { mustNotFail(error) }
            return sum
        }
    },
    Row("native: read a settle of 100 ranges", items: 100) {
        let ranges = (0..<100).map { Frame.Settle.Range(partition: 0, outcome: .accept, first: $0 * 10, last: $0 * 10 + 4) }
        let frame = encoded(Frame.Settle(consumer: 1, confirm: false, ranges: ranges))
        return Row.Prepared(expected: 100 * 4) {
            var sum = 0
            do {
                guard case .frame(let header) = try FrameSplitter.next(in: frame.rawSpan, at: 0, limit: 1 << 20) else { return 0 }
                for range in try Frame.Settle.decode(header, in: frame.rawSpan, at: 0).ranges { sum &+= Int(range.last &- range.first) }
            } catch { mustNotFail(error) }
            return sum
        }
    },
]
