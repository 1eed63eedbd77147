internal import BrokerCore

/// Why something is refused: Kafka's code, and a sentence as its tools show it.
struct KafkaRefusal: Error, Equatable {
    var error: KafkaError
    var text: String

    init(_ error: KafkaError, _ text: String) {
        self.error = error
        self.text = text
    }

    init(_ error: BrokerError) { self.init(KafkaError(error), error.text) }

    /// Of something that was to be made or changed: what the broker does not take, then, is a setting.
    init(changing error: BrokerError) {
        switch error.code {
        case .invalidRequest: self.init(.invalidConfig, error.text)
        case .unknownTopic: self = .unknownTopic
        default: self.init(error)
        }
    }

    static let unknownTopic = KafkaRefusal(.unknownTopicOrPartition, "This server does not host this topic-partition.")
    static let unexpected = KafkaRefusal(.unknownServerError, "the broker answered something else")
    static let tooMany = KafkaRefusal(.policyViolation, "At most \(KafkaAPI.resourcesPerRequest) resources are taken in one request.")
    static let unsupportedResource = KafkaRefusal(.invalidRequest, "Only topics and brokers have configurations here.")
}

extension TopicDescription {
    /// The broker's own topics are not shown.
    static func isShown(_ name: String) -> Bool { !name.hasPrefix(Name.reserved) }
}

extension KafkaCall {
    /// One topic by its name.
    func describe(_ name: String, then: @escaping (KafkaCall, Result<TopicDescription, KafkaRefusal>) -> Void) {
        ask(.describeTopic(name: name)) { call, answer in
            switch answer {
            case .topics(let topics):
                if let topic = topics.first, TopicDescription.isShown(topic.name) {
                    then(call, .success(topic))
                } else {
                    then(call, .failure(.unknownTopic))
                }
            case .failed(let error): then(call, .failure(error.code == .unknownTopic ? .unknownTopic : KafkaRefusal(error)))
            default: then(call, .failure(.unexpected))
            }
        }
    }

    /// Every topic that is shown, sorted by name.
    func list(then: @escaping (KafkaCall, [TopicDescription]) -> Void) {
        ask(.listTopics) { call, answer in
            guard case .topics(let topics) = answer else { return then(call, []) }
            then(call, topics.filter { TopicDescription.isShown($0.name) })
        }
    }
}
