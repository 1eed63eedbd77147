import Bytes
import Testing

@testable import KafkaProtocol

/// Values whose bytes Apache Kafka 4.1.1's own classes wrote: that each field is the one that its name says.
@Suite struct GoldenValueTests {
    private static let uuid = KafkaUUID(high: 0x0001_0203_0405_0607, low: 0x0809_0A0B_0C0D_0E0F)
    /// One record batch, as Kafka's client builds it.
    private static let batch =
        "000000000000000000000040ffffffff02db5e9cdd0000000000000000018bcfe568000000018bcfe56800ffffffffffffffffffffffffffff000000011c"
        + "000000066b65790a76616c756500"

    private func expect<M: KafkaMessage & Equatable>(_ message: M, _ version: Int16, _ hex: String) throws {
        let golden = bytes(hex: hex)
        var reader = KafkaReader(golden.rawSpan)
        let read = try M(from: &reader, version: version)
        let atEnd = reader.isAtEnd
        #expect(read == message && atEnd)
        var written = ByteBuffer()
        message.encode(to: &written, version: version)
        #expect([UInt8](written.bytes) == golden)
    }

    /// The records are the only batch in the golden bytes.
    private func expect<M: KafkaMessageWithRecords & Equatable>(_ version: Int16, _ hex: String, _ message: (ByteRange) -> M) throws {
        let golden = bytes(hex: hex)
        let batch = bytes(hex: GoldenValueTests.batch)
        let start = try #require(golden.indices.first { golden[$0...].starts(with: batch) })
        let expected = message(ByteRange(start: start, count: batch.count))
        var reader = KafkaReader(golden.rawSpan)
        let read = try M(from: &reader, version: version)
        let atEnd = reader.isAtEnd
        #expect(read == expected && atEnd)
        var written = ByteBuffer()
        expected.encode(to: &written, version: version, recordsIn: golden.rawSpan)
        #expect([UInt8](written.bytes) == golden)
    }

    @Test func apiVersions() throws {
        try expect(
            ApiVersionsRequest(clientSoftwareName: "apache-kafka-java", clientSoftwareVersion: "4.1.1"), 3,
            "126170616368652d6b61666b612d6a61766106342e312e3100")
        try expect(
            ApiVersionsResponse(errorCode: 35, apiKeys: [ApiVersionsResponse.API(apiKey: 18, minVersion: 0, maxVersion: 4)]), 0,
            "002300000001001200000004")
        try expect(
            ApiVersionsResponse(
                apiKeys: [
                    ApiVersionsResponse.API(apiKey: 0, minVersion: 0, maxVersion: 11), ApiVersionsResponse.API(apiKey: 18, minVersion: 0, maxVersion: 4),
                ], finalizedFeaturesEpoch: 5), 3, "00000300000000000b0000120000000400000000000101080000000000000005")
    }

    @Test func metadata() throws {
        try expect(MetadataRequest(topics: nil), 1, "ffffffff")
        try expect(MetadataRequest(topics: []), 0, "00000000")
        try expect(
            MetadataRequest(
                topics: [MetadataRequest.Topic(topicID: GoldenValueTests.uuid, name: nil), MetadataRequest.Topic(name: "orders")],
                allowAutoTopicCreation: false, includeTopicAuthorizedOperations: true), 12,
            "03000102030405060708090a0b0c0d0e0f000000000000000000000000000000000000076f726465727300000100")
        try expect(
            MetadataResponse(
                brokers: [MetadataResponse.Broker(nodeID: 1, host: "localhost", port: 9092)], controllerID: 1,
                topics: [
                    MetadataResponse.Topic(name: "orders", partitions: [MetadataResponse.Partition(leaderID: 1, replicaNodes: [1], isrNodes: [1])])
                ]), 1,
            "000000010000000100096c6f63616c686f737400002384ffff0000000100000001000000066f7264657273000000000100000000000000000001000000010000000100"
                + "00000100000001")
        try expect(
            MetadataResponse(
                brokers: [MetadataResponse.Broker(nodeID: 1, host: "localhost", port: 9092, rack: "r1")], clusterID: "c", controllerID: 1,
                topics: [
                    MetadataResponse.Topic(
                        errorCode: 3, name: "orders", topicID: GoldenValueTests.uuid, isInternal: true,
                        partitions: [
                            MetadataResponse.Partition(errorCode: 5, leaderID: 1, leaderEpoch: 7, replicaNodes: [1, 2], isrNodes: [1], offlineReplicas: [2])
                        ])
                ]), 12,
            "0000000002000000010a6c6f63616c686f73740000238403723100026300000001020003076f7264657273000102030405060708090a0b0c0d0e0f0102000500000000"
                + "00000001000000070300000001000000020200000001020000000200800000000000")
    }

