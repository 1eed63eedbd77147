internal import Bytes
package import SegmentLog
package import ShardRuntime
import Synchronization
package import Wire

/// The machine under a shard, simulated in one thread: sockets to `SimulatedPeer`s, a `SimulatedDisk`, and virtual clocks.
///
/// `poll` moves time to the next thing that can happen (never behind `horizon`, where the clients want to act) and hands out what has,
/// in an order that the seed draws across sockets and storage. It watches the shard's side of the contract, too: one send at a time,
/// nothing asked of a socket that is gone, memory unchanged while a send owns it. What is wrong there is in `violations`.
///
/// Drivers of several shards of one process have sockets and operations of the disk of their own, and the same clocks.
package final class SimulatedDriver: Driver {
    package let name = "simulated"
    package let disk: SimulatedDisk
    private let share: DiskShare?
    private let clock: Clock
    package var faults: NetworkFaults
    package let trace: Trace
    /// `poll` does not move time behind this.
    package var horizon = Instant.distantFuture
    package private(set) var violations: [Violation] = []

    private var random: RandomStream
    /// What seems to pass between two looks at the clock within one pass of the loop: on some machines, so long that requests have to wait.
    private let slowness: UInt64
    private var clockReads: UInt64 = 0
    private var listeners: [Listener] = []
    private var connections: [SimulatedConnection?] = []
    private var generations: [UInt32] = []
    private var backlog: [(peer: SimulatedPeer, listener: ListenerID)] = []
    private let wakeFlag = WakeFlag()
    private let scratch = SimulatedMemory(capacity: 1 << 20)

    private struct Listener {
        let id: ListenerID
        var isPaused = false
    }

    private final class Clock {
        var now: Now
        init(_ now: Now) { self.now = now }
    }

    package convenience init(seed: Seed, disk: SimulatedDisk, faults: NetworkFaults = .none, now: Now) {
        self.init(seed, disk, nil, faults, Clock(now))
    }

    /// The drivers of `shards` shards of one process.
    package static func several(_ shards: Int, seed: Seed, disk: SimulatedDisk, faults: NetworkFaults, now: Now) -> [SimulatedDriver] {
        let clock = Clock(now)
        return (0..<shards).map { SimulatedDriver(seed.part($0), disk, DiskShare(disk, $0), faults, clock) }
    }

    private init(_ seed: Seed, _ disk: SimulatedDisk, _ share: DiskShare?, _ faults: NetworkFaults, _ clock: Clock) {
        self.disk = disk
        self.share = share
        self.faults = faults
        self.clock = clock
        trace = disk.trace
        random = seed.stream("network")
        var speed = seed.stream("speed")
        slowness = speed.chance(0.125) ? LongRequests.shareNanoseconds + 1 : 0
    }

    package var now: Now { clock.now }
    package var storage: any LogStorage { share ?? disk }
    package var waker: any Waker { wakeFlag }
    package func readClock() -> Instant {
        clockReads += 1
        return now.instant.advanced(byNanoseconds: clockReads * slowness)
    }

    // MARK: The clients' side

    /// Connects to a listener; nil when nobody listens.
    package func connect(to listener: ListenerID) -> SimulatedPeer? {
        guard listeners.contains(where: { $0.id == listener }) else { return nil }
        let peer = SimulatedPeer(window: faults.window)
        backlog.append((peer, listener))
        return peer
    }

    /// The process has ended: every peer sees its connection break.
    package func end() {
        for connection in connections { connection?.peer.reset() }
        for (peer, _) in backlog { peer.reset() }
        connections = []
        backlog = []
        listeners = []
    }

    /// Connections that were not closed.
    package var openConnections: Int { connections.reduce(0) { $0 + ($1 == nil ? 0 : 1) } }

    // MARK: Driver

    package func listen(_ address: ListenAddress, _ listener: ListenerID, _ use: PortUse) throws(DriverError) -> ListenAddress {
        listeners.append(Listener(id: listener))
        if case .tcp(let host, 0) = address { return .tcp(host: host, port: 40_000 + UInt16(listeners.count)) }
        return address
    }

    package func pause(_ listener: ListenerID) { setPaused(listener, true) }
    package func resume(_ listener: ListenerID) { setPaused(listener, false) }
    package func closeListener(_ listener: ListenerID) {
        listeners.removeAll { $0.id == listener }
        for (peer, to) in backlog where to == listener { peer.reset() }
        backlog.removeAll { $0.listener == listener }
    }

    package func startReceiving(_ socket: SocketID) {
        guard let connection = known(socket, "startReceiving") else { return }
        connection.isReceiving = true
        settle(connection)
    }

    package func stopReceiving(_ socket: SocketID) {
        guard let connection = known(socket, "stopReceiving") else { return }
        if connection.isReceiving, random.chance(faults.lateArrival) { connection.arrivesLate = true }
        connection.isReceiving = false
    }

    package func send(_ socket: SocketID, _ pieces: [OutputPiece]) -> Bool {
        guard let connection = known(socket, "send") else { return false }
        guard connection.sending == nil else {
            violated("a second send on socket \(socket.slot) while one is in flight")
            return false
        }
        guard !connection.isClosing else {
            violated("a send on socket \(socket.slot) after close")
            return false
        }
        guard pieces.contains(where: { $0.region.count > 0 }) else {
            violated("a send of nothing on socket \(socket.slot)")
            return false
        }
        var sending = SimulatedConnection.Sending(pieces.map(\.region))
        trace.note("send", socket.slot, pieces.count)
        if random.chance(faults.takesAtOnce), connection.peer.state != .broken, connection.peer.room > 0 {
            transmit(&sending, min(connection.peer.room, sending.left), connection)
        }
        settle(connection)
        guard sending.left > 0 else { return true }
        connection.sending = sending
        return false
    }

    package func close(_ socket: SocketID) {
        guard let connection = known(socket, "close") else { return }
        guard !connection.isClosing else { return violated("socket \(socket.slot) is closed twice") }
        connection.isClosing = true
        trace.note("closeSocket", socket.slot)
        settle(connection)
    }

    package func poll(until deadline: Instant, _ handler: any DriverHandler) {
        moveTime(until: deadline)
        clockReads = 0
        var ready: [Event] = []
        for (ticket, result) in disk.completions(at: now.instant, of: share) {
            ready.append(.storage(share == nil ? ticket : DiskShare.split(ticket).ticket, result))
        }
        // Operations of one disk complete in the order of its clock; sockets come in any order, and before or after.
        var sockets: [Event] = []
        for index in connections.indices { if let connection = connections[index], connection.isReady(now.instant) { sockets.append(.socket(index)) } }
        if nextInBacklog != nil { sockets.append(.accept) }
        if wakeFlag.take() { sockets.append(.wake) }
        random.shuffle(&sockets)
        let cut = random.below(ready.count + 1)
        ready.insert(contentsOf: sockets, at: cut)
        for event in ready {
            guard !disk.isDown else { return }
            switch event {
            case .storage(let ticket, let result): handler.storageCompleted(ticket, result)
            case .socket(let index): act(index, handler)
            case .accept: accept(handler)
            case .wake:
                trace.note("woken")
                handler.woken()
            }
        }
    }

    // MARK: Time

    /// Moves both clocks; used by the harness where nothing waits for anything.
    package func advance(byNanoseconds passed: UInt64) {
        let instant = now.instant.advanced(byNanoseconds: passed)
        let before = now.instant.rawValue / 1_000_000
        clock.now.instant = instant
        clock.now.time.rawValue += Int64(instant.rawValue / 1_000_000 - before)
        disk.advance(to: instant)
    }

    private func moveTime(until deadline: Instant) {
        var next = min(deadline, horizon, disk.nextCompletion)
        for connection in connections {
            if let connection, connection.canAct { next = min(next, connection.due) }
        }
        if nextInBacklog != nil || wakeFlag.isSet { next = now.instant }
        if now.instant < next, next < .distantFuture { advance(byNanoseconds: next.nanoseconds(since: now.instant)) }
        // The monotonic clock moves while work is done, however little.
        advance(byNanoseconds: 100)
        if random.chance(faults.clockJump) {
            let jump = Int64(random.within(-faults.jumpMilliseconds...faults.jumpMilliseconds))
            clock.now.time.rawValue = max(0, now.time.rawValue + jump)
            trace.fault("clockJump", "\(jump) ms")
        }
    }

    // MARK: What happens on sockets

    private enum Event {
        case storage(StorageTicket, StorageResult)
        case socket(Int)
        case accept
        case wake
    }

    private var nextInBacklog: Int? {
        backlog.firstIndex { waiting in listeners.contains { $0.id == waiting.listener && !$0.isPaused } }
    }

    private func accept(_ handler: any DriverHandler) {
        guard let index = nextInBacklog else { return }
        let listener = backlog[index].listener
        if random.chance(faults.acceptFailure) {
            setPaused(listener, true)
            trace.fault("acceptFailed", "listener \(listener.rawValue)")
            handler.acceptFailed(listener, "Too many open files (simulated)")
            return
        }
        let peer = backlog.remove(at: index).peer
        let slot = connections.firstIndex { $0 == nil } ?? connections.count
        if slot == connections.count {
            connections.append(nil)
            generations.append(0)
        }
        generations[slot] += 1
        let socket = SocketID(rawValue: UInt64(generations[slot]) << 32 | UInt64(slot))
        connections[slot] = SimulatedConnection(socket: socket, peer: peer)
        trace.note("accepted", slot, Int(generations[slot]))
        let address = PeerAddress(name: "127.0.0.1:\(50_000 + slot)", isLocal: true, host: PeerHost(ipv4: 0x7f00_0001))
        handler.accepted(socket, from: address, at: .tcp(host: "127.0.0.1", port: 40_001), on: listener)
    }

    private func act(_ index: Int, _ handler: any DriverHandler) {
        guard let connection = connections[index], connection.isReady(now.instant) else { return }
        if connection.peer.state != .broken, random.chance(faults.reset) {
            trace.fault("reset", "socket \(index)")
            connection.peer.reset()
        }
        let socket = connection.socket
        let choices = connection.choices
        guard !choices.isEmpty else { return }
        defer { settle(connection) }
        switch random.pick(choices) {
        case .closed:
            if let sending = connection.sending, !sending.isUnchanged { violated("memory changed during a send on socket \(index)") }
            connection.peer.serverEnded = true
            connections[index] = nil
            trace.note("closed", index)
            handler.closed(socket)
        case .transmit:
            transmit(connection, handler)
        case .broken:
            connection.hasDisconnected = true
            trace.note("broken", index)
            handler.disconnected(socket, .failed("Connection reset by peer (simulated)"))
        case .ended:
            connection.hasDisconnected = true
            trace.note("ended", index)
            handler.disconnected(socket, .ended)
        case .receive:
            connection.arrivesLate = false
            let count = pieceSize(connection.peer.waiting)
            let bytes = connection.peer.leave(min(count, scratch.capacity))
            scratch.write(bytes, at: 0)
            trace.note("received", index, bytes.count, Int(CRC32C.checksum(bytes.rawSpan)))
            scratch.lend(0..<bytes.count) { handler.received(socket, $0) }
            // Whoever kept the span reads nonsense from now on.
            scratch.fill(0..<bytes.count, with: 0xa5)
        }
    }

    private func transmit(_ connection: SimulatedConnection, _ handler: any DriverHandler) {
        guard var sending = connection.sending else { return }
        guard sending.isUnchanged else {
            connection.sending = nil
            return violated("memory changed during a send on socket \(connection.socket.slot)")
        }
        transmit(&sending, pieceSize(min(connection.peer.room, sending.left)), connection)
        connection.sending = sending.left > 0 ? sending : nil
        if sending.left == 0 { handler.sent(connection.socket) }
    }

    private func transmit(_ sending: inout SimulatedConnection.Sending, _ count: Int, _ connection: SimulatedConnection) {
        let bytes = sending.next(count)
        connection.peer.arrive(bytes)
        trace.note("transmitted", connection.socket.slot, bytes.count, Int(CRC32C.checksum(bytes.rawSpan)))
    }

    private func pieceSize(_ limit: Int) -> Int {
        guard limit > 1 else { return limit }
        if random.chance(faults.oneByte) { return 1 }
        return random.chance(faults.anySize) ? 1 + random.below(limit) : limit
    }

    /// Draws when the connection's next event is due.
    private func settle(_ connection: SimulatedConnection) {
        connection.due = now.instant.advanced(byNanoseconds: UInt64(random.below(faults.latency + 1)))
    }

    private func known(_ socket: SocketID, _ verb: StaticString) -> SimulatedConnection? {
        guard socket.slot < connections.count, let connection = connections[socket.slot], connection.socket == socket else {
            violated("\(verb) on socket \(socket.slot), generation \(socket.rawValue >> 32), which is gone")
            return nil
        }
        return connection
    }

    private func setPaused(_ listener: ListenerID, _ isPaused: Bool) {
        if let index = listeners.firstIndex(where: { $0.id == listener }) { listeners[index].isPaused = isPaused }
    }

    private func violated(_ text: String) { violations.append(Violation(.contract, text)) }
}

