import BrokerCore
import Bytes
@testable import KafkaProtocol
import SegmentLog
import Testing
import Wire

/// What a connection's state machine promises: order, holding back, and that nothing from outside ends more than the connection.
@Suite struct KafkaSessionTests {
    private static let orders = TopicDescription(
        id: TopicID(rawValue: 7), name: "orders", options: TopicOptions(partitions: 2),
        partitions: (0..<2).map { PartitionDescription(index: $0, start: .zero, flushed: .zero, end: .zero, bytes: 0, segments: 0, fault: nil) })

    private static func appended(_ offset: Int64, duplicate: Bool = false) -> Response {
        .appended(
            Appended(topic: orders.id, partition: 0, baseOffset: Offset(offset), count: 1, reached: .group, logs: 1, duplicate: duplicate))
    }

    @Test func theTableIsWhatClientsAreTold() throws {
        let harness = SessionHarness()
        for version: Int16 in 0...4 {
            harness.feed(ApiVersionsRequest(clientSoftwareName: "kcat", clientSoftwareVersion: "1"), version: version)
            let told = try #require(try harness.response(ApiVersionsResponse.self, .apiVersions, version: version)).body
            #expect(told.errorCode == 0)
            #expect(told.apiKeys.map(\.apiKey) == KafkaAPI.all.map(\.key.rawValue).sorted())
        }
        #expect(KafkaAPI.table[.produce]?.versions.lowerBound == 0, "older librdkafka does not compress otherwise")
    }

    /// A client that knows more than we do gets the oldest form, which every client understands, with error 35.
    @Test func aNewerApiVersionsIsAnsweredInTheOldestForm() throws {
        let harness = SessionHarness()
        harness.feed(frame(.apiVersions, version: 4, correlation: 9) { _ in }.enumerated().map { $0.offset == 7 ? 99 : $0.element })
        let told = try #require(try harness.response(ApiVersionsResponse.self, .apiVersions, version: 0))
        #expect(told.correlation == 9)
        #expect(told.body.errorCode == 35)
        #expect(told.body.apiKeys.isEmpty == false)
        #expect(harness.error == nil)
    }

    /// At every split of the stream the session asks for the same and says the same.
    @Test func splittingTheStreamChangesNothing() throws {
        let stream =
            frame(ApiVersionsRequest(), version: 3, correlation: 1) + produce("orders", [(0, 20), (1, 2_000)], correlation: 2)
            + produce("orders", [(0, 30)], correlation: 3) + frame(MetadataRequest(topics: nil), version: 12, correlation: 4)
        func run(_ cut: Int) -> (asked: [String], sent: [UInt8]) {
            let harness = SessionHarness()
            harness.feed(stream[..<cut])
            harness.feed(stream[cut...])
            var next = 0
            while next < harness.asked.count {
                switch harness.asked[next].request {
                case .describeTopic: harness.answer(next, .topics([Self.orders]))
                case .append: harness.answer(next, Self.appended(Int64(next)))
                default: harness.answer(next, .topics([Self.orders]))
                }
                next += 1
            }
            #expect(harness.error == nil && harness.input.isEmpty)
            return (harness.asked.map { kind($0.request) }, harness.sent)
        }
        let whole = run(0)
        #expect(whole.asked.count == 5)
        for cut in 1..<stream.count {
            let parts = run(cut)
            #expect(parts.asked == whole.asked && parts.sent == whole.sent, "cut at \(cut)")
        }
    }

    private func kind(_ request: Request) -> String {
        switch request {
        case .append(let append): "append \(append.target)"
        case .describeTopic(let name): "describe \(name)"
        case .listTopics: "list"
        default: "other"
        }
    }

