import LinuxSystem
import NeedletailClient
import Observability

extension Command {
    static let stats = Command(
        path: ["stats"],
        summary: "Show what the broker does: live on a terminal, one snapshot when piped.",
        options: [
            .value("interval", short: "i", "TIME", .duration, "How often to look.", fallback: "1 s"), .flag("once", "One snapshot on a terminal too."),
            .flag("all", short: "a", "Figures that are zero too."),
        ] + ClientFlags.common,
        examples: [
            Example("needletail stats", "like top; Ctrl-C ends"), Example("needletail stats --json | tail -1", "all figures as one object"),
        ],
        notes: ["Figures that end in _total only grow; beside them stands how fast."],
        run: .inTask { invocation in
            let isLive = invocation.console.isTerminal && !invocation.has("json") && !invocation.has("once")
            let interval = max(invocation.duration("interval") ?? .seconds(1), .milliseconds(100))
            return try await invocation.withClient(giveUpAfter: isLive ? nil : .seconds(10)) { client in
                if isLive { return try await StatsScreen(invocation, client).run(every: interval) }
                let figures = try await client.statistics()
                if invocation.has("json") {
                    invocation.console.print(JSON.object(figures.map { ($0.name, .real($0.value)) }).description)
                } else {
                    let rows = StatsRow.rows(figures, before: nil, showsZero: invocation.has("all"))
                    invocation.console.print(StatsRow.table(rows, hasRates: false).text(invocation.console.style), terminator: "")
                }
                return .ok
            }
        })
}

/// One line: a figure, and how fast it grows.
struct StatsRow: Equatable {
    var name: String
    var value: Double
    var perSecond: Double?

    /// - Parameter before: an earlier snapshot and how long ago it was taken.
    static func rows(_ figures: [Statistic], before: (figures: [Statistic], seconds: Double)?, showsZero: Bool) -> [StatsRow] {
        let earlier = Dictionary((before?.figures ?? []).map { ($0.name, $0.value) }, uniquingKeysWith: { $1 })
        return figures.compactMap { figure in
            guard showsZero || figure.value != 0 else { return nil }
            var rate: Double?
            if let before, before.seconds > 0, figure.name.hasSuffix("_total"), let old = earlier[figure.name] {
                // A smaller total is a broker that was started anew.
                rate = figure.value >= old ? (figure.value - old) / before.seconds : nil
            }
            let prefix = "needletail_"
            let name = figure.name.hasPrefix(prefix) ? String(figure.name.dropFirst(prefix.count)) : figure.name
            return StatsRow(name: TerminalText.shown(name), value: figure.value, perSecond: rate)
        }
    }

    static func table(_ rows: [StatsRow], hasRates: Bool) -> TextTable {
        var table = TextTable(hasRates ? ["FIGURE", "VALUE", "PER SECOND"] : ["FIGURE", "VALUE"])
        for row in rows { table.add([row.name, text(row.name, row.value)] + (hasRates ? [row.perSecond.map { text("", $0.rounded()) } ?? ""] : [])) }
        return table
    }

    private static func text(_ name: String, _ value: Double) -> String {
        if name.contains("bytes"), let whole = Int64(exactly: value) { return Figures.bytes(whole) }
        if let whole = Int64(exactly: value) { return Figures.count(whole) }
        return Figures.decimal(value)
    }
}

/// The live view. It fills the terminal as it is at each look.
private struct StatsScreen {
    let invocation: Invocation
    let client: Client

    init(_ invocation: Invocation, _ client: Client) {
        self.invocation = invocation
        self.client = client
    }

    func run(every interval: Duration) async throws -> ExitCode {
        let console = invocation.console
        // The other screen, without a cursor; both are given back at the end.
        console.print("\u{1B}[?1049h\u{1B}[?25l", terminator: "")
        defer { console.print("\u{1B}[?25h\u{1B}[?1049l", terminator: "") }
        var before: (figures: [Statistic], at: UInt64)?
        while !invocation.stop.isSet {
            do {
                let figures = try await client.statistics()
                let now = Clock.monotonic
                let earlier = before.map { (figures: $0.figures, seconds: Double(now - $0.at) / 1e9) }
                show(StatsRow.rows(figures, before: earlier, showsZero: invocation.has("all")))
                before = (figures, now)
            } catch ClientError.refused(let refusal) {
                throw ClientError.refused(refusal)
            } catch ClientError.cancelled {
                return .ok
            } catch {
                // The client connects again by itself.
                console.print("\u{1B}[H\u{1B}[2J\(invocation.server): \(error)")
                before = nil
            }
            await pause(interval)
        }
        return .ok
    }

    private func show(_ rows: [StatsRow]) {
        let console = invocation.console
        let height = Terminal.size(.standardOutput)?.rows ?? 24
        let server = client.server
        let title = "\(server?.name ?? "needletail") \(server?.version ?? "") at \(invocation.server)   \(UTCTime(milliseconds: Clock.realtimeMilliseconds))"
        // What moves comes first, so that a small window shows it.
        let sorted = rows.filter { ($0.perSecond ?? 0) > 0 } + rows.filter { ($0.perSecond ?? 0) <= 0 }
        let table = StatsRow.table(Array(sorted.prefix(max(1, height - 4))), hasRates: true)
        console.print("\u{1B}[H\u{1B}[J\(console.style.bold(TerminalText.shown(title)))\n\n\(table.text(console.style))", terminator: "")
    }

    /// In steps, so that the user's wish to stop is heard at once.
    private func pause(_ interval: Duration) async {
        var left = interval
        while left > .zero, !invocation.stop.isSet {
            let step = min(left, .milliseconds(100))
            try? await Task.sleep(for: step)
            left -= step
        }
    }
}
