import SegmentLog
import Testing

@testable import ShardRuntime

/// Goal: a shard spins only where it may and where that pays. Method: a clock of our own, and arrivals at chosen distances.
@Suite struct WaitPolicyTests {
    private static let budget: UInt64 = 50_000
    private static let look: UInt64 = 500

    /// A shard that lives through arrivals, each so long after the end of the last work.
    private struct Life {
        var policy: WaitPolicy
        var now: UInt64 = 1_000_000_000
        /// Nanoseconds spent looking.
        var spun: UInt64 = 0
        var slept: UInt64 = 0

        init(_ mode: WaitPolicy.Mode) {
            policy = WaitPolicy(mode, budgetNanoseconds: WaitPolicyTests.budget)
            policy.worked(from: Instant(nanoseconds: now), until: Instant(nanoseconds: now))
        }

        /// - Parameter look: how long a look takes; longer than it needs when somebody else runs meanwhile.
        mutating func work(after gap: UInt64, taking cost: UInt64 = 2_000, look: UInt64 = WaitPolicyTests.look) {
            let arrival = now + gap
            while now < arrival {
                if policy.looksAgain(at: Instant(nanoseconds: now)) {
                    let step = min(look, arrival - now)
                    now += step
                    spun += step
                } else {
                    slept += arrival - now
                    now = arrival
                }
            }
            policy.worked(from: Instant(nanoseconds: now), until: Instant(nanoseconds: now + cost))
            now += cost
        }

        mutating func work(after gap: UInt64, times: Int) { for _ in 0..<times { work(after: gap) } }
        mutating func forgetFigures() { (spun, slept) = (0, 0) }
    }

    @Test func sleepNeverLooks() {
        var life = Life(.sleep)
        life.work(after: 1_000, times: 1_000)
        #expect(life.spun == 0)
    }

    @Test func spinNeverSleeps() {
        var life = Life(.spin)
        for gap: UInt64 in [100, 10_000, 1_000_000, 20_000_000] { life.work(after: gap) }
        #expect(life.slept == 0)
    }

    @Test func adaptiveSpinsWhileWorkComesWithinTheBudget() {
        var life = Life(.adaptive)
        life.work(after: 20_000, times: 100)
        life.forgetFigures()
        life.work(after: 20_000, times: 1_000)
        #expect(life.slept == 0)
    }

    @Test func adaptiveLearnsWhileItSleeps() {
        var life = Life(.adaptive)
        life.work(after: 10_000_000, times: 100)
        life.work(after: 30_000, times: 64)
        life.forgetFigures()
        life.work(after: 30_000, times: 10)
        #expect(life.slept == 0)
    }

    @Test(arguments: [51_000, 100_000, 1_000_000, 100_000_000] as [UInt64])
    func adaptiveOnlySleepsWhereWorkIsFurtherApart(gap: UInt64) {
        var life = Life(.adaptive)
        life.work(after: 20_000, times: 1_000)
        life.work(after: gap, times: 16)
        life.forgetFigures()
        life.work(after: gap, times: 10_000)
        #expect(life.spun == 0)
    }

    @Test func adaptiveStopsWithinItsBudgetWhenNothingMoreComes() {
        var life = Life(.adaptive)
        life.work(after: 20_000, times: 1_000)
        life.forgetFigures()
        life.work(after: 3_600_000_000_000)
        #expect(life.spun <= WaitPolicyTests.budget + WaitPolicyTests.look)
    }

    /// What a heartbeat with its answer close behind it costs: two of three stretches do not pay.
    @Test func aFewCloseArrivalsAmongMostlyFarOnesDoNotPay() {
        var life = Life(.adaptive)
        for _ in 0..<1_000 {
            life.work(after: 20_000)
            life.work(after: 200_000)
        }
        #expect(life.spun < 10 * WaitPolicyTests.budget)
    }

    /// A message now and then, and with it the ends of its sends.
    @Test func whatIsThereAtOnceSaysNothing() {
        var life = Life(.adaptive)
        for _ in 0..<1_000 {
            life.work(after: 1_000, times: 5)
            life.work(after: 200_000)
        }
        #expect(life.spun == 0)
        // Nor does it take anything away from what was learned.
        life.work(after: 20_000, times: 100)
        life.work(after: 1_000, times: 1_000)
        life.forgetFigures()
        life.work(after: 20_000, times: 100)
        #expect(life.slept == 0)
    }

    /// Looks that take as long as another thread runs: the core is wanted.
    @Test func adaptiveLeavesACoreThatOthersWant() {
        var life = Life(.adaptive)
        life.work(after: 30_000, times: 1_000)
        life.forgetFigures()
        let start = life.now
        for _ in 0..<100_000 { life.work(after: 30_000, look: 15_000) }
        #expect(life.spun * 100 < life.now - start, "less than a hundredth of the time")
        // Left alone it comes back.
        life.work(after: 30_000, times: 40_000)
        life.forgetFigures()
        life.work(after: 30_000, times: 1_000)
        #expect(life.slept == 0)
    }

    /// The instant of a pass is its beginning: long work is not the others' doing.
    @Test func longWorkIsNoTrouble() {
        var life = Life(.adaptive)
        for _ in 0..<100 { life.work(after: 20_000, taking: 300_000) }
        life.forgetFigures()
        for _ in 0..<1_000 { life.work(after: 20_000, taking: 300_000) }
        #expect(life.slept == 0)
    }

    @Test func anotherModeTakesEffectAtOnce() {
        var life = Life(.adaptive)
        life.work(after: 20_000, times: 100)
        life.policy.adopt(WaitPolicy(.sleep))
        life.forgetFigures()
        life.work(after: 20_000, times: 100)
        #expect(life.spun == 0)
        life.policy.adopt(WaitPolicy(.spin))
        life.forgetFigures()
        life.work(after: 1_000_000, times: 10)
        #expect(life.slept == 0)
    }
}
