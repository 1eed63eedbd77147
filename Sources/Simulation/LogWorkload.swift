internal import Bytes
internal import SegmentLog

/// One log on a simulated disk, driven by one seed: appends of every kind, reads, trims and retention, until power goes, the process
/// ends or the disk fails; then it is opened again, and the oracle compares. Several lives a seed, crashes during recovery included.
///
/// Longer than other files on purpose: one life is told from top to bottom, and its steps share all of its state.
package final class LogWorkload {
    package struct Profile: Sendable {
        package var lives = 6
        package var stepsPerLife = 40
        package var errors = false
        package var damage = false
        package var sabotage: Sabotage?
        package var keepsTrace = false
        /// A day in each seed: hours pass between steps.
        package var isLong = false
        /// Peers that send whatever they like, beside the clients of a shard.
        package var hostile = false
        /// Between how many shards the topics of a broker are divided, anew in each life.
        package var shards = 1...1
        package init(errors: Bool = false, damage: Bool = false, sabotage: Sabotage? = nil, shards: ClosedRange<Int> = 1...1) {
            self.shards = shards
            self.errors = errors
            self.damage = damage
            self.sabotage = sabotage
        }
    }

    package struct Report: Sendable {
        package var seed: Seed
        package var violation: Violation?
        package var hash: UInt64
        package var faults: [String]
        package var lines: [String]
        package var setting: String
        package var crashes = 0
        package var recoveries = 0
        package var appended = 0
        package var failedLogs = 0
        /// Old messages that a broker set aside.
        package var setAside = 0
        package var refusals = 0
        /// How much time passed in the simulation.
        package var nanoseconds: UInt64 = 0
        /// Connections of hostile peers.
        package var sequences = 0

        package init(seed: Seed, hash: UInt64, faults: [String], lines: [String], setting: String) {
            self.seed = seed
            self.hash = hash
            self.faults = faults
            self.lines = lines
            self.setting = setting
        }

        /// What a person needs to look into it.
        package var text: String {
            "seed \(seed): \(violation?.description ?? "kept every promise")\n  \(setting)\n  trace \(hash)\n"
                + faults.map { "  fault: \($0)\n" }.joined() + lines.suffix(200).map { "  \($0)\n" }.joined()
        }
    }

    private let seed: Seed
    private let profile: Profile
    private let disk: SimulatedDisk
    private var random: RandomStream
    /// What the clocks of machines do: the broker's jumps, those of producers are years off.
    private var clocks: RandomStream
    private let skew: Int64
    private var options = Log.Options()
    private var oracle: LogOracle
    private var log: Log?
    private var instant: UInt64 = 1_000_000_000
    private var wall: Int64 = 1_700_000_000_000
    private var nextMessage: UInt64
    private var producer = ReferenceBatch.Producer(id: 7, epoch: 0, sequence: 0)
    private var sent: [(messages: [UInt64], timestamps: [Int64], producer: ReferenceBatch.Producer)] = []
    private var held: [(slice: LogSlice, content: [UInt8])] = []
    private var report: Report
    private var reads = RecoveryReads()
    private var lostBefore = 0
    private var triesLeft = 0
    /// Takes back damage that nobody has met yet: it may lie where reading did not come by, such as below the log's start.
    private var undiscovered: (() -> Void)?
    private var wasClosedCleanly = true
    private let directory = "logs/1-0"

    package static func run(_ seed: Seed, _ profile: Profile = Profile()) -> Report {
        let workload = LogWorkload(seed, profile)
        do {
            try workload.live()
        } catch {
            workload.report.violation = error
        }
        workload.log = nil
        workload.report.nanoseconds = workload.instant - 1_000_000_000
        workload.report.hash = workload.disk.trace.hash
        workload.report.faults = workload.disk.trace.faults
        workload.report.lines = workload.disk.trace.lines
        workload.report.crashes = workload.disk.crashes
        return workload.report
    }

    private init(_ seed: Seed, _ profile: Profile) {
        self.seed = seed
        self.profile = profile
        random = seed.stream("workload")
        clocks = seed.stream("clocks")
        skew = Int64(clocks.pick([0, 0, 0, -1, 1])) * 31_536_000_000
        let trace = Trace()
        trace.keepsLines = profile.keepsTrace
        disk = SimulatedDisk(seed: seed, faults: .crashesOnly(&random), trace: trace)
        disk.sabotage = profile.sabotage
        nextMessage = seed.rawValue &* 1_000_000 &+ 1
        options.durability = random.pick([.group, .group, .each, .none, .interval])
        options.segmentBytes = random.pick([1_024, 4_096, 16_384, 65_536])
        options.segmentMilliseconds = random.pick([-1, -1, 5_000])
        options.maxMessageBytes = 32_768
        options.indexIntervalBytes = random.pick([0, 256, 4_096])
        options.flushIntervalMilliseconds = random.pick([50, 1_000])
        options.retentionBytes = random.pick([-1, -1, 8_192])
        options.retentionMilliseconds = random.pick([-1, -1, 20_000]) * (profile.isLong ? 1_000 : 1)
        oracle = LogOracle(durability: options.durability)
        report = Report(seed: seed, hash: 0, faults: [], lines: [], setting: "")
        report.setting =
            "durability \(options.durability.name), segments of \(options.segmentBytes) B / \(options.segmentMilliseconds) ms, index every "
            + "\(options.indexIntervalBytes) B, retention \(options.retentionBytes) B / \(options.retentionMilliseconds) ms"
    }

    // MARK: A run

    private func live() throws(Violation) {
        var ending: LogOracle.Ending?
        for life in 0..<profile.lives {
            try open(after: ending)
            reads.opened(flushed: log?.watermarks.flushed.rawValue ?? 0)
            lostBefore = disk.lostWrites
            if profile.errors, life > 0 { disk.faults = .swarm(&random) }
            if random.chance(0.1), profile.errors { disk.faults.capacity = disk.bytesUsed + random.below(40_000) }
            let plansCrash = random.chance(0.6)
            if plansCrash { disk.crash(afterChanges: 1 + random.below(120)) }
            for _ in 0..<random.within(1...profile.stepsPerLife) {
                try step()
                if disk.isDown { break }
            }
            ending = try end()
        }
        // Healed: everything that is taken now is made durable in time.
        disk.faults.capacity = nil
        try open(after: ending)
        guard let log else { return }
        if log.fault == nil {
            for _ in 0..<5 { try append() }
            log.requestFlush(through: log.watermarks.end)
            try pass(10_000_000_000)
            guard log.watermarks.flushed.rawValue == oracle.end else {
                throw Violation(.noProgress, "10 s after the last fault \(log.watermarks.flushed) of \(oracle.end) are flushed")
            }
            try read(from: oracle.start, all: true)
        }
        self.log = nil
        held = []
    }

    private func step() throws(Violation) {
        switch random.below(100) {
        case ..<45: try append()
        case ..<60: try tick()
        case ..<75: try pass(UInt64(random.pick([1_000, 300_000, 20_000_000, 1_500_000_000])) * (profile.isLong ? 10_000 : 1))
        case ..<88:
            // A failed log takes back what it could not write.
            let end = min(oracle.end, log?.watermarks.end.rawValue ?? 0)
            try read(from: oracle.start + Int64(random.below(max(1, Int(end - oracle.start)))), all: random.chance(0.2))
        case ..<91: try findTime()
        case ..<94: try retry()
        case ..<96: try trim()
        case ..<98: try retain()
        default: log?.requestFlush(through: Offset(oracle.end))
        }
        try look()
    }

    /// How this life ends. Answers nil where the disk is to be looked at with nothing lost.
    private func end() throws(Violation) -> LogOracle.Ending {
        try oracle.checkStoredOnce()
        // A checkpoint has a few steps, and one that is under way goes first.
        if !profile.errors, disk.faults.slow == 0 { reads.ended(at: instant, slack: 60 * UInt64(disk.faults.latency) + 1_000_000) }
        let isFaulted = log?.fault != nil && !disk.isDown
        if isFaulted { report.failedLogs += 1 }
        if disk.isDown {
            close()
            disk.restart()
            return .powerLost
        }
        switch random.below(10) {
        case ..<3 where !isFaulted:
            if random.chance(0.8) { try finish() }
            let isQuiet = log?.isQuiet ?? true
            let closed = answer { () throws(LogError) in try log?.close(now: now) }
            try look()
            close()
            if disk.isDown {
                disk.restart()
                return .powerLost
            }
            let openFiles = disk.openFiles
            disk.kill()
            guard case .success = closed, isQuiet else { return .processKilled }
            guard openFiles == 0 else { throw Violation(.leak, "\(openFiles) files are open after a clean close") }
            return .closedCleanly
        case ..<6:
            close()
            disk.kill()
            return .processKilled
        default:
            close()
            disk.crash()
            return .powerLost
        }
    }

    /// Waits for what is under way, as a shard does before it closes a log.
    private func finish() throws(Violation) {
        while let log, !disk.isDown, !log.isQuiet, disk.nextCompletion < .distantFuture {
            let next = disk.nextCompletion
            try pass(next.nanoseconds(since: now.instant))
        }
    }

    private func close() {
        log = nil
        held = []
    }

    // MARK: Opening

    private func open(after ending: LogOracle.Ending?) throws(Violation) {
        wasClosedCleanly = ending.map { $0 == .closedCleanly } ?? true
        guard var ending else {
            log = try makeLog()
            return
        }
        let bound = boundOfInterval()
        disk.heal()
        triesLeft = 3
        if disk.lostWrites != lostBefore { oracle.lostWrites() }
        let damaged = profile.damage && random.chance(0.5) ? damage(after: ending) : nil
        // Power may go during recovery, several times.
        var tries = 0
        while tries < 5, random.chance(0.3) {
            tries += 1
            disk.crash(afterChanges: 1 + random.below(12))
            let opened = try attempt(damaged)
            if opened != nil, disk.isDown == false, random.chance(0.5) {
                // Recovered, and then the process ends without having written anything.
                disk.kill()
                continue
            }
            disk.crash()
            if ending != .closedCleanly { ending = .powerLost }
        }
        disk.restart()
        guard let opened = try attempt(damaged) else {
            // Refused, loudly: the damage is taken back, as an operator would with a copy.
            report.refusals += 1
            takeBack(damaged)
            try open(after: ending == .closedCleanly ? .processKilled : ending)
            return
        }
        if damaged != nil || undiscovered != nil {
            // Opened without having read everything: then whoever reads must notice. Nothing may be missing, or be different.
            do {
                var copy = oracle
                let records = try scan(opened)
                try copy.recovered(records, start: opened.watermarks.start.rawValue, end: opened.watermarks.end.rawValue, after: ending)
            } catch {
                guard error.claim == .toldByReading else { throw error }
                report.refusals += 1
                takeBack(damaged)
                disk.kill()
                try open(after: ending == .closedCleanly ? .processKilled : ending)
                return
            }
            let before = undiscovered
            undiscovered = {
                damaged?()
                before?()
            }
        }
        let first = try scan(opened)
        if damaged == nil || ending == .closedCleanly {
            try oracle.recovered(
                first, start: opened.watermarks.start.rawValue, end: opened.watermarks.end.rawValue, after: ending, writtenBefore: bound)
        } else {
            try oracle.recovered(first, start: opened.watermarks.start.rawValue, end: opened.watermarks.end.rawValue, after: .powerLost)
        }
        report.recoveries += 1
        oracle.reopened(at: wall)
        if random.chance(0.3), undiscovered == nil {
            // Recovering again changes nothing.
            let marks = opened.watermarks
            disk.kill()
            let again = try makeLog()
            let second = try scan(again)
            guard again.watermarks.start == marks.start, again.watermarks.end == marks.end, second == first else {
                throw Violation(.unstableRecovery, "first \(marks), then \(again.watermarks)")
            }
            log = again
        } else {
            log = opened
        }
        try look()
    }

    private func makeLog() throws(Violation) -> Log {
        guard let log = try attempt(nil) else { throw Violation(.contract, "power went where it should not") }
        return log
    }

    /// nil: power went, or the log was refused for damage that is there.
    private func attempt(_ damaged: (() -> Void)?) throws(Violation) -> Log? {
        disk.notes = []
        let cache = SegmentCache(.tight)
        let made = answer { () throws(LogError) in try Log(directory: directory, number: 3, options: options, storage: disk, now: now, cache: cache) }
        let notes = disk.notes ?? []
        disk.notes = nil
        switch made {
        case .success(let log):
            guard !profile.damage, !disk.isDown else { return log }
            try reads.check(notes, of: directory, on: disk, wasClean: wasClosedCleanly, end: log.watermarks.end.rawValue)
            return log
        case .failure(let error):
            if disk.isDown { return nil }
            if case .damaged = error, damaged != nil || undiscovered != nil { return nil }
            if case .storage = error, profile.errors, triesLeft > 0 {
                // A write-back that failed before shows now, once; the operator tries again.
                triesLeft -= 1
                return try attempt(damaged)
            }
            throw Violation(.falseAlarm, "a log that nothing damaged was refused: \(error)")
        }
    }

    private func takeBack(_ damaged: (() -> Void)?) {
        damaged?()
        undiscovered?()
        undiscovered = nil
    }

    private func answer<Value>(_ body: () throws(LogError) -> Value) -> Result<Value, LogError> {
        do throws(LogError) { return .success(try body()) } catch { return .failure(error) }
    }

    /// Spoils one durable byte or sector of a segment. Answers how to take it back.
    private func damage(after ending: LogOracle.Ending) -> (() -> Void)? {
        guard ending == .closedCleanly else { return nil }
        let segments = disk.paths.filter { $0.hasPrefix(directory) && ($0.hasSuffix(".log") || $0.hasSuffix("index")) }
        guard !segments.isEmpty else { return nil }
        let path = random.pick(segments)
        guard let content = disk.durableContent(path), !content.isEmpty else { return nil }
        if random.chance(0.7) {
            disk.flipBit(path, at: random.below(content.count), bit: random.below(8))
        } else {
            disk.zeroSector(path, random.below((content.count + 511) / 512))
        }
        let disk = disk
        let spoiled = disk.durableContent(path) ?? []
        return {
            // What was written there meanwhile stays.
            guard let now = disk.durableContent(path) else { return }
            for at in content.indices where content[at] != spoiled[at] && at < now.count && now[at] == spoiled[at] {
                disk.overwrite(path, at: at, with: [content[at]])
            }
        }
    }

    /// Under `interval`: what was written before this instant must be there.
    private func boundOfInterval() -> UInt64? {
        guard options.durability == .interval, disk.faults.slow == 0, disk.faults.stuck == 0 else { return nil }
        // A flush has a step for each file and directory that it covers.
        let slack = UInt64(options.flushIntervalMilliseconds) * 1_000_000 + 20 * UInt64(disk.faults.latency) + 1_000_000
        return instant > slack ? instant - slack : nil
    }

    private func scan(_ log: Log) throws(Violation) -> [ReferenceBatch.Record] {
        var records: [ReferenceBatch.Record] = []
        var at = log.watermarks.start
        while at < log.watermarks.end {
            let read = answer { () throws(LogError) in try log.read(from: at, maxBytes: 20_000, below: log.watermarks.end) }
            if case .failure(.damaged) = read, profile.damage { throw Violation(.toldByReading, "the log says that it is damaged at \(at)") }
            if case .failure(let error) = read { throw Violation(.silentDamage, "a recovered log cannot be read at \(at): \(error)") }
            guard case .success(let found) = read, let result = found else {
                throw Violation(.pollSkip, "nothing at \(at), the end is \(log.watermarks.end)")
            }
            let more = try ReferenceBatch.decode(result.slice)
            let before = records.count
            // A trim in the middle of a batch leaves its front readable.
            for record in more where record.offset >= at.rawValue {
                // The base offset is in no checksum (Kafka's format): a reader notices by the gap.
                if profile.damage, record.offset != at.rawValue + Int64(records.count) - Int64(before) {
                    throw Violation(.toldByReading, "offset \(record.offset) where another was due")
                }
                records.append(record)
            }
            if profile.damage, let last = more.last, last.offset + 1 != result.next.rawValue {
                throw Violation(.toldByReading, "a read that ends at \(result.next) holds records to \(last.offset)")
            }
            guard at < result.next else { throw Violation(.pollSkip, "a read at \(at) ends at \(result.next)") }
            at = result.next
        }
        return records
    }

    // MARK: Steps

    private var now: Now { Now(instant: Instant(nanoseconds: instant), time: Timestamp(milliseconds: wall)) }

    private func append() throws(Violation) {
        guard let log else { return }
        let count = random.chance(0.5) ? 1 : random.mostlySmall(30)
        var messages: [UInt64] = []
        var timestamps: [Int64] = []
        for _ in 0..<count {
            messages.append(nextMessage)
            timestamps.append(wall + skew - Int64(random.below(2_000)))
            nextMessage += 1
        }
        if random.chance(0.4) {
            for (message, timestamp) in zip(messages, timestamps) { try appendOne(message, timestamp, to: log) }
            return
        }
        var stamp: ReferenceBatch.Producer?
        if random.chance(0.5) {
            stamp = producer
            producer.sequence += Int32(count)
            sent.append((messages, timestamps, stamp ?? producer))
        }
        try appendBatch(messages, timestamps, stamp, to: log)
    }

    private func appendBatch(_ messages: [UInt64], _ timestamps: [Int64], _ stamp: ReferenceBatch.Producer?, to log: Log) throws(Violation) {
        guard !disk.isDown else { return }
        let batch = ReferenceBatch.encode(messages, timestamps: timestamps, producer: stamp)
        try answered(answer { () throws(LogError) in try log.append(batch: batch.rawSpan, now: now) }, messages, timestamps, by: log)
    }

    private func appendOne(_ message: UInt64, _ timestamp: Int64, to log: Log) throws(Violation) {
        guard !disk.isDown else { return }
        let payload = ReferenceBatch.payload(message)
        var parts = MessageParts(key: nil, payload: ByteRange(start: 0, count: payload.count))
        parts.timestamp = Timestamp(milliseconds: timestamp)
        try answered(answer { () throws(LogError) in try log.append(parts, input: payload.rawSpan, now: now) }, [message], [timestamp], by: log)
    }

    private func answered(_ answer: Result<AppendResult, LogError>, _ messages: [UInt64], _ timestamps: [Int64], by log: Log) throws(Violation) {
        guard !disk.isDown else {
            oracle.appendFailed(messages, timestamps: timestamps)
            return
        }
        switch answer {
        case .success(let result) where result.isDuplicate:
            // The offset of an old duplicate may be forgotten; that it is one may not.
            if result.baseOffset.rawValue >= 0 { try oracle.deduplicated(messages, base: result.baseOffset.rawValue) }
        case .success(let result):
            try oracle.appended(messages, timestamps: timestamps, base: result.baseOffset.rawValue, count: Int(result.count), at: wall)
            report.appended += messages.count
        case .failure(let error): try refused(error, messages, timestamps, by: log)
        }
    }

    private func refused(_ error: LogError, _ messages: [UInt64], _ timestamps: [Int64], by log: Log) throws(Violation) {
        switch error {
        case .storage:
            guard log.fault != nil else { throw Violation(.acknowledgedAfterError, "an append failed and the log did not: \(error)") }
            oracle.appendFailed(messages, timestamps: timestamps)
        case .outOfOrderSequence:
            // What came before was lost with a crash: a producer begins a new epoch then.
            producer = ReferenceBatch.Producer(id: producer.id, epoch: producer.epoch + 1, sequence: 0)
            sent = []
        case .producerFenced, .tooLarge: break
        default: throw Violation(.contract, "a good batch was refused: \(error)")
        }
    }

    /// An idempotent producer sends its last batch again.
    private func retry() throws(Violation) {
        guard let log, let last = sent.last else { return }
        // Whether it was lost with the last crash, the producer does not know.
        try appendBatch(last.messages, last.timestamps, last.producer, to: log)
    }

    private func tick() throws(Violation) {
        guard let log else { return }
        if log.needsTick || random.chance(0.3) { log.endTick(now: now) }
        if !disk.isDown, log.fault == nil { try oracle.ticked(end: log.watermarks.end.rawValue, written: log.written.rawValue, at: instant) }
        try look()
    }

    /// Time goes on; what ends meanwhile is told in its order.
    private func pass(_ nanoseconds: UInt64) throws(Violation) {
        let target = instant + nanoseconds
        // By minutes, or by years.
        if random.chance(0.03) { wall += Int64(random.within(-100_000...100_000)) * (clocks.chance(0.2) ? 1_000_000 : 1) }
        var rounds = 0
        while let log, !disk.isDown, rounds < 2_000 {
            rounds += 1
            if log.needsTick { log.endTick(now: now) }
            if disk.isDown { break }
            if log.fault == nil { try oracle.ticked(end: log.watermarks.end.rawValue, written: log.written.rawValue, at: instant) }
            let next = min(disk.nextCompletion.rawValue, max(log.nextDeadline.rawValue, instant + 1))
            guard next <= target else { break }
            let passed = max(next, instant) - instant
            instant += passed
            wall += Int64(passed / 1_000_000)
            for (ticket, result) in disk.completions(at: Instant(nanoseconds: instant)) where !disk.isDown {
                _ = log.storageCompleted(ticket, result, now: now)
                try look()
            }
            if !disk.isDown, log.nextDeadline.rawValue <= instant { log.endTick(now: now) }
        }
        if disk.isDown { return }
        wall += Int64((target - min(instant, target)) / 1_000_000)
        instant = max(instant, target)
        disk.advance(to: Instant(nanoseconds: instant))
        try look()
    }

    /// What can be seen from outside after each step.
    private func look() throws(Violation) {
        if let violation = disk.violations.first { throw violation }
        guard let log, !disk.isDown else { return }
        if let fault = log.fault, !profile.errors, profile.sabotage == nil { throw Violation(.contract, "a log on a healthy disk failed: \(fault)") }
        if log.fault != nil { oracle.faulted(flushed: log.watermarks.flushed.rawValue) }
        reads.saw(flushed: log.watermarks.flushed.rawValue, at: instant)
        try oracle.saw(log.watermarks, visibleEnd: log.visibleEnd.rawValue, waitsForFlush: options.durability.waitsForFlush)
        for (slice, content) in held where slice.memory.bytes(slice.range).equals(content.rawSpan) == false {
            throw Violation(.inconsistentOffset, "bytes that a reader holds have changed")
        }
        if held.count > 8 { held.removeFirst(4) }
    }

    private func read(from offset: Int64, all: Bool) throws(Violation) {
        guard let log, !disk.isDown else { return }
        let limit = log.visibleEnd
        var at = Offset(offset)
        repeat {
            let maxBytes = random.pick([1, 300, 5_000, 100_000])
            let cold = random.chance(0.5) ? ColdReads.comeBack(now.instant) : .wait
            let read = answer { () throws(LogError) in try log.read(from: at, maxBytes: maxBytes, below: limit, cold: cold) }
            if disk.isDown { return }
            switch read {
            case .failure(.loading):
                // What is awaited is under way, or hangs where operations may.
                let next = disk.nextCompletion
                guard next < .distantFuture else {
                    if disk.faults.stuck > 0 { return }
                    throw Violation(.noProgress, "a read at \(at) waits for nothing")
                }
                try pass(max(next, now.instant).nanoseconds(since: now.instant))
                // Retention may have come by.
                if at < log.watermarks.start { return }
            case .failure(.storage) where profile.errors: return
            case .failure(.damaged) where undiscovered != nil: return
            case .failure(let error): throw Violation(.pollSkip, "a read at \(at) (start \(oracle.start), visible \(limit)) failed: \(error)")
            case .success(nil):
                guard at >= limit else { throw Violation(.pollSkip, "nothing at \(at), visible is \(limit)") }
                return
            case .success(.some(let result)):
                let records = try ReferenceBatch.decode(result.slice)
                try oracle.read(records, from: at.rawValue, below: limit.rawValue)
                guard result.first.rawValue == records.first?.offset, result.next.rawValue - 1 == records.last?.offset else {
                    throw Violation(.pollSkip, "the result says \(result.first) ..< \(result.next) and holds other records")
                }
                at = result.next
                if random.chance(0.1) { held.append((result.slice, [UInt8](result.slice.memory.bytes(result.slice.range)))) }
            }
        } while all && at < limit
    }

    private func findTime() throws(Violation) {
        guard let log, !disk.isDown else { return }
        let time = wall + skew - Int64(random.below(10_000))
        guard case .success(let found) = answer({ () throws(LogError) in try log.offset(at: Timestamp(milliseconds: time)) }) else { return }
        guard !disk.isDown else { return }
        guard let found else {
            if let expected = oracle.firstOffset(atOrAfter: time, below: log.visibleEnd.rawValue) {
                throw Violation(.timeIndex, "nothing at or after \(time); offset \(expected) is")
            }
            return
        }
        guard oracle.timestamp(at: found.0.rawValue) == found.1.rawValue, found.1.rawValue >= time else {
            throw Violation(.timeIndex, "offset \(found.0) for \(time) has another time than \(found.1.rawValue)")
        }
        if let expected = oracle.firstOffset(atOrAfter: time, below: log.visibleEnd.rawValue), expected != found.0.rawValue {
            throw Violation(.timeIndex, "offset \(found.0) for \(time), the first is \(expected)")
        }
    }

    private func trim() throws(Violation) {
        guard let log, !disk.isDown, oracle.end > oracle.start else { return }
        let target = oracle.start + Int64(random.below(Int(log.visibleEnd.rawValue - oracle.start) + 1))
        guard case .success = answer({ () throws(LogError) in try log.trim(before: Offset(target)) }), !disk.isDown else { return }
        try oracle.startMoved(to: log.watermarks.start.rawValue, allowed: target)
    }

    private func retain() throws(Violation) {
        guard let log, !disk.isDown else { return }
        let floor = random.chance(0.5) ? Offset(oracle.start + Int64(random.below(Int(oracle.end - oracle.start) + 1))) : nil
        log.applyRetention(floor: floor, now: now)
        guard !disk.isDown else { return }
        try oracle.retained(
            to: log.watermarks.start.rawValue, floor: floor?.rawValue, age: options.retentionMilliseconds, at: wall,
            hasSurplus: options.retentionBytes >= 0 && log.bytes >= options.retentionBytes)
    }
}
