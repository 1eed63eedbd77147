// What a crash, a flipped bit or a lost file leaves behind, and what opening makes of it (S14-S16): tails are cut, damage is refused.
import Bytes
import Testing

@testable import SegmentLog

@Suite struct RecoveryTests {
    private let directory = "logs/1-0"
    private func segment(_ base: Int64 = 0) -> String { directory + "/" + LogFiles.name(Offset(base), .log) }

    /// A log with `durable` batches below the checkpoint's watermark and `more` flushed ones behind it, as a killed process leaves it.
    private func killed(durable: Int, more: Int, options: Log.Options = small(), segmentBytes: Int = 1 << 20) throws -> Bench {
        var options = options
        options.segmentBytes = segmentBytes
        let bench = try Bench(options)
        for index in 0..<durable + more {
            if index == durable - 1 { bench.pass(milliseconds: 2_000) }
            try bench.append("message \(index)")
            bench.settle()
            if index == durable - 1, bench.log.background.isCheckpointDirty {
                bench.pass(milliseconds: 1_000)
                bench.settle()
            }
        }
        return bench
    }

    private func open(_ disk: MemoryStorage) throws -> Bench {
        var options = small()
        options.segmentBytes = 1 << 20
        return try Bench(options, disk: disk)
    }

    @Test func aTailTornAtAnyByteIsCutAtABatchAndWrittenOn() throws {
        let bench = try killed(durable: 2, more: 3)
        let whole = try bench.disk.content(segment())
        let starts = try boundaries(whole)
        for length in starts[2]...whole.count {
            for padding in [0, 1, 100] {
                let kept = starts.filter { $0 <= length }.count - 1
                // Zeros that are missing at the end and zeros that follow it are the same; a cut within a head's zeros is none.
                let end = kept + 1 < starts.count ? starts[kept + 1] : length
                if padding > 0, whole[length..<end].allSatisfy({ $0 == 0 }), length < end { continue }
                let isTorn = whole[starts[kept]..<length].contains { $0 != 0 }
                let disk = try bench.disk.copy(directory)
                try disk.put(Array(whole.prefix(length)) + [UInt8](repeating: 0, count: padding), segment())
                let found = try open(disk)
                #expect(found.log.recovery.truncatedAt == (isTorn ? Offset(Int64(kept)) : nil))
                #expect(found.log.watermarks == Watermarks(start: .zero, flushed: Offset(Int64(kept)), end: Offset(Int64(kept))))
                try found.append("after")
                found.settle()
                try found.reopen()
                #expect(found.log.recovery.truncatedAt == nil)
                #expect(try found.texts().map(\.1) == (0..<kept).map { "message \($0)" } + ["after"])
            }
        }
    }

    @Test func aFlippedBitBelowTheWatermarkRefusesTheLogAndAboveItCutsTheTail() throws {
        let bench = try killed(durable: 3, more: 2)
        let whole = try bench.disk.content(segment())
        let starts = try boundaries(whole)
        for position in whole.indices {
            // Base offset and leader epoch lie outside the checksum; the order of offsets guards the one, nothing the other.
            let batch = starts.filter { $0 <= position }.count - 1
            if (12..<16).contains(position - starts[batch]) { continue }
            let disk = try bench.disk.copy(directory)
            var bytes = whole
            bytes[position] ^= 0x10
            try disk.put(bytes, segment())
            // The scan begins at the watermark, so what is below is found by whoever looks there.
            let report = try LogVerification(directory: directory, storage: disk)
            if batch < 3 {
                #expect(!report.isSound, "byte \(position)")
                try disk.put(Array(try damagedCheckpoint(disk)), directory + "/checkpoint")
                #expect(throws: LogError.self, "byte \(position)") { try open(disk) }
            } else {
                #expect(report.isSound, "byte \(position)")
                let found = try open(disk)
                #expect(found.log.watermarks.end == Offset(Int64(batch)), "byte \(position)")
                #expect(found.log.recovery.truncatedAt == Offset(Int64(batch)))
            }
        }
    }

    /// The same watermark, but the scan begins at the front: as if the checkpoint's place were earlier than its watermark.
    private func damagedCheckpoint(_ disk: MemoryStorage) throws -> [UInt8] {
        let content = try disk.content(directory + "/checkpoint")
        var checkpoint = try Checkpoint(decoding: content.rawSpan)
        checkpoint.durableSegment = .zero
        checkpoint.durablePosition = 0
        return checkpoint.encoded()
    }

