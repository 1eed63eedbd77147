internal import LinuxSystem
internal import Synchronization

/// Runs jobs in the order they came on helper threads of its own, which start with the first job. For what is slow and rare.
///
/// It lies in the module of those who use it: as a generic of another one, handing a job over took 9,500 instructions.
final class WorkQueue<Job: Sendable>: Sendable {
    private struct State {
        var jobs: [Job] = []
        var threads: [Thread] = []
        var idle = 0
        var isStopped = false
    }

    private let state = Mutex(State())
    private let signal: EventCounter
    private let name: String
    private let threadsMax: Int
    private let jobsMax: Int
    private let run: @Sendable ([Job]) -> Void

    convenience init(_ name: String, threadsMax: Int = 1, _ run: @escaping @Sendable (Job) -> Void) throws(Errno) {
        try self.init(name, threadsMax: threadsMax, jobsMax: 1) { (jobs: [Job]) in for job in jobs { run(job) } }
    }

    /// - Parameter jobsMax: how many of the waiting jobs `run` is given at once.
    init(_ name: String, threadsMax: Int = 1, jobsMax: Int, _ run: @escaping @Sendable ([Job]) -> Void) throws(Errno) {
        self.name = name
        self.threadsMax = threadsMax
        self.jobsMax = jobsMax
        self.run = run
        signal = try EventCounter(.semaphore)
    }

    deinit { signal.close() }

    func add(_ job: Job) {
        state.withLock { state in
            guard !state.isStopped else { return }
            state.jobs.append(job)
            if state.idle < state.jobs.count, state.threads.count < threadsMax {
                // Without a thread the job waits for the next attempt, or is run by `stop`.
                if let thread = try? Thread.spawn(name, { self.work() }) {
                    state.threads.append(thread)
                    state.idle += 1
                }
            }
        }
        signal.raise()
    }

    /// Waits for the jobs that were added, then ends the threads.
    func stop() {
        let threads = state.withLock { state in
            state.isStopped = true
            return state.threads
        }
        for _ in threads { signal.raise() }
        for thread in threads { thread.join() }
        while true {
            let jobs = next()
            if jobs.isEmpty { return }
            run(jobs)
        }
    }

    private func next() -> [Job] {
        state.withLock { state in
            let jobs = Array(state.jobs.prefix(jobsMax))
            state.jobs.removeFirst(jobs.count)
            return jobs
        }
    }

    private func work() {
        while true {
            // Raised once for each job: where several were taken at once, some of these find nothing.
            signal.take()
            state.withLock { $0.idle -= 1 }
            let jobs = next()
            if !jobs.isEmpty { run(jobs) }
            let ends = state.withLock { state in
                state.idle += 1
                return state.isStopped && state.jobs.isEmpty
            }
            if jobs.isEmpty, ends { return }
        }
    }
}
