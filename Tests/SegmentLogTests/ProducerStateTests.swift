// Idempotence as a table: what a log remembers, what comes next, and the verdict.
import Bytes
import Testing

@testable import SegmentLog

@Suite struct ProducerStateTests {
    struct Case: Sendable, CustomStringConvertible {
        var description: String
        /// (epoch, first, count, base) recorded before.
        var before: [(Int16, Int32, Int32, Int64)]
        var epoch: Int16
        var first: Int32
        var count: Int32
        var verdict: ProducerState.Verdict
    }

    static let cases: [Case] = [
        Case(description: "unknown producer", before: [], epoch: 0, first: 41, count: 2, verdict: .new),
        Case(description: "next", before: [(0, 0, 3, 10)], epoch: 0, first: 3, count: 1, verdict: .new),
        Case(description: "duplicate", before: [(0, 0, 3, 10)], epoch: 0, first: 0, count: 3, verdict: .duplicate(Offset(10))),
        Case(description: "duplicate of a part", before: [(0, 0, 3, 10)], epoch: 0, first: 1, count: 1, verdict: .duplicate(Offset(11))),
        Case(
            description: "duplicate of the first of two", before: [(0, 0, 3, 10), (0, 3, 2, 20)], epoch: 0, first: 1, count: 2,
            verdict: .duplicate(Offset(11))),
        Case(description: "gap", before: [(0, 0, 3, 10)], epoch: 0, first: 4, count: 1, verdict: .outOfOrder(expected: 3)),
        Case(description: "reaches beyond", before: [(0, 0, 3, 10)], epoch: 0, first: 2, count: 2, verdict: .outOfOrder(expected: 3)),
        Case(description: "old epoch", before: [(5, 0, 1, 10)], epoch: 4, first: 1, count: 1, verdict: .fenced(current: 5)),
        Case(description: "new epoch", before: [(5, 0, 9, 10)], epoch: 6, first: 0, count: 1, verdict: .new),
        Case(description: "new epoch, not from 0", before: [(5, 0, 9, 10)], epoch: 6, first: 9, count: 1, verdict: .outOfOrder(expected: 0)),
        Case(description: "wraps", before: [(0, .max - 1, 2, 10)], epoch: 0, first: 0, count: 1, verdict: .new),
        Case(description: "duplicate across the wrap", before: [(0, .max - 1, 4, 10)], epoch: 0, first: 1, count: 1, verdict: .duplicate(Offset(13))),
        Case(
            description: "forgotten", before: (0..<20).map { (0, $0, 1, Int64($0) * 2) }, epoch: 0, first: 3, count: 1, verdict: .duplicate(nil)),
        Case(
            description: "batches that continue are one", before: (0..<200).map { (0, $0, 1, Int64($0)) }, epoch: 0, first: 3, count: 9,
            verdict: .duplicate(Offset(3))),
    ]

    @Test(arguments: cases) func verdict(_ given: Case) {
        var state = ProducerState()
        for (epoch, first, count, base) in given.before { state.record(id: 1, epoch: epoch, first: first, count: count, base: Offset(base)) }
        #expect(state.check(id: 1, epoch: given.epoch, first: given.first, count: given.count) == given.verdict)
    }

    @Test func theStoredFormHoldsEverything() throws {
        var state = ProducerState()
        for index in 0..<30 { state.record(id: Int64(index % 4), epoch: 1, first: Int32(index * 3), count: 2, base: Offset(Int64(index) * 10)) }
        var buffer = ByteBuffer()
        state.encode(into: &buffer)
        var reader = ByteReader(buffer.bytes)
        let decoded = try ProducerState(decoding: &reader)
        #expect(decoded.producers == state.producers)
        for length in 0..<buffer.count {
            var reader = ByteReader(buffer.bytes.extracting(0..<length))
            let cut = try? ProducerState(decoding: &reader)
            #expect(cut == nil)
        }
    }

    @Test func theOldestProducersAreForgottenAtTheLimit() {
        var state = ProducerState(limit: 16)
        for index in 0..<100 { state.record(id: Int64(index), epoch: 0, first: 0, count: 1, base: Offset(Int64(index))) }
        #expect(state.count <= 16)
        #expect(state.check(id: 99, epoch: 0, first: 0, count: 1) == .duplicate(Offset(99)))
        #expect(state.check(id: 0, epoch: 0, first: 7, count: 1) == .new)
    }

    @Test func aCutForgetsWhatLayBehindIt() {
        var state = ProducerState()
        state.record(id: 1, epoch: 0, first: 0, count: 5, base: Offset(10))
        state.record(id: 2, epoch: 0, first: 0, count: 5, base: Offset(15))
        state.truncate(to: Offset(13))
        #expect(state.check(id: 1, epoch: 0, first: 3, count: 1) == .new)
        #expect(state.check(id: 2, epoch: 0, first: 9, count: 1) == .new)
    }

    @Test func retriesAreStoredOnceEvenAcrossRestarts() throws {
        let bench = try Bench()
        for sequence in Int32(0)..<30 {
            try bench.append("\(sequence)", producer: (5, 0, sequence))
            bench.settle()
        }
        let retry = try bench.append("7", producer: (5, 0, 7))
        #expect(retry == AppendResult(baseOffset: Offset(7), count: 1, isDuplicate: true))
        for isClean in [true, false] {
            if isClean { try bench.log.close(now: bench.now) }
            try bench.reopen()
            let again = try bench.append(batch: batch(["29"], producer: (5, 0, 29)))
            #expect(again == AppendResult(baseOffset: Offset(29), count: 1, isDuplicate: true))
            #expect(throws: LogError.self) { try bench.append("40", producer: (5, 0, 40)) }
            bench.settle()
        }
        #expect(bench.log.watermarks.end == Offset(30))
    }
}
