internal import BrokerCore
internal import Wire

// Topics made, deleted, given more partitions, and described.
extension KafkaAPI {
    // MARK: CreateTopics

    /// Whoever makes more topics than these in one request is not shown the settings of each.
    static let topicsShownWithSettings = 256

    static func createTopics(_ request: CreateTopicsRequest, _ call: KafkaCall) {
        var response = CreateTopicsResponse()
        call.respond { response }
        let repeated = Repetitions(request.topics.map(\.name))
        response.topics = repeated.names.map { CreateTopicsResponse.Topic($0) }
        for (index, name) in repeated.names.enumerated() {
            func refuse(_ refusal: KafkaRefusal) { response.topics[index].refuse(refusal) }
            guard let place = repeated.place(ofOnly: name) else {
                refuse(KafkaRefusal(.invalidRequest, "Duplicate topic name."))
                continue
            }
            let options: TopicOptions
            do throws(KafkaRefusal) { options = try TopicOptions(request.topics[place], call.context) } catch {
                refuse(error)
                continue
            }
            let defaults = call.context.peer.server.topics
            func take(_ id: KafkaUUID, _ made: TopicOptions) {
                response.topics[index].topicID = id
                response.topics[index].numPartitions = made.partitions
                response.topics[index].replicationFactor = 1
                guard request.topics.count <= topicsShownWithSettings else {
                    response.topics[index].configs = nil
                    response.topics[index].topicConfigErrorCode = KafkaError.policyViolation.rawValue
                    return
                }
                response.topics[index].configs = TopicConfigs.describe(made, defaults).map(CreateTopicsResponse.Config.init)
            }
            if request.validateOnly {
                call.describe(name) { _, found in
                    switch found {
                    case .success: refuse(KafkaRefusal(.topicAlreadyExists, "Topic '\(name)' already exists."))
                    case .failure(let refusal) where refusal.error != .unknownTopicOrPartition: refuse(refusal)
                    case .failure: take(.zero, options)
                    }
                }
            } else {
                call.ask(.createTopic(name: name, options)) { _, answer in
                    switch answer {
                    case .topics(let made): if let topic = made.first { take(KafkaUUID(topic.id), topic.options) }
                    case .failed(let error) where error.code == .alreadyExists:
                        refuse(KafkaRefusal(.topicAlreadyExists, "Topic '\(name)' already exists."))
                    case .failed(let error): refuse(KafkaRefusal(changing: error))
                    default: refuse(.unexpected)
                    }
                }
            }
        }
    }

    // MARK: DeleteTopics

    static func deleteTopics(_ request: DeleteTopicsRequest, _ call: KafkaCall) {
        var response = DeleteTopicsResponse()
        call.respond { response }
        func delete(_ index: Int, _ name: String, _ call: KafkaCall) {
            guard TopicDescription.isShown(name) else { return response.responses[index].refuse(.unknownTopic) }
            call.ask(.deleteTopic(name: name)) { _, answer in
                if case .failed(let error) = answer {
                    response.responses[index].refuse(error.code == .unknownTopic ? .unknownTopic : KafkaRefusal(error))
                }
            }
        }
        if call.version < 6 {
            let repeated = Repetitions(request.topicNames)
            response.responses = repeated.names.map { DeleteTopicsResponse.Topic(name: $0) }
            for (index, name) in repeated.names.enumerated() { delete(index, name, call) }
            return
        }
        response.responses = request.topics.map { DeleteTopicsResponse.Topic(name: $0.name, topicID: $0.topicID) }
        for (index, topic) in request.topics.enumerated() {
            switch (topic.name, topic.topicID) {
            case (let name?, .zero):
                call.describe(name) { call, found in
                    if case .success(let topic) = found { response.responses[index].topicID = KafkaUUID(topic.id) }
                    delete(index, name, call)
                }
            case (nil, .zero): response.responses[index].refuse(KafkaRefusal(.invalidRequest, "Neither topic name nor id was specified."))
            case (_?, _): response.responses[index].refuse(KafkaRefusal(.invalidRequest, "You may not specify both topic name and topic id."))
            case (nil, _): break
            }
        }
        let byID = request.topics.indices.filter { request.topics[$0].name == nil && request.topics[$0].topicID != .zero }
        guard !byID.isEmpty else { return }
        call.list { call, topics in
            let names = Dictionary(topics.map { (KafkaUUID($0.id), $0.name) }) { first, _ in first }
            for index in byID {
                guard let name = names[request.topics[index].topicID] else {
                    response.responses[index].refuse(KafkaRefusal(.unknownTopicID, "This server does not host this topic ID."))
                    continue
                }
                response.responses[index].name = name
                delete(index, name, call)
            }
        }
    }

    // MARK: CreatePartitions

