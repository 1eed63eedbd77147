import BrokerCore
import Bytes
@testable import KafkaProtocol
import SegmentLog
import Testing
import Wire

/// Goal: the administrative requests ask the broker for what the client meant, and every refusal is the code and the sentence by which
/// Kafka's tools go on. The broker is a table of topics.
@Suite struct AdministrationTests {
    private var harness: SessionHarness

    init() {
        var server = ServerIdentity(shards: 2)
        server.directory = "/var/lib/needletail"
        harness = SessionHarness(server: server)
    }

    /// Two topics, a queue, and one of the broker's own.
    private static let topics: [String: TopicDescription] = {
        func topic(_ id: UInt32, _ name: String, _ options: TopicOptions) -> TopicDescription {
            TopicDescription(
                id: TopicID(rawValue: id), name: name, options: options,
                partitions: (0..<options.partitions).map {
                    PartitionDescription(
                        index: $0, start: Offset(2), flushed: Offset(9), end: Offset(12), bytes: 1_000, segments: 1, fault: nil, epoch: 4,
                        visibleEnd: Offset(9))
                })
        }
        var compacted = TopicOptions()
        compacted.cleanup = .compact
        let all = [
            topic(1, "orders", TopicOptions(partitions: 3, retentionMilliseconds: 1_000)), topic(2, "state", compacted), topic(3, "jobs", .queue()),
            topic(4, "__reply.4", TopicOptions()),
        ]
        return Dictionary(uniqueKeysWithValues: all.map { ($0.name, $0) })
    }()

    private static func answer(_ request: Request) -> Response {
        switch request {
        case .describeTopic(let name):
            topics[name].map { .topics([$0]) } ?? .failed(BrokerError(.unknownTopic, "no topic '\(name)'"))
        case .listTopics: .topics(topics.values.sorted { $0.name < $1.name })
        case .createTopic(let name, let options):
            topics[name] == nil
                ? .topics([TopicDescription(id: TopicID(rawValue: 9), name: name, options: options, partitions: [])])
                : .failed(BrokerError(.alreadyExists, "there is a topic"))
        case .alterTopic(let name, _): .topics(topics[name].map { [$0] } ?? [])
        case .deleteTopic(let name): topics[name] == nil ? .failed(BrokerError(.unknownTopic, "no topic '\(name)'")) : .done
        case .purge(_, let partition, let before):
            switch before?.rawValue ?? 0 {
            case 13...: .failed(BrokerError(.offsetOutOfRange, "the log ends at 12"))
            case -1: .purged(7, start: Offset(9))
            case let offset: partition == 0 ? .purged(0, start: Offset(max(2, offset))) : .failed(BrokerError(.unknownPartition, "no such partition"))
            }
        default: .failed(BrokerError(.unsupported, "not in this table"))
        }
    }

    /// Sends it, answers what is asked until nothing is, and reads the response.
    private func ask<Q: KafkaMessage, A: KafkaMessage>(_ message: Q, version: Int16, _: A.Type = A.self) throws -> A {
        var next = harness.asked.count
        harness.feed(message, version: version)
        while next < harness.asked.count {
            harness.answer(next, Self.answer(harness.asked[next].request))
            next += 1
        }
        return try #require(try harness.response(A.self, Q.key, version: version)).body
    }

    private var changes: [TopicChange] {
        harness.asked.compactMap { if case .alterTopic(_, let change) = $0.request { change } else { nil } }
    }

    // MARK: CreateTopics

    private func create(_ topics: CreateTopicsRequest.Topic..., version: Int16 = 7, validateOnly: Bool = false) throws -> [CreateTopicsResponse.Topic] {
        try ask(CreateTopicsRequest(topics: topics, validateOnly: validateOnly), version: version, CreateTopicsResponse.self).topics
    }

    private func topic(
        _ name: String, _ partitions: Int32 = -1, _ factor: Int16 = -1, _ assignments: [[Int32]] = [], configs: [(String, String)] = []
    ) -> CreateTopicsRequest.Topic {
        CreateTopicsRequest.Topic(
            name: name, numPartitions: partitions, replicationFactor: factor,
            assignments: assignments.enumerated().map { CreateTopicsRequest.Assignment(partitionIndex: Int32($0.offset), brokerIDs: $0.element) },
            configs: configs.map { CreateTopicsRequest.Config(name: $0.0, value: $0.1) })
    }

