import Bytes
import SegmentLog
import Testing

@testable import NeedletailClient

/// The parts of the client that need no connection.
@Suite struct PartsTests {
    @Test(arguments: ["127.0.0.1:7227", "[::1]:1", "localhost:65535", "unix:/tmp/x"])
    func addressesAreUnderstood(_ text: String) throws { #expect(try ServerAddress(text).text == text) }

    @Test(arguments: ["", "host", "host:", ":1", "host:0", "host:65536", "::1:1", "unix:", "unix:" + String(repeating: "x", count: 108)])
    func othersAreRefused(_ text: String) { #expect(throws: ClientError.badAddress(text)) { try ServerAddress(text) } }

    @Test func backoffDoublesWithJitterUpToItsBound() {
        var backoff = Backoff(first: .milliseconds(10), most: .milliseconds(100))
        var random = SystemRandomNumberGenerator()
        for ceiling in [10, 20, 40, 80, 100, 100] {
            let wait = backoff.next(using: &random)
            #expect(wait <= .milliseconds(ceiling) && wait >= .milliseconds(ceiling) / 4)
        }
        for _ in 0..<100 { _ = backoff.next(using: &random) }
        backoff.reset()
        #expect(backoff.next(using: &random) <= .milliseconds(10))
    }

    @Test func whoWantsMoreThanTheBudgetWaitsInTurn() async throws {
        let budget = Budget(limit: 10)
        // Full, so that whichever task comes first waits.
        try await budget.acquire(10)
        let second = Task { try await budget.acquire(5) }
        let cancelled = Task { try await budget.acquire(1) }
        cancelled.cancel()
        await #expect(throws: ClientError.cancelled) { try await cancelled.value }
        budget.release(10)
        try await second.value
        #expect(budget.used == 5)
        budget.release(5)
        // More than the whole limit passes alone.
        try await budget.acquire(100)
        let last = Task { try await budget.acquire(1) }
        budget.fail(.closed)
        await #expect(throws: ClientError.closed) { try await last.value }
    }

    @Test func aFlushWaitsForEveryBatchAndTellsTheFirstFailure() async {
        let wait = FlushWait()
        let (first, second) = (wait.joined(), wait.joined())
        wait.left(nil)
        first.left(.outcomeUnknown)
        second.left(.closed)
        await #expect(throws: ClientError.outcomeUnknown) { try await wait.promise.value() }
    }

    @Test func aLaneSendsAtOnceWithinItsWindowAndGathersBeyond() {
        var lane = ProducerLane(window: 2, batchBytes: 1_000, lingers: false)
        let identity = ProducerIdentity(id: 1, epoch: 0)
        var departures: [ProducerLane.Departure] = []
        for number in 0..<10 {
            _ = lane.add(key: nil, payload: [UInt8(number)], headers: [], timestamp: 0, charged: 10, promise: nil)
            while let departure = lane.depart(identity) { departures.append(departure) }
        }
        #expect(departures.map { sequence(of: $0.bytes) } == [0, 1])
        #expect(lane.answered(departures[0].number) != nil)
        let third = lane.depart(identity)
        // Eight messages gathered meanwhile, and their sequence goes on.
        #expect(third.map { [sequence(of: $0.bytes), Int32($0.bytes[60])] } == [2, 8])
        #expect(lane.depart(identity) == nil || lane.inFlight.count == 2)
        #expect(lane.answered(99) == nil)
    }

    @Test func aLingeringLaneWaitsUntilFullLingeredOrFlushed() {
        var lane = ProducerLane(window: 5, batchBytes: 200, lingers: true)
        let opened = lane.add(key: nil, payload: [1], headers: [], timestamp: 0, charged: 10, promise: nil)
        #expect(opened == 0 && lane.depart(nil) == nil)
        lane.lingered(7)
        #expect(lane.depart(nil) == nil)
        lane.lingered(0)
        #expect(lane.depart(nil) != nil)
        _ = lane.add(key: nil, payload: [UInt8](repeating: 1, count: 200), headers: [], timestamp: 0, charged: 240, promise: nil)
        #expect(lane.depart(nil) != nil)
        _ = lane.add(key: nil, payload: [1], headers: [], timestamp: 0, charged: 10, promise: nil)
        lane.flush(FlushWait())
        #expect(lane.depart(nil) != nil)
    }

    private func sequence(of batch: [UInt8]) -> Int32 { batch[53..<57].reduce(0) { $0 << 8 | Int32($1) } }

    /// The client writes the published format on its own; the broker's reader is the oracle.
    @Test func theBrokerReadsWhatTheClientBuilds() throws {
        var builder = NeedletailClient.RecordBatchBuilder()
        builder.add(key: [1, 2], payload: [3], headers: [Header("a", "b"), Header("n", nil as [UInt8]?)], timestamp: 1_000)
        builder.add(key: nil, payload: nil, headers: [], timestamp: 900)
        let batch = builder.seal(producer: ProducerIdentity(id: 5, epoch: 2), sequence: 77)
        let header = try RecordBatchHeader(decoding: batch.rawSpan)
        #expect(header.recordCount == 2 && header.lastOffsetDelta == 1 && header.producerID == 5 && header.producerEpoch == 2 && header.baseSequence == 77)
        #expect(header.baseTimestamp.rawValue == 1_000 && header.maxTimestamp.rawValue == 1_000 && Int(header.batchLength) == batch.count - 12)
        #expect(header.crc == CRC32C.checksum(batch.rawSpan.extracting(21..<batch.count)))
        var reader = try RecordReader(batch.rawSpan, records: 61..<batch.count)
        let first = try reader.next()
        let second = try reader.next()
        let end = try reader.next()
        #expect(first?.headerCount == 2 && first?.key?.count == 2 && first?.value?.count == 1)
        #expect(second?.timestampDelta == -100 && second?.key == nil && second?.value == nil && end == nil)
    }

    @Test func theClientReadsWhatTheBrokerBuilds() throws {
        var buffer = ByteBuffer()
        var builder = SegmentLog.RecordBatchBuilder(into: &buffer)
        builder.append(key: [1], value: [2], headers: [("h", [3])], timestamp: Timestamp(milliseconds: 5), into: &buffer)
        builder.append(key: nil, value: nil, timestamp: Timestamp(milliseconds: 6), into: &buffer)
        builder.finish(into: &buffer, baseOffset: Offset(40))
        let bytes = [UInt8](buffer.bytes)
        let messages = try RecordDecoding.messages(inBatches: bytes.rawSpan, partition: 3, first: 40, last: 41, attempt: 2)
        #expect(messages.map(\.offset) == [40, 41] && messages.map(\.timestamp) == [5, 6] && messages.map(\.attempt) == [2, 2])
        #expect(messages[0].key == [1] && messages[0].payload == [2] && messages[0].headers == [Header("h", [3])] && messages[1].isTombstone)
    }

    @Test func refusalsKeepNumbersThatTheyDoNotKnow() {
        #expect(Refusal(number: 3, text: "").code == .unknownTopic)
        #expect(Refusal(number: 24, text: "").code == .timedOut)
        #expect(Refusal(number: 0, text: "").code == .other(0))
        #expect(Refusal(number: 37, text: "").code == .invalidTimestamp)
        #expect(Refusal(number: 38, text: "").code == .other(38))
    }
}
