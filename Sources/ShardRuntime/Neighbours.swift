import BrokerCore
import Mutants
import SegmentLog

/// The other shards as one shard sees them: carries the mail between its switchboard and theirs, one envelope for each tick, direction
/// and pair.
///
/// What a full mailbox does not take waits here: requests are bounded because their shard receives no more meanwhile, effects by what
/// consumers have of credit and sessions of unanswered requests.
final class Neighbours {
    let board: Switchboard
    private var others: [Other]
    /// How often a mailbox was full.
    private(set) var mailboxFull: UInt64 = 0

    private struct Other {
        let link: ShardLink
        /// It has not taken what was posted.
        var isBlocked = false
        /// What it is to be told beside the mail.
        var farewell = Farewell()
        /// Its last session is gone.
        var hasLeft = false
    }

    init(_ board: Switchboard, _ links: [ShardLink]) {
        self.board = board
        others = links.map { Other(link: $0) }
    }

    var isCongested: Bool { others.contains(where: \.isBlocked) }
    /// Whether every other shard has closed its last session.
    var haveLeft: Bool { others.allSatisfy(\.hasLeft) }
    /// Whether everything that there was to say is said.
    var isSilent: Bool { !board.hasMail && others.allSatisfy { $0.farewell.isEmpty } }

    /// Whether there is mail, something to pass on, or room for what could not be posted: what a shard looks for before it sleeps.
    var hasWork: Bool {
        board.hasEffects
            || others.contains { other in
                !other.link.arriving.isEmpty || (hasPost(other) && (!other.isBlocked || other.link.leaving.hasRoom))
            }
    }

    private func hasPost(_ other: Other) -> Bool { board.hasMail(for: other.link.shard) || !other.farewell.isEmpty }

    /// Carries out what has come; answers whether there was something to do, and whether the shard is to stop, within how long.
    func takeMail(now: Now) -> (hadWork: Bool, stop: UInt64?) {
        var hadWork = false
        var stop: UInt64?
        for index in others.indices {
            let link = others[index].link
            // Not more than was there: the others, and this shard's own connections, have their turn.
            for _ in 0..<link.arriving.capacity {
                guard let mail = link.arriving.take() else { break }
                if mail.farewell.isLast { others[index].hasLeft = true }
                stop = mail.farewell.stop ?? stop
                if board.take(mail.broker, from: link.shard, now: now) { hadWork = true }
            }
        }
        return (hadWork, stop)
    }

    /// Posts what waits. Answers whether this shard is to receive less, or may receive more, than before.
    @discardableResult func post() -> Bool {
        let wasCongested = isCongested
        for index in others.indices where hasPost(others[index]) {
            let (link, farewell) = (others[index].link, others[index].farewell)
            let isTaken = board.post(to: link.shard) { link.leaving.put(ShardMail(broker: $0, farewell: farewell)) }
            if isTaken { others[index].farewell = Farewell() } else if !others[index].isBlocked { mailboxFull += 1 }
            if !isTaken, Mutant.isActive("losesMailWhenFull") { _ = board.post(to: link.shard) { _ in true } }
            others[index].isBlocked = !isTaken
        }
        return wasCongested != isCongested
    }

    /// The broker has failed: all are to stop.
    func stop(within nanoseconds: UInt64) { for index in others.indices { others[index].farewell.stop = nanoseconds } }

    /// This shard's last session is gone.
    func leave() { for index in others.indices { others[index].farewell.isLast = true } }
}
