import BrokerCore
import Bytes
import SegmentLog

/// The broker as a front shard sees it: what sessions ask is gathered during the tick and posted as one mail; effects come by mail.
///
/// When the mailbox is full the mail stays here and grows by what is still under way, while its shard receives no more.
final class RemoteBroker {
    private let link: ShardLink
    private var mail = BrokerMail()
    /// How much the last mail held, to make room for the next at once.
    private var lastEvents = 0
    private var lastBytes = 0
    /// The home shard has not taken what was posted.
    private(set) var isCongested = false
    /// The last mail was posted.
    private var hasLeft = false
    /// What the home shard was told last of this shard's figures, and when it is told again though there is nothing else to say.
    private var published = ShardCounters()
    private var nextPublication = Instant(rawValue: 0)
    private static let publicationNanoseconds: UInt64 = 100_000_000

    init(_ link: ShardLink) { self.link = link }

    func open(_ session: SessionID) { mail.events.append(.opened(session)) }
    func close(_ session: SessionID) { mail.events.append(.closed(session)) }
    func setWritable(_ session: SessionID, _ writable: Bool) { mail.events.append(.writable(session, writable)) }

    func perform(_ requests: [(id: RequestID, request: Request)], from session: SessionID, input: RawSpan) {
        guard !requests.isEmpty else { return }
        let start = mail.input.count
        if requests.contains(where: { $0.request.readsInput }) {
            if mail.input.isEmpty { mail.input.reserveCapacity(max(lastBytes, input.byteCount)) }
            mail.input.append(input)
        }
        let range = start..<mail.input.count
        if mail.events.isEmpty { mail.events.reserveCapacity(max(lastEvents, requests.count)) }
        for (id, request) in requests { mail.events.append(.request(session, id, request, input: range)) }
    }

    /// Posts what the tick has gathered, with the shard's figures; and the figures alone when they have changed for a while.
    /// Answers whether the mailbox has become full, or has room again.
    func post(_ figures: ShardFigures, at now: Instant) -> Bool {
        if !mail.events.isEmpty || (figures.counters != published && now >= nextPublication) {
            mail.figures = figures
            published = figures.counters
            nextPublication = now.advanced(byNanoseconds: RemoteBroker.publicationNanoseconds)
        }
        let wasCongested = isCongested
        post()
        return isCongested != wasCongested
    }

    /// When `post` is to be called though nothing happens. For room in a full mailbox the doorbell rings.
    func nextPost(_ counters: ShardCounters) -> Instant {
        if !mail.events.isEmpty, !isCongested { return Instant(rawValue: 0) }
        return counters == published ? .distantFuture : nextPublication
    }

    private func post() {
        guard !mail.isEmpty else { return }
        isCongested = !link.requests.put(mail)
        guard !isCongested else { return }
        // Half of the last room is kept, so that one large tick is forgotten after a few small ones.
        hasLeft = mail.isLast
        lastEvents = max(mail.events.count, lastEvents / 2)
        lastBytes = max(mail.input.count, lastBytes / 2)
        mail = BrokerMail()
    }

    /// Says that nothing more comes. False as long as the mailbox is full.
    func leave() -> Bool {
        guard !hasLeft else { return true }
        mail.isLast = true
        post()
        return hasLeft
    }

    // MARK: The other direction

    /// Whether there is mail, or room for what could not be posted: what a shard looks for before it sleeps.
    var hasWork: Bool { !link.effects.isEmpty || (isCongested && link.requests.hasRoom) }

    /// Adds what has come to `effects`; answers whether the shard is to stop, and within how many nanoseconds.
    func takeEffects(into effects: inout [Effect]) -> UInt64? {
        var stop: UInt64?
        for _ in 0..<link.effects.capacity {
            guard let mail = link.effects.take() else { break }
            if effects.isEmpty { effects = mail.effects } else { effects += mail.effects }
            stop = mail.stop ?? stop
        }
        return stop
    }
}
