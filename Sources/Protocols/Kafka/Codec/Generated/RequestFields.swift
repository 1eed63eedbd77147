// Made by tools/kafka-codec/generate from tools/kafka-codec/messages.facts: change those.

extension KafkaAPIKey {
    /// What a request consists of, in the order of the wire.
    var requestFields: [KafkaField] {
        switch self {
        case .produce: Self.fieldsOfProduce()
        case .fetch: Self.fieldsOfFetch()
        case .listOffsets: Self.fieldsOfListOffsets()
        case .metadata: Self.fieldsOfMetadata()
        case .offsetCommit: Self.fieldsOfOffsetCommit()
        case .offsetFetch: Self.fieldsOfOffsetFetch()
        case .findCoordinator: Self.fieldsOfFindCoordinator()
        case .joinGroup: Self.fieldsOfJoinGroup()
        case .heartbeat: Self.fieldsOfHeartbeat()
        case .leaveGroup: Self.fieldsOfLeaveGroup()
        case .syncGroup: Self.fieldsOfSyncGroup()
        case .describeGroups: Self.fieldsOfDescribeGroups()
        case .listGroups: Self.fieldsOfListGroups()
        case .saslHandshake: Self.fieldsOfSaslHandshake()
        case .apiVersions: Self.fieldsOfApiVersions()
        case .createTopics: Self.fieldsOfCreateTopics()
        case .deleteTopics: Self.fieldsOfDeleteTopics()
        case .deleteRecords: Self.fieldsOfDeleteRecords()
        case .initProducerID: Self.fieldsOfInitProducerId()
        case .offsetForLeaderEpoch: Self.fieldsOfOffsetForLeaderEpoch()
        case .describeAcls: Self.fieldsOfDescribeAcls()
        case .describeConfigs: Self.fieldsOfDescribeConfigs()
        case .alterConfigs: Self.fieldsOfAlterConfigs()
        case .describeLogDirs: Self.fieldsOfDescribeLogDirs()
        case .saslAuthenticate: Self.fieldsOfSaslAuthenticate()
        case .createPartitions: Self.fieldsOfCreatePartitions()
        case .deleteGroups: Self.fieldsOfDeleteGroups()
        case .incrementalAlterConfigs: Self.fieldsOfIncrementalAlterConfigs()
        case .listPartitionReassignments: Self.fieldsOfListPartitionReassignments()
        case .offsetDelete: Self.fieldsOfOffsetDelete()
        case .describeClientQuotas: Self.fieldsOfDescribeClientQuotas()
        case .describeUserScramCredentials: Self.fieldsOfDescribeUserScramCredentials()
        case .describeCluster: Self.fieldsOfDescribeCluster()
        case .listConfigResources: Self.fieldsOfListConfigResources()
        case .describeTopicPartitions: Self.fieldsOfDescribeTopicPartitions()
        }
    }

    private static func fieldsOfProduce() -> [KafkaField] {
        [
            KafkaField("TransactionalId", .string, 3...11, nullable: 3...11),
            KafkaField("Acks", .integer(2), 0...11),
            KafkaField("TimeoutMs", .integer(4), 0...11),
            KafkaField(
                "TopicData", .structure, 0...11, isArray: true,
                fields: [
                    KafkaField("Name", .string, 0...11),
                    KafkaField(
                        "PartitionData", .structure, 0...11, isArray: true,
                        fields: [
                            KafkaField("Index", .integer(4), 0...11),
                            KafkaField("Records", .records, 0...11, nullable: 0...11),
                        ]),
                ]),
        ]
    }

