import SegmentLog
import Testing

@testable import Simulation

/// A checker that cannot fail is a defect: a good history passes, and each history broken in one place is flagged by its claim.
@Suite struct LogOracleTests {
    @Test func aGoodHistoryPasses() throws {
        var oracle = try history()
        try oracle.read(records(0..<4), from: 0, below: 4)
        try oracle.recovered(records(0..<5), start: 0, end: 5, after: .powerLost)
        try oracle.recovered(records(0..<5), start: 0, end: 5, after: .closedCleanly)
        try oracle.checkStoredOnce()
    }

    @Test func retentionMayTakeWhatIsOldOrSettledOrOver() throws {
        var oracle = try history()
        try oracle.retained(to: 1, floor: 1, age: -1, at: 0, hasSurplus: false)
        try oracle.retained(to: 2, floor: nil, age: 1_000, at: 1_001, hasSurplus: false)
        try oracle.retained(to: 3, floor: nil, age: 1_000_000, at: 1_001, hasSurplus: true)
        #expect(oracle.start == 3)
    }

    @Test func anUnacknowledgedEndMayBeLostOrBeThere() throws {
        for end in 4...6 {
            var oracle = try history()
            try oracle.recovered(records(0..<end), start: 0, end: Int64(end), after: .powerLost)
        }
        var oracle = try history()
        oracle.appendFailed([900], timestamps: [1_900])
        try oracle.recovered(records(0..<6) + [record(6, message: 900)], start: 0, end: 7, after: .powerLost)
    }

    struct Bad: Sendable, CustomTestStringConvertible {
        var claim: Violation.Claim
        var name: String
        var durability = Durability.group
        var edit: @Sendable (inout LogOracle) throws -> Void
        var testDescription: String { name }
    }

