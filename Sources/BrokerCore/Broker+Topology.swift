internal import Containers
internal import Routing
internal import SegmentLog

// Topics, exchanges and bindings: names become ids here. Every change is answered once the catalog has it on disk.
extension Broker {
    /// How many topics there are.
    package var topicCount: Int { topics.count }

    func topic(_ id: TopicID) -> Topic? {
        if let lastTopic, lastTopic.id == id { return lastTopic }
        guard let found = topics[id] else { return nil }
        lastTopic = found
        return found
    }

    func topic(named name: String) throws(BrokerError) -> Topic {
        guard let topic = topicsByName[name] else { throw BrokerError(.unknownTopic, "no topic '\(name)'") }
        return topic
    }

    func partition(_ topicID: TopicID, _ index: Int32) throws(BrokerError) -> Partition {
        guard let topic = topic(topicID) else { throw BrokerError(.unknownTopic, "no topic with id \(topicID.rawValue)") }
        guard index >= 0, Int(index) < topic.partitions.count else { throw BrokerError(.unknownPartition, "'\(topic.name)' has no partition \(index)") }
        return topic.partitions[Int(index)]
    }

    func exchange(named name: String) throws(BrokerError) -> NamedExchange {
        guard let exchange = exchangesByName[name] else { throw BrokerError(.unknownExchange, "no exchange '\(name)'") }
        return exchange
    }

    func validate(_ name: String) throws(BrokerError) {
        do throws(BrokerError) { try Name.validate(name, limit: options.limits.nameBytes) } catch {
            counters.nameBytes &+= name.utf8.count > options.limits.nameBytes ? 1 : 0
            throw error
        }
    }

    // MARK: Topics

    func createTopic(_ name: String, _ wanted: TopicOptions, _ id: RequestID, _ session: Session) throws(BrokerError) {
        try validate(name)
        if let existing = topicsByName[name] {
            throw BrokerError(.alreadyExists, "there is a \(existing.options.isQueue ? "queue" : "topic") '\(name)'")
        }
        let topic = try makeTopic(name, wanted)
        respondWhenDurable(session, id, .topics([describe(topic)]))
    }

    /// Makes a topic and notes it in the catalog. A queue comes with its subscription.
    @discardableResult func makeTopic(_ name: String, _ wanted: TopicOptions) throws(BrokerError) -> Topic {
        try check(wanted)
        guard topics.count < options.limits.topics else {
            counters.topics &+= 1
            throw BrokerError(.limitReached, "there are \(topics.count) topics")
        }
        var wanted = wanted
        if wanted.isQueue {
            wanted.partitions = 1
            wanted.untilAcknowledged = true
        }
        try check(morePartitions: wanted.partitions)
        let topic = install(TopicID(rawValue: nextTopic), name, wanted, isPersistent: true)
        nextTopic += 1
        var records: [CatalogRecord] = [.topic(id: topic.id, name: name, options: wanted)]
        if wanted.isQueue, topic.keepsCursors {
            if let queue = topic.subscriptions[TopicOptions.queueSubscription] {
                records.append(describe(record: queue))
            } else {
                let id = takeSubscriptionID()
                let queue = CatalogRecord.subscription(
                    id: id, topic: topic.id, name: TopicOptions.queueSubscription, mode: .shared, options: SubscriptionOptions(), starts: [.zero])
                foreignSubscriptions[id] = queue
                records.append(queue)
            }
        }
        record(records)
        return topic
    }

    /// Puts a topic into the tables, as created or as read from the catalog.
    @discardableResult func install(_ id: TopicID, _ name: String, _ options: TopicOptions, isPersistent: Bool) -> Topic {
        let topic = Topic(id: id, name: name, options: options, isPersistent: isPersistent, owner: map.owner(of: id))
        addPartitions(topic)
        topics[id] = topic
        topicsByName[name] = topic
        partitionCount += Int(options.partitions)
        if !isRestoring { installQueue(topic) }
        return topic
    }

    /// A queue's own subscription.
    func installQueue(_ topic: Topic) {
        guard topic.options.isQueue, isHere(topic), topic.subscriptions[TopicOptions.queueSubscription] == nil else { return }
        // The authority's record of it comes with the topic's.
        if !isAuthority, topic.keepsCursors { return }
        let queue = install(
            topic, id: takeSubscriptionID(), name: TopicOptions.queueSubscription, mode: .shared, options: SubscriptionOptions(), starts: [.zero],
            isPersistent: topic.keepsCursors)
        topic.subscriptions[queue.name] = queue
    }

