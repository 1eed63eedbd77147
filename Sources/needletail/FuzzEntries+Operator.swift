import Bytes
import ConfigFile
import NeedletailClient
import Observability
import SegmentLog
import Synchronization

// What an operator gives to the program: its configuration, its command line, the files that it is to look at and the lines that it is
// to publish.

/// A configuration file. What `config print` makes of a sound one must be read as the same.
func fuzzConfiguration(_ bytes: RawSpan) {
    let document = ConfigDocument([UInt8](bytes), path: "fuzz.yaml")
    do throws(ConfigError) {
        let config = try ServerConfig(document)
        let printed = ServerConfig.yaml(document.root)
        do throws(ConfigError) {
            let again = try ServerConfig(ConfigDocument(Array(printed.utf8), path: "printed.yaml"))
            let (before, after) = (config.effective.map { "\($0.path)=\($0.text)" }, again.effective.map { "\($0.path)=\($0.text)" })
            precondition(before == after, "what is printed says something else")
        } catch { preconditionFailure("what is printed cannot be read: \(error)") }
    } catch { precondition(!error.description.isEmpty) }
}

/// The text alone, made into nodes, and each of its values read as all that a value can be.
func fuzzConfigurationText(_ bytes: RawSpan) {
    let tree = YAMLTree([UInt8](bytes), path: "fuzz.yaml")
    precondition(tree.faults.allSatisfy { !$0.problem.isEmpty })
    readValues(tree.root)
}

private func readValues(_ node: YAMLNode) {
    switch node.content {
    case .null: break
    case .scalar(let text):
        if let size = ByteCount(text) { precondition(ByteCount(size.description) == size, "a size changes by being printed and read") }
        if let time = Duration(text: text) { precondition(Duration(text: time.text) == time, "a time changes by being printed and read") }
    case .list(let nodes): for node in nodes { readValues(node) }
    case .mapping(let entries): for entry in entries { readValues(entry.value) }
    }
}

/// Words of a command line, a line each; those with `=` before the first other word are the environment. What is understood is asked
/// for every value, as commands do.
func fuzzCommandLine(_ bytes: RawSpan) {
    var words = [UInt8](bytes).split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).prefix(64).map { String(decoding: $0, as: UTF8.self) }
    var environment: [String: String] = [:]
    while let word = words.first, let sign = word.firstIndex(of: "="), !word.hasPrefix("-") {
        environment[String(word[..<sign])] = String(word[word.index(after: sign)...])
        words.removeFirst()
    }
    do throws(UsageError) {
        guard case .run(let command, let values, let rest) = try CommandList.needletail.parse(words, environment: environment) else { return }
        let invocation = Invocation(command, values: values, words: rest, environment: environment)
        for option in command.options {
            _ = invocation.has(option.name)
            _ = (invocation.integer(option.name), invocation.size(option.name), invocation.duration(option.name), invocation.pairs(option.name))
        }
        for argument in command.arguments { _ = invocation.arguments(argument.name) }
    } catch { precondition(!error.message.isEmpty) }
}

/// A segment file, printed in each of the ways that `needletail log dump` has.
func fuzzLogDump(_ bytes: RawSpan) { dump(bytes, in: dumpForms) }

/// The same in one of them, chosen by the last byte.
func fuzzLogDumpForm(_ bytes: RawSpan) {
    let choice = bytes.byteCount == 0 ? 0 : [UInt8](bytes.extracting(last: 1))[0]
    dump(bytes, in: [dumpForms[Int(choice >> 1) % dumpForms.count]])
}

private let dumpForms: [[String: [String]]] = [[:], ["records": [""]], ["json": [""]], ["records": [""], "json": [""]]]

private func dump(_ bytes: RawSpan, in forms: [[String: [String]]]) {
    var content = [UInt8](bytes)
    if let choice = content.popLast(), choice & 1 == 1, let batch = batchWithItsChecksum(content) { content = batch }
    dumped.withLock { storage in
        do {
            try storage.overwrite(dumpedPath, content)
            for values in forms {
                let invocation = Invocation(.logDump, values: values, words: [dumpedPath])
                _ = try SegmentDump(invocation, dumpedPath).run(storage)
            }
            precondition(storage.openCount == 0, "files stay open")
        } catch { preconditionFailure("a file in memory cannot be read: \(error)") }
    }
}

private let dumpedPath = "logs/00000000000000000000.log"

/// The file is written over for each input: pages asked of the kernel for each took half of the time.
private let dumped = Mutex<MemoryStorage>(
    {
        let storage = MemoryStorage(isVolatile: false)
        do {
            try storage.makeDirectory("logs")
            try storage.create(dumpedPath, [], syncs: false)
        } catch { preconditionFailure("a file in memory cannot be made: \(error)") }
        return storage
    }())

extension MemoryStorage {
    fileprivate func overwrite(_ path: String, _ content: [UInt8]) throws(StorageError) {
        let file = try open(path, .readWrite)
        try truncate(file, to: 0)
        try write(file, content)
        try close(file)
    }
}

/// Lines to be published, however they are cut: the same lines; what a person is shown of them moves no cursor.
func fuzzLines(_ bytes: RawSpan) {
    let content = [UInt8](bytes)
    var whole = LineSplitter()
    var expected = whole.lines(of: content)
    if let last = whole.finish() { expected.append(last) }
    var bytewise = LineSplitter()
    var found: [[UInt8]] = []
    for byte in content { found += bytewise.lines(of: [byte]) }
    if let last = bytewise.finish() { found.append(last) }
    precondition(found == expected, "lines depend on how they arrive")
    for line in expected {
        for scalar in TerminalText.shown(line).unicodeScalars { precondition(scalar == "\t" || scalar.value >= 0x20 && scalar.value != 0x7f) }
        _ = TerminalText.json("payload", line).1.description
    }
    _ = MessageFormat.unescaped(String(decoding: content, as: UTF8.self))
    _ = try? StartPosition(text: String(decoding: content, as: UTF8.self))
}
