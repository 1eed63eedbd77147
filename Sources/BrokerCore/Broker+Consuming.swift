internal import Containers
internal import Mutants
internal import SegmentLog

// Subscriptions: consumers come and go, settle, extend, seek.
extension Broker {
    func subscribe(_ subscribe: Subscribe, _ id: RequestID, _ session: Session) throws(BrokerError) {
        if waits(.subscribe(subscribe), id, session, for: subscribe.consumer) { return }
        let topic = try ownTopic(named: subscribe.topic)
        guard session.consumers[subscribe.consumer] == nil else { throw BrokerError(.alreadyExists, "consumer \(subscribe.consumer.rawValue) is attached") }
        guard session.consumers.count < options.limits.consumersPerSession else {
            counters.consumersPerSession &+= 1
            throw BrokerError(.limitReached, "a session has at most \(options.limits.consumersPerSession) consumers")
        }
        var isNew = false
        let subscription: Subscription
        if subscribe.name.isEmpty {
            guard subscribe.mode != .shared else { throw BrokerError(.invalidRequest, "a shared subscription needs a name") }
            subscription = try makeSubscription(topic, subscribe, isPersistent: false)
            topic.transient.append(subscription)
        } else if let existing = topic.subscriptions[subscribe.name] {
            guard existing.mode == subscribe.mode else { throw BrokerError(.conflict, "'\(subscribe.name)' is \(existing.mode), not \(subscribe.mode)") }
            subscription = existing
        } else {
            try validate(subscribe.name)
            subscription = try makeSubscription(topic, subscribe, isPersistent: topic.keepsCursors)
            topic.subscriptions[subscribe.name] = subscription
            isNew = subscription.isPersistent
            if isNew { record([describe(record: subscription)]) }
        }
        // A log that was not opened yet has no cursors either.
        try openLanes(of: subscription)
        if subscribe.form == .records { topic.handsOutRecords = true }
        let consumer = Consumer(
            subscribe, number: nextConsumerNumber(), session: session, subscription: subscription, unsettledLimit: Int64(options.limits.unsettledPerConsumer))
        consumers[consumer.number] = consumer
        session.consumers[consumer.id] = consumer
        subscription.consumers.append(consumer)
        let active = subscription.isShared || subscription.consumers.first === consumer
        let response = Response.subscribed(subscription.id, active: active)
        if isNew {
            waitForCatalog(.attach(consumer, Waiter.Reply(response), id))
        } else {
            respond(session.id, id, response)
            attach(consumer)
        }
    }

    /// The consumer knows that it is subscribed: it may be served.
    func attach(_ consumer: Consumer) {
        consumer.isAttached = true
        for lane in consumer.subscription.lanes { makeReady(lane) }
        becameEligible(consumer)
    }

    private func nextConsumerNumber() -> UInt32 {
        repeat {
            nextConsumer &+= 1
        } while nextConsumer == Cursor.broker || consumers[nextConsumer] != nil
        return nextConsumer
    }

    private func makeSubscription(_ topic: Topic, _ subscribe: Subscribe, isPersistent: Bool) throws(BrokerError) -> Subscription {
        guard subscriptions.count < options.limits.subscriptions else {
            counters.subscriptions &+= 1
            throw BrokerError(.limitReached, "there are \(subscriptions.count) subscriptions")
        }
        try checkPlaces(for: topic.partitions.count * Lane.bytes)
        var starts: [Offset] = []
        for partition in topic.partitions { starts.append(try resolve(subscribe.start, in: partition)) }
        return install(
            topic, id: takeSubscriptionID(), name: subscribe.name, mode: subscribe.mode, options: subscribe.options, starts: starts,
            isPersistent: isPersistent)
    }

    func takeSubscriptionID() -> SubscriptionID {
        // Each shard has ids of its own.
        while Int(nextSubscription) % map.shards != shard { nextSubscription += 1 }
        defer { nextSubscription += 1 }
        return SubscriptionID(rawValue: nextSubscription)
    }

    /// Makes the subscription with its lanes, at these offsets.
    func install(
        _ topic: Topic, id: SubscriptionID, name: String, mode: SubscriptionMode, options: SubscriptionOptions, starts: [Offset], isPersistent: Bool
    ) -> Subscription {
        let subscription = Subscription(id: id, name: name, mode: mode, options: options, topic: topic, isPersistent: isPersistent)
        if mode == .shared { topic.handsOutRecords = true }
        for (index, partition) in topic.partitions.enumerated() {
            let lane = Lane(subscription: subscription, partition: partition, cursor: Cursor(at: index < starts.count ? starts[index] : .zero))
            subscription.lanes.append(lane)
            partition.lanes.append(lane)
        }
        laneCount += subscription.lanes.count
        subscriptions[id] = subscription
        return subscription
    }

