// Made by tools/kafka-codec/generate from tools/kafka-codec/messages.facts: change those.
internal import Bytes

extension KafkaAPIKey {
    /// Reads a request and writes what was understood.
    func recode(request input: RawSpan, version: Int16, to buffer: inout ByteBuffer) throws(ByteError) {
        switch self {
        case .produce: try buffer.recode(ProduceRequest.self, input, version)
        case .fetch: try buffer.recode(FetchRequest.self, input, version)
        case .listOffsets: try buffer.recode(ListOffsetsRequest.self, input, version)
        case .metadata: try buffer.recode(MetadataRequest.self, input, version)
        case .offsetCommit: try buffer.recode(OffsetCommitRequest.self, input, version)
        case .offsetFetch: try buffer.recode(OffsetFetchRequest.self, input, version)
        case .findCoordinator: try buffer.recode(FindCoordinatorRequest.self, input, version)
        case .joinGroup: try buffer.recode(JoinGroupRequest.self, input, version)
        case .heartbeat: try buffer.recode(HeartbeatRequest.self, input, version)
        case .leaveGroup: try buffer.recode(LeaveGroupRequest.self, input, version)
        case .syncGroup: try buffer.recode(SyncGroupRequest.self, input, version)
        case .describeGroups: try buffer.recode(DescribeGroupsRequest.self, input, version)
        case .listGroups: try buffer.recode(ListGroupsRequest.self, input, version)
        case .saslHandshake: try buffer.recode(SaslHandshakeRequest.self, input, version)
        case .apiVersions: try buffer.recode(ApiVersionsRequest.self, input, version)
        case .createTopics: try buffer.recode(CreateTopicsRequest.self, input, version)
        case .deleteTopics: try buffer.recode(DeleteTopicsRequest.self, input, version)
        case .deleteRecords: try buffer.recode(DeleteRecordsRequest.self, input, version)
        case .initProducerID: try buffer.recode(InitProducerIdRequest.self, input, version)
        case .offsetForLeaderEpoch: try buffer.recode(OffsetForLeaderEpochRequest.self, input, version)
        case .describeConfigs: try buffer.recode(DescribeConfigsRequest.self, input, version)
        case .alterConfigs: try buffer.recode(AlterConfigsRequest.self, input, version)
        case .describeLogDirs: try buffer.recode(DescribeLogDirsRequest.self, input, version)
        case .saslAuthenticate: try buffer.recode(SaslAuthenticateRequest.self, input, version)
        case .createPartitions: try buffer.recode(CreatePartitionsRequest.self, input, version)
        case .deleteGroups: try buffer.recode(DeleteGroupsRequest.self, input, version)
        case .incrementalAlterConfigs: try buffer.recode(IncrementalAlterConfigsRequest.self, input, version)
        case .offsetDelete: try buffer.recode(OffsetDeleteRequest.self, input, version)
        case .describeClientQuotas: try buffer.recode(DescribeClientQuotasRequest.self, input, version)
        case .describeCluster: try buffer.recode(DescribeClusterRequest.self, input, version)
        case .describeTopicPartitions: try buffer.recode(DescribeTopicPartitionsRequest.self, input, version)
        }
    }

    /// Reads a response and writes what was understood.
    func recode(response input: RawSpan, version: Int16, to buffer: inout ByteBuffer) throws(ByteError) {
        switch self {
        case .produce: try buffer.recode(ProduceResponse.self, input, version)
        case .fetch: try buffer.recode(FetchResponse.self, input, version)
        case .listOffsets: try buffer.recode(ListOffsetsResponse.self, input, version)
        case .metadata: try buffer.recode(MetadataResponse.self, input, version)
        case .offsetCommit: try buffer.recode(OffsetCommitResponse.self, input, version)
        case .offsetFetch: try buffer.recode(OffsetFetchResponse.self, input, version)
        case .findCoordinator: try buffer.recode(FindCoordinatorResponse.self, input, version)
        case .joinGroup: try buffer.recode(JoinGroupResponse.self, input, version)
        case .heartbeat: try buffer.recode(HeartbeatResponse.self, input, version)
        case .leaveGroup: try buffer.recode(LeaveGroupResponse.self, input, version)
        case .syncGroup: try buffer.recode(SyncGroupResponse.self, input, version)
        case .describeGroups: try buffer.recode(DescribeGroupsResponse.self, input, version)
        case .listGroups: try buffer.recode(ListGroupsResponse.self, input, version)
        case .saslHandshake: try buffer.recode(SaslHandshakeResponse.self, input, version)
        case .apiVersions: try buffer.recode(ApiVersionsResponse.self, input, version)
        case .createTopics: try buffer.recode(CreateTopicsResponse.self, input, version)
        case .deleteTopics: try buffer.recode(DeleteTopicsResponse.self, input, version)
        case .deleteRecords: try buffer.recode(DeleteRecordsResponse.self, input, version)
        case .initProducerID: try buffer.recode(InitProducerIdResponse.self, input, version)
        case .offsetForLeaderEpoch: try buffer.recode(OffsetForLeaderEpochResponse.self, input, version)
        case .describeConfigs: try buffer.recode(DescribeConfigsResponse.self, input, version)
        case .alterConfigs: try buffer.recode(AlterConfigsResponse.self, input, version)
        case .describeLogDirs: try buffer.recode(DescribeLogDirsResponse.self, input, version)
        case .saslAuthenticate: try buffer.recode(SaslAuthenticateResponse.self, input, version)
        case .createPartitions: try buffer.recode(CreatePartitionsResponse.self, input, version)
        case .deleteGroups: try buffer.recode(DeleteGroupsResponse.self, input, version)
        case .incrementalAlterConfigs: try buffer.recode(IncrementalAlterConfigsResponse.self, input, version)
        case .offsetDelete: try buffer.recode(OffsetDeleteResponse.self, input, version)
        case .describeClientQuotas: try buffer.recode(DescribeClientQuotasResponse.self, input, version)
        case .describeCluster: try buffer.recode(DescribeClusterResponse.self, input, version)
        case .describeTopicPartitions: try buffer.recode(DescribeTopicPartitionsResponse.self, input, version)
        }
    }
}
