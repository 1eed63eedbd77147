import Testing

@testable import Simulation

/// A broker core with a queue, its consumers and its dead letters, through crashes; see docs/reliability.md.
@Suite struct BrokerSimulationTests {
    @Test func aQueueKeepsItsPromisesThroughCrashes() {
        for seed in 0..<60 {
            let report = BrokerWorkload.run(Seed(UInt64(seed)))
            #expect(report.violation == nil, "\(report.text)")
        }
    }

    /// Topics and their dead letters on several shards, another number of them in each life.
    @Test func severalShardsKeepThemAsWell() {
        for seed in 0..<60 {
            let report = BrokerWorkload.run(Seed(UInt64(seed)), LogWorkload.Profile(shards: 1...3))
            #expect(report.violation == nil, "\(report.text)")
        }
    }

    /// Leases and retention by the hour, and a wall clock that jumps by years.
    @Test func aDayChangesNothing() {
        for seed in 0..<10 {
            var profile = LogWorkload.Profile()
            profile.isLong = true
            let report = BrokerWorkload.run(Seed(UInt64(seed)), profile)
            #expect(report.violation == nil, "\(report.text)")
        }
    }

    /// Seeds that once failed, by what they found.
    @Test(arguments: [(1_128, "after a clean stop in a life that delivered nothing new, what an earlier life had delivered came unflagged")])
    func aSeedThatFailedOnceStaysGood(_ seed: Int, _ found: String) {
        let report = BrokerWorkload.run(Seed(UInt64(seed)))
        #expect(report.violation == nil, "\(report.text)")
    }

    @Test func theSameSeedGivesTheSameTrace() {
        for seed in 100..<105 {
            #expect(BrokerWorkload.run(Seed(UInt64(seed))).hash == BrokerWorkload.run(Seed(UInt64(seed))).hash)
            let several = LogWorkload.Profile(shards: 2...3)
            #expect(BrokerWorkload.run(Seed(UInt64(seed)), several).hash == BrokerWorkload.run(Seed(UInt64(seed)), several).hash)
        }
    }

    @Test(arguments: [Sabotage.answersBeforeFlush, .skipsSomeFlushes, .skipsDirectoryFlush, .shortWrites, .misdirectsWrites])
    func aSeededBugIsFound(_ sabotage: Sabotage) {
        let found = (0..<100).first { BrokerWorkload.run(Seed(UInt64($0)), LogWorkload.Profile(sabotage: sabotage)).violation != nil }
        #expect(found != nil, "\(sabotage) is not found in 100 seeds")
    }
}

/// A checker that cannot fail is a defect.
@Suite struct QueueOracleTests {
    struct Bad: Sendable, CustomTestStringConvertible {
        var claim: Violation.Claim
        var name: String
        var edit: @Sendable (inout QueueOracle) throws -> Void
        var testDescription: String { name }
    }

    static let bad: [Bad] = [
        Bad(claim: .lostWrite, name: "an acknowledged message has no end") { try $0.drained() },
        Bad(claim: .phantom, name: "a message appears that nobody published") { try deliver(&$0, 99, at: 9) },
        Bad(claim: .phantom, name: "a dead letter appears that nobody published") { try $0.deadLettered(99) },
        Bad(claim: .inconsistentOffset, name: "an offset changes its message") {
            $0.attempted(99)
            try deliver(&$0, 99, at: 1)
        },
        Bad(claim: .duplicate, name: "a message is at two offsets") { try deliver(&$0, 1, at: 7) },
        Bad(claim: .overlappingDelivery, name: "two consumers have one message") {
            try deliver(&$0, 1, at: 1)
            try deliver(&$0, 1, at: 1, attempt: 2, again: true)
        },
        Bad(claim: .deliveredAfterSettling, name: "a settled message comes again") {
            try deliver(&$0, 1, at: 1)
            $0.settled(1, .accepted)
            try deliver(&$0, 1, at: 1, attempt: 2, again: true)
        },
        Bad(claim: .deliveredAfterSettling, name: "a confirmed settlement is forgotten by a crash") {
            try deliver(&$0, 1, at: 1)
            $0.settled(1, .accepted)
            $0.confirmed(1)
            $0.restarted()
            try deliver(&$0, 1, at: 1, attempt: 2, again: true)
        },
        Bad(claim: .deliveredAfterSettling, name: "a settlement is forgotten by a clean stop") {
            try deliver(&$0, 1, at: 1)
            $0.settled(1, .accepted)
            $0.restarted(cleanly: true)
            try deliver(&$0, 1, at: 1, attempt: 1, again: true)
        },
        Bad(claim: .wrongAttempt, name: "a redelivery is not flagged") {
            try deliver(&$0, 1, at: 1)
            $0.restarted()
            try deliver(&$0, 1, at: 1)
        },
        Bad(claim: .wrongAttempt, name: "more attempts than deliveries") { try deliver(&$0, 1, at: 1, attempt: 2, again: true) },
        Bad(claim: .wrongAttempt, name: "an attempt is not counted") {
            try deliver(&$0, 1, at: 1)
            $0.settled(1, .requeued)
            try deliver(&$0, 1, at: 1, attempt: 1, again: true)
        },
        Bad(claim: .wrongAttempt, name: "a letter is dead before its limit") {
            try deliver(&$0, 1, at: 1)
            try $0.deadLettered(1)
        },
        Bad(claim: .queueDisorder, name: "first deliveries change places") {
            try deliver(&$0, 2, at: 2)
            try deliver(&$0, 1, at: 1)
        },
    ]

    @Test(arguments: bad)
    func aBrokenHistoryIsFlagged(_ bad: Bad) throws {
        var oracle = try history()
        let violation = #expect(throws: Violation.self) { try bad.edit(&oracle) }
        #expect(violation?.claim == bad.claim)
    }

    @Test func aGoodHistoryPasses() throws {
        var oracle = try history()
        try Self.deliver(&oracle, 1, at: 1)
        oracle.settled(1, .requeued)
        try Self.deliver(&oracle, 1, at: 1, attempt: 2, again: true)
        oracle.settled(1, .accepted)
        oracle.restarted()
        // The settlement was not confirmed: the crash may undo it.
        try Self.deliver(&oracle, 1, at: 1, attempt: 1, again: true)
        oracle.settled(1, .accepted)
        try Self.deliver(&oracle, 2, at: 2)
        oracle.settled(2, .rejected)
        try oracle.deadLettered(2)
        try oracle.drained()
    }

    private func history() throws -> QueueOracle {
        var oracle = QueueOracle(deliveryLimit: 3)
        for number in 1...2 {
            oracle.attempted(UInt64(number))
            try oracle.published(UInt64(number), at: Int64(number))
        }
        oracle.attempted(3)
        return oracle
    }

    private static func deliver(_ oracle: inout QueueOracle, _ message: UInt64, at offset: Int64, attempt: Int = 1, again: Bool = false) throws {
        try oracle.delivered(message, at: offset, attempt: attempt, isRedelivery: again, now: 0, leaseEnd: 1_000)
    }
}
