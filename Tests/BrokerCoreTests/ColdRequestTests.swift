import BrokerCore
import Bytes
import SegmentLog
import Synchronization
import Testing

/// Requests and moves for which the disk is read. Method: a disk of which nothing is in memory after a start until it was loaded, whose
/// answers are handed in when the test says so. Goal: each waits for that without keeping anybody waiting, and ends as if all had been there.
struct ColdRequestTests {
    /// What was loaded stays; the rest is on the disk.
    final class Pages: MemoryPages {
        private struct State {
            var loaded: [Range<Int>] = []
            var loads = 0
        }
        private let state = Mutex(State())

        var hasFailed: Bool { false }
        var loads: Int { state.withLock { $0.loads } }
        func forget() { state.withLock { $0 = State() } }
        func touch(_ range: Range<Int>) {}
        func load(_ range: Range<Int>) {
            state.withLock { state in
                state.loaded.append(range)
                state.loads += 1
            }
        }
        func isResident(_ range: Range<Int>) -> Bool {
            state.withLock { state in state.loaded.contains { $0.lowerBound <= range.lowerBound && range.upperBound <= $0.upperBound } }
        }
    }

    private let pages = Pages()

    /// A queue `q` with 100 messages, one every 10 ms, in several segments, whose dead letters go to `dead`; then a new start.
    private func make() throws -> (Harness, TopicID, began: Timestamp) {
        let disk = MemoryStorage(isVolatile: false)
        disk.pages = pages
        let harness = try Harness(storage: disk) { options in
            options.log.segmentBytes = 2_048
            options.deliveryRecords = 1
        }
        _ = try harness.create("dead", .queue())
        let topic = try harness.create("q", .queue(SubscriptionOptions(deadLetterTopic: "dead")))
        let began = harness.now.time
        for number in 0..<100 {
            harness.publish(topic, "m\(number)")
            harness.advance(milliseconds: 10)
        }
        try harness.restart(clean: true)
        // What was looked at before that is not believed any more.
        harness.advance(milliseconds: 60_000)
        pages.forget()
        return (harness, topic, began)
    }

    private func time(_ began: Timestamp, _ number: Int64) -> StartPosition { .time(Timestamp(milliseconds: began.rawValue + 10 * number)) }

    /// Asks, and sees to it that there is no answer before the disk's.
    private func answer(_ harness: Harness, _ request: Request) -> Response? {
        let loads = pages.loads
        let id = harness.ask(request)
        for _ in 0..<3 { harness.tick() }
        #expect(harness.responses[id] == nil, "what it asks for is not in memory")
        harness.settleDown()
        #expect(pages.loads > loads)
        return harness.responses[id]
    }

    @Test func searchesByTimeWaitForTheDiskWithoutKeepingOthersWaiting() throws {
        let (harness, _, began) = try make()
        guard case .offset(let offset, let timestamp, _)? = answer(harness, .findOffset(topic: "q", partition: 0, position: time(began, 42))) else {
            Issue.record("not answered")
            return
        }
        #expect(offset == Offset(42))
        #expect(timestamp.rawValue == began.rawValue + 420)
        // Once more it is there.
        let again = harness.ask(.findOffset(topic: "q", partition: 0, position: time(began, 42)))
        #expect(harness.responses[again] != nil)
        guard case .offset(let last, _, _)? = answer(harness, .findOffset(topic: "q", partition: 0, position: .maxTimestamp)) else {
            Issue.record("not answered")
            return
        }
        #expect(last == Offset(99))
    }

    @Test func aSubscriptionBeginsAndIsMovedByTime() throws {
        let (harness, _, began) = try make()
        let subscribe = Subscribe(
            consumer: ConsumerID(rawValue: 1), topic: "q", name: "s", mode: .shared, start: time(began, 90), form: .records, messageCredit: 100,
            byteCredit: .max, options: SubscriptionOptions(), settlesItself: false)
        guard case .subscribed? = answer(harness, .subscribe(subscribe)) else {
            Issue.record("not answered")
            return
        }
        #expect(harness.takenPayloads() == (90..<100).map { "m\($0)" })
        guard case .done? = answer(harness, .seek(topic: "q", subscription: "s", position: time(began, 10))) else {
            Issue.record("not answered")
            return
        }
        #expect(harness.takenPayloads().first == "m10")
    }

