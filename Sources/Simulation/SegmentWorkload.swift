internal import Bytes
internal import SegmentLog

/// Every single damage of one small log, each followed by a recovery: cut at any byte, zeros from any byte on, any bit turned, any sector
/// zeroed or replaced by what stood elsewhere or there before, any tail of an earlier life; with its checkpoint and without. The demand is
/// exact: a model that knows the batches as they were appended, and their bytes, says where the log must end, or that it must be refused.
///
/// The log has two lives. The first one's tail was cut in its middle; the second wrote the same batches again, at the same places, with
/// other times. So whatever the first life left behind would fit, but for its incarnation.
package final class SegmentWorkload {
    package struct Report: Sendable {
        package var seed: Seed
        package var setting = ""
        package var violation: Violation?
        /// What was done to the log when the promise was broken.
        package var damage = ""
        package var recoveries = 0
        /// Recovered whole, cut to a shorter prefix, refused.
        package var whole = 0
        package var cut = 0
        package var refused = 0
        /// Damage below the watermark that a reader was told of.
        package var told = 0
        /// Recoveries that went on with an append, a crash and another recovery.
        package var continued = 0

        package init(seed: Seed) { self.seed = seed }

        package mutating func add(_ other: Report) {
            recoveries += other.recoveries
            whole += other.whole
            cut += other.cut
            refused += other.refused
            told += other.told
            continued += other.continued
        }

        package var text: String {
            "seed \(seed): \(violation?.description ?? "kept every promise")\(damage.isEmpty ? "" : "\n  after: \(damage)")\n  \(setting)"
        }
    }

    /// One batch as it was appended.
    private struct Batch {
        var base: Int64
        var last: Int64
        var file: Int
        var position: Int
        var size: Int
        var epoch: Int32
        var end: Int { position + size }
    }

    private let seed: Seed
    private var random: RandomStream
    private var report: Report
    private let every: Int
    private var options = Log.Options()
    private let directory = "logs/1-0"
    private var now = Now(instant: Instant(nanoseconds: 1_000_000_000), time: Timestamp(milliseconds: 1_700_000_000_000))

    private var picture = PictureStorage("", [], room: 0)
    private var batches: [Batch] = []
    /// The same files as the first life left them.
    private var stale: [[UInt8]] = []
    private var checkpointFile = 0
    private var watermark: Int64 = 0
    private var incarnation: Int32 = 0
    private var trials = 0
    private var hasCheckpoint = true

    /// - Parameters:
    ///   - bytes: how long the log is.
    ///   - every: 1 for all damages; 10 for each tenth.
    package static func run(_ seed: Seed, bytes: Int, every: Int = 1) -> Report {
        let workload = SegmentWorkload(seed, bytes, every)
        do {
            try workload.build(bytes)
            try workload.spoilAll()
        } catch { workload.report.violation = error }
        return workload.report
    }

    private init(_ seed: Seed, _ bytes: Int, _ every: Int) {
        self.seed = seed
        self.every = max(1, every)
        random = seed.stream("segments")
        report = Report(seed: seed)
        options.durability = .group
        options.maxMessageBytes = 16_384
        options.indexIntervalBytes = random.pick([0, 256, 4_096])
        // One segment, or a few.
        options.segmentBytes = seed.rawValue.isMultiple(of: 2) ? 2 * bytes : bytes / 3
    }

    // MARK: The picture

    private func build(_ bytes: Int) throws(Violation) {
        let disk = SimulatedDisk(seed: seed, faults: .none)
        let sizes = random.pick(bytes > 32_768 ? [0...20, 0...700, 500...1_100] : [0...5, 0...20, 40...59])
        var log = try open(disk)
        var messages: [(first: UInt64, count: Int)] = []
        var written: [Batch] = []
        var nextMessage = seed.rawValue &* 1_000_000 &+ 1

        func append(_ first: UInt64, _ count: Int, time: Int64) throws(Violation) {
            let numbers = (0..<UInt64(count)).map { first + $0 }
            let batch = ReferenceBatch.encode(numbers, timestamps: numbers.map { _ in time }, producer: nil)
            guard let result = answer({ () throws(LogError) in try log.append(batch: batch.rawSpan, now: now) }) else {
                throw Violation(.contract, "a good batch is refused")
            }
            written.append(
                Batch(
                    base: result.baseOffset.rawValue, last: result.baseOffset.rawValue + Int64(count) - 1, file: 0, position: 0, size: batch.count,
                    epoch: log.incarnation))
            settle(log, disk)
        }

        while written.reduce(0, { $0 + $1.size }) < bytes {
            // Payloads have the size that their number says.
            while !sizes.contains(ReferenceBatch.size(nextMessage)) { nextMessage += 1 }
            let count = sizes.contains(ReferenceBatch.size(nextMessage + 1)) ? 2 : 1
            try append(nextMessage, count, time: 1_000_000)
            messages.append((nextMessage, count))
            nextMessage += UInt64(count)
        }
        guard messages.count >= 12 else { throw Violation(.contract, "a log of \(messages.count) batches is too short") }
        disk.kill()
        let old = Dictionary(uniqueKeysWithValues: disk.paths.map { ($0, disk.content($0) ?? []) })

        // The tail of the first life goes, from the middle of the log on, as if it had never been acknowledged.
        let middle = messages.count / 2
        for path in disk.paths where path.hasSuffix("/" + LogFiles.checkpoint) { try cutFirstLife(disk, path, from: written[middle]) }
        written.removeSubrange(middle...)
        log = try open(disk)
        guard log.watermarks.end.rawValue == (written.last?.last ?? -1) + 1 else {
            throw Violation(.contract, "the first life ends at \(log.watermarks.end), not in its middle")
        }
        for (index, (first, count)) in messages.enumerated().dropFirst(middle) {
            // The checkpoint of now is the last one: what follows is acknowledged and above it.
            if index == messages.count * 3 / 4 {
                now.instant = now.instant.advanced(byNanoseconds: 2_000_000_000)
                settle(log, disk)
            }
            try append(first, count, time: 1_000_001)
        }
        disk.kill()
        try take(disk, written, old)
    }

    /// Spoils the first life's log from `batch` on, which its checkpoint does not vouch for, so that the next recovery cuts it there.
    private func cutFirstLife(_ disk: SimulatedDisk, _ path: String, from batch: Batch) throws(Violation) {
        for log in disk.paths where log.hasSuffix(".log") {
            guard let name = log.split(separator: "/").last, let (base, _) = LogFiles.parse(String(name)), let content = disk.durableContent(log) else {
                continue
            }
            var position = 0
            var at = base.rawValue
            while position + 12 <= content.count, at < batch.base, let size = Self.size(content, position) {
                at = Self.last(content, position) + 1
                position += size
            }
            guard at >= batch.base else { continue }
            disk.overwrite(log, at: position, with: [UInt8](repeating: 0, count: content.count - position))
        }
        // Indexes of what is gone go with it.
        for later in disk.paths where later.hasSuffix("index") { _ = try? disk.remove(later) }
        let bytes = disk.content(path) ?? []
        guard let found = try? Checkpoint(decoding: bytes.rawSpan), found.durable.rawValue <= batch.base else {
            throw Violation(.contract, "the first life's checkpoint lies behind its middle")
        }
    }

    private static func big(_ bytes: [UInt8], _ at: Int, _ count: Int) -> Int64 { bytes[at..<at + count].reduce(0) { $0 << 8 | Int64($1) } }
    /// The size of the batch at `position`; nil where there is none.
    private static func size(_ bytes: [UInt8], _ position: Int) -> Int? {
        let length = Int(big(bytes, position + 8, 4))
        return length > 0 ? length + 12 : nil
    }
    private static func last(_ bytes: [UInt8], _ position: Int) -> Int64 { big(bytes, position, 8) + big(bytes, position + 23, 4) }

    private func take(_ disk: SimulatedDisk, _ written: [Batch], _ old: [String: [UInt8]]) throws(Violation) {
        var contents: [(name: String, bytes: [UInt8])] = []
        for path in disk.paths where path.hasPrefix(directory + "/") {
            let name = String(path.dropFirst(directory.utf8.count + 1))
            contents.append((name, disk.content(path) ?? []))
            stale.append(old[path] ?? [])
        }
        picture = PictureStorage(directory, contents, room: max(options.segmentBytes * 2, 1 << 16))
        // Where each batch lies is read from the files, by its base offset.
        batches = written
        var found = 0
        for (file, (name, bytes)) in contents.enumerated() where LogFiles.parse(name)?.kind == .log {
            var position = 0
            while position + 61 <= bytes.count, let size = Self.size(bytes, position) {
                let base = Self.big(bytes, position, 8)
                guard let index = batches.firstIndex(where: { $0.base == base }), batches[index].size == size else {
                    throw Violation(.contract, "the file has a batch at \(base) that was not appended")
                }
                batches[index].file = file
                batches[index].position = position
                found += 1
                position += size
            }
        }
        guard found == batches.count else { throw Violation(.lostWrite, "\(found) of \(batches.count) batches are in the files") }
        guard let file = picture.index(of: LogFiles.checkpoint) else { throw Violation(.contract, "the log has no checkpoint") }
        checkpointFile = file
        let bytes = picture.files[file].original
        guard let checkpoint = try? Checkpoint(decoding: bytes.rawSpan) else { throw Violation(.contract, "the log's checkpoint cannot be read") }
        watermark = checkpoint.durable.rawValue
        incarnation = checkpoint.incarnation
        guard incarnation > 0, watermark > batches[batches.count / 2].base, watermark < batches[batches.count - 2].base else {
            throw Violation(.contract, "the watermark \(watermark) is not between the middle and the end, \(end)")
        }
        let count = Set(batches.map(\.file)).count
        report.setting = "\(batches.count) batches, \(count) segments, watermark \(watermark) of \(end), index every \(options.indexIntervalBytes) B"
    }

    private var end: Int64 { (batches.last?.last ?? -1) + 1 }

    private func open(_ storage: any LogStorage) throws(Violation) -> Log {
        do throws(LogError) { return try Log(directory: directory, number: 3, options: options, storage: storage, now: now) } catch {
            throw Violation(.falseAlarm, "a sound log is refused: \(error)")
        }
    }

    private func settle(_ log: Log, _ disk: SimulatedDisk) {
        while !disk.isDown {
            log.endTick(now: now)
            let next = disk.nextCompletion
            guard next < .distantFuture else { return }
            now.instant = max(now.instant, next)
            disk.advance(to: now.instant)
            for (ticket, result) in disk.completions(at: now.instant) where !disk.isDown { _ = log.storageCompleted(ticket, result, now: now) }
        }
    }

    private func answer<Value>(_ body: () throws(LogError) -> Value) -> Value? { do throws(LogError) { return try body() } catch { return nil } }

    // MARK: All damages

    private func spoilAll() throws(Violation) {
        try trial("nothing", 0, 0..<0) {}
        for file in logFiles { try spoil(file) }
        try spoilCheckpoint()
        picture.hide(checkpointFile)
        hasCheckpoint = false
        try trial("no checkpoint", 0, 0..<0) {}
        for file in logFiles { try spoil(file) }
        guard let violation = picture.violations.first else { return }
        throw violation
    }

    private var logFiles: [Int] { picture.files.indices.filter { LogFiles.parse(picture.files[$0].name)?.kind == .log } }

    private func spoil(_ file: Int) throws(Violation) {
        let name = picture.files[file].name
        let content = picture.files[file].original
        // Of the zeros ahead a few are enough.
        let size = min(content.count, (batches.last { $0.file == file }?.end ?? 0) + 600)
        for position in 0..<size {
            try trial("\(name) cut to \(position) bytes", file, position..<content.count) { picture.cut(file, to: position) }
            try trial("\(name) zero from \(position) on", file, position..<content.count) { picture.zero(file, position..<content.count) }
            for bit in 0..<8 {
                try trial("\(name): bit \(bit) of byte \(position)", file, position..<position + 1) { picture.flip(file, at: position, bit: bit) }
            }
        }
        let sector = DiskFile.sector
        for at in stride(from: 0, to: size, by: sector) {
            let range = at..<min(at + sector, size)
            try trial("\(name): zeros at \(at)", file, range) { picture.zero(file, range) }
            for from in stride(from: 0, to: size, by: sector) where from != at {
                let other = Array(content[from..<min(from + sector, size)])
                try trial("\(name): the sector of \(from) at \(at)", file, range) { picture.put(other, into: file, at: at) }
            }
            if hasCheckpoint, stale[file].count > at {
                let other = Array(stale[file][at..<min(at + sector, stale[file].count)])
                try trial("\(name): the first life's sector at \(at)", file, range) { picture.put(other, into: file, at: at) }
            }
        }
        // Without the checkpoint nobody can know that they are old.
        guard hasCheckpoint else { return }
        // Whole batches of the first life, where sectors would have to end by chance.
        for batch in batches where batch.file == file && stale[file].count > batch.position {
            let tail = Array(stale[file][batch.position..<min(stale[file].count, size)])
            try trial("\(name): the first life's tail from \(batch.position) on", file, batch.position..<size) {
                picture.put(tail, into: file, at: batch.position)
            }
            let one = Array(tail.prefix(batch.size))
            try trial("\(name): the first life's batch at \(batch.position)", file, batch.position..<batch.end) {
                picture.put(one, into: file, at: batch.position)
            }
        }
    }

    /// What is wrong with the checkpoint costs nothing but the time to read all batches.
    private func spoilCheckpoint() throws(Violation) {
        let size = picture.files[checkpointFile].original.count
        for position in 0..<size {
            try trial("checkpoint cut to \(position) bytes", checkpointFile, 0..<size) { picture.cut(checkpointFile, to: position) }
            for bit in 0..<8 {
                try trial("checkpoint: bit \(bit) of byte \(position)", checkpointFile, 0..<size) { picture.flip(checkpointFile, at: position, bit: bit) }
            }
        }
    }

    // MARK: One damage

    private enum Expected: Equatable { case end(Int64), refusal }

    private func trial(_ what: @autoclosure () -> String, _ file: Int, _ range: Range<Int>, _ spoil: () -> Void) throws(Violation) {
        trials += 1
        if every > 1, !range.isEmpty, Int(Seed.mix(UInt64(trials)) % UInt64(every)) != 0 { return }
        spoil()
        defer {
            picture.restore(file, range)
            if !hasCheckpoint { picture.hide(checkpointFile) }
        }
        do throws(Violation) { try recover(file, range) } catch {
            report.damage = what() + (hasCheckpoint ? "" : ", without a checkpoint")
            throw error
        }
    }

    private func recover(_ file: Int, _ range: Range<Int>) throws(Violation) {
        report.recoveries += 1
        let expected: Expected = file == checkpointFile ? .end(end) : expectation(file, range)
        let log: Log
        do throws(LogError) {
            log = try Log(directory: directory, number: 3, options: options, storage: picture, now: now, readiesInBackground: false)
        } catch {
            guard case .damaged = error else { throw Violation(.falseAlarm, "refused for another reason than damage: \(error)") }
            guard picture.openFiles == 0 else { throw Violation(.leak, "\(picture.openFiles) files of a refused log stay open") }
            guard expected == .refusal else { throw Violation(.falseAlarm, "refused (\(error)), where \(expected) was due") }
            report.refused += 1
            return
        }
        defer { picture.endProcess() }
        let found = log.watermarks.end.rawValue
        guard case .end(let due) = expected else {
            throw Violation(.silentDamage, "opened up to \(found), where it was to be refused (watermark \(watermark))")
        }
        guard found >= due else { throw Violation(.lostWrite, "recovered up to \(found), where sound batches go to \(due)") }
        guard found <= due else { throw Violation(.phantom, "recovered up to \(found), where sound batches end at \(due)") }
        if found == end { report.whole += 1 } else { report.cut += 1 }
        guard log.watermarks.start == .zero, log.watermarks.flushed == log.watermarks.end else {
            throw Violation(.disorder, "the recovered watermarks are \(log.watermarks)")
        }
        try read(log, file, range)
        if report.recoveries % 997 == 0 { try goOn(from: due) }
    }

    /// Where a log with this damage ends, from the batches as they were and the bytes as they are.
    private func expectation(_ file: Int, _ range: Range<Int>) -> Expected {
        if hasCheckpoint {
            // What was durable for certain is not scanned; that it is missing shows all the same.
            for batch in batches where batch.file == file && batch.base < watermark && batch.end > picture.files[file].size { return .refusal }
        }
        var newest: Int32 = -1
        for (index, batch) in batches.enumerated() where !hasCheckpoint || batch.base >= watermark {
            var isSound = true
            var epoch = batch.epoch
            if batch.file == file, batch.end > range.lowerBound, batch.position < range.upperBound {
                isSound = batch.end <= picture.files[file].size && !isChanged(batch)
                if isSound { epoch = Int32(truncatingIfNeeded: Self.big(picture.files[file].memory.copied(batch.position + 12..<batch.position + 16), 0, 4)) }
            }
            if isSound, epoch >= newest, !hasCheckpoint || epoch >= incarnation {
                newest = epoch
                continue
            }
            guard !hasCheckpoint else { return .end(batch.base) }
            // Nobody knows what was durable: nothing is cut before something sound, nor before the last segment.
            let isHole = batches[(index + 1)...].contains { $0.file == batch.file && !isChanged($0) } || isMoved(batch)
            return isHole || batch.base < lastSegment ? .refusal : .end(batch.base)
        }
        return .end(end)
    }

    /// Whether only its base offset is another, and behind where it should be: sound all the same, as its checksum does not cover that.
    private func isMoved(_ batch: Batch) -> Bool {
        let file = picture.files[batch.file]
        guard batch.end <= file.size else { return false }
        let bytes = file.memory.copied(batch.position..<batch.end)
        return Self.big(bytes, 0, 8) > batch.base && bytes[8...].elementsEqual(file.original[batch.position + 8..<batch.end])
    }

    /// Where the last segment begins.
    private var lastSegment: Int64 { batches.first { $0.file == batches[batches.count - 1].file }?.base ?? 0 }

    /// Whether bytes differ that its checksum, its structure or its place answers for: all but the leader epoch.
    private func isChanged(_ batch: Batch) -> Bool {
        let file = picture.files[batch.file]
        guard batch.end <= file.size else { return true }
        let bytes = file.memory.copied(batch.position..<batch.end)
        let original = file.original[batch.position..<batch.end]
        return !bytes[..<12].elementsEqual(original.prefix(12)) || !bytes[16...].elementsEqual(original.dropFirst(16))
    }

    /// Damage below the watermark is not looked for by recovery: whoever reads there is told, or finds another offset than the next.
    private func read(_ log: Log, _ file: Int, _ range: Range<Int>) throws(Violation) {
        guard !range.isEmpty, range.count <= DiskFile.sector, file != checkpointFile else { return }
        for batch in batches where batch.file == file && batch.base < watermark && batch.end > range.lowerBound && batch.position < range.upperBound {
            guard batch.last < log.watermarks.end.rawValue else { return }
            let isChanged = isChanged(batch)
            guard let view = answer({ () throws(LogError) in try log.batch(at: Offset(batch.base), below: log.watermarks.end) }) ?? nil,
                view.baseOffset.rawValue == batch.base, view.lastOffset.rawValue == batch.last,
                answer({ () throws(LogError) in try log.check(view) }) != nil
            else {
                // A batch in front of it may have hidden it.
                guard isChanged || batches.contains(where: { $0.file == file && $0.position < batch.position && $0.end > range.lowerBound - 4_096 }) else {
                    throw Violation(.falseAlarm, "the sound batch at \(batch.base) cannot be read")
                }
                report.told += 1
                continue
            }
            // A known limit: a whole older batch at its very place, below the watermark.
            guard isChanged, !isOfFirstLife(batch), !isBodyOfAnother(batch) else { continue }
            throw Violation(.silentDamage, "the batch at \(batch.base) was changed and is read as sound")
        }
    }

    private func isOfFirstLife(_ batch: Batch) -> Bool {
        guard stale[batch.file].count >= batch.end else { return false }
        return picture.files[batch.file].memory.copied(batch.position..<batch.end).elementsEqual(stale[batch.file][batch.position..<batch.end])
    }

    /// The other known limit: all but its base offset is another batch's, since a sector from elsewhere began right behind that.
    private func isBodyOfAnother(_ batch: Batch) -> Bool {
        let body = picture.files[batch.file].memory.copied(batch.position + 17..<batch.end)
        return batches.contains { other in
            other.size == batch.size && other.base != batch.base
                && body.elementsEqual(picture.files[other.file].original[other.position + 17..<other.end])
        }
    }

    // MARK: And then

    /// On a disk that takes changes: what was recovered takes an append, loses power, and is recovered again, perhaps in the middle of it.
    private func goOn(from due: Int64) throws(Violation) {
        report.continued += 1
        let disk = SimulatedDisk(seed: seed.part(report.recoveries), faults: .none)
        for name in picture.files where name.isThere { try copy(name, to: disk) }
        var log = try open(disk)
        guard log.watermarks.end.rawValue == due else { throw Violation(.unstableRecovery, "another disk recovers it to \(log.watermarks.end), not \(due)") }
        if random.chance(0.5) { disk.crash(afterChanges: 1 + random.below(12)) }
        let message = seed.rawValue &* 1_000_000 &+ 999_999
        let batch = ReferenceBatch.encode([message], timestamps: [now.time.rawValue], producer: nil)
        let result = answer { () throws(LogError) in try log.append(batch: batch.rawSpan, now: now) }
        settle(log, disk)
        let isKept = !disk.isDown && log.fault == nil && result != nil && log.watermarks.flushed.rawValue > due
        guard isKept || disk.isDown else { throw Violation(.noProgress, "a recovered log takes nothing: \(log.watermarks)") }
        if disk.isDown { disk.restart() } else if random.chance(0.5) { disk.crash() } else { disk.kill() }
        for _ in 0..<2 {
            log = try open(disk)
            let found = log.watermarks.end.rawValue
            guard found == due + 1 || (found == due && !isKept) else {
                throw Violation(found < due ? .lostWrite : .unstableRecovery, "recovered to \(due), appended one, recovered to \(found)")
            }
            disk.kill()
        }
    }

    private func copy(_ file: PictureStorage.File, to disk: SimulatedDisk) throws(Violation) {
        do throws(StorageError) {
            try disk.makeDirectory(directory)
            try disk.create(directory + "/" + file.name, file.memory.copied(0..<file.size), syncs: true)
            try disk.syncDirectory(directory)
        } catch { throw Violation(.contract, "the picture cannot be copied: \(error)") }
    }
}
