internal import BrokerCore
internal import Bytes
internal import SegmentLog

/// Groups of consumers on a simulated disk, driven by one seed: members that join and go, offsets that they and others commit, topics that
/// are deleted and made anew, on one or several shards, until power goes or the process ends. Then a new broker opens what is there.
///
/// What was answered is held against it: a committed offset never goes back, not even to what was only shown; one of a deleted topic never
/// comes back; members of a generation whose assignments were given out go on after a start; and no generation is given out twice.
package final class GroupWorkload {
    private let disk: SimulatedDisk
    private let profile: LogWorkload.Profile
    private var random: RandomStream
    private var placement: RandomStream
    private var broker: BrokerFleet?
    private var options = Broker.Options(directory: "data")
    private var report: LogWorkload.Report
    private var instant: UInt64 = 1_000_000_000
    private var nextRequest: UInt64 = 1
    private var nextSession: UInt64 = 1
    private var nextOffset: Int64 = 1
    private var shards = 1
    private var session = SessionID(place: 0, on: 0)
    private var answers: [RequestID: Response] = [:]
    /// Commits that are under way, or were when power went.
    private var commits: [RequestID: (place: Place, offset: Int64)] = [:]
    private var offsets: [Place: Known] = [:]
    private var groups: [String: Group] = [:]

    private static let topics = ["orders", "parcels"]
    private static let partitions: Int32 = 2

    private struct Place: Hashable {
        var group: String
        var topic: String
        var partition: Int32
    }

    /// What may be found in a place.
    private struct Known {
        /// What was answered, or shown.
        var floor: Int64 = -1
        var tried: Set<Int64> = []
    }

    /// What the members of a group were told.
    private struct Group {
        var members: [String] = []
        /// The newest generation that a join or a sync was answered with.
        var joined: Int32 = 0
        var synced: Int32 = 0
        /// The members have their assignments, and nothing was asked since that could have changed that.
        var isSettled = false
    }

    package static func run(_ seed: Seed, _ profile: LogWorkload.Profile = LogWorkload.Profile()) -> LogWorkload.Report {
        let workload = GroupWorkload(seed, profile)
        do { try workload.live() } catch { workload.report.violation = error }
        workload.broker = nil
        workload.report.nanoseconds = workload.instant - 1_000_000_000
        workload.report.hash = workload.disk.trace.hash
        workload.report.faults = workload.disk.trace.faults
        workload.report.lines = workload.disk.trace.lines
        workload.report.crashes = workload.disk.crashes
        return workload.report
    }

    private init(_ seed: Seed, _ profile: LogWorkload.Profile) {
        self.profile = profile
        random = seed.stream("groups")
        placement = seed.stream("shards")
        let trace = Trace()
        trace.keepsLines = profile.keepsTrace
        disk = SimulatedDisk(seed: seed, faults: .crashesOnly(&random), trace: trace)
        disk.sabotage = profile.sabotage
        options.log.durability = .group
        options.groups.initialRebalanceMilliseconds = 0
        options.groupLogBytes = random.pick([0, 1_000, 100_000])
        report = LogWorkload.Report(seed: seed, hash: 0, faults: [], lines: [], setting: "a log of \(options.groupLogBytes) B before it is written anew")
    }

    // MARK: A run

    private func live() throws(Violation) {
        for _ in 0..<profile.lives {
            try start()
            if random.chance(0.7) { disk.crash(afterChanges: 1 + random.below(150)) }
            if broker != nil, try check() {
                for _ in 0..<random.within(1...profile.stepsPerLife) where !disk.isDown { try step() }
            }
            try end()
        }
        try start()
        guard try check() else { throw Violation(.noProgress, "a healthy broker answers nothing") }
    }

    private func start() throws(Violation) {
        disk.heal()
        disk.restart()
        shards = placement.within(profile.shards)
        do throws(StartError) {
            broker = try BrokerFleet(shards: shards, options: options, disk: disk, now: now, Seed(placement.next()).stream("mail"))
        } catch {
            broker = nil
            if !disk.isDown { throw Violation(.falseAlarm, "a broker whose disk nothing damaged does not start: \(error)") }
        }
        report.recoveries += 1
        answers = [:]
        commits = [:]
        session = SessionID(place: nextSession, on: placement.below(shards))
        nextSession += 1
        broker?.open(session)
    }

    private func end() throws(Violation) {
        if !disk.isDown, random.chance(0.3) {
            _ = broker?.shutDown(now: now)
            try look()
        }
        broker = nil
        if disk.isDown { disk.restart() } else if random.chance(0.5) { disk.kill() } else { disk.crash() }
    }

    private func step() throws(Violation) {
        switch random.below(20) {
        case ..<9: commit()
        case ..<11: _ = try fetch()
        case ..<13: try join("g\(random.below(3))", count: random.within(1...2))
        case 13: try leave("g\(random.below(3))")
        case 14: try remake(random.pick(GroupWorkload.topics))
        default: try pass(UInt64(random.pick([1_000, 300_000, 20_000_000, 1_500_000_000])))
        }
        try look()
    }

    /// After a start everything is as it was told. False: power went meanwhile.
    private func check() throws(Violation) -> Bool {
        for (name, group) in groups.sorted(by: { $0.key < $1.key }) where group.isSettled {
            for member in group.members {
                guard let beat = try ask(.group(.heartbeat(GroupMember(group: name, generation: group.synced, memberID: member, instanceID: nil)))) else {
                    return false
                }
                if case .failed(let error) = beat {
                    throw Violation(.lostSettlement, "a member of '\(name)', generation \(group.synced), is not known: \(error)")
                }
            }
        }
        for topic in GroupWorkload.topics { guard try make(topic) else { return false } }
        return try fetch()
    }

    // MARK: Topics and offsets

    private func make(_ topic: String) throws(Violation) -> Bool {
        guard let made = try ask(.createTopic(name: topic, TopicOptions(partitions: GroupWorkload.partitions))) else { return false }
        if case .failed(let error) = made, error.code != .alreadyExists { throw Violation(.contract, "'\(topic)' is not made: \(error)") }
        return true
    }

    /// Deletes the topic and makes it again: nothing that was committed before is found after that.
    private func remake(_ topic: String) throws(Violation) {
        while !commits.isEmpty, !disk.isDown { try pass(20_000_000) }
        for place in offsets.keys where place.topic == topic { offsets[place]?.floor = -1 }
        guard let deleted = try ask(.deleteTopic(name: topic)) else { return }
        guard case .done = deleted else { throw Violation(.contract, "'\(topic)' is not deleted: \(deleted)") }
        for place in offsets.keys where place.topic == topic { offsets[place] = nil }
        _ = try make(topic)
    }

    private func commit() {
        let place = Place(group: "g\(random.below(4))", topic: random.pick(GroupWorkload.topics), partition: Int32(random.below(Int(GroupWorkload.partitions))))
        let group = groups[place.group]
        let member = group?.members.first
        // Who is not settled may be refused; so may a stranger where there are members.
        if member != nil, group?.isSettled != true { return }
        let offset = nextOffset
        nextOffset += 1
        let topics = [
            TopicOffsets(name: place.topic, partitions: [PartitionOffset(partition: place.partition, offset: offset, leaderEpoch: 0, metadata: "at \(offset)")])
        ]
        let caller = GroupMember(group: place.group, generation: member == nil ? -1 : group?.synced ?? 0, memberID: member ?? "", instanceID: nil)
        offsets[place, default: Known()].tried.insert(offset)
        commits[perform(.group(.commitOffsets(CommitOffsets(member: caller, topics: topics))))] = (place, offset)
        report.appended += 1
    }

    /// Everything that is committed, held against what was answered.
    private func fetch() throws(Violation) -> Bool {
        let names = (0..<4).map { "g\($0)" }
        let floors = offsets.mapValues(\.floor)
        guard let answer = try ask(.group(.fetchOffsets(names.map { OffsetQuery(group: $0, topics: nil) }))) else { return false }
        guard case .group(.offsets(let found)) = answer else { throw Violation(.contract, "offsets are not to be had: \(answer)") }
        var shown: [Place: Int64] = [:]
        for group in found {
            for topic in group.topics {
                for one in topic.partitions {
                    let place = Place(group: group.group, topic: topic.name, partition: one.partition)
                    shown[place] = one.offset
                    guard offsets[place]?.tried.contains(one.offset) == true, one.metadata == "at \(one.offset)" else {
                        throw Violation(.phantom, "\(place) has \(one.offset), '\(one.metadata)': not what was committed since the topic was made")
                    }
                    show(one.offset, in: place)
                }
            }
        }
        for (place, floor) in floors where floor >= 0 && shown[place] ?? -1 < floor {
            throw Violation(.lostSettlement, "\(place) went back from \(floor) to \(shown[place] ?? -1)")
        }
        return true
    }

    private func show(_ offset: Int64, in place: Place) {
        let floor = offsets[place]?.floor ?? -1
        offsets[place]?.floor = max(floor, offset)
    }

    // MARK: Members

    private func asked(_ name: String, _ member: String) -> Request {
        .group(
            .join(
                JoinGroup(
                    group: name, memberID: member, instanceID: nil, clientID: "c", clientHost: "h", sessionTimeoutMilliseconds: 1_800_000,
                    rebalanceTimeoutMilliseconds: 20_000, protocolType: "consumer", protocols: [GroupProtocol(name: "range", metadata: [])],
                    requiresKnownMemberID: false, reason: nil)))
    }

    /// Everybody who is there joins, with newcomers up to `count`, and is given an assignment.
    private func join(_ name: String, count: Int) throws(Violation) {
        while !commits.isEmpty, !disk.isDown { try pass(20_000_000) }
        var group = groups[name] ?? Group()
        group.isSettled = false
        groups[name] = group
        // One begins a group; others come to those who are there, and are waited for.
        var requests: [RequestID] = []
        for _ in 0..<(group.members.isEmpty ? 1 : max(0, count - group.members.count)) { requests.append(perform(asked(name, ""))) }
        for member in group.members { requests.append(perform(asked(name, member))) }
        var joined: [JoinedGroup] = []
        for request in requests {
            guard let answer = try self.answer(to: request) else { return }
            switch answer {
            case .group(.joined(let one)): joined.append(one)
            // A stranger of an earlier life is in the way, or this one was sent away meanwhile: it begins anew.
            case .failed:
                groups[name]?.members = []
                return
            default: throw Violation(.contract, "a join was answered with \(answer)")
            }
        }
        let newest = joined.map(\.generation).max() ?? 0
        guard newest >= group.synced else { throw Violation(.lostSettlement, "'\(name)' began generation \(newest) behind \(group.synced)") }
        groups[name]?.joined = max(group.joined, newest)
        groups[name]?.members = joined.map(\.memberID)
        guard joined.allSatisfy({ $0.generation == newest }), let leader = joined.first(where: { !$0.members.isEmpty }), leader.members.count == joined.count
        else {
            return
        }
        let syncs =
            joined.filter { $0.memberID != leader.memberID }.map { perform(sync(name, $0, [])) }
            + [perform(sync(name, leader, joined.map { GroupAssignment(memberID: $0.memberID, assignment: [1]) }))]
        for request in syncs {
            guard let answer = try self.answer(to: request) else { return }
            guard case .group(.synced(let synced)) = answer, synced.assignment == [1] else { throw Violation(.contract, "a sync was answered with \(answer)") }
        }
        groups[name]?.synced = newest
        groups[name]?.isSettled = true
    }

    private func sync(_ name: String, _ joined: JoinedGroup, _ assignments: [GroupAssignment]) -> Request {
        .group(
            .sync(
                SyncGroup(
                    member: GroupMember(group: name, generation: joined.generation, memberID: joined.memberID, instanceID: nil), protocolType: nil,
                    protocolName: nil, assignments: assignments)))
    }

    private func leave(_ name: String) throws(Violation) {
        while !commits.isEmpty, !disk.isDown { try pass(20_000_000) }
        guard let group = groups[name], !group.members.isEmpty else { return }
        groups[name]?.isSettled = false
        let leaving = group.members.map { LeavingMember(memberID: $0, instanceID: nil, reason: nil) }
        guard try ask(.group(.leave(group: name, leaving))) != nil else { return }
        groups[name]?.members = []
    }

    // MARK: Asking, and time

    private var now: Now { Now(instant: Instant(nanoseconds: instant), time: Timestamp(milliseconds: 1_700_000_000_000 + Int64(instant / 1_000_000))) }

    @discardableResult private func perform(_ request: Request) -> RequestID {
        let id = RequestID(rawValue: nextRequest)
        nextRequest += 1
        broker?.perform(request, id, from: session, input: RawSpan(), now: now)
        return id
    }

    private func ask(_ request: Request) throws(Violation) -> Response? { try answer(to: perform(request)) }

    /// nil when power went.
    private func answer(to id: RequestID) throws(Violation) -> Response? {
        var rounds = 0
        while answers[id] == nil, !disk.isDown {
            rounds += 1
            guard rounds < 2_000 else { throw Violation(.noProgress, "a request is not answered") }
            try pass(300_000_000)
        }
        return answers.removeValue(forKey: id)
    }

    private func pass(_ nanoseconds: UInt64) throws(Violation) {
        let target = instant + nanoseconds
        var rounds = 0
        while let broker, !disk.isDown, rounds < 500 {
            rounds += 1
            broker.endTick(now: now)
            try look()
            let next = min(disk.nextCompletion.rawValue, max(broker.nextDeadline.rawValue, instant + 1_000))
            guard next <= target, !disk.isDown else { break }
            instant = max(next, instant)
            for (ticket, result) in disk.completions(at: Instant(nanoseconds: instant)) where !disk.isDown {
                broker.storageCompleted(ticket, result, now: now)
            }
            try look()
        }
        if disk.isDown { return }
        instant = max(instant, target)
        disk.advance(to: Instant(nanoseconds: instant))
    }

    private func look() throws(Violation) {
        if let violation = disk.violations.first { throw violation }
        guard let broker, !disk.isDown else { return }
        for case .respond(_, let id, let response) in broker.takeEffects() {
            guard let (place, offset) = commits.removeValue(forKey: id) else {
                guard answers.updateValue(response, forKey: id) == nil else { throw Violation(.contract, "a request was answered twice") }
                continue
            }
            switch response {
            case .group(.committed(let outcomes)):
                guard outcomes.allSatisfy({ $0.partitions.allSatisfy { $0.error == nil } }) else {
                    throw Violation(.contract, "a commit was refused: \(outcomes)")
                }
                show(offset, in: place)
            // Somebody of an earlier life, who was never answered, may still be a member.
            case .failed(let error):
                let refusals: [BrokerError.Code] = [.unknownMember, .rebalanceInProgress, .illegalGeneration]
                guard refusals.contains(error.code), groups[place.group]?.isSettled != true else { throw Violation(.contract, "a commit failed: \(error)") }
            default: throw Violation(.contract, "a commit was answered with \(response)")
            }
        }
    }
}
