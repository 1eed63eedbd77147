import LinuxSystem
import Observability
import ShardRuntime

extension Command {
    static let doctor = Command(
        path: ["doctor"],
        summary: "Say what this machine offers the broker, what will be used, and why.",
        options: ServerOptions.all + [.flag("json", short: "j", "Print JSON, one object a line.")],
        examples: [
            Example("needletail doctor", "before the first start, or when it is slower than expected"),
            Example("needletail doctor --data /srv/needletail --driver epoll", "of another disk and driver"),
        ],
        notes: [
            "Changes nothing. Ends with 1 when something needs the operator's attention (marked !!). What is marked + could be better, if it matters: see docs/tuning.md."
        ],
        run: .onMainThread { invocation in
            let config = try ServerOptions.config(try ServerOptions.document(invocation), invocation)
            var settings = config.tuning(cores: LinuxSystem.Thread.coreCount)
            // Before the first start, and for strangers, there are none.
            settings.logs = (try? FileSystem.list(config.dataDirectory + "/logs"))?.count ?? 0
            let diagnosis = Diagnosis(dataDirectory: config.dataDirectory, settings: settings)
            if invocation.has("json") {
                for section in diagnosis.sections {
                    for row in section.rows { invocation.console.print(JSON.object(row.json(in: section.title)).description) }
                }
            } else {
                invocation.console.print(diagnosis.text(invocation.console.style), terminator: "")
            }
            return diagnosis.warnings.isEmpty ? .ok : .failure
        })
}

extension Diagnosis {
    fileprivate func text(_ style: TextStyle) -> String {
        let nameWidth = rows.map(\.name.count).max() ?? 0
        var text = ""
        for section in sections {
            text += style.heading(section.title)
            for row in section.rows {
                let name = row.name + String(repeating: " ", count: nameWidth - row.name.count)
                text += "  \(row.verdict.mark(style)) \(name)  \(row.value)" + (row.note.isEmpty ? "" : style.dim(" – \(row.note)")) + "\n"
            }
            text += "\n"
        }
        let count = warnings.count
        return text + (count == 0 ? style.green("Nothing needs attention.") : style.red("\(count) of these need attention: see above, marked !!.")) + "\n"
    }
}

extension Diagnosis.Verdict {
    fileprivate func mark(_ style: TextStyle) -> String {
        switch self {
        case .good: style.green("ok")
        case .fallback: style.yellow("~ ")
        case .hint: style.yellow("+ ")
        case .warning: style.red("!!")
        }
    }
}

extension Diagnosis.Row {
    fileprivate func json(in section: String) -> [(String, JSON)] {
        [("section", .text(section)), ("name", .text(name)), ("value", .text(value)), ("verdict", .text(verdict.rawValue)), ("note", .text(note))]
    }
}
