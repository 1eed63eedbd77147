/// Prometheus's text exposition format 0.0.4.
extension MetricsRegistry {
    package func prometheusText() -> String {
        var text = ""
        var described: Set<String> = []
        for metric in metrics.enumerated().sorted(by: { ($0.element.name, $0.offset) < ($1.element.name, $1.offset) }).map(\.element) {
            if described.insert(metric.name).inserted {
                text += "# HELP \(metric.name) \(escaped(metric.help, quotes: false))\n# TYPE \(metric.name) \(metric.cell.kind)\n"
            }
            let labels = metric.labels.map { "\($0.name)=\"\(escaped($0.value, quotes: true))\"" }
            switch metric.cell {
            case .counter(let counter): text += line(metric.name, labels, "\(counter.value)")
            case .gauge(let gauge): text += line(metric.name, labels, "\(gauge.value)")
            case .histogram(let histogram): text += lines(metric.name, labels, histogram.snapshot())
            }
        }
        return text
    }

    /// A summary, not a histogram: quantiles of 64 cells a power of two are finer than buckets anybody would want to store.
    private func lines(_ name: String, _ labels: [String], _ snapshot: HistogramSnapshot) -> String {
        var text = ""
        for fraction in [0.5, 0.9, 0.99, 0.999, 0.9999] {
            text += line(name, labels + ["quantile=\"\(fraction)\""], "\(Double(snapshot.quantile(fraction)) / 1e9)")
        }
        return text + line(name + "_sum", labels, "\(Double(snapshot.sum) / 1e9)") + line(name + "_count", labels, "\(snapshot.count)")
    }

    private func line(_ name: String, _ labels: [String], _ value: String) -> String {
        labels.isEmpty ? "\(name) \(value)\n" : "\(name){\(labels.joined(separator: ","))} \(value)\n"
    }

    private func escaped(_ text: String, quotes: Bool) -> String {
        var result = ""
        for character in text.unicodeScalars {
            switch character {
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\"" where quotes: result += "\\\""
            default: result.unicodeScalars.append(character)
            }
        }
        return result
    }
}

extension MetricsRegistry.Metric.Cell {
    fileprivate var kind: String {
        switch self {
        case .counter: "counter"
        case .gauge: "gauge"
        case .histogram: "summary"
        }
    }
}