    @Test func durableBytesThatAreMissingRefuseTheLog() throws {
        let bench = try killed(durable: 3, more: 0)
        let whole = try bench.disk.content(segment())
        let disk = try bench.disk.copy(directory)
        try disk.put(Array(whole.dropLast()), segment())
        #expect(throws: LogError.self) { try open(disk) }
        try disk.remove(segment())
        #expect(throws: LogError.self) { try open(disk) }
    }

    @Test(arguments: [true, false]) func aMissingMiddleSegmentRefusesTheLog(_ isClean: Bool) throws {
        let bench = try killed(durable: 60, more: 0, segmentBytes: 1_000)
        if isClean { try bench.log.close(now: bench.now) }
        let bases = try bench.disk.list(directory).compactMap { LogFiles.parse($0.name) }.filter { $0.kind == .log }.map(\.base)
        #expect(bases.count > 3)
        try bench.disk.remove(segment(bases[1].rawValue))
        #expect(throws: LogError.self) { try bench.reopen() }
        #expect(bench.disk.openCount <= 2)
    }

    /// Found by power cuts: later segments had reached the disk and the torn one was not durable, and that was called damage.
    @Test(arguments: [true, false]) func verificationJudgesATornSegmentInTheMiddleByTheWatermark(_ isDurable: Bool) throws {
        let bench = try killed(durable: isDurable ? 60 : 3, more: isDurable ? 0 : 57, segmentBytes: 1_000)
        let bases = try bench.disk.list(directory).compactMap { LogFiles.parse($0.name) }.filter { $0.kind == .log }.map(\.base)
        #expect(bases.count > 3)
        let torn = segment(bases[2].rawValue)
        try bench.disk.put(Array(try bench.disk.content(torn).prefix(100)), torn)
        let report = try LogVerification(directory: directory, storage: bench.disk)
        #expect(report.isSound == !isDurable, "\(report.findings)")
        if isDurable {
            #expect(throws: LogError.self) { try bench.reopen() }
            return
        }
        try bench.reopen()
        #expect(bench.log.recovery.truncatedAt == bench.log.watermarks.end)
        #expect(bench.log.watermarks.end < bases[3])
    }

    /// Found by a power cut: of a torn batch the sector with the base offset was missing, and what seemed to follow lay below the watermark.
    @Test func verificationBelievesNothingBehindTheFirstBatchThatIsTorn() throws {
        let bench = try killed(durable: 3, more: 2)
        var whole = try bench.disk.content(segment())
        let start = try boundaries(whole)[3]
        whole.replaceSubrange(start..<start + 8, with: repeatElement(0, count: 8))
        let disk = try bench.disk.copy(directory)
        try disk.put(whole, segment())
        let report = try LogVerification(directory: directory, storage: disk)
        #expect(report.isSound, "\(report.findings)")
        #expect(report.segments.last?.next == Offset(3))
        #expect(try open(disk).log.recovery.truncatedAt == Offset(3))
    }

    /// Found by a power cut: what a removal had left was kept until the next append, and its neighbour was removed before.
    @Test func verificationPassesOverWhatLiesBelowTheStart() throws {
        let bench = try killed(durable: 60, more: 0, segmentBytes: 1_000)
        let bases = try bench.disk.list(directory).compactMap { LogFiles.parse($0.name) }.filter { $0.kind == .log }.map(\.base).sorted()
        let first = try bench.disk.content(segment(bases[0].rawValue))
        try bench.log.trim(before: bases[2])
        bench.pass(milliseconds: 2_000)
        bench.settle()
        #expect(throws: StorageError.self) { try bench.disk.content(segment(bases[1].rawValue)) }
        try bench.disk.put(first, segment(bases[0].rawValue))
        let report = try LogVerification(directory: directory, storage: bench.disk)
        #expect(report.isSound && report.findings.count == 1, "\(report.findings)")
        #expect(report.segments.first?.first == bases[2])
        try bench.reopen()
        #expect(bench.log.watermarks.start == bases[2])
    }

    @Test func withoutACheckpointEverythingIsScanned() throws {
        let bench = try killed(durable: 60, more: 0, segmentBytes: 1_000)
        try bench.disk.remove(directory + "/checkpoint")
        try bench.reopen()
        #expect(bench.log.recovery.checkedBytes > 3_000)
        #expect(try bench.texts().count == 60)
        #expect(bench.log.incarnation == 1)
    }

