package import SegmentLog

/// What a shard that has nothing to do does next: looks again at once, or sleeps until something wakes it. Passes of the loop go in,
/// the decision comes out.
///
/// `adaptive` asks of every stretch without work whether looking through it would have paid, whatever it did: work that came within the
/// budget says yes, later work no (and what was there at once, nothing). A look that pays saves about a wake-up, one that does not costs the whole budget, so three of four
/// have to pay. A pass that took much longer than a look takes says that the core was wanted by somebody else: then the shard sleeps
/// for a while, each time for longer, until it is left alone again. A broker at rest only ever sleeps.
package struct WaitPolicy: Sendable {
    package enum Mode: String, Sendable, CaseIterable {
        /// Never looks without need.
        case sleep
        /// Looks for at most the budget after work, as long as that pays.
        case adaptive
        /// Never sleeps.
        case spin
    }

    package var mode: Mode
    /// How long `adaptive` looks at most.
    package var budgetNanoseconds: UInt64

    /// When the last work was done.
    private var idleSince = Instant(rawValue: 0)
    /// The last look that found nothing, while it spun; nil when it slept, or worked, since.
    private var looked: Instant?
    /// What looking has paid lately.
    private var credit = 0
    /// Nothing is looked for until then.
    private var restUntil = Instant(rawValue: 0)
    private var rest = WaitPolicy.restLeast
    /// Stretches that paid since the core was last wanted by somebody else.
    private var untroubled = 0

    /// What comes so soon is there without looking for it.
    private static let atOnceNanoseconds: UInt64 = 5_000
    private static let creditMost = 32
    private static let creditToSpin = 16
    private static let missCost = 3
    /// A look takes less than a microsecond.
    private static let troubleNanoseconds: UInt64 = 10_000
    private static let restLeast: UInt64 = 1_000_000
    private static let restMost: UInt64 = 1_000_000_000
    private static let untroubledEnough = 256

    package init(_ mode: Mode = .sleep, budgetNanoseconds: UInt64 = 50_000) {
        self.mode = mode
        self.budgetNanoseconds = budgetNanoseconds
    }

    /// Takes over another mode and budget, and keeps what it knows.
    package mutating func adopt(_ other: WaitPolicy) {
        mode = other.mode
        budgetNanoseconds = other.budgetNanoseconds
    }

    /// A pass found work at `start` and was done with it at `end`.
    package mutating func worked(from start: Instant, until end: Instant) {
        guard mode == .adaptive else { return }
        noteTrouble(until: start)
        let gap = start.nanoseconds(since: idleSince)
        if gap < WaitPolicy.atOnceNanoseconds {
            // The ends of its own sends, mostly: nobody would have slept.
        } else if gap <= budgetNanoseconds {
            credit = min(WaitPolicy.creditMost, credit + 1)
            if looked != nil { untroubled += 1 }
            if untroubled == WaitPolicy.untroubledEnough { rest = WaitPolicy.restLeast }
        } else {
            credit = max(0, credit - WaitPolicy.missCost)
        }
        idleSince = end
        looked = nil
    }

    /// There is nothing to do at `now`: whether to look again at once.
    package mutating func looksAgain(at now: Instant) -> Bool {
        switch mode {
        case .sleep: return false
        case .spin: return true
        case .adaptive: break
        }
        noteTrouble(until: now)
        guard credit >= WaitPolicy.creditToSpin, now.nanoseconds(since: idleSince) < budgetNanoseconds, now >= restUntil else {
            looked = nil
            return false
        }
        // Work may have taken long behind the instant at which it was found.
        looked = max(now, idleSince)
        return true
    }

    private mutating func noteTrouble(until now: Instant) {
        guard let looked, now.nanoseconds(since: looked) > WaitPolicy.troubleNanoseconds else { return }
        restUntil = now.advanced(byNanoseconds: rest)
        rest = min(WaitPolicy.restMost, rest * 2)
        untroubled = 0
        self.looked = nil
    }
}