    private static func fieldsOfFetch() -> [KafkaField] {
        [
            KafkaField("ClusterId", .string, 12...12, nullable: 12...12, tag: 0),
            KafkaField("ReplicaId", .integer(4), 4...12),
            KafkaField("MaxWaitMs", .integer(4), 4...12),
            KafkaField("MinBytes", .integer(4), 4...12),
            KafkaField("MaxBytes", .integer(4), 4...12),
            KafkaField("IsolationLevel", .integer(1), 4...12),
            KafkaField("SessionId", .integer(4), 7...12),
            KafkaField("SessionEpoch", .integer(4), 7...12),
            KafkaField(
                "Topics", .structure, 4...12, isArray: true,
                fields: [
                    KafkaField("Topic", .string, 4...12),
                    KafkaField(
                        "Partitions", .structure, 4...12, isArray: true,
                        fields: [
                            KafkaField("Partition", .integer(4), 4...12),
                            KafkaField("CurrentLeaderEpoch", .integer(4), 9...12),
                            KafkaField("FetchOffset", .integer(8), 4...12),
                            KafkaField("LastFetchedEpoch", .integer(4), 12...12),
                            KafkaField("LogStartOffset", .integer(8), 5...12),
                            KafkaField("PartitionMaxBytes", .integer(4), 4...12),
                        ]),
                ]),
            KafkaField(
                "ForgottenTopicsData", .structure, 7...12, isArray: true,
                fields: [
                    KafkaField("Topic", .string, 7...12),
                    KafkaField("Partitions", .integer(4), 7...12, isArray: true),
                ]),
            KafkaField("RackId", .string, 11...12),
        ]
    }

    private static func fieldsOfListOffsets() -> [KafkaField] {
        [
            KafkaField("ReplicaId", .integer(4), 1...7),
            KafkaField("IsolationLevel", .integer(1), 2...7),
            KafkaField(
                "Topics", .structure, 1...7, isArray: true,
                fields: [
                    KafkaField("Name", .string, 1...7),
                    KafkaField(
                        "Partitions", .structure, 1...7, isArray: true,
                        fields: [
                            KafkaField("PartitionIndex", .integer(4), 1...7),
                            KafkaField("CurrentLeaderEpoch", .integer(4), 4...7),
                            KafkaField("Timestamp", .integer(8), 1...7),
                        ]),
                ]),
        ]
    }

    private static func fieldsOfMetadata() -> [KafkaField] {
        [
            KafkaField(
                "Topics", .structure, 0...12, isArray: true, nullable: 1...12,
                fields: [
                    KafkaField("TopicId", .uuid, 10...12),
                    KafkaField("Name", .string, 0...12, nullable: 10...12),
                ]),
            KafkaField("AllowAutoTopicCreation", .bool, 4...12),
            KafkaField("IncludeClusterAuthorizedOperations", .bool, 8...10),
            KafkaField("IncludeTopicAuthorizedOperations", .bool, 8...12),
        ]
    }

    private static func fieldsOfOffsetCommit() -> [KafkaField] {
        [
            KafkaField("GroupId", .string, 1...8),
            KafkaField("GenerationIdOrMemberEpoch", .integer(4), 1...8),
            KafkaField("MemberId", .string, 1...8),
            KafkaField("GroupInstanceId", .string, 7...8, nullable: 7...8),
            KafkaField("RetentionTimeMs", .integer(8), 2...4),
            KafkaField(
                "Topics", .structure, 1...8, isArray: true,
                fields: [
                    KafkaField("Name", .string, 1...8),
                    KafkaField(
                        "Partitions", .structure, 1...8, isArray: true,
                        fields: [
                            KafkaField("PartitionIndex", .integer(4), 1...8),
                            KafkaField("CommittedOffset", .integer(8), 1...8),
                            KafkaField("CommittedLeaderEpoch", .integer(4), 6...8),
                            KafkaField("CommitTimestamp", .integer(8), 1...1),
                            KafkaField("CommittedMetadata", .string, 1...8, nullable: 1...8),
                        ]),
                ]),
        ]
    }

    private static func fieldsOfOffsetFetch() -> [KafkaField] {
        [
            KafkaField("GroupId", .string, 1...7),
            KafkaField(
                "Topics", .structure, 1...7, isArray: true, nullable: 2...7,
                fields: [
                    KafkaField("Name", .string, 1...7),
                    KafkaField("PartitionIndexes", .integer(4), 1...7, isArray: true),
                ]),
            KafkaField(
                "Groups", .structure, 8...8, isArray: true,
                fields: [
                    KafkaField("GroupId", .string, 8...8),
                    KafkaField(
                        "Topics", .structure, 8...8, isArray: true, nullable: 8...8,
                        fields: [
                            KafkaField("Name", .string, 8...8),
                            KafkaField("PartitionIndexes", .integer(4), 8...8, isArray: true),
                        ]),
                ]),
            KafkaField("RequireStable", .bool, 7...8),
        ]
    }

    private static func fieldsOfFindCoordinator() -> [KafkaField] {
        [
            KafkaField("Key", .string, 0...3),
            KafkaField("KeyType", .integer(1), 1...4),
            KafkaField("CoordinatorKeys", .string, 4...4, isArray: true),
        ]
    }

