import BrokerCore
import Bytes
import SegmentLog
import Testing

@testable import Simulation

/// Method: the brokers of several shards in one thread on a healthy disk, with sessions on each of them. Goal: whichever shard a session is
/// on and whichever has the topic, a request means what it means on one shard.
@Suite struct BrokerFleetTests {
    /// Brokers, their sessions, and everything that those were told.
    final class Fleet {
        let disk = SimulatedDisk(seed: Seed(1))
        var fleet: BrokerFleet
        var shards: Int
        var answers: [RequestID: Response] = [:]
        var deliveries: [(session: SessionID, delivery: Delivery)] = []
        var ended: [SessionID] = []
        private var options = Broker.Options(directory: "data")
        private var instant: UInt64 = 1_000_000_000
        private var nextRequest: UInt64 = 1
        private var nextSession: UInt64 = 1

        init(_ shards: Int, _ adjust: (inout Broker.Options) -> Void = { _ in }) throws {
            self.shards = shards
            options.cursorWriteMilliseconds = 1
            options.moveRetryMilliseconds = 20
            adjust(&options)
            fleet = try BrokerFleet(shards: shards, options: options, disk: disk, now: Fleet.now(instant), Seed(1).stream("mail"))
        }

        static func now(_ instant: UInt64) -> Now {
            Now(instant: Instant(nanoseconds: instant), time: Timestamp(milliseconds: 1_700_000_000_000 + Int64(instant / 1_000_000)))
        }

        func session(on shard: Int) -> SessionID {
            let session = SessionID(place: nextSession, on: shard)
            nextSession += 1
            fleet.open(session)
            return session
        }

        func close(_ session: SessionID) {
            fleet.close(session, now: Fleet.now(instant))
            pass()
        }

        func perform(_ request: Request, _ session: SessionID, _ input: [UInt8] = []) -> RequestID {
            let id = RequestID(rawValue: nextRequest)
            nextRequest += 1
            fleet.perform(request, id, from: session, input: input.rawSpan, now: Fleet.now(instant))
            take()
            return id
        }

        /// Asks, and lets time pass until there is an answer.
        func answer(_ request: Request, _ session: SessionID, _ input: [UInt8] = []) -> Response? {
            let id = perform(request, session, input)
            for _ in 0..<200 where answers[id] == nil { pass() }
            return answers.removeValue(forKey: id)
        }

        /// A millisecond.
        func pass(_ count: Int = 1) {
            for _ in 0..<count {
                fleet.endTick(now: Fleet.now(instant))
                take()
                instant += 1_000_000
                for (ticket, result) in disk.completions(at: Instant(nanoseconds: instant)) { fleet.storageCompleted(ticket, result, now: Fleet.now(instant)) }
                disk.advance(to: Instant(nanoseconds: instant))
                take()
            }
        }

        private func take() {
            for effect in fleet.takeEffects() {
                switch effect {
                case .respond(_, let id, let response):
                    #expect(answers[id] == nil, "answered twice")
                    answers[id] = response
                case .deliver(let session, let delivery): deliveries.append((session, delivery))
                case .notify(let session, _, .ended): ended.append(session)
                case .notify: break
                }
            }
        }

        /// Ends the process, orderly or as by a kill, and starts with so many shards.
        func restart(_ shards: Int, clean: Bool) throws {
            if clean {
                pass(20)
                let problems = fleet.shutDown(now: Fleet.now(instant))
                #expect(problems.isEmpty)
                pass(20)
            }
            disk.kill()
            self.shards = shards
            deliveries = []
            fleet = try BrokerFleet(shards: shards, options: options, disk: disk, now: Fleet.now(instant), Seed(1).stream("mail"))
            #expect(fleet.brokers.allSatisfy { $0.wasStoppedCleanly == clean })
        }

        // MARK: Shorthands

        func create(_ name: String, _ session: SessionID, _ options: TopicOptions = TopicOptions()) throws -> TopicDescription {
            guard case .topics(let made)? = answer(.createTopic(name: name, options), session), let topic = made.first else { throw Wrong(what: "not made") }
            return topic
        }