/// The server's end of a connection, and what is under way on it.
final class SimulatedConnection {
    let socket: SocketID
    let peer: SimulatedPeer
    var isReceiving = false
    var arrivesLate = false
    var isClosing = false
    var hasDisconnected = false
    var sending: Sending?
    var due = Instant(nanoseconds: 0)

    enum Choice { case closed, transmit, broken, ended, receive }

    struct Sending {
        private let pieces: [MemoryRegion]
        private let checksums: [UInt32]
        private var piece = 0
        private var position = 0
        private(set) var left: Int

        init(_ pieces: [MemoryRegion]) {
            self.pieces = pieces
            checksums = pieces.map(\.checksum)
            left = pieces.reduce(0) { $0 + $1.count }
        }

        /// The memory belongs to the send; nobody may have written to it.
        var isUnchanged: Bool { zip(pieces, checksums).allSatisfy { $0.checksum == $1 } }

        mutating func next(_ count: Int) -> [UInt8] {
            var bytes: [UInt8] = []
            while bytes.count < count {
                let rest = pieces[piece].dropping(position)
                let part = MemoryRegion(address: rest.address, count: min(rest.count, count - bytes.count))
                bytes += part.copied()
                position += part.count
                if position == pieces[piece].count {
                    piece += 1
                    position = 0
                }
            }
            left -= count
            return bytes
        }
    }

    init(socket: SocketID, peer: SimulatedPeer) {
        self.socket = socket
        self.peer = peer
    }

    var choices: [Choice] {
        if isClosing { return [.closed] }
        var choices: [Choice] = []
        if peer.state == .broken {
            if !hasDisconnected, isReceiving || sending != nil { choices.append(.broken) }
            return choices
        }
        if sending != nil, peer.room > 0 { choices.append(.transmit) }
        if isReceiving || arrivesLate {
            if peer.waiting > 0 { choices.append(.receive) } else if peer.state == .finished, !hasDisconnected { choices.append(.ended) }
        }
        return choices
    }

    var canAct: Bool { !choices.isEmpty }
    func isReady(_ instant: Instant) -> Bool { canAct && due <= instant }
}

/// Set from any thread, taken by the driver's.
final class WakeFlag: Waker {
    private let flag = Atomic<Bool>(false)
    func wake() { flag.store(true, ordering: .releasing) }
    var isSet: Bool { flag.load(ordering: .acquiring) }
    func take() -> Bool { flag.exchange(false, ordering: .acquiringAndReleasing) }
}
