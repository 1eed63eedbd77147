/// All metrics of the process by name, made before the shards start and only read afterwards. Each shard makes its own cells, told
/// apart by a label; a reader sees them one by one (Prometheus adds up) or summed by name.
package struct MetricsRegistry: Sendable {
    package typealias Labels = [(name: String, value: String)]

    struct Metric: Sendable {
        enum Cell: Sendable {
            case counter(Counter)
            case gauge(Gauge)
            case histogram(Histogram)
        }
        var name: String
        var help: String
        var labels: Labels
        var cell: Cell
    }

    private(set) var metrics: [Metric] = []

    package init() {}

    /// - Parameter name: after Prometheus's custom: `needletail_published_messages_total`.
    package mutating func counter(_ name: String, _ help: String, labels: Labels = []) -> Counter {
        let counter = Counter()
        add(name, help, labels, .counter(counter))
        return counter
    }

    package mutating func gauge(_ name: String, _ help: String, labels: Labels = []) -> Gauge {
        let gauge = Gauge()
        add(name, help, labels, .gauge(gauge))
        return gauge
    }

    /// - Parameter name: ends in `_seconds`; it records nanoseconds and shows seconds.
    package mutating func histogram(_ name: String, _ help: String, labels: Labels = []) -> Histogram {
        let histogram = Histogram()
        add(name, help, labels, .histogram(histogram))
        return histogram
    }

    private mutating func add(_ name: String, _ help: String, _ labels: Labels, _ cell: Metric.Cell) {
        precondition(name.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_") }, "a metric's name")
        metrics.append(Metric(name: name, help: help, labels: labels, cell: cell))
    }

    /// One figure per name, cells of all labels summed; histograms as count, p50, p99, p99.9 and maximum.
    package func summary() -> [(name: String, value: Double)] {
        var names: [String] = []
        for metric in metrics where !names.contains(metric.name) { names.append(metric.name) }
        return names.flatMap { name in figures(name, metrics.filter { $0.name == name }) }
    }

    private func figures(_ name: String, _ metrics: [Metric]) -> [(name: String, value: Double)] {
        var sum = 0.0
        var merged: HistogramSnapshot?
        for metric in metrics {
            switch metric.cell {
            case .counter(let counter): sum += Double(counter.value)
            case .gauge(let gauge): sum += Double(gauge.value)
            case .histogram(let histogram):
                var all = merged ?? HistogramSnapshot()
                all.merge(histogram.snapshot())
                merged = all
            }
        }
        guard let merged else { return [(name, sum)] }
        let seconds = { (nanoseconds: UInt64) in Double(nanoseconds) / 1e9 }
        return [
            (name + "_count", Double(merged.count)), (name + "_p50", seconds(merged.quantile(0.5))), (name + "_p99", seconds(merged.quantile(0.99))),
            (name + "_p999", seconds(merged.quantile(0.999))), (name + "_max", seconds(merged.greatest)),
        ]
    }
}
