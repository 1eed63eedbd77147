internal import Mutants
internal import SegmentLog

// Groups of consumers: each verb finds its group, lets it act, and carries out what comes of it. The state is in one place, at the catalog's
// authority, whatever shard has the topics: of those only `hasPartition` is asked.
extension Broker {
    func perform(_ request: GroupRequest, _ id: RequestID, _ session: Session) throws(BrokerError) {
        let caller = ConsumerGroup.Caller(session: session.id, request: id)
        switch request {
        case .join(let asked): try join(asked, caller, session)
        case .sync(let asked): try sync(asked, caller, session)
        case .heartbeat(let asked):
            let group = try group(of: asked)
            defer { groups.note(group) }
            try group.heartbeat(asked, now: now)
            respond(session.id, id, .done)
        case .leave(let name, let leaving):
            try Name.validateGroup(name)
            guard let group = groups[name] else {
                let absent = leaving.map { LeftMember(memberID: $0.memberID, instanceID: $0.instanceID, error: .unknownMember) }
                return respond(session.id, id, .group(.left(absent)))
            }
            let left = group.leave(leaving, now: now)
            follow(group)
            respond(session.id, id, .group(.left(left)))
        case .commitOffsets(let asked): try commit(asked, caller)
        case .fetchOffsets(let queries): try fetchOffsets(queries, caller)
        case .describe(let names): respond(session.id, id, .group(.groups(names.map(describeGroup))))
        case .list(let states, let kinds):
            let listed = groups.sorted.map(\.listed).filter { states?.contains($0.state) ?? true && kinds?.contains($0.kind) ?? true }
            respond(session.id, id, .group(.listed(listed)))
        case .delete(let names): try deleteGroups(names, caller)
        case .deleteOffsets(let name, let topics): try deleteOffsets(name, topics, caller)
        }
    }

    private func group(of asked: GroupMember) throws(BrokerError) -> ConsumerGroup {
        try Name.validateGroup(asked.group)
        guard let group = groups[asked.group] else { throw BrokerError(.unknownMember, "no group '\(asked.group)'") }
        return group
    }

    private func madeGroup(_ name: String) throws(BrokerError) -> ConsumerGroup {
        if let group = groups[name] { return group }
        guard groups.count < options.limits.groups else {
            counters.groups &+= 1
            throw BrokerError(.limitReached, "there are \(groups.count) groups")
        }
        let group = ConsumerGroup(name: name, options: options.groups, now: now)
        groups.insert(group)
        return group
    }

    private func checkGroupMemory(_ more: Int) throws(BrokerError) {
        guard more > options.limits.groupBytes - groups.bytes else { return }
        counters.groupBytes &+= 1
        throw BrokerError(.limitReached, "all groups together take \(groups.bytes) bytes")
    }

    private func check(memberBytes bytes: Int) throws(BrokerError) {
        guard bytes > options.limits.memberBytes else { return }
        counters.memberBytes &+= 1
        throw BrokerError(.limitReached, "\(bytes) bytes for one member, where \(options.limits.memberBytes) are allowed")
    }

    /// Carries out what the group has decided: writes its record, answers, and comes back when it wants to be looked at.
    func follow(_ group: ConsumerGroup) {
        if group.generation != group.countedGeneration {
            group.countedGeneration = group.generation
            counters.rebalances &+= 1
        }
        if group.isChanged { store(group) }
        for answer in group.takeAnswers() {
            if answer.isDurable {
                respondWhenGroupsDurable(answer.caller, answer.response)
            } else {
                respond(answer.caller.session, answer.caller.request, answer.response)
            }
        }
        groups.note(group)
    }

    // MARK: Membership

    /// Each of a member's is looked for among those of all others; clients have one to three.
    private static let protocolsPerMember = 100

    private func join(_ asked: JoinGroup, _ caller: ConsumerGroup.Caller, _ session: Session) throws(BrokerError) {
        try Name.validateGroup(asked.group)
        if let instance = asked.instanceID { try Name.validateGroup(instance) }
        let bounds = options.groups.sessionTimeoutMilliseconds
        guard bounds.contains(Int64(asked.sessionTimeoutMilliseconds)) else {
            throw BrokerError(
                .invalidSessionTimeout, "session timeouts have \(bounds.lowerBound) to \(bounds.upperBound) ms, not \(asked.sessionTimeoutMilliseconds)")
        }
        guard !asked.protocols.isEmpty, !asked.protocolType.isEmpty else { throw BrokerError(.inconsistentProtocol, "a member speaks at least one protocol") }
        guard asked.protocols.count <= Broker.protocolsPerMember else {
            throw BrokerError(.inconsistentProtocol, "a member speaks at most \(Broker.protocolsPerMember) protocols, not \(asked.protocols.count)")
        }
        try checkGroupLog()
        let size = ConsumerGroup.size(asked.protocols) + asked.protocolType.utf8.count
        try check(memberBytes: size)
        try checkGroupMemory(size + 4_096)
        if groups[asked.group] == nil, !asked.memberID.isEmpty { throw BrokerError(.unknownMember, "no group '\(asked.group)'") }
        let group = try madeGroup(asked.group)
        var asked = asked
        asked.clientID = GroupTable.short(asked.clientID)
        asked.clientHost = GroupTable.short(asked.clientHost)
        try group.join(
            asked, from: caller, now: now, limit: options.limits.membersPerGroup, isFull: { counters.membersPerGroup &+= 1 },
            makeID: { groups.makeID($0) })
        session.noteGroup(group.name, groups)
        follow(group)
    }