    func createReplyTopic(_ id: RequestID, _ session: Session) throws(BrokerError) {
        guard topics.count < options.limits.topics else {
            counters.topics &+= 1
            throw BrokerError(.limitReached, "there are \(topics.count) topics")
        }
        try check(morePartitions: 1)
        var made: TopicID
        repeat {
            made = TopicID(reply: nextReplyTopic, on: shard)
            nextReplyTopic &+= 1
        } while topics[made] != nil
        let topic = install(made, made.replyName, TopicOptions(storage: .memory, retentionBytes: 64 << 20), isPersistent: false)
        session.replyTopics.append(topic.id)
        respond(session.id, id, .topics([describe(topic)]))
    }

    func deleteTopic(_ name: String, _ id: RequestID, _ session: Session) throws(BrokerError) {
        let topic = try topic(named: name)
        guard topic.isPersistent else { throw BrokerError(.notPermitted, "'\(name)' goes with its session") }
        record([.topicDeleted(topic.id)])
        remove(topic)
        forgetOffsets(ofTopic: name)
        respondWhenDurable(session, id, .done)
    }

    /// Takes a topic out of every table and ends whoever uses it. Its files go once the catalog has noted that.
    func remove(_ topic: Topic) {
        let reason = BrokerError(.unknownTopic, "the topic was deleted")
        topic.isDeleted = true
        topics[topic.id] = nil
        partitionCount -= Int(topic.options.partitions)
        topicsByName[topic.name] = nil
        if lastTopic === topic { lastTopic = nil }
        routes.removeBindings(to: .topic(topic.id.rawValue))
        for subscription in topic.sortedSubscriptions + topic.transient { end(subscription, reason) }
        if !isHere(topic), !foreignSubscriptions.isEmpty { foreignSubscriptions = foreignSubscriptions.filter { $0.value.topic != topic.id } }
        for partition in topic.partitions {
            partition.isDeleted = true
            while let waiter = partition.waits.popAny() { complete(waiter, reason) }
            for parked in partition.parked { answer(parked) }
            resume(partition)
        }
        if isRestoring {
            // Whatever is left of its files goes with the orphans.
            for partition in topic.partitions { partitions[partition.number] = nil }
        } else if topic.isPersistent {
            waitForCatalog(.destroy(topic.partitions))
        } else {
            for partition in topic.partitions { destroy(partition) }
        }
    }

    func destroy(_ partition: Partition) {
        guard let log = partition.log else {
            if !partition.isMemory { removeDirectory(partition.directory) }
            return release(partition)
        }
        log.destroy()
        if log.isQuiet { release(partition) }
    }

    func release(_ partition: Partition) {
        partition.log = nil
        partitions[partition.number] = nil
    }

    // MARK: Exchanges

    func createExchange(_ name: String, _ kind: ExchangeKind, _ id: RequestID, _ session: Session) throws(BrokerError) {
        try validate(name)
        if let existing = exchangesByName[name] { throw BrokerError(.alreadyExists, "there is a \(existing.kind) exchange '\(name)'") }
        guard exchanges.count < options.limits.exchanges else {
            counters.exchanges &+= 1
            throw BrokerError(.limitReached, "there are \(exchanges.count) exchanges")
        }
        let exchange = install(ExchangeID(rawValue: nextExchange), name, kind)
        nextExchange += 1
        record([.exchange(id: exchange.id, name: name, kind: kind)])
        respondWhenDurable(session, id, .exchanges([describe(exchange)]))
    }

    @discardableResult func install(_ id: ExchangeID, _ name: String, _ kind: ExchangeKind) -> NamedExchange {
        let exchange = NamedExchange(id: id, name: name, kind: kind)
        exchanges[id] = exchange
        exchangesByName[name] = exchange
        routes.addExchange(id.rawValue, RoutingKind(kind))
        return exchange
    }

    func deleteExchange(_ name: String, _ id: RequestID, _ session: Session) throws(BrokerError) {
        let exchange = try exchange(named: name)
        remove(exchange)
        record([.exchangeDeleted(exchange.id)])
        respondWhenDurable(session, id, .done)
    }

    func remove(_ exchange: NamedExchange) {
        exchanges[exchange.id] = nil
        exchangesByName[exchange.name] = nil
        routes.removeExchange(exchange.id.rawValue)
    }

    func bind(_ binding: Binding, _ id: RequestID, _ session: Session) throws(BrokerError) {
        let route = try resolve(binding)
        guard binding.pattern.utf8.count <= options.limits.routingKeyBytes else {
            counters.routingKeyBytes &+= 1
            throw BrokerError(.limitReached, "a pattern has at most \(options.limits.routingKeyBytes) bytes")
        }
        // Binding twice is binding once.
        if routes.contains(route) { return respondWhenKnown(session, id, .done) }
        guard routes.bindingCount < options.limits.bindings else {
            counters.bindings &+= 1
            throw BrokerError(.limitReached, "there are \(routes.bindingCount) bindings")
        }
        try checkPlaces(for: 0)
        let before = routes.bytes
        do throws(RouteTable.Refusal) { try routes.bind(route) } catch {
            switch error {
            case .cycle: throw BrokerError(.conflict, "the binding would lead back to '\(binding.exchange)'")
            case .tooDeep:
                counters.routeDepth &+= 1
                throw BrokerError(.limitReached, "a message passes at most \(options.limits.routeDepth) exchanges")
            case .unknownExchange, .exists, .absent: throw BrokerError(.unknownExchange, "no exchange '\(binding.exchange)'")
            }
        }
        room.memory.note(routes.bytes - before)
        let (toExchange, target) = parts(route.destination)
        record([.bound(exchange: ExchangeID(rawValue: route.exchange), toExchange: toExchange, target: target, pattern: route.pattern)])
        respondWhenDurable(session, id, .done)
    }

