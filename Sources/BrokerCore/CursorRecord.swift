internal import Bytes
internal import Containers
internal import SegmentLog

/// One entry of the cursors' log: where a subscription is in one partition. The newest one counts.
///
///     version 1 | subscription | partition | floor | next | n, then n settled ranges (gap, length) |
///     m, then m ranges that were tried before (gap, length, attempts)          all numbers zig-zag varints
///
/// Version 2, where copies of old survivors are noted, goes on:
///
///     below which all have copies | k, then k copies (gap, length, place, bytes, time); the first gap counts from 0
///
/// What was in flight is not written as such: after a restart it is to be delivered again, with the attempts that had failed.
struct CursorRecord {
    var subscription: SubscriptionID
    var partition: Int32
    var cursor: Cursor

    static let version: UInt8 = 1
    static let versionWithCopies: UInt8 = 2

    static func encode(_ cursor: Cursor, subscription: SubscriptionID, partition: Int32, into buffer: inout ByteBuffer) {
        let hasCopies = !cursor.aside.isEmpty
        buffer.append(hasCopies ? versionWithCopies : version)
        buffer.append(varInt: Int64(subscription.rawValue))
        buffer.append(varInt: Int64(partition))
        buffer.append(varInt: cursor.floor.rawValue)
        buffer.append(varInt: cursor.next.rawValue)
        buffer.append(varInt: Int64(cursor.settled.count))
        var at = cursor.floor.rawValue
        var bytes = ByteBuffer()
        cursor.settled.forEach { range in
            bytes.append(varInt: range.first - at)
            bytes.append(varInt: range.length)
            at = range.last + 1
        }
        var tried: [Cursor.Redelivery] = []
        cursor.redelivery.forEach { if $0.attempts > 0 { tried.append($0) } }
        cursor.inFlight.forEach { run in
            // What the broker is moving away has had its last attempt; what a consumer holds may still succeed.
            let attempts = run.consumer == Cursor.broker ? run.attempt : run.attempt - 1
            if attempts > 0 { tried.append(Cursor.Redelivery(first: run.first, last: run.last, attempts: attempts)) }
        }
        tried.sort { $0.first < $1.first }
        bytes.append(varInt: Int64(tried.count))
        at = cursor.floor.rawValue
        for run in tried {
            bytes.append(varInt: run.first - at)
            bytes.append(varInt: run.length)
            bytes.append(varInt: Int64(run.attempts))
            at = run.last + 1
        }
        if hasCopies {
            bytes.append(varInt: cursor.asideBelow.rawValue)
            bytes.append(varInt: Int64(cursor.aside.count))
            at = 0
            cursor.aside.forEach { copy in
                for number in [copy.first - at, copy.length, copy.place, copy.bytes, copy.time] { bytes.append(varInt: number) }
                at = copy.last + 1
            }
        }
        buffer.append(bytes.bytes)
    }

    init(decoding bytes: RawSpan) throws(ByteError) {
        var reader = ByteReader(bytes)
        let version = try reader.byte()
        guard version == CursorRecord.version || version == CursorRecord.versionWithCopies else { throw .outOfRange }
        subscription = SubscriptionID(rawValue: try reader.number())
        guard let partition = Int32(exactly: try reader.varInt()) else { throw .outOfRange }
        self.partition = partition
        let floor = try reader.varInt()
        let next = try reader.varInt()
        guard floor >= 0, next >= floor, next < .max / 2 else { throw .outOfRange }
        cursor = Cursor(restored: Offset(floor), next: Offset(next))
        var at = floor
        for _ in 0..<max(0, try reader.varCount()) {
            let range = try CursorRecord.range(&reader, &at, below: next)
            cursor.restore(settled: range.lowerBound, range.upperBound)
        }
        at = floor
        for _ in 0..<max(0, try reader.varCount()) {
            let range = try CursorRecord.range(&reader, &at, below: next)
            guard let attempts = Int32(exactly: try reader.varInt()) else { throw .outOfRange }
            cursor.restore(redelivery: range.lowerBound, range.upperBound, attempts: attempts)
        }
        guard version == CursorRecord.versionWithCopies else { return }
        let end = try reader.varInt()
        guard end >= 0, end <= next else { throw .outOfRange }
        at = 0
        for _ in 0..<max(0, try reader.varCount()) {
            let range = try CursorRecord.range(&reader, &at, below: end)
            let (place, bytes, time) = (try reader.varInt(), try reader.varInt(), try reader.varInt())
            guard place >= 0, place < .max / 2, bytes >= 0, bytes < 1 << 40 else { throw .outOfRange }
            let copy = Cursor.Aside(first: range.lowerBound, last: range.upperBound, place: place, bytes: bytes, time: time)
            cursor.restore(copy, below: Offset(end))
        }
    }

    private static func range(_ reader: inout ByteReader, _ at: inout Int64, below next: Int64) throws(ByteError) -> ClosedRange<Int64> {
        let gap = try reader.varInt()
        let length = try reader.varInt()
        guard gap >= 0, gap < next - at, length >= 1, length <= next - at - gap else { throw .outOfRange }
        let first = at + gap
        at = first + length
        return first...(at - 1)
    }
}
