internal import BrokerCore

// What a cluster is, which topics it has and who has them.
extension KafkaAPI {
    static func apiVersions(_ request: ApiVersionsRequest, _ call: KafkaCall) {
        call.respond { versions() }
    }

    /// Topics that do not exist are made where the client allows it and the listener is told to.
    static func metadata(_ request: MetadataRequest, _ call: KafkaCall) {
        var response = MetadataResponse()
        response.brokers = call.context.nodes.map { MetadataResponse.Broker(nodeID: $0.id, host: $0.host, port: $0.port) }
        response.clusterID = call.context.clusterID
        response.controllerID = 0
        call.respond { response }
        // In version 0 no topics are all topics; later those are null, and none are none.
        let wanted = request.topics.flatMap { $0.isEmpty && call.version == 0 ? nil : $0 }
        guard let wanted, wanted.allSatisfy({ $0.name != nil }) else {
            return call.list { _, topics in
                guard let wanted else {
                    response.topics = topics.map(MetadataResponse.Topic.init)
                    return
                }
                let byID = Dictionary(topics.map { ($0.id, $0) }) { first, _ in first }
                let byName = Dictionary(topics.map { ($0.name, $0) }) { first, _ in first }
                response.topics = wanted.map { topic in
                    if let found = TopicID(topic.topicID).flatMap({ byID[$0] }) ?? topic.name.flatMap({ byName[$0] }) {
                        return MetadataResponse.Topic(found)
                    }
                    return MetadataResponse.Topic(errorCode: KafkaError.unknownTopicID.rawValue, name: topic.name, topicID: topic.topicID)
                }
            }
        }
        let creates = request.allowAutoTopicCreation && call.context.createsTopics
        response.topics = wanted.map { MetadataResponse.Topic(name: $0.name) }
        for (index, topic) in wanted.enumerated() {
            guard let name = topic.name else { continue }
            func take(_ answer: Response) {
                switch answer {
                case .topics(let topics): if let found = topics.first { response.topics[index] = MetadataResponse.Topic(found) }
                case .failed(let error): response.topics[index].errorCode = KafkaError(error).rawValue
                default: break
                }
            }
            guard TopicDescription.isShown(name) else {
                response.topics[index].errorCode = KafkaError.unknownTopicOrPartition.rawValue
                continue
            }
            call.ask(.describeTopic(name: name)) { call, answer in
                guard creates, case .failed(let error) = answer, error.code == .unknownTopic else { return take(answer) }
                call.ask(.createTopic(name: name, TopicOptions(partitions: call.context.options.defaultPartitions))) { call, answer in
                    // Another client may have been first.
                    guard case .failed(let error) = answer, error.code == .alreadyExists else { return take(answer) }
                    call.ask(.describeTopic(name: name)) { _, answer in take(answer) }
                }
            }
        }
    }
}

extension MetadataResponse.Topic {
    init(_ topic: TopicDescription) {
        self.init(
            name: topic.name, topicID: KafkaUUID(topic.id),
            partitions: topic.partitions.map {
                MetadataResponse.Partition(
                    partitionIndex: $0.index, leaderID: topic.owner, leaderEpoch: $0.epoch, replicaNodes: [topic.owner], isrNodes: [topic.owner])
            })
    }
}

extension KafkaUUID {
    /// Topic ids are never used again, so that one made anew has another; the other half is the same for all of ours.
    private static let ours: UInt64 = 0x4e65_6564_6c65_7461

    init(_ topic: TopicID) { self.init(high: KafkaUUID.ours, low: UInt64(topic.rawValue)) }
    var topic: UInt32? { high == KafkaUUID.ours ? UInt32(exactly: low) : nil }
}

extension TopicID {
    init?(_ id: KafkaUUID) {
        guard let number = id.topic else { return nil }
        self.init(rawValue: number)
    }
}