    @Test func produce() throws {
        try expect(3, "ffffffff000005dc0000000100066f726465727300000001000000020000004c" + GoldenValueTests.batch) { records in
            ProduceRequest(
                transactionalID: nil, acks: -1, timeoutMs: 1500,
                topicData: [ProduceRequest.Topic(name: "orders", partitionData: [ProduceRequest.Partition(index: 2, records: records)])])
        }
        try expect(9, "02740001000005dc02076f726465727302000000024d" + GoldenValueTests.batch + "000000") { records in
            ProduceRequest(
                transactionalID: "t", acks: 1, timeoutMs: 1500,
                topicData: [ProduceRequest.Topic(name: "orders", partitionData: [ProduceRequest.Partition(index: 2, records: records)])])
        }
        try expect(
            ProduceResponse(
                responses: [ProduceResponse.Topic(name: "orders", partitionResponses: [ProduceResponse.Partition(index: 2, baseOffset: 42)])]), 3,
            "0000000100066f726465727300000001000000020000000000000000002affffffffffffffff00000000")
        try expect(
            ProduceResponse(
                responses: [
                    ProduceResponse.Topic(
                        name: "orders",
                        partitionResponses: [
                            ProduceResponse.Partition(
                                index: 2, errorCode: 6, baseOffset: -1,
                                recordErrors: [ProduceResponse.RecordError(batchIndex: 1, batchIndexErrorMessage: "no")], errorMessage: "moved",
                                currentLeader: ProduceResponse.CurrentLeader(leaderID: 3, leaderEpoch: 9))
                        ])
                ], nodeEndpoints: [ProduceResponse.NodeEndpoint(nodeID: 3, host: "h", port: 1)]), 10,
            "02076f726465727302000000020006ffffffffffffffffffffffffffffffffffffffffffffffff0200000001036e6f00066d6f766564010009000000030000000900"
                + "000000000001000d02000000030268000000010000")
    }

    @Test func fetch() throws {
        try expect(
            FetchRequest(
                maxWaitMs: 500, minBytes: 1, maxBytes: 1 << 20, isolationLevel: 1,
                topics: [
                    FetchRequest.Topic(
                        topic: "orders", partitions: [FetchRequest.Partition(partition: 2, fetchOffset: 42, partitionMaxBytes: 1 << 16)])
                ]), 4,
            "ffffffff000001f40000000100100000010000000100066f72646572730000000100000002000000000000002a00010000")
        try expect(
            FetchRequest(
                clusterID: "c", maxWaitMs: 500, minBytes: 1, maxBytes: 1 << 20, isolationLevel: 1,
                topics: [
                    FetchRequest.Topic(
                        topic: "orders",
                        partitions: [
                            FetchRequest.Partition(partition: 2, currentLeaderEpoch: 7, fetchOffset: 42, lastFetchedEpoch: 6, partitionMaxBytes: 1 << 16)
                        ])
                ], forgottenTopicsData: [FetchRequest.ForgottenTopic(topic: "old", partitions: [0, 1])], rackID: "r"), 12,
            "ffffffff000001f400000001001000000100000000ffffffff02076f7264657273020000000200000007000000000000002a00000006ffffffffffffffff0001000000"
                + "0002046f6c640300000000000000010002720100020263")
        try expect(
            4, "000000000000000100066f726465727300000001000000020000000000000000002b000000000000002bffffffff0000004c" + GoldenValueTests.batch
        ) { records in
            FetchResponse(responses: [
                FetchResponse.Topic(
                    topic: "orders",
                    partitions: [
                        FetchResponse.Partition(partitionIndex: 2, highWatermark: 43, lastStableOffset: 43, abortedTransactions: nil, records: records)
                    ])
            ])
        }
        try expect(
            12,
            "0000000000000000000002076f726465727302000000020000000000000000002b000000000000002b0000000000000000020000000000000008000000000000002800"
                + "ffffffff4d" + GoldenValueTests.batch + "0101090000000300000009000000"
        ) { records in
            FetchResponse(responses: [
                FetchResponse.Topic(
                    topic: "orders",
                    partitions: [
                        FetchResponse.Partition(
                            partitionIndex: 2, highWatermark: 43, lastStableOffset: 43, logStartOffset: 0,
                            currentLeader: FetchResponse.CurrentLeader(leaderID: 3, leaderEpoch: 9),
                            abortedTransactions: [FetchResponse.AbortedTransaction(producerID: 8, firstOffset: 40)], records: records)
                    ])
            ])
        }
    }

