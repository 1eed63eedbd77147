import BrokerCore
import Bytes
import SegmentLog
import Testing

/// Reading without a subscription; by the method of `BrokerScenarioTests`.
struct BrokerFetchTests {
    @Test func fetchesWaitForBytesOrForTheirTime() throws {
        let harness = try Harness()
        let topic = try harness.create("t")
        let fetch = Fetch(topic: topic, partition: 0, from: .zero, maxBytes: 1 << 20, minBytes: 1, waitMilliseconds: 500)
        let waiting = harness.ask(.fetch(fetch))
        harness.settleDown()
        #expect(harness.responses[waiting] == nil)
        harness.publish(topic, count: 2)
        guard case .fetched(let parts)? = harness.responses[waiting], let fetched = parts.first else {
            Issue.record("not answered")
            return
        }
        #expect(fetched.visibleEnd == Offset(2))
        #expect(fetched.slice != nil)
        var behind = fetch
        behind.parts[0].from = Offset(2)
        let late = harness.ask(.fetch(behind))
        harness.advance(milliseconds: 499)
        #expect(harness.responses[late] == nil)
        harness.advance(milliseconds: 1)
        guard case .fetched(let parts)? = harness.responses[late], let empty = parts.first else {
            Issue.record("not answered in time")
            return
        }
        #expect(empty.slice == nil)
        behind.parts[0].from = Offset(3)
        #expect(harness.errorCode(harness.answer(.fetch(behind))) == .offsetOutOfRange)
    }

    /// Kafka's rules: the sum of all partitions counts against `minBytes`, a part that fails ends the waiting and spoils no other, and
    /// only the first batch of the answer may exceed the limits.
    @Test func aFetchReadsSeveralPartitions() throws {
        let harness = try Harness()
        let topic = try harness.create("t", TopicOptions(partitions: 3))
        func part(_ index: Int32, from: Int64 = 0, maxBytes: Int = 1 << 20) -> Fetch.Part {
            Fetch.Part(topic: topic, partition: index, from: Offset(from), maxBytes: maxBytes)
        }
        func sizes(_ request: RequestID) -> [Int]? {
            guard case .fetched(let parts)? = harness.responses[request] else { return nil }
            return parts.map { $0.slice?.range.count ?? 0 }
        }
        let size = 61 + 9
        let waiting = harness.ask(.fetch(Fetch(parts: [part(0), part(1), part(2)], maxBytes: 1 << 20, minBytes: 2 * size, waitMilliseconds: 500)))
        harness.publish(topic, "x1", partition: 2)
        harness.settleDown()
        #expect(sizes(waiting) == nil, "half of what was asked for")
        harness.publish(topic, "x2", partition: 0)
        harness.settleDown()
        #expect(sizes(waiting) == [size, 0, size])
        let tight = harness.ask(.fetch(Fetch(parts: [part(1), part(2, maxBytes: 1), part(0)], maxBytes: 1, minBytes: 1, waitMilliseconds: 500)))
        harness.settleDown()
        #expect(sizes(tight) == [0, size, 0], "the first batch whole, and nothing beyond")
        let broken = harness.ask(.fetch(Fetch(parts: [part(2), part(7)], maxBytes: 1 << 20, minBytes: 1 << 20, waitMilliseconds: 500)))
        harness.settleDown()
        #expect(sizes(broken) == [size, 0])
        #expect(harness.errorCode(harness.responses[broken]) == .unknownPartition)
        let orphan = harness.ask(.fetch(Fetch(parts: [part(1), part(1)], maxBytes: 1 << 20, minBytes: 1, waitMilliseconds: 500)))
        _ = harness.answer(.deleteTopic(name: "t"))
        #expect(harness.errorCode(harness.responses[orphan]) == .unknownTopic)
    }
}
