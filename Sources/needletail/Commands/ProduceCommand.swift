import ConfigFile
import LinuxSystem
import NeedletailClient
import Observability

extension Command {
    static let produce = Command(
        path: ["produce"],
        summary: "Publish messages to a topic: each line of standard input, or of files, as it is.",
        arguments: [.required("TOPIC", "Where to."), .repeated("FILE", "Files to read instead of standard input; - is standard input.", .file)],
        options: [
            .value("follow", "FILE", .file, "Publish a file that grows, line by line, as tail -F does: rotated and truncated files too."),
            .value("resume", "FILE", .file, "With --follow: keep how far was acknowledged in this file, and go on from there the next time."),
            .flag("whole", "Each file is one message."), ClientFlags.key, ClientFlags.header, ClientFlags.durability,
            .value("batch", "SIZE", .size, "A batch of this size is sent.", fallback: "64 KiB"),
            .value("linger", "TIME", .duration, "How long a message waits for company in a batch.", fallback: "0 s"),
            .value("partition", short: "p", "NUMBER", .integer(0...Int(Int32.max)), "Publish to this partition."),
            .flag("exchange", "TOPIC names an exchange."), .value("routing-key", "KEY", .text, "What the exchange's bindings are matched with."),
            .flag("create", "Create the topic when it is missing."),
        ] + ClientFlags.common,
        examples: [
            Example("echo hello | needletail produce greetings --create", "one message"),
            Example("needletail produce logs --follow /var/log/dpkg.log --resume /var/tmp/dpkg.place", "ship a log, and go on after a restart"),
            Example("needletail produce orders --exchange --routing-key order.placed.eu order.json --whole", "one file through an exchange"),
        ],
        notes: [
            "Says at the end how many messages were acknowledged. What was not acknowledged when the connection broke is sent again, and stored once.",
            "SIGINT and SIGTERM end it in order: what was read is sent and acknowledged first, for at most 5 seconds.",
        ],
        run: .inTask { invocation in
            let topic = invocation.argument("TOPIC") ?? ""
            let files = invocation.arguments("FILE")
            if let followed = invocation.text("follow") {
                guard files.isEmpty, !invocation.has("whole") else { throw CommandFailure(.usage, "--follow takes no other files and no --whole") }
                let resume = invocation.text("resume").map { ResumeFile(path: $0) }
                return try await Publishing(invocation, topic: topic, resume: resume).run(.follow(followed, from: try resume?.read()))
            }
            guard invocation.text("resume") == nil else { throw CommandFailure(.usage, "--resume belongs to --follow") }
            if files.isEmpty, Terminal.isTerminal(.standardInput) { invocation.console.complain("reading lines from the terminal; Ctrl-D ends") }
            let sources = files.isEmpty ? ["-"] : files
            return try await Publishing(invocation, topic: topic).run(invocation.has("whole") ? .files(sources) : .lines(of: sources))
        })
}

/// How far a followed file was acknowledged, kept across runs.
struct ResumeFile: Sendable {
    let path: String

    /// nil when there is none yet.
    func read() throws(CommandFailure) -> FileFollower.Place? {
        guard FileSystem.exists(path) else { return nil }
        guard let text = try? TextFile.read(path, most: 1_024) else { throw CommandFailure(.failure, "cannot read \(quoted(path))") }
        let numbers = text.split(whereSeparator: { $0 == " " || $0 == "\n" }).map { UInt64($0) }
        guard numbers.count == 3, let device = numbers[0], let inode = numbers[1], let position = numbers[2], position < 1 << 62 else {
            throw CommandFailure(.failure, "\(quoted(path)) does not say how far a file was read; remove it to begin anew")
        }
        return FileFollower.Place(device: device, inode: inode, position: Int(position))
    }

    /// Replaces the file at once, so that a kill leaves the old or the new one.
    func write(_ place: FileFollower.Place) throws(CommandFailure) {
        do { try TextFile.replace(path, with: "\(place.device) \(place.inode) \(place.position)\n") } catch {
            throw CommandFailure(.failure, "cannot write \(quoted(path)): \(error)")
        }
    }
}
