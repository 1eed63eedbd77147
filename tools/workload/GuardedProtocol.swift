internal import BrokerCore
internal import ConfigFile
internal import SegmentLog
internal import Synchronization
internal import Wire

/// What belongs to the honest clients. Known by name from the beginning, by id once their topics are made.
final class HonestTopics: Sendable {
    static let names: Set<String> = ["work", "events"]
    private let known = Mutex<Set<UInt32>>([])

    var ids: Set<UInt32> {
        get { known.withLock { $0 } }
        set { known.withLock { $0 = newValue } }
    }

    /// Whether a stranger may not ask this: it would change, take or add something that is theirs.
    func denies(_ request: Request) -> Bool {
        switch request {
        case .append(let append):
            if case .topic(let id, _) = append.target { return ids.contains(id.rawValue) }
            return false
        // Reading along takes nothing away.
        case .subscribe(let subscribe): return isTheirs(subscribe.topic) && !subscribe.name.isEmpty || isTheirs(subscribe.options.deadLetterTopic)
        case .createTopic(let name, let options): return isTheirs(name) || isTheirs(options.subscription.deadLetterTopic)
        case .alterTopic(let name, let change): return isTheirs(name) || isTheirs(change.subscription?.deadLetterTopic)
        case .seek(let topic, _, _), .deleteSubscription(let topic, _), .deleteTopic(let topic), .purge(let topic, _, _), .redrive(let topic, _):
            return isTheirs(topic)
        case .bind(let binding), .unbind(let binding):
            if case .topic(let name) = binding.destination { return isTheirs(name) }
            return false
        default: return false
        }
    }

    private func isTheirs(_ name: String?) -> Bool { name.map { HonestTopics.names.contains($0) } ?? false }
}

/// A protocol whose sessions are refused what belongs to others, as access rules would have it: behind it a peer may send whatever bytes it
/// likes, and the honest clients must not notice.
struct GuardedProtocol: WireProtocol {
    static let name = "guarded"
    private let inner: any WireProtocol
    private let honest: HonestTopics

    init(_ inner: any WireProtocol, _ honest: HonestTopics) {
        self.inner = inner
        self.honest = honest
    }

    init(_ options: ConfigSection) throws(ConfigError) { preconditionFailure("never configured") }

    func makeSession(_ peer: Peer) -> any WireSession { GuardedSession(inner.makeSession(peer), honest) }
}

private final class GuardedSession: WireSession {
    private let inner: any WireSession
    private let honest: HonestTopics

    init(_ inner: any WireSession, _ honest: HonestTopics) {
        self.inner = inner
        self.honest = honest
    }

    var bytesWanted: Int { inner.bytesWanted }
    var isEstablished: Bool { inner.isEstablished }
    var isHolding: Bool { inner.isHolding }
    var isLookingUp: Bool { inner.isLookingUp }

    func receive(_ input: RawSpan, _ output: inout SessionOutput) throws(ProtocolError) -> Int {
        let used: Int
        do throws(ProtocolError) { used = try inner.receive(input, &output) } catch {
            guardRequests(&output)
            throw error
        }
        guardRequests(&output)
        return used
    }

    func complete(_ id: RequestID, _ response: Response, _ output: inout SessionOutput) {
        inner.complete(id, response, &output)
        guardRequests(&output)
    }

    /// What is denied is answered at once, which may lead to further requests.
    private func guardRequests(_ output: inout SessionOutput) {
        var asked: [(id: RequestID, request: Request)] = []
        output.takeRequests(into: &asked)
        var denied: [(id: RequestID, request: Request)] = []
        for (id, request) in asked { if honest.denies(request) { denied.append((id, request)) } else { output.request(request, id: id) } }
        for (id, request) in denied where request.isAnswered {
            complete(id, .failed(BrokerError(.notPermitted, "that is somebody else's")), &output)
        }
    }

    func deliver(_ delivery: Delivery, _ output: inout SessionOutput) { inner.deliver(delivery, &output) }
    func notify(_ consumer: ConsumerID, _ event: ConsumerEvent, _ output: inout SessionOutput) { inner.notify(consumer, event, &output) }
    func advance(to now: Now, _ output: inout SessionOutput) throws(ProtocolError) { try inner.advance(to: now, &output) }
    func laneAnswered(_ id: RequestID, _ answer: LaneAnswer, _ output: inout SessionOutput) { inner.laneAnswered(id, answer, &output) }
    func shutDown(_ output: inout SessionOutput) { inner.shutDown(&output) }
}
