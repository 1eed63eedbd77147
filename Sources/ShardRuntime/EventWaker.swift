internal import LinuxSystem
internal import Synchronization

/// Wakes a driver from any thread through an eventfd. Calls that come before the driver has seen the last one cost no system call.
final class EventWaker: Waker {
    let counter: EventCounter
    private let isPending = Atomic<Bool>(false)

    init(_ kind: EventCounter.Kind) throws(Errno) { counter = try EventCounter(kind) }

    deinit { counter.close() }

    func wake() {
        if !isPending.exchange(true, ordering: .acquiringAndReleasing) { counter.raise() }
    }

    /// Called by the driver before it looks at what it was woken for, so that what comes later wakes it anew.
    func acknowledge() { _ = isPending.exchange(false, ordering: .acquiringAndReleasing) }
}