    /// By the size and the API alone, before anything more is kept.
    @Test(arguments: [
        (KafkaAPIKey.produce, 2 << 20, true), (.fetch, 2 << 20, true), (.fetch, 8 << 20 + 1, false), (.createTopics, 1 << 20, true),
        (.createTopics, 1 << 20 + 1, false), (.metadata, 1 << 20 + 1, false), (.joinGroup, 8 << 20, true), (.joinGroup, 8 << 20 + 1, false),
    ])
    func aRequestIsNoLongerThanItsKindNeeds(_ key: KafkaAPIKey, _ size: Int, _ isTaken: Bool) {
        var buffer = ByteBuffer()
        buffer.append(big: Int32(size))
        buffer.append(big: key.rawValue)
        buffer.append(big: 4 as Int16)
        let harness = SessionHarness()
        harness.feed([UInt8](buffer.bytes))
        #expect((harness.error == nil) == isTaken)
    }

    @Test func producesFollowEachOtherAndAreAnsweredInOrder() throws {
        let harness = SessionHarness()
        harness.feed(produce("orders", [(0, 100)], correlation: 1))
        #expect(harness.session.isHolding, "its topic is looked up first")
        harness.answer(0, .topics([Self.orders]))
        harness.feed(produce("orders", [(1, 100)], correlation: 2))
        #expect(harness.asked.count == 3, "the second does not wait for the first")
        harness.feed(MetadataRequest(topics: nil), version: 9, correlation: 3)
        #expect(harness.asked.count == 3, "anything else does")
        harness.answer(2, Self.appended(20))
        #expect(harness.sent.isEmpty, "the first is not answered yet")
        harness.answer(1, Self.appended(10))
        let first = try #require(try harness.response(ProduceResponse.self, .produce, version: 9))
        let second = try #require(try harness.response(ProduceResponse.self, .produce, version: 9))
        #expect(first.correlation == 1 && first.body.responses[0].partitionResponses[0].baseOffset == 10)
        #expect(second.correlation == 2 && second.body.responses[0].partitionResponses[0].baseOffset == 20)
        #expect(harness.asked.count == 4)
        guard case .listTopics = harness.asked[3].request else {
            Issue.record("the metadata was not asked for")
            return
        }
    }

    @Test func whatAProduceCannotDoIsSaidPerPartition() throws {
        let harness = SessionHarness()
        harness.feed(produce("orders", [(0, 10), (5, 10), (1, 0), (-1, 10)]))
        harness.answer(0, .topics([Self.orders]))
        #expect(harness.asked.count == 3)
        harness.answer(1, .failed(BrokerError(.corruptBatch, "its checksum does not hold")))
        harness.answer(2, .failed(BrokerError(.unknownPartition, "no partition 5")))
        let response = try #require(try harness.response(ProduceResponse.self, .produce, version: 9)).body
        #expect(response.responses[0].partitionResponses.map(\.errorCode) == [2, 3, 87, 3])
        #expect(response.responses[0].partitionResponses[0].errorMessage == "its checksum does not hold")

        harness.feed(produce("nowhere", [(0, 10)]))
        harness.answer(3, .failed(BrokerError(.unknownTopic, "no topic 'nowhere'")))
        let unknown = try #require(try harness.response(ProduceResponse.self, .produce, version: 9)).body
        #expect(unknown.responses[0].partitionResponses[0].errorCode == 3)

        harness.feed(produce("orders", [(0, 10)], acks: 7))
        let acks = try #require(try harness.response(ProduceResponse.self, .produce, version: 9)).body
        #expect(acks.responses[0].partitionResponses[0].errorCode == 21)

        harness.feed(produce("orders", [(0, 10)], version: 2))
        let old = try #require(try harness.response(ProduceResponse.self, .produce, version: 2)).body
        #expect(old.responses[0].partitionResponses[0].errorCode == 43)
    }

    @Test func withoutAcknowledgementsNothingIsAnswered() throws {
        let harness = SessionHarness()
        harness.feed(produce("orders", [(0, 10)], acks: 0))
        harness.answer(0, .topics([Self.orders]))
        harness.answer(1, Self.appended(0))
        #expect(harness.sent.isEmpty)
        harness.feed(MetadataRequest(topics: []), version: 9, correlation: 2)
        #expect(try harness.response(MetadataResponse.self, .metadata, version: 9)?.correlation == 2)
    }

