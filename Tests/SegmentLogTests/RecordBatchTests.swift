// The stored form: what is built is read back, and no altered or cut batch gets past the checks.
import Bytes
import Testing

@testable import SegmentLog

@Suite struct RecordBatchTests {
    private func refusal(_ bytes: [UInt8], limit: Int = 1 << 20) -> LogError? {
        do {
            _ = try RecordBatchHeader(checking: bytes.rawSpan, limit: limit)
            return nil
        } catch {
            return error
        }
    }

    @Test func recordsComeBackAsWritten() throws {
        var buffer = ByteBuffer()
        var builder = RecordBatchBuilder(into: &buffer, producerID: 9, producerEpoch: 2, baseSequence: 77)
        builder.append(key: [1, 2], value: nil, headers: [("a", [7]), ("b", nil)], timestamp: Timestamp(milliseconds: 50), into: &buffer)
        builder.append(key: nil, value: [3], timestamp: Timestamp(milliseconds: 40), into: &buffer)
        builder.append(key: [], value: [], timestamp: Timestamp(milliseconds: 1 << 40), into: &buffer)
        let written = builder.finish(into: &buffer, baseOffset: Offset(5), leaderEpoch: 3)
        let bytes = [UInt8](buffer.bytes)
        let header = try RecordBatchHeader(checking: bytes.rawSpan, limit: 1 << 20)
        #expect(header == written)
        #expect(header.nextOffset == Offset(8))
        #expect(header.maxTimestamp == Timestamp(milliseconds: 1 << 40))
        let inspected = InspectedBatch(position: 0, header: header, isIntact: true, bytes: bytes).records()
        let (records, isComplete) = try #require(inspected)
        #expect(isComplete)
        #expect(
            records == [
                record(5, 50, [1, 2], nil, [.init(name: "a", value: [7]), .init(name: "b", value: nil)]), record(6, 40, nil, [3]),
                record(7, 1 << 40, [], []),
            ])
    }

    @Test func noCutBatchIsTaken() {
        let whole = batch(["one", "two", "three"])
        #expect(refusal(whole) == nil)
        for length in 0..<whole.count { #expect(refusal(Array(whole.prefix(length))) != nil, "\(length)") }
        #expect(refusal(whole + [0]) != nil)
    }

    @Test func noAlteredBatchIsTaken() {
        let whole = batch(["one", "two"])
        for position in whole.indices where !(0..<8).contains(position) && !(12..<16).contains(position) {
            for bit in 0..<8 {
                var bytes = whole
                bytes[position] ^= 1 << UInt8(bit)
                #expect(refusal(bytes) != nil, "byte \(position) bit \(bit)")
            }
        }
    }

    /// A change of the head with a checksum that fits it: the counts are still judged.
    @Test(
        arguments: [
            (23, [0x7f, 0xff, 0xff, 0xff]), (23, [0xff, 0xff, 0xff, 0xff]), (57, [0x7f, 0xff, 0xff, 0xff]), (57, [0x80, 0, 0, 0]), (57, [0, 0, 0, 0]),
            (21, [0, 0x20]), (21, [0, 0x10]), (21, [0, 7]), (43, [0, 0, 0, 0, 0, 0, 0, 1]),
        ] as [(Int, [UInt8])])
    func countsAreJudgedEvenWithAFittingChecksum(_ position: Int, _ change: [UInt8]) throws {
        var bytes = batch(["one", "two"])
        bytes.replaceSubrange(position..<position + change.count, with: change)
        let checksum = CRC32C.checksum(bytes.rawSpan.extracting(21..<bytes.count))
        bytes.replaceSubrange(17..<21, with: (0..<4).map { UInt8(truncatingIfNeeded: checksum >> UInt32(24 - 8 * $0)) })
        #expect(refusal(bytes) != nil)
    }

    @Test func aBatchAboveTheLimitIsRefusedBeforeAnythingElse() {
        guard case .tooLarge = refusal(batch(["x"]), limit: 10) else {
            Issue.record("not refused as too large")
            return
        }
    }

    @Test func runsOfRecordsAreFoundByTheirLengths() throws {
        let whole = batch((0..<20).map { "record \($0)" })
        let all = RecordBatchHeader.byteCount..<whole.count
        let run = try RecordReader.range(of: 3, through: 7, in: whole.rawSpan, records: all)
        let second = try RecordReader.range(of: 8, through: 9, in: whole.rawSpan, records: all, from: RecordPlace(index: 8, position: run.upperBound))
        let direct = try RecordReader.range(of: 8, through: 9, in: whole.rawSpan, records: all)
        #expect(second == direct)
        var reader = try RecordReader(whole.rawSpan, records: run)
        var deltas: [Int32] = []
        while let record = try reader.next() { deltas.append(record.offsetDelta) }
        #expect(deltas == [3, 4, 5, 6, 7])
        #expect(throws: ByteError.self) { try RecordReader.range(of: 19, through: 20, in: whole.rawSpan, records: all) }
    }

    @Test func noBytesTrapTheReader() {
        var random = Seeded(1)
        let whole = batch(["one", "two", "three"])
        for _ in 0..<3_000 {
            var bytes = whole
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            let cut = Array(bytes.prefix(Int.random(in: 0...bytes.count, using: &random)))
            fuzzSegment(cut.rawSpan)
        }
    }
}

private func record(
    _ offset: Int64, _ timestamp: Int64, _ key: [UInt8]?, _ value: [UInt8]?, _ headers: [InspectedRecord.Header] = []
) -> InspectedRecord {
    InspectedRecord(offset: Offset(offset), timestamp: Timestamp(milliseconds: timestamp), key: key, value: value, headers: headers)
}
