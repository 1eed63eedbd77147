internal import BrokerCore

/// The numbers of the topics that one connection has named so far.
///
/// A number stays right as long as the topic lives. One that is deleted and made again has another: the broker then knows no topic of
/// that number, and the name is looked up anew at its next use.
struct TopicNames {
    private var known: [String: TopicID] = [:]
    private var names: [TopicID: String] = [:]
    /// Looked up for the request that waits, without success.
    private var missing: Set<String> = []
    private var asked: [String] = []
    private var sent = 0
    private var unanswered = 0

    var isComplete: Bool { unanswered == 0 }

    /// The topics' numbers in the order of their names, nil for those that do not exist; or nil when some must be looked up first.
    mutating func resolve(_ wanted: [String]) -> [TopicID?]? {
        var found: [TopicID?] = []
        found.reserveCapacity(wanted.count)
        for name in wanted {
            if let id = known[name] {
                found.append(id)
            } else if missing.contains(name) {
                found.append(nil)
            } else if !asked.contains(name) {
                asked.append(name)
            }
        }
        guard asked.isEmpty else { return nil }
        missing = []
        return found
    }

    /// What to ask the broker, each with the number for its answer.
    mutating func takeQuestions() -> [(part: Int, name: String)] {
        let new = asked.indices.dropFirst(sent).map { (part: $0, name: asked[$0]) }
        sent = asked.count
        unanswered += new.count
        return new
    }

    mutating func answered(_ part: Int, _ response: Response) {
        guard part < asked.count else { return }
        unanswered -= 1
        if case .topics(let topics) = response, let topic = topics.first {
            known[asked[part]] = topic.id
            names[topic.id] = topic.name
        } else {
            missing.insert(asked[part])
        }
        if unanswered == 0 {
            asked = []
            sent = 0
        }
    }

    /// The topic is no more.
    mutating func forget(_ topic: TopicID) {
        if let name = names.removeValue(forKey: topic) { known[name] = nil }
    }
}
