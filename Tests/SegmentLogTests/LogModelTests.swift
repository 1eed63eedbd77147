// The log against a model: an array of texts and a start. Random appends, reads, trims, retention, clean and unclean reopenings, from
// a seed each. A seed that fails becomes a named case.
import Bytes
import Testing

@testable import SegmentLog

@Suite struct LogModelTests {
    @Test(arguments: 0..<40) func behavesAsAnArray(_ seed: Int) throws {
        var random = Seeded(seed)
        var options = small(Durability.allCases.randomElement(using: &random) ?? .group)
        options.segmentBytes = Int.random(in: 300...4_000, using: &random)
        options.indexIntervalBytes = Int.random(in: 0...500, using: &random)
        let bench = try Bench(options)
        var texts: [String] = []
        var start = 0
        for step in 0..<300 {
            switch Int.random(in: 0..<100, using: &random) {
            case 0..<45:
                let text = "\(step) " + String(repeating: "x", count: Int.random(in: 0...60, using: &random))
                let result = try bench.append(text, timestamp: Int64(step))
                #expect(result.baseOffset == Offset(Int64(texts.count)))
                texts.append(text)
            case 45..<60:
                let size = Int.random(in: 0...9, using: &random) == 0 ? 20_000 : 30
                let more = (0..<Int.random(in: 1...5, using: &random)).map { "\(step).\($0) " + String(repeating: "y", count: size) }
                try bench.append(batch: batch(more, timestamp: Int64(step)))
                texts += more
            case 60..<80:
                bench.settle()
                bench.pass(milliseconds: Int64.random(in: 0...1_500, using: &random))
            case 80..<84:
                bench.settle()
                let floor = Offset(Int64.random(in: 0...Int64(texts.count), using: &random))
                bench.log.applyRetention(floor: floor, now: bench.now)
                #expect(bench.log.watermarks.start <= max(floor, Offset(Int64(start))))
                start = Int(bench.log.watermarks.start.rawValue)
            case 84..<88:
                bench.settle()
                let before = min(bench.log.visibleEnd, Offset(Int64(start + Int.random(in: 0...20, using: &random))))
                try bench.log.trim(before: before)
                start = max(start, Int(before.rawValue))
            case 88..<92:
                flush(bench)
                try bench.log.close(now: bench.now)
                #expect(bench.disk.openCount == 0)
                try bench.reopen()
                #expect(bench.log.recovery.wasClean)
            case 92..<95:
                // A killed process: what was written is there, what was only staged is not.
                flush(bench)
                bench.pass(milliseconds: 1_100)
                bench.settle()
                try bench.kill()
            default:
                bench.settle()
                try check(bench, texts, start, &random)
            }
            #expect(bench.log.watermarks.end == Offset(Int64(texts.count)))
            #expect(bench.log.watermarks.start == Offset(Int64(start)))
        }
        flush(bench)
        try check(bench, texts, start, &random)
        let report = try LogVerification(directory: "logs/1-0", storage: bench.disk)
        // What was trimmed may still lie there; nothing else is worth a word.
        #expect(report.findings.allSatisfy { $0.weight == .note && $0.text.contains("below the log's start") }, "\(report.findings)")
    }

    private func flush(_ bench: Bench) {
        bench.settle()
        bench.log.requestFlush(through: bench.log.watermarks.end)
        bench.settle()
        #expect(bench.log.watermarks.flushed == bench.log.watermarks.end)
        #expect(bench.log.isQuiet)
    }

    private func check(_ bench: Bench, _ texts: [String], _ start: Int, _ random: inout Seeded) throws {
        let end = Int(bench.log.visibleEnd.rawValue)
        guard start < end else { return }
        let from = Int.random(in: start..<end, using: &random)
        let limit = Int.random(in: from...end, using: &random)
        let maxBytes = Int.random(in: 0...3_000, using: &random)
        let found = try bench.texts(from: Offset(Int64(from)), below: Offset(Int64(limit)), maxBytes: maxBytes)
        #expect(found.map(\.0) == (0..<found.count).map { Int64(from + $0) })
        #expect(found.map(\.1) == Array(texts[from..<from + found.count]))
        #expect(from + found.count <= limit)
        let all = try bench.texts(from: Offset(Int64(from)), maxBytes: maxBytes)
        #expect(all.map(\.1) == Array(texts[from..<end]))
        let view = try bench.log.batch(at: Offset(Int64(from)), below: bench.log.visibleEnd)
        let batch = try #require(view)
        #expect(batch.baseOffset.rawValue <= Int64(from))
        #expect(batch.lastOffset.rawValue >= Int64(from))
    }
}
