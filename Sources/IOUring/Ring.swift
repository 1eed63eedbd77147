internal import CUring
package import LinuxSystem

/// One ring between this thread and the kernel: what is to be done goes in (`Submission.swift`), what was done comes out (`take`).
///
/// Made on the thread that uses it; no other thread may submit. Memory given to an operation is owned by the operation until its
/// last completion. `inFlight` counts the operations whose last completion was not taken yet.
@safe
package final class Ring {
    package struct Options: Sendable {
        /// Submissions that can be prepared between two entries; more are entered early.
        package var entries: UInt32 = 1024
        /// Completions that can wait; more than that many are kept by the kernel and cost an extra entry.
        package var completions: UInt32 = 8192
        package var setup = Setup.deferred
        package init() {}
    }

    /// When the kernel runs the end of an operation on the ring's thread.
    package enum Setup: String, Sendable, CaseIterable {
        /// Only when the thread enters: least latency and no interruption (kernel 6.1).
        case deferred
        /// At the thread's next system call (kernel 5.19).
        case cooperative
        /// By interrupting the thread.
        case interrupting

        var flags: UInt32 {
            switch self {
            case .deferred: IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL
            case .cooperative: IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL
            case .interrupting: IORING_SETUP_SUBMIT_ALL
            }
        }
    }

    // Safety: allocated, set up and torn down by this object alone; its address is stable for the kernel and liburing.
    let ring: UnsafeMutablePointer<io_uring>
    package let options: Options
    package private(set) var inFlight = 0
    /// How often completions did not fit their queue.
    package private(set) var overflows = 0

    package init(_ options: Options = Options()) throws(Errno) {
        self.options = options
        let memory = UnsafeMutablePointer<io_uring>.allocate(capacity: 1)
        unsafe memory.initialize(to: io_uring())
        // Safety: the C function fills the one struct.
        let result = unsafe curing_init(memory, options.entries, options.completions, options.setup.flags)
        guard result >= 0 else {
            unsafe memory.deallocate()
            throw Errno(-result)
        }
        unsafe ring = unsafe memory
    }

    deinit {
        unsafe io_uring_queue_exit(ring)
        unsafe ring.deallocate()
    }

    package var descriptor: Int32 { unsafe ring.pointee.ring_fd }
    package var features: UInt32 { unsafe ring.pointee.features }
    /// Whether the kernel can gather completions for a minimum time (6.12).
    package var hasMinimumWait: Bool { features & IORING_FEAT_MIN_TIMEOUT != 0 }
    package var hasUnsubmitted: Bool { unsafe curing_unsubmitted(ring) > 0 }
    package var hasCompletions: Bool { unsafe io_uring_cq_ready(ring) > 0 }
    package var readyCount: Int { Int(unsafe io_uring_cq_ready(ring)) }

    /// Submits what was prepared, and collects what has happened, without waiting. No system call when there is neither.
    package func look() throws(Errno) {
        let pending = unsafe curing_has_pending_work(ring) != 0
        guard pending || hasUnsubmitted else { return }
        try enter(wait: 0, nanoseconds: .max, minimumMicroseconds: 0, events: pending)
    }

    /// Submits what was prepared, and waits for at least one completion, at most `nanoseconds` (`.max`: for ever).
    /// - Parameter minimumMicroseconds: gathers completions for so long before fewer than a batch wake the thread; 0 wakes at once.
    package func wait(nanoseconds: UInt64, minimumMicroseconds: UInt32 = 0) throws(Errno) {
        if minimumMicroseconds > 0, hasMinimumWait {
            // The kernel gathers until the count is reached or the minimum is over, then answers as soon as there is one.
            try enter(wait: 64, nanoseconds: nanoseconds, minimumMicroseconds: minimumMicroseconds, events: true)
        } else {
            try enter(wait: 1, nanoseconds: nanoseconds, minimumMicroseconds: 0, events: true)
        }
    }

    private func enter(wait: UInt32, nanoseconds: UInt64, minimumMicroseconds: UInt32, events: Bool) throws(Errno) {
        // Nothing is lost by it, but the completion queue is too small for what is in flight (U4).
        if unsafe curing_has_overflow(ring) != 0 { overflows &+= 1 }
        // Safety: the ring is set up, and this is its thread.
        let result = unsafe curing_enter(ring, wait, nanoseconds, minimumMicroseconds, events ? 1 : 0)
        guard result < 0 else { return }
        switch Errno(-result) {
        // The time is over, a signal came, or completions must be taken first: the caller takes what there is and comes back.
        case .timeExpired, .interrupted, .busy, .wouldBlock: return
        case let other: throw other
        }
    }

    /// Takes the oldest completion.
    package func take() -> Completion? {
        var completion = curing_completion()
        // Safety: fills the local struct from the queue that the ring owns.
        guard unsafe curing_take(ring, &completion) != 0 else { return nil }
        let id = OperationID(rawValue: completion.user_data)
        if completion.flags & UInt32(IORING_CQE_F_MORE) == 0, !id.isMessage { inFlight -= 1 }
        return Completion(id: id, result: completion.result, flags: completion.flags)
    }

    /// Cancels every operation and takes completions until none is in flight: only then may memory that was given to operations
    /// go. Gives up after `nanoseconds` and answers false.
    package func drain(nanoseconds: UInt64, _ taken: (Completion) -> Void) -> Bool {
        let end = Clock.monotonic &+ nanoseconds
        cancelEverything(id: OperationID(kind: 0, generation: 0, slot: .max))
        while inFlight > 0 {
            let now = Clock.monotonic
            guard now < end, (try? wait(nanoseconds: end - now)) != nil else { return false }
            while let completion = take() { taken(completion) }
        }
        return true
    }

    /// Room for one more submission, entering first when there is none.
    // Safety: the entry belongs to the caller until the next entry.
    func nextEntry() -> UnsafeMutablePointer<io_uring_sqe> {
        inFlight += 1
        while true {
            if let entry = unsafe io_uring_get_sqe(ring) { return unsafe entry }
            // Full: what was prepared goes to the kernel now. Only an unusable ring fails here.
            do { try enter(wait: 0, nanoseconds: .max, minimumMicroseconds: 0, events: false) } catch { fatalError("io_uring_enter: \(error)") }
        }
    }
}
