internal import Synchronization

/// Where log lines go: one for the process, used from every thread. Not for the data path (it takes a lock); a peer cannot fill a
/// disk through it, because each kind of event may write so many lines in a while and then only counts what it leaves out.
package final class LogWriter: Sendable {
    package struct Options: Equatable, Sendable {
        package var level = LogLine.Level.info
        package var format = LogLine.Format.logfmt
        /// The `<N>` that systemd's journal reads; for when standard error is the journal.
        package var priorityPrefix = false
        /// Lines of one kind in one window.
        package var burst = 20
        package var windowMilliseconds: Int64 = 10_000
        package init() {}
    }

    private struct Window {
        var start: Int64
        var written = 0
        var suppressed: UInt64 = 0
        var level: LogLine.Level
        var event: StaticString
    }

    private struct State {
        var options: Options
        /// By kind. There are as many as there are words for events in the program.
        var windows: [String: Window] = [:]
    }

    private let state: Mutex<State>
    private let clock: @Sendable () -> Int64
    private let sink: @Sendable ([UInt8]) -> Void

    /// - Parameters:
    ///   - clock: milliseconds since 1970.
    ///   - sink: takes one whole line; with one write(2), so that lines of several processes do not mix.
    package init(_ options: Options, clock: @escaping @Sendable () -> Int64, sink: @escaping @Sendable ([UInt8]) -> Void) {
        state = Mutex(State(options: options))
        self.clock = clock
        self.sink = sink
    }

    /// For tests and for those who do not care.
    package static let silent = LogWriter(Options(), clock: { 0 }, sink: { _ in })

    package func debug(_ event: StaticString, _ fields: [(name: StaticString, value: LogLine.Value)] = []) { write(LogLine(.debug, event, fields)) }
    package func info(_ event: StaticString, _ fields: [(name: StaticString, value: LogLine.Value)] = []) { write(LogLine(.info, event, fields)) }
    package func warn(_ event: StaticString, _ fields: [(name: StaticString, value: LogLine.Value)] = []) { write(LogLine(.warn, event, fields)) }
    package func error(_ event: StaticString, _ fields: [(name: StaticString, value: LogLine.Value)] = []) { write(LogLine(.error, event, fields)) }

    package func write(_ line: LogLine) {
        let now = clock()
        state.withLock { state in
            guard line.level >= state.options.level else { return }
            let kind = line.event.description
            var window = state.windows[kind] ?? Window(start: now, level: line.level, event: line.event)
            // A clock that was set back begins anew too.
            if now - window.start >= state.options.windowMilliseconds || now < window.start {
                report(window, state.options, now)
                window = Window(start: now, level: line.level, event: line.event)
            }
            if window.written < state.options.burst {
                window.written += 1
                emit(line, state.options, now)
            } else {
                window.suppressed += 1
            }
            state.windows[kind] = window
        }
    }

    /// Says what was left out in windows that have ended. Called now and then, and before the process ends.
    package func reportSuppressed(all: Bool = false) {
        let now = clock()
        state.withLock { state in
            // Sorted, so that the same run gives the same lines.
            for kind in state.windows.keys.sorted() {
                guard let window = state.windows[kind], all || now - window.start >= state.options.windowMilliseconds else { continue }
                report(window, state.options, now)
                state.windows[kind] = nil
            }
        }
    }

    /// A reload of the configuration.
    package func change(level: LogLine.Level, format: LogLine.Format) {
        state.withLock {
            $0.options.level = level
            $0.options.format = format
        }
    }

    private func report(_ window: Window, _ options: Options, _ now: Int64) {
        guard window.suppressed > 0 else { return }
        let fields: [(name: StaticString, value: LogLine.Value)] = [
            ("of", .text(window.event.description)), ("lines", LogLine.Value(window.suppressed)),
            ("since", .text(UTCTime(milliseconds: window.start).description)),
        ]
        emit(LogLine(window.level, "log_suppressed", fields), options, now)
    }

    private func emit(_ line: LogLine, _ options: Options, _ now: Int64) {
        sink(Array(line.text(options.format, at: now, priorityPrefix: options.priorityPrefix).utf8))
    }
}