    /// A log has its checkpoint before its first segment: one without was robbed of it, and nobody knows what was durable.
    @Test func withoutACheckpointAHoleRefusesTheLogAndATornTailIsCut() throws {
        let bench = try killed(durable: 5, more: 0)
        let whole = try bench.disk.content(segment())
        let starts = try boundaries(whole)
        for position in whole.indices {
            let batch = starts.filter { $0 <= position }.count - 1
            if (12..<16).contains(position - starts[batch]) || position % 3 != 0 { continue }
            for isZeroed in [false, true] {
                let disk = try bench.disk.copy(directory)
                var bytes = whole
                if isZeroed { bytes.replaceSubrange(starts[batch]...position, with: repeatElement(0, count: position - starts[batch] + 1)) }
                if !isZeroed { bytes[position] ^= 0x10 }
                if bytes == whole || bytes[starts[batch]...].elementsEqual(whole[starts[batch]...]) { continue }
                try disk.put(bytes, segment())
                try disk.remove(directory + "/checkpoint")
                if batch < 4 {
                    #expect(throws: LogError.self, "byte \(position)") { try open(disk) }
                } else if position >= starts[4] + 8 {
                    // With another base offset the last batch is itself a sound one behind a hole.
                    #expect(try open(disk).log.watermarks.end == Offset(4), "byte \(position)")
                }
            }
        }
    }

    @Test func anUnreadableCheckpointIsReportedAndFullSegmentsAreStillTrusted() throws {
        let bench = try killed(durable: 60, more: 0, segmentBytes: 1_000)
        try bench.disk.put([1, 2, 3], directory + "/checkpoint")
        try bench.reopen()
        #expect(bench.log.recovery.checkpointFault != nil)
        #expect(try bench.texts().count == 60)
        var first = try bench.disk.content(segment())
        first[70] ^= 1
        try bench.disk.put(first, segment())
        #expect(throws: LogError.self) { try bench.reopen() }
    }

    /// A producer's run whose end was cut off is taken again.
    @Test func whatWasCutMayBeSentAgain() throws {
        let bench = try Bench(small())
        for sequence in Int32(0)..<5 {
            try bench.append("\(sequence)", producer: (1, 0, sequence))
            bench.settle()
        }
        let whole = try bench.disk.content(segment())
        try bench.disk.put(Array(whole.dropLast(3)), segment())
        try bench.reopen()
        #expect(bench.log.watermarks.end == Offset(4))
        let retry = try bench.append("4", producer: (1, 0, 4))
        #expect(retry == AppendResult(baseOffset: Offset(4), count: 1, isDuplicate: false))
    }

    @Test func spacePreparedBehindTheEndIsNoTail() throws {
        let bench = try killed(durable: 2, more: 1)
        try bench.disk.put(try bench.disk.content(segment()) + [UInt8](repeating: 0, count: 5_000), segment())
        try bench.reopen()
        #expect(bench.log.recovery.truncatedAt == nil)
        #expect(bench.log.watermarks.end == Offset(3))
    }

    @Test func aTailOfAnOlderIncarnationDoesNotComeBack() throws {
        let bench = try killed(durable: 1, more: 2)
        let whole = try bench.disk.content(segment())
        let starts = try boundaries(whole)
        // Cut behind the second message; its sequel of the same length takes the third one's place.
        try bench.disk.put(Array(whole.prefix(starts[1])), segment())
        try bench.reopen()
        try bench.append("message X")
        bench.settle()
        let now = try bench.disk.content(segment())
        try bench.disk.put(Array(now.prefix(starts[2])) + Array(whole[starts[2]...]), segment())
        try bench.reopen()
        #expect(try bench.texts().map(\.1) == ["message 0", "message X"])
        #expect(bench.log.recovery.truncatedAt == Offset(2))
    }

    @Test func openingWritesNothing() throws {
        let bench = try killed(durable: 20, more: 3, segmentBytes: 1_000)
        try bench.disk.put(try bench.disk.content(segment()) + [1, 2, 3], segment())
        let before = try bench.disk.copy(directory)
        _ = try? Bench(disk: bench.disk)
        for entry in try before.list(directory) {
            let path = directory + "/" + entry.name
            #expect(try before.content(path) == bench.disk.content(path))
        }
    }

    private func boundaries(_ bytes: [UInt8]) throws -> [Int] {
        var starts = [0]
        while let last = starts.last, last < bytes.count {
            let header = try RecordBatchHeader(decoding: bytes.rawSpan, at: last)
            starts.append(last + header.totalByteCount)
        }
        return starts
    }
}