    static let bad: [Bad] = [
        Bad(claim: .lostWrite, name: "an acknowledged record is gone after power loss") {
            try $0.recovered(records(0..<3), start: 0, end: 3, after: .powerLost)
        },
        Bad(claim: .lostWrite, name: "a written record is gone with the process", durability: .none) {
            try $0.recovered(records(0..<5), start: 0, end: 5, after: .processKilled)
        },
        Bad(claim: .lostWrite, name: "a record is gone after a clean stop") {
            try $0.recovered(records(0..<5), start: 0, end: 5, after: .closedCleanly)
        },
        Bad(claim: .lostWrite, name: "a record older than the interval is gone", durability: .interval) {
            try $0.recovered(records(0..<5), start: 0, end: 5, after: .powerLost, writtenBefore: 1_000)
        },
        Bad(claim: .disorder, name: "two records changed places") {
            try $0.recovered(records(0..<3) + [record(4), record(3)], start: 0, end: 5, after: .powerLost)
        },
        Bad(claim: .pollSkip, name: "a record is missing in the middle") {
            try $0.recovered(records(0..<2) + records(3..<5), start: 0, end: 5, after: .powerLost)
        },
        Bad(claim: .phantom, name: "a record appears that nobody wrote") {
            try $0.recovered(records(0..<6) + [record(6, message: 999)], start: 0, end: 7, after: .powerLost)
        },
        Bad(claim: .inconsistentOffset, name: "an offset comes back with another message") {
            try $0.recovered(records(0..<4) + [record(4, message: 999)], start: 0, end: 5, after: .powerLost)
        },
        Bad(claim: .earlyRemoval, name: "the front is gone after a crash") {
            try $0.recovered(records(2..<5), start: 2, end: 5, after: .powerLost)
        },
        Bad(claim: .earlyRemoval, name: "retention takes what it must keep") { try $0.startMoved(to: 3, allowed: 2) },
        Bad(claim: .earlyRemoval, name: "retention takes what is not old enough") {
            try $0.retained(to: 2, floor: nil, age: 1_000, at: 1_000, hasSurplus: false)
        },
        Bad(claim: .earlyRemoval, name: "retention takes what is not settled") {
            try $0.retained(to: 3, floor: 2, age: -1, at: 1_000_000, hasSurplus: false)
        },
        Bad(claim: .inconsistentOffset, name: "the start moves back") {
            try $0.startMoved(to: 3, allowed: 3)
            try $0.startMoved(to: 2, allowed: 3)
        },
        Bad(claim: .disorder, name: "an append skips an offset") { try $0.appended([7], timestamps: [1_007], base: 7, count: 1) },
        Bad(claim: .disorder, name: "an append lands on an old offset") { try $0.appended([7], timestamps: [1_007], base: 5, count: 1) },
        Bad(claim: .disorder, name: "an append loses a record") { try $0.appended([6, 7], timestamps: [1_006, 1_007], base: 6, count: 1) },
        Bad(claim: .disorder, name: "flushed passes the end") { try $0.saw(marks(0, 9, 6), visibleEnd: 6, waitsForFlush: true) },
        Bad(claim: .visibleTooEarly, name: "consumers see what is not durable") { try $0.saw(marks(0, 4, 6), visibleEnd: 5, waitsForFlush: true) },
        Bad(claim: .visibleTooEarly, name: "a read gives what is not visible") { try $0.read(records(3..<6), from: 3, below: 5) },
        Bad(claim: .acknowledgedAfterError, name: "flushed moves after an error") {
            $0.faulted(flushed: 4)
            try $0.saw(marks(0, 5, 6), visibleEnd: 5, waitsForFlush: true)
        },
        Bad(claim: .acknowledgedAfterError, name: "an append is taken after an error") {
            $0.faulted(flushed: 4)
            try $0.appended([6], timestamps: [1_006], base: 6, count: 1)
        },
        Bad(claim: .pollSkip, name: "a read begins behind what was asked") { try $0.read(records(2..<4), from: 1, below: 6) },
        Bad(claim: .pollSkip, name: "a read has a hole") { try $0.read([record(1), record(3)], from: 1, below: 6) },
        Bad(claim: .pollSkip, name: "a read gives nothing") { try $0.read([], from: 1, below: 6) },
        Bad(claim: .phantom, name: "a read goes beyond the end") { try $0.read(records(4..<8), from: 4, below: 9) },
        Bad(claim: .inconsistentOffset, name: "a read gives another message") { try $0.read([record(1, message: 5)], from: 1, below: 6) },
        Bad(claim: .duplicate, name: "a retry is called a duplicate of another message") { try $0.deduplicated([9], base: 2) },
        Bad(claim: .duplicate, name: "a retry is stored again") {
            try $0.appended([3], timestamps: [1_003], base: 6, count: 1)
            try $0.checkStoredOnce()
        },
        Bad(claim: .lostWrite, name: "what a crash kept once is lost later") {
            try $0.recovered(records(0..<5), start: 0, end: 5, after: .powerLost)
            try $0.saw(marks(0, 5, 5), visibleEnd: 5, waitsForFlush: true)
            try $0.recovered(records(0..<4), start: 0, end: 4, after: .powerLost)
        },
    ]

    @Test(arguments: bad)
    func aBrokenHistoryIsFlagged(_ bad: Bad) throws {
        var oracle = try history(bad.durability)
        let violation = #expect(throws: Violation.self) { try bad.edit(&oracle) }
        #expect(violation?.claim == bad.claim)
    }

    /// Six records, of which four are flushed.
    private func history(_ durability: Durability = .group) throws -> LogOracle {
        var oracle = LogOracle(durability: durability)
        for offset in 0..<6 {
            let number = UInt64(offset)
            try oracle.appended([number], timestamps: [1_000 + Int64(offset)], base: Int64(offset), count: 1)
            try oracle.ticked(end: Int64(offset + 1), written: Int64(offset + 1), at: 100 + number)
        }
        try oracle.saw(Self.marks(0, 4, 6), visibleEnd: durability.waitsForFlush ? 4 : 6, waitsForFlush: durability.waitsForFlush)
        return oracle
    }

    private func records(_ range: Range<Int>) -> [ReferenceBatch.Record] { Self.records(range) }
    private func record(_ offset: Int, message: UInt64) -> ReferenceBatch.Record { Self.record(offset, message: message) }
    static func records(_ range: Range<Int>) -> [ReferenceBatch.Record] { range.map { record($0) } }
    static func record(_ offset: Int, message: UInt64? = nil) -> ReferenceBatch.Record {
        ReferenceBatch.Record(offset: Int64(offset), message: message ?? UInt64(offset), timestamp: 1_000 + Int64(offset))
    }
    static func marks(_ start: Int64, _ flushed: Int64, _ end: Int64) -> Watermarks {
        Watermarks(start: Offset(start), flushed: Offset(flushed), end: Offset(end))
    }
}
