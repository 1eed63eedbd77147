package import Observability

/// How long messages take, in nanoseconds: `durable` from a publish to its flush, `acknowledge` from a publish to its answer, both by the
/// ticks' instants; `route` what an exchange takes to find its destinations, one publish in `sampling` measured, where there is a stopwatch.
package final class StageHistograms: Sendable {
    static let sampling: UInt64 = 64
    let route = Histogram()
    let durable = Histogram()
    let acknowledge = Histogram()

    /// What several brokers measured, as one.
    package static func statistics(_ brokers: [StageHistograms]) -> [Statistic] {
        Statistic.stage("route", brokers.map(\.route)) + Statistic.stage("durable", brokers.map(\.durable))
            + Statistic.stage("acknowledge", brokers.map(\.acknowledge))
    }
}

extension Statistic {
    /// One stage's quantiles over all of `histograms`.
    package static func stage(_ stage: String, _ histograms: [Histogram]) -> [Statistic] {
        var seen = HistogramSnapshot()
        for histogram in histograms { seen.merge(histogram.snapshot()) }
        return Statistic.stage(stage, seen)
    }

    /// One stage's quantiles in microseconds, as `stats` shows them.
    package static func stage(_ stage: String, _ seen: HistogramSnapshot) -> [Statistic] {
        [("p50", 0.5), ("p99", 0.99), ("p999", 0.999)].map { name, fraction in
            Statistic(name: "needletail_stage_\(stage)_\(name)_microseconds", value: Double(seen.quantile(fraction)) / 1_000)
        } + [Statistic(name: "needletail_stage_\(stage)_total", value: Double(seen.count))]
    }
}
