import Bytes
import SegmentLog
import Testing

@testable import BrokerCore

/// Groups on a broker with its log: what is durable when it is answered, and what a restart finds.
struct BrokerGroupTests {
    func harness(_ adjust: (inout Broker.Options) -> Void = { _ in }) throws -> Harness {
        try Harness { options in
            options.groups.initialRebalanceMilliseconds = 0
            adjust(&options)
        }
    }

    // MARK: Durability and restarts

    @Test func aCommitIsAnsweredWhenItIsDurable() throws {
        let harness = try harness()
        _ = try harness.create("t", TopicOptions(partitions: 2))
        let commit = harness.ask(Harness.commit("g", [("t", 0, 5), ("t", 1, 7)]))
        let fetch = harness.ask(.group(.fetchOffsets([OffsetQuery(group: "g", topics: nil)])))
        #expect(harness.responses[commit] == nil && harness.responses[fetch] == nil, "nobody learns what a crash could take back")
        harness.settleDown()
        #expect(harness.outcomes(harness.responses[commit]) == [nil, nil])
        #expect(harness.answered.suffix(2) == [commit, fetch])
        #expect(harness.committed("g") == ["t/0=5", "t/1=7"])
        #expect(
            harness.committed("g", [TopicPartitions(name: "t", partitions: [1, 9]), TopicPartitions(name: "u", partitions: [0])]) == [
                "t/1=7", "t/9=-1", "u/0=-1",
            ])
    }

    @Test(arguments: [true, false])
    func membersOfAStableGroupGoOnAfterARestart(clean: Bool) throws {
        let harness = try harness()
        _ = try harness.create("t")
        let first = try #require(harness.join("g"))
        let second = harness.ask(Harness.asked("g"))
        let again = try #require(harness.join("g", first.memberID))
        let other = try #require(harness.joined(harness.responses[second]))
        let parked = harness.ask(harness.sync("g", other))
        #expect(harness.responses[parked] == nil)
        #expect(harness.assignment(harness.answer(harness.sync("g", again, assign: [again.memberID: "one", other.memberID: "two"]))) == "one")
        #expect(harness.assignment(harness.responses[parked]) == "two")
        _ = harness.answer(Harness.commit("g", [("t", 0, 42)], generation: again.generation, memberID: again.memberID))
        try harness.restart(clean: clean)
        let described = try #require(harness.described("g"))
        #expect(
            described.state == .stable && described.generation == again.generation && described.members.map(\.memberID) == [again.memberID, other.memberID])
        #expect(harness.errorCode(harness.answer(harness.heartbeat("g", again))) == nil)
        #expect(harness.assignment(harness.answer(harness.sync("g", other))) == "two")
        #expect(harness.committed("g") == ["t/0=42"])
        #expect(harness.outcomes(harness.answer(Harness.commit("g", [("t", 0, 43)], generation: again.generation, memberID: other.memberID))) == [nil])
        // Who does not come back is missed; ids are not given out twice.
        harness.advance(milliseconds: 6_000)
        _ = harness.answer(harness.heartbeat("g", other))
        harness.advance(milliseconds: 6_000)
        #expect(harness.errorCode(harness.answer(harness.heartbeat("g", other))) == .rebalanceInProgress)
        let alone = try #require(harness.join("g", other.memberID))
        #expect(alone.generation > again.generation && alone.leader == other.memberID)
        _ = harness.answer(harness.sync("g", alone))
        _ = harness.ask(Harness.asked("g"))
        #expect(Set([again.memberID, other.memberID] + (harness.described("g")?.members.map(\.memberID) ?? [])).count == 3)
    }

    @Test func aStaticMemberKeepsItsPlaceOverARestart() throws {
        let harness = try harness()
        let first = try harness.formGroup("g", instance: "x")
        let back = try #require(harness.join("g", instance: "x"))
        #expect(back.generation == first.generation && back.memberID != first.memberID && back.leader == first.memberID)
        try harness.restart(clean: false)
        #expect(harness.errorCode(harness.answer(harness.heartbeat("g", back, instance: "x"))) == nil)
        #expect(harness.errorCode(harness.answer(harness.heartbeat("g", first, instance: "x"))) == .fencedInstance)
        #expect(harness.assignment(harness.answer(harness.sync("g", back, instance: "x"))) == "everything")
    }

    @Test func aCrashBetweenTwoGenerationsLeavesTheOlderOne() throws {
        let harness = try harness { $0.groupLogBytes = 0 }
        let first = try harness.formGroup("g")
        _ = harness.ask(Harness.asked("g"))
        harness.settleDown()
        #expect(harness.described("g")?.state == .preparingRebalance)
        // Other groups make the log be written anew meanwhile.
        _ = try harness.create("t")
        for round in 0..<50 { _ = harness.answer(Harness.commit("other", [("t", 0, Int64(round))])) }
        try harness.restart(clean: false)
        let described = try #require(harness.described("g"))
        #expect(described.state == .stable && described.members.map(\.memberID) == [first.memberID])
        #expect(described.members.first?.assignment == Array("everything".utf8))
    }

    @Test func theLogStaysShortAndLosesNothing() throws {
        let harness = try harness { $0.groupLogBytes = 4_096 }
        _ = try harness.create("t", TopicOptions(partitions: 3))
        _ = harness.answer(Harness.commit("still", [("t", 2, 1)]))
        let member = try harness.formGroup("g")
        for round in 0..<2_000 {
            _ = harness.answer(Harness.commit("g", [("t", Int32(round % 3), Int64(round))], generation: member.generation, memberID: member.memberID))
        }
        let log = try #require(harness.broker.groupLog.log)
        let kept = log.watermarks.end - log.watermarks.start
        #expect(kept < 500, "\(kept) entries are kept")
        try harness.restart(clean: false)
        #expect(harness.committed("g") == ["t/0=1998", "t/1=1999", "t/2=1997"])
        #expect(harness.committed("still") == ["t/2=1"])
        #expect(harness.errorCode(harness.answer(harness.heartbeat("g", member))) == nil)
    }

    /// The log's own recovery covers this; here it is shown for what clients were promised.
    @Test func anAnsweredCommitSurvivesACrashAtAnyByte() throws {
        let harness = try harness()
        _ = try harness.create("t")
        let path = "/data/__groups/00000000000000000000.log"
        var sizes: [(size: Int, offset: Int64)] = []
        for offset in 1...6 {
            _ = harness.answer(Harness.commit("g", [("t", 0, Int64(offset))], metadata: "note \(offset)"))
            let file = try harness.storage.open(path, .read)
            sizes.append((try harness.storage.size(of: file), Int64(offset)))
            try harness.storage.close(file)
        }
        let bytes = try read(path, harness.storage)
        for cut in sizes[0].size...bytes.count {
            // What was flushed with the commit is there; of what followed, something, with or without rubbish behind it.
            let torn = Array(bytes[..<cut]) + (cut % 3 == 0 ? [UInt8](repeating: 0x5a, count: 40) : [])
            let storage = MemoryStorage(isVolatile: false)
            for directory in ["/data/__catalog", "/data/__cursors", "/data/__groups"] {
                try storage.makeDirectory(directory)
                for entry in try harness.storage.list(directory) where entry.name.hasSuffix(".log") {
                    let name = directory + "/" + entry.name
                    let copy = try storage.open(name, .create)
                    let content = name == path ? torn : try read(name, harness.storage)
                    try storage.write(copy, [content.rawSpan.region], at: 0)
                }
            }
            let other = try Harness(storage: storage)
            let expected = sizes.last { $0.size <= cut }?.offset ?? 0
            #expect(other.committed("g") == ["t/0=\(expected)"], "cut at \(cut)")
        }
    }

    private func read(_ path: String, _ storage: MemoryStorage) throws -> [UInt8] {
        let file = try storage.open(path, .read)
        defer { try? storage.close(file) }
        var buffer = ByteBuffer()
        try storage.read(file, at: 0, count: try storage.size(of: file), into: &buffer)
        return [UInt8](buffer.bytes)
    }

    @Test func nothingIsPromisedOnceTheLogHasFailed() throws {
        for at in 20..<60 {
            let storage = MemoryStorage(isVolatile: false)
            let failing = FailingStorage(storage, .ioError, at: at)
            guard let harness = try? Harness(storage: storage, failing: failing, { $0.groups.initialRebalanceMilliseconds = 0 }),
                (try? harness.create("t")) != nil
            else { continue }
            var promised: Int64 = 0
            for offset in 1...8 {
                let response = harness.answer(Harness.commit("g", [("t", 0, Int64(offset))]))
                if harness.outcomes(response) == [nil] {
                    promised = Int64(offset)
                } else {
                    #expect(harness.errorCode(response) == .storageFailed)
                }
            }
            if harness.broker.groupLog.log?.fault != nil {
                #expect(harness.errorCode(harness.answer(Harness.asked("g"))) == .storageFailed)
                #expect(harness.committed("g") == ["no answer"])
            }
            failing.isHealed = true
            guard (try? harness.restart(clean: false)) != nil else { continue }
            let found = harness.committed("g").first.flatMap { Int64($0.dropFirst("t/0=".count)) } ?? 0
            #expect(found >= promised, "failure at operation \(at)")
        }
    }

    // MARK: Offsets

    @Test func whatMayNotBeCommittedIsSaidForEachPartition() throws {
        let harness = try harness()
        _ = try harness.create("t", TopicOptions(partitions: 2))
        let refused = harness.answer(Harness.commit("g", [("t", 2, 1), ("t", -1, 1), ("u", 0, 1), ("t", 0, -1), ("t", 1, 1)]))
        #expect(harness.outcomes(refused) == [.unknownPartition, .unknownPartition, .unknownTopic, .offsetOutOfRange, nil])
        #expect(harness.committed("g") == ["t/1=1"])
        #expect(harness.outcomes(harness.answer(Harness.commit("h", [("u", 0, 1)]))) == [.unknownTopic])
        #expect(harness.listed() == ["g"], "nothing is kept of the other")
        #expect(harness.errorCode(harness.answer(Harness.commit("", [("t", 0, 1)]))) == .invalidName)
        #expect(harness.errorCode(harness.answer(Harness.commit(String(repeating: "g", count: 1_025), [("t", 0, 1)]))) == .invalidName)
        #expect(harness.errorCode(harness.answer(Harness.commit("h", [("t", 0, 1)], generation: 3, memberID: "m"))) == .illegalGeneration)
    }

    @Test func aTopicsOffsetsGoWithIt() throws {
        let harness = try harness()
        for name in ["t", "u"] { _ = try harness.create(name) }
        for group in ["g", "h"] { _ = harness.answer(Harness.commit(group, [("t", 0, 5), ("u", 0, 6)])) }
        let deletion = harness.answer(.deleteTopic(name: "t"))
        if case .done? = deletion {} else { Issue.record("deleted") }
        _ = try harness.create("t")
        for _ in 0..<2 {
            #expect(harness.committed("g") == ["u/0=6"] && harness.committed("h") == ["u/0=6"])
            #expect(harness.committed("g", [TopicPartitions(name: "t", partitions: [0])]) == ["t/0=-1"])
            try harness.restart(clean: false)
        }
    }

    @Test func offsetsAreForgottenWhenNobodyComesBack() throws {
        let harness = try harness { options in
            options.groups.offsetsRetentionMilliseconds = 100_000
            options.groups.idleMilliseconds = 50_000
        }
        for name in ["t", "old"] { _ = try harness.create(name) }
        _ = harness.answer(Harness.commit("simple", [("t", 0, 1)]))
        let member = try harness.formGroup("g", metadata: Harness.subscription(["t"]))
        _ = harness.answer(Harness.commit("g", [("t", 0, 1), ("old", 0, 1)], generation: member.generation, memberID: member.memberID))
        for _ in 0..<30 {
            harness.advance(milliseconds: 5_000)
            _ = harness.answer(harness.heartbeat("g", member))
        }
        #expect(harness.committed("g") == ["t/0=1"], "what its members read is kept")
        #expect(harness.committed("simple").isEmpty && harness.listed() == ["g"])
        _ = harness.answer(.group(.leave(group: "g", [LeavingMember(memberID: member.memberID, instanceID: nil, reason: nil)])))
        for _ in 0..<15 { harness.advance(milliseconds: 5_000) }
        #expect(harness.committed("g") == ["t/0=1"])
        for _ in 0..<12 { harness.advance(milliseconds: 5_000) }
        #expect(harness.committed("g").isEmpty)
        #expect(harness.statistic("offsets_expired_total") == 3)
        for _ in 0..<12 { harness.advance(milliseconds: 5_000) }
        #expect(harness.listed().isEmpty)
        try harness.restart(clean: false)
        #expect(harness.listed().isEmpty && harness.committed("g").isEmpty)
    }

    // MARK: Operating

    @Test func groupsAreListedByStateAndDescribed() throws {
        let harness = try harness()
        _ = try harness.create("t")
        _ = try harness.formGroup("stable", metadata: [1, 2])
        _ = harness.answer(Harness.commit("empty", [("t", 0, 1)]))
        _ = harness.join("completing")
        #expect(harness.listed() == ["completing", "empty", "stable"])
        #expect(harness.listed([.stable]) == ["stable"] && harness.listed([.empty, .completingRebalance]) == ["completing", "empty"])
        #expect(harness.listed([]).isEmpty && harness.listed(kinds: [.classic]).count == 3 && harness.listed(kinds: []).isEmpty)
        let described = try #require(harness.described("stable"))
        #expect(described.protocolType == "consumer" && described.protocolName == "range" && described.error == nil)
        #expect(described.members.first?.metadata == [1, 2] && described.members.first?.clientHost == "/127.0.0.1")
        #expect(harness.described("completing")?.members.first?.metadata.isEmpty == true)
        #expect(harness.described("nobody")?.state == .dead && harness.described("nobody")?.error == .groupNotFound)
    }

    @Test func onlyAGroupWithoutMembersIsDeleted() throws {
        let harness = try harness()
        _ = try harness.create("t")
        let member = try harness.formGroup("g")
        _ = harness.answer(Harness.commit("h", [("t", 0, 1)]))
        func delete(_ names: [String]) -> [BrokerError.Code?] {
            guard case .group(.deleted(let deleted))? = harness.answer(.group(.delete(names))) else { return [] }
            return deleted.map(\.error)
        }
        #expect(delete(["g", "h", "nobody"]) == [.groupNotEmpty, nil, .groupNotFound])
        _ = harness.answer(.group(.leave(group: "g", [LeavingMember(memberID: member.memberID, instanceID: nil, reason: nil)])))
        #expect(delete(["g"]) == [nil])
        try harness.restart(clean: false)
        #expect(harness.listed().isEmpty)
        #expect(harness.join("g")?.generation == 1, "a group of that name begins anew")
    }

    @Test func offsetsOfASubscribedTopicAreNotDeleted() throws {
        let harness = try harness()
        for name in ["t", "u"] { _ = try harness.create(name) }
        let member = try harness.formGroup("g", metadata: Harness.subscription(["t"]))
        _ = harness.answer(Harness.commit("g", [("t", 0, 1), ("u", 0, 1)], generation: member.generation, memberID: member.memberID))
        let both = ["t", "u", "v"].map { TopicPartitions(name: $0, partitions: [0]) }
        #expect(harness.outcomes(harness.answer(.group(.deleteOffsets(group: "g", both)))) == [.groupSubscribedToTopic, nil, .unknownTopic])
        #expect(harness.committed("g") == ["t/0=1"])
        _ = harness.answer(.group(.leave(group: "g", [LeavingMember(memberID: member.memberID, instanceID: nil, reason: nil)])))
        #expect(harness.outcomes(harness.answer(.group(.deleteOffsets(group: "g", [both[0]])))) == [nil])
        #expect(harness.errorCode(harness.answer(.group(.deleteOffsets(group: "nobody", both)))) == .groupNotFound)
        let other = try harness.formGroup("connectors", type: "connect")
        #expect(other.protocolType == "connect")
        #expect(harness.errorCode(harness.answer(.group(.deleteOffsets(group: "connectors", both)))) == .groupNotEmpty)
        try harness.restart(clean: false)
        #expect(harness.committed("g").isEmpty)
    }

    @Test(arguments: [
        [UInt8](), [0], [0, 1, 0, 0, 0, 9, 0, 1, 0x74], [0, 1, 0xff, 0xff, 0xff, 0xff], [0, 1, 0, 0, 0, 1, 0x7f, 0xff], [0, 1, 0, 0, 0, 1, 0xff, 0xff],
    ])
    func metadataThatCannotBeReadCountsAsSubscribedToEverything(_ metadata: [UInt8]) throws {
        let harness = try harness()
        _ = try harness.create("t")
        let member = try harness.formGroup("g", metadata: metadata)
        _ = harness.answer(Harness.commit("g", [("t", 0, 1)], generation: member.generation, memberID: member.memberID))
        let deletion = harness.answer(.group(.deleteOffsets(group: "g", [TopicPartitions(name: "t", partitions: [0])])))
        #expect(harness.outcomes(deletion) == [.groupSubscribedToTopic])
    }

    @Test func sessionTimeoutsHaveBounds() throws {
        let harness = try harness()
        for (timeout, code) in [
            (5_999, BrokerError.Code.invalidSessionTimeout), (6_000, nil), (1_800_000, nil), (1_800_001, .invalidSessionTimeout), (-1, .invalidSessionTimeout),
        ] as [(Int32, BrokerError.Code?)] {
            #expect(harness.errorCode(harness.answer(Harness.asked("g\(timeout)", session: timeout))) == code)
        }
    }

    @Test func aClosedConnectionLeavesNothingParked() throws {
        let harness = try harness()
        let member = try harness.formGroup("g")
        let parked = harness.ask(Harness.asked("g"), from: Harness.two)
        harness.broker.close(Harness.two, now: harness.now)
        harness.take()
        let alone = try #require(harness.join("g", member.memberID))
        #expect(alone.members.count == 1 && harness.responses[parked] == nil)
        #expect(harness.broker.groups["g"]?.joining == 0)
    }
}
