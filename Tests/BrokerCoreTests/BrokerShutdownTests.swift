import BrokerCore
import Bytes
import SegmentLog
import Testing

/// Method: a broker is stopped on a storage that answers late, at any number of operations under way; every log of its directory is then
/// opened by itself. Goal: a stop that waited for its operations needs no checks at the next start.
struct BrokerShutdownTests {
    @Test(arguments: 0..<12)
    func aStoppedBrokerLeavesEveryLogClean(pause: Int) throws {
        let harness = try Harness { options in
            options.log.segmentBytes = 4_096
            options.cursorWriteMilliseconds = 10
        }
        let queue = try harness.create("q", .queue())
        let topic = try harness.create("t", TopicOptions(partitions: 2, durability: Durability.none))
        let interval = try harness.create("i", TopicOptions(durability: .interval))
        harness.subscribe("q", "queue")
        for number in 0..<400 {
            for target in [queue, topic, interval] { harness.publish(target, "message number \(number)") }
            if number % 3 == 0 {
                harness.now.instant = harness.now.instant.advanced(byNanoseconds: 7_000_000)
                for one in harness.taken() { harness.settle(one.delivery) }
                harness.tick()
            }
            if number % 40 == pause { harness.completeStorage() }
        }
        harness.broker.shutDown(now: harness.now)
        #expect(!harness.broker.isQuiet || pause == 0)
        // Ticks between change nothing.
        for _ in 0..<5 { harness.tick() }
        harness.completeStorage()
        #expect(harness.broker.isQuiet)
        #expect(harness.broker.nextDeadline == .distantFuture)

        for path in ["__catalog", "__cursors", "logs/1-0", "logs/2-0", "logs/2-1", "logs/3-0"] {
            let log = try Log(directory: "/data/" + path, number: 9, options: Log.Options(), storage: harness.storage, now: harness.now)
            let (clean, cut) = (log.recovery.wasClean, log.recovery.truncatedBytes)
            #expect(clean && cut == 0, "\(path)")
        }
        let again = try Broker(options: harness.options, storage: harness.storage, now: harness.now)
        #expect(again.wasStoppedCleanly)
    }

    @Test func publishersUnderIntervalWaitWhileTheDiskIsBehind() throws {
        let harness = try Harness { options in options.log.flushIntervalMilliseconds = 100 }
        let topic = try harness.create("t", TopicOptions(durability: .interval))
        func pass(_ milliseconds: UInt64) {
            harness.now.instant = harness.now.instant.advanced(byNanoseconds: milliseconds * 1_000_000)
            harness.tick()
        }
        let first = harness.publish(topic, "before the flush")
        pass(1)
        #expect(harness.responses[first] != nil)
        let second = harness.publish(topic, "while it is under way")
        pass(50)
        #expect(harness.responses[second] != nil)
        // The flush takes longer than the interval.
        pass(60)
        let third = harness.publish(topic, "while it is late")
        pass(1)
        #expect(harness.responses[third] == nil)
        let fourth = harness.publish(topic, "later still")
        pass(100)
        #expect(harness.responses[fourth] == nil)
        // It ends, and does not cover them: they wait for the next one, which begins at once.
        harness.completeStorage()
        let fifth = harness.publish(topic, "between the flushes")
        pass(1)
        #expect(harness.responses[third] == nil && harness.responses[fourth] == nil && harness.responses[fifth] == nil)
        harness.completeStorage()
        #expect(harness.responses[third] != nil && harness.responses[fourth] != nil)
        pass(1)
        #expect(harness.responses[fifth] != nil)
        // The disk has caught up.
        harness.completeStorage()
        let sixth = harness.publish(topic, "after it")
        pass(1)
        #expect(harness.responses[sixth] != nil)
    }
}
