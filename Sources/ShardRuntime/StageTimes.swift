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
        Statistic.stage("receive", shards.map(\.receive)) + Statistic.stage("append", shards.map(\.append))
            + Statistic.stage("deliver", shards.map(\.deliver))
    }
}

/// How long each part of a busy tick takes, in nanoseconds: `receive` (bytes to requests to the log's staging), `append` (writing,
/// starting flushes, dispatching), `deliver` (effects to frames to the driver).
package final class StageTimes {
    let histograms: TickHistograms
    private var last = Instant(rawValue: 0)

    init(_ histograms: TickHistograms = TickHistograms()) { self.histograms = histograms }

    /// A busy tick's input has been dealt with; it began at `start`.
    func received(since start: Instant, at now: Instant) {
        histograms.receive.record(now.nanoseconds(since: start))
        last = now
    }

    func appended(at now: Instant) {
        histograms.append.record(now.nanoseconds(since: last))
        last = now
    }

    func delivered(at now: Instant) {
        histograms.deliver.record(now.nanoseconds(since: last))
        last = now
    }
}
