internal import CLinux

/// Signals as values for the main thread: blocked before any thread starts, then waited for.
package enum Signal: Int32, Sendable, CaseIterable {
    case hangUp = 1
    case interrupt = 2
    case user1 = 10
    case terminate = 15
    case windowChanged = 28

    /// Blocks `signals` in the calling thread and all that it starts from now on, and ignores SIGPIPE (a peer that is gone is an
    /// error of the send).
    package static func block(_ signals: [Signal]) throws(Errno) { try Errno.check(sys_signals_block(mask(signals))) }

    /// Waits for one of `signals`, which must be blocked.
    /// - Parameter nanoseconds: how long at most; nil waits for ever.
    package static func wait(for signals: [Signal], atMost nanoseconds: UInt64? = nil) -> Signal? {
        let timeout = nanoseconds.map { Int64(clamping: $0) } ?? -1
        return Signal(rawValue: sys_signals_wait(mask(signals), timeout))
    }

    /// Sends a signal to the calling thread.
    package static func raise(_ signal: Signal) throws(Errno) { try Errno.check(sys_signal_raise(signal.rawValue)) }

    private static func mask(_ signals: [Signal]) -> UInt64 {
        signals.reduce(0) { $0 | 1 << UInt64($1.rawValue) }
    }
}
