import Bytes
import LinuxSystem
import NativeCodec
import Observability
import SegmentLog
import Testing

@testable import needletail

/// The load generator counts what it should: a benchmark that cannot see a fault flatters.
@Suite struct BenchTests {
    @Test(arguments: [
        ([0, 1, 2, 3], 4, 0, 0), ([0, 1, 3], 3, 0, 0), ([0, 1, 1, 2], 3, 1, 0), ([0, 2, 1, 3], 4, 0, 1),
        ([0, 1, 2, 0, 1, 2], 3, 3, 0),
        ([3, 2, 1, 0], 4, 0, 3),
    ])
    func theVerifierTellsLossRepetitionAndDisorderApart(_ sequences: [UInt64], received: Int, duplicated: Int, outOfOrder: Int) {
        var verifier = BenchVerifier(producers: 2)
        for sequence in sequences { verifier.see(producer: 1, sequence: sequence) }
        // The other producer's messages have nothing to do with these.
        verifier.see(producer: 0, sequence: 9)
        let counted = [verifier.received - 1, verifier.duplicated, verifier.outOfOrder]
        #expect(counted == [received, duplicated, outOfOrder])
    }

    @Test(arguments: [([0, 2], [1, 3], 4, 0), ([0, 1, 2], [2, 3], 4, 1), ([], [0], 1, 0), ([0, 200], [0, 200], 2, 2)])
    func whatTwoCompetingConsumersBothGotIsADuplicate(_ one: [UInt64], _ two: [UInt64], received: Int, duplicated: Int) {
        var (first, second) = (BenchVerifier(producers: 1), BenchVerifier(producers: 1))
        for sequence in one { first.see(producer: 0, sequence: sequence) }
        for sequence in two { second.see(producer: 0, sequence: sequence) }
        first.merge(second)
        let counted = [first.received, first.duplicated]
        #expect(counted == [received, duplicated])
    }

    @Test(arguments: [
        ("74761,,raw_syscalls:sys_enter,74761,100.00,,\n", 74_761), ("# started\n\n12,,raw_syscalls:sys_enter,5,1.00,,\n", 12),
        ("<not counted>,,raw_syscalls:sys_enter,0,100.00,,\n", nil), ("", nil), ("No permission to enable raw_syscalls:sys_enter event.\n", nil),
    ])
    func systemCallsAreWhatPerfSays(_ output: String, expected: Int?) {
        let count = BenchSyscalls.count(in: output)
        #expect(count == expected)
    }

    @Test func theDistributionIsWrittenAsHdrHistogramDoes() {
        let histogram = Histogram()
        for value in 1...1_000 { histogram.record(UInt64(value) * 1_000) }
        let percentiles = BenchPercentiles(histogram: histogram.snapshot())
        let points = percentiles.points
        // Rising, from the least to the greatest, and no level twice.
        #expect(points.first?.fraction == 0 && points.last?.fraction == 1 && points.last?.value == 1_000_000)
        #expect(zip(points, points.dropFirst()).allSatisfy { $0.fraction < $1.fraction && $0.value <= $1.value && $0.count <= $1.count })
        let half = points.first { $0.fraction >= 0.5 }
        #expect(half.map { $0.value >= 500_000 && $0.value < 510_000 } == true)
        let lines = percentiles.text.split(separator: "\n")
        #expect(lines.first?.split(separator: " ") == ["Value", "Percentile", "TotalCount", "1/(1-Percentile)"])
        #expect(lines.dropFirst().first?.split(separator: " ").count == 4)
        #expect(lines.contains { $0.hasPrefix("#[Max     =     1000.000, Total count    =         1000]") })
        let empty = BenchPercentiles(histogram: HistogramSnapshot())
        #expect(empty.points.isEmpty)
    }

    @Test func thePictureHasACurveForEachAndNothingOutside() {
        let histogram = Histogram()
        for value in [40_000, 50_000, 900_000, 12_000_000] as [UInt64] { histogram.record(value) }
        let svg = BenchPlot(title: "t", curves: [("one", "#000000", histogram.snapshot()), ("none", "#ffffff", HistogramSnapshot())]).svg
        #expect(svg.components(of: "<polyline") == 2 && svg.hasSuffix("</svg>\n"))
        #expect(!svg.contains("nan") && !svg.contains("inf"))
    }

