import NeedletailClient
import Observability

extension Command {
    static let trace = Command(
        path: ["trace"],
        summary: "Follow the next messages of a topic through the broker: where their microseconds go.",
        arguments: [.required("TOPIC", "A topic or queue that somebody publishes to.")],
        options: [
            .value("max", short: "n", "COUNT", .integer(1...1_000_000), "How many messages, one after the other.", fallback: "1"),
            .value("timeout", short: "t", "TIME", .duration, "How long to wait for each, at most a minute.", fallback: "10 s"),
        ] + ClientFlags.common,
        examples: [
            Example("needletail trace orders", "the next message that anybody publishes there"),
            Example("needletail trace orders --max 100 --json", "a hundred, for a program"),
        ],
        notes: [
            "Publishes nothing: it waits for a message of somebody else's. Times begin when the broker has read the message's bytes and end "
                + "when it hands the answer, or the delivery, to the socket; the network and the clients are not in them.",
            "A message that nobody reads within a second of its acknowledgement is shown without its delivery.",
        ],
        run: .inTask { invocation in
            let topic = invocation.argument("TOPIC") ?? ""
            let wait = min(invocation.duration("timeout") ?? .seconds(10), .seconds(60))
            return try await invocation.withClient { client in
                for number in 0..<(invocation.integer("max") ?? 1) {
                    guard !invocation.stop.isSet else { break }
                    if number > 0, !invocation.has("json") { invocation.console.print("") }
                    let figures = TraceFigures(topic, try await client.trace(topic, for: wait))
                    invocation.console.print(invocation.has("json") ? figures.json.description : figures.text(invocation.console.style))
                }
                return .ok
            }
        })
}

/// What the broker tells of one message. A newer one may tell more stages: they are shown as they are called.
struct TraceFigures {
    private let topic: String
    private let figures: [Statistic]
    private static let suffix = "_microseconds"
    /// What came of it: no stages, but sums of them.
    private static let sums = [("acknowledged", "acknowledged after"), ("delivered", "delivered after")]

    init(_ topic: String, _ figures: [Statistic]) {
        self.topic = topic
        self.figures = figures
    }

    private static let meanings = [
        "receive": "from its bytes being there to its turn", "route": "choosing the log", "append": "checking it and writing it to the log",
        "durable": "the flush that its acknowledgement waits for", "acknowledge": "from then to the answer's being sent",
        "deliver": "from then to its being sent to the first reader",
    ]

    private func value(_ name: String) -> Double? { figures.first { $0.name == name }?.value }
    private func whole(_ name: String) -> Int64 { value(name).flatMap { Int64(exactly: $0) } ?? -1 }

    private var stages: [(name: String, microseconds: Double)] {
        figures.compactMap { figure in
            guard figure.name.hasSuffix(TraceFigures.suffix) else { return nil }
            let name = String(figure.name.dropLast(TraceFigures.suffix.count))
            return TraceFigures.sums.contains { $0.0 == name } ? nil : (TerminalText.shown(name), figure.value)
        }
    }

    func text(_ style: TextStyle) -> String {
        let count = whole("messages")
        let what = count == 1 ? "offset \(whole("offset"))" : "offsets \(whole("offset")) to \(whole("offset") + count - 1), one batch"
        var lines = [style.bold("\(TerminalText.shown(topic)), partition \(whole("partition")), \(what)")]
        let shown = stages.map { (name: $0.name, text: TraceFigures.fixed($0.microseconds)) }
        let (names, numbers) = (shown.map(\.name.count).max() ?? 0, shown.map(\.text.count).max() ?? 0)
        for stage in shown {
            let name = stage.name + String(repeating: " ", count: names - stage.name.count)
            let number = String(repeating: " ", count: numbers - stage.text.count) + stage.text
            let meaning = TraceFigures.meanings[stage.name].map { "  " + style.dim($0) } ?? ""
            lines.append("  \(name)  \(number) us\(meaning)")
        }
        var sums = TraceFigures.sums.compactMap { name, text in value(name + TraceFigures.suffix).map { "\(text) \(TraceFigures.fixed($0)) us" } }
        if value("delivered" + TraceFigures.suffix) == nil { sums.append("not delivered to anybody yet") }
        lines.append("  " + sums.joined(separator: ", "))
        return lines.joined(separator: "\n")
    }

    var json: JSON { .object([("topic", .text(topic))] + figures.map { ($0.name, .real($0.value)) }) }

    /// With one decimal.
    private static func fixed(_ value: Double) -> String {
        let tenths = Int64((max(0, min(value, 1e15)) * 10).rounded())
        return "\(tenths / 10).\(tenths % 10)"
    }
}