    private static func fieldsOfJoinGroup() -> [KafkaField] {
        [
            KafkaField("GroupId", .string, 0...9),
            KafkaField("SessionTimeoutMs", .integer(4), 0...9),
            KafkaField("RebalanceTimeoutMs", .integer(4), 1...9),
            KafkaField("MemberId", .string, 0...9),
            KafkaField("GroupInstanceId", .string, 5...9, nullable: 5...9),
            KafkaField("ProtocolType", .string, 0...9),
            KafkaField(
                "Protocols", .structure, 0...9, isArray: true,
                fields: [
                    KafkaField("Name", .string, 0...9),
                    KafkaField("Metadata", .bytes, 0...9),
                ]),
            KafkaField("Reason", .string, 8...9, nullable: 8...9),
        ]
    }

    private static func fieldsOfHeartbeat() -> [KafkaField] {
        [
            KafkaField("GroupId", .string, 0...4),
            KafkaField("GenerationId", .integer(4), 0...4),
            KafkaField("MemberId", .string, 0...4),
            KafkaField("GroupInstanceId", .string, 3...4, nullable: 3...4),
        ]
    }

    private static func fieldsOfLeaveGroup() -> [KafkaField] {
        [
            KafkaField("GroupId", .string, 0...5),
            KafkaField("MemberId", .string, 0...2),
            KafkaField(
                "Members", .structure, 3...5, isArray: true,
                fields: [
                    KafkaField("MemberId", .string, 3...5),
                    KafkaField("GroupInstanceId", .string, 3...5, nullable: 3...5),
                    KafkaField("Reason", .string, 5...5, nullable: 5...5),
                ]),
        ]
    }

    private static func fieldsOfSyncGroup() -> [KafkaField] {
        [
            KafkaField("GroupId", .string, 0...5),
            KafkaField("GenerationId", .integer(4), 0...5),
            KafkaField("MemberId", .string, 0...5),
            KafkaField("GroupInstanceId", .string, 3...5, nullable: 3...5),
            KafkaField("ProtocolType", .string, 5...5, nullable: 5...5),
            KafkaField("ProtocolName", .string, 5...5, nullable: 5...5),
            KafkaField(
                "Assignments", .structure, 0...5, isArray: true,
                fields: [
                    KafkaField("MemberId", .string, 0...5),
                    KafkaField("Assignment", .bytes, 0...5),
                ]),
        ]
    }

    private static func fieldsOfDescribeGroups() -> [KafkaField] {
        [
            KafkaField("Groups", .string, 0...6, isArray: true),
            KafkaField("IncludeAuthorizedOperations", .bool, 3...6),
        ]
    }

    private static func fieldsOfListGroups() -> [KafkaField] {
        [
            KafkaField("StatesFilter", .string, 4...5, isArray: true),
            KafkaField("TypesFilter", .string, 5...5, isArray: true),
        ]
    }

    private static func fieldsOfSaslHandshake() -> [KafkaField] {
        [
            KafkaField("Mechanism", .string, 0...1)
        ]
    }

    private static func fieldsOfApiVersions() -> [KafkaField] {
        [
            KafkaField("ClientSoftwareName", .string, 3...4),
            KafkaField("ClientSoftwareVersion", .string, 3...4),
        ]
    }

    private static func fieldsOfCreateTopics() -> [KafkaField] {
        [
            KafkaField(
                "Topics", .structure, 0...7, isArray: true,
                fields: [
                    KafkaField("Name", .string, 0...7),
                    KafkaField("NumPartitions", .integer(4), 0...7),
                    KafkaField("ReplicationFactor", .integer(2), 0...7),
                    KafkaField(
                        "Assignments", .structure, 0...7, isArray: true,
                        fields: [
                            KafkaField("PartitionIndex", .integer(4), 0...7),
                            KafkaField("BrokerIds", .integer(4), 0...7, isArray: true),
                        ]),
                    KafkaField(
                        "Configs", .structure, 0...7, isArray: true,
                        fields: [
                            KafkaField("Name", .string, 0...7),
                            KafkaField("Value", .string, 0...7, nullable: 0...7),
                        ]),
                ]),
            KafkaField("timeoutMs", .integer(4), 0...7),
            KafkaField("validateOnly", .bool, 1...7),
        ]
    }