    private func sync(_ asked: SyncGroup, _ caller: ConsumerGroup.Caller, _ session: Session) throws(BrokerError) {
        let group = try group(of: asked.member)
        try checkGroupLog()
        for assigned in asked.assignments { try check(memberBytes: assigned.assignment.count) }
        try checkGroupMemory(asked.assignments.reduce(0) { $0 + $1.assignment.count })
        try group.sync(asked, from: caller, now: now)
        session.noteGroup(group.name, groups)
        follow(group)
    }

    /// Groups whose time has come.
    func runGroupTimers() {
        while let group = groups.popDue(now.instant) {
            guard groups[group.name] === group else { continue }
            counters.membersExpired &+= UInt64(group.expire(now))
            follow(group)
        }
    }

    /// Nobody is left to be answered; the members stay until their session timeout.
    func leaveGroups(_ session: Session) {
        guard !isShuttingDown else { return }
        for name in session.groups.sorted() {
            guard let group = groups[name] else { continue }
            group.sessionClosed(session.id, now)
            follow(group)
        }
    }

    // MARK: Offsets

    /// Whether there is such a partition, here or on another shard.
    private func hasPartition(_ topic: String, _ partition: Int32) -> Bool {
        guard let topic = topicsByName[topic] else { return false }
        return (0..<topic.options.partitions).contains(partition)
    }

    private func commit(_ asked: CommitOffsets, _ caller: ConsumerGroup.Caller) throws(BrokerError) {
        let name = asked.member.group
        try Name.validateGroup(name)
        try checkGroupLog()
        if let group = groups[name] {
            defer { groups.note(group) }
            try group.checkCommit(asked.member, now: now)
        } else if asked.member.generation >= 0 {
            throw BrokerError(.illegalGeneration, "no group '\(name)'")
        }
        try checkGroupMemory(ConsumerGroup.size(asked.topics) + 512)
        let group = try madeGroup(name)
        var stored: [GroupRecord.StoredOffset] = []
        var room = options.limits.offsetsPerGroup - group.offsetCount
        let outcomes = asked.topics.map { topic in
            TopicOutcome(
                name: topic.name,
                partitions: topic.partitions.map { one in
                    let error = refusal(topic.name, one, group, &room)
                    if error == nil {
                        let committed = CommittedOffset(
                            offset: one.offset, leaderEpoch: one.leaderEpoch, metadata: one.metadata, time: now.time, topic: topicsByName[topic.name]?.id)
                        stored.append(GroupRecord.StoredOffset(topic: topic.name, partition: one.partition, committed: committed))
                    }
                    return PartitionOutcome(partition: one.partition, error: error)
                })
        }
        guard !stored.isEmpty else {
            if group.isIdle, !group.isStored { forget(group) }
            return respond(caller.session, caller.request, .group(.committed(outcomes)))
        }
        record(.offsets(group: name, stored))
        group.isStored = true
        for one in stored { group.commit(one.topic, one.partition, one.committed) }
        counters.offsetsCommitted &+= UInt64(stored.count)
        groups.note(group)
        if Mutant.isActive("answersCommitsBeforeDurable") { return respond(caller.session, caller.request, .group(.committed(outcomes))) }
        respondWhenGroupsDurable(caller, .group(.committed(outcomes)))
    }

    private func refusal(_ topic: String, _ asked: PartitionOffset, _ group: ConsumerGroup, _ room: inout Int) -> BrokerError.Code? {
        guard hasPartition(topic, asked.partition) else { return topicsByName[topic] == nil ? .unknownTopic : .unknownPartition }
        guard asked.offset >= 0 else { return .offsetOutOfRange }
        if asked.metadata.utf8.count > options.limits.offsetMetadataBytes {
            counters.offsetMetadataBytes &+= 1
            return .offsetMetadataTooLarge
        }
        guard group.offset(topic, asked.partition) == nil else { return nil }
        guard room > 0 else {
            counters.offsetsPerGroup &+= 1
            return .limitReached
        }
        room -= 1
        return nil
    }

