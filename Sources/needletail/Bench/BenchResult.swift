import LinuxSystem
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
    /// What the broker held at the end: nil as above.
    var serverMemory: ChildProcess.Memory?
    /// Of the broker; nil: not asked for, or not to be had.
    var serverSystemCalls: Int?
    /// That arrived at consumers, over all of them.
    var delivered: Int
    var lost: Int
    var duplicated: Int
    var outOfOrder: Int
    /// What the machine could do with no broker between, and with the least that a broker does; empty: not measured.
    var echo = HistogramSnapshot()
    var relay = HistogramSnapshot()
    /// Messages of this size a second through the raw echo; nil for the latency workload.
    var echoPerSecond: Double?

    var perSecond: Double { seconds > 0 ? Double(messages) / seconds : 0 }
    var deliveredPerSecond: Double { seconds > 0 ? Double(delivered) / seconds : 0 }
    /// What a second of the broker's is divided by: the payload that was published, or (to many) delivered.
    var serverSecondsPerMillion: Double? { messages > 0 ? serverSeconds.map { $0 * 1e6 / Double(messages) } : nil }
    var serverSecondsPerGigabyte: Double? {
        let bytes = Double(max(messages, delivered)) * Double(settings.size)
        return bytes > 0 ? serverSeconds.map { $0 * 1e9 / bytes } : nil
    }
    private var systemCallsPerMessage: Double? {
        let all = max(messages, delivered)
        return all > 0 ? serverSystemCalls.map { Double($0) / Double(all) } : nil
    }
    /// A backlog's messages waited as long as they did.
    private var hasLatency: Bool { settings.workload != .catchup }
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

    var json: JSON { .object(load + outcome + verdict) }

    private typealias Members = [(String, JSON)]

    private var load: Members {
        [
            ("workload", .text(settings.workload.rawValue)), ("transport", .text(settings.transport.rawValue)),
            ("wait", settings.wait.map { .text($0) } ?? .null), ("spin_us", integer(Int(settings.spinNanoseconds / 1_000))), ("size", integer(settings.size)),
            ("durability", .text(durability)), ("rate", integer(settings.rate)), ("batch", integer(settings.batch)), ("window", integer(settings.window)),
            ("producers", integer(settings.producers)), ("consumers", integer(settings.consumers)),
        ]
    }

    private var outcome: Members {
        let times: Members = [
            ("p50_us", arrival(0.5)), ("p99_us", arrival(0.99)), ("p999_us", arrival(0.999)), ("max_us", arrival(1)), ("ack_p50_us", acknowledgement(0.5)),
            ("ack_p99_us", acknowledgement(0.99)), ("ack_p999_us", acknowledgement(0.999)),
        ]
        let counts: Members = [
            ("messages", integer(messages)), ("seconds", rounded(seconds, 1_000)), ("messages_per_s", integer(Int(perSecond))),
            ("delivered_per_s", integer(Int(deliveredPerSecond))),
        ]
        let costs: Members = [
            ("server_cpu_s_per_m", rounded(serverSecondsPerMillion, 10_000)), ("server_cpu_s_per_gb", rounded(serverSecondsPerGigabyte, 10_000)),
            ("server_system_calls_per_message", rounded(systemCallsPerMessage, 1_000_000)), ("server_resident_bytes", integer(serverMemory?.resident)),
            ("server_anonymous_bytes", integer(serverMemory?.anonymous)),
        ]
        return counts + times + costs
    }

    private var verdict: Members {
        [
            ("lost", integer(lost)), ("duplicated", integer(duplicated)), ("out_of_order", integer(outOfOrder)), ("echo_p50_us", limit(echo, 0.5)),
            ("echo_p99_us", limit(echo, 0.99)), ("echo_p999_us", limit(echo, 0.999)), ("echo_messages_per_s", integer(echoPerSecond.map { Int($0) })),
            ("relay_p50_us", limit(relay, 0.5)), ("relay_p99_us", limit(relay, 0.99)), ("relay_p999_us", limit(relay, 0.999)),
        ]
    }

    /// Beside an open loop of deliveries, acknowledgements are only looked at when the next message is due: no measure.
    private var knowsAcknowledgements: Bool { settings.workload == .ingest || settings.rate == nil }
    private func acknowledgement(_ fraction: Double) -> JSON { knowsAcknowledgements ? micros(acknowledged, fraction) : .null }

    /// Nothing where it was not measured.
    private func limit(_ histogram: HistogramSnapshot, _ fraction: Double) -> JSON { histogram.count > 0 ? micros(histogram, fraction) : .null }

    private func arrival(_ fraction: Double) -> JSON { hasLatency ? micros(latency, fraction) : .null }

    private func micros(_ histogram: HistogramSnapshot, _ fraction: Double) -> JSON {
        rounded(Double(histogram.quantile(fraction)) / 1_000, 10)
    }

    private func integer(_ value: Int?) -> JSON { value.map { .integer(Int64($0)) } ?? .null }
    private func rounded(_ value: Double?, _ steps: Double) -> JSON { value.map { .real(Double(Int64($0 * steps + 0.5)) / steps) } ?? .null }

    // MARK: For people

    func text(_ style: TextStyle) -> String {
        let what = settings.workload == .ingest ? "acknowledged" : "delivered"
        var rows: [(String, String)] = [
            ("workload", "\(settings.workload.rawValue): \(settings.size) B messages, \(shape), durability \(durability), over \(settings.transport.rawValue)"),
            ("messages", "\(messages) in \(decimal(seconds, 2)) s"),
            ("throughput", throughput),
        ]
        if hasLatency { rows.append(("latency", "\(quantiles(latency)) (\(what); from the intended send time)")) }
        if settings.workload != .ingest, knowsAcknowledgements { rows.append(("to the ack", quantiles(acknowledged))) }
        if let perMillion = serverSecondsPerMillion, let perGigabyte = serverSecondsPerGigabyte {
            rows.append(("server CPU", "\(decimal(perMillion, 3)) s for a million messages, \(decimal(perGigabyte, 3)) s for a gigabyte"))
        } else {
            rows.append(("server CPU", "unknown: the broker is not ours"))
        }
        if let memory = serverMemory {
            let megabytes = [memory.resident, memory.anonymous].map { decimal(Double($0) / 1e6, 0) }
            rows.append(("server memory", "\(megabytes[0]) MB resident, \(megabytes[1]) MB of it its own, the rest of files"))
        }
        if let each = systemCallsPerMessage {
            rows.append(("system calls", "\(decimal(each, 4)) of the broker for a message (\(grouped(Double(serverSystemCalls ?? 0))) in all)"))
        }
        let verified = settings.workload == .ingest ? "by offsets and the topic's end" : "every message by its sequence"
        let verdict = "lost \(lost), duplicated \(duplicated), out of order \(outOfOrder)"
        rows.append(("verified", "\(isFaultless ? style.green(verdict) : style.red(verdict)) (\(verified))"))
        if echo.count > 0 { rows.append(("raw TCP echo", quantiles(echo) + (echoPerSecond.map { "; \(grouped($0)) msg/s" } ?? ""))) }
        if relay.count > 0 { rows.append(("relay", quantiles(relay) + " (the least that a broker does)")) }
        return style.columns(rows)
    }

    private var throughput: String {
        let isToMany = settings.workload == .fanout || (settings.workload != .queue && settings.consumers > 1)
        let counted = isToMany ? deliveredPerSecond : perSecond
        let bytes = decimal(counted * Double(settings.size) / 1e6, 1)
        return isToMany
            ? "\(grouped(counted)) msg/s delivered, \(grouped(perSecond)) published, \(bytes) MB/s delivered" : "\(grouped(counted)) msg/s, \(bytes) MB/s"
    }

    private var shape: String {
        if settings.workload == .catchup { return "stored before, read by \(settings.consumers)" }
        let pace = settings.rate.map { "\($0) a second" } ?? "as fast as \(settings.window) batches in flight allow"
        let grouping = settings.batch == 1 ? "one by one" : "\(settings.batch) to a batch"
        return "\(grouping), \(pace), \(settings.producers) to \(settings.consumers)"
    }

    private func quantiles(_ histogram: HistogramSnapshot) -> String {
        [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)].map { "\($0.0) \(decimal(Double(histogram.quantile($0.1)) / 1_000, 1)) us" }.joined(separator: ", ")
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
