internal import CLinux

/// A system thread with a name and a stack of stated size.
package struct Thread: Sendable {
    private let identifier: UInt64

    /// Starts `body` on a new thread.
    /// - Parameter name: as `top -H` shows it; the system keeps 15 bytes.
    package static func spawn(_ name: String, stackBytes: Int = 1 << 20, _ body: sending @escaping () -> Void) throws(Errno) -> Thread {
        let start = Start(body)
        // Safety: the reference made here is given up by the thread, or here when no thread came to be.
        let context = unsafe Unmanaged.passRetained(start)
        var identifier: UInt64 = 0
        let result = unsafe sys_thread_start(
            &identifier, stackBytes, name,
            { context in
                // Safety: `context` is the retained `Start` of above, taken exactly once.
                let start = unsafe Unmanaged<Start>.fromOpaque(context.unsafelyUnwrapped).takeRetainedValue()
                start.body()
            }, context.toOpaque())
        guard result >= 0 else {
            unsafe context.release()
            throw Errno(-result)
        }
        return Thread(identifier: identifier)
    }

    /// Waits until the thread has ended. Once per thread.
    package func join() { sys_thread_join(identifier) }

    /// Keeps the calling thread on one core.
    package static func pin(toCore core: Int) throws(Errno) { try Errno.check(sys_thread_pin(Int32(truncatingIfNeeded: core))) }

    /// Lets another thread have the core. For waits that are known to be short.
    package static func yield() { sys_thread_yield() }

    /// How many cores this process may use.
    package static var coreCount: Int { max(1, Int(sys_core_count())) }

    private final class Start {
        let body: () -> Void
        init(_ body: @escaping () -> Void) { self.body = body }
    }
}
