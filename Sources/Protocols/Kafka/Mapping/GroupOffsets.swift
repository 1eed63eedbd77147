internal import BrokerCore

// Offsets that groups have committed.
extension KafkaAPI {
    /// Times and retention that older clients name are not theirs to say: the broker's clock and configuration count.
    static func offsetCommit(_ request: OffsetCommitRequest, _ call: KafkaCall) {
        var response = OffsetCommitResponse()
        call.respond { response }
        let commit = CommitOffsets(
            member: GroupMember(
                group: request.groupID, generation: request.generationIDOrMemberEpoch, memberID: request.memberID, instanceID: request.groupInstanceID),
            topics: request.topics.map { topic in
                TopicOffsets(
                    name: topic.name,
                    partitions: topic.partitions.map {
                        PartitionOffset(
                            partition: $0.partitionIndex, offset: $0.committedOffset, leaderEpoch: $0.committedLeaderEpoch,
                            metadata: $0.committedMetadata ?? "")
                    })
            })
        call.ask(.group(.commitOffsets(commit))) { _, answer in
            if case .group(.committed(let outcomes)) = answer {
                response.topics = outcomes.map { topic in
                    OffsetCommitResponse.Topic(
                        name: topic.name,
                        partitions: topic.partitions.map {
                            OffsetCommitResponse.Partition(partitionIndex: $0.partition, errorCode: KafkaError(groups: $0.error).rawValue)
                        })
                }
                return
            }
            let error = KafkaError(groups: answer).rawValue
            response.topics = request.topics.map { topic in
                OffsetCommitResponse.Topic(
                    name: topic.name,
                    partitions: topic.partitions.map { OffsetCommitResponse.Partition(partitionIndex: $0.partitionIndex, errorCode: error) })
            }
        }
    }

    /// From version 8 on for several groups. There are no transactions, so every committed offset is a stable one.
    static func offsetFetch(_ request: OffsetFetchRequest, _ call: KafkaCall) {
        var response = OffsetFetchResponse()
        call.respond { response }
        func query(_ group: String, _ topics: [OffsetFetchRequest.Topic]?) -> OffsetQuery {
            OffsetQuery(group: group, topics: topics.map { $0.map { TopicPartitions(name: $0.name, partitions: $0.partitionIndexes) } })
        }
        let queries = call.version >= 8 ? request.groups.map { query($0.groupID, $0.topics) } : [query(request.groupID, request.topics)]
        call.ask(.group(.fetchOffsets(queries))) { call, answer in
            var found: [GroupOffsets] = []
            if case .group(.offsets(let offsets)) = answer { found = offsets }
            let failure = found.count == queries.count ? KafkaError.none : KafkaError(groups: answer)
            if failure != .none { found = queries.map { GroupOffsets(group: $0.group, topics: [], error: nil) } }
            if call.version >= 8 {
                response.groups = found.map {
                    OffsetFetchResponse.Group(
                        groupID: $0.group, topics: $0.topics.map(OffsetFetchResponse.Topic.init),
                        errorCode: failure == .none ? KafkaError(groups: $0.error).rawValue : failure.rawValue)
                }
                return
            }
            guard let only = found.first else { return }
            let error = failure == .none ? KafkaError(groups: only.error) : failure
            response.errorCode = error.rawValue
            response.topics = only.topics.map(OffsetFetchResponse.Topic.init)
            guard error != .none, call.version < 2 else { return }
            // The first version has a place for errors in partitions only.
            response.topics = (request.topics ?? []).map { topic in
                OffsetFetchResponse.Topic(
                    name: topic.name,
                    partitions: topic.partitionIndexes.map {
                        OffsetFetchResponse.Partition(partitionIndex: $0, committedOffset: -1, errorCode: error.rawValue)
                    })
            }
        }
    }

    static func offsetDelete(_ request: OffsetDeleteRequest, _ call: KafkaCall) {
        var response = OffsetDeleteResponse()
        call.respond { response }
        let topics = request.topics.map { TopicPartitions(name: $0.name, partitions: $0.partitions.map(\.partitionIndex)) }
        call.ask(.group(.deleteOffsets(group: request.groupID, topics))) { _, answer in
            guard case .group(.committed(let outcomes)) = answer else {
                response.errorCode = KafkaError(groups: answer).rawValue
                return
            }
            response.topics = outcomes.map { topic in
                OffsetDeleteResponse.Topic(
                    name: topic.name,
                    partitions: topic.partitions.map {
                        OffsetDeleteResponse.Partition(partitionIndex: $0.partition, errorCode: KafkaError(groups: $0.error).rawValue)
                    })
            }
        }
    }
}

extension OffsetFetchResponse.Topic {
    fileprivate init(_ topic: TopicOffsets) {
        self.init(
            name: topic.name,
            partitions: topic.partitions.map {
                OffsetFetchResponse.Partition(
                    partitionIndex: $0.partition, committedOffset: $0.offset, committedLeaderEpoch: $0.leaderEpoch, metadata: $0.metadata)
            })
    }
}
