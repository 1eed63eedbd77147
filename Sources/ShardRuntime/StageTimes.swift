import BrokerCore
import Observability
import SegmentLog

/// The histograms of a shard's stages. Written by its thread, read by any.
struct TickHistograms: Sendable {
    let receive = Histogram()
    let append = Histogram()
    let deliver = Histogram()

    /// What several shards measured, as one.
    static func statistics(_ shards: [TickHistograms]) -> [Statistic] {
        figures("receive", shards.map(\.receive)) + figures("append", shards.map(\.append)) + figures("deliver", shards.map(\.deliver))
    }

    private static func figures(_ stage: String, _ histograms: [Histogram]) -> [Statistic] {
        var seen = HistogramSnapshot()
        for histogram in histograms { seen.merge(histogram.snapshot()) }
        return Statistic.stage(stage, seen)
    }
}

/// How long each part of a busy tick takes, in nanoseconds: `receive` (bytes to requests to the log's staging), `append` (writing,
/// starting flushes, dispatching; where the broker is), `deliver` (effects to frames to the driver).
package final class StageTimes {
    let histograms = TickHistograms()
    private var last = Instant(rawValue: 0)

    /// A busy tick's input has been dealt with; it began at `start`.
    func received(since start: Instant, at now: Instant) {
        histograms.receive.record(now.nanoseconds(since: start))
        last = now
    }

    func appended(at now: Instant) {
        histograms.append.record(now.nanoseconds(since: last))
        last = now
    }

    /// A front shard's requests are on their way, which is no stage of its own.
    func posted(at now: Instant) { last = now }

    func delivered(at now: Instant) {
        histograms.deliver.record(now.nanoseconds(since: last))
        last = now
    }
}