        func publish(_ text: String, _ target: Append.Target, _ session: SessionID) -> Response? {
            var target = target
            let bytes = Array("key".utf8) + Array(text.utf8)
            if case .exchange(let exchange, _) = target { target = .exchange(exchange, routingKey: ByteRange(start: 0, count: 3)) }
            let ranges = MessageRanges(
                key: nil, payload: ByteRange(start: 3, count: text.utf8.count), headers: .empty, headerCount: 0, timestamp: nil, producer: nil)
            return answer(.append(Append(target: target, content: .message(ranges), durability: .none, answer: .whenReached)), session, bytes)
        }

        func subscribe(_ topic: String, _ name: String, _ session: SessionID, consumer: UInt32 = 1) -> Response? {
            answer(
                .subscribe(
                    Subscribe(
                        consumer: ConsumerID(rawValue: consumer), topic: topic, name: name, mode: .shared, start: .earliest, form: .records,
                        messageCredit: 1_000, byteCredit: 1 << 30, options: SubscriptionOptions())), session)
        }

        func settle(_ delivery: Delivery, _ outcome: Settle.Outcome, _ session: SessionID) -> Response? {
            answer(
                .settle(
                    Settle(
                        consumer: delivery.consumer, partition: delivery.partition, first: delivery.first, last: delivery.last, outcome: outcome,
                        confirm: true)), session)
        }

        /// What was delivered since the last call: the payloads, record by record.
        func taken() throws -> [(text: String, delivery: Delivery)] {
            pass(50)
            defer { deliveries = [] }
            var found: [(String, Delivery)] = []
            for (_, delivery) in deliveries {
                guard case .records(let slice, _) = delivery.content else { throw Wrong(what: "batches") }
                let bytes = slice.memory.bytes(slice.range)
                var reader = try RecordReader(bytes, records: 0..<bytes.byteCount)
                var offset = delivery.first
                while let record = try reader.next() {
                    var one = delivery
                    (one.first, one.last) = (offset, offset)
                    found.append((record.value.map { String(decodingBytes: bytes.extracting($0.indices)) } ?? "", one))
                    offset = offset + 1
                }
            }
            return found
        }

        func statistic(_ name: String, _ session: SessionID) -> Double? {
            guard case .statistics(let list)? = answer(.statistics, session) else { return nil }
            return list.first { $0.name == "needletail_" + name }?.value
        }
    }

    struct Wrong: Error { var what: String }

    static func isFailure(_ response: Response?, _ code: BrokerError.Code) -> Bool {
        if case .failed(let error)? = response { error.code == code } else { false }
    }

    static func isDone(_ response: Response?) -> Bool { if case .done? = response { true } else { false } }

