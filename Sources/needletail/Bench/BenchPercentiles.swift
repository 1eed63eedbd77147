import Observability

/// The distribution of latencies as HdrHistogram writes it (`outputPercentileDistribution`), which its own plotter reads: microseconds, five
/// lines for each halving of the rest.
struct BenchPercentiles: Sendable {
    private static let linesPerHalving = 5.0
    let histogram: HistogramSnapshot

    /// One point of the distribution: `count` messages, a fraction of all, took at most `value` nanoseconds.
    struct Point: Sendable {
        var value: UInt64
        var fraction: Double
        var count: UInt64
    }

    /// From the least value to the greatest, closer and closer as the rest shrinks.
    var points: [Point] {
        let total = histogram.count
        guard total > 0 else { return [] }
        var points: [Point] = []
        var wanted = 0.0
        var seen: UInt64 = 0
        for (value, count) in histogram.values {
            seen += count
            let fraction = Double(seen) / Double(total)
            while wanted <= fraction, wanted < 1 {
                points.append(Point(value: value, fraction: wanted, count: seen))
                let next = wanted + BenchPercentiles.step(at: wanted)
                // What the numbers cannot tell apart any more is the end.
                wanted = 1 - next < 0.5 / Double(total) ? 1 : next
            }
        }
        points.append(Point(value: histogram.greatest, fraction: 1, count: total))
        return points
    }

    private static func step(at fraction: Double) -> Double {
        var halves = 2.0
        while 1 / (1 - fraction) >= halves { halves *= 2 }
        return 1 / (linesPerHalving * halves)
    }

    var text: String {
        var lines = [pad("Value", 12) + " " + pad("Percentile", 14) + " " + pad("TotalCount", 10) + " " + pad("1/(1-Percentile)", 14), ""]
        for point in points {
            let rest = point.fraction < 1 ? " " + pad(decimal(1 / (1 - point.fraction), 2), 14) : ""
            lines.append(pad(micros(Double(point.value)), 12) + " " + pad(decimal(point.fraction, 12), 14) + " " + pad(String(point.count), 10) + rest)
        }
        let mean = histogram.mean
        let squares = histogram.values.reduce(0.0) { $0 + (Double($1.value) - mean) * (Double($1.value) - mean) * Double($1.count) }
        let deviation = histogram.count == 0 ? 0 : (squares / Double(histogram.count)).squareRoot()
        lines.append("#[Mean    = \(pad(micros(mean), 12)), StdDeviation   = \(pad(micros(deviation), 12))]")
        lines.append("#[Max     = \(pad(micros(Double(histogram.greatest)), 12)), Total count    = \(pad(String(histogram.count), 12))]")
        lines.append("#[Buckets = \(pad("39", 12)), SubBuckets     = \(pad("64", 12))]")
        return lines.joined(separator: "\n") + "\n"
    }

    private func micros(_ nanoseconds: Double) -> String { decimal(nanoseconds / 1_000, 3) }
    private func pad(_ text: String, _ width: Int) -> String { String(repeating: " ", count: max(0, width - text.count)) + text }
}

/// A number with so many digits behind the point.
func decimal(_ value: Double, _ digits: Int) -> String {
    var scale = 1
    for _ in 0..<digits { scale *= 10 }
    let scaled = Int(value * Double(scale) + 0.5)
    let fraction = String(scaled % scale)
    return digits == 0 ? "\(scaled)" : "\(scaled / scale)." + String(repeating: "0", count: digits - fraction.count) + fraction
}
