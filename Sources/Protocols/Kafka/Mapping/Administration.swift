internal import BrokerCore
internal import SegmentLog
internal import Wire

// What tools ask of a cluster, beside its topics and their settings.
extension KafkaAPI {
    // MARK: DeleteRecords

    /// The start of a log moves up. Where records only go by being replaced, Kafka does not do that either.
    static func deleteRecords(_ request: DeleteRecordsRequest, _ call: KafkaCall) {
        var response = DeleteRecordsResponse()
        call.respond { response }
        for (place, topic) in request.topics.enumerated() {
            response.topics.append(
                DeleteRecordsResponse.Topic(
                    name: topic.name,
                    partitions: topic.partitions.map { DeleteRecordsResponse.Partition(partitionIndex: $0.partitionIndex, lowWatermark: -1) }))
            func refuse(_ index: Int, _ error: KafkaError) { response.topics[place].partitions[index].errorCode = error.rawValue }
            call.describe(topic.name) { call, found in
                let options: TopicOptions
                switch found {
                case .success(let described): options = described.options
                case .failure(let refusal):
                    for index in topic.partitions.indices { refuse(index, refusal.error) }
                    return
                }
                let keepsAll = !(options.cleanup ?? call.context.peer.server.topics.cleanup).deletes
                for (index, partition) in topic.partitions.enumerated() {
                    if keepsAll {
                        refuse(index, .policyViolation)
                    } else if partition.offset < -1 {
                        refuse(index, .offsetOutOfRange)
                    } else {
                        call.ask(.purge(topic: topic.name, partition: partition.partitionIndex, before: Offset(partition.offset))) { _, answer in
                            switch answer {
                            case .purged(_, let start): response.topics[place].partitions[index].lowWatermark = start.rawValue
                            case .failed(let error): refuse(index, KafkaError(error))
                            default: refuse(index, .unknownServerError)
                            }
                        }
                    }
                }
            }
        }
    }

    // MARK: The cluster

    static func describeCluster(_ request: DescribeClusterRequest, _ call: KafkaCall) {
        var response = DescribeClusterResponse()
        response.endpointType = request.endpointType
        response.clusterID = call.context.clusterID
        if request.endpointType == 1 {
            response.controllerID = 0
            response.brokers = call.context.nodes.map { DescribeClusterResponse.Broker(brokerID: $0.id, host: $0.host, port: $0.port) }
            if request.includeClusterAuthorizedOperations { response.clusterAuthorizedOperations = clusterOperations }
        } else {
            let isController = request.endpointType == 2
            response.errorCode = (isController ? KafkaError.mismatchedEndpointType : .unsupportedEndpointType).rawValue
            response.errorMessage =
                isController ? "The request was sent to an endpoint of the wrong type: this is a broker." : "There is no such type of endpoint."
        }
        call.respond { response }
    }

    /// Create, alter, describe, cluster action, describe and alter configs, idempotent write: there are no access rules.
    private static let clusterOperations: Int32 = 1 << 5 | 1 << 7 | 1 << 8 | 1 << 9 | 1 << 10 | 1 << 11 | 1 << 12

    /// One directory, with what this shard has. Logs that were not used since the start have no size yet, unless they are asked for by name.
    static func describeLogDirs(_ request: DescribeLogDirsRequest, _ call: KafkaCall) {
        var response = DescribeLogDirsResponse()
        response.results = [DescribeLogDirsResponse.LogDir(logDir: call.context.peer.server.directory)]
        call.respond { response }
        let node = call.context.peer.server.node
        func take(_ topic: TopicDescription, _ wanted: [Int32]?) {
            guard topic.owner == node else { return }
            let partitions = topic.partitions.filter { wanted?.contains($0.index) ?? true }
            guard !partitions.isEmpty else { return }
            response.results[0].topics.append(
                DescribeLogDirsResponse.Topic(
                    name: topic.name,
                    partitions: partitions.map {
                        DescribeLogDirsResponse.Partition(
                            partitionIndex: $0.index, partitionSize: $0.bytes, offsetLag: max(0, $0.end.rawValue - $0.visibleEnd.rawValue))
                    }))
        }
        guard let topics = request.topics else {
            return call.list { _, topics in for topic in topics { take(topic, nil) } }
        }
        for topic in topics {
            call.describe(topic.topic) { _, found in
                if case .success(let described) = found { take(described, topic.partitions) }
            }
        }
    }

    // MARK: What there is none of

    static func describeClientQuotas(_ request: DescribeClientQuotasRequest, _ call: KafkaCall) {
        call.respond { DescribeClientQuotasResponse(errorMessage: nil) }
    }

    static func listPartitionReassignments(_ request: ListPartitionReassignmentsRequest, _ call: KafkaCall) {
        call.respond { ListPartitionReassignmentsResponse(errorMessage: nil) }
    }

    /// As a Kafka without an authorizer says.
    static func describeAcls(_ request: DescribeAclsRequest, _ call: KafkaCall) {
        call.respond {
            DescribeAclsResponse(
                errorCode: KafkaError.securityDisabled.rawValue, errorMessage: "There are no access rules here, and everybody may do everything.")
        }
    }

    /// Who is asked for by name is not found; nobody else is there.
    static func describeUserScramCredentials(_ request: DescribeUserScramCredentialsRequest, _ call: KafkaCall) {
        call.respond {
            DescribeUserScramCredentialsResponse(
                errorMessage: nil,
                results: (request.users ?? []).map {
                    DescribeUserScramCredentialsResponse.Result(
                        user: $0.name, errorCode: KafkaError.resourceNotFound.rawValue, errorMessage: "There is no user of this name.")
                })
        }
    }
}