    @Test(arguments: [1, 2, 3])
    func aTopicIsUsedAlikeFromEveryShard(_ shards: Int) throws {
        let fleet = try Fleet(shards)
        for maker in 0..<shards {
            let session = fleet.session(on: maker)
            let topic = try fleet.create("t\(maker)", session, .queue())
            #expect(topic.owner == Int32(topic.id.rawValue) % Int32(shards) && topic.partitions.count == 1)
            for user in 0..<shards {
                let session = fleet.session(on: user)
                guard case .appended? = fleet.publish("from \(user)", .topic(topic.id, partition: 0), session) else { throw Wrong(what: "not published") }
                guard case .subscribed? = fleet.subscribe(topic.name, TopicOptions.queueSubscription, session) else { throw Wrong(what: "not subscribed") }
                let taken = try fleet.taken()
                #expect(taken.map(\.text) == ["from \(user)"] && taken.first?.delivery.topic == topic.id)
                #expect(Self.isDone(fleet.settle(taken[0].delivery, .accept, session)))
                guard case .subscriptions(let listed)? = fleet.answer(.listSubscriptions(topic: topic.name), session) else { throw Wrong(what: "no list") }
                #expect(listed.first?.consumers == 1 && listed.first?.cursors.first?.floor == Offset(Int64(user + 1)))
                guard case .topics(let described)? = fleet.answer(.describeTopic(name: topic.name), session) else { throw Wrong(what: "no description") }
                #expect(described.first?.partitions.first?.end == Offset(Int64(user + 1)))
                #expect(Self.isDone(fleet.answer(.unsubscribe(ConsumerID(rawValue: 1)), session)))
                #expect(Self.isFailure(fleet.answer(.unsubscribe(ConsumerID(rawValue: 1)), session), .unknownConsumer))
            }
            guard case .topics(let altered)? = fleet.answer(.alterTopic(name: topic.name, TopicChange(retentionBytes: 4_711)), session) else {
                throw Wrong(what: "not altered")
            }
            #expect(altered.first?.options.retentionBytes == 4_711 && altered.first?.partitions.first?.end == Offset(Int64(shards)))
            #expect(Self.isDone(fleet.answer(.deleteTopic(name: topic.name), session)))
            for user in 0..<shards {
                let session = fleet.session(on: user)
                #expect(Self.isFailure(fleet.publish("late", .topic(topic.id, partition: 0), session), .unknownTopic))
                #expect(Self.isFailure(fleet.answer(.describeTopic(name: topic.name), session), .unknownTopic))
            }
        }
        fleet.pass(20)
        #expect(try fleet.disk.list("data/logs").isEmpty)
    }

    /// Whoever asks, and whoever has the topics; what was asked for and is not there yet counts.
    @Test(arguments: [1, 2, 3])
    func newPartitionsAreRefusedWhereSubscriptionsHaveNoRoomInThem(_ shards: Int) throws {
        let fleet = try Fleet(shards)
        for owner in 0..<shards {
            let session = fleet.session(on: (owner + 1) % shards)
            var topics: [String] = []
            for number in 0..<(2 * shards) where try fleet.create("t\(owner)-\(number)", session).owner == Int32(owner) { topics.append("t\(owner)-\(number)") }
            #expect(topics.count == 2)
            for (place, topic) in topics.enumerated() {
                for number in 0..<60 {
                    guard case .subscribed? = fleet.subscribe(topic, "s\(number)", session, consumer: UInt32(1 + 60 * place + number)) else {
                        throw Wrong(what: "not subscribed")
                    }
                }
            }
            // Room for some 580 places on each shard.
            for broker in fleet.fleet.brokers { broker.setMemory(used: 0, limit: shards << 20) }
            func partitions(_ topic: String) throws -> Int {
                guard case .topics(let described)? = fleet.answer(.describeTopic(name: topic), session) else { throw Wrong(what: "no description") }
                return described.first?.partitions.count ?? 0
            }
            #expect(Self.isFailure(fleet.answer(.alterTopic(name: topics[0], TopicChange(partitions: 100)), session), .limitReached))
            #expect(try partitions(topics[0]) == 1)
            let both = topics.map { fleet.perform(.alterTopic(name: $0, TopicChange(partitions: 5)), session) }
            for _ in 0..<200 where both.contains(where: { fleet.answers[$0] == nil }) { fleet.pass() }
            #expect(both.count { Self.isFailure(fleet.answers[$0], .limitReached) } == 1)
            #expect(try topics.map(partitions).sorted() == [1, 5])
        }
    }

