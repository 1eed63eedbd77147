import LinuxSystem
import NativeCodec
import Observability
import Synchronization

/// One run: its threads, and what they share. Every number has one writer.
final class BenchRun: Sendable {
    let settings: BenchSettings
    let topic: UInt32
    /// Per producer: from the intended send time to the acknowledgement.
    let acknowledged: [Histogram]
    /// Per consumer: from the intended send time to the arrival.
    let delivered: [Histogram]

    /// When sending begins; 0 until everybody is ready.
    private let began = Atomic<UInt64>(0)
    private let ready = Atomic<Int>(0)
    private let sending: Atomic<Int>
    private let sent = Atomic<Int>(0)
    private let lastEvent = Atomic<UInt64>(0)
    private let isStopped = Atomic<Bool>(false)
    private let failure = Mutex<(any Error)?>(nil)
    private let verdict = Mutex(Verdict())
    /// What competing consumers have seen together.
    private let together: Mutex<BenchVerifier>
    private let taken = Atomic<Int>(0)
    private let stop: StopSignal

    struct Verdict: Sendable {
        var received = 0
        var duplicated = 0
        var outOfOrder = 0
    }

    init(_ settings: BenchSettings, topic: UInt32, stop: StopSignal) {
        self.settings = settings
        self.topic = topic
        self.stop = stop
        acknowledged = (0..<settings.producers).map { _ in Histogram() }
        delivered = (0..<settings.consumers).map { _ in Histogram() }
        sending = Atomic(settings.producers)
        together = Mutex(BenchVerifier(producers: settings.producers))
    }

    /// Runs to the end. `atStart` and `atEnd` stand at the edges of what is measured.
    func run(atStart: () -> Void, atEnd: () -> Void) throws {
        if settings.workload == .catchup {
            // What is read must be there before; storing it is not what is measured.
            try stage(producers: settings.producers, consumers: 0, atStart: {}, atEnd: {})
            began.store(0, ordering: .releasing)
            ready.store(0, ordering: .releasing)
            lastEvent.store(0, ordering: .releasing)
            try stage(producers: 0, consumers: settings.consumers, atStart: atStart, atEnd: atEnd)
        } else {
            try stage(producers: settings.producers, consumers: settings.consumers, atStart: atStart, atEnd: atEnd)
        }
    }

    private func stage(producers: Int, consumers: Int, atStart: () -> Void, atEnd: () -> Void) throws {
        var threads: [Thread] = []
        if settings.isTogether {
            threads.append(
                try Thread.spawn("bench-both") {
                    self.guarding { try BenchTogether.run(self) }
                })
        }
        for index in 0..<(settings.isTogether ? 0 : consumers) {
            threads.append(try Thread.spawn("bench-consume") { self.guarding { try BenchConsumer.run(self, index: index) } })
        }
        for index in 0..<(settings.isTogether ? 0 : producers) {
            threads.append(try Thread.spawn("bench-produce") { self.guarding { try BenchProducer.run(self, index: index) } })
        }
        let everybody = settings.isTogether ? 1 : producers + consumers
        while ready.load(ordering: .acquiring) < everybody, !isOver { Clock.sleep(nanoseconds: 1_000_000) }
        // At a rate, when what the machine does about two new processes is over (on one that we measured, its kernel looked through their
        // memory for milliseconds at a time). The load programs for other brokers wait as long.
        if settings.rate != nil { Clock.sleep(nanoseconds: 280_000_000) }
        atStart()
        // A little later, so that all threads see it before.
        began.store(Clock.monotonic + 20_000_000, ordering: .releasing)
        for thread in threads { thread.join() }
        atEnd()
        if let failure = failure.withLock({ $0 }) { throw failure }
    }

    private func guarding(_ work: () throws -> Void) {
        do {
            try work()
        } catch {
            failure.withLock { $0 = $0 ?? error }
            isStopped.store(true, ordering: .releasing)
            // Whoever waits for the others waits no longer.
            ready.add(1, ordering: .acquiringAndReleasing)
        }
    }

    // MARK: What the threads say

    /// Whether the user, or a failure, ends the sending. After the user's word consumers still read what was sent.
    var isOver: Bool { hasFailed || stop.isSet }
    var hasFailed: Bool { isStopped.load(ordering: .acquiring) }

    /// Waits until everybody is ready; answers when sending begins.
    func awaitStart() -> UInt64 {
        ready.add(1, ordering: .acquiringAndReleasing)
        while true {
            let start = began.load(ordering: .acquiring)
            if start != 0 || isOver { return start }
            Clock.sleep(nanoseconds: 1_000_000)
        }
    }

    /// The same, and sleeps until then.
    @discardableResult
    func pauseUntilStart() -> UInt64 {
        let start = awaitStart()
        while Clock.monotonic < start { Clock.sleep(nanoseconds: 100_000) }
        return start
    }

    /// A producer has sent, and seen acknowledged, all that it will.
    func producerEnded(sent count: Int, outOfOrder: Int, at time: UInt64) {
        sent.add(count, ordering: .acquiringAndReleasing)
        verdict.withLock { $0.outOfOrder += outOfOrder }
        if settings.consumers == 0 { raise(lastEvent, to: time) }
        sending.subtract(1, ordering: .acquiringAndReleasing)
    }

    /// A competing consumer ends when all of them together have everything.
    func received(_ count: Int) { taken.add(count, ordering: .acquiringAndReleasing) }
    var receivedByAll: Int { taken.load(ordering: .acquiring) }

    func consumerEnded(_ verifier: BenchVerifier, at time: UInt64) {
        raise(lastEvent, to: time)
        if settings.workload == .queue {
            together.withLock { $0.merge(verifier) }
            return
        }
        let seen = Verdict(received: verifier.received, duplicated: verifier.duplicated, outOfOrder: verifier.outOfOrder)
        verdict.withLock { verdict in
            verdict.received += seen.received
            verdict.duplicated += seen.duplicated
            verdict.outOfOrder += seen.outOfOrder
        }
    }

    /// How many were sent; nil while somebody still sends.
    var totalSent: Int? { sending.load(ordering: .acquiring) > 0 ? nil : sent.load(ordering: .acquiring) }

    private func raise(_ value: borrowing Atomic<UInt64>, to time: UInt64) {
        var seen = value.load(ordering: .relaxed)
        while time > seen {
            let (exchanged, original) = value.compareExchange(expected: seen, desired: time, ordering: .relaxed)
            if exchanged { return }
            seen = original
        }
    }

    // MARK: The outcome

    var messages: Int { sent.load(ordering: .acquiring) }
    var seconds: Double {
        let (first, last) = (began.load(ordering: .acquiring), lastEvent.load(ordering: .acquiring))
        return last > first ? Double(last - first) / 1e9 : 0
    }
    var seen: Verdict {
        guard settings.workload == .queue else { return verdict.withLock { $0 } }
        let publishers = verdict.withLock { $0 }
        return together.withLock { Verdict(received: $0.received, duplicated: $0.duplicated, outOfOrder: $0.outOfOrder + publishers.outOfOrder) }
    }
}