    private static func fieldsOfDeleteTopics() -> [KafkaField] {
        [
            KafkaField(
                "Topics", .structure, 6...6, isArray: true,
                fields: [
                    KafkaField("Name", .string, 6...6, nullable: 6...6),
                    KafkaField("TopicId", .uuid, 6...6),
                ]),
            KafkaField("TopicNames", .string, 0...5, isArray: true),
            KafkaField("TimeoutMs", .integer(4), 0...6),
        ]
    }

    private static func fieldsOfDeleteRecords() -> [KafkaField] {
        [
            KafkaField(
                "Topics", .structure, 0...2, isArray: true,
                fields: [
                    KafkaField("Name", .string, 0...2),
                    KafkaField(
                        "Partitions", .structure, 0...2, isArray: true,
                        fields: [
                            KafkaField("PartitionIndex", .integer(4), 0...2),
                            KafkaField("Offset", .integer(8), 0...2),
                        ]),
                ]),
            KafkaField("TimeoutMs", .integer(4), 0...2),
        ]
    }

    private static func fieldsOfInitProducerId() -> [KafkaField] {
        [
            KafkaField("TransactionalId", .string, 0...4, nullable: 0...4),
            KafkaField("TransactionTimeoutMs", .integer(4), 0...4),
            KafkaField("ProducerId", .integer(8), 3...4),
            KafkaField("ProducerEpoch", .integer(2), 3...4),
        ]
    }

    private static func fieldsOfOffsetForLeaderEpoch() -> [KafkaField] {
        [
            KafkaField("ReplicaId", .integer(4), 3...4),
            KafkaField(
                "Topics", .structure, 0...4, isArray: true,
                fields: [
                    KafkaField("Topic", .string, 0...4),
                    KafkaField(
                        "Partitions", .structure, 0...4, isArray: true,
                        fields: [
                            KafkaField("Partition", .integer(4), 0...4),
                            KafkaField("CurrentLeaderEpoch", .integer(4), 2...4),
                            KafkaField("LeaderEpoch", .integer(4), 0...4),
                        ]),
                ]),
        ]
    }

    private static func fieldsOfDescribeAcls() -> [KafkaField] {
        [
            KafkaField("ResourceTypeFilter", .integer(1), 1...3),
            KafkaField("ResourceNameFilter", .string, 1...3, nullable: 1...3),
            KafkaField("PatternTypeFilter", .integer(1), 1...3),
            KafkaField("PrincipalFilter", .string, 1...3, nullable: 1...3),
            KafkaField("HostFilter", .string, 1...3, nullable: 1...3),
            KafkaField("Operation", .integer(1), 1...3),
            KafkaField("PermissionType", .integer(1), 1...3),
        ]
    }

    private static func fieldsOfDescribeConfigs() -> [KafkaField] {
        [
            KafkaField(
                "Resources", .structure, 0...4, isArray: true,
                fields: [
                    KafkaField("ResourceType", .integer(1), 0...4),
                    KafkaField("ResourceName", .string, 0...4),
                    KafkaField("ConfigurationKeys", .string, 0...4, isArray: true, nullable: 0...4),
                ]),
            KafkaField("IncludeSynonyms", .bool, 1...4),
            KafkaField("IncludeDocumentation", .bool, 3...4),
        ]
    }

    private static func fieldsOfAlterConfigs() -> [KafkaField] {
        [
            KafkaField(
                "Resources", .structure, 0...2, isArray: true,
                fields: [
                    KafkaField("ResourceType", .integer(1), 0...2),
                    KafkaField("ResourceName", .string, 0...2),
                    KafkaField(
                        "Configs", .structure, 0...2, isArray: true,
                        fields: [
                            KafkaField("Name", .string, 0...2),
                            KafkaField("Value", .string, 0...2, nullable: 0...2),
                        ]),
                ]),
            KafkaField("ValidateOnly", .bool, 0...2),
        ]
    }

    private static func fieldsOfDescribeLogDirs() -> [KafkaField] {
        [
            KafkaField(
                "Topics", .structure, 0...4, isArray: true, nullable: 0...4,
                fields: [
                    KafkaField("Topic", .string, 0...4),
                    KafkaField("Partitions", .integer(4), 0...4, isArray: true),
                ])
        ]
    }

    private static func fieldsOfSaslAuthenticate() -> [KafkaField] {
        [
            KafkaField("AuthBytes", .bytes, 0...2)
        ]
    }