    private func fetchOffsets(_ queries: [OffsetQuery], _ caller: ConsumerGroup.Caller) throws(BrokerError) {
        try checkGroupLog()
        let found = queries.map { query in
            do throws(BrokerError) { try Name.validateGroup(query.group) } catch {
                return GroupOffsets(group: query.group, topics: [], error: error.code)
            }
            let group = groups[query.group] ?? ConsumerGroup(name: query.group, options: options.groups, now: now)
            return GroupOffsets(group: query.group, topics: group.fetch(query.topics), error: nil)
        }
        // Nobody learns of an offset that a crash could still take back.
        respondWhenGroupsDurable(caller, .group(.offsets(found)))
    }

    // MARK: Operating

    private func describeGroup(_ name: String) -> GroupDescription {
        groups[name]?.description
            ?? GroupDescription(
                name: name, kind: .classic, state: .dead, protocolType: "", protocolName: "", generation: 0, leader: nil, members: [], error: .groupNotFound)
    }

    private func deleteGroups(_ names: [String], _ caller: ConsumerGroup.Caller) throws(BrokerError) {
        try checkGroupLog()
        let deleted = names.map { name in
            guard let group = groups[name] else { return DeletedGroup(name: name, error: .groupNotFound) }
            guard group.state == .empty else { return DeletedGroup(name: name, error: .groupNotEmpty) }
            forget(group)
            return DeletedGroup(name: name, error: nil)
        }
        respondWhenGroupsDurable(caller, .group(.deleted(deleted)))
    }

    private func forget(_ group: ConsumerGroup) {
        if group.isStored { record(.groupDeleted(group.name)) }
        groups.remove(group)
    }

    private func deleteOffsets(_ name: String, _ topics: [TopicPartitions], _ caller: ConsumerGroup.Caller) throws(BrokerError) {
        try checkGroupLog()
        guard let group = groups[name] else { throw BrokerError(.groupNotFound, "no group '\(name)'") }
        guard group.state == .empty || group.protocolType == "consumer" else {
            throw BrokerError(.groupNotEmpty, "the group has members, and nobody can tell what they read")
        }
        var deleted: [TopicPartitions] = []
        let outcomes = topics.map { topic in
            var gone = TopicPartitions(name: topic.name, partitions: [])
            let outcome = TopicOutcome(
                name: topic.name,
                partitions: topic.partitions.map { partition in
                    var error: BrokerError.Code?
                    if group.offset(topic.name, partition) == nil, !hasPartition(topic.name, partition) {
                        error = topicsByName[topic.name] == nil ? .unknownTopic : .unknownPartition
                    } else if group.isSubscribed(to: topic.name) {
                        error = .groupSubscribedToTopic
                    } else if group.forget(topic.name, partition) {
                        gone.partitions.append(partition)
                    }
                    return PartitionOutcome(partition: partition, error: error)
                })
            if !gone.partitions.isEmpty { deleted.append(gone) }
            return outcome
        }
        if !deleted.isEmpty { record(.offsetsDeleted(group: name, deleted)) }
        groups.note(group)
        respondWhenGroupsDurable(caller, .group(.committed(outcomes)))
    }

    /// The topic is gone, and with it what was committed for it. Should a crash lose the record of that, the topic's id tells it.
    func forgetOffsets(ofTopic name: String) {
        var count = 0
        for group in groups.sorted {
            let gone = group.forget(name)
            if gone > 0 { groups.note(group) }
            count += gone
        }
        if count > 0 { record(.topicDeleted(name)) }
    }

    /// Forgets offsets that nobody has come back for, and groups that keep nothing.
    func applyGroupRetention() {
        guard let log = groupLog.log, log.fault == nil else { return }
        for group in groups.sorted {
            let expired = group.takeExpired(now)
            if !expired.isEmpty {
                counters.offsetsExpired &+= UInt64(expired.reduce(0) { $0 + $1.partitions.count })
                record(.offsetsDeleted(group: group.name, expired))
                groups.note(group)
            }
            if group.isIdle, group.emptySince.rawValue <= now.time.rawValue - options.groups.idleMilliseconds { forget(group) }
        }
    }
}

extension Session {
    /// Remembers where requests of this session may be parked.
    func noteGroup(_ name: String, _ table: GroupTable) {
        groups.insert(name)
        if groups.count > 64 { groups = groups.filter { table[$0]?.hasParked(id) ?? false } }
    }
}
