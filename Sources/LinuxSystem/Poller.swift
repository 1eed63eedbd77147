internal import CLinux

/// Waits for many descriptors at once (epoll, level triggered). Each is watched under a token of the caller's.
@safe
package final class Poller {
    package struct Interest: OptionSet, Sendable {
        package let rawValue: UInt32
        package init(rawValue: UInt32) { self.rawValue = rawValue }
        package static let read = Interest(rawValue: UInt32(SYS_EVENT_IN))
        package static let write = Interest(rawValue: UInt32(SYS_EVENT_OUT))
        /// Reported unasked.
        package static let failed = Interest(rawValue: UInt32(SYS_EVENT_ERROR))
        package static let hungUp = Interest(rawValue: UInt32(SYS_EVENT_HANGUP))
        // Not as a list: the compiler leaves that to the run time (1,900 instructions).
        package static let broken = Interest(rawValue: failed.rawValue | hungUp.rawValue)
    }

    package struct Event: Sendable {
        package var token: UInt64
        package var ready: Interest
    }

    /// How many events one `wait` answers at most.
    package static let eventsMax = 256

    private let descriptor: Int32
    // Safety: `eventsMax` events, owned by this object; the system fills them and `wait` says how many.
    private let events: UnsafeMutablePointer<sys_event>

    package init() throws(Errno) {
        descriptor = try Errno.check(sys_epoll_create())
        unsafe events = .allocate(capacity: Poller.eventsMax)
        unsafe events.initialize(repeating: sys_event(), count: Poller.eventsMax)
    }

    deinit {
        unsafe events.deallocate()
        sys_close(descriptor)
    }

    package func add(_ watched: Int32, _ interest: Interest, token: UInt64) throws(Errno) {
        try Errno.check(sys_epoll_control(descriptor, Int32(SYS_EVENT_ADD), watched, interest.rawValue, token))
    }

    package func change(_ watched: Int32, _ interest: Interest, token: UInt64) throws(Errno) {
        try Errno.check(sys_epoll_control(descriptor, Int32(SYS_EVENT_CHANGE), watched, interest.rawValue, token))
    }

    package func remove(_ watched: Int32) { sys_epoll_control(descriptor, Int32(SYS_EVENT_REMOVE), watched, 0, 0) }

    /// Waits for at least one event, at most `nanoseconds` (nil: for ever; 0 only looks); answers how many there are. Returns early
    /// with 0 when a signal came.
    package func wait(_ nanoseconds: UInt64?) throws(Errno) -> Int {
        let timeout = nanoseconds.map { Int64(clamping: $0) } ?? -1
        // Safety: the C function fills at most `eventsMax` events.
        let count = unsafe sys_epoll_wait(descriptor, events, Int32(Poller.eventsMax), timeout)
        if count == -Errno.interrupted.rawValue { return 0 }
        return Int(try Errno.check(count))
    }

    /// An event of the last `wait`.
    package func event(_ index: Int) -> Event {
        precondition(index >= 0 && index < Poller.eventsMax)
        // Safety: in bounds, initialised by init.
        return unsafe Event(token: events[index].token, ready: Interest(rawValue: events[index].events))
    }
}
