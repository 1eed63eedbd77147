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

/// How long each part of a busy tick takes, of one tick in 100 us at most, in nanoseconds: `receive` (bytes to requests to the log's staging), `append` (writing,
/// starting flushes, dispatching), `deliver` (effects to frames to the driver).
package final class StageTimes {
    let histograms: TickHistograms
    private var last = Instant(rawValue: 0)
    private var next = Instant(rawValue: 0)

    /// Of ticks closer together than this one is timed: over shared memory three readings of the clock are a tenth of a tick.
    private static let interval: UInt64 = 100_000

    init(_ histograms: TickHistograms = TickHistograms()) { self.histograms = histograms }

    /// Whether a tick that begins now is to be timed.
    func isDue(_ start: Instant) -> Bool { start >= next }

    /// A busy tick's input has been dealt with; it began at `start`.
    func received(since start: Instant, at now: Instant) {
        next = start.advanced(byNanoseconds: StageTimes.interval)
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
