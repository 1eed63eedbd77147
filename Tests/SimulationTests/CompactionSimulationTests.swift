import Bytes
import SegmentLog
import Testing

@testable import Simulation

/// A compacted log on a disk that loses power: appends, passes and crashes at any change, of recovery as well. Method: after each start
/// the log is compared with everything that was ever appended. Goal: a record that is the newest of its key is never lost once it was
/// flushed; nothing comes back that a reader of a later state has not seen, nothing is altered, and no start is refused.
@Suite struct CompactionSimulationTests {
    private struct Appended {
        var key: Int
        var value: Int?
    }

    private final class Life {
        let disk: SimulatedDisk
        var random: RandomStream
        var options = Log.Options()
        var log: Log?
        var instant: UInt64 = 1_000_000_000
        /// By offset.
        var history: [Appended] = []
        var flushed = 0
        var swaps = 0
        var shrunk = false

        init(_ seed: UInt64, errors: Bool) {
            let seed = Seed(rawValue: seed)
            random = seed.stream("compaction")
            disk = SimulatedDisk(seed: seed, faults: errors ? .swarm(&random) : .crashesOnly(&random))
            options.cleanup = .compact
            options.segmentBytes = random.pick([600, 1_500, 4_000])
            options.indexIntervalBytes = random.pick([0, 200])
            options.compaction.minDirtyRatio = 0.05
            options.compaction.deleteRetentionMilliseconds = random.pick([0, 1 << 40])
        }

        var now: Now { Now(instant: Instant(nanoseconds: instant), time: Timestamp(milliseconds: 1_700_000_000_000 + Int64(instant / 1_000_000))) }
        var keepsTombstones: Bool { options.compaction.deleteRetentionMilliseconds > 0 }

        /// nil: power went, or a write-back that failed before shows now.
        func open() -> Result<Void, LogError> {
            do throws(LogError) {
                log = try Log(directory: "logs/1-0", number: 3, options: options, storage: disk, now: now)
                let end = Int(log?.watermarks.end.rawValue ?? 0)
                #expect(end >= flushed && end <= history.count, "\(end) of \(history.count), \(flushed) flushed")
                history.removeLast(max(0, history.count - end))
                return .success(())
            } catch { return .failure(error) }
        }

        func append() {
            guard let log, !disk.isDown else { return }
            var buffer = ByteBuffer()
            var builder = RecordBatchBuilder(into: &buffer)
            let count = random.within(1...4)
            var added: [Appended] = []
            for _ in 0..<count {
                let entry = Appended(key: random.below(12), value: random.chance(0.15) ? nil : history.count + added.count)
                added.append(entry)
                builder.append(
                    key: Array("key \(entry.key)".utf8), value: entry.value.map { Array("value \($0)".utf8) }, timestamp: now.time, into: &buffer)
            }
            builder.finish(into: &buffer)
            do throws(LogError) {
                let result = try log.append(batch: buffer.bytes, now: now)
                #expect(result.baseOffset.rawValue == Int64(history.count))
                history += added
            } catch {
                // It may be there afterwards.
                history += added
            }
        }

        func pass(_ nanoseconds: UInt64) {
            guard let log else { return }
            let end = instant + nanoseconds
            log.endTick(now: now)
            while !disk.isDown {
                let next = min(disk.nextCompletion, log.nextDeadline)
                guard next <= Instant(nanoseconds: end) else { break }
                instant = max(instant + 1, next.rawValue)
                for (ticket, result) in disk.completions(at: Instant(nanoseconds: instant)) { _ = log.storageCompleted(ticket, result, now: now) }
                log.endTick(now: now)
                note()
            }
            instant = max(instant, end)
            disk.advance(to: Instant(nanoseconds: instant))
            note()
        }

        func note() {
            guard let log, log.fault == nil, !disk.isDown else { return }
            flushed = max(flushed, Int(log.watermarks.flushed.rawValue))
            if let report = log.takeCompactionReport() {
                swaps += 1
                if report.removedRecords > 0 { shrunk = true }
            }
        }

        /// What a reader finds; nil when reading failed for an error of the disk.
        func found(_ log: Log) throws -> [(offset: Int, entry: Appended)]? {
            var found: [(offset: Int, entry: Appended)] = []
            var at = log.watermarks.start
            do throws(LogError) {
                while let result = try log.read(from: at, maxBytes: 1 << 20, below: log.watermarks.end) {
                    let bytes = [UInt8](result.slice.memory.bytes(result.slice.range))
                    found += Life.entries(bytes)
                    at = result.next
                }
            } catch {
                if case .storage = error { return nil }
                Issue.record("reading: \(error)")
                return nil
            }
            return found
        }

