import BrokerCore
import Bytes
import SegmentLog

/// The front shards as the home shard sees them: carries out what they ask of the broker, and posts them their effects.
///
/// A front shard whose mailbox is full has its effects wait here. They are bounded by what its consumers have of credit and its
/// sessions of unanswered requests.
final class FrontShards {
    private struct Front {
        let link: ShardLink
        var mail = EffectMail()
        var isBlocked = false
        var lastEffects = 0
        var figures = ShardFigures()
        var hasLeft = false
    }

    /// By their shards' numbers, from 1.
    private var fronts: [Front]
    /// How often a mailbox was full.
    private(set) var mailboxFull: UInt64 = 0

    init(_ links: [ShardLink]) { fronts = links.map { Front(link: $0) } }

    var figures: [ShardFigures] { fronts.map(\.figures) }
    /// Whether every front shard has closed its last session and gone.
    var haveLeft: Bool { fronts.allSatisfy(\.hasLeft) }
    /// Whether there is mail, or room for what could not be posted: what a shard looks for before it sleeps.
    var hasWork: Bool { fronts.contains { !$0.link.requests.isEmpty || ($0.isBlocked && $0.link.effects.hasRoom) } }

    /// Carries out what has come; answers whether there was something to do.
    func takeMail(_ broker: Broker, now: Now) -> Bool {
        var hadWork = false
        for number in fronts.indices {
            let requests = fronts[number].link.requests
            // Not more than was there: the others, and this shard's own connections, have their turn.
            for _ in 0..<requests.capacity {
                guard let mail = requests.take() else { break }
                if let figures = mail.figures { fronts[number].figures = figures }
                fronts[number].hasLeft = mail.isLast
                hadWork = hadWork || !mail.events.isEmpty
                carryOut(mail, broker, now)
            }
        }
        return hadWork
    }

    private func carryOut(_ mail: BrokerMail, _ broker: Broker, _ now: Now) {
        let bytes = mail.input.rawSpan
        for event in mail.events {
            switch event {
            case .opened(let session): broker.open(session)
            case .closed(let session): broker.close(session, now: now)
            case .writable(let session, let writable): broker.setWritable(session, writable)
            case .request(let session, let id, let request, let input):
                broker.perform(request, id, from: session, input: bytes.extracting(input), now: now)
            }
        }
    }

    /// Moves the effects that are for other shards out of `effects`.
    /// - Parameter figures: what all shards add to the broker's own.
    func sort(_ effects: inout [Effect], figures: () -> [Statistic]) {
        var kept = 0
        for index in effects.indices {
            let shard = effects[index].session.shard
            guard shard > 0 else {
                if kept < index { effects[kept] = effects[index] }
                kept += 1
                continue
            }
            if case .respond(let session, let id, .statistics(let own)) = effects[index] {
                add(.respond(session, id, .statistics(own + figures())), to: shard)
            } else {
                add(effects[index], to: shard)
            }
        }
        effects.removeSubrange(kept...)
    }

    private func add(_ effect: Effect, to shard: Int) {
        let number = shard - 1
        if fronts[number].mail.effects.isEmpty { fronts[number].mail.effects.reserveCapacity(fronts[number].lastEffects) }
        fronts[number].mail.effects.append(effect)
    }

    /// The broker has failed: all are to stop.
    func stop(within nanoseconds: UInt64) {
        for number in fronts.indices { fronts[number].mail.stop = nanoseconds }
        post()
    }

    /// Posts what waits. Once per tick.
    func post() {
        for number in fronts.indices where !fronts[number].mail.isEmpty {
            if !fronts[number].hasLeft, !fronts[number].link.effects.put(fronts[number].mail) {
                if !fronts[number].isBlocked { mailboxFull += 1 }
                fronts[number].isBlocked = true
                continue
            }
            fronts[number].isBlocked = false
            fronts[number].lastEffects = max(fronts[number].mail.effects.count, fronts[number].lastEffects / 2)
            fronts[number].mail = EffectMail()
        }
    }
}