    private func subscribe(_ began: Timestamp, credit: Int32) -> Request {
        .subscribe(
            Subscribe(
                consumer: ConsumerID(rawValue: 1), topic: "q", name: "s", mode: .shared, start: time(began, 90), form: .records, messageCredit: credit,
                byteCredit: .max, options: SubscriptionOptions(), settlesItself: false))
    }

    @Test func creditThatComesWhileSubscribingWaitsCounts() throws {
        let (harness, _, began) = try make()
        let id = harness.ask(subscribe(began, credit: 1))
        for _ in 0..<3 { harness.ask(.credit(ConsumerID(rawValue: 1), messages: 2, bytes: 0)) }
        #expect(harness.responses[id] == nil)
        harness.settleDown()
        #expect(harness.takenPayloads() == (90..<97).map { "m\($0)" })
    }

    /// What a client sends one behind the other is done one behind the other.
    @Test func whoUnsubscribesWhileSubscribingWaitsIsNotSubscribed() throws {
        let (harness, _, began) = try make()
        let first = harness.ask(subscribe(began, credit: 100))
        let left = harness.ask(.unsubscribe(ConsumerID(rawValue: 1)))
        let again = harness.ask(subscribe(began, credit: 3))
        let twice = harness.ask(subscribe(began, credit: 3))
        #expect([first, left, again, twice].allSatisfy { harness.responses[$0] == nil })
        harness.settleDown()
        // It left before its new subscription was durable.
        #expect(harness.errorCode(harness.responses[first]) == .unknownConsumer)
        #expect(isDone(harness.responses[left]))
        guard case .subscribed? = harness.responses[again] else {
            Issue.record("not answered")
            return
        }
        #expect(harness.errorCode(harness.responses[twice]) == .alreadyExists)
        #expect(harness.takenPayloads() == (90..<93).map { "m\($0)" })
    }

    @Test func whoseTopicGoesMeanwhileIsTold() throws {
        let (harness, _, began) = try make()
        let id = harness.ask(.findOffset(topic: "q", partition: 0, position: time(began, 42)))
        harness.tick()
        #expect(harness.responses[id] == nil)
        harness.ask(.deleteTopic(name: "q"))
        #expect(harness.errorCode(harness.responses[id]) == .unknownTopic)
        harness.settleDown()
    }

    @Test func whoHasGoneIsNotAnswered() throws {
        let (harness, _, began) = try make()
        let id = harness.ask(.findOffset(topic: "q", partition: 0, position: time(began, 42)))
        harness.broker.close(Harness.one, now: harness.now)
        harness.settleDown()
        #expect(harness.responses[id] == nil)
    }

    @Test func aDeadLetterIsMovedWhenWhatItSaysHasCome() throws {
        let (harness, _, _) = try make()
        harness.subscribe("q", "queue", credit: 5)
        let held = harness.taken()
        #expect(held.count == 5)
        harness.advance(milliseconds: 10_000)
        pages.forget()
        let loads = pages.loads
        let rejected = held.map { harness.settle($0.delivery, .reject, confirm: true) }
        for _ in 0..<3 { harness.tick() }
        #expect(rejected.allSatisfy { harness.responses[$0] == nil })
        harness.settleDown()
        #expect(pages.loads > loads)
        #expect(rejected.allSatisfy { isDone(harness.responses[$0]) })
        harness.subscribe("dead", "queue", consumer: 9, credit: 100)
        #expect(harness.takenPayloads().sorted() == (0..<5).map { "m\($0)" })
        #expect(harness.statistic("moves_failed_total") == 0)
    }
}