        static func entries(_ bytes: [UInt8]) -> [(offset: Int, entry: Appended)] {
            var found: [(offset: Int, entry: Appended)] = []
            var position = 0
            do {
                while position < bytes.count {
                    let header = try RecordBatchHeader(decoding: bytes.rawSpan, at: position)
                    let isSound = header.checksumHolds(in: bytes.rawSpan, at: position)
                    #expect(isSound)
                    var reader = try RecordReader(
                        bytes.rawSpan, records: (position + RecordBatchHeader.byteCount)..<(position + header.totalByteCount))
                    while let record = try reader.next() {
                        func number(_ range: ByteRange?) -> Int? {
                            range.flatMap { Int(String(decoding: bytes[$0.indices], as: UTF8.self).split(separator: " ")[1]) }
                        }
                        found.append(
                            (Int(header.baseOffset.rawValue) + Int(record.offsetDelta), Appended(key: number(record.key) ?? -1, value: number(record.value))))
                    }
                    position += header.totalByteCount
                }
            } catch { Issue.record("\(error)") }
            return found
        }

        func check(_ seed: UInt64) throws {
            guard let log else { return }
            guard let found = try found(log) else { return }
            let end = Int(log.watermarks.end.rawValue)
            #expect(end >= flushed, "seed \(seed): ends at \(end), \(flushed) were flushed")
            #expect(end <= history.count)
            var last = -1
            for (offset, entry) in found {
                #expect(offset > last && offset < end)
                last = offset
                guard offset < history.count else { continue }
                #expect(history[offset].key == entry.key && history[offset].value == entry.value, "seed \(seed) at \(offset)")
            }
            var newest: [Int: Int] = [:]
            for (offset, entry) in history.enumerated() { newest[entry.key] = offset }
            let there = Set(found.map(\.offset))
            for (key, offset) in newest where history[offset].value != nil || keepsTombstones {
                #expect(there.contains(offset), "seed \(seed): key \(key) at \(offset) of \(end) is lost")
            }
            // Behind what may have holes everything is there.
            for offset in Int(log.holesBelow.rawValue)..<max(end, Int(log.holesBelow.rawValue)) { #expect(there.contains(offset)) }
        }
    }

    @Test(arguments: [false, true])
    func nothingThatIsNewestIsEverLost(errors: Bool) throws {
        var swaps = 0
        var shrunk = 0
        var crashes = 0
        for seed in 1...(errors ? 60 : 120) as ClosedRange<UInt64> {
            let life = Life(seed, errors: errors)
            for round in 0..<6 {
                if round > 0 { life.disk.heal() }
                if round > 0, life.random.chance(0.4) {
                    // Power goes while the log is opened, or at its first append.
                    life.disk.crash(afterChanges: life.random.within(1...10))
                    if case .success = life.open() { life.append(); life.pass(5_000_000) }
                    life.log = nil
                    if life.disk.isDown { life.disk.restart() } else { life.disk.crash() }
                    life.disk.heal()
                }
                var opened = life.open()
                for _ in 0..<3 { if case .failure(.storage) = opened { opened = life.open() } }
                if case .failure(let error) = opened {
                    if case .storage = error, errors { break }
                    Issue.record("seed \(seed) round \(round): refused: \(error)")
                    break
                }
                try life.check(seed)
                if errors { var calm = DiskFaults.swarm(&life.random); calm.capacity = nil; life.disk.faults = calm }
                if life.random.chance(0.7) { life.disk.crash(afterChanges: life.random.within(1...250)) }
                for _ in 0..<life.random.within(5...40) {
                    for _ in 0..<life.random.within(1...6) { life.append() }
                    life.pass(UInt64(life.random.pick([100_000, 20_000_000, 1_500_000_000])))
                    if let log = life.log, !life.disk.isDown, log.fault == nil, log.compactionDue(now: life.now) != nil {
                        let memory = life.random.pick([24 * 24, 1 << 16])
                        do throws(LogError) { try log.compact(CompactionLimits(memoryBytes: memory), now: life.now) } catch { continue }
                    }
                    if life.disk.isDown { break }
                }
                if !life.disk.isDown, life.log?.fault == nil, life.random.chance(0.3) {
                    try? life.log?.close(now: life.now)
                    life.pass(40_000_000_000)
                    life.log = nil
                    if life.disk.isDown { life.disk.restart() } else { life.disk.kill() }
                } else {
                    life.log = nil
                    if life.disk.isDown { life.disk.restart() } else if life.random.chance(0.5) { life.disk.kill() } else { life.disk.crash() }
                    crashes += 1
                }
            }
            #expect(life.disk.violations.isEmpty, "seed \(seed): \(life.disk.violations)")
            swaps += life.swaps
            shrunk += life.shrunk ? 1 : 0
        }
        // The test has looked at something.
        #expect(swaps > 100 && shrunk > 30 && crashes > 100, "\(swaps) passes, \(shrunk) lives with fewer records, \(crashes) crashes")
    }
}