    @Test func joinGroup() throws {
        let protocols = [JoinGroupRequest.GroupProtocol(name: "range", metadata: [0, 1])]
        try expect(
            JoinGroupRequest(groupID: "g", sessionTimeoutMs: 10_000, rebalanceTimeoutMs: 60_000, protocolType: "consumer", protocols: protocols), 2,
            "000167000027100000ea6000000008636f6e73756d657200000001000572616e6765000000020001")
        try expect(
            JoinGroupRequest(
                groupID: "g", sessionTimeoutMs: 10_000, rebalanceTimeoutMs: 60_000, memberID: "m", groupInstanceID: "i", protocolType: "consumer",
                protocols: protocols, reason: "new"), 9, "0267000027100000ea60026d026909636f6e73756d6572020672616e676503000100046e657700")
        try expect(
            JoinGroupResponse(
                generationID: 4, protocolType: "consumer", protocolName: "range", leader: "m", memberID: "m",
                members: [JoinGroupResponse.Member(memberID: "m", metadata: [0, 1])]), 7,
            "0000000000000000000409636f6e73756d65720672616e6765026d026d02026d000300010000")
    }

    @Test func createTopics() throws {
        try expect(
            CreateTopicsRequest(
                topics: [
                    CreateTopicsRequest.Topic(
                        name: "orders", numPartitions: 3, replicationFactor: 1, configs: [CreateTopicsRequest.Config(name: "retention.ms", value: "1")])
                ], timeoutMs: 30_000, validateOnly: true), 2,
            "0000000100066f72646572730000000300010000000000000001000c726574656e74696f6e2e6d730001310000753001")
        try expect(
            CreateTopicsRequest(
                topics: [
                    CreateTopicsRequest.Topic(
                        name: "orders", numPartitions: -1, replicationFactor: -1,
                        assignments: [CreateTopicsRequest.Assignment(partitionIndex: 0, brokerIDs: [1])],
                        configs: [CreateTopicsRequest.Config(name: "retention.ms", value: nil)])
                ], timeoutMs: 30_000), 7,
            "02076f7264657273ffffffffffff0200000000020000000100020d726574656e74696f6e2e6d73000000000075300000")
        try expect(
            CreateTopicsResponse(topics: [
                CreateTopicsResponse.Topic(
                    name: "orders", topicID: GoldenValueTests.uuid, errorCode: 36, errorMessage: "there", topicConfigErrorCode: 29, numPartitions: 3,
                    replicationFactor: 1, configs: [CreateTopicsResponse.Config(name: "retention.ms", value: "1", configSource: 5)])
            ]), 7,
            "0000000002076f7264657273000102030405060708090a0b0c0d0e0f0024067468657265000000030001020d726574656e74696f6e2e6d730231000500000100"
                + "02001d00")
    }

    @Test func aUUIDIsPrintedAsKafkasToolsDo() {
        #expect(GoldenValueTests.uuid.description == "AAECAwQFBgcICQoLDA0ODw")
        #expect(KafkaUUID.zero.description == "AAAAAAAAAAAAAAAAAAAAAA")
        #expect(KafkaUUID(high: .max, low: .max).description == "_____________________w")
    }
}
