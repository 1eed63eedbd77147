import BrokerCore
import Bytes
import SegmentLog
import Testing

/// Goal: what an idempotent producer was promised holds over a restart: nothing that was acknowledged is stored twice, nobody who is
/// current is fenced, and who was fenced in a log stays so there.
@Suite struct BrokerProducerTests {
    private func publish(_ harness: Harness, _ topic: TopicID, id: Int64, epoch: Int16, _ sequence: Int32) -> Response? {
        let bytes = Array("m\(sequence)".utf8)
        let message = MessageRanges(
            key: nil, payload: .init(start: 0, count: bytes.count), headers: .empty, headerCount: 0, timestamp: nil,
            producer: ProducerSequence(id: id, epoch: epoch, sequence: sequence))
        return harness.answer(
            .append(Append(target: .topic(topic, partition: 0), content: .message(message), durability: .group, answer: .whenReached)), input: bytes)
    }

    private func appended(_ response: Response?) -> Appended? { if case .appended(let appended)? = response { appended } else { nil } }

    private func start(_ harness: Harness, _ id: Int64 = -1, _ epoch: Int16 = -1) -> (id: Int64, epoch: Int16)? {
        if case .producer(let id, let epoch)? = harness.answer(.startProducer(id: id, epoch: epoch)) { (id, epoch) } else { nil }
    }

    @Test(arguments: [true, false]) func aRetryOfWhatWasAcknowledgedIsKnownAfterARestart(clean: Bool) throws {
        let harness = try Harness()
        let topic = try harness.create("orders")
        let producer = try #require(start(harness))
        var offsets: [Int64] = []
        for sequence in 0..<5 {
            let stored = try #require(appended(publish(harness, topic, id: producer.id, epoch: 0, Int32(sequence))))
            offsets.append(stored.baseOffset.rawValue)
        }
        try harness.restart(clean: clean)
        for sequence in [4, 0, 2] {
            let again = try #require(appended(publish(harness, topic, id: producer.id, epoch: 0, Int32(sequence))))
            #expect(again.duplicate && again.baseOffset.rawValue == offsets[sequence])
        }
        // It goes on where it was; a gap is refused as before.
        #expect(harness.errorCode(publish(harness, topic, id: producer.id, epoch: 0, 6)) == .outOfOrderSequence)
        #expect(appended(publish(harness, topic, id: producer.id, epoch: 0, 5))?.baseOffset.rawValue == 5)
    }

    @Test(arguments: [true, false]) func anOlderEpochStaysFencedWhereTheNewerOneHasWritten(clean: Bool) throws {
        let harness = try Harness()
        let (written, untouched) = (try harness.create("written"), try harness.create("untouched"))
        let producer = try #require(start(harness))
        for topic in [written, untouched] { #expect(appended(publish(harness, topic, id: producer.id, epoch: 0, 0)) != nil) }
        let newer = try #require(start(harness, producer.id, 0))
        #expect(newer.id == producer.id && newer.epoch == 1)
        #expect(appended(publish(harness, written, id: producer.id, epoch: 1, 0)) != nil)
        try harness.restart(clean: clean)
        #expect(harness.errorCode(publish(harness, written, id: producer.id, epoch: 0, 1)) == .producerFenced)
        // Fencing is a log's: one that the newer epoch has not written to does not know of it, before a restart and after.
        #expect(appended(publish(harness, untouched, id: producer.id, epoch: 0, 1)) != nil)
        #expect(appended(publish(harness, written, id: producer.id, epoch: 1, 1)) != nil)
    }

    @Test func whoIsCurrentIsNotFencedBecauseAnOlderOneCameFirstAfterARestart() throws {
        let harness = try Harness()
        var producer = try #require(start(harness))
        for _ in 0..<3 { producer = try #require(start(harness, producer.id, producer.epoch)) }
        #expect(producer.epoch == 3)
        #expect(harness.errorCode(harness.answer(.startProducer(id: producer.id, epoch: 1))) == .producerFenced)
        try harness.restart(clean: false)
        // Epochs are not kept: the first one to come is believed. The other has a newer one, so it cannot be the older.
        #expect(start(harness, producer.id, 1)?.epoch == 2)
        #expect(start(harness, producer.id, 3)?.epoch == 4)
        #expect(harness.errorCode(harness.answer(.startProducer(id: producer.id, epoch: 2))) == .producerFenced)
    }

    @Test(arguments: [true, false]) func noIdIsGivenOutTwice(clean: Bool) throws {
        let harness = try Harness()
        var given: Set<Int64> = []
        for _ in 0..<4 {
            for _ in 0..<700 { #expect(given.insert(try #require(start(harness)).id).inserted) }
            try harness.restart(clean: clean)
        }
    }
}
