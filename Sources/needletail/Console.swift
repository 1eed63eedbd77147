import Bytes
import LinuxSystem

/// Where a command's words go: results to standard output, complaints to standard error. Colour and width belong to terminals only.
struct Console: Sendable {
    var style = TextStyle.plain
    var errorStyle = TextStyle.plain
    /// Whether a person looks at the output.
    var isTerminal = false
    var errorsAreTerminal = false
    /// nil: everything is dropped (tests).
    fileprivate var output: File?
    fileprivate var errors: File?

    static let none = Console()

    static func standard(environment: [String: String]) -> Console {
        let wantsColour = (environment["NO_COLOR"] ?? "").isEmpty && environment["TERM"] != "dumb"
        func style(_ file: File) -> TextStyle {
            guard Terminal.isTerminal(file) else { return .plain }
            return TextStyle(width: Terminal.size(file)?.columns ?? 80, hasColour: wantsColour)
        }
        return Console(
            style: style(.standardOutput), errorStyle: style(.standardError), isTerminal: Terminal.isTerminal(.standardOutput),
            errorsAreTerminal: Terminal.isTerminal(.standardError), output: .standardOutput,
            errors: .standardError)
    }

    func print(_ text: String, terminator: String = "\n") { write(Array((text + terminator).utf8)) }

    /// Bytes as they are. When nobody reads any more (`| head`), the program ends as others do, without a word.
    func write(_ bytes: [UInt8]) {
        guard let output else { return }
        do {
            try output.write(bytes.rawSpan)
        } catch .brokenPipe {
            Process.exit(.ok)
        } catch {
            complain("cannot write to standard output: \(error)")
            Process.exit(.failure)
        }
    }

    func complain(_ text: String) {
        let bytes = Array((text + "\n").utf8)
        // There is nobody left to tell when standard error fails.
        try? errors?.write(bytes.rawSpan)
    }

    /// Shows `text` in place of the line of the terminal where the last one was shown.
    func overwrite(_ text: String) {
        let bytes = Array("\r\(text)\u{1B}[K".utf8)
        try? errors?.write(bytes.rawSpan)
    }
}
