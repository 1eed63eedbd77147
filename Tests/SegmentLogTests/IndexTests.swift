// The indexes: their files, what happens without them, and looking up by time.
import Bytes
import Testing

@testable import SegmentLog

@Suite struct IndexTests {
    private let directory = "logs/1-0"

    /// 200 messages in several segments, timestamps of every second record out of order.
    private func closed() throws -> Bench {
        var options = small()
        options.segmentBytes = 8_000
        let bench = try Bench(options)
        for index in 0..<200 {
            try bench.append("message \(index)", timestamp: Int64(10_000 + index * 10 - (index % 2) * 15))
            bench.settle()
        }
        try bench.log.close(now: bench.now)
        return bench
    }

    @Test func bothFilesComeBackAsWritten() throws {
        var offsets = OffsetIndex()
        var times = TimeIndex()
        for index in UInt32(1)..<50 {
            offsets.append(relativeOffset: index * 3, position: index * 4_100)
            times.note(timestamp: Timestamp(milliseconds: Int64(index) * 7), relativeOffset: index * 3)
        }
        let offsetBytes = offsets.encoded()
        let timeBytes = times.encoded()
        #expect(OffsetIndex(decoding: offsetBytes.rawSpan, segmentLength: 1 << 20) == offsets)
        #expect(OffsetIndex(decoding: offsetBytes.rawSpan, segmentLength: 4_100 * 20) == nil)
        #expect(TimeIndex(decoding: timeBytes.rawSpan) == times)
        #expect(offsets.position(atOrBefore: 2) == 0)
        #expect(offsets.position(atOrBefore: 3) == 4_100)
        #expect(offsets.position(atOrBefore: 1_000) == 49 * 4_100)
        #expect(times.relativeOffset(before: Timestamp(milliseconds: 7)) == 0)
        #expect(times.relativeOffset(before: Timestamp(milliseconds: 8)) == 3)
    }

    /// Against the batches themselves, of all sizes, some of which compaction has taken.
    @Test(arguments: 1...20) func theIndexBoundsWhereABatchLies(_ seed: Int) {
        var random = Seeded(seed)
        var batches: [(first: Int64, last: Int64, range: Range<Int>)] = []
        var offsets = OffsetIndex()
        var sinceEntry = 0
        var next: Int64 = 0
        for _ in 0..<Int.random(in: 0..<200, using: &random) {
            let at = batches.last?.range.upperBound ?? 0
            let size = Int.random(in: 61..<[100, 5_000, 20_000][seed % 3], using: &random)
            next += seed % 2 == 0 && Int.random(in: 0..<5, using: &random) == 0 ? Int64.random(in: 1..<9, using: &random) : 0
            let last = next + Int64.random(in: 0..<30, using: &random)
            if sinceEntry > 4_096 {
                offsets.append(relativeOffset: UInt32(last), position: UInt32(at))
                sinceEntry = 0
            }
            sinceEntry += size
            batches.append((next, last, at..<at + size))
            next = last + 1
        }
        let begins = Set(batches.map(\.range.lowerBound)).union([0])
        for offset in 0..<next {
            let place = offsets.place(of: offset)
            guard let batch = batches.first(where: { $0.last >= offset }) else { continue }
            #expect(begins.contains(place.from) && place.from <= batch.range.lowerBound)
            #expect(place.latest.map { begins.contains($0) && batch.range.lowerBound <= $0 } ?? true)
            #expect(place.end.map { batch.range.upperBound <= $0 } ?? true)
            #expect(place.from == offsets.position(atOrBefore: offset))
        }
    }

    @Test(arguments: ["missing", "cut", "zeros", "noise", "of another segment", "unsorted"]) func damagedIndexesAreRebuilt(_ kind: String) throws {
        let bench = try closed()
        let names = try bench.disk.list(directory).map(\.name).filter { $0.hasSuffix("index") }
        #expect(names.count >= 4)
        let other = try bench.disk.content(directory + "/" + names[0])
        for name in names {
            let path = directory + "/" + name
            let content = try bench.disk.content(path)
            switch kind {
            case "missing": try bench.disk.remove(path)
            case "cut": try bench.disk.put(Array(content.dropLast(3)), path)
            case "zeros": try bench.disk.put([UInt8](repeating: 0, count: content.count), path)
            case "noise": try bench.disk.put(content.map { $0 &* 7 &+ 13 }, path)
            case "unsorted": try bench.disk.put(content.reversed(), path)
            default: try bench.disk.put(name == names[0] ? [] : other, path)
            }
        }
        try bench.reopen()
        #expect(bench.log.recovery.wasClean)
        for offset in stride(from: Int64(0), to: 200, by: 7) {
            let found = try bench.texts(from: Offset(offset), maxBytes: 500)
            #expect(found.first?.1 == "message \(offset)")
            #expect(found.count == 200 - Int(offset))
        }
        let byTime = try bench.log.offset(at: Timestamp(milliseconds: 11_000))
        #expect(byTime?.0 == Offset(100))
    }

    @Test func theFirstRecordAtOrAfterATimeIsFound() throws {
        for isReopened in [false, true] {
            let bench = try closed()
            if isReopened { try bench.disk.list(directory).filter { $0.name.hasSuffix("index") }.forEach { try bench.disk.remove(directory + "/" + $0.name) } }
            try bench.reopen()
            for time in stride(from: Int64(9_990), through: 12_010, by: 5) {
                let expected = (0..<200).first { 10_000 + $0 * 10 - ($0 % 2) * 15 >= time }
                let found = try bench.log.offset(at: Timestamp(milliseconds: time))
                #expect(found?.0 == expected.map { Offset(Int64($0)) }, "time \(time)")
            }
        }
    }

    @Test func readingGivesWholeBatchesWithinTheBudget() throws {
        let bench = try closed()
        try bench.reopen()
        for maxBytes in [0, 1, 80, 500, 3_000, 1 << 30] {
            let result = try bench.log.read(from: Offset(30), maxBytes: maxBytes, below: bench.log.visibleEnd)
            let found = try #require(result)
            #expect(found.first == Offset(30))
            #expect(found.slice.range.count <= max(maxBytes, 90))
            let bytes = [UInt8](found.slice.memory.bytes(found.slice.range))
            #expect(try records(in: bytes).last?.0 == found.next.rawValue - 1)
            if maxBytes == 3_000 { #expect(found.slice.range.count > 2_800) }
        }
    }
}
