import NativeCodec
import Observability

/// What a run has shown.
struct BenchResult: Sendable {
    var settings: BenchSettings
    var messages: Int
    var seconds: Double
    /// From the intended send time: to the acknowledgement (ingest), or to the arrival at a consumer.
    var latency: HistogramSnapshot
    var acknowledged: HistogramSnapshot
    /// nil: the broker is not ours, or not on this machine.
    var serverSeconds: Double?
    var lost: Int
    var duplicated: Int
    var outOfOrder: Int
    var echo: HistogramSnapshot
    /// Messages of this size a second through the raw echo; nil for the latency workload.
    var echoPerSecond: Double?

    var perSecond: Double { seconds > 0 ? Double(messages) / seconds : 0 }
    var serverSecondsPerMillion: Double? { messages > 0 ? serverSeconds.map { $0 * 1e6 / Double(messages) } : nil }
    /// Whether every message arrived exactly once and in order.
    var isFaultless: Bool { lost == 0 && duplicated == 0 && outOfOrder == 0 }

    var durability: String {
        switch settings.durability {
        case .none: "none"
        case .interval: "interval"
        case .group: "group"
        case .each: "each"
        }
    }

    var json: JSON {
        .object([
            ("workload", .text(settings.workload.rawValue)), ("size", .integer(Int64(settings.size))), ("durability", .text(durability)),
            ("rate", settings.rate.map { .integer(Int64($0)) } ?? .null), ("batch", .integer(Int64(settings.batch))),
            ("window", .integer(Int64(settings.window))), ("producers", .integer(Int64(settings.producers))),
            ("consumers", .integer(Int64(settings.consumers))), ("messages", .integer(Int64(messages))), ("seconds", BenchResult.rounded(seconds, 1_000)),
            ("messages_per_s", .integer(Int64(perSecond))), ("p50_us", micros(latency, 0.5)), ("p99_us", micros(latency, 0.99)),
            ("p999_us", micros(latency, 0.999)), ("max_us", micros(latency, 1)), ("ack_p50_us", acknowledgement(0.5)),
            ("ack_p99_us", acknowledgement(0.99)), ("ack_p999_us", acknowledgement(0.999)),
            ("server_cpu_s_per_m", serverSecondsPerMillion.map { BenchResult.rounded($0, 10_000) } ?? .null), ("lost", .integer(Int64(lost))),
            ("duplicated", .integer(Int64(duplicated))), ("out_of_order", .integer(Int64(outOfOrder))), ("echo_p50_us", micros(echo, 0.5)),
            ("echo_p99_us", micros(echo, 0.99)), ("echo_p999_us", micros(echo, 0.999)),
            ("echo_messages_per_s", echoPerSecond.map { .integer(Int64($0)) } ?? .null),
        ])
    }

    /// Beside an open loop of deliveries, acknowledgements are only looked at when the next message is due: no measure.
    private var knowsAcknowledgements: Bool { settings.workload == .ingest || settings.rate == nil }
    private func acknowledgement(_ fraction: Double) -> JSON { knowsAcknowledgements ? micros(acknowledged, fraction) : .null }

    private func micros(_ histogram: HistogramSnapshot, _ fraction: Double) -> JSON {
        BenchResult.rounded(Double(histogram.quantile(fraction)) / 1_000, 10)
    }

    private static func rounded(_ value: Double, _ steps: Double) -> JSON { .real(Double(Int64(value * steps + 0.5)) / steps) }

    // MARK: For people

    func text(_ style: TextStyle) -> String {
        let what = settings.workload == .ingest ? "acknowledged" : "delivered"
        var rows: [(String, String)] = [
            ("workload", "\(settings.workload.rawValue): \(settings.size) B messages, \(load), durability \(durability)"),
            ("messages", "\(messages) in \(decimal(seconds, 2)) s"),
            ("throughput", "\(grouped(perSecond)) msg/s, \(decimal(perSecond * Double(settings.size) / 1e6, 1)) MB/s"),
            ("latency", "\(quantiles(latency)) (\(what); from the intended send time)"),
        ]
        if settings.workload != .ingest, knowsAcknowledgements { rows.append(("to the ack", quantiles(acknowledged))) }
        rows.append(("server CPU", serverSecondsPerMillion.map { "\(decimal($0, 3)) s for a million messages" } ?? "unknown: the broker is not ours"))
        let verified = settings.workload == .ingest ? "by offsets and the topic's end" : "every message by its sequence"
        let verdict = "lost \(lost), duplicated \(duplicated), out of order \(outOfOrder)"
        rows.append(("verified", "\(isFaultless ? style.green(verdict) : style.red(verdict)) (\(verified))"))
        rows.append(("raw TCP echo", quantiles(echo) + (echoPerSecond.map { "; \(grouped($0)) msg/s" } ?? "")))
        return style.columns(rows)
    }

    private var load: String {
        let pace = settings.rate.map { "\($0) a second" } ?? "as fast as \(settings.window) batches in flight allow"
        let shape = settings.batch == 1 ? "one by one" : "\(settings.batch) to a batch"
        return "\(shape), \(pace), \(settings.producers) to \(settings.consumers)"
    }

    private func quantiles(_ histogram: HistogramSnapshot) -> String {
        [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)].map { "\($0.0) \(decimal(Double(histogram.quantile($0.1)) / 1_000, 1)) us" }.joined(separator: ", ")
    }

    private func decimal(_ value: Double, _ digits: Int) -> String {
        var scale = 1
        for _ in 0..<digits { scale *= 10 }
        let scaled = Int(value * Double(scale) + 0.5)
        let fraction = String(scaled % scale)
        return "\(scaled / scale)." + String(repeating: "0", count: digits - fraction.count) + fraction
    }

    private func grouped(_ value: Double) -> String {
        let digits = String(Int(value))
        return String(
            digits.enumerated().reduce(into: "") { text, digit in
                if digit.offset > 0, (digits.count - digit.offset) % 3 == 0 { text += "," }
                text.append(digit.element)
            })
    }
}