    private static func fieldsOfCreatePartitions() -> [KafkaField] {
        [
            KafkaField(
                "Topics", .structure, 0...3, isArray: true,
                fields: [
                    KafkaField("Name", .string, 0...3),
                    KafkaField("Count", .integer(4), 0...3),
                    KafkaField(
                        "Assignments", .structure, 0...3, isArray: true, nullable: 0...3,
                        fields: [
                            KafkaField("BrokerIds", .integer(4), 0...3, isArray: true)
                        ]),
                ]),
            KafkaField("TimeoutMs", .integer(4), 0...3),
            KafkaField("ValidateOnly", .bool, 0...3),
        ]
    }

    private static func fieldsOfDeleteGroups() -> [KafkaField] {
        [
            KafkaField("GroupsNames", .string, 0...2, isArray: true)
        ]
    }

    private static func fieldsOfIncrementalAlterConfigs() -> [KafkaField] {
        [
            KafkaField(
                "Resources", .structure, 0...1, isArray: true,
                fields: [
                    KafkaField("ResourceType", .integer(1), 0...1),
                    KafkaField("ResourceName", .string, 0...1),
                    KafkaField(
                        "Configs", .structure, 0...1, isArray: true,
                        fields: [
                            KafkaField("Name", .string, 0...1),
                            KafkaField("ConfigOperation", .integer(1), 0...1),
                            KafkaField("Value", .string, 0...1, nullable: 0...1),
                        ]),
                ]),
            KafkaField("ValidateOnly", .bool, 0...1),
        ]
    }

    private static func fieldsOfListPartitionReassignments() -> [KafkaField] {
        [
            KafkaField("TimeoutMs", .integer(4), 0...0),
            KafkaField(
                "Topics", .structure, 0...0, isArray: true, nullable: 0...0,
                fields: [
                    KafkaField("Name", .string, 0...0),
                    KafkaField("PartitionIndexes", .integer(4), 0...0, isArray: true),
                ]),
        ]
    }

    private static func fieldsOfOffsetDelete() -> [KafkaField] {
        [
            KafkaField("GroupId", .string, 0...0),
            KafkaField(
                "Topics", .structure, 0...0, isArray: true,
                fields: [
                    KafkaField("Name", .string, 0...0),
                    KafkaField(
                        "Partitions", .structure, 0...0, isArray: true,
                        fields: [
                            KafkaField("PartitionIndex", .integer(4), 0...0)
                        ]),
                ]),
        ]
    }

    private static func fieldsOfDescribeClientQuotas() -> [KafkaField] {
        [
            KafkaField(
                "Components", .structure, 0...1, isArray: true,
                fields: [
                    KafkaField("EntityType", .string, 0...1),
                    KafkaField("MatchType", .integer(1), 0...1),
                    KafkaField("Match", .string, 0...1, nullable: 0...1),
                ]),
            KafkaField("Strict", .bool, 0...1),
        ]
    }

    private static func fieldsOfDescribeUserScramCredentials() -> [KafkaField] {
        [
            KafkaField(
                "Users", .structure, 0...0, isArray: true, nullable: 0...0,
                fields: [
                    KafkaField("Name", .string, 0...0)
                ])
        ]
    }

    private static func fieldsOfDescribeCluster() -> [KafkaField] {
        [
            KafkaField("IncludeClusterAuthorizedOperations", .bool, 0...2),
            KafkaField("EndpointType", .integer(1), 1...2),
            KafkaField("IncludeFencedBrokers", .bool, 2...2),
        ]
    }

    private static func fieldsOfListConfigResources() -> [KafkaField] {
        [
            KafkaField("ResourceTypes", .integer(1), 1...1, isArray: true)
        ]
    }

    private static func fieldsOfDescribeTopicPartitions() -> [KafkaField] {
        [
            KafkaField(
                "Topics", .structure, 0...0, isArray: true,
                fields: [
                    KafkaField("Name", .string, 0...0)
                ]),
            KafkaField("ResponsePartitionLimit", .integer(4), 0...0),
            KafkaField(
                "Cursor", .structure, 0...0, nullable: 0...0,
                fields: [
                    KafkaField("TopicName", .string, 0...0),
                    KafkaField("PartitionIndex", .integer(4), 0...0),
                ]),
        ]
    }
}
