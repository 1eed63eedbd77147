internal import SegmentLog

/// One group: its members and their generation, and the offsets they have committed. A state machine without IO: requests and the time
/// go in, answers come out, `isChanged` says when its record is to be written.
///
///            first member             all have joined             the leader has said who gets what
///     empty ──────────────► preparing ───────────────► completing ───────────────► stable
///       ▲                    │  ▲  ▲                       │ who comes, goes or changes │
///       └── nobody joined ───┘  │  └───────────────────────┴────────────────────────────┘
///
/// As Kafka's classic groups, in their words. Invariants:
/// - a member has at most one join and one sync parked, and each parked request is answered once, or its session is gone;
/// - whatever is parked, some deadline ends it, and `wake` is not later than the earliest deadline;
/// - the generation only grows; a stable one has a leader, and an assignment for each of its members;
/// - all members have some protocol in common.
final class ConsumerGroup {
    let name: String
    let options: GroupOptions

    var state = GroupState.empty
    var generation: Int32 = 0
    /// The last one that was counted.
    var countedGeneration: Int32 = 0
    /// Of the members that are there, or were last.
    var protocolType: String?
    /// What this generation speaks; nil while there is none.
    var protocolName: String?
    var leader: String?
    var members: [String: Member] = [:]
    /// Static members: instance id to member id.
    var instances: [String: String] = [:]
    /// Ids that were given out and have not joined yet, and until when the group waits for them.
    var pending: [String: Instant] = [:]
    /// Members of this generation that have not asked for their assignment.
    var unsynced: Set<String> = []
    /// How many members have a join parked.
    var joining = 0
    var rebalance: Rebalance?
    /// Until when all members must have asked for their assignment.
    var syncDeadline = Instant.distantFuture
    var nextOrder: UInt64 = 0
    /// Since when there are no members.
    var emptySince: Timestamp

    /// By topic and partition.
    var offsets: [String: [Int32: CommittedOffset]] = [:]
    var offsetCount = 0
    /// When old offsets are looked for again.
    var nextExpiry = Instant(rawValue: 0)

    /// About what all this takes in memory.
    var bytes: Int
    /// When `expire` is to be called, and when it will be.
    var wake = Instant.distantFuture
    var scheduled = Instant.distantFuture
    /// Differs from what its record says.
    var isChanged = false
    /// The log has records of it; this one says what a start would make of its members.
    var isStored = false
    var lastStored: GroupRecord.StoredGroup?
    /// What is to be answered, in order.
    var answers: [Answer] = []

    /// Whom a request is to be answered.
    struct Caller: Equatable {
        var session: SessionID
        var request: RequestID
    }

    struct Answer {
        var caller: Caller
        var response: Response
        /// Only once everything that was changed up to here is on disk.
        var isDurable: Bool
    }

    /// The members are joining.
    struct Rebalance {
        var deadline: Instant
        /// The first generation after there was nobody: it waits for its time even when all have joined.
        var isInitial = false
        /// How much longer the initial wait may become, in nanoseconds.
        var extensible: UInt64 = 0
        var hasNewMember = false
    }

    final class Member {
        var id: String
        let instanceID: String?
        /// In the order in which members came.
        let order: UInt64
        var clientID: String
        var clientHost: String
        var sessionMilliseconds: Int32
        var rebalanceMilliseconds: Int32
        var protocols: [GroupProtocol]
        var assignment: [UInt8] = []
        /// Parked requests.
        var join: Caller?
        var sync: Caller?
        /// When it is taken for gone.
        var deadline = Instant.distantFuture
        /// Was never answered a join.
        var isNew = true
        /// Somebody can come back as this member.
        var isIDKnown: Bool

        init(
            id: String, instanceID: String?, order: UInt64, clientID: String, clientHost: String, sessionMilliseconds: Int32, rebalanceMilliseconds: Int32,
            protocols: [GroupProtocol], isIDKnown: Bool
        ) {
            self.id = id
            self.instanceID = instanceID
            self.order = order
            self.clientID = clientID
            self.clientHost = clientHost
            self.sessionMilliseconds = sessionMilliseconds
            self.rebalanceMilliseconds = rebalanceMilliseconds
            self.protocols = protocols
            self.isIDKnown = isIDKnown
        }

        var bytes: Int {
            256 + id.utf8.count + (instanceID?.utf8.count ?? 0) + clientID.utf8.count + clientHost.utf8.count + ConsumerGroup.size(protocols) + assignment.count
        }

        func metadata(_ protocolName: String?) -> [UInt8] { protocols.first { $0.name == protocolName }?.metadata ?? [] }
        func supports(_ name: String) -> Bool { protocols.contains { $0.name == name } }
    }

