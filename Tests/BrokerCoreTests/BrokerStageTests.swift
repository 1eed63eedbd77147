import BrokerCore
import Bytes
import SegmentLog
import Testing

struct BrokerStageTests {
    @Test func stagesAreMeasuredByTheTicksTime() throws {
        let harness = try Harness { options in options.stopwatch = { 7 } }
        let topic = try harness.create("t")
        let loose = try harness.create("loose", TopicOptions(durability: Durability.none))
        harness.answer(.createExchange(name: "x", .fanout))
        harness.answer(.bind(Binding(exchange: "x", destination: .topic("loose"), pattern: "")))
        func later() {
            harness.now.instant = harness.now.instant.advanced(byNanoseconds: 5_000_000)
            harness.tick()
            harness.completeStorage()
        }
        harness.publish(topic, "flushed two ticks after it came")
        harness.tick()
        later()
        #expect(harness.statistic("stage_durable_total") == 1)
        #expect(harness.statistic("stage_acknowledge_total") == 1)
        let durable = try #require(harness.statistic("stage_durable_p50_microseconds"))
        #expect(durable >= 5_000 && durable < 5_100)
        harness.publish(loose, "answered at the end of its tick")
        later()
        #expect(harness.statistic("stage_durable_total") == 1)
        #expect(harness.statistic("stage_acknowledge_total") == 2)
        #expect(harness.statistic("stage_route_total") == 0)
        let (request, bytes) = harness.message(loose, "routed")
        guard case .append(var append) = request else { return }
        append.target = .exchange(ExchangeID(rawValue: 1), routingKey: .empty)
        for _ in 0..<65 { harness.ask(.append(append), input: bytes) }
        later()
        // One in 64 is measured.
        #expect(harness.statistic("stage_route_total") == 2)
        #expect(harness.statistic("stage_acknowledge_total") == 67)
    }
}