    private func openLanes(of subscription: Subscription) throws(BrokerError) {
        // One damaged partition does not keep the others from being consumed.
        var failure: BrokerError?
        var opened = 0
        for lane in subscription.lanes {
            do throws(BrokerError) {
                _ = try openLog(lane.partition)
                opened += 1
            } catch { failure = error }
        }
        if opened == 0, let failure { throw failure }
    }

    /// A request for a consumer whose subscribing waits for the disk is carried out after that, as if it had come then.
    private func waits(_ request: Request, _ id: RequestID, _ session: Session, for consumer: ConsumerID) -> Bool {
        guard let waiting = session.subscribing[consumer] else { return false }
        waiting.partition.resumed.append(.request(request, id, session.id))
        return true
    }

    func unsubscribe(_ id: ConsumerID, _ request: RequestID, _ session: Session) throws(BrokerError) {
        if waits(.unsubscribe(id), request, session, for: id) { return }
        guard let consumer = session.consumers.removeValue(forKey: id) else { throw BrokerError(.unknownConsumer, "no consumer \(id.rawValue)") }
        detach(consumer)
        respond(session.id, request, .done)
    }

    /// The consumer goes; what it had not settled comes again, flagged and counted.
    func detach(_ consumer: Consumer) {
        let subscription = consumer.subscription
        let wasActive = !subscription.isShared && subscription.consumers.first === consumer
        forget(consumer)
        for lane in subscription.lanes {
            if Mutant.isActive("losesWhatGoneConsumersHad") { lane.cursor.settle(.zero, lane.cursor.next, by: consumer.number) }
            let returned = lane.cursor.release(consumer: consumer.number, counted: true, limit: deliveryLimit(subscription))
            cameBack(lane, returned, .consumerGone)
            makeReady(lane)
        }
        if !subscription.isDurable, subscription.consumers.isEmpty {
            remove(subscription)
        } else if wasActive, let next = subscription.consumers.first {
            effects.append(.notify(next.session.id, next.id, .activated))
            becameEligible(next)
        }
    }

    /// Takes the consumer out of every table.
    func forget(_ consumer: Consumer) {
        consumer.hasLeft = true
        consumers[consumer.number] = nil
        consumer.session.consumers[consumer.id] = nil
        consumer.subscription.remove(consumer)
    }

    /// Ends a subscription with all that it has in memory.
    func remove(_ subscription: Subscription) {
        subscription.hasLeft = true
        laneCount -= subscription.lanes.count
        subscriptions[subscription.id] = nil
        restoredCursors[subscription.id] = nil
        for lane in subscription.lanes {
            lane.hasLeft = true
            lane.batch = nil
            lane.partition.lanes.oneHasLeft()
        }
        subscription.blocked = []
        subscription.turns = RingQueue()
        if subscription.isDurable {
            subscription.topic.subscriptions[subscription.name] = nil
        } else {
            subscription.topic.transient.oneHasLeft()
        }
    }

    // MARK: Credit

    func addCredit(_ id: ConsumerID, _ credit: Credit, _ session: Session) {
        guard let consumer = session.consumers[id] else {
            session.subscribing[id]?.credit += credit
            return
        }
        consumer.credit += credit
        becameEligible(consumer)
    }

    /// The consumer may be sent something (more): it takes its turn, and what was blocked for want of it is looked at again.
    func becameEligible(_ consumer: Consumer) {
        guard consumer.isEligible else { return }
        let subscription = consumer.subscription
        subscription.offerTurn(consumer)
        guard !subscription.blocked.isEmpty, !Mutant.isActive("leavesBlockedLanes") else { return }
        var blocked: [Lane] = []
        swap(&blocked, &subscription.blocked)
        for lane in blocked {
            lane.isBlocked = false
            makeReady(lane)
        }
    }

    // MARK: Settling