    func unbind(_ binding: Binding, _ id: RequestID, _ session: Session) throws(BrokerError) {
        let route = try resolve(binding)
        do throws(RouteTable.Refusal) { try routes.unbind(route) } catch { throw BrokerError(.unroutable, "there is no such binding") }
        let (toExchange, target) = parts(route.destination)
        record([.unbound(exchange: ExchangeID(rawValue: route.exchange), toExchange: toExchange, target: target, pattern: route.pattern)])
        respondWhenDurable(session, id, .done)
    }

    private func resolve(_ binding: Binding) throws(BrokerError) -> RouteBinding {
        let exchange = try exchange(named: binding.exchange)
        let destination: RouteDestination
        switch binding.destination {
        case .topic(let name):
            let topic = try topic(named: name)
            guard topic.isPersistent else { throw BrokerError(.notPermitted, "'\(name)' goes with its session") }
            destination = .topic(topic.id.rawValue)
        case .exchange(let name): destination = .exchange(try self.exchange(named: name).id.rawValue)
        }
        return RouteBinding(exchange: exchange.id.rawValue, destination: destination, pattern: exchange.kind == .fanout ? "" : binding.pattern)
    }

    func parts(_ destination: RouteDestination) -> (toExchange: Bool, target: UInt32) {
        switch destination {
        case .topic(let id): (false, id)
        case .exchange(let id): (true, id)
        }
    }

    // MARK: Descriptions

    /// Who asks by name sees the logs as they are: those not used yet are opened for it.
    func describeTopic(_ name: String, _ id: RequestID, _ session: Session) throws(BrokerError) {
        let topic = try ownTopic(named: name)
        for partition in topic.partitions {
            // A failure is part of the description.
            do throws(BrokerError) { _ = try openLog(partition) } catch { continue }
        }
        respondWhenKnown(session, id, .topics([describe(topic)]))
    }

    func describe(_ topic: Topic) -> TopicDescription {
        var described: [PartitionDescription] = []
        // What another shard has is described there; here it is as when it was made.
        if !isHere(topic) {
            described = (0..<topic.options.partitions).map {
                PartitionDescription(index: $0, start: .zero, flushed: .zero, end: .zero, bytes: 0, segments: 0, fault: nil)
            }
        }
        for partition in topic.partitions {
            var text = partition.failure?.text
            // A list of ten thousand topics opens no log.
            if let log = partition.log {
                if let fault = log.fault { text = fault.description }
                described.append(
                    PartitionDescription(
                        index: partition.id.index, start: log.watermarks.start, flushed: log.watermarks.flushed, end: log.watermarks.end, bytes: log.bytes,
                        segments: Int32(log.segmentCount), fault: text, epoch: log.incarnation, visibleEnd: log.visibleEnd))
            } else {
                described.append(
                    PartitionDescription(index: partition.id.index, start: .zero, flushed: .zero, end: .zero, bytes: 0, segments: 0, fault: text))
            }
        }
        return TopicDescription(id: topic.id, name: topic.name, options: topic.options, partitions: described, owner: Int32(topic.owner))
    }

    func describe(_ exchange: NamedExchange) -> ExchangeDescription {
        var bindings: [Binding] = []
        for binding in routes.bindings(of: exchange.id.rawValue) {
            switch binding.destination {
            case .topic(let id):
                guard let topic = topics[TopicID(rawValue: id)] else { continue }
                bindings.append(Binding(exchange: exchange.name, destination: .topic(topic.name), pattern: binding.pattern))
            case .exchange(let id):
                guard let target = exchanges[ExchangeID(rawValue: id)] else { continue }
                bindings.append(Binding(exchange: exchange.name, destination: .exchange(target.name), pattern: binding.pattern))
            }
        }
        return ExchangeDescription(id: exchange.id, name: exchange.name, kind: exchange.kind, bindings: bindings)
    }
}

extension RoutingKind {
    init(_ kind: ExchangeKind) {
        switch kind {
        case .direct: self = .direct
        case .topic: self = .topic
        case .fanout: self = .fanout
        }
    }
}
