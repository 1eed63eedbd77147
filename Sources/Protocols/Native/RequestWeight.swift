internal import BrokerCore
internal import NativeCodec

/// How much a request may cost before it is answered. Kept in the highest byte of the request's id, so that the answer finds it.
enum RequestWeight: UInt8 {
    case plain = 0
    /// Answered with one thing's description.
    case description = 1
    /// Answered with a list of everything.
    case listing = 2
    /// Not answered; what the broker says all the same goes nowhere.
    case silent = 0x80

    private static let shift: UInt64 = 56
    /// The bits that clients leave 0 in correlations.
    static let mask: UInt64 = 0xFF << shift

    init(_ type: FrameType) {
        switch type {
        case .listTopics, .listExchanges, .listSubscriptions, .statistics, .trace: self = .listing
        case .describeTopic, .findExchange, .createTopic, .alterTopic, .createReplyTopic, .createExchange: self = .description
        default: self = .plain
        }
    }

    /// Whether a frame of this type may ask for something of all partitions of a topic, or of all topics.
    static func mayTakeLong(_ type: UInt8) -> Bool {
        switch FrameType(rawValue: type) {
        case .listTopics, .listExchanges, .listSubscriptions, .statistics, .describeTopic, .createTopic, .alterTopic, .deleteTopic, .subscribe,
            .unsubscribe, .deleteSubscription, .seek, .purge:
            true
        default: false
        }
    }

    init(of id: RequestID) { self = RequestWeight(rawValue: UInt8(truncatingIfNeeded: id.rawValue >> RequestWeight.shift)) ?? .plain }

    func id(_ correlation: UInt64) -> RequestID { RequestID(rawValue: correlation | UInt64(rawValue) << RequestWeight.shift) }
    static func correlation(of id: RequestID) -> UInt64 { id.rawValue & ~mask }
}

/// Requests that want an answer and have none yet.
struct Unanswered {
    private(set) var total = 0
    private var descriptions = 0
    private var listings = 0

    func admits(_ weight: RequestWeight, _ limits: Limits) -> Bool {
        switch weight {
        case .plain, .silent: true
        case .description: descriptions < limits.descriptionsPerSession
        case .listing: listings < limits.listingsPerSession
        }
    }

    /// Never below nothing, whatever the broker answers.
    mutating func count(_ weight: RequestWeight, _ change: Int) {
        total = max(0, total &+ change)
        switch weight {
        case .plain, .silent: break
        case .description: descriptions = max(0, descriptions &+ change)
        case .listing: listings = max(0, listings &+ change)
        }
    }
}
