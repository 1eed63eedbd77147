import BrokerCore
import Bytes
import Containers
import LinuxSystem
import Observability
import RingBuffers
import Routing
import SegmentLog

/// A cursor with 1,000 messages in flight with one consumer, that are settled in this order.
private func settlement(_ name: String, _ ranges: [ClosedRange<Int64>]) -> Row {
    Row("cursor: take 1,000, settle \(name)", items: 1_000) {
        Row.Prepared(expected: 2_000) {
            var cursor = Cursor(at: .zero)
            guard let pending = cursor.pending(below: Offset(1_000)) else { return 0 }
            cursor.take(pending, through: pending.last, by: 1, until: Instant(nanoseconds: 1))
            var settled = 0
            for range in ranges { settled &+= Int(cursor.settle(Offset(range.lowerBound), Offset(range.upperBound), by: 1)) }
            return settled &+ Int(cursor.floor.rawValue)
        }
    }
}

/// All numbers below `count` once, far from their order.
private func scattered(_ count: Int64) -> [Int64] { (0..<count).map { $0 * 389 % count } }

let settlementRows: [Row] = [
    settlement("one by one", (0..<1_000).map { $0...$0 }),
    settlement("in runs of 50", (0..<20).map { $0 * 50...$0 * 50 + 49 }),
    settlement("every other first", (0..<500).map { $0 * 2...$0 * 2 } + (0..<500).map { $0 * 2 + 1...$0 * 2 + 1 }),
    settlement("in no order", scattered(1_000).map { $0...$0 }),
    Row("cursor: take 1,000 one by one, give back, take again", items: 2_000) {
        Row.Prepared(expected: 2_000) {
            var cursor = Cursor(at: .zero)
            var taken = 0
            for _ in 0..<2 {
                while let pending = cursor.pending(below: Offset(1_000)) {
                    cursor.take(pending, through: pending.first, by: 1, until: .distantFuture)
                    taken &+= 1
                }
                _ = cursor.release(consumer: 1, counted: true, limit: 0)
            }
            return taken
        }
    },
    Row("range set: insert 1,000 in no order", items: 1_000) {
        let numbers = scattered(1_000)
        return Row.Prepared(expected: 1_001) {
            var set = RangeSet()
            for number in numbers { set.insert(number, number) }
            return Int(set.covered) &+ set.count
        }
    },
    Row("deadlines: insert 1,000, take all", items: 1_000) {
        let times = scattered(1_000)
        return Row.Prepared(expected: 499_500) {
            var heap = DeadlineHeap<Int>()
            for time in times { heap.insert(Int(time), deadline: UInt64(time)) }
            var sum = 0
            while let element = heap.popDue(.max) { sum &+= element }
            return sum
        }
    },
]

/// An exchange with so many patterns, one topic each; keys that are cached, or not.
private func routing(_ patterns: Int, cached: Bool) -> Row {
    Row("routes: 100 keys, \(patterns) patterns\(cached ? ", seen before" : "")", items: 100) {
        var options = RouteTable.Options()
        if !cached { options.cachedRoutes = 1 }
        let table = RouteTable(options)
        table.addExchange(1, .topic)
        do {
            for number in 0..<patterns {
                let pattern = number % 3 == 0 ? "orders.\(number).*" : number % 3 == 1 ? "orders.\(number).#" : "orders.\(number).created"
                try table.bind(RouteBinding(exchange: 1, destination: .topic(UInt32(number)), pattern: pattern))
            }
            try table.bind(RouteBinding(exchange: 1, destination: .topic(UInt32(patterns)), pattern: "*.*.created"))
        } catch { fatalError("a binding is refused: \(error)") }
        let keys = (0..<100).map { [UInt8]("orders.\($0 * 7 % patterns).created".utf8) }
        return Row.Prepared(expected: 200) {
            var found = 0
            for key in keys { found &+= table.resolve(1, key.rawSpan)?.count ?? 0 }
            return found
        }
    }
}

let routingRows: [Row] = [routing(1_000, cached: false), routing(10_000, cached: false), routing(1_000, cached: true)]

let ringRows: [Row] = [
    Row("spsc ring: 1,000 in, 1,000 out, by 100", items: 1_000) {
        let ring = SPSCRingBuffer<Int>(capacity: 128)
        return Row.Prepared(expected: 499_500) {
            var sum = 0
            for burst in 0..<10 {
                for number in 0..<100 { if !ring.push(burst &* 100 &+ number) { return -1 } }
                while let number = ring.pop() { sum &+= number }
            }
            return sum
        }
    },
    Row("ring queue: 1,000 in, 1,000 out, by 100", items: 1_000) {
        Row.Prepared(expected: 499_500) {
            var queue = RingQueue<Int>()
            var sum = 0
            for burst in 0..<10 {
                for number in 0..<100 { queue.append(burst &* 100 &+ number) }
                while let number = queue.popFirst() { sum &+= number }
            }
            return sum
        }
    },
    Row("lane: 100 messages of 164 B, by 10", items: 100, bytes: 16_400) {
        do {
            let (server, file) = try Lane.make(toServer: Lane.leastBytes, toClient: Lane.leastBytes)
            let client = try Lane.attach(file)
            let message = [UInt8](repeating: 7, count: 164)
            let scratch = Scratch()
            return Row.Prepared(expected: 16_400) {
                scratch.use { buffer in
                    do {
                        for _ in 0..<10 {
                            for _ in 0..<10 { _ = try client.write(message.rawSpan) }
                            client.show()
                            _ = try server.read(upTo: 1 << 16, into: &buffer)
                        }
                    } catch { mustNotFail(error) }
                    return buffer.count
                }
            }
        } catch { fatalError("no shared memory: \(error)") }
    },
]

let lookupRows: [Row] = [
    Row("offset index: 1,000 searches in 10,000 entries", items: 1_000) {
        var index = OffsetIndex()
        for entry in 0..<10_000 { index.append(relativeOffset: UInt32(entry * 40), position: UInt32(entry * 4_096)) }
        let sought = (0..<1_000).map { Int64($0 * 389 % 10_000) }
        return Row.Prepared(expected: sought.reduce(0) { $0 + Int($1) * 4_096 }) {
            var sum = 0
            for entry in sought { sum &+= index.position(atOrBefore: entry &* 40 &+ 13) }
            return sum
        }
    },
    Row("histogram: record 1,000 times", items: 1_000) {
        let histogram = Histogram()
        let values = (0..<1_000).map { UInt64($0) &* UInt64($0) &* 100 }
        for value in values { histogram.record(value) }
        precondition(histogram.snapshot().count == 1_000 && histogram.snapshot().sum == values.reduce(0, +))
        return Row.Prepared(expected: 1_000) {
            for value in values { histogram.record(value) }
            return values.count
        }
    },
    Row("histogram: p99 of 1,000", items: 1) {
        let histogram = Histogram()
        for value in 1...1_000 as ClosedRange<UInt64> { histogram.record(value &* 1_000) }
        let snapshot = histogram.snapshot()
        let expected = Int(snapshot.quantile(0.99))
        precondition(abs(expected - 990_000) <= 990_000 / 64)
        return Row.Prepared(expected: expected) { Int(snapshot.quantile(0.99)) }
    },
]