    @Test func withoutAcknowledgementsAFaultEndsTheConnection() throws {
        let refused = SessionHarness()
        refused.feed(produce("orders", [(0, 10)], acks: 0))
        refused.answer(0, .topics([Self.orders]))
        refused.answer(1, .failed(BrokerError(.messageTooLarge, "too large")))
        #expect(refused.sent.isEmpty && refused.isClosed)
        let malformed = SessionHarness()
        malformed.feed(produce("orders", [(0, 0)], acks: 0))
        malformed.answer(0, .topics([Self.orders]))
        #expect(malformed.sent.isEmpty && malformed.isClosed)
    }

    /// A topic that is deleted and made again has another number.
    @Test func aNameIsLookedUpAgainWhenItsTopicHasGone() throws {
        let harness = SessionHarness()
        harness.feed(produce("orders", [(0, 10)]))
        harness.answer(0, .topics([Self.orders]))
        harness.answer(1, .failed(BrokerError(.unknownTopic, "no topic with id 7")))
        let gone = try #require(try harness.response(ProduceResponse.self, .produce, version: 9)).body
        #expect(gone.responses[0].partitionResponses[0].errorCode == 3)
        harness.feed(produce("orders", [(0, 10)]))
        guard case .describeTopic = harness.asked[2].request else {
            Issue.record("the number is still believed")
            return
        }
    }

    @Test func whatTheBrokerSaysOfAnAppendReachesTheClient() throws {
        let harness = SessionHarness()
        harness.feed(produce("orders", [(0, 10)]))
        harness.answer(0, .topics([Self.orders]))
        harness.answer(
            1,
            .appended(
                Appended(
                    topic: Self.orders.id, partition: 0, baseOffset: Offset(8), count: 1, reached: .group, logs: 1, duplicate: false,
                    stampedAt: Timestamp(milliseconds: 77), logStart: Offset(3))))
        let part = try #require(try harness.response(ProduceResponse.self, .produce, version: 9)).body.responses[0].partitionResponses[0]
        #expect(part.baseOffset == 8 && part.logAppendTimeMs == 77 && part.logStartOffset == 3)
    }

    @Test func epochsAreAskedByNumber() throws {
        let harness = SessionHarness()
        let wanted = OffsetForLeaderEpochRequest(topics: [
            OffsetForLeaderEpochRequest.Topic(topic: "orders", partitions: [OffsetForLeaderEpochRequest.Partition(partition: 1, leaderEpoch: 4)])
        ])
        harness.feed(wanted, version: 4)
        harness.answer(0, .topics([Self.orders]))
        harness.answer(1, .epochEnd(epoch: 3, Offset(50)))
        let part = try #require(try harness.response(OffsetForLeaderEpochResponse.self, .offsetForLeaderEpoch, version: 4)).body.topics[0].partitions[0]
        #expect(part.partition == 1 && part.leaderEpoch == 3 && part.endOffset == 50 && part.errorCode == 0)
    }

    @Test(arguments: [true, false])
    func missingTopicsAreMadeWhereThatIsWanted(_ creates: Bool) throws {
        var options = KafkaProtocol.Options()
        options.createsTopics = creates
        options.defaultPartitions = 2
        let harness = SessionHarness(options: options)
        harness.feed(MetadataRequest(topics: [MetadataRequest.Topic(name: "orders")], allowAutoTopicCreation: true), version: 9)
        harness.answer(0, .failed(BrokerError(.unknownTopic, "no topic 'orders'")))
        if creates {
            guard case .createTopic("orders", let made) = harness.asked[1].request else {
                Issue.record("not made")
                return
            }
            #expect(made.partitions == 2)
            harness.answer(1, .failed(BrokerError(.alreadyExists, "another was first")))
            harness.answer(2, .topics([Self.orders]))
        }
        let topic = try #require(try harness.response(MetadataResponse.self, .metadata, version: 9)?.body.topics.first)
        #expect(topic.errorCode == (creates ? 0 : 3))
        #expect(topic.partitions.count == (creates ? 2 : 0))
    }

