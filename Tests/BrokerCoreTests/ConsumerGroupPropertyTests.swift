import SegmentLog
import Testing

@testable import BrokerCore

/// Method: members that join, sync, beat, leave, vanish and come back by a seed. Goal: one leader; a generation that only grows; a stable
/// group whose members all have synced or will be sent away; each request answered once, within a bounded time, and none of a closed session.
struct ConsumerGroupPropertyTests {
    /// What one client believes.
    struct Client {
        var session: SessionID
        var instance: String?
        var memberID = ""
        var generation: Int32 = -1
        var leads = false
        var members: [String] = []
        var join: RequestID?
        var sync: RequestID?
    }

    final class World {
        let bench: GroupBench
        var random: BrokerPropertyTests.Random
        var clients: [Client] = []
        var nextSession: UInt64 = 10
        /// Requests of sessions that are open, and since when.
        var open: [RequestID: (session: SessionID, since: Instant)] = [:]
        var abandoned: Set<RequestID> = []
        var generation: Int32 = 0
        var leaders: [Int32: String] = [:]
        /// Longer than any deadline that the members set.
        static let patience: UInt64 = 400_000

        init(seed: UInt64) {
            random = BrokerPropertyTests.Random(state: seed)
            bench = GroupBench { $0.initialRebalanceMilliseconds = seed % 2 == 0 ? 0 : 100 }
        }

        func step() {
            if clients.count < 6, random.below(5) == 0 {
                nextSession += 1
                clients.append(Client(session: SessionID(rawValue: nextSession), instance: random.below(3) == 0 ? "i\(random.below(3))" : nil))
            }
            if random.below(6) == 0 { bench.advance(UInt64(random.below(random.below(10) == 0 ? 20_000 : 2_000))) }
            guard !clients.isEmpty else { return look() }
            let index = random.below(clients.count)
            act(&clients[index])
            look()
            // A process ends, with or without a word; or only its connection does.
            switch random.below(40) {
            case 0:
                let gone = clients.remove(at: random.below(clients.count))
                if random.below(2) == 0 { _ = bench.leave(gone.memberID, instance: gone.instance) }
                close(gone.session)
            case 1:
                let index = random.below(clients.count)
                close(clients[index].session)
                nextSession += 1
                clients[index].session = SessionID(rawValue: nextSession)
                (clients[index].join, clients[index].sync) = (nil, nil)
            default: break
            }
            look()
            check()
        }

        private func close(_ session: SessionID) {
            look()
            bench.close(session)
            for (request, parked) in open where parked.session == session {
                open[request] = nil
                abandoned.insert(request)
            }
        }

        private func act(_ client: inout Client) {
            if let join = client.join {
                guard let response = bench.responses[join] else { return }
                client.join = nil
                switch response {
                case .group(.joined(let joined)):
                    client.memberID = joined.memberID
                    client.generation = joined.generation
                    client.leads = joined.leader == joined.memberID
                    client.members = joined.members.map(\.memberID)
                    #expect(client.leads == !joined.members.isEmpty)
                    if client.leads {
                        #expect(leaders.updateValue(joined.memberID, forKey: joined.generation) ?? joined.memberID == joined.memberID, "one leader")
                    }
                    client.sync = note(
                        bench.sync(
                            client.memberID, client.generation, instance: client.instance,
                            assign: client.leads ? bench.assignments(client.members) : [:], from: client.session), client)
                case .group(.memberIDRequired(let id)): client.memberID = id
                case .failed(let error): if [.unknownMember, .fencedInstance].contains(error.code) { client.memberID = "" }
                default: Issue.record("\(response)")
                }
                return
            }
            if let sync = client.sync {
                guard let response = bench.responses[sync] else { return }
                client.sync = nil
                switch response {
                case .group(.synced(let synced)):
                    let text = String(decoding: synced.assignment, as: UTF8.self)
                    #expect(text.hasPrefix("for ") || text.isEmpty)
                    return
                case .failed(let error): if [.unknownMember, .fencedInstance].contains(error.code) { client.memberID = "" }
                default: Issue.record("\(response)")
                }
                client.generation = -1
                return
            }
            guard !client.memberID.isEmpty, client.generation >= 0, random.below(8) != 0 else {
                let metadata = random.below(4) == 0 ? "changed \(random.below(3))" : "m"
                client.join = note(
                    bench.join(
                        client.memberID, instance: client.instance, protocols: [("range", metadata), ("sticky", "m")], session: 10_000,
                        rebalance: Int32(5_000 + random.below(20_000)), knownID: random.below(2) == 0, from: client.session), client)
                return
            }
            switch random.below(2) == 0
                ? bench.heartbeat(client.memberID, client.generation, instance: client.instance)
                : bench.commit(client.memberID, client.generation, instance: client.instance)
            {
            case nil: break
            case .rebalanceInProgress?, .illegalGeneration?: client.generation = -1
            case .unknownMember?, .fencedInstance?:
                client.memberID = ""
                client.generation = -1
            case let code?: Issue.record("\(code)")
            }
        }

        private func note(_ request: RequestID, _ client: Client) -> RequestID {
            open[request] = (client.session, bench.now.instant)
            return request
        }

        private func look() {
            for request in Array(open.keys) where bench.responses[request] != nil { open[request] = nil }
        }