    static func createPartitions(_ request: CreatePartitionsRequest, _ call: KafkaCall) {
        var response = CreatePartitionsResponse()
        call.respond { response }
        let repeated = Repetitions(request.topics.map(\.name))
        response.results = repeated.names.map { CreatePartitionsResponse.Topic(name: $0) }
        for (index, name) in repeated.names.enumerated() {
            func refuse(_ refusal: KafkaRefusal) { response.results[index].refuse(refusal) }
            guard let place = repeated.place(ofOnly: name) else {
                refuse(KafkaRefusal(.invalidRequest, "Duplicate topic name."))
                continue
            }
            let asked = request.topics[place]
            call.describe(name) { call, found in
                switch found {
                case .failure(let refusal): refuse(refusal)
                case .success(let topic):
                    if let fault = fault(in: asked, of: topic, call.context) { return refuse(fault) }
                    if request.validateOnly { return }
                    call.ask(.alterTopic(name: name, TopicChange(partitions: asked.count))) { _, answer in
                        if case .failed(let error) = answer { refuse(KafkaRefusal(changing: error)) }
                    }
                }
            }
        }
    }

    private static func fault(in asked: CreatePartitionsRequest.Topic, of topic: TopicDescription, _ context: KafkaContext) -> KafkaRefusal? {
        let count = Int32(topic.partitions.count)
        if asked.count == count { return KafkaRefusal(.invalidPartitions, "Topic already has \(count) partition(s).") }
        if asked.count < count {
            return KafkaRefusal(.invalidPartitions, "The topic \(topic.name) currently has \(count) partition(s); \(asked.count) would not be an increase.")
        }
        if topic.options.isQueue { return KafkaRefusal(.invalidPartitions, "\(topic.name) is a queue, which has one partition") }
        if let fault = tooMany(asked.count, context) { return fault }
        guard let assignments = asked.assignments, !assignments.isEmpty else { return nil }
        guard assignments.count == Int(asked.count - count) else {
            return KafkaRefusal(
                .invalidReplicaAssignment,
                "Attempted to add \(asked.count - count) additional partition(s), but only \(assignments.count) assignment(s) were specified.")
        }
        return assignments.lazy.compactMap { fault(inAssignment: $0.brokerIDs, context) }.first
    }

    fileprivate static func tooMany(_ partitions: Int32, _ context: KafkaContext) -> KafkaRefusal? {
        let most = context.peer.limits.partitionsPerTopic
        guard partitions > Int32(clamping: most) else { return nil }
        return KafkaRefusal(.invalidPartitions, "A topic has at most \(most) partitions here (limits.partitions_per_topic).")
    }

    /// There is one replica, on whichever broker of this cluster the client likes: where a partition is, is decided here.
    fileprivate static func fault(inAssignment brokers: [Int32], _ context: KafkaContext) -> KafkaRefusal? {
        guard let first = brokers.first else {
            return KafkaRefusal(.invalidReplicaAssignment, "The manual partition assignment includes an empty replica list.")
        }
        let nodes = Set(context.nodes.map(\.id))
        if let other = brokers.first(where: { !nodes.contains($0) }) {
            return KafkaRefusal(
                .invalidReplicaAssignment, "The manual partition assignment includes broker \(other), but no such broker is registered.")
        }
        guard brokers.count > 1 else { return nil }
        guard Set(brokers).count == brokers.count else {
            return KafkaRefusal(.invalidReplicaAssignment, "The manual partition assignment includes the broker \(first) more than once.")
        }
        return KafkaRefusal(.invalidReplicaAssignment, "The manual partition assignment has \(brokers.count) replicas; there is one of each partition here.")
    }

    // MARK: DescribeTopicPartitions

    /// In the order of names, from the cursor on, up to so many partitions; then where the next request goes on.
    static func describeTopicPartitions(_ request: DescribeTopicPartitionsRequest, _ call: KafkaCall) {
        var response = DescribeTopicPartitionsResponse()
        call.respond { response }
        let limit = Int(max(1, min(request.responsePartitionLimit, 2_000)))
        call.list { _, topics in
            let byName = Dictionary(topics.map { ($0.name, $0) }) { first, _ in first }
            var names = request.topics.isEmpty ? topics.map(\.name) : Array(Set(request.topics.map(\.name)))
            names = names.sorted().filter { $0 >= request.cursor?.topicName ?? "" }
            var left = limit
            for name in names {
                guard left > 0 else {
                    response.nextCursor = DescribeTopicPartitionsResponse.Cursor(topicName: name, partitionIndex: 0)
                    return
                }
                guard let topic = byName[name] else {
                    let isName = (try? Name.validate(name)) != nil
                    response.topics.append(
                        DescribeTopicPartitionsResponse.Topic(
                            errorCode: (isName ? KafkaError.unknownTopicOrPartition : .invalidTopic).rawValue, name: name))
                    continue
                }
                let first = name == request.cursor?.topicName ? Int(max(0, request.cursor?.partitionIndex ?? 0)) : 0
                let shown = topic.partitions.dropFirst(first).prefix(left)
                left -= shown.count
                response.topics.append(DescribeTopicPartitionsResponse.Topic(topic, shown))
                if first + shown.count < topic.partitions.count {
                    response.nextCursor = DescribeTopicPartitionsResponse.Cursor(topicName: name, partitionIndex: Int32(first + shown.count))
                    return
                }
            }
        }
    }
}

