import BrokerCore
import Bytes
import SegmentLog
import Testing

/// Method: one short life of a broker (a topic, another, a queue with dead letters), once for each of its storage operations, which fails;
/// then a start on a healthy disk. Goal: every request is answered, other topics go on, nothing acknowledged is lost, nothing confirmed
/// comes back.
struct BrokerFailureTests {
    struct Outcome {
        var harness: Harness?
        var acknowledged: [String: Set<String>] = [:]
        var confirmed: Set<String> = []
        /// Of these the worker was done, whatever it was told then.
        var accepted: Set<String> = []
        var operations = 0
        var failures = 0
        var failedTopics: Set<String> = []
    }

    static func adjust(_ options: inout Broker.Options) {
        options.log.segmentBytes = 1_024
        options.segmentsBeforeAside = 1
        options.cursorWriteMilliseconds = 10
    }

    static func live(_ storage: MemoryStorage, _ fault: FailingStorage.Fault, at step: Int) throws -> Outcome {
        var outcome = Outcome()
        let failing = FailingStorage(storage, fault, at: step)
        defer {
            outcome.operations = failing.operations
            outcome.failures = failing.failures
        }
        let harness: Harness
        // A broker whose own logs cannot be had does not start, and says so.
        do { harness = try Harness(storage: storage, failing: failing, adjust) } catch {
            outcome.operations = failing.operations
            outcome.failures = failing.failures
            return outcome
        }
        outcome.harness = harness
        var asked: [RequestID] = []
        var topics: [String: TopicID] = [:]
        let letters = SubscriptionOptions(leaseMilliseconds: 0, deadLetterTopic: "dead")
        for (name, options) in [("dead", TopicOptions.queue()), ("a", TopicOptions()), ("b", TopicOptions(partitions: 1)), ("q", .queue(letters))] {
            let id = harness.ask(.createTopic(name: name, options))
            asked.append(id)
            harness.settleDown()
            if case .topics(let made)? = harness.responses[id] { topics[name] = made.first?.id }
        }
        asked.append(
            harness.ask(
                .subscribe(
                    Subscribe(
                        consumer: ConsumerID(rawValue: 1), topic: "q", name: "queue", mode: .shared, start: .earliest, form: .records, messageCredit: 1_000,
                        byteCredit: .max, options: SubscriptionOptions()))))
        harness.settleDown()
        var confirming: [RequestID: String] = [:]
        var publishes: [RequestID: (topic: String, payload: String)] = [:]
        for round in 0..<12 {
            for (name, topic) in topics.sorted(by: { $0.key < $1.key }) where name != "dead" {
                for number in 0..<4 {
                    let payload = "\(name) \(round) \(number) " + String(repeating: "x", count: 60)
                    publishes[harness.publish(topic, payload)] = (name, payload)
                }
            }
            harness.advance(milliseconds: 20)
            for one in harness.taken() {
                guard let payload = one.payloads.first, one.delivery.first == one.delivery.last else {
                    // Runs are settled whole, but for the first round: its messages stay.
                    guard round > 0 else { continue }
                    let id = harness.settle(one.delivery, confirm: true)
                    for payload in one.payloads { confirming[id] = (confirming[id].map { $0 + "\n" } ?? "") + payload }
                    continue
                }
                if round % 3 == 2 { harness.settle(one.delivery, .reject) } else { confirming[harness.settle(one.delivery, confirm: true)] = payload }
            }
            harness.advance(milliseconds: 20)
        }
        harness.advance(milliseconds: 1_200)
        for id in asked + Array(publishes.keys) + Array(confirming.keys) where harness.responses[id] == nil {
            Issue.record("request \(id.rawValue) is not answered (operation \(step))")
        }
        for (id, publish) in publishes {
            if case .appended? = harness.responses[id] {
                outcome.acknowledged[publish.topic, default: []].insert(publish.payload)
            } else {
                outcome.failedTopics.insert(publish.topic)
            }
        }
        for (id, payloads) in confirming {
            let settled = payloads.split(separator: "\n").map(String.init)
            outcome.accepted.formUnion(settled)
            if case .done? = harness.responses[id] { outcome.confirmed.formUnion(settled) }
        }
        outcome.operations = failing.operations
        outcome.failures = failing.failures
        return outcome
    }

