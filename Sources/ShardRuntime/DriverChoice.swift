internal import IOUring
internal import LinuxSystem

/// Which driver a shard runs on.
package enum DriverChoice: String, Sendable, CaseIterable {
    /// io_uring where it works, else epoll.
    case auto
    case ioUring = "io_uring"
    case epoll
}

/// Makes the driver of the calling thread, which must be the shard's, and says why it is this one.
package func makeDriver(
    _ choice: DriverChoice = .auto, _ options: DriverOptions = DriverOptions()
) throws(DriverError) -> (driver: any Driver, reason: String) {
    switch choice {
    case .epoll: return (try EpollDriver(options), "epoll: asked for")
    case .ioUring: return (try IOUringDriver(options), "io_uring: asked for")
    case .auto:
        if let reason = KernelFeatures.current.reasonAgainstRing { return (try EpollDriver(options), "epoll: \(reason)") }
        do {
            return (try IOUringDriver(options), "io_uring: every trial passed that it needs")
        } catch {
            return (try EpollDriver(options), "epoll: \(error)")
        }
    }
}
