internal import Bytes
internal import Containers
internal import IOUring
internal import LinuxSystem
package import SegmentLog
package import Wire

/// The driver over io_uring: multishot accepts and receives into shared buffers, one send in flight per socket.
///
/// Made on the thread of its shard. Every operation is known by kind, place and generation, so a completion for a connection that
/// is gone hits nothing. A socket is closed only after its last operation has ended (U3), and only then is its id free.
@safe
package final class IOUringDriver: Driver {
    package let name = "io_uring"
    package private(set) var now: Now
    package var storage: any LogStorage { files }
    package var waker: any Waker { eventWaker }

    /// How often completions did not fit the ring's queue: it should stay 0.
    package var overflows: Int { ring.overflows }

    private let ring: Ring
    private let buffers: BufferRing
    private let features: KernelFeatures
    /// 0 where it is off, or the kernel cannot.
    private let minimumWait: UInt32
    private let options: DriverOptions
    private let eventWaker: EventWaker
    // Safety: eight bytes for the eventfd's count, the kernel's while the read is armed; freed after the ring was drained.
    private let wakeCount: UnsafeMutableRawBufferPointer
    private let flusher: RingFlusher
    private let files: LinuxStorage

    private var sockets = SocketTable()
    private var listeners: [ListeningSocket?] = []
    private var deferred: [Deferred] = []
    private var delivering: [Deferred] = []
    private var transmissions: [Transmission] = []
    /// Connections whose receives have ended in this poll: those that found no buffer, and those that filled theirs, so that more is there.
    private var starved: [SocketSlot] = []
    private var served: [SocketSlot] = []
    /// Each connection is given one buffer at a time, for now.
    private var takesTurns = false

    /// A multishot receive takes up to 32 buffers in a row (Linux's MULTISHOT_MAX_RETRY). For a few connections the ring has as many; when
    /// more of them pour, most wait for several passes of the loop, and a small request of somebody else stands behind them all (measured
    /// with 40: a third of a second of the shard's time).
    private static let pouringAtOnce = 4

    package convenience init(_ options: DriverOptions = DriverOptions()) throws(DriverError) {
        try self.init(options, features: options.plainRing ? .plain : .current)
    }

    init(_ options: DriverOptions, features: KernelFeatures) throws(DriverError) {
        if let missing = features.reasonAgainstRing { throw DriverError(operation: "io_uring", code: 0, reason: missing) }
        self.options = options
        self.features = features
        minimumWait = features.minimumWait ? options.minimumWaitMicroseconds : 0
        (ring, buffers, eventWaker) = try driving("io_uring") { () throws(Errno) in
            var wanted = Ring.Options()
            wanted.setup = features.setup
            let ring = try Ring(wanted)
            let buffers = try BufferRing(ring, group: 1, count: options.receiveBuffers, bytesEach: options.receiveBufferBytes)
            return (ring, buffers, try EventWaker(.blocking))
        }
        flusher = RingFlusher(ring)
        let (waker, flusher) = (eventWaker, flusher)
        files = try driving("eventfd") { () throws(Errno) in try LinuxStorage(waker: waker, flusher: flusher) }
        unsafe wakeCount = .allocate(byteCount: 8, alignment: 8)
        now = Now(instant: Instant(nanoseconds: Clock.monotonic), time: Timestamp(milliseconds: Clock.realtimeMilliseconds))
        armWaker()
    }

    deinit {
        // Memory goes only after the kernel has let go of it. A sync in flight cannot be cancelled, so this waits for the disk.
        let drained = ring.drain(nanoseconds: 30_000_000_000) { completion in
            if completion.id.kind == OperationKind.accept.rawValue, completion.result >= 0 { Socket(descriptor: completion.result).close() }
        }
        for slot in sockets.slots where slot.socket.descriptor >= 0 { slot.socket.close() }
        for case let listener? in listeners { listener.close() }
        if drained { unsafe wakeCount.deallocate() }
    }

    package func readClock() -> Instant { Instant(nanoseconds: Clock.monotonic) }

    // MARK: Listeners

    package func listen(_ address: ListenAddress, _ listener: ListenerID, _ use: PortUse) throws(DriverError) -> ListenAddress {
        let opened = try ListeningSocket(address, listener, index: UInt32(listeners.count), use, options: options)
        listeners.append(opened)
        armAccept(opened)
        return opened.address
    }

    package func pause(_ listener: ListenerID) {
        guard let found = find(listener) else { return }
        found.wantsConnections = false
        cancelAccept(found)
    }

    package func resume(_ listener: ListenerID) {
        guard let found = find(listener) else { return }
        found.wantsConnections = true
        armAccept(found)
    }

    package func closeListener(_ listener: ListenerID) {
        guard let found = find(listener) else { return }
        found.isClosing = true
        if found.isAccepting { cancelAccept(found) } else { release(found) }
    }

    private func find(_ id: ListenerID) -> ListeningSocket? {
        for case let listener? in listeners where listener.id == id && !listener.isClosing { return listener }
        return nil
    }

    private func armAccept(_ listener: ListeningSocket) {
        guard listener.canAccept else { return }
        listener.isAccepting = true
        ring.accept(listener.socket, multishot: features.multishotAccept, id: listener.operation)
    }

    private func cancelAccept(_ listener: ListeningSocket) {
        guard listener.isAccepting, !listener.isCancelling else { return }
        listener.isCancelling = true
        ring.cancel(listener.operation, id: ignoredOperation)
    }

    private func release(_ listener: ListeningSocket) {
        listener.close()
        listeners[Int(listener.index)] = nil
    }

    // MARK: Connections

    package func startReceiving(_ socket: SocketID) {
        guard let slot = sockets[socket] else { return }
        slot.wantsInput = true
        armReceive(slot)
    }

    package func stopReceiving(_ socket: SocketID) {
        guard let slot = sockets[socket] else { return }
        slot.wantsInput = false
        guard slot.isReceiving, !slot.isCancelling, !slot.isClosing else { return }
        slot.isCancelling = true
        ring.cancel(slot.operation(.receive), id: ignoredOperation)
    }

    package func send(_ socket: SocketID, _ pieces: [OutputPiece]) -> Bool {
        guard let slot = sockets[socket], !slot.isClosing, !slot.hasFailed else { return false }
        precondition(slot.sending == nil, "one send at a time for each socket")
        var sent = 0
        do throws(Errno) { sent = try slot.socket.sendAtOnce(pieces) } catch {
            deferred.append(.failed(socket, error))
            return false
        }
        if sent > 0, sent == pieces[0].region.count { return true }
        let transmission = transmissions.popLast() ?? Transmission()
        transmission.load(pieces)
        if sent > 0 { transmission.advance(by: sent) }
        slot.sending = transmission
        switch push(slot, transmission) {
        case .done:
            recycle(slot)
            return true
        case .waiting: break
        case .failed(let error): deferred.append(.failed(socket, error))
        }
        return false
    }

    package func send(_ socket: SocketID, _ bytes: RawSpan, carrying descriptor: Int32) -> Bool {
        guard let slot = sockets[socket], !slot.isClosing, !slot.hasFailed, slot.sending == nil else { return false }
        do throws(Errno) { try slot.socket.send(bytes, carrying: File(descriptor: descriptor)) } catch { return false }
        return true
    }

    package func bytesTaken(_ socket: SocketID) -> UInt64? { sockets[socket].flatMap(\.socket.bytesTaken) }

    package func close(_ socket: SocketID) {
        guard let slot = sockets[socket], !slot.isClosing else { return }
        slot.isClosing = true
        slot.wantsInput = false
        if slot.inFlight == 0 {
            deferred.append(.closed(socket))
        } else {
            slot.inFlight += 1
            ring.cancelAll(on: slot.socket, id: slot.operation(.close))
        }
    }

    private func armReceive(_ slot: SocketSlot) {
        guard slot.canReceive else { return }
        slot.isReceiving = true
        slot.inFlight += 1
        ring.receive(slot.socket, buffers, multishot: features.multishotReceive && !takesTurns, id: slot.operation(.receive))
    }

    /// Who had something comes again behind those that had nothing.
    private func armPouring() {
        takesTurns = starved.count + served.count > Self.pouringAtOnce
        guard !starved.isEmpty || !served.isEmpty else { return }
        for slot in starved { armReceive(slot) }
        for slot in served { armReceive(slot) }
        starved.empty()
        served.empty()
    }

    private enum Pushed {
        case done, waiting
        case failed(Errno)
    }

    /// Sends on, by calls that do not wait (decision 0012); where the socket takes no more, the ring says when it does.
    private func push(_ slot: SocketSlot, _ transmission: Transmission) -> Pushed {
        do throws(Errno) {
            while !transmission.isEmpty {
                transmission.advance(by: try slot.socket.sendNext(of: transmission))
            }
            return .done
        } catch .wouldBlock {
            slot.inFlight += 1
            ring.awaitRoom(on: slot.socket, id: slot.operation(.room))
            return .waiting
        } catch {
            return .failed(error)
        }
    }

    private func armWaker() {
        // Safety: see `wakeCount`.
        let id = OperationID(kind: OperationKind.wake.rawValue, generation: 0, slot: 0)
        unsafe ring.read(File(descriptor: eventWaker.counter.descriptor), into: wakeCount, at: 0, id: id)
    }

    private var ignoredOperation: OperationID { OperationID(kind: OperationKind.ignored.rawValue, generation: 0, slot: 0) }

    // MARK: The loop

    package func poll(until deadline: Instant, _ handler: any DriverHandler) {
        do {
            try waitOrLook(until: deadline)
        } catch {
            // Entering the ring fails for faults of this program only (another thread, a closed ring); nothing sensible is left.
            fatalError("io_uring_enter: \(error)")
        }
        now = Now(instant: readClock(), time: Timestamp(milliseconds: Clock.realtimeMilliseconds))
        deliverDeferred(handler)
        // What arrives while this is handed out waits for the next call, so that the shard gets its turn.
        var budget = ring.readyCount
        while budget > 0, let completion = ring.take() {
            dispatch(completion, handler)
            budget -= 1
        }
        armPouring()
    }

    private func waitOrLook(until deadline: Instant) throws(Errno) {
        guard deferred.isEmpty, !ring.hasCompletions, deadline > now.instant else { return try ring.look() }
        if deadline == .distantFuture { return try ring.wait(nanoseconds: .max, minimumMicroseconds: minimumWait) }
        let rest = deadline.nanoseconds(since: readClock())
        if rest == 0 { return try ring.look() }
        try ring.wait(nanoseconds: rest, minimumMicroseconds: minimumWait)
    }

    private func deliverDeferred(_ handler: any DriverHandler) {
        guard !deferred.isEmpty else { return }
        swap(&deferred, &delivering)
        for each in delivering {
            switch each {
            case .failed(let id, let error):
                guard let slot = sockets[id] else { continue }
                fail(slot, error, handler)
            case .closed(let id):
                guard let slot = sockets[id] else { continue }
                finish(slot, handler)
            }
        }
        delivering.empty()
    }

    private func dispatch(_ completion: Completion, _ handler: any DriverHandler) {
        switch OperationKind(rawValue: completion.id.kind) {
        case .receive: received(completion, handler)
        case .room: hasRoom(completion, handler)
        case .accept: accepted(completion, handler)
        case .close: cancelled(completion, handler)
        case .wake:
            eventWaker.acknowledge()
            armWaker()
            for (ticket, result) in files.takeCompleted() { handler.storageCompleted(ticket, result) }
            handler.woken()
        case .sync:
            if let (ticket, result) = flusher.completed(completion) { handler.storageCompleted(ticket, result) }
        case .ignored, nil: break
        }
    }

    private func received(_ completion: Completion, _ handler: any DriverHandler) {
        guard let slot = sockets[completion.id] else {
            if let buffer = completion.buffer { buffers.recycle(buffer) }
            return
        }
        if !completion.hasMore {
            slot.isReceiving = false
            slot.isCancelling = false
            slot.inFlight -= 1
        }
        if let buffer = completion.buffer {
            if completion.result > 0, !slot.isClosing, !slot.hasFailed {
                let buffers = buffers
                handler.received(slot.id, buffers.bytes(buffer, Int(completion.result)))
            }
            buffers.recycle(buffer)
        }
        if completion.result == 0 {
            end(slot, handler)
        } else if let error = completion.error {
            switch error {
            // Cancelled by `stopReceiving`, or out of buffers for a moment: neither is the connection's fault (U4).
            case .cancelled, .noBuffers, .interrupted, .wouldBlock: break
            default: fail(slot, error, handler)
            }
        }
        guard !completion.hasMore else { return }
        if slot.isClosing {
            finishIfIdle(slot, handler)
        } else if completion.error == .noBuffers {
            starved.append(slot)
        } else if completion.result == buffers.bytesEach {
            served.append(slot)
        } else {
            armReceive(slot)
        }
    }

    /// What became of waiting for room shows when it is used.
    private func hasRoom(_ completion: Completion, _ handler: any DriverHandler) {
        guard let slot = sockets[completion.id], let transmission = slot.sending else { return }
        slot.inFlight -= 1
        if slot.isClosing { return finishIfIdle(slot, handler) }
        sendOn(slot, transmission, handler)
    }

    private func sendOn(_ slot: SocketSlot, _ transmission: Transmission, _ handler: any DriverHandler) {
        switch push(slot, transmission) {
        case .done:
            recycle(slot)
            handler.sent(slot.id)
        case .waiting: break
        case .failed(let error): fail(slot, error, handler)
        }
    }

    private func accepted(_ completion: Completion, _ handler: any DriverHandler) {
        let index = Int(completion.id.slot)
        guard index < listeners.count, let listener = listeners[index] else {
            if completion.result >= 0 { Socket(descriptor: completion.result).close() }
            return
        }
        if !completion.hasMore {
            listener.isAccepting = false
            listener.isCancelling = false
        }
        if let error = completion.error {
            if !listener.isClosing, let reason = ListeningSocket.reasonToPause(error) {
                listener.wantsConnections = false
                handler.acceptFailed(listener.id, reason)
            }
        } else if listener.isClosing {
            Socket(descriptor: completion.result).close()
        } else {
            let socket = Socket(descriptor: completion.result)
            handler.accepted(sockets.add(socket).id, from: listener.peer(of: socket), at: listener.address(of: socket), on: listener.id)
        }
        guard !listener.isAccepting else { return }
        if listener.isClosing { release(listener) } else { armAccept(listener) }
    }

    /// Everything on a closing socket was cancelled, or could not be: then an end of both directions makes it return.
    private func cancelled(_ completion: Completion, _ handler: any DriverHandler) {
        guard let slot = sockets[completion.id] else { return }
        slot.inFlight -= 1
        if slot.inFlight > 0 { slot.socket.shutDown(.both) } else { finishIfIdle(slot, handler) }
    }

    private func end(_ slot: SocketSlot, _ handler: any DriverHandler) {
        guard !slot.hasEnded, !slot.hasFailed, !slot.isClosing else { return }
        slot.hasEnded = true
        handler.disconnected(slot.id, .ended)
    }

    private func fail(_ slot: SocketSlot, _ error: Errno, _ handler: any DriverHandler) {
        guard !slot.hasFailed, !slot.isClosing else { return }
        slot.hasFailed = true
        handler.disconnected(slot.id, error == .badAddress ? .unreadable : .failed(error.description))
    }

    private func finishIfIdle(_ slot: SocketSlot, _ handler: any DriverHandler) {
        if slot.inFlight == 0 { finish(slot, handler) }
    }

    private func finish(_ slot: SocketSlot, _ handler: any DriverHandler) {
        if slot.hasFailed { slot.socket.close() } else { slot.socket.closeInOrder() }
        recycle(slot)
        let id = slot.id
        sockets.release(slot)
        handler.closed(id)
    }

    private func recycle(_ slot: SocketSlot) {
        guard let transmission = slot.sending else { return }
        slot.sending = nil
        transmission.clear()
        if transmissions.count < 64 { transmissions.append(transmission) }
    }
}