    func settle(_ settle: Settle, _ id: RequestID, _ session: Session) throws(BrokerError) {
        let (consumer, lane) = try lane(of: settle.consumer, settle.partition, session)
        guard settle.first <= settle.last else { throw BrokerError(.invalidRequest, "a range ends before it begins") }
        // Streams settle cumulatively: everything that the consumer was given up to there. Not where messages are shared: a redelivery
        // that is still on its way would be settled by the accept of a later one.
        let isCumulative = consumer.form == .batches && !lane.subscription.isShared && settle.outcome == .accept
        let first = isCumulative ? min(settle.first, lane.cursor.floor) : settle.first
        var moved: [Move] = []
        switch settle.outcome {
        case .accept:
            let count = lane.cursor.settle(first, settle.last, by: consumer.number)
            guard count > 0 else { throw notInFlight(settle) }
            counters.settled &+= UInt64(Mutant.isActive("countsSettledTwice") ? 2 * count : count)
            consumer.unsettled -= count
        case .requeue, .release:
            let returned = lane.cursor.requeue(
                first, settle.last, by: consumer.number, counted: settle.outcome == .requeue, limit: deliveryLimit(lane.subscription))
            guard returned.count > 0 else { throw notInFlight(settle) }
            consumer.unsettled -= returned.count
            moved = cameBack(lane, returned, .deliveryLimit)
            makeReady(lane)
        case .reject:
            let returned = lane.cursor.reject(first, settle.last, by: consumer.number)
            guard returned.count > 0 else { throw notInFlight(settle) }
            consumer.unsettled -= returned.count
            moved = cameBack(lane, returned, .rejected)
        }
        changed(lane)
        if lane.isStalled {
            lane.isStalled = false
            makeReady(lane)
        }
        becameEligible(consumer)
        guard settle.confirm else { return }
        if lane.subscription.isPersistent, !Mutant.isActive("confirmsBeforeDurable") {
            let confirmation = Confirmation(lane: lane, session: session.id, request: id)
            // What is given up is settled once it is durable where it goes: before that a crash would bring it back.
            if moved.isEmpty { return confirmations.append(confirmation) }
            let waiting = MoveConfirmation(confirmation, moved)
            for move in moved { move.confirmation = waiting }
        } else {
            respond(session.id, id, .done)
        }
    }

    private func notInFlight(_ settle: Settle) -> BrokerError {
        BrokerError(.notInFlight, "offsets \(settle.first) to \(settle.last) of partition \(settle.partition) are not in flight with this consumer")
    }

    func extendLease(
        _ id: ConsumerID, _ partition: Int32, _ first: Offset, _ last: Offset, _ milliseconds: UInt32, _ request: RequestID, _ session: Session
    ) throws(BrokerError) {
        let (consumer, lane) = try lane(of: id, partition, session)
        let deadline = milliseconds == 0 ? Instant.distantFuture : leaseEnd(milliseconds)
        guard first <= last, lane.cursor.extend(first, last, by: consumer.number, until: deadline) > 0 else {
            throw BrokerError(.notInFlight, "offsets \(first) to \(last) of partition \(partition) are not in flight with this consumer")
        }
        schedule(lane)
        respond(session.id, request, .done)
    }

    private func lane(of id: ConsumerID, _ partition: Int32, _ session: Session) throws(BrokerError) -> (Consumer, Lane) {
        guard let consumer = session.consumers[id] else { throw BrokerError(.unknownConsumer, "no consumer \(id.rawValue)") }
        guard partition >= 0, Int(partition) < consumer.subscription.lanes.count else {
            throw BrokerError(.unknownPartition, "the subscription has no partition \(partition)")
        }
        return (consumer, consumer.subscription.lanes[Int(partition)])
    }

    func expireLeases(_ lane: Lane) {
        // The mutant's clock is the wall's where that one is ahead; simulations begin at this wall time.
        let wall = Instant(nanoseconds: UInt64(max(0, now.time.rawValue &- 1_700_000_000_000)) &* 1_000_000)
        let clock = Mutant.isActive("endsLeasesByWallClock") ? max(now.instant, wall) : now.instant
        let returned = lane.cursor.expire(clock, limit: deliveryLimit(lane.subscription)) { number, count in
            counters.leasesExpired &+= UInt64(count)
            guard let consumer = consumers[number] else { return }
            consumer.unsettled -= count
            becameEligible(consumer)
        }
        if returned.count > 0 {
            cameBack(lane, returned, .leaseExpired)
            changed(lane)
            makeReady(lane)
        }
        schedule(lane)
    }