    @Test func everyShardIsABroker() throws {
        let harness = SessionHarness(server: ServerIdentity(node: 0, shards: 3))
        harness.feed(MetadataRequest(topics: []), version: 9)
        let brokers = try #require(try harness.response(MetadataResponse.self, .metadata, version: 9)).body.brokers
        #expect(brokers.map(\.nodeID) == [0, 1, 2])
        #expect(brokers.map(\.port) == [9_092, 9_093, 9_094])
    }

    @Test func fetchedBatchesStandBetweenTheirHeads() throws {
        let stored = (0..<5_000).map { UInt8(truncatingIfNeeded: $0) }
        for version: Int16 in 4...12 {
            let harness = SessionHarness()
            let request = FetchRequest(
                maxWaitMs: 100, minBytes: 1,
                topics: [
                    FetchRequest.Topic(topic: "nowhere", partitions: [FetchRequest.Partition(partition: 0, fetchOffset: 0, partitionMaxBytes: 9)]),
                    FetchRequest.Topic(
                        topic: "orders", partitions: (0..<2).map { FetchRequest.Partition(partition: $0, fetchOffset: 3, partitionMaxBytes: 1 << 20) }),
                ])
            harness.feed(request, version: version)
            harness.answer(0, .failed(BrokerError(.unknownTopic, "")))
            harness.answer(1, .topics([Self.orders]))
            guard case .fetch(let fetch) = harness.asked[2].request else {
                Issue.record("not fetched")
                return
            }
            #expect(fetch.parts.count == 2 && fetch.waitMilliseconds == 0, "an error is not waited with")
            harness.answer(
                2,
                .fetched([
                    Fetched(topic: Self.orders.id, partition: 0, start: .zero, visibleEnd: Offset(9), slice: slice(stored)),
                    Fetched(
                        topic: Self.orders.id, partition: 1, start: .zero, visibleEnd: .zero, slice: nil, failure: BrokerError(.offsetOutOfRange, "")),
                ]))
            let response = try #require(try harness.response(FetchResponse.self, .fetch, version: version)).body
            let parts = response.responses.flatMap(\.partitions)
            #expect(parts.map(\.errorCode) == [3, 0, 1])
            #expect(parts.map { $0.records?.count } == [0, 5_000, 0])
            #expect(parts[1].highWatermark == 9 && parts[1].lastStableOffset == 9)
        }
    }

    @Test(
        arguments: [
            ("a length bomb", [0x7f, 0xff, 0xff, 0xff, 0, 0], "frameSize"),
            ("a negative length", [0xff, 0xff, 0xff, 0xff], "frameSize"),
            ("HTTP", Array("GET / HTTP/1.1\r\n\r\n".utf8), "frameSize"),
            ("a long request that carries no records", [0, 0xff, 0, 0, 0, 1, 0, 9], "frameSize"),
            ("a long request that administers", [0, 0x10, 0, 1, 0, 19, 0, 7], "frameSize"),
            ("a long request to an unknown API", [0, 0x10, 0, 1, 3, 0xe7, 0, 7], "frameSize"),
            ("an unknown API", [0, 0, 0, 8, 0x03, 0xe7, 0, 0, 0, 0, 0, 1], "unknownAPI"),
            ("a version that is not spoken", [0, 0, 0, 8, 0, 3, 0, 77, 0, 0, 0, 1], "unsupportedVersion"),
            ("a count that lies", [0, 0, 0, 14, 0, 3, 0, 1, 0, 0, 0, 1, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff], "malformedRequest"),
        ] as [(String, [UInt8], String)])
    func hostileBytesEndTheConnection(_ name: String, _ bytes: [UInt8], _ kind: String) {
        let harness = SessionHarness()
        harness.feed(bytes)
        #expect(harness.error?.kind == kind, "\(name)")
        #expect(harness.asked.isEmpty)
    }

    @Test func aStoppingServerClosesTheConnection() {
        let harness = SessionHarness()
        harness.shutDown()
        #expect(harness.isClosed)
    }
}
