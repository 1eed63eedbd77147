internal import CLinux

/// An eventfd: a counter in the kernel that one side raises and another waits for.
package struct EventCounter: Sendable {
    package let descriptor: Int32

    package enum Kind: Sendable {
        /// `wait` takes one of what was raised and blocks at zero.
        case semaphore
        /// For a poller: reading never blocks and takes everything.
        case polled
        /// Reading blocks at zero and takes everything; a ring waits on it.
        case blocking
    }

    package init(_ kind: Kind) throws(Errno) {
        descriptor = try Errno.check(sys_eventfd(kind == .semaphore ? 1 : 0, kind == .polled ? 1 : 0))
    }

    package func raise() {
        var one: UInt64 = 1
        // Safety: eight bytes of a local variable are read. It can only fail when the counter is full, which is raised enough.
        _ = unsafe sys_write(descriptor, &one, 8)
    }

    /// Waits (semaphore) or takes what is there (polled).
    package func take() {
        var count: UInt64 = 0
        // Safety: eight bytes of a local variable are written.
        while unsafe sys_read(descriptor, &count, 8) == Int64(-Errno.interrupted.rawValue) {}
    }

    package func close() { sys_close(descriptor) }
}
