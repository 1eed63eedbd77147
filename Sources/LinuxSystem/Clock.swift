internal import CLinux

/// The system's clocks. Below the driver nobody reads them: cores are told the time.
package enum Clock {
    /// Nanoseconds of the monotonic clock.
    package static var monotonic: UInt64 { sys_clock_monotonic() }
    /// Milliseconds since 1970-01-01 UTC.
    package static var realtimeMilliseconds: Int64 { sys_clock_realtime_ms() }
    /// Processor time used by the whole process, and by the calling thread, in nanoseconds.
    package static var processCPU: UInt64 { sys_clock_process_cpu() }
    package static var threadCPU: UInt64 { sys_clock_thread_cpu() }

    /// Blocks the calling thread. For programs on the command line; a shard never sleeps but in `poll`.
    package static func sleep(nanoseconds: UInt64) { sys_sleep(nanoseconds) }
}
