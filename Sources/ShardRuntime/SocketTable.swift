internal import IOUring
internal import LinuxSystem

/// One connection as a driver sees it. Its place is used again by later connections, each with a generation of its own.
///
///     open --close()--> closing --nothing in flight--> closed (free)
final class SocketSlot {
    let index: UInt32
    var generation: UInt32 = 0
    var socket = Socket(descriptor: -1)
    /// Operations that the kernel has not let go of.
    var inFlight = 0
    /// What is being sent; nil when nothing is.
    var sending: Transmission?
    var wantsInput = false
    /// A receive is armed in the kernel (ring), or the poller watches for input or room (epoll).
    var isReceiving = false
    var isCancelling = false
    /// The peer's end was reported.
    var hasEnded = false
    /// A failure was reported: nothing more is sent or received.
    var hasFailed = false
    var isClosing = false
    /// What the poller watches for (epoll).
    var watched: Poller.Interest = []

    init(index: UInt32) { self.index = index }

    var id: SocketID { SocketID(rawValue: UInt64(generation) << 32 | UInt64(index)) }
    func operation(_ kind: OperationKind) -> OperationID { OperationID(kind: kind.rawValue, generation: generation, slot: index) }
    var canReceive: Bool { wantsInput && !isReceiving && !hasEnded && !hasFailed && !isClosing }
}

/// What the first byte of an operation's id says.
enum OperationKind: UInt8 {
    /// Whose completion changes nothing: cancellations.
    case ignored = 0
    case accept = 1
    case receive = 2
    /// The socket takes more of what is being sent.
    case room = 3
    /// The cancellation of everything on a closing socket.
    case close = 4
    case wake = 5
    case sync = 6
}

/// The connections of one driver.
struct SocketTable {
    private(set) var slots: [SocketSlot] = []
    private var free: [UInt32] = []

    mutating func add(_ socket: Socket) -> SocketSlot {
        let slot: SocketSlot
        if let index = free.popLast() {
            slot = slots[Int(index)]
        } else {
            slot = SocketSlot(index: UInt32(slots.count))
            slots.append(slot)
        }
        slot.socket = socket
        return slot
    }

    /// The slot of a live connection.
    subscript(_ id: SocketID) -> SocketSlot? { find(UInt32(truncatingIfNeeded: id.rawValue), UInt32(truncatingIfNeeded: id.rawValue >> 32)) }
    subscript(_ id: OperationID) -> SocketSlot? { find(id.slot, id.generation) }

    private func find(_ index: UInt32, _ generation: UInt32) -> SocketSlot? {
        guard Int(index) < slots.count else { return nil }
        let slot = slots[Int(index)]
        return slot.generation == generation && slot.socket.descriptor >= 0 ? slot : nil
    }

    /// Makes the place free for another; its old ids hit nothing from now on.
    mutating func release(_ slot: SocketSlot) {
        precondition(slot.inFlight == 0)
        slot.generation = (slot.generation &+ 1) & 0xff_ffff
        slot.socket = Socket(descriptor: -1)
        slot.sending = nil
        slot.wantsInput = false
        slot.isReceiving = false
        slot.isCancelling = false
        slot.hasEnded = false
        slot.hasFailed = false
        slot.isClosing = false
        slot.watched = []
        free.append(slot.index)
    }
}

/// Something to say in the next `poll` that no operation of the kernel stands for.
enum Deferred {
    case failed(SocketID, Errno)
    case closed(SocketID)
}