    init(name: String, options: GroupOptions, now: Now) {
        self.name = name
        self.options = options
        emptySince = now.time
        bytes = 256 + name.utf8.count
    }

    static func size(_ protocols: [GroupProtocol]) -> Int { protocols.reduce(0) { $0 + 32 + $1.name.utf8.count + $1.metadata.count } }

    var sortedMembers: [Member] { members.values.sorted { $0.order < $1.order } }

    /// Whether it has anything that somebody could miss.
    var isIdle: Bool { state == .empty && pending.isEmpty && offsetCount == 0 }

    func hasParked(_ session: SessionID) -> Bool { members.values.contains { $0.join?.session == session || $0.sync?.session == session } }

    // MARK: Who is who

    /// The member that the caller says it is.
    func member(_ id: String, _ instanceID: String?) throws(BrokerError) -> Member {
        if let instanceID {
            guard let current = instances[instanceID] else { throw BrokerError(.unknownMember, "the group has no instance '\(instanceID)'") }
            guard current == id else { throw BrokerError(.fencedInstance, "instance '\(instanceID)' is another member now") }
        }
        guard let member = members[id] else { throw BrokerError(.unknownMember, "the group has no member '\(id)'") }
        return member
    }

    /// The member that the caller says it is, in this generation.
    func current(_ asked: GroupMember) throws(BrokerError) -> Member {
        let member = try member(asked.memberID, asked.instanceID)
        guard asked.generation == generation else {
            throw BrokerError(.illegalGeneration, "generation \(asked.generation) where \(generation) is current")
        }
        return member
    }

    // MARK: Answers and time

    func answer(_ caller: Caller, _ response: Response, isDurable: Bool = false) {
        answers.append(Answer(caller: caller, response: response, isDurable: isDurable))
    }

    func refuse(_ caller: Caller, _ code: BrokerError.Code, _ text: String) { answer(caller, .failed(BrokerError(code, text))) }

    func takeAnswers() -> [Answer] {
        defer { answers = [] }
        return answers
    }

    func arm(_ deadline: Instant) { wake = min(wake, deadline) }

    /// The member was heard of; what it has parked counts as being heard of until it is answered.
    func heard(_ member: Member, _ now: Now) {
        guard member.join == nil, member.sync == nil else { return }
        member.deadline = now.instant.advanced(byNanoseconds: UInt64(max(0, member.sessionMilliseconds)) * 1_000_000)
        arm(member.deadline)
    }

    /// Ends whatever is due, and says with `wake` when to come again. Answers how many members were taken for gone.
    func expire(_ now: Now) -> Int {
        var gone = 0
        for member in sortedMembers where member.deadline <= now.instant {
            // Removing one may end others.
            guard members[member.id] === member else { continue }
            gone += 1
            remove(member, now)
        }
        for id in pending.keys.sorted() where pending[id].map({ $0 <= now.instant }) ?? false {
            dropPending(id)
            completeIfJoined(now)
        }
        if let rebalance, rebalance.deadline <= now.instant { gone += rebalanceTimedOut(rebalance, now) }
        if syncDeadline <= now.instant { gone += syncTimedOut(now) }
        wake = syncDeadline
        for member in members.values { wake = min(wake, member.deadline) }
        for deadline in pending.values { wake = min(wake, deadline) }
        if let rebalance { wake = min(wake, rebalance.deadline) }
        return gone
    }

    /// The session is gone: nobody is left to be answered. Its members stay until their session timeout, so that they can come back;
    /// who was never told its id cannot.
    func sessionClosed(_ session: SessionID, _ now: Now) {
        for member in sortedMembers where members[member.id] === member {
            if member.sync?.session == session {
                member.sync = nil
                unsynced.insert(member.id)
                heard(member, now)
            }
            guard member.join?.session == session else { continue }
            unparkJoin(member)
            if member.isIDKnown || member.instanceID != nil { heard(member, now) } else { remove(member, now) }
        }
    }

    // MARK: Operating

    var listed: ListedGroup { ListedGroup(name: name, kind: .classic, state: state, protocolType: protocolType ?? "") }

    var description: GroupDescription {
        let isStable = state == .stable
        return GroupDescription(
            name: name, kind: .classic, state: state, protocolType: protocolType ?? "", protocolName: isStable ? protocolName ?? "" : "",
            generation: generation, leader: leader,
            members: sortedMembers.map { member in
                GroupMemberDescription(
                    memberID: member.id, instanceID: member.instanceID, clientID: member.clientID, clientHost: member.clientHost,
                    metadata: isStable ? member.metadata(protocolName) : [], assignment: isStable ? member.assignment : [])
            }, error: nil)
    }
}