        func check() {
            let group = bench.group
            #expect(group.generation >= generation, "the generation only grows")
            generation = group.generation
            #expect(bench.answeredTwice.isEmpty)
            #expect(abandoned.allSatisfy { bench.responses[$0] == nil }, "nobody answers a closed session")
            let parked = group.members.values.flatMap { [$0.join, $0.sync].compactMap { $0?.request } }
            #expect(Set(parked) == Set(open.keys) && Set(parked).count == parked.count, "what is parked is what is unanswered")
            #expect(group.joining == group.members.values.count { $0.join != nil })
            for (_, since) in open.values { #expect(bench.now.instant.nanoseconds(since: since) <= World.patience * 1_000_000) }
            #expect(group.members.isEmpty == (group.state == .empty || group.members.isEmpty && group.state == .preparingRebalance))
            for (instance, id) in group.instances { #expect(group.members[id]?.instanceID == instance) }
            #expect(group.instances.count == group.members.values.count { $0.instanceID != nil })
            #expect(group.unsynced.isSubset(of: group.members.keys))
            switch group.state {
            case .stable, .completingRebalance:
                #expect(group.leader.map { group.members[$0] != nil } == true && group.protocolName != nil)
                #expect(group.unsynced.isEmpty || group.syncDeadline < .distantFuture, "who has not synced is sent away")
                #expect(group.joining == 0 && group.rebalance == nil)
                if group.state == .stable { #expect(group.members.values.allSatisfy { $0.sync == nil }) }
            case .preparingRebalance: #expect(group.rebalance != nil && group.members.values.allSatisfy { $0.sync == nil })
            case .empty, .dead: #expect(group.protocolName == nil && group.leader == nil)
            }
            let earliest = ([group.syncDeadline, group.rebalance?.deadline ?? .distantFuture] + group.members.values.map(\.deadline) + group.pending.values)
                .min()
            #expect(group.wake <= earliest ?? .distantFuture)
        }
    }

    @Test(arguments: Array(1...60) as [UInt64])
    func whateverMembersDo(seed: UInt64) {
        let world = World(seed: seed)
        for _ in 0..<400 { world.step() }
        #expect(world.generation > 3, "something happened")
        // Left alone, all that is parked ends, and so does the group.
        world.bench.advance(World.patience)
        let parked = world.bench.group.members.values.flatMap { [$0.join, $0.sync].compactMap { $0 } }
        #expect(parked.isEmpty)
        world.bench.advance(World.patience)
        #expect(world.bench.group.state == .empty && world.bench.group.pending.isEmpty)
        #expect(world.bench.group.bytes == 256 + 1, "what was taken is given back")
    }

    /// Method: commits of members and others with crashes in between. Goal: what was answered is there; nothing is counted twice.
    @Test(arguments: Array(1...20) as [UInt64])
    func whatWasCommittedIsThereAfterCrashes(seed: UInt64) throws {
        var random = BrokerPropertyTests.Random(state: seed)
        let harness = try Harness { options in
            options.groups.initialRebalanceMilliseconds = 0
            options.groupLogBytes = seed % 2 == 0 ? 0 : 2_000
        }
        _ = try harness.create("t", TopicOptions(partitions: 3))
        var asked: [RequestID: (group: String, partition: Int32, offset: Int64)] = [:]
        var answered: [String: Int64] = [:]
        var member: JoinedGroup? = try harness.formGroup("g0")
        for round in 1...300 {
            let group = "g\(random.below(3))"
            let partition = Int32(random.below(3))
            let commit =
                group == "g0"
                ? Harness.commit(group, [("t", partition, Int64(round))], generation: member?.generation ?? -1, memberID: member?.memberID ?? "")
                : Harness.commit(group, [("t", partition, Int64(round))])
            asked[harness.ask(commit)] = (group, partition, Int64(round))
            if random.below(3) == 0 { harness.tick() }
            if random.below(3) == 0 { harness.settleDown() }
            for (id, commit) in asked where harness.responses[id] != nil {
                #expect(harness.outcomes(harness.responses[id]) == [nil])
                answered["\(commit.group)/\(commit.partition)"] = max(answered["\(commit.group)/\(commit.partition)"] ?? 0, commit.offset)
                asked[id] = nil
            }
            guard random.below(20) == 0 else { continue }
            try harness.restart(clean: random.below(2) == 0)
            asked = [:]
            for (place, offset) in answered {
                let parts = place.split(separator: "/")
                let found = harness.committed(String(parts[0]), [TopicPartitions(name: "t", partitions: [Int32(parts[1]) ?? 0])]).first ?? ""
                #expect((Int64(found.dropFirst("t/0=".count)) ?? -1) >= offset, "\(place)")
            }
            if let known = member {
                #expect(harness.errorCode(harness.answer(harness.heartbeat("g0", known))) == nil)
                if random.below(4) == 0 {
                    let next = try #require(harness.join("g0", known.memberID))
                    #expect(next.generation > known.generation)
                    _ = harness.answer(harness.sync("g0", next))
                    member = next
                }
            }
            let table = harness.broker.groups
            #expect(table.bytes == table.all.values.reduce(0) { $0 + $1.bytes } && table.offsetCount == table.all.values.reduce(0) { $0 + $1.offsetCount })
        }
    }
}
