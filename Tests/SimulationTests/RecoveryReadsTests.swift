import SegmentLog
import Testing

@testable import Simulation

/// What recovery may read, and what it may not: two segments of two batches with two records each, of which the first three batches were
/// vouched for, and behind the fourth a torn tail.
@Suite struct RecoveryReadsTests {
    private let disk = SimulatedDisk(seed: Seed(1))
    private static let torn = 40

    private func path(_ base: Int64) -> String { "logs/1-0/" + LogFiles.name(Offset(base), .log) }

    /// Four records from `base` on.
    private func make(_ base: Int64, tail: Int) throws {
        var content: [UInt8] = []
        for first in [base, base + 2] {
            var bytes = ReferenceBatch.encode([UInt64(first), UInt64(first) + 1], timestamps: [1, 1])
            bytes[7] = UInt8(first)
            content += bytes
        }
        try disk.create(path(base), content + [UInt8](repeating: 0xa5, count: tail), syncs: true)
    }

    private func places(_ base: Int64) throws -> (middle: Int, end: Int, size: Int) {
        let content = try #require(disk.content(path(base)))
        let middle = try #require(ReferenceBatch.position(of: base + 2, in: content, from: base))
        let end = try #require(ReferenceBatch.position(of: base + 4, in: content, from: base))
        return (middle, end, content.count)
    }

    /// Everything below offset 6 was durable a second and more before the end.
    private func history() throws -> RecoveryReads {
        try disk.makeDirectory("logs/1-0")
        try make(0, tail: 0)
        try make(4, tail: Self.torn)
        var reads = RecoveryReads()
        reads.opened(flushed: 0)
        reads.saw(flushed: 2, at: 1_000)
        reads.saw(flushed: 6, at: 2_000)
        reads.saw(flushed: 8, at: 1_000_000_000)
        reads.ended(at: 1_000_002_500, slack: 500)
        return reads
    }

    @Test func theUncheckedPartOnceAndATornTailTwiceAreFine() throws {
        let reads = try history()
        let last = try places(4)
        #expect(last.size - last.end == Self.torn)
        let notes = [
            SimulatedDisk.ReadNote(path: path(4), range: last.middle..<last.size), SimulatedDisk.ReadNote(path: path(4), range: last.end..<last.size),
            SimulatedDisk.ReadNote(path: "logs/1-0/checkpoint", range: 0..<100),
        ]
        try reads.check(notes, of: "logs/1-0", on: disk, wasClean: false, end: 8)
        try reads.check([], of: "logs/1-0", on: disk, wasClean: true, end: 8)
    }

    @Test func anythingElseIsFlagged() throws {
        let reads = try history()
        let (first, last) = (try places(0), try places(4))
        func isFlagged(_ ranges: [(Int64, Range<Int>)], wasClean: Bool = false) -> Bool {
            let notes = ranges.map { SimulatedDisk.ReadNote(path: path($0.0), range: $0.1) }
            do {
                try reads.check(notes, of: "logs/1-0", on: disk, wasClean: wasClean, end: 8)
                return false
            } catch {
                return (error as Violation).claim == .slowRecovery
            }
        }
        let histories: [(what: String, ranges: [(Int64, Range<Int>)], wasClean: Bool)] = [
            ("a sealed segment below the watermark", [(0, first.end - 1..<first.end)], false),
            ("what stands before the watermark", [(4, last.middle - 1..<last.size)], false),
            ("what stays, twice", [(4, last.middle..<last.size), (4, last.end - 1..<last.size)], false),
            ("a torn tail three times", [(4, last.middle..<last.size), (4, last.end..<last.size), (4, last.size - 1..<last.size)], false),
            ("anything after a clean stop", [(4, last.middle..<last.end)], true),
        ]
        for history in histories {
            let found = isFlagged(history.ranges, wasClean: history.wasClean)
            #expect(found, "\(history.what)")
        }
        let isFine = !isFlagged([(4, last.middle..<last.end)])
        #expect(isFine)
    }

    @Test func onlyWhatWasDurableForLongIsVouchedFor() throws {
        var reads = RecoveryReads()
        _ = try history()
        reads.opened(flushed: 0)
        reads.saw(flushed: 4, at: 5_000)
        reads.ended(at: 1_000_004_999, slack: 0)
        let notes = [SimulatedDisk.ReadNote(path: path(0), range: 0..<10)]
        try reads.check(notes, of: "logs/1-0", on: disk, wasClean: false, end: 8)
        reads.ended(at: 1_000_005_000, slack: 0)
        #expect(throws: Violation.self) { try reads.check(notes, of: "logs/1-0", on: disk, wasClean: false, end: 8) }
    }
}
