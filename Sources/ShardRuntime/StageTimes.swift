import BrokerCore
import Observability
import SegmentLog

/// How long each part of a busy tick takes, in nanoseconds: `receive` (bytes to requests to the log's staging), `append` (writing,
/// starting flushes, dispatching), `deliver` (effects to frames to the driver).
package final class StageTimes {
    private let receive = Histogram()
    private let append = Histogram()
    private let deliver = Histogram()
    private var last = Instant(rawValue: 0)

    /// A busy tick's input has been dealt with; it began at `start`.
    func received(since start: Instant, at now: Instant) {
        receive.record(now.nanoseconds(since: start))
        last = now
    }

    func appended(at now: Instant) {
        append.record(now.nanoseconds(since: last))
        last = now
    }

    func delivered(at now: Instant) {
        deliver.record(now.nanoseconds(since: last))
        last = now
    }

    func statistics() -> [Statistic] { StageTimes.figures("receive", receive) + StageTimes.figures("append", append) + StageTimes.figures("deliver", deliver) }

    /// One stage's quantiles in microseconds, as `stats` shows them.
    static func figures(_ stage: String, _ histogram: Histogram) -> [Statistic] { Statistic.stage(stage, histogram) }
}