    /// Deliveries came back: some to be delivered again, some to be moved away.
    @discardableResult
    private func cameBack(_ lane: Lane, _ returned: Cursor.Returned, _ reason: DeathReason) -> [Move] {
        guard returned.count > 0 else { return [] }
        counters.requeued &+= UInt64(returned.requeued)
        changed(lane)
        let moved = returned.exhausted.map { Move(lane: lane, first: Offset($0.lowerBound), last: Offset($0.upperBound), kind: .deadLetter(reason)) }
        for move in moved { moves.append(move) }
        return moved
    }

    /// The lane's cursor is to be written.
    func changed(_ lane: Lane) {
        lane.partition.isFloorMoved = true
        guard lane.isPersistent, !lane.isDirty else { return }
        lane.isDirty = true
        if !isCursorTimerSet {
            isCursorTimerSet = true
            later(.cursors, milliseconds: options.cursorWriteMilliseconds)
        }
        dirtyLanes.append(lane)
    }

    // MARK: What applies

    /// 0: no limit.
    func deliveryLimit(_ subscription: Subscription) -> Int32 {
        if let limit = subscription.options.deliveryLimit ?? subscription.topic.options.subscription.deliveryLimit { return Int32(limit) }
        return deadLetterTopic(subscription) == nil ? 0 : Int32(options.deliveryLimit)
    }

    func deadLetterTopic(_ subscription: Subscription) -> String? {
        subscription.options.deadLetterTopic ?? subscription.topic.options.subscription.deadLetterTopic
    }

    func leaseMilliseconds(_ subscription: Subscription) -> UInt32 {
        subscription.options.leaseMilliseconds ?? subscription.topic.options.subscription.leaseMilliseconds
            ?? (subscription.topic.options.isQueue ? options.queueLeaseMilliseconds : 0)
    }

    /// Leases end on a grid of a sixty-fourth of their length (1 ms at least), never early, so that many deliveries share an end.
    func leaseEnd(_ milliseconds: UInt32) -> Instant {
        let length = UInt64(milliseconds) &* 1_000_000
        let grid = max(1_000_000, length / 64)
        let end = now.instant.advanced(byNanoseconds: length).rawValue
        let (rounded, overflow) = end.addingReportingOverflow(grid - 1)
        return overflow ? .distantFuture : Instant(rawValue: rounded / grid * grid)
    }

    // MARK: Moving subscriptions

    func seek(_ topicName: String, _ name: String, _ position: StartPosition, _ id: RequestID, _ session: Session) throws(BrokerError) {
        let subscription = try subscription(topicName, name)
        var places: [Offset] = []
        for lane in subscription.lanes { places.append(try resolve(position, in: lane.partition)) }
        for (lane, place) in zip(subscription.lanes, places) {
            lane.cursor.seek(to: place)
            lane.settingAside = nil
            lane.batch = nil
            changed(lane)
            makeReady(lane)
        }
        // What was in flight is forgotten: nobody owes a settlement any more.
        for consumer in subscription.consumers {
            consumer.unsettled = 0
            becameEligible(consumer)
        }
        if subscription.isPersistent, let lane = subscription.lanes.first {
            for lane in subscription.lanes.dropFirst() { changed(lane) }
            confirmations.append(Confirmation(lane: lane, session: session.id, request: id))
        } else {
            respond(session.id, id, .done)
        }
    }

    func deleteSubscription(_ topicName: String, _ name: String, _ id: RequestID, _ session: Session) throws(BrokerError) {
        let subscription = try subscription(topicName, name)
        if subscription.topic.options.isQueue, name == TopicOptions.queueSubscription {
            throw BrokerError(.notPermitted, "'\(name)' is the queue itself: delete the queue")
        }
        end(subscription, BrokerError(.unknownSubscription, "the subscription was deleted"))
        if subscription.isPersistent {
            record([.subscriptionDeleted(subscription.id)])
            respondWhenDurable(session, id, .done)
        } else {
            respond(session.id, id, .done)
        }
    }

    /// Detaches every consumer, tells them why, and forgets the subscription.
    func end(_ subscription: Subscription, _ reason: BrokerError) {
        for consumer in subscription.consumers {
            effects.append(.notify(consumer.session.id, consumer.id, .ended(reason)))
            forget(consumer)
        }
        remove(subscription)
    }

    func subscription(_ topicName: String, _ name: String) throws(BrokerError) -> Subscription {
        guard let found = try ownTopic(named: topicName).subscriptions[name] else {
            throw BrokerError(.unknownSubscription, "'\(topicName)' has no subscription '\(name)'")
        }
        return found
    }
}
