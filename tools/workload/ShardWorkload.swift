internal import BrokerCore
internal import Bytes
internal import NativeCodec
internal import NativeProtocol
internal import Observability
internal import SegmentLog
internal import ShardRuntime
package import Simulation
internal import Wire

/// A whole shard on the simulated machine, driven by one seed: native sessions, clients that publish to a queue and to a stream,
/// consume in every mode, settle, and break off at any byte; until power goes, the process ends or is stopped. Then a new shard opens
/// what is there, and in the end everything is drained.
///
/// Leases are long, so that a delivery is taken away from a client that has gone and from no other: what two clients see can be put in
/// an order then.
package final class ShardWorkload {
    private let seed: Seed
    private let profile: LogWorkload.Profile
    private let disk: SimulatedDisk
    private var random: RandomStream
    private var report: LogWorkload.Report
    private var oracle = QueueOracle(deliveryLimit: 0)
    private var driver: SimulatedDriver
    private var shard: Shard?
    private var commands = CommandQueue()
    private var clients: [SimulatedClient] = []
    private var clientCount = 0
    private var lives = 0
    private var now = Now(instant: Instant(nanoseconds: 1_000_000_000), time: Timestamp(milliseconds: 1_700_000_000_000))
    private var topics: [String: UInt32] = [:]
    private var nextMessage: UInt64
    /// The stream as it was acknowledged or shown.
    private var stream: [Int64: UInt64] = [:]
    private var placeInStream: [UInt64: Int64] = [:]
    private var producer: (id: Int64, epoch: Int16)?
    private var sequence: Int32 = 0
    /// Batches with sequences that were not acknowledged: sent again, in order, before anything new.
    private var unacknowledged: [(messages: [UInt64], sequence: Int32)] = []
    private var isRetried = true
    private var isStopping = false
    /// Strangers beside the clients, where the profile asks for them.
    private let hostile: HostilePeers?

    private static let listener = ListenerID(rawValue: 0)

    package static func run(_ seed: Seed, _ profile: LogWorkload.Profile = LogWorkload.Profile()) -> LogWorkload.Report {
        let workload = ShardWorkload(seed, profile)
        do { try workload.live() } catch { workload.report.violation = error }
        workload.shard = nil
        workload.report.nanoseconds = workload.driver.now.instant.rawValue - 1_000_000_000
        workload.report.hash = workload.disk.trace.hash
        workload.report.faults = workload.disk.trace.faults
        workload.report.lines = workload.disk.trace.lines
        workload.report.crashes = workload.disk.crashes
        workload.report.sequences = workload.hostile?.sequences ?? 0
        return workload.report
    }

    private init(_ seed: Seed, _ profile: LogWorkload.Profile) {
        self.seed = seed
        self.profile = profile
        random = seed.stream("shard")
        let trace = Trace()
        trace.keepsLines = profile.keepsTrace
        disk = SimulatedDisk(seed: seed, faults: .crashesOnly(&random), trace: trace)
        disk.sabotage = profile.sabotage
        nextMessage = seed.rawValue &* 1_000_000 &+ 1
        oracle.missesDeliveries = true
        hostile = profile.hostile ? HostilePeers(seed) : nil
        driver = SimulatedDriver(seed: seed, disk: disk, now: now)
        report = LogWorkload.Report(seed: seed, hash: 0, faults: [], lines: [], setting: "")
    }

    // MARK: Lives

    private func live() throws(Violation) {
        for _ in 0..<min(profile.lives, 4) {
            try start(.swarm(&random))
            if random.chance(0.5) { disk.crash(afterChanges: 1 + random.below(200)) }
            for _ in 0..<random.within(1...profile.stepsPerLife) where !disk.isDown { try step() }
            try end()
        }
        try start(.none)
        try drain()
    }

    private func start(_ faults: NetworkFaults) throws(Violation) {
        disk.heal()
        disk.restart()
        lives += 1
        driver = SimulatedDriver(seed: seed.part(lives), disk: disk, faults: faults, now: now)
        // Clocks that jump are another test's: what is aged here is aged by the broker's own time.
        driver.faults.clockJump = 0
        report.setting +=
            "\n  life \(lives): pieces \(faults.oneByte)/\(faults.anySize), resets \(faults.reset), window \(faults.window), latency \(faults.latency)"
        var options = Broker.Options(directory: "data")
        options.log.segmentBytes = 16_384
        options.log.durability = .group
        options.moveRetryMilliseconds = 50
        let broker: Broker
        do throws(StartError) { broker = try Broker(options: options, storage: disk, now: driver.now) } catch {
            throw Violation(.falseAlarm, "a broker whose disk nothing damaged does not start: \(error)")
        }
        commands = CommandQueue()
        let protocols: [any WireProtocol] = [NativeProtocol()] + (hostile?.protocols ?? [])
        shard = Shard(options: Shard.Options(), driver: driver, broker: broker, protocols: protocols, commands: commands, log: .silent)
        do throws(DriverError) {
            _ = try driver.listen(.tcp(host: "127.0.0.1", port: 0), Self.listener)
            try hostile?.listen(driver)
        } catch {
            throw Violation(.contract, "the simulated listener does not open: \(error)")
        }
        oracle.restarted()
        isStopping = false
        topics = [:]
        clients = []
        isRetried = false
        report.recoveries += 1
        _ = connect(.control)
    }

    private func end() throws(Violation) {
        if disk.isDown { return forget {} }
        switch random.below(4) {
        case 0:
            try stop()
            if disk.isDown { return forget {} }
            forget { disk.kill() }
        case 1: forget { disk.kill() }
        default: forget { disk.crash() }
        }
    }

    private func forget(_ ending: () -> Void) {
        for client in clients { gone(client) }
        clients = []
        hostile?.forget()
        driver.end()
        shard = nil
        now = driver.now
        now.instant = now.instant.advanced(byNanoseconds: 1_000_000)
        ending()
    }

    /// A clean stop: publishes that are under way are answered, then everything is closed.
    private func stop() throws(Violation) {
        isStopping = true
        commands.put(.stop(within: 1_000_000_000))
        driver.waker.wake()
        var rounds = 0
        while let shard, !shard.isStopped, !disk.isDown {
            rounds += 1
            guard rounds < 20_000 else { throw Violation(.noProgress, "the shard does not stop") }
            try tick(1_000_000)
        }
        guard !disk.isDown, let shard else { return }
        // An operation that hung may have been left behind; connections may not.
        let counters = shard.counters
        guard driver.openConnections == 0, counters.connectionsAccepted == counters.connectionsClosed else {
            throw Violation(.leak, "\(driver.openConnections) connections are open after the stop")
        }
    }

    // MARK: Steps

    private func step() throws(Violation) {
        switch random.below(100) {
        case ..<30: publish()
        case ..<45: if clients.count < 8 { _ = connect(random.pick([.worker, .worker, .publisher, .publisher, .reader])) }
        case ..<60: grant()
        case ..<75: settle()
        case ..<80: breakOff()
        case ..<83: for client in clients where random.chance(0.3) { client.say(Frame.Ping(), .pulse) }
        default: break
        }
        for _ in 0..<random.within(1...6) where !disk.isDown { try tick(random.pick([1_000, 100_000, 5_000_000, 200_000_000])) }
    }

    private func tick(_ nanoseconds: UInt64) throws(Violation) {
        guard let shard else { return }
        for client in clients { client.write(random.chance(0.2) ? random.within(1...40) : .max) }
        if let hostile, topics.count == 2 {
            hostile.honest.ids = Set(topics.values)
            hostile.act(on: driver)
        }
        driver.horizon = driver.now.instant.advanced(byNanoseconds: nanoseconds)
        shard.tick()
        if let violation = driver.violations.first ?? disk.violations.first { throw violation }
        if disk.isDown { return }
        for client in clients {
            if client.peer.isOver {
                gone(client)
                clients.removeAll { $0 === client }
                continue
            }
            if client.isLazy, random.chance(0.9) { continue }
            for (header, bytes) in try client.read(random.chance(0.3) ? random.within(1...200) : .max) { try heard(header, bytes, by: client) }
        }
    }

    private func connect(_ role: SimulatedClient.Role) -> SimulatedClient? {
        guard let peer = driver.connect(to: Self.listener) else { return nil }
        clientCount += 1
        let client = SimulatedClient(clientCount, role, peer)
        client.isLazy = random.chance(0.1) && role != .control
        clients.append(client)
        client.say(Frame.Hello(maxFrameBytes: 1 << 20, client: "client \(clientCount)"), .welcome)
        return client
    }

    /// The connection is over, for whatever reason; what it had comes back.
    private func gone(_ client: SimulatedClient) {
        oracle.consumerGone(client.inFlight.map(\.message))
        client.inFlight = []
        if !client.unanswered.filter({ $0.sequence != nil }).isEmpty { isRetried = false }
    }

    private func breakOff() {
        guard let client = clients.last, client.role != .control || random.chance(0.2) else { return }
        client.write(random.below(60))
        if random.chance(0.3) { client.peer.finish() } else { client.peer.reset() }
        gone(client)
        clients.removeAll { $0 === client }
    }

    // MARK: Publishing

    private func take(_ count: Int) -> [UInt64] {
        let messages = (0..<UInt64(count)).map { nextMessage + $0 }
        nextMessage += UInt64(count)
        report.appended += count
        return messages
    }

    private func publish() {
        guard let client = clients.first(where: { $0.role == .publisher }), topics.count == 2 else { return }
        if random.chance(0.6) {
            let messages = take(random.chance(0.5) ? 1 : random.mostlySmall(20))
            for message in messages { oracle.attempted(message) }
            send(messages, "work", nil, client)
        } else if producer != nil {
            // What was not acknowledged comes first, on whatever connection there is; then something new.
            if !isRetried {
                guard !clients.contains(where: { $0.unanswered.contains { $0.sequence != nil } }) else { return }
                isRetried = true
                for (messages, sequence) in unacknowledged { send(messages, "events", sequence, client) }
            }
            guard clients.allSatisfy({ $0 === client || !$0.unanswered.contains { $0.sequence != nil } }) else { return }
            let messages = take(random.mostlySmall(20))
            unacknowledged.append((messages, sequence))
            send(messages, "events", sequence, client)
            sequence += Int32(messages.count)
        }
    }

    private func send(_ messages: [UInt64], _ topic: String, _ sequence: Int32?, _ client: SimulatedClient) {
        guard let id = topics[topic] else { return }
        let wait = SimulatedClient.Pending.published(topic: topic, messages, sequence: sequence)
        let target = Frame.Target.topic(id, partition: -1)
        if messages.count == 1 {
            let payload = ReferenceBatch.payload(messages[0])
            let stamp = sequence.flatMap { sequence in producer.map { Frame.ProducerSequence(id: $0.id, epoch: $0.epoch, sequence: sequence) } }
            client.say(
                Frame.Publish(
                    target: target, key: nil, headers: ByteRange(start: 0, count: 0), headerCount: 0, payload: ByteRange(start: 0, count: payload.count),
                    timestamp: nil, producer: stamp, durability: .group, wantsAnswer: true), wait, tail: payload)
        } else {
            let times = messages.map { _ in driver.now.time.rawValue }
            let stamp = sequence.flatMap { sequence in producer.map { ReferenceBatch.Producer(id: $0.id, epoch: $0.epoch, sequence: sequence) } }
            let batch = ReferenceBatch.encode(messages, timestamps: times, producer: stamp)
            client.say(
                Frame.PublishBatch(target: target, batch: ByteRange(start: 0, count: batch.count), durability: .group, wantsAnswer: true), wait, tail: batch)
        }
    }

    // MARK: Consuming

    private func subscribe(_ client: SimulatedClient) {
        let credit = Int32(random.below(20))
        client.credit = Int64(credit)
        // Whole batches are accepted up to an offset, runs of records one by one: workers here do the latter.
        client.form = client.role == .worker ? .records : random.pick([.records, .batches])
        client.isSubscribed = true
        let isWorker = client.role == .worker
        // A stream is read in every other way: alone, by one of several, without settling.
        client.settlesItself = !isWorker
        client.say(
            Frame.Subscribe(
                consumer: 1, topic: isWorker ? "work" : "events", name: isWorker ? "queue" : "",
                mode: isWorker ? .shared : random.pick([.broadcast, .exclusive]),
                start: .earliest, form: client.form, messageCredit: credit, byteCredit: 1 << 20, settlesItself: client.settlesItself), .subscribed)
    }

    private func grant() {
        let consumers = clients.filter(\.isSubscribed)
        guard !consumers.isEmpty else { return }
        let client = random.pick(consumers)
        let more = random.within(1...20)
        client.credit += Int64(more)
        client.say(Frame.Credit(consumer: 1, messages: Int32(more), bytes: 1 << 20), nil)
    }

    private func settle() {
        let holders = clients.filter { !$0.inFlight.isEmpty }
        guard !holders.isEmpty else { return }
        let client = random.pick(holders)
        settle(random.below(client.inFlight.count), of: client, random.pick([.accept, .accept, .accept, .requeue, .release]))
    }

    private func settle(_ index: Int, of client: SimulatedClient, _ outcome: Frame.Outcome) {
        let (message, offset) = client.inFlight.remove(at: index)
        disk.trace.note("settle", client.number, Int(offset), Int(outcome.rawValue))
        if outcome == .accept { oracle.perhapsAccepted(message) } else { oracle.gaveBack(message) }
        let range = Frame.Settle.Range(partition: 0, outcome: outcome, first: offset, last: offset)
        client.say(Frame.Settle(consumer: 1, confirm: true, ranges: [range]), .settled([message], offset: offset, outcome))
    }

    // MARK: What the clients hear

    private func heard(_ header: FrameHeader, _ bytes: [UInt8], by client: SimulatedClient) throws(Violation) {
        func frame<F: FrameBody>(_: F.Type) throws(Violation) -> F {
            do { return try F.decode(header, in: bytes.rawSpan, at: 0) } catch {
                throw Violation(.contract, "client \(client.number) cannot read a frame of type \(header.type): \(error)")
            }
        }
        switch FrameType(rawValue: header.type) {
        case .deliverRecords:
            let delivery = try frame(Frame.DeliverRecords.self)
            let records = try ReferenceBatch.decodeRecords(
                Array(bytes[delivery.records.indices]), base: delivery.baseOffset, timestamp: delivery.baseTimestamp)
            return try delivered(delivery.head, records, to: client, isWhole: false)
        case .deliverBatches:
            let delivery = try frame(Frame.DeliverBatches.self)
            let records = try ReferenceBatch.decode(Array(bytes[delivery.batches.indices]))
            return try delivered(delivery.head, records, to: client, isWhole: true)
        case .consumerEvent:
            let event = try frame(Frame.ConsumerEvent.self)
            // A second exclusive reader stands by, and is told when it is its turn.
            if event.kind == .activated { return }
            throw Violation(.contract, "client \(client.number) heard \(event.kind): \(event.text)")
        default: break
        }
        if header.type == FrameType.error.rawValue {
            let failure = try frame(Frame.Failure.self)
            return try failed(failure, client.answered(header.correlation), client)
        }
        guard let wait = client.answered(header.correlation) else {
            throw Violation(.contract, "client \(client.number) got an answer to nothing, type \(header.type)")
        }
        switch wait {
        case .welcome: try welcomed(client)
        case .made, .pulse, .subscribed: break
        case .described(let name):
            guard let topic = try frame(Frame.Topics.self).elements.first else { throw Violation(.lostWrite, "'\(name)' is gone") }
            topics[name] = topic.id
        case .producer:
            let found = try frame(Frame.Producer.self)
            if producer == nil { producer = (found.id, found.epoch) }
        case .published(let topic, let messages, let sequence): try published(try frame(Frame.Published.self), topic, messages, sequence)
        case .settled(let messages, _, let outcome):
            guard outcome == .accept else { return }
            for message in messages {
                oracle.settled(message, .accepted)
                oracle.confirmed(message)
            }
        }
    }

    private func welcomed(_ client: SimulatedClient) throws(Violation) {
        switch client.role {
        case .control:
            var queue = Frame.TopicOptions()
            queue.isQueue = true
            queue.untilAcknowledged = true
            queue.subscription = Frame.SubscriptionOptions(leaseMilliseconds: 3_600_000, deliveryLimit: 0)
            client.say(Frame.CreateTopic(name: "work", options: queue), .made)
            client.say(Frame.CreateTopic(name: "events", options: Frame.TopicOptions()), .made)
            client.say(Frame.DescribeTopic(name: "work"), .described("work"))
            client.say(Frame.DescribeTopic(name: "events"), .described("events"))
            if producer == nil { client.say(Frame.StartProducer(id: -1, epoch: -1), .producer) }
        case .worker, .reader: if topics.count == 2 { subscribe(client) }
        case .publisher: break
        }
    }

    private func failed(_ failure: Frame.Failure, _ wait: SimulatedClient.Pending?, _ client: SimulatedClient) throws(Violation) {
        if case .made? = wait, failure.code == .alreadyExists { return }
        // At a stop everything may be refused; a fatal frame without a request says goodbye.
        if failure.code == .shuttingDown { return }
        throw Violation(.contract, "client \(client.number) was refused \(wait.map { "\($0)" } ?? "everything"): \(failure.code) \(failure.text)")
    }

    private func published(_ answer: Frame.Published, _ topic: String, _ messages: [UInt64], _ sequence: Int32?) throws(Violation) {
        if sequence != nil { unacknowledged.removeAll { $0.sequence == sequence } }
        guard answer.reached.rawValue >= Frame.Durability.group.rawValue else { throw Violation(.contract, "reached is \(answer.reached)") }
        // Of an old duplicate the offset may be forgotten.
        if answer.isDuplicate, answer.baseOffset < 0 { return }
        guard Int(answer.count) == messages.count else { throw Violation(.disorder, "\(messages.count) messages became \(answer.count)") }
        for (index, message) in messages.enumerated() {
            let offset = answer.baseOffset + Int64(index)
            if topic == "work" { try oracle.published(message, at: offset) } else { try place(message, offset) }
        }
    }

    /// A record of the stream was acknowledged, or shown: durable either way.
    private func place(_ message: UInt64, _ offset: Int64) throws(Violation) {
        if let known = stream[offset], known != message {
            throw Violation(.inconsistentOffset, "offset \(offset) of the stream held message \(known) and holds \(message)")
        }
        if let known = placeInStream[message], known != offset { throw Violation(.duplicate, "message \(message) is at \(known) and at \(offset)") }
        stream[offset] = message
        placeInStream[message] = offset
    }

    private func delivered(_ head: Frame.DeliveryHead, _ all: [ReferenceBatch.Record], to client: SimulatedClient, isWhole: Bool) throws(Violation) {
        let records = all.filter { $0.offset >= head.first && $0.offset <= head.last }
        guard records.first?.offset == head.first, records.last?.offset == head.last, Int64(records.count) == head.last - head.first + 1 else {
            throw Violation(.pollSkip, "a delivery of \(head.first) … \(head.last) holds other records")
        }
        disk.trace.note("delivered", client.number, Int(head.first), Int(head.last))
        guard client.credit > 0 else { throw Violation(.creditExceeded, "client \(client.number) had no credit left") }
        client.credit -= Int64(records.count)
        // The first whole batch may be larger than the credit.
        guard client.credit >= 0 || isWhole else { throw Violation(.creditExceeded, "client \(client.number): \(-client.credit) more than asked for") }
        for record in records {
            if client.role == .reader {
                guard client.next < 0 || record.offset == client.next else {
                    throw Violation(.pollSkip, "reader \(client.number) got \(record.offset) where \(client.next) was due")
                }
                guard client.next >= 0 || record.offset == 0 else { throw Violation(.pollSkip, "the stream begins at \(record.offset)") }
                client.next = record.offset + 1
                try place(record.message, record.offset)
            } else {
                // A shard that stops takes leave of one client after the other: what one had may come to the next, who reads it first.
                if !isStopping {
                    try oracle.delivered(
                        record.message, at: record.offset, attempt: Int(head.attempt), isRedelivery: head.isRedelivery, now: 0, leaseEnd: .max)
                }
                if !head.isRedelivery {
                    guard record.offset >= client.next else {
                        throw Violation(.queueDisorder, "client \(client.number) got \(record.offset) after \(client.next - 1)")
                    }
                    client.next = record.offset + 1
                }
                client.inFlight.append((record.message, record.offset))
            }
        }
    }

    // MARK: The last drain

    private func drain() throws(Violation) {
        try wait("the topics are not known") { self.topics.count == 2 && self.producer != nil && !self.clients[0].isWaiting }
        guard let publisher = connect(.publisher), let reader = connect(.reader), let worker = connect(.worker) else { return }
        for client in [publisher, reader, worker] { client.isLazy = false }
        try wait("clients are not welcomed") { reader.isSubscribed && worker.isSubscribed && !publisher.isWaiting }
        for client in [reader, worker] {
            client.credit += 1_000_000
            client.say(Frame.Credit(consumer: 1, messages: 1_000_000, bytes: 1 << 40), nil)
        }
        for (messages, sequence) in unacknowledged { send(messages, "events", sequence, publisher) }
        try wait("publishes are not answered") { !publisher.isWaiting }
        var busy = driver.now.instant
        while driver.now.instant.nanoseconds(since: busy) < 5_000_000_000 {
            try tick(200_000_000)
            if !worker.inFlight.isEmpty || worker.isWaiting { busy = driver.now.instant }
            while !worker.inFlight.isEmpty { settle(0, of: worker, .accept) }
        }
        try oracle.drained()
        hostile?.isOver = true
        let end = (stream.keys.max() ?? -1) + 1
        guard Int64(stream.count) == end, reader.next == end || end == 0 else {
            throw Violation(.lostWrite, "the stream ends at \(end), has \(stream.count) records, and its reader is at \(reader.next)")
        }
        for client in clients { client.peer.finish() }
        try wait("connections stay open") { self.driver.openConnections == 0 }
        try stop()
        guard disk.openFiles == 0 || disk.pendingOperations > 0 else { throw Violation(.leak, "open after the stop: \(disk.openPaths)") }
    }

    private func wait(_ text: String, _ isDone: () -> Bool) throws(Violation) {
        var rounds = 0
        while !isDone() {
            rounds += 1
            guard rounds < 5_000 else { throw Violation(.noProgress, text) }
            try tick(5_000_000)
        }
    }
}
