internal import Bytes

/// One API of Kafka's protocol that is supported here: its number, its versions, and what carries a request out.
///
/// `all` is the one list of them: what clients are told, and what docs/protocols/kafka.md says, is made from it.
struct KafkaAPI: Sendable {
    /// Reads the request's body, asks the broker and says how to respond. False: topics must be looked up first (`TopicNames`), then
    /// the same request is begun again.
    typealias Begin = @Sendable (_ input: RawSpan, _ body: ByteRange, KafkaCall, inout TopicNames) throws(ByteError) -> Bool

    let key: KafkaAPIKey
    let begin: Begin

    var versions: ClosedRange<Int16> { key.validVersions }

    init(_ key: KafkaAPIKey, begin: @escaping Begin) {
        self.key = key
        self.begin = begin
    }

    init<R: KafkaMessage>(_ handle: @escaping @Sendable (R, KafkaCall) -> Void) {
        self.init(R.key) { input, body, call, _ throws(ByteError) in
            var reader = KafkaReader(input, frame: body)
            handle(try R(from: &reader, version: call.version), call)
            return true
        }
    }

    static let all: [KafkaAPI] = [
        // Records
        KafkaAPI(.produce, begin: produce), KafkaAPI(.fetch, begin: fetch), KafkaAPI(listOffsets),
        KafkaAPI(.offsetForLeaderEpoch, begin: offsetForLeaderEpoch), KafkaAPI(initProducerID),
        // Groups of consumers
        KafkaAPI(findCoordinator), KafkaAPI(joinGroup), KafkaAPI(syncGroup), KafkaAPI(heartbeat), KafkaAPI(leaveGroup),
        KafkaAPI(offsetCommit), KafkaAPI(offsetFetch), KafkaAPI(offsetDelete),
        KafkaAPI(describeGroups), KafkaAPI(listGroups), KafkaAPI(deleteGroups),
        // The cluster
        KafkaAPI(apiVersions), KafkaAPI(metadata), KafkaAPI(describeCluster), KafkaAPI(describeLogDirs), KafkaAPI(describeClientQuotas),
        KafkaAPI(describeAcls), KafkaAPI(describeUserScramCredentials), KafkaAPI(listPartitionReassignments),
        // Topics and their settings
        KafkaAPI(createTopics), KafkaAPI(deleteTopics), KafkaAPI(createPartitions), KafkaAPI(describeTopicPartitions), KafkaAPI(deleteRecords),
        KafkaAPI(describeConfigs), KafkaAPI(alterConfigs), KafkaAPI(incrementalAlterConfigs), KafkaAPI(listConfigResources),
    ]

    // MARK: Sizes

    /// What any request may be as long as. Answers are many times as large.
    static let leastRequestBytes = 1 << 20
    /// The same for requests that name partitions by the ten thousand, or carry what members of groups say.
    private static let longRequestBytes = 8 << 20

    static func requestBytes(_ key: Int16, atMost most: Int) -> Int {
        switch KafkaAPIKey(rawValue: key) {
        case .produce: most
        case .fetch, .listOffsets, .offsetForLeaderEpoch, .offsetCommit, .offsetFetch, .joinGroup, .syncGroup: longRequestBytes
        default: leastRequestBytes
        }
    }

    static let table: [KafkaAPIKey: KafkaAPI] = Dictionary(uniqueKeysWithValues: all.map { ($0.key, $0) })

    /// What is spoken here.
    static func versions(_ error: KafkaError = .none) -> ApiVersionsResponse {
        ApiVersionsResponse(
            errorCode: error.rawValue,
            apiKeys: all.map {
                ApiVersionsResponse.API(apiKey: $0.key.rawValue, minVersion: $0.versions.lowerBound, maxVersion: $0.versions.upperBound)
            }.sorted { $0.apiKey < $1.apiKey })
    }
}

extension KafkaAPIKey {
    /// Whether it may ask for something of many partitions at once, or of all topics.
    var mayTakeLong: Bool {
        switch self {
        case .metadata, .listOffsets, .offsetFetch, .offsetDelete, .describeGroups, .listGroups, .deleteGroups, .createTopics, .deleteTopics,
            .deleteRecords, .describeConfigs, .alterConfigs, .incrementalAlterConfigs, .describeLogDirs, .createPartitions, .describeTopicPartitions:
            true
        default: false
        }
    }
}
