import BrokerCore
import Bytes
import SegmentLog
import Testing

/// Goal: bytes that have changed on the disk are not handed out. Who reads them is told where, and everybody else goes on.
@Suite struct BrokerDamageTests {
    private static let file = "/data/logs/1-0/00000000000000000000.log"

    /// Changes one byte of the stored log, and changes it back when called again.
    private func turn(_ position: Int, _ storage: MemoryStorage) throws {
        let file = try storage.open(BrokerDamageTests.file, .readWrite)
        var byte = ByteBuffer()
        try storage.read(file, at: position, count: 1, into: &byte)
        let before = [UInt8](byte.bytes)[0]
        byte.clear()
        byte.append(before ^ 0x40)
        try storage.write(file, [byte.region(ByteRange(start: 0, count: 1))], at: position)
        byte.release()
        try storage.close(file)
    }

    private func ended(_ harness: Harness) -> [(consumer: ConsumerID, error: BrokerError)] {
        harness.events.compactMap { event in if case .ended(let error) = event.event { (event.consumer, error) } else { nil } }
    }

    @Test func recordsAreHandedOutOnlyWhereTheBatchsChecksumHolds() throws {
        let harness = try Harness()
        let topic = try harness.create("orders")
        harness.publish(topic, count: 3)
        // In the second record's payload: every length is as it was.
        let position = RecordBatchHeader.byteCount + 15
        try turn(position, harness.storage)
        harness.subscribe("orders", "workers")
        harness.settleDown()
        #expect(harness.takenPayloads().isEmpty)
        let told = ended(harness)
        #expect(told.map(\.consumer) == [ConsumerID(rawValue: 1)])
        #expect(told.first?.error.code == .storageFailed)
        #expect(told.first?.error.text.contains("checksum") == true)
        // Nothing was settled by it: as soon as the bytes are right again, all are delivered.
        try turn(position, harness.storage)
        harness.subscribe("orders", "workers", consumer: 2)
        harness.settleDown()
        #expect(harness.takenPayloads() == ["m0", "m1", "m2"])
    }

    /// Of whole batches the reader checks the checksum, so only where a batch is looked for its head is looked at here.
    @Test(arguments: [(DeliveryForm.records, StartPosition.earliest), (.batches, .offset(Offset(2)))])
    func aReaderIsSentAwayAtTheDamageWithWhatLiesBeforeIt(_ form: DeliveryForm, _ start: StartPosition) throws {
        let harness = try Harness()
        let topic = try harness.create("orders")
        harness.publish(topic, count: 2)
        let file = try harness.storage.open(BrokerDamageTests.file, .read)
        var head = ByteBuffer()
        try harness.storage.read(file, at: 0, count: RecordBatchHeader.byteCount, into: &head)
        let second = try RecordBatchHeader(decoding: head.bytes).totalByteCount
        harness.publish(topic, count: 2, from: 2)
        // The format's number: what begins there is no batch.
        try turn(second + 16, harness.storage)
        harness.subscribe("orders", "readers", .exclusive, start: start, form: form)
        harness.subscribe("orders", "others", .exclusive, consumer: 2, start: start, form: form)
        harness.settleDown()
        #expect(harness.takenPayloads() == (start == .earliest ? ["m0", "m1", "m0", "m1"] : []))
        let told = ended(harness)
        #expect(Set(told.map(\.consumer)) == [ConsumerID(rawValue: 1), ConsumerID(rawValue: 2)])
        #expect(told.allSatisfy { $0.error.code == .storageFailed && $0.error.text.contains("offset 2") })
        // Another topic, and publishing to this one, go on.
        let other = try harness.create("other")
        harness.publish(other, count: 1)
        harness.subscribe("other", "readers", consumer: 3, form: form)
        harness.publish(topic, "later")
        harness.settleDown()
        #expect(harness.takenPayloads() == ["m0"])
        #expect(harness.errorCode(harness.answer(.statistics)) == nil)
    }

    @Test func aCatalogThatCannotBeWrittenIsFatalAndSaysSo() throws {
        let memory = MemoryStorage(isVolatile: false)
        let failing = FailingStorage(memory, .diskFull, at: 60)
        let harness = try Harness(storage: memory, failing: failing)
        var refused: BrokerError.Code?
        var made = 0
        for number in 0..<60 where refused == nil {
            refused = harness.errorCode(harness.answer(.createTopic(name: "t\(number)", TopicOptions())))
            if refused == nil { made += 1 }
            #expect((harness.broker.fatalFault == nil) == (refused == nil))
        }
        #expect(refused == .storageFailed)
        #expect(harness.broker.fatalFault?.reason == "no space left on device")
        // What was answered is there after the start; what was refused may be.
        failing.isHealed = true
        try harness.restart(clean: false)
        #expect(harness.broker.fatalFault == nil)
        #expect(made > 3)
    }
}