    @Test func theVerifierRefusesWhatNobodySent() {
        var verifier = BenchVerifier(producers: 1)
        verifier.see(producer: 1, sequence: 0)
        verifier.see(producer: 0, sequence: .max)
        let counted = [verifier.received, verifier.alien]
        #expect(counted == [0, 2])
    }

    @Test func aPayloadHasItsSizeAndItsNumbers() throws {
        var payload = BenchPayload(producer: 3, size: 100)
        payload.set(sequence: 7, intended: 9)
        var buffer = ByteBuffer()
        payload.add(into: &buffer)
        let count = buffer.count
        var reader = ByteReader(buffer.bytes)
        let producer: UInt32 = try reader.little()
        _ = try reader.little(UInt32.self)
        let sequence: UInt64 = try reader.little()
        let intended: UInt64 = try reader.little()
        #expect(count == 100 && producer == 3 && sequence == 7 && intended == 9)
    }

    @Test func theReportHasEveryPromisedKey() {
        let settings = BenchSettings(
            workload: .stream, server: .native, size: 100, rate: nil, seconds: 1, messages: nil, batch: 10, window: 2, durability: .group, producers: 1,
            consumers: 1, topic: "t")
        let result = BenchResult(
            settings: settings, messages: 10, seconds: 2, latency: HistogramSnapshot(), acknowledged: HistogramSnapshot(), serverSeconds: 0.5,
            serverMemory: nil,
            delivered: 9, lost: 1,
            duplicated: 0, outOfOrder: 0, echoPerSecond: 1)
        let text = result.json.description
        for key in [
            "workload", "size", "durability", "messages", "seconds", "messages_per_s", "p50_us", "p99_us", "p999_us", "server_cpu_s_per_m",
            "server_cpu_s_per_gb",
            "server_resident_bytes", "delivered_per_s", "lost",
            "duplicated", "out_of_order", "echo_p50_us", "echo_messages_per_s", "relay_p50_us", "relay_p99_us",
        ] { #expect(text.contains("\"\(key)\":")) }
        #expect(text.contains("\"messages_per_s\":5,") && text.contains("\"lost\":1,") && text.contains("\"server_cpu_s_per_m\":50000"))
        #expect(!result.isFaultless)
    }

    @Test(arguments: [true, false])
    func aLimitThatWasNotMeasuredIsNotShownAsOneOfNoTime(measured: Bool) {
        let settings = BenchSettings(
            workload: .latency, server: .native, size: 100, rate: 10, seconds: 1, messages: nil, batch: 1, window: 2, durability: .none, producers: 1,
            consumers: 1, topic: "t")
        let (echo, relay) = (Histogram(), Histogram())
        if measured { echo.record(5_000) }
        if measured { relay.record(7_000) }
        let result = BenchResult(
            settings: settings, messages: 10, seconds: 1, latency: HistogramSnapshot(), acknowledged: HistogramSnapshot(), serverSeconds: nil,
            serverMemory: nil, delivered: 10, lost: 0, duplicated: 0, outOfOrder: 0, echo: echo.snapshot(), relay: relay.snapshot(), echoPerSecond: nil)
        #expect(result.json.description.contains(measured ? "\"echo_p50_us\":5," : "\"echo_p50_us\":null,"))
        #expect(result.json.description.contains(measured ? "\"relay_p50_us\":7," : "\"relay_p50_us\":null,"))
        for name in ["raw TCP echo", "relay"] { #expect(result.text(.plain).contains(name) == measured) }
    }

    @Test(arguments: [false, true])
    func theRelayPassesOnEveryMessageAndLeavesNoFile(awake: Bool) throws {
        let place = try ScratchDirectory()
        let waiting: Socket.Blocking = awake ? .nonblocking : .blocking
        for flushes in [false, true] {
            let route = try BenchRoute.relay(waiting, in: place.path, flushes: flushes)
            #expect(try FileSystem.list(place.path).isEmpty)
            let seen = try BenchEcho.latency(over: route, size: 100, rate: 2_000, seconds: 0.1)
            #expect(seen.count == 200)
        }
        let together = try BenchEcho.latencyAwake(over: .relay(.nonblocking, in: place.path, flushes: false), size: 100, rate: 2_000, seconds: 0.05)
        #expect(together.count == 100)
        #expect(throws: Errno.self) { try BenchRoute.relay(in: place.path + "/absent", flushes: false) }
    }
}

extension String {
    fileprivate func components(of part: String) -> Int { split(separator: part, omittingEmptySubsequences: false).count - 1 }
}
