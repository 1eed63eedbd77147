import LinuxSystem
import Observability
import SegmentLog
import ShardRuntime

/// `needletail log …`: reads segment files without a broker, and never changes one.
extension Command {
    static let logDump = Command(
        path: ["log", "dump"],
        summary: "Print the record batches of segment files, ours or Kafka's.",
        arguments: [.repeated("FILE", "Segment files: 00000000000000000000.log.", .file, isRequired: true)],
        options: [
            .flag("records", short: "r", "Print each record too."), .flag("json", short: "j", "Print JSON, one object a batch (with --records: a record)."),
        ],
        examples: [
            Example("needletail log dump /var/lib/needletail/logs/1-0/00000000000000000000.log", "one line for each batch"),
            Example("needletail log dump --records --json 00000000000000000000.log", "everything in it, for other programs"),
        ],
        notes: ["Ends with 5 when a checksum does not hold or the batches end in something that is none."],
        run: .onMainThread { invocation in
            let storage = try LinuxStorage()
            var code = ExitCode.ok
            for path in invocation.arguments("FILE") {
                let dump = SegmentDump(invocation, path)
                if try !dump.run(storage) { code = .damaged }
            }
            return code
        })

    static let logVerify = Command(
        path: ["log", "verify"],
        summary: "Check logs: every batch, the order of offsets, indexes and checkpoints.",
        arguments: [.repeated("DIR", "Directories of logs, or a data directory with all of them.", .directory, isRequired: true)],
        options: [.flag("json", short: "j", "Print JSON, one object a log.")],
        examples: [
            Example("needletail log verify /var/lib/needletail", "all logs; the broker should not be running"),
            Example("needletail log verify /var/lib/needletail/logs/1-0", "one log"),
        ],
        notes: ["Ends with 5 when stored batches are lost or altered. A torn tail behind the durable watermark is only a note: opening the log cuts it."],
        run: .onMainThread { invocation in
            let storage = try LinuxStorage()
            var code = ExitCode.ok
            var table = TextTable(["LOG", "SEGMENTS", "BATCHES", "RECORDS", "SIZE", "FROM", "TO", "STATE"])
            var objects: [[(String, JSON)]] = []
            var findings: [String] = []
            for directory in try invocation.arguments("DIR").flatMap(logDirectories) {
                let verified = try LogVerification(directory: directory, storage: storage)
                if !verified.isSound { code = .damaged }
                findings += verified.findings.map { "\(directory): \($0)" }
                table.add(verified.row)
                objects.append(verified.json)
            }
            invocation.reportLogs(table, objects)
            if !invocation.has("json"), !findings.isEmpty { invocation.console.print("\n" + findings.joined(separator: "\n")) }
            return code
        })
}

/// The logs that a directory stands for: itself, or, of a data directory, the broker's own (`__catalog`) and all below `logs`.
private func logDirectories(_ path: String) throws -> [String] {
    func list(_ path: String) throws -> [FileSystem.Entry] {
        do { return try FileSystem.list(path) } catch { throw CommandFailure(.failure, "cannot read \(path): \(error)") }
    }
    func isLog(_ path: String) throws -> Bool { try list(path).contains { $0.name.hasSuffix(".log") && !$0.isDirectory } }
    if try isLog(path) { return [path] }
    var found: [String] = []
    for entry in try list(path) where entry.isDirectory {
        let below = "\(path)/\(entry.name)"
        found += entry.name == "logs" ? try list(below).filter(\.isDirectory).map { "\(below)/\($0.name)" } : [below]
    }
    let logs = try found.filter(isLog).sorted()
    if logs.isEmpty { throw CommandFailure(.failure, "\(path) holds no logs: name a data directory, or a directory with .log files") }
    return logs
}

extension Invocation {
    /// As for client commands, for those that have no `--server`.
    fileprivate func reportLogs(_ table: TextTable, _ objects: [[(String, JSON)]]) {
        if has("json") {
            for object in objects { console.print(JSON.object(object).description) }
        } else {
            console.print(table.text(console.style), terminator: "")
        }
    }
}

extension LogVerification {
    fileprivate var row: [String] {
        let records = segments.reduce(Int64(0)) { $0 + $1.records }
        let bytes = segments.reduce(0) { $0 + $1.bytes }
        let batches = segments.reduce(0) { $0 + $1.batches }
        return [
            directory.split(separator: "/").last.map(String.init) ?? directory, String(segments.count), Figures.count(Int64(batches)), Figures.count(records),
            Figures.bytes(Int64(bytes)), segments.first.map { "\($0.first)" } ?? "-", segments.last.map { "\($0.next)" } ?? "-",
            isSound ? findings.isEmpty ? "sound" : "sound, with notes" : "DAMAGED",
        ]
    }

    fileprivate var json: [(String, JSON)] {
        let found = findings.map { finding in
            JSON.object([
                ("weight", .text(finding.weight.rawValue)), ("file", .text(finding.file)), ("position", .integer(Int64(finding.position))),
                ("text", .text(finding.text)),
            ])
        }
        let parts = segments.map { segment in
            JSON.object([
                ("file", .text(segment.name)), ("bytes", .integer(Int64(segment.bytes))), ("batches", .integer(Int64(segment.batches))),
                ("records", .integer(segment.records)), ("first", .integer(segment.first.rawValue)), ("next", .integer(segment.next.rawValue)),
            ])
        }
        return [
            ("log", .text(directory)), ("sound", .flag(isSound)), ("durable", .optional(checkpoint.map { $0.durable.rawValue })), ("segments", .list(parts)),
            ("findings", .list(found)),
        ]
    }
}
