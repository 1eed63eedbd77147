internal import Bytes
internal import Containers
internal import LinuxSystem
package import SegmentLog
package import Wire

/// The driver over epoll: where io_uring is not permitted, and to compare with. The same promises, kept with non-blocking calls.
///
/// Sends are tried at once and answered in the next `poll`; what a socket does not take waits for room. Nothing of a socket is ever
/// in flight in the kernel, so closing is immediate and is told in the next `poll`.
@safe
package final class EpollDriver: Driver {
    package let name = "epoll"
    package private(set) var now: Now
    package var storage: any LogStorage { files }
    package var waker: any Waker { eventWaker }

    private let poller: Poller
    private let options: DriverOptions
    private let eventWaker: EventWaker
    private let files: LinuxStorage
    // Safety: one buffer for all receives, used within one event only.
    private let input: UnsafeMutableRawBufferPointer

    private var sockets = SocketTable()
    private var listeners: [ListeningSocket?] = []
    private var deferred: [Deferred] = []
    private var delivering: [Deferred] = []
    private var transmissions: [Transmission] = []
    private static let inputBytes = 256 << 10
    private static let acceptsAtOnce = 64

    package init(_ options: DriverOptions = DriverOptions()) throws(DriverError) {
        self.options = options
        (poller, eventWaker) = try driving("epoll") { () throws(Errno) in
            let poller = try Poller()
            let waker = try EventWaker(.polled)
            try poller.add(waker.counter.descriptor, .read, token: Token.waker.rawValue)
            return (poller, waker)
        }
        let waker = eventWaker
        files = try driving("eventfd") { () throws(Errno) in try LinuxStorage(waker: waker, flusher: nil) }
        unsafe input = .allocate(byteCount: EpollDriver.inputBytes, alignment: 64)
        now = Now(instant: Instant(nanoseconds: Clock.monotonic), time: Timestamp(milliseconds: Clock.realtimeMilliseconds))
    }

    deinit {
        for slot in sockets.slots where slot.socket.descriptor >= 0 { slot.socket.close() }
        for case let listener? in listeners { listener.close() }
        unsafe input.deallocate()
    }

    /// What an event is about: a connection (its id), a listener, or the waker.
    private struct Token: RawRepresentable {
        let rawValue: UInt64
        static let waker = Token(rawValue: .max)
        private static let listenerBit: UInt64 = 1 << 63

        init(rawValue: UInt64) { self.rawValue = rawValue }
        init(_ listener: ListeningSocket) { rawValue = Token.listenerBit | UInt64(listener.index) }
        var listener: Int? { rawValue & Token.listenerBit != 0 ? Int(rawValue & ~Token.listenerBit) : nil }
    }

    package func readClock() -> Instant { Instant(nanoseconds: Clock.monotonic) }

    // MARK: Listeners

    package func listen(_ address: ListenAddress, _ listener: ListenerID, _ use: PortUse) throws(DriverError) -> ListenAddress {
        let opened = try ListeningSocket(address, listener, index: UInt32(listeners.count), use, options: options)
        try driving("epoll") { () throws(Errno) in try poller.add(opened.socket.descriptor, .read, token: Token(opened).rawValue) }
        opened.isAccepting = true
        listeners.append(opened)
        return opened.address
    }

    package func pause(_ listener: ListenerID) {
        guard let found = find(listener), found.isAccepting else { return }
        found.isAccepting = false
        poller.remove(found.socket.descriptor)
    }

    package func resume(_ listener: ListenerID) {
        guard let found = find(listener), !found.isAccepting else { return }
        found.isAccepting = (try? poller.add(found.socket.descriptor, .read, token: Token(found).rawValue)) != nil
    }

    package func closeListener(_ listener: ListenerID) {
        guard let found = find(listener) else { return }
        found.close()
        listeners[Int(found.index)] = nil
    }

    private func find(_ id: ListenerID) -> ListeningSocket? {
        for case let listener? in listeners where listener.id == id { return listener }
        return nil
    }

    // MARK: Connections

    package func startReceiving(_ socket: SocketID) {
        guard let slot = sockets[socket] else { return }
        slot.wantsInput = true
        watch(slot)
    }

    package func stopReceiving(_ socket: SocketID) {
        guard let slot = sockets[socket] else { return }
        slot.wantsInput = false
        watch(slot)
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
        case .waiting: watch(slot)
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
        watch(slot)
        deferred.append(.closed(socket))
    }

    private enum Pushed {
        case done, waiting
        case failed(Errno)
    }

    /// Sends what the socket takes.
    private func push(_ slot: SocketSlot, _ transmission: Transmission) -> Pushed {
        do throws(Errno) {
            while !transmission.isEmpty { transmission.advance(by: try slot.socket.sendNext(of: transmission)) }
            return .done
        } catch .wouldBlock {
            return .waiting
        } catch {
            return .failed(error)
        }
    }

    /// Has the poller watch for what the connection waits for. One that waits for nothing is not watched at all: its end would be
    /// reported over and over.
    private func watch(_ slot: SocketSlot) {
        var wanted: Poller.Interest = []
        if slot.canReceive { wanted.insert(.read) }
        if let transmission = slot.sending, !transmission.isEmpty, !slot.isClosing, !slot.hasFailed { wanted.insert(.write) }
        guard wanted != slot.watched else { return }
        do throws(Errno) {
            if wanted.isEmpty {
                poller.remove(slot.socket.descriptor)
            } else if slot.watched.isEmpty {
                try poller.add(slot.socket.descriptor, wanted, token: slot.id.rawValue)
            } else {
                try poller.change(slot.socket.descriptor, wanted, token: slot.id.rawValue)
            }
            slot.watched = wanted
        } catch {
            deferred.append(.failed(slot.id, error))
        }
    }

    // MARK: The loop

    package func poll(until deadline: Instant, _ handler: any DriverHandler) {
        var timeout: UInt64? = 0
        if deferred.isEmpty, deadline > now.instant { timeout = deadline == .distantFuture ? nil : deadline.nanoseconds(since: readClock()) }
        let count: Int
        do {
            count = try poller.wait(timeout)
        } catch {
            // Only faults of this program end here (a closed descriptor); nothing sensible is left.
            fatalError("epoll_wait: \(error)")
        }
        now = Now(instant: readClock(), time: Timestamp(milliseconds: Clock.realtimeMilliseconds))
        deliverDeferred(handler)
        for index in 0..<count {
            let event = poller.event(index)
            if event.token == Token.waker.rawValue {
                eventWaker.counter.take()
                eventWaker.acknowledge()
                for (ticket, result) in files.takeCompleted() { handler.storageCompleted(ticket, result) }
                handler.woken()
            } else if let listener = Token(rawValue: event.token).listener {
                accept(listener, handler)
            } else if let slot = sockets[SocketID(rawValue: event.token)] {
                serve(slot, event.ready, handler)
            }
        }
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

    private func accept(_ index: Int, _ handler: any DriverHandler) {
        for _ in 0..<EpollDriver.acceptsAtOnce {
            // The handler may pause or close the listener.
            guard index < listeners.count, let listener = listeners[index], listener.isAccepting else { return }
            do throws(Errno) {
                let socket = try listener.socket.accept(.nonblocking)
                handler.accepted(sockets.add(socket).id, from: listener.peer(of: socket), at: listener.address(of: socket), on: listener.id)
            } catch .wouldBlock {
                return
            } catch {
                guard let reason = ListeningSocket.reasonToPause(error) else { continue }
                pause(listener.id)
                return handler.acceptFailed(listener.id, reason)
            }
        }
    }

    private func serve(_ slot: SocketSlot, _ ready: Poller.Interest, _ handler: any DriverHandler) {
        let broken = !ready.isDisjoint(with: .broken)
        if slot.watched.contains(.write), broken || ready.contains(.write), let transmission = slot.sending {
            switch push(slot, transmission) {
            case .done:
                recycle(slot)
                watch(slot)
                handler.sent(slot.id)
            case .waiting: break
            case .failed(let error): fail(slot, error, handler)
            }
        }
        guard slot.canReceive, broken || ready.contains(.read) else { return }
        do throws(Errno) {
            // Safety: one receive at a time uses the buffer, and the span is valid during the call.
            let count = unsafe try slot.socket.receive(into: input)
            if count == 0 { return end(slot, handler) }
            let bytes = unsafe RawSpan(_unsafeStart: UnsafeRawPointer(input.baseAddress.unsafelyUnwrapped), byteCount: count)
            handler.received(slot.id, bytes)
        } catch .wouldBlock {
        } catch {
            fail(slot, error, handler)
        }
    }

    private func end(_ slot: SocketSlot, _ handler: any DriverHandler) {
        guard !slot.hasEnded else { return }
        slot.hasEnded = true
        watch(slot)
        handler.disconnected(slot.id, .ended)
    }

    private func fail(_ slot: SocketSlot, _ error: Errno, _ handler: any DriverHandler) {
        guard !slot.hasFailed, !slot.isClosing else { return }
        slot.hasFailed = true
        watch(slot)
        handler.disconnected(slot.id, error == .badAddress ? .unreadable : .failed(error.description))
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