/// Names in the order of their first appearance, and which of them appear again.
struct Repetitions {
    private(set) var names: [String] = []
    /// nil: there are several.
    private var places: [String: Int?] = [:]

    init(_ all: [String]) {
        for (place, name) in all.enumerated() {
            if places.updateValue(place, forKey: name) == nil { names.append(name) } else { places[name] = .some(nil) }
        }
    }

    func place(ofOnly name: String) -> Int? { places[name] ?? nil }
}

extension TopicOptions {
    fileprivate init(_ topic: CreateTopicsRequest.Topic, _ context: KafkaContext) throws(KafkaRefusal) {
        do throws(BrokerError) { try Name.validate(topic.name, limit: context.peer.limits.nameBytes) } catch {
            throw KafkaRefusal(.invalidTopic, "Topic name is invalid: \(error.text)")
        }
        let partitions: Int32
        if topic.assignments.isEmpty {
            guard topic.numPartitions == -1 || topic.numPartitions > 0 else {
                throw KafkaRefusal(.invalidPartitions, "Number of partitions was set to an invalid non-positive value.")
            }
            guard topic.replicationFactor == -1 || topic.replicationFactor > 0 else {
                throw KafkaRefusal(.invalidReplicationFactor, "Replication factor must be larger than 0, or -1 to use the default value.")
            }
            guard topic.replicationFactor <= 1 else {
                throw KafkaRefusal(
                    .invalidReplicationFactor,
                    "Unable to replicate the partition \(topic.replicationFactor) time(s): there is no replication, each partition is on one broker.")
            }
            partitions = topic.numPartitions == -1 ? context.options.defaultPartitions : topic.numPartitions
        } else {
            partitions = try TopicOptions.partitions(assignedBy: topic, context)
        }
        if let fault = KafkaAPI.tooMany(partitions, context) { throw fault }
        do throws(ConfigRefusal) {
            self = try TopicConfigs.create(topic.configs.map { ($0.name, $0.value) }, partitions: partitions, context.peer.server.topics)
        } catch { throw KafkaRefusal(.invalidConfig, error.text) }
    }

    private static func partitions(assignedBy topic: CreateTopicsRequest.Topic, _ context: KafkaContext) throws(KafkaRefusal) -> Int32 {
        guard topic.replicationFactor == -1 else {
            throw KafkaRefusal(.invalidRequest, "A manual partition assignment was specified, but replication factor was not set to -1.")
        }
        guard topic.numPartitions == -1 else {
            throw KafkaRefusal(.invalidRequest, "A manual partition assignment was specified, but numPartitions was not set to -1.")
        }
        guard topic.assignments.map(\.partitionIndex).sorted().elementsEqual(0..<Int32(topic.assignments.count)) else {
            throw KafkaRefusal(.invalidReplicaAssignment, "Partitions should be a consecutive 0-based integer sequence.")
        }
        for assignment in topic.assignments {
            if let fault = KafkaAPI.fault(inAssignment: assignment.brokerIDs, context) { throw fault }
        }
        return Int32(topic.assignments.count)
    }
}

extension CreateTopicsResponse.Topic {
    fileprivate init(_ name: String) { self.init(name: name, errorMessage: nil) }

    fileprivate mutating func refuse(_ refusal: KafkaRefusal) {
        errorCode = refusal.error.rawValue
        errorMessage = refusal.text
    }
}

extension CreateTopicsResponse.Config {
    fileprivate init(_ config: ConfigDescription) {
        self.init(name: config.name, value: config.value, readOnly: config.isReadOnly, configSource: config.source.rawValue)
    }
}

extension DeleteTopicsResponse.Topic {
    fileprivate mutating func refuse(_ refusal: KafkaRefusal) {
        errorCode = refusal.error.rawValue
        errorMessage = refusal.text
    }
}

extension CreatePartitionsResponse.Topic {
    fileprivate mutating func refuse(_ refusal: KafkaRefusal) {
        errorCode = refusal.error.rawValue
        errorMessage = refusal.text
    }
}

extension DescribeTopicPartitionsResponse.Topic {
    /// Everybody may do everything, as long as there are no access rules: read, write, create, delete, alter, describe, and both for configs.
    private static let operations: Int32 = 1 << 3 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 8 | 1 << 10 | 1 << 11

    fileprivate init(_ topic: TopicDescription, _ partitions: ArraySlice<PartitionDescription>) {
        self.init(
            name: topic.name, topicID: KafkaUUID(topic.id),
            partitions: partitions.map {
                DescribeTopicPartitionsResponse.Partition(
                    partitionIndex: $0.index, leaderID: topic.owner, leaderEpoch: max(0, $0.epoch), replicaNodes: [topic.owner],
                    isrNodes: [topic.owner], eligibleLeaderReplicas: [], lastKnownElr: [])
            }, topicAuthorizedOperations: Self.operations)
    }
}