    /// Found by kill -9: the confirmation came with the cursor that had the message on its way, and a crash brought it back.
    @Test func aRejectionIsConfirmedWhenTheLetterIsStoredAndSettledForGood() throws {
        let harness = try Harness()
        let topic = try harness.create("q", .queue(SubscriptionOptions(deadLetterTopic: "dead")))
        _ = try harness.create("dead", .queue())
        harness.subscribe("q", "queue")
        harness.publish(topic, count: 3)
        let delivery = try #require(harness.taken().first?.delivery)
        let id = harness.settle(delivery, .reject, confirm: true)
        for _ in 0..<200 where harness.responses[id] == nil {
            harness.tick()
            harness.completeStorage()
        }
        guard case .done? = harness.responses[id] else {
            Issue.record("the rejection is confirmed")
            return
        }
        try harness.restart(clean: false)
        #expect(Self.read(harness, "q", "queue", consumer: 2).isEmpty)
        #expect(Self.read(harness, "dead", "queue", consumer: 3) == ["m0", "m1", "m2"])
    }

    /// Found by read errors of a real disk: the publisher was told, the operator was not.
    @Test func aLogThatFailsWhileItTakesAMessageSaysSo() throws {
        func live(failingAt step: Int) throws -> (operations: Int, code: BrokerError.Code?, failed: Double?) {
            let memory = MemoryStorage(isVolatile: false)
            let failing = FailingStorage(memory, .ioError, at: step)
            let harness = try Harness(storage: memory, failing: failing)
            let topic = try harness.create("t")
            harness.publish(topic, count: 1)
            let before = failing.operations
            // More than is staged: it is written at once.
            let id = harness.publish(topic, String(repeating: "x", count: 100_000))
            harness.settleDown()
            return (before, harness.errorCode(harness.responses[id]), harness.statistic("logs_failed_total"))
        }
        let healthy = try live(failingAt: .max)
        #expect(healthy.code == nil && healthy.failed == 0)
        let failed = try live(failingAt: healthy.operations + 1)
        #expect(failed.code == .storageFailed && failed.failed == 1)
    }

    static func read(_ harness: Harness, _ topic: String, _ name: String, consumer: UInt32) -> Set<String> {
        harness.deliveries = []
        harness.subscribe(topic, name, name.isEmpty ? .exclusive : .shared, consumer: consumer, credit: 100_000)
        harness.advance(milliseconds: 100)
        return Set(harness.takenPayloads())
    }

    /// The first publish is written and its flush is under way; the second fails in making its segment, and nothing is asked after that.
    @Test(arguments: 1..<80) func whoWaitsForAFlushIsAnsweredWhenALaterAppendFails(_ step: Int) throws {
        let storage = MemoryStorage(isVolatile: false)
        guard let harness = try? Harness(storage: storage, failing: FailingStorage(storage, .ioError, at: step), Self.adjust) else { return }
        guard case .topics(let made)? = harness.answer(.createTopic(name: "a", TopicOptions())), let topic = made.first?.id else { return }
        harness.publish(topic, "warm")
        harness.settleDown()
        let first = harness.publish(topic, String(repeating: "x", count: 300))
        harness.tick()
        let second = harness.publish(topic, String(repeating: "y", count: 900))
        harness.settleDown()
        #expect(harness.responses[first] != nil && harness.responses[second] != nil, "operation \(step)")
    }

    @Test(arguments: [FailingStorage.Fault.ioError, .diskFull])
    func anErrorOfAnyOperationIsAnsweredAndLosesNothing(fault: FailingStorage.Fault) throws {
        var step = 1
        var lastFailures = 1
        while lastFailures > 0, step < 2_000 {
            let storage = MemoryStorage(isVolatile: false)
            let outcome = try Self.live(storage, fault, at: step)
            lastFailures = outcome.failures
            if let harness = outcome.harness, fault == .ioError, harness.broker.fatalFault == nil {
                #expect(outcome.failedTopics.count <= 1, "operation \(step): \(outcome.failedTopics)")
            }
            storage.closeAll()
            let again = try Harness(storage: storage, Self.adjust)
            for (consumer, name) in [(4 as UInt32, "a"), (5, "b")] {
                guard let acknowledged = outcome.acknowledged[name], !acknowledged.isEmpty else { continue }
                let found = Self.read(again, name, "", consumer: consumer)
                let isKept = acknowledged.isSubset(of: found)
                #expect(isKept, "operation \(step): \(name) lost \(acknowledged.subtracting(found).count)")
            }
            if let acknowledged = outcome.acknowledged["q"], !acknowledged.isEmpty {
                let found = Self.read(again, "q", "queue", consumer: 2)
                let dead = Self.read(again, "dead", "queue", consumer: 3)
                let isForgotten = !found.isDisjoint(with: outcome.confirmed)
                #expect(!isForgotten, "operation \(step): a confirmed settlement was forgotten")
                let ended = outcome.accepted.union(found).union(dead)
                let isKept = acknowledged.isSubset(of: ended)
                #expect(isKept, "operation \(step): the queue lost \(acknowledged.subtracting(ended).count)")
            }
            step += lastFailures > 0 && step > 60 ? 3 : 1
        }
        // The script was run to its end without an error at last.
        #expect(lastFailures == 0 && step > 60)
    }
}
