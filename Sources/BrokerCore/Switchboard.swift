internal import Bytes
internal import Mutants
package import SegmentLog

/// The way of one shard's sessions to all brokers of the process: to its own by a direct call, to the others by mail; and the way of
/// their answers back. Used where there are several shards; alone, sessions ask their broker directly.
///
/// It knows nothing of threads: who has it carries `takeMail(for:)` there and hands in what comes (`take`), in order for each pair.
/// A request goes to the owner of the topic that it is about, changes of the catalog to its authority, questions about everything to all.
/// Sessions appear at another broker with the first request that they have there.
package final class Switchboard {
    package let broker: Broker
    private var sessions: [SessionID: Routed] = [:]
    private var last: Routed?
    /// Subscribe requests that are under way to other brokers; mostly none.
    private var subscribing = 0
    private var arrived: [Effect] = []

    /// One of this shard's sessions.
    private final class Routed {
        let id: SessionID
        /// The other brokers that know it.
        var places: [Int] = []
        /// Where its consumers are, and the request of those that are not there for certain.
        var consumers: [ConsumerID: (shard: Int, request: RequestID?)] = [:]
        var isWritable = true

        init(id: SessionID) { self.id = id }
    }

    package init(_ broker: Broker) { self.broker = broker }

    // MARK: Sessions

    package func open(_ session: SessionID) {
        sessions[session] = Routed(id: session)
        broker.open(session)
    }

    package func close(_ session: SessionID, now: Now) {
        if let routed = sessions.removeValue(forKey: session) {
            if last === routed { last = nil }
            for consumer in routed.consumers.values where consumer.request != nil { subscribing -= 1 }
            for shard in routed.places where !Mutant.isActive("tellsNobodyOfClosedSessions") { broker.mail[shard].events.append(.closed(session)) }
        }
        broker.close(session, now: now)
    }

    package func setWritable(_ session: SessionID, _ writable: Bool) {
        if let routed = find(session) {
            routed.isWritable = writable
            for shard in routed.places { broker.mail[shard].events.append(.writable(session, writable)) }
        }
        broker.setWritable(session, writable)
    }

    private func find(_ id: SessionID) -> Routed? {
        if let last, last.id == id { return last }
        last = sessions[id]
        return last
    }

    // MARK: Requests

    /// Ranges in the request lie in `input`, which is only read (or copied) during the call.
    package func perform(_ request: Request, _ id: RequestID, from session: SessionID, input: RawSpan, now: Now) {
        guard let routed = find(session) else { return }
        switch route(request, id, routed) {
        case .here: broker.perform(request, id, from: session, input: input, now: now)
        case .at(let shard):
            meet(shard, routed)
            broker.mail[shard].add(request, id, from: session, input: input)
        case .everywhere:
            let gather = Gather(session: session, request: id, shards: broker.map.shards)
            for shard in 0..<broker.map.shards { broker.ask(shard, request, input, now, .gather(gather)) }
        case .fetch(let fetch):
            broker.now = now
            broker.ask(for: FetchJoin(fetch, session, id, map: broker.map))
        case .refused(let error): broker.refuse(request, id, session, error)
        }
    }

    private enum Route {
        case here
        case at(Int)
        case everywhere
        /// Topics of several owners.
        case fetch(Fetch)
        case refused(BrokerError)
    }

    private func meet(_ shard: Int, _ routed: Routed) {
        guard !routed.places.contains(shard) else { return }
        routed.places.append(shard)
        broker.mail[shard].events.append(.opened(routed.id))
        if !routed.isWritable { broker.mail[shard].events.append(.writable(routed.id, false)) }
    }

    private func route(_ request: Request, _ id: RequestID, _ routed: Routed) -> Route {
        switch request {
        case .append(let append):
            // Through an exchange: routes are here, and the broker asks the owners.
            if case .topic(let topic, _) = append.target { return owner(topic) } else { return .here }
        case .fetch(let fetch): return route(fetch)
        case .endOfEpoch(let topic, _, _): return owner(topic)
        case .findOffset(let topic, _, _), .seek(let topic, _, _), .deleteSubscription(let topic, _), .describeTopic(let topic), .listSubscriptions(let topic),
            .purge(let topic, _, _), .redrive(let topic, _), .trace(let topic, _), .alterTopic(let topic, _):
            return owner(topic)
        case .subscribe(let subscribe): return route(subscribe, id, routed)
        case .unsubscribe(let consumer):
            let shard = place(of: consumer, routed)
            if let left = routed.consumers.removeValue(forKey: consumer), left.request != nil { subscribing -= 1 }
            return shard
        case .credit(let consumer, _, _), .extendLease(let consumer, _, _, _, _): return place(of: consumer, routed)
        case .settle(let settle): return place(of: settle.consumer, routed)
        case .createReplyTopic, .listExchanges, .findExchange: return .here
        case .deleteTopic(let name): return TopicID(replyName: name) == nil ? at(0) : owner(name)
        case .createTopic, .createExchange, .deleteExchange, .bind, .unbind, .startProducer: return at(0)
        // A group spans topics of several owners: its state is with the catalog.
        case .group: return at(0)
        case .listTopics, .statistics: return .everywhere
        }
    }

    private func at(_ shard: Int) -> Route { shard == broker.shard ? .here : .at(shard) }
    private func owner(_ topic: TopicID) -> Route { at(broker.map.owner(of: topic)) }

    /// Whoever was answered that a topic exists finds it in every shard's catalog; what is not there is refused here.
    private func owner(_ name: String) -> Route {
        if let topic = broker.topicsByName[name] { return at(topic.owner) }
        return TopicID(replyName: name).map(owner) ?? .here
    }

    private func route(_ fetch: Fetch) -> Route {
        guard let first = fetch.parts.first else { return .here }
        let shard = broker.map.owner(of: first.topic)
        return fetch.parts.allSatisfy { broker.map.owner(of: $0.topic) == shard } ? at(shard) : .fetch(fetch)
    }

    // MARK: Consumers

    private func place(of consumer: ConsumerID, _ routed: Routed) -> Route { routed.consumers[consumer].map { at($0.shard) } ?? .here }

    private func route(_ subscribe: Subscribe, _ id: RequestID, _ routed: Routed) -> Route {
        let limit = broker.options.limits.consumersPerSession
        guard routed.consumers[subscribe.consumer] == nil else {
            return .refused(BrokerError(.alreadyExists, "consumer \(subscribe.consumer.rawValue) is attached"))
        }
        guard routed.consumers.count < limit else {
            broker.counters.consumersPerSession &+= 1
            return .refused(BrokerError(.limitReached, "a session has at most \(limit) consumers"))
        }
        let route = owner(subscribe.topic)
        let shard = if case .at(let shard) = route { shard } else { broker.shard }
        routed.consumers[subscribe.consumer] = (shard, id)
        subscribing += 1
        return route
    }

    /// A subscribe request may have been answered, or a consumer may have been sent away.
    private func note(_ effect: Effect) {
        switch effect {
        case .respond(let session, let id, let response):
            guard subscribing > 0, let routed = sessions[session] else { return }
            guard let (consumer, place) = routed.consumers.first(where: { $0.value.request == id }) else { return }
            subscribing -= 1
            if case .failed = response { routed.consumers[consumer] = nil } else { routed.consumers[consumer] = (place.shard, nil) }
        case .notify(let session, let consumer, .ended):
            guard let left = sessions[session]?.consumers.removeValue(forKey: consumer) else { return }
            if left.request != nil { subscribing -= 1 }
        case .notify, .deliver: break
        }
    }

    // MARK: Mail

    /// Carries out what another shard's broker says; answers whether there was something to do.
    package func take(_ mail: BrokerMail, from shard: Int, now: Now) -> Bool {
        broker.now = now
        let bytes = mail.input.rawSpan
        for event in mail.events {
            switch event {
            case .opened(let session): broker.open(session)
            case .closed(let session): broker.close(session, now: now)
            case .writable(let session, let writable): broker.setWritable(session, writable)
            case .request(let session, let id, let request, let input):
                broker.perform(request, id, from: session, input: bytes.extracting(input), now: now)
            case .catalog(let records, let through): broker.take(records, through: through)
            case .catalogKnown(let through): broker.member(shard, knows: through)
            case .record(let records, let through): broker.record(records, of: shard, through: through)
            case .recorded(let through): broker.recorded(through: through)
            case .diskChanged: broker.lookAtDisk()
            case .closedLogs: broker.memberHasClosed()
            }
        }
        for effect in mail.effects { keep(effect) }
        return !mail.isEmpty
    }

    /// For one of this shard's sessions, or for the broker itself.
    private func keep(_ effect: Effect) {
        if case .respond(let session, let id, let response) = effect, session.isBroker { return broker.answered(id, response) }
        note(effect)
        arrived.append(effect)
    }

    /// Adds the effects for this shard's sessions to `effects`; those for others' wait for the mail.
    /// - Parameter figures: adds what the shard counts to what its broker does.
    package func takeEffects(into effects: inout [Effect], figures: ([Statistic]) -> [Statistic]) {
        // An answer to the broker itself may lead to others.
        while broker.effectCount > 0 {
            for effect in broker.takeEffects() {
                var effect = effect
                if case .respond(let session, let id, .statistics(let own)) = effect, session.isBroker {
                    effect = .respond(session, id, .statistics(figures(own)))
                }
                let shard = effect.session.shard
                if shard == broker.shard { keep(effect) } else { broker.mail[shard].add(effect) }
            }
        }
        if effects.isEmpty { swap(&effects, &arrived) } else { effects += arrived }
        arrived.removeAll(keepingCapacity: true)
    }

    /// Whether there are effects that were not taken.
    package var hasEffects: Bool { !arrived.isEmpty || broker.effectCount > 0 }

    package func hasMail(for shard: Int) -> Bool { !broker.mail[shard].isEmpty }
    package var hasMail: Bool { broker.mail.contains { !$0.isEmpty } }

    /// Lends what waits for another shard; what `post` has taken (answers true) is forgotten here.
    package func post(to shard: Int, _ post: (BrokerMail) -> Bool) -> Bool {
        guard post(broker.mail[shard]) else { return false }
        broker.mail[shard] = BrokerMail(after: broker.mail[shard])
        return true
    }
}
