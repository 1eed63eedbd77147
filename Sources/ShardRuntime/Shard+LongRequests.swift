import BrokerCore
import Containers
import Mutants
import SegmentLog
import Wire

/// Requests that may take long, such as those about all partitions of a topic: one tick has time for one of them and for what is done
/// within `shareNanoseconds` behind it. The others stay unread, and their connections take turns, so that whoever asks for a thousand
/// keeps nobody waiting for all of them.
package struct LongRequests: ~Copyable {
    package static let shareNanoseconds: UInt64 = 2_000_000

    /// In this tick there is no time for more.
    var isLate = false
    /// When the first of this tick was done.
    var since: Instant?
    /// In the order in which they get their turn; exactly those with `isPostponed`, each once.
    var postponed = RingQueue<Connection>()
    var areWaiting: Bool { !postponed.isEmpty }
}

extension Shard {
    /// A session has stopped at a long request, or behind one: whether it may go on at once. If not, it goes on in a later tick.
    func goesOn(_ connection: Connection) -> Bool {
        guard longRequests.isLate else {
            let clock = driver.readClock()
            if let since = longRequests.since {
                longRequests.isLate = clock.nanoseconds(since: since) > LongRequests.shareNanoseconds
            } else {
                longRequests.since = clock
            }
            return true
        }
        if !connection.isPostponed {
            connection.isPostponed = true
            longRequests.postponed.append(connection)
            counters.longRequestsPostponed += 1
        }
        return false
    }

    /// Begins a tick: those who had to wait come first, each in its turn.
    func resumePostponed() {
        longRequests.isLate = false
        longRequests.since = nil
        for _ in 0..<longRequests.postponed.count {
            guard !longRequests.isLate, let connection = longRequests.postponed.popFirst() else { return }
            connection.isPostponed = false
            wasBusy = true
            if Mutant.isActive("forgetsPostponedRequests") { continue }
            resume(connection, driver.now)
        }
    }
}

extension Connection {
    /// What was left unread is still carried out when its peer has ended: it waits for nothing that the peer would have to do.
    var goesOnAlone: Bool { session.isLookingUp || session.isPausing }
}