    @Test(arguments: [2, 3])
    func aPublishThroughAnExchangeReachesEveryOwnerAndIsAnsweredOnce(_ shards: Int) throws {
        let fleet = try Fleet(shards)
        let session = fleet.session(on: shards - 1)
        var topics: [TopicDescription] = []
        for number in 0..<5 { topics.append(try fleet.create("t\(number)", session)) }
        guard case .exchanges(let made)? = fleet.answer(.createExchange(name: "x", .fanout), session), let exchange = made.first else { throw Wrong(what: "x") }
        for topic in topics { #expect(Self.isDone(fleet.answer(.bind(Binding(exchange: "x", destination: .topic(topic.name), pattern: "")), session))) }
        for shard in 0..<shards {
            let publisher = fleet.session(on: shard)
            guard case .appended(let appended)? = fleet.publish("m\(shard)", .exchange(exchange.id, routingKey: .empty), publisher) else {
                throw Wrong(what: "not published")
            }
            #expect(appended.logs == 5 && appended.count == 1 && appended.reached == .group)
        }
        guard case .topics(let listed)? = fleet.answer(.listTopics, session) else { throw Wrong(what: "no list") }
        #expect(listed.map(\.name) == topics.map(\.name) && listed.map(\.owner) == topics.map(\.owner))
        #expect(listed.allSatisfy { $0.partitions.first?.end == Offset(Int64(shards)) })
        #expect(Set(listed.map(\.owner)).count == min(shards, 5))
        #expect(fleet.statistic("messages_in_total", session) == Double(5 * shards))
        #expect(fleet.statistic("topics", session) == 5 && fleet.statistic("exchanges", session) == 1 && fleet.statistic("bindings", session) == 5)
        #expect(fleet.statistic("sessions", session) == Double(shards + 1))
        guard case .exchanges(let found)? = fleet.answer(.findExchange(name: "x"), fleet.session(on: 0)) else { throw Wrong(what: "no exchange") }
        #expect(found.first?.bindings.count == 5)
    }

    @Test(arguments: [1, 2, 3])
    func oneFetchReadsTopicsOfSeveralShards(_ shards: Int) throws {
        let fleet = try Fleet(shards)
        let session = fleet.session(on: 0)
        var topics: [TopicDescription] = []
        for number in 0..<4 { topics.append(try fleet.create("t\(number)", session)) }
        func fetch(from: Int64, minBytes: Int, wait: UInt32) -> Request {
            let parts = topics.map { Fetch.Part(topic: $0.id, partition: 0, from: Offset(from), maxBytes: 1 << 20) }
            return .fetch(Fetch(parts: parts, maxBytes: 1 << 20, minBytes: minBytes, waitMilliseconds: wait))
        }
        func sizes(_ response: Response?) -> [Bool] {
            guard case .fetched(let parts)? = response else { return [] }
            #expect(parts.map(\.topic) == topics.map(\.id) && parts.allSatisfy { $0.failure == nil })
            return parts.map { $0.slice != nil }
        }
        // Nothing is there: at once, or when the time is over.
        #expect(sizes(fleet.answer(fetch(from: 0, minBytes: 1, wait: 0), session)) == [false, false, false, false])
        #expect(sizes(fleet.answer(fetch(from: 0, minBytes: 1, wait: 50), session)) == [false, false, false, false])
        // The first that has something ends the wait.
        let waiting = fleet.perform(fetch(from: 0, minBytes: 1, wait: 60_000), session)
        fleet.pass(5)
        #expect(fleet.answers[waiting] == nil)
        _ = fleet.publish("m", .topic(topics[1].id, partition: 0), fleet.session(on: shards - 1))
        fleet.pass(10)
        #expect(sizes(fleet.answers.removeValue(forKey: waiting)) == [false, true, false, false])
        for topic in topics { _ = fleet.publish("n", .topic(topic.id, partition: 0), session) }
        #expect(sizes(fleet.answer(fetch(from: 0, minBytes: 100, wait: 60_000), session)) == [true, true, true, true])
        guard case .fetched(let parts)? = fleet.answer(fetch(from: 9, minBytes: 1, wait: 60_000), session) else { throw Wrong(what: "not fetched") }
        #expect(parts.allSatisfy { $0.failure?.code == .offsetOutOfRange })
    }

    @Test(arguments: [2, 3], 0..<3)
    func deadLettersGoToAnotherShardAndBack(_ shards: Int, _ skipped: Int) throws {
        let fleet = try Fleet(shards)
        let session = fleet.session(on: 0)
        // So that queue and letters have each owner in turn.
        for number in 0..<skipped { _ = try fleet.create("other\(number)", session) }
        let queue = try fleet.create("work", session, .queue(SubscriptionOptions(deadLetterTopic: "dead")))
        for number in 0..<3 { _ = fleet.publish("m\(number)", .topic(queue.id, partition: 0), session) }
        _ = fleet.subscribe("work", TopicOptions.queueSubscription, session)
        var all = try #require(try fleet.taken().first?.delivery)
        all.last = Offset(2)
        #expect(Self.isDone(fleet.settle(all, .reject, session)))
        fleet.pass(100)
        guard case .topics(let made)? = fleet.answer(.describeTopic(name: "dead"), session), let dead = made.first else { throw Wrong(what: "no letters") }
        #expect(dead.owner != queue.owner && dead.partitions.first?.end == Offset(3))
        #expect(fleet.statistic("dead_lettered_total", session) == 3 && fleet.statistic("in_flight", session) == 0)
        guard case .count(let count)? = fleet.answer(.redrive(topic: "dead", limit: 2), session) else { throw Wrong(what: "not redriven") }
        #expect(count == 2)
        let again = try fleet.taken().map(\.text)
        #expect(again == ["m0", "m1"])
        // Another of that name, whose letters go nowhere: what is left stays.
        _ = fleet.answer(.deleteTopic(name: "work"), session)
        _ = try fleet.create("work", session, .queue())
        guard case .count(0)? = fleet.answer(.redrive(topic: "dead", limit: 0), session) else { throw Wrong(what: "a letter went to a stranger") }
        guard case .purged(let rest, _)? = fleet.answer(.purge(topic: "dead", partition: nil, before: nil), session) else { throw Wrong(what: "not purged") }
        #expect(rest == 1)
    }

    @Test(arguments: [1, 2, 3])
    func aReplyTopicIsItsSessionsAndReachedFromEveryShard(_ shards: Int) throws {
        let fleet = try Fleet(shards)
        for shard in 0..<shards {
            let asker = fleet.session(on: shard)
            guard case .topics(let made)? = fleet.answer(.createReplyTopic, asker), let reply = made.first else { throw Wrong(what: "not made") }
            #expect(reply.owner == Int32(shard))
            for other in 0..<shards {
                let session = fleet.session(on: other)
                guard case .topics(let found)? = fleet.answer(.describeTopic(name: reply.name), session) else { throw Wrong(what: "not found") }
                #expect(found.first?.id == reply.id)
                guard case .appended? = fleet.publish("answer", .topic(reply.id, partition: 0), session) else { throw Wrong(what: "not published") }
                #expect(Self.isFailure(fleet.answer(.deleteTopic(name: reply.name), session), .notPermitted))
            }
            fleet.close(asker)
            #expect(Self.isFailure(fleet.answer(.describeTopic(name: reply.name), fleet.session(on: 0)), .unknownTopic))
        }
    }

    @Test func aConsumersNameIsOneInAllShards() throws {
        let fleet = try Fleet(3)
        let session = fleet.session(on: 0)
        for number in 0..<3 { _ = try fleet.create("t\(number)", session) }
        #expect(Self.isFailure(fleet.subscribe("nowhere", "s", session), .unknownTopic))
        guard case .subscribed? = fleet.subscribe("t0", "s", session) else { throw Wrong(what: "not subscribed") }
        #expect(Self.isFailure(fleet.subscribe("t1", "s", session), .alreadyExists))
        // What goes away may come again, also before the answer.
        _ = fleet.perform(.unsubscribe(ConsumerID(rawValue: 1)), session)
        guard case .subscribed? = fleet.subscribe("t1", "s", session) else { throw Wrong(what: "not subscribed again") }
        #expect(Self.isDone(fleet.answer(.deleteTopic(name: "t1"), session)))
        #expect(fleet.ended == [session])
        guard case .subscribed? = fleet.subscribe("t2", "s", session) else { throw Wrong(what: "not subscribed after the end") }
    }

    @Test(arguments: [2, 3], [true, false])
    func aCatalogThatIsWrittenAnewKnowsWhatOtherShardsHave(_ shards: Int, clean: Bool) throws {
        let fleet = try Fleet(shards)
        let session = fleet.session(on: 1)
        var kept: [TopicDescription] = []
        for number in 0..<shards {
            kept.append(try fleet.create("kept\(number)", session, .queue()))
            guard case .subscribed? = fleet.subscribe("kept\(number)", "extra", session, consumer: UInt32(number)) else { throw Wrong(what: "not subscribed") }
            _ = fleet.publish("m", .topic(kept[number].id, partition: 0), session)
        }
        for number in 0..<500 {
            _ = try fleet.create("t\(number)", session, .queue())
            #expect(Self.isDone(fleet.answer(.deleteTopic(name: "t\(number)"), session)))
        }
        try fleet.restart(shards == 2 ? 3 : 2, clean: clean)
        let other = fleet.session(on: 0)
        guard case .topics(let listed)? = fleet.answer(.listTopics, other) else { throw Wrong(what: "no list") }
        #expect(listed.map(\.id) == kept.map(\.id))
        for topic in kept {
            guard case .subscriptions(let found)? = fleet.answer(.listSubscriptions(topic: topic.name), other) else { throw Wrong(what: "no subscriptions") }
            #expect(Set(found.map(\.name)) == [TopicOptions.queueSubscription, "extra"])
            #expect(found.allSatisfy { $0.cursors.map(\.end) == [Offset(1)] && $0.cursors.map(\.floor) == [.zero] })
        }
        #expect(try fleet.create("after", other).id.rawValue > 500)
    }

    /// What was settled stays so, what was not comes again, flagged where it may have been seen; and no id is given out twice.
    @Test(arguments: [[1, 3, 2, 1], [3, 1, 3], [2, 3, 2]], [true, false])
    func anotherNumberOfShardsFindsEveryCursor(_ numbers: [Int], clean: Bool) throws {
        let fleet = try Fleet(numbers[0])
        var ids: Set<UInt32> = []
        var session = fleet.session(on: 0)
        var unsettled: [String: Set<String>] = [:]
        for (round, shards) in numbers.enumerated() {
            if round > 0 { try fleet.restart(shards, clean: clean) }
            session = fleet.session(on: shards - 1)
            for number in 0..<4 {
                let topic = try fleet.create("q\(round)-\(number)", session, .queue())
                #expect(ids.insert(topic.id.rawValue).inserted)
                for message in 0..<6 { _ = fleet.publish("m\(message)", .topic(topic.id, partition: 0), session) }
                unsettled[topic.name] = Set((0..<6).map { "m\($0)" })
            }
            for name in unsettled.keys.sorted() {
                guard case .subscribed(let id, _)? = fleet.subscribe(name, TopicOptions.queueSubscription, session) else { throw Wrong(what: name) }
                guard case .subscriptions(let listed)? = fleet.answer(.listSubscriptions(topic: name), session) else { throw Wrong(what: name) }
                #expect(listed.map(\.id) == [id])
                let taken = try fleet.taken()
                #expect(Set(taken.map(\.text)) == unsettled[name], "\(name) in round \(round)")
                // Every second one stays.
                for (place, one) in taken.enumerated() where place % 2 == round % 2 {
                    #expect(Self.isDone(fleet.settle(one.delivery, .accept, session)))
                    unsettled[name]?.remove(one.text)
                }
                #expect(Self.isDone(fleet.answer(.unsubscribe(ConsumerID(rawValue: 1)), session)))
            }
        }
        let entries = try fleet.disk.list("data").map(\.name).filter { $0.hasPrefix("__cursors") }.sorted()
        let last = max(1, numbers.last ?? 1)
        #expect(entries == ["__cursors"] + (1..<last).map { "__cursors-\($0)" })
    }
}