    @Test(arguments: 0...7) func aTopicIsMadeAtEveryVersion(_ version: Int) throws {
        let made = try create(topic("new", 4, 1, configs: [("retention.ms", "5000")]), version: Int16(version))
        #expect(made.map(\.errorCode) == [0])
        guard case .createTopic("new", let options)? = harness.asked.first?.request else {
            Issue.record("nothing was made")
            return
        }
        #expect(options.partitions == 4 && options.retentionMilliseconds == 5_000)
        if version >= 5 {
            #expect(made[0].numPartitions == 4 && made[0].replicationFactor == 1 && made[0].errorMessage == nil)
            #expect(made[0].configs?.first { $0.name == "retention.ms" }?.value == "5000")
        }
        if version >= 7 { #expect(made[0].topicID == KafkaUUID(TopicID(rawValue: 9))) }
    }

    @Test func whatCannotBeMadeSaysWhy() throws {
        let long = String(repeating: "x", count: 250)
        let cases: [(CreateTopicsRequest.Topic, KafkaError, String)] = [
            (topic("orders", 3, 1), .topicAlreadyExists, "Topic 'orders' already exists."),
            (topic("a b", 1, 1), .invalidTopic, "Topic name is invalid"), (topic("..", 1, 1), .invalidTopic, "Topic name is invalid"),
            (topic("", 1, 1), .invalidTopic, "Topic name is invalid"), (topic(long, 1, 1), .invalidTopic, "Topic name is invalid"),
            (topic("__mine", 1, 1), .invalidTopic, "the broker's own"),
            (topic("n", 0, 1), .invalidPartitions, "invalid non-positive value"), (topic("n", -2, 1), .invalidPartitions, "invalid non-positive value"),
            (topic("n", 2_000, 1), .invalidPartitions, "at most 1024 partitions"),
            (topic("n", 1, 0), .invalidReplicationFactor, "larger than 0"), (topic("n", 1, 3), .invalidReplicationFactor, "there is no replication"),
            (topic("n", -1, -1, [[7]]), .invalidReplicaAssignment, "broker 7"), (topic("n", -1, -1, [[0, 0]]), .invalidReplicaAssignment, "more than once"),
            (topic("n", -1, -1, [[0, 1]]), .invalidReplicaAssignment, "2 replicas"), (topic("n", -1, -1, [[]]), .invalidReplicaAssignment, "empty"),
            (topic("n", 1, -1, [[0]]), .invalidRequest, "numPartitions"), (topic("n", -1, 1, [[0]]), .invalidRequest, "replication factor"),
            (topic("n", 1, 1, configs: [("nonsense", "1")]), .invalidConfig, "Unknown topic config name: nonsense"),
        ]
        for (topic, error, text) in cases {
            for validateOnly in [false, true] {
                let result = try create(topic, validateOnly: validateOnly)[0]
                #expect(result.errorCode == error.rawValue && result.errorMessage?.contains(text) == true, "\(topic): \(result)")
            }
        }
    }

    @Test func assignmentsToThisClusterAreTaken() throws {
        #expect(try create(topic("n", -1, -1, [[0], [1], [0]]))[0].numPartitions == 3)
        var gap = topic("n", -1, -1, [[0], [0]])
        gap.assignments[1].partitionIndex = 2
        #expect(try create(gap)[0].errorCode == KafkaError.invalidReplicaAssignment.rawValue)
    }

    @Test func validatingMakesNothing() throws {
        let result = try create(topic("new", 2, 1), validateOnly: true)[0]
        #expect(result.errorCode == 0 && result.numPartitions == 2 && result.topicID == .zero)
        for (_, request) in harness.asked { if case .createTopic = request { Issue.record("it was made") } }
    }

    @Test func oneRequestMakesSeveralTopicsAndNoneTwice() throws {
        let results = try create(topic("a", 1, 1), topic("twice", 1, 1), topic("orders", 1, 1), topic("twice", 2, 1))
        #expect(results.map(\.name) == ["a", "twice", "orders"])
        #expect(results.map(\.errorCode) == [0, KafkaError.invalidRequest.rawValue, KafkaError.topicAlreadyExists.rawValue])
    }

    // MARK: DeleteTopics

    @Test(arguments: [0, 1, 5]) func topicsAreDeletedByName(_ version: Int) throws {
        let request = DeleteTopicsRequest(topicNames: ["orders", "nope", "__reply.4"])
        let results = try ask(request, version: Int16(version), DeleteTopicsResponse.self).responses
        #expect(results.map(\.errorCode) == [0, 3, 3])
        if version >= 5 { #expect(results[1].errorMessage != nil && results[0].errorMessage == nil) }
    }

    @Test func topicsAreDeletedByTheirID() throws {
        func id(_ number: UInt32) -> KafkaUUID { KafkaUUID(TopicID(rawValue: number)) }
        let request = DeleteTopicsRequest(topics: [
            DeleteTopicsRequest.Topic(name: nil, topicID: id(2)), DeleteTopicsRequest.Topic(name: nil, topicID: id(77)),
            DeleteTopicsRequest.Topic(name: nil, topicID: KafkaUUID(high: 1, low: 2)), DeleteTopicsRequest.Topic(name: nil, topicID: id(4)),
            DeleteTopicsRequest.Topic(name: "jobs"), DeleteTopicsRequest.Topic(name: "orders", topicID: id(1)), DeleteTopicsRequest.Topic(name: nil),
        ])
        let results = try ask(request, version: 6, DeleteTopicsResponse.self).responses
        #expect(results.map(\.errorCode) == [0, 100, 100, 100, 0, 42, 42])
        #expect(results[4].topicID == id(3), "whoever names it learns its id")
        #expect(results[0].name == "state" && results[1].name == nil)
        let deleted = harness.asked.compactMap { if case .deleteTopic(let name) = $0.request { name } else { nil } }
        #expect(Set(deleted) == ["state", "jobs"])
    }

    // MARK: CreatePartitions

    @Test func partitionsOnlyGrow() throws {
        func grow(_ name: String, _ count: Int32, _ assignments: [[Int32]]? = nil, validateOnly: Bool = false) throws -> CreatePartitionsResponse.Topic {
            let assigned = assignments.map { $0.map { CreatePartitionsRequest.Assignment(brokerIDs: $0) } }
            let topic = CreatePartitionsRequest.Topic(name: name, count: count, assignments: assigned)
            return try ask(CreatePartitionsRequest(topics: [topic], validateOnly: validateOnly), version: 3, CreatePartitionsResponse.self).results[0]
        }
        #expect(try grow("orders", 5, validateOnly: true).errorCode == 0)
        #expect(changes.isEmpty)
        #expect(try grow("orders", 5).errorCode == 0)
        #expect(try grow("orders", 5, [[0], [1]]).errorCode == 0)
        #expect(changes == [TopicChange(partitions: 5), TopicChange(partitions: 5)])
        let refused: [(String, Int32, [[Int32]]?, KafkaError)] = [
            ("orders", 3, nil, .invalidPartitions), ("orders", 2, nil, .invalidPartitions), ("orders", -1, nil, .invalidPartitions),
            ("orders", 5_000, nil, .invalidPartitions), ("jobs", 2, nil, .invalidPartitions), ("nope", 2, nil, .unknownTopicOrPartition),
            ("orders", 5, [[0]], .invalidReplicaAssignment), ("orders", 4, [[9]], .invalidReplicaAssignment),
        ]
        for (name, count, assignments, error) in refused {
            let result = try grow(name, count, assignments)
            #expect(result.errorCode == error.rawValue && result.errorMessage != nil, "\(name) \(count)")
        }
        #expect(changes.count == 2)
    }

    // MARK: DescribeTopicPartitions

    @Test func topicsAreDescribedPageByPage() throws {
        func page(_ topics: [String], limit: Int32, from cursor: (String, Int32)? = nil) throws -> DescribeTopicPartitionsResponse {
            var request = DescribeTopicPartitionsRequest(
                topics: topics.map { DescribeTopicPartitionsRequest.Topic(name: $0) }, responsePartitionLimit: limit)
            request.cursor = cursor.map { DescribeTopicPartitionsRequest.Cursor(topicName: $0.0, partitionIndex: $0.1) }
            return try ask(request, version: 0)
        }
        let all = try page([], limit: 2_000)
        #expect(all.topics.map(\.name) == ["jobs", "orders", "state"] && all.nextCursor == nil, "the broker's own is not shown")
        #expect(all.topics[1].partitions.map(\.leaderEpoch) == [4, 4, 4])
        var seen: [String] = []
        var cursor: (String, Int32)?
        repeat {
            let part = try page([], limit: 2, from: cursor)
            for topic in part.topics { seen += topic.partitions.map { "\(topic.name ?? "?")-\($0.partitionIndex)" } }
            cursor = part.nextCursor.map { ($0.topicName, $0.partitionIndex) }
        } while cursor != nil
        #expect(seen == ["jobs-0", "orders-0", "orders-1", "orders-2", "state-0"], "each once")
        let some = try page(["nope", "orders", "a b"], limit: 2_000)
        #expect(some.topics.map(\.name) == ["a b", "nope", "orders"] && some.topics.map(\.errorCode) == [17, 3, 0])
    }

    // MARK: Settings

    @Test(arguments: [1, 2, 3, 4]) func settingsAreShownWithTheirSources(_ version: Int) throws {
        let request = DescribeConfigsRequest(
            resources: [
                DescribeConfigsRequest.Resource(resourceType: 2, resourceName: "orders", configurationKeys: ["retention.ms", "segment.ms", "nonsense"]),
                DescribeConfigsRequest.Resource(resourceType: 2, resourceName: "nope", configurationKeys: nil),
                DescribeConfigsRequest.Resource(resourceType: 2, resourceName: "state", configurationKeys: nil),
            ], includeSynonyms: true, includeDocumentation: true)
        let results = try ask(request, version: Int16(version), DescribeConfigsResponse.self).results
        #expect(results.map(\.errorCode) == [0, 3, 0])
        #expect(results[0].configs.map(\.name) == ["retention.ms", "segment.ms"] && results[0].configs.map(\.configSource) == [1, 5])
        #expect(results[0].configs[0].synonyms.map(\.name) == ["retention.ms", "log.retention.ms"])
        #expect(results[2].configs.count == TopicConfigs.all.filter { !$0.isFormer }.count)
        if version >= 3 { #expect(results[0].configs[0].configType == 5 && results[0].configs[0].documentation?.isEmpty == false) }
    }

    @Test func aBrokerShowsItsOwnConfiguration() throws {
        let names = ["0", "", "1", "x"]
        let request = DescribeConfigsRequest(
            resources: names.map { DescribeConfigsRequest.Resource(resourceType: 4, resourceName: $0, configurationKeys: nil) })
        let results = try ask(request, version: 4, DescribeConfigsResponse.self).results
        #expect(results.map(\.errorCode) == [0, 0, 42, 42])
        let shown = Dictionary(uniqueKeysWithValues: results[0].configs.map { ($0.name, $0.value) })
        #expect(shown["auto.create.topics.enable"] == "true" && shown["log.dirs"] == "/var/lib/needletail" && shown["log.retention.ms"] == "-1")
        #expect(!results[0].configs.contains { !$0.readOnly })
        #expect(results[1].configs.isEmpty)
        let names2 = BrokerConfigs.all.map(\.name)
        #expect(Set(names2).count == names2.count && names2 == names2.sorted())
    }

    @Test func otherResourcesAreRefused() throws {
        let request = DescribeConfigsRequest(resources: [DescribeConfigsRequest.Resource(resourceType: 32, resourceName: "g", configurationKeys: nil)])
        #expect(try ask(request, version: 4, DescribeConfigsResponse.self).results.map(\.errorCode) == [42])
        let change = IncrementalAlterConfigsRequest(resources: [
            IncrementalAlterConfigsRequest.Resource(resourceType: 4, resourceName: "0", configs: []),
            IncrementalAlterConfigsRequest.Resource(resourceType: 16, resourceName: "m", configs: []),
        ])
        let answer: IncrementalAlterConfigsResponse = try ask(change, version: 1)
        #expect(answer.responses.map(\.errorCode) == [42, 42])
    }

    @Test func aFloodOfResourcesIsCutOff() throws {
        let one = DescribeConfigsRequest.Resource(resourceType: 2, resourceName: "nope", configurationKeys: [])
        let request = DescribeConfigsRequest(resources: Array(repeating: one, count: KafkaAPI.resourcesPerRequest + 2))
        let results = try ask(request, version: 4, DescribeConfigsResponse.self).results
        #expect(results.suffix(3).map(\.errorCode) == [3, 44, 44])
    }

    /// A request of some megabytes can name a million things; what is asked at once is bounded for all APIs alike.
    @Test func aFloodOfQuestionsIsCutOff() throws {
        var limits = Limits()
        limits.unansweredRequests = 3
        let flooded = SessionHarness(limits: limits)
        func answer(from first: Int) {
            for index in first..<flooded.asked.count { flooded.answer(index, Self.answer(flooded.asked[index].request)) }
        }
        flooded.feed(CreateTopicsRequest(topics: (0..<6).map { topic("n\($0)", 1, 1) }), version: 7)
        #expect(flooded.asked.count == 3)
        answer(from: 0)
        let made = try #require(try flooded.response(CreateTopicsResponse.self, .createTopics, version: 7)).body
        #expect(made.topics.map(\.errorCode) == [0, 0, 0, 44, 44, 44])
        let partitions = (0..<6).map { DeleteRecordsRequest.Partition(partitionIndex: 0, offset: 2 + $0) }
        flooded.feed(DeleteRecordsRequest(topics: [DeleteRecordsRequest.Topic(name: "orders", partitions: partitions)]), version: 2)
        answer(from: 3)
        answer(from: 4)
        let deleted = try #require(try flooded.response(DeleteRecordsResponse.self, .deleteRecords, version: 2)).body
        #expect(deleted.topics[0].partitions.map(\.errorCode) == [0, 0, 44, 44, 44, 44], "the description was a question too")
    }

    @Test func whoMakesManyTopicsIsNotShownTheirSettings() throws {
        let many = (0...KafkaAPI.topicsShownWithSettings).map { topic("n\($0)", 1, 1) }
        let made = try ask(CreateTopicsRequest(topics: many), version: 7, CreateTopicsResponse.self).topics
        #expect(made.count == many.count)
        #expect(!made.contains { $0.errorCode != 0 || $0.configs != nil || $0.topicConfigErrorCode != 44 || $0.numPartitions != 1 })
    }

    @Test func incrementalChangesNameOnlyWhatChanges() throws {
        func change(_ topic: String, _ configs: [(String, Int8, String?)], validateOnly: Bool = false) throws -> IncrementalAlterConfigsResponse.Resource {
            let resource = IncrementalAlterConfigsRequest.Resource(
                resourceType: 2, resourceName: topic,
                configs: configs.map { IncrementalAlterConfigsRequest.Config(name: $0.0, configOperation: $0.1, value: $0.2) })
            let request = IncrementalAlterConfigsRequest(resources: [resource], validateOnly: validateOnly)
            return try ask(request, version: 1, IncrementalAlterConfigsResponse.self).responses[0]
        }
        #expect(try change("orders", [("segment.ms", 0, "7")], validateOnly: true).errorCode == 0)
        #expect(try change("orders", [("retention.ms", 0, "1000")]).errorCode == 0, "as it is")
        #expect(changes.isEmpty)
        #expect(try change("orders", [("retention.ms", 1, nil), ("cleanup.policy", 2, "compact")]).errorCode == 0)
        var expected = TopicChange()
        expected.retentionMilliseconds = .reset
        expected.cleanup = .set(.both)
        #expect(changes == [expected])
        #expect(try change("nope", [("segment.ms", 0, "7")]).errorCode == 3)
        #expect(try change("orders", [("segment.ms", 0, "x")]).errorCode == 40)
        #expect(try change("orders", [("segment.ms", 9, "1")]).errorCode == 40)
    }

    @Test func theLegacyChangeResetsTheRest() throws {
        let resource = AlterConfigsRequest.Resource(
            resourceType: 2, resourceName: "orders", configs: [AlterConfigsRequest.Config(name: "segment.ms", value: "7")])
        #expect(try ask(AlterConfigsRequest(resources: [resource]), version: 2, AlterConfigsResponse.self).responses[0].errorCode == 0)
        var expected = TopicChange()
        expected.segmentMilliseconds = .set(7)
        expected.retentionMilliseconds = .reset
        #expect(changes == [expected])
    }

    // MARK: The rest

    @Test func recordsAreDeletedUpToAnOffset() throws {
        let request = DeleteRecordsRequest(topics: [
            DeleteRecordsRequest.Topic(
                name: "orders",
                partitions: [(0, 5), (0, 1), (0, -1), (0, 40), (0, -2), (7, 1)].map { DeleteRecordsRequest.Partition(partitionIndex: $0.0, offset: $0.1) }),
            DeleteRecordsRequest.Topic(name: "nope", partitions: [DeleteRecordsRequest.Partition(partitionIndex: 0, offset: 1)]),
            DeleteRecordsRequest.Topic(name: "state", partitions: [DeleteRecordsRequest.Partition(partitionIndex: 0, offset: 1)]),
        ])
        let topics = try ask(request, version: 2, DeleteRecordsResponse.self).topics
        #expect(topics[0].partitions.map(\.errorCode) == [0, 0, 0, 1, 1, 3])
        #expect(topics[0].partitions.map(\.lowWatermark) == [5, 2, 9, -1, -1, -1])
        #expect(topics[1].partitions.map(\.errorCode) == [3])
        #expect(topics[2].partitions.map(\.errorCode) == [44], "compaction alone removes nothing by offset")
    }

    @Test func theClusterIsItsShards() throws {
        let answer: DescribeClusterResponse = try ask(DescribeClusterRequest(includeClusterAuthorizedOperations: true), version: 1)
        #expect(answer.errorCode == 0 && answer.brokers.map(\.brokerID) == [0, 1] && answer.brokers.map(\.port) == [9_092, 9_093])
        #expect(answer.clusterAuthorizedOperations > 0)
        let controllers: DescribeClusterResponse = try ask(DescribeClusterRequest(endpointType: 2), version: 1)
        #expect(controllers.errorCode == 114 && controllers.brokers.isEmpty)
    }

    @Test func sizesArePerPartition() throws {
        let all: DescribeLogDirsResponse = try ask(DescribeLogDirsRequest(topics: nil), version: 4)
        #expect(all.results[0].logDir == "/var/lib/needletail" && all.results[0].topics.map(\.name) == ["jobs", "orders", "state"])
        let request = DescribeLogDirsRequest(topics: [
            DescribeLogDirsRequest.Topic(topic: "orders", partitions: [1, 9]), DescribeLogDirsRequest.Topic(topic: "nope", partitions: [0]),
        ])
        let some: DescribeLogDirsResponse = try ask(request, version: 4)
        #expect(some.results[0].topics.map(\.name) == ["orders"])
        #expect(some.results[0].topics[0].partitions == [DescribeLogDirsResponse.Partition(partitionIndex: 1, partitionSize: 1_000, offsetLag: 3)])
    }

    @Test func thereAreNoQuotasRulesUsersOrReassignments() throws {
        let quotas: DescribeClientQuotasResponse = try ask(DescribeClientQuotasRequest(), version: 1)
        #expect(quotas.errorCode == 0 && quotas.entries == [])
        let rules: DescribeAclsResponse = try ask(DescribeAclsRequest(), version: 3)
        #expect(rules.errorCode == KafkaError.securityDisabled.rawValue && rules.resources.isEmpty)
        let everybody: DescribeUserScramCredentialsResponse = try ask(DescribeUserScramCredentialsRequest(users: nil), version: 0)
        #expect(everybody.errorCode == 0 && everybody.results.isEmpty)
        let named = DescribeUserScramCredentialsRequest(users: [DescribeUserScramCredentialsRequest.User(name: "eve")])
        let nobody: DescribeUserScramCredentialsResponse = try ask(named, version: 0)
        #expect(nobody.results.map(\.errorCode) == [KafkaError.resourceNotFound.rawValue])
        let moves: ListPartitionReassignmentsResponse = try ask(ListPartitionReassignmentsRequest(), version: 0)
        #expect(moves.errorCode == 0 && moves.topics.isEmpty)
    }

    @Test func topicsAndTheBrokerHaveSettings() throws {
        func resources(_ types: [Int8], version: Int16 = 1) throws -> [String] {
            let answer: ListConfigResourcesResponse = try ask(ListConfigResourcesRequest(resourceTypes: types), version: version)
            return answer.configResources.map { "\($0.resourceType) \($0.resourceName)" }
        }
        #expect(try resources([]) == ["4 0", "8 0", "2 jobs", "2 orders", "2 state"])
        #expect(try resources([2]) == ["2 jobs", "2 orders", "2 state"])
        #expect(try resources([16]) == [])
        #expect(try resources([], version: 0) == [], "there it is clients' metrics that are asked for")
    }
}
