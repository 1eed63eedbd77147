package import BrokerCore
import Bytes
import Mutants
package import Observability
package import SegmentLog
package import Wire

/// One thread's share of the process: a driver, the connections on it with their sessions, and a broker, which has the topics that the
/// shard owns. Made on its thread, never leaves it.
///
/// One pass of `run` is a *tick*:
///
///     poll (receive → session → broker) → broker.endTick (write, flush, dispatch) → effects (session → output) → send
///
/// Where there are several shards, a tick also takes the others' mail before `endTick`; it posts what its sessions ask of other brokers
/// before, and the effects for their sessions after it.
package final class Shard: DriverHandler {
    package struct Options: Sendable {
        /// What to do without work.
        package var waiting = WaitPolicy()
        package var limits = Limits()
        package var server = ServerIdentity()
        package init() {}
    }

    var options: Options
    var limits: Limits { options.limits }
    let driver: any Driver
    let broker: BrokerPort
    let number: Int
    var server: ServerIdentity
    private let doorbell: Doorbell?
    /// Of all shards.
    let connectionCount: ConnectionCount
    let memory: MemoryCount
    let protocols: [any WireProtocol]
    private let commands: CommandQueue
    let log: LogWriter

    var connections = ConnectionTable()
    /// Those with shared memory.
    var lanes: [Connection] = []
    /// One of them took everything behind this tick's dispatching, and may be given more.
    var owesTick = false
    /// What came out of one of them last.
    var lanePiece = ByteBuffer()
    /// Connections with something to send at the end of the tick.
    var senders: [Connection] = []
    /// The same while they are gone through.
    var sending: [Connection] = []
    private var requests: [(id: RequestID, request: Request)] = []
    private var effects: [Effect] = []
    package internal(set) var counters = ShardCounters()
    package let stages: StageTimes
    private let histograms: [ShardHistograms]
    private var waiting: WaitPolicy
    var wasBusy = false
    var longRequests = LongRequests()
    var sweep = Sweep()
    var state = State.running
    /// Connections that have not said hello yet.
    var newcomers = Newcomers()
    /// Bytes received that no session has read.
    var inputBytes = 0
    /// What connections hold; and what of the process's memory this shard has said to use.
    var connectionBytes = 0
    var countedBytes = 0
    /// The others know that the last session is gone.
    var hasLeft = false
    /// The broker's own storage failed, and with it every promise.
    package internal(set) var failure: StorageError?

    /// For a frame that is announced, at first.
    private static let reserveBytes = 1 << 20

    enum State {
        case running
        /// Answering what is under way; at the instant everything ends whatever is left.
        case draining(until: Instant)
        case stopped
    }

    /// The only shard of a process.
    package convenience init(
        options: Options, driver: any Driver, broker: Broker, protocols: [any WireProtocol], commands: CommandQueue, log: LogWriter
    ) {
        self.init(options: options, driver: driver, place: ShardPlace(broker: .here(broker)), protocols: protocols, commands: commands, log: log)
    }

    /// - Parameter protocols: what each listener speaks, by the listener's number.
    package init(
        options: Options, driver: any Driver, place: ShardPlace, protocols: [any WireProtocol], commands: CommandQueue, log: LogWriter
    ) {
        self.options = options
        waiting = options.waiting
        self.driver = driver
        broker = place.broker
        stages = StageTimes(place.histograms)
        histograms = place.all
        number = place.number
        server = options.server.serving(on: number)
        doorbell = place.doorbell
        connectionCount = place.connections
        memory = place.memory
        self.protocols = protocols
        self.commands = commands
        self.log = log
    }

    // MARK: The loop

    /// Runs until a command stops the shard and everything is flushed and closed.
    package func run() {
        while !isStopped { tick() }
    }

    package var isStopped: Bool { if case .stopped = state { true } else { false } }
    var isRunning: Bool { if case .running = state { true } else { false } }

    /// One pass. Waits for work at most until the next deadline of broker, sweep or drain.
    package func tick() {
        resumePostponed()
        let due = nextDuty()
        let isLooking = !owesTick && isRunning && waiting.looksAgain(at: driver.now.instant)
        waitForWork(until: isLooking ? driver.now.instant : due)
        owesTick = false
        if !lanes.isEmpty { serveLanes() }
        let now = driver.now
        if case .among(let neighbours) = broker { takeMail(neighbours, now) }
        // It spins, and found nothing.
        if isLooking, !wasBusy, now.instant < due { return }
        let isTimed = wasBusy && stages.isDue(now.instant)
        if isTimed { stages.received(since: now.instant, at: driver.readClock()) }
        let own = broker.own
        lookAtMemory()
        own.endTick(now: now)
        if isTimed { stages.appended(at: driver.readClock()) }
        for notice in own.takeNotices() { tell(notice) }
        if let fault = own.fatalFault, failure == nil { fail(fault) }
        passOnEffects(now)
        if sweep.isDue(now.instant) { sweepSome(now) }
        sendAll(now)
        if own.isTracing { own.traceTickEnded() }
        if wasBusy {
            let end = isTimed || waiting.mode == .adaptive ? driver.readClock() : now.instant
            if isTimed { stages.delivered(at: end) }
            counters.ticks += 1
            waiting.worked(from: now.instant, until: end)
            wasBusy = false
        }
        if case .draining(let until) = state { drainFurther(now, until: until) }
    }

    private func waitForWork(until deadline: Instant) {
        guard deadline > driver.now.instant, doorbell != nil || !lanes.isEmpty else { return driver.poll(until: deadline, self) }
        // Said first, then looked once more: who brings something does it the other way round.
        doorbell?.fallAsleep()
        let isQuiet = lanesFallAsleep() && !broker.hasWork
        driver.poll(until: isQuiet ? deadline : driver.now.instant, self)
        doorbell?.wakeUp()
        lanesWakeUp()
    }

    /// When there is something to do though nothing comes.
    private func nextDuty() -> Instant {
        let now = driver.now.instant
        if owesTick || longRequests.areWaiting { return now }
        var next = connections.count > 0 || sweep.isWaiting ? sweep.next : .distantFuture
        // Sessions may have asked for something after the tick's effects were taken.
        next = broker.hasWork ? now : min(next, broker.own.nextDeadline)
        if case .draining(let until) = state {
            // Late, it waits for what is being closed, and does not spin meanwhile.
            next = min(next, now < until ? until : .distantFuture, now.advanced(byNanoseconds: 10_000_000))
        }
        return next
    }

    // MARK: Other shards

    private func takeMail(_ neighbours: Neighbours, _ now: Now) {
        let (hadWork, stop) = neighbours.takeMail(now: now)
        if hadWork { wasBusy = true }
        if let stop { self.stop(within: stop) }
        // The others can begin while this shard's broker writes.
        post(neighbours)
    }

    /// Where a mailbox has become full, or has room again, this shard receives less or more.
    func post(_ neighbours: Neighbours) {
        let isChanged = neighbours.post()
        counters.mailboxFull = neighbours.mailboxFull
        guard isChanged else { return }
        for slot in 0..<connections.capacity {
            guard let connection = connections.connection(inSlot: slot), connection.state == .open else { continue }
            balance(connection)
        }
    }

    /// What adds up over the shards.
    private var figures: [Statistic] { counters.statistics(connections: connections.count, memory: countedBytes) }

    /// What the brokers have counted, with what does not add up.
    private func complete(_ counted: [Statistic]) -> [Statistic] {
        var shards = [Statistic(name: "needletail_shards", value: Double(max(1, histograms.count)))]
        if let limit = limits.memoryBytes { shards.append(Statistic(name: "needletail_memory_limit_bytes", value: Double(limit))) }
        guard case .among = broker else { return counted + figures + shards + TickHistograms.statistics([stages.histograms]) }
        return counted + shards + StageHistograms.statistics(histograms.map(\.broker)) + TickHistograms.statistics(histograms.map(\.tick))
    }

    // MARK: Connections go (they come in Shard+Accepting)

    package func disconnected(_ socket: SocketID, _ reason: DisconnectReason) {
        wasBusy = true
        guard let connection = connections[socket] else { return }
        switch reason {
        case .ended:
            if let lane = connection.lane { return leaveLane(connection, lane) }
            // Its last request is carried out all the same: a producer without acknowledgements says no more than that.
            if connection.isHeld, connection.goesOnAlone, connection.state == .open, !Mutant.isActive("forgetsLastRequest") {
                connection.hasEnded = true
            } else {
                endSession(of: connection, reason: nil)
            }
        case .unreadable:
            // Whatever could not be read, its log is told by the mark, at the next read.
            connection.touchInFlight()
            log.error(
                "send_unreadable", [("peer", .text(connection.peer.address)), ("meaning", "a stored segment could not be read; the connection is closed")])
            endSession(of: connection, reason: nil)
            abort(connection)
        case .failed(let text):
            endSession(of: connection, reason: text)
            abort(connection)
        }
    }

    package func closed(_ socket: SocketID) {
        wasBusy = true
        guard let connection = connections[socket] else { return }
        connections.remove(connection)
        removeLane(of: connection)
        connectionCount.leave(from: connection.host)
        inputBytes -= connection.countedInput
        connectionBytes -= connection.countedBytes
        if connection.isNewcomer { newcomers.leave(connection) }
        counters.connectionsClosed += 1
    }

    /// Ends the session: the broker forgets it, what it said is still sent, then the connection is closed.
    func endSession(of connection: Connection, reason: String?) {
        guard connection.state == .open else { return }
        connection.drain()
        broker.close(connection.id, now: driver.now)
        stopReceiving(on: connection)
        list(connection)
        if let reason { log.debug("connection_broken", [("peer", .text(connection.peer.address)), ("reason", .text(reason))]) }
    }

    func abort(_ connection: Connection) {
        guard connection.state != .closing else { return }
        connection.beginClosing()
        if Mutant.isActive("leaksBrokenConnections"), connection.unanswered > 0 { return }
        driver.close(connection.socket)
    }

    // MARK: Bytes in

    package func received(_ socket: SocketID, _ bytes: RawSpan) {
        wasBusy = true
        guard let connection = connections[socket], connection.state == .open else { return }
        guard connection.lane == nil else {
            // A knock: that it woke us is all it says.
            counters.laneKnocks += 1
            return
        }
        take(bytes, of: connection)
    }

    func take(_ bytes: RawSpan, of connection: Connection) {
        wasBusy = true
        let now = driver.now
        connection.lastActive = now.instant
        counters.receives += 1
        counters.bytesReceived += UInt64(bytes.byteCount)
        do throws(ProtocolError) {
            if connection.input.isEmpty {
                let used = try consume(bytes, of: connection, now)
                let left = bytes.byteCount - used
                if left > 0 {
                    connection.input.reserve(max(left, room(for: connection.session.bytesWanted, behind: left)))
                    if !Mutant.isActive("losesSplitFrames") { connection.input.append(bytes.extracting(used..<bytes.byteCount)) }
                }
                connection.note(input: used, length: left, at: now.instant)
            } else {
                try consumeJoined(bytes, of: connection, now)
            }
        } catch {
            fail(connection, error)
        }
        afterSession(connection)
    }

    /// As `consume`, of what was left before with `bytes` behind it.
    private func consumeJoined(_ bytes: RawSpan, of connection: Connection, _ now: Now) throws(ProtocolError) {
        // A span cannot be borrowed from a class's property: the buffer is taken out and put back.
        var input = ByteBuffer()
        swap(&input, &connection.input)
        input.append(bytes)
        defer { swap(&input, &connection.input) }
        let used = try consume(input.bytes.extracting(connection.inputStart..<input.count), of: connection, now)
        connection.inputStart += used
        // Not at each frame: a session may take them one by one, and all that follows would be moved every time.
        if connection.inputStart > input.count / 2 || connection.inputStart == input.count {
            input.removeFirst(connection.inputStart)
            connection.inputStart = 0
        }
        let left = input.count - connection.inputStart
        input.reserve(max(0, room(for: connection.session.bytesWanted, behind: left) - left))
        connection.note(input: used, length: left, at: now.instant)
    }

    /// How much memory a frame is given of which so much is there. One that announces much and sends little is given as much again.
    private func room(for wanted: Int, behind there: Int) -> Int { min(wanted, max(Shard.reserveBytes, 2 * there)) }

    /// Goes on with what a session had left unread until its requests were answered.
    func resume(_ connection: Connection, _ now: Now) {
        // What it says is not read either, while it does not take what it is told.
        guard connection.isHeld, !connection.session.isHolding, connection.isWritable, connection.state == .open else { return }
        do throws(ProtocolError) {
            try consumeJoined(RawSpan(), of: connection, now)
        } catch {
            fail(connection, error)
        }
        afterSession(connection)
        guard connection.hasEnded, !connection.goesOnAlone else { return }
        endSession(of: connection, reason: nil)
        // Nobody takes what is left in a ring.
        if connection.lane != nil { abort(connection) }
    }

    /// Lets the session take whole frames off the front of `input` and carries out what it asks for, while the input stands still.
    private func consume(_ input: RawSpan, of connection: Connection, _ now: Now) throws(ProtocolError) -> Int {
        var used = 0
        repeat {
            connection.output.defersLongRequests = longRequests.isLate
            used += try carryOut(input.extracting(used..<input.byteCount), of: connection, now)
        } while connection.session.isPausing && goesOn(connection)
        // A session also stops where its answers are more than may wait for the peer.
        connection.isHeld =
            connection.session.isHolding || connection.session.isPausing
            || (used < input.byteCount && connection.pendingBytes > connection.peer.limits.outboxBytes)
        return used
    }

    private func carryOut(_ input: RawSpan, of connection: Connection, _ now: Now) throws(ProtocolError) -> Int {
        // What was asked for in front of a fault is carried out, wherever the stream was cut.
        var used = input.byteCount
        defer { perform(requestsOf: connection, input.extracting(0..<used), now) }
        used = try connection.session.receive(input, &connection.output)
        return used
    }

    private func perform(requestsOf connection: Connection, _ input: RawSpan, _ now: Now) {
        connection.asked(connection.output.asked.count, bytes: connection.output.asked.bytes)
        if connection.output.asked.bytes > 0 { connection.hasPublished = true }
        connection.output.takeRequests(into: &requests)
        // Taken out from behind: a loop over them would copy each.
        requests.reverse()
        while let (id, request) = requests.popLast() { broker.perform(request, id, from: connection.id, input: input, now: now) }
    }

    func fail(_ connection: Connection, _ error: ProtocolError) {
        counters.protocolErrors += 1
        log.warn("protocol_error", [("peer", .text(connection.peer.address)), ("kind", .text(error.kind)), ("reason", .text(error.text))])
        endSession(of: connection, reason: nil)
    }

    /// After a session was called: something may be there to send, or to close; and both directions are held to their marks.
    func afterSession(_ connection: Connection) {
        heed(connection)
        if connection.output.pendingBytes > 0 { list(connection) }
        hold(connection)
    }

    /// What a session wants beside sending.
    private func heed(_ connection: Connection) {
        if !connection.output.reached.isEmpty { note(limitsOf: connection) }
        if connection.isNewcomer, connection.session.isEstablished { newcomers.leave(connection) }
        // A session may ask for something without input, such as to be rid of a consumer.
        if !connection.output.requests.isEmpty { perform(requestsOf: connection, RawSpan(), driver.now) }
        if connection.output.closes { endSession(of: connection, reason: nil) }
        if connection.output.laneRequest != nil { answerLaneRequest(of: connection) }
    }

    /// Counts what a connection has, and holds both of its directions to their marks.
    func hold(_ connection: Connection) {
        count(inputOf: connection)
        count(memoryOf: connection)
        balance(connection)
    }

    // MARK: Effects out

    private func passOnEffects(_ now: Now) {
        switch broker {
        case .here(let broker):
            // What sessions ask meanwhile is answered in the next tick.
            for _ in 0..<broker.effectCount { if let effect = broker.takeEffect() { passOn(effect) } }
        case .among(let neighbours):
            neighbours.board.takeEffects(into: &effects) { $0 + figures }
            post(neighbours)
            for effect in effects { passOn(effect) }
            effects.removeAll(keepingCapacity: true)
        }
    }

    private func passOn(_ effect: consuming Effect) {
        wasBusy = true
        switch consume effect {
        case .respond(let session, let id, let response):
            guard let connection = connections[session] else { return }
            connection.answered()
            guard connection.state == .open else { return }
            list(connection)
            if case .statistics(let counted) = response {
                connection.session.complete(id, .statistics(complete(counted)), &connection.output)
            } else {
                connection.session.complete(id, response, &connection.output)
            }
            heed(connection)
        case .deliver(let session, let delivery):
            guard let connection = connections[session], connection.state == .open else { return }
            connection.takesDeliveries = true
            list(connection)
            connection.session.deliver(delivery, &connection.output)
            heed(connection)
        case .notify(let session, let consumer, let event):
            guard let connection = connections[session], connection.state == .open else { return }
            list(connection)
            connection.session.notify(consumer, event, &connection.output)
            heed(connection)
        }
    }

    // MARK: Storage, other threads, time

    package func storageCompleted(_ ticket: StorageTicket, _ result: StorageResult) {
        wasBusy = true
        broker.own.storageCompleted(ticket, result, now: driver.now)
    }

    package func woken() {
        wasBusy = true
        for command in commands.take() {
            switch command {
            case .stop(let within): stop(within: within)
            case .adopt(let brokerOptions, let own):
                options = own
                waiting.adopt(own.waiting)
                server = own.server.serving(on: number)
                broker.own.adopt(brokerOptions, now: driver.now)
            }
        }
    }
}
