import Observability

/// Latency against percentile as an SVG: the run, and the limits beside it. Both axes are logarithmic, the percentiles in what is left of
/// all (90 %, 99 %, 99.9 % at equal distances), since the tail is what is looked for.
struct BenchPlot: Sendable {
    private static let (width, height) = (720.0, 360.0)
    private static let (left, right, top, bottom) = (70.0, 20.0, 40.0, 50.0)

    let title: String
    let curves: [(name: String, colour: String, histogram: HistogramSnapshot)]

    var svg: String {
        let all = curves.flatMap { BenchPercentiles(histogram: $0.histogram).points }
        let least = max(1, Double(all.map(\.value).filter { $0 > 0 }.min() ?? 1_000))
        let most = max(least * 10, Double(all.map(\.value).max() ?? 1_000_000))
        let rest = Double(curves.map { $0.histogram.count }.max() ?? 1)
        let (low, high, span) = (Int(log10(least).rounded(.down)), Int(log10(most).rounded(.up)), max(1, log10(max(10, rest))))

        func x(_ fraction: Double) -> Double {
            let nines = fraction < 1 ? min(span, -log10(1 - fraction)) : span
            return BenchPlot.left + nines / span * (BenchPlot.width - BenchPlot.left - BenchPlot.right)
        }
        func y(_ nanoseconds: Double) -> Double {
            let part = (log10(max(least, nanoseconds)) - Double(low)) / Double(max(1, high - low))
            return BenchPlot.height - BenchPlot.bottom - part * (BenchPlot.height - BenchPlot.top - BenchPlot.bottom)
        }

        var lines = [
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 \(Int(BenchPlot.width)) \(Int(BenchPlot.height))\" font-family=\"sans-serif\" font-size=\"12\">",
            "<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>",
            text(title, BenchPlot.left, 22, "start", weight: "bold"),
        ]
        for power in low...high {
            let at = y(pow10(power))
            lines.append(line(BenchPlot.left, at, BenchPlot.width - BenchPlot.right, at, "#e1e4e8"))
            lines.append(text(BenchPlot.duration(power), BenchPlot.left - 8, at + 4, "end"))
        }
        for nines in 0...Int(span) {
            let fraction = 1 - 1 / pow10(nines)
            let at = x(fraction)
            lines.append(line(at, BenchPlot.top, at, BenchPlot.height - BenchPlot.bottom, "#e1e4e8"))
            lines.append(text(nines == 0 ? "0 %" : decimal(fraction * 100, max(0, nines - 2)) + " %", at, BenchPlot.height - BenchPlot.bottom + 18, "middle"))
        }
        for (number, curve) in curves.enumerated() {
            let points = BenchPercentiles(histogram: curve.histogram).points.map { "\(decimal(x($0.fraction), 1)),\(decimal(y(Double($0.value)), 1))" }
            lines.append("<polyline points=\"\(points.joined(separator: " "))\" fill=\"none\" stroke=\"\(curve.colour)\" stroke-width=\"2\"/>")
            let place = BenchPlot.left + Double(number) * 200
            lines.append("<rect x=\"\(Int(place))\" y=\"\(Int(BenchPlot.height) - 18)\" width=\"12\" height=\"12\" fill=\"\(curve.colour)\"/>")
            lines.append(text(curve.name, place + 18, BenchPlot.height - 8, "start"))
        }
        return lines.joined(separator: "\n") + "\n</svg>\n"
    }

    private func line(_ x1: Double, _ y1: Double, _ x2: Double, _ y2: Double, _ colour: String) -> String {
        "<line x1=\"\(decimal(x1, 1))\" y1=\"\(decimal(y1, 1))\" x2=\"\(decimal(x2, 1))\" y2=\"\(decimal(y2, 1))\" stroke=\"\(colour)\"/>"
    }

    private func text(_ text: String, _ x: Double, _ y: Double, _ anchor: String, weight: String = "normal") -> String {
        "<text x=\"\(decimal(x, 1))\" y=\"\(decimal(y, 1))\" text-anchor=\"\(anchor)\" font-weight=\"\(weight)\">\(text)</text>"
    }

    /// A power of ten nanoseconds, as people say it.
    private static func duration(_ power: Int) -> String {
        let units = ["ns", "us", "ms", "s"]
        let unit = min(units.count - 1, max(0, power / 3))
        return "\(Int(pow10(power - unit * 3))) \(units[unit])"
    }
}

private func pow10(_ power: Int) -> Double {
    var value = 1.0
    for _ in 0..<abs(power) { value *= 10 }
    return power < 0 ? 1 / value : value
}

/// By halving: exact enough for a picture, and nothing to import.
private func log10(_ value: Double) -> Double {
    var rest = value
    var whole = 0.0
    while rest >= 10 {
        rest /= 10
        whole += 1
    }
    while rest < 1 {
        rest *= 10
        whole -= 1
    }
    var (fraction, part) = (0.0, 0.5)
    for _ in 0..<24 {
        rest *= rest
        if rest >= 10 {
            rest /= 10
            fraction += part
        }
        part /= 2
    }
    return whole + fraction
}
