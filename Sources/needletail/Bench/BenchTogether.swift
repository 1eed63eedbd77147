import LinuxSystem

/// One thread that publishes and reads in turn and never sleeps: on a machine of two cores it has one, and a broker that spins the other.
enum BenchTogether {
    static func run(_ run: BenchRun) throws {
        var consumer = try BenchConsumer.open(run, index: 0)
        var producer = try BenchProducer.open(run, index: 0)
        Clock.setTimerSlack(nanoseconds: 1)
        let start = run.pauseUntilStart()
        let end = start &+ UInt64(run.settings.seconds * 1e9)
        var hasSent = false
        var (seen, last) = (0, start)
        while !run.hasFailed {
            if !hasSent, try producer.look(start, end) {
                hasSent = true
                producer.end(at: Clock.monotonic)
            }
            let now = try consumer.look()
            if now != seen { last = Clock.monotonic }
            seen = now
            guard let total = run.totalSent else { continue }
            if seen >= total { break }
            if Clock.monotonic - last > BenchConsumer.patience { break }
        }
        consumer.end(at: last)
    }
}
