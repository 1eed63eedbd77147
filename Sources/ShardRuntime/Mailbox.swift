internal import RingBuffers
internal import Synchronization

/// Wakes one shard, at the price of an atomic exchange while it is awake and of a system call only when it sleeps.
///
/// The shard says that it falls asleep, *then* looks once more for what it would sleep through; others do something to look at, *then*
/// ring. All are exchanges of one flag: whichever comes second sees what the first did before, so either the shard finds what there is,
/// or who rings finds the sleeper.
final class Doorbell: Sendable {
    private let isAsleep = Atomic<Bool>(false)
    private let waker: any Waker

    init(_ waker: any Waker) { self.waker = waker }

    /// The shard's verbs.
    func fallAsleep() { _ = isAsleep.exchange(true, ordering: .acquiringAndReleasing) }
    func wakeUp() { _ = isAsleep.exchange(false, ordering: .acquiringAndReleasing) }

    /// Everybody else's: there is something to look at.
    func ring() {
        if isAsleep.exchange(false, ordering: .acquiringAndReleasing) { waker.wake() }
    }
}

/// One direction between two shards. One of them puts, the other takes.
///
/// Full is an answer: who puts keeps the mail, and its shard is woken when there is room.
final class Mailbox<Mail: Sendable>: Sendable {
    private let ring: SPSCRingBuffer<Mail>
    private let sender: Doorbell
    private let receiver: Doorbell
    private let isSenderWaiting = Atomic<Bool>(false)

    init(capacity: Int, from sender: Doorbell, to receiver: Doorbell) {
        ring = SPSCRingBuffer(capacity: capacity)
        self.sender = sender
        self.receiver = receiver
    }

    var capacity: Int { ring.capacity }

    /// False when the mailbox is full: keep the mail, and try again when there is room. The sender's shard is woken for that, if it
    /// has looked at `hasRoom` between falling asleep and sleeping.
    func put(_ mail: Mail) -> Bool {
        var isTaken = ring.push(mail)
        if !isTaken {
            // As with a doorbell: say that one waits, then look once more.
            _ = isSenderWaiting.exchange(true, ordering: .acquiringAndReleasing)
            isTaken = ring.push(mail)
        }
        if isTaken { receiver.ring() }
        return isTaken
    }

    func take() -> Mail? {
        guard let mail = ring.pop() else { return nil }
        if isSenderWaiting.exchange(false, ordering: .acquiringAndReleasing) { sender.ring() }
        return mail
    }

    /// Exact for who takes.
    var isEmpty: Bool { ring.isEmpty }
    /// Exact for who puts.
    var hasRoom: Bool { ring.count < ring.capacity }
}
