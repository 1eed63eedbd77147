internal import BrokerCore
internal import Bytes
internal import KafkaProtocol
internal import Observability
internal import SegmentLog
internal import ShardRuntime
package import Simulation

/// Whole shards with Kafka's sessions on the simulated machine, driven by one seed: idempotent producers with several batches under way,
/// readers that follow, and offsets that are committed, through connections that break at any byte, power cuts, kills and stops. A producer
/// whose connection broke sends what was not answered again, in order, as Kafka's clients do.
///
/// Mostly on one shard. Where the profile asks for more, their number is another in each life, clients connect to any of them, there is a
/// second topic, which another shard may own, and readers who ask for all partitions of both at once.
///
/// Checked: what was acknowledged is there, once (L1, L6); an offset has one value for ever (L3); a producer's records keep their order
/// (L4); readers find no hole and nothing that goes away again (L5, L2); committed offsets never go back, nor do shown ones (L7); answers
/// come in the order of the questions.
package final class KafkaWorkload {
    private let seed: Seed
    private let profile: LogWorkload.Profile
    private let disk: SimulatedDisk
    private var random: RandomStream
    private var report: LogWorkload.Report
    private var fleet: ShardFleet?
    /// Of the number of shards and their turns.
    private var placement: RandomStream
    private var clients: [SimulatedKafkaClient] = []
    private var clientCount = 0
    private var lives = 0
    private var now = Now(instant: Instant(nanoseconds: 1_000_000_000), time: Timestamp(milliseconds: 1_700_000_000_000))
    private var areTopicsKnown = false
    private var isStopping = false
    private var nextMessage: UInt64
    private let places: KafkaPlaces
    private var producers: [Producer]
    private var partitions: [Partition]
    private var nextCommit: Int64 = 1

    /// One idempotent producer for each partition.
    private struct Producer {
        var id: Int64 = -1
        var epoch: Int16 = -1
        var sequence: Int32 = 0
        /// Oldest first, sent or not.
        var unanswered: [(messages: [UInt64], sequence: Int32, time: Int64)] = []
        var lastAcknowledged: Int64 = -1
    }

    private struct Partition {
        /// As it was acknowledged or shown.
        var values: [Int64: UInt64] = [:]
        var places: [UInt64: Int64] = [:]
        /// What was answered or shown of the group's offset.
        var committed: Int64 = -1
        var tried: Set<Int64> = []
    }

    package static func run(_ seed: Seed, _ profile: LogWorkload.Profile = LogWorkload.Profile()) -> LogWorkload.Report {
        let workload = KafkaWorkload(seed, profile)
        do { try workload.live() } catch { workload.report.violation = error }
        workload.report.nanoseconds = (workload.fleet?.now ?? workload.now).instant.rawValue - 1_000_000_000
        workload.fleet = nil
        workload.report.hash = workload.disk.trace.hash
        workload.report.faults = workload.disk.trace.faults
        workload.report.lines = workload.disk.trace.lines
        workload.report.crashes = workload.disk.crashes
        return workload.report
    }

    private init(_ seed: Seed, _ profile: LogWorkload.Profile) {
        self.seed = seed
        self.profile = profile
        random = seed.stream("kafka")
        placement = seed.stream("shards")
        places = KafkaPlaces(profile.shards == 1...1 ? ["orders": 2] : ["orders": 2, "returns": 1])
        producers = [Producer](repeating: Producer(), count: places.count)
        partitions = [Partition](repeating: Partition(), count: places.count)
        let trace = Trace()
        trace.keepsLines = profile.keepsTrace
        disk = SimulatedDisk(seed: seed, faults: .crashesOnly(&random), trace: trace)
        disk.sabotage = profile.sabotage
        nextMessage = seed.rawValue &* 1_000_000 &+ 1
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
        let shards = placement.within(profile.shards)
        report.setting +=
            "\n  life \(lives): shards \(shards), pieces \(faults.oneByte)/\(faults.anySize), resets \(faults.reset), window \(faults.window), "
            + "latency \(faults.latency)"
        var options = Broker.Options(directory: "data")
        options.log.segmentBytes = 16_384
        options.log.durability = .group
        do throws(StartError) {
            fleet = try ShardFleet(shards, seed.part(lives), disk, faults, now, options, KafkaProtocol(options: KafkaProtocol.Options()))
        } catch {
            throw Violation(.falseAlarm, "a broker whose disk nothing damaged does not start: \(error)")
        }
        isStopping = false
        areTopicsKnown = false
        report.recoveries += 1
        connect(.control)
    }

    private func end() throws(Violation) {
        if disk.isDown { return forget {} }
        switch random.below(4) {
        case 0:
            try stop()
            forget { if !disk.isDown { disk.kill() } }
        case 1: forget { disk.kill() }
        default: forget { disk.crash() }
        }
    }

    private func forget(_ ending: () -> Void) {
        clients = []
        fleet?.end()
        now = fleet?.now ?? now
        fleet = nil
        now.instant = now.instant.advanced(byNanoseconds: 1_000_000)
        ending()
    }

    private func stop() throws(Violation) {
        isStopping = true
        fleet?.stop(within: 1_000_000_000)
        var rounds = 0
        while let fleet, !fleet.isStopped, !disk.isDown {
            rounds += 1
            guard rounds < 20_000 else { throw Violation(.noProgress, "the shards do not stop") }
            try tick(1_000_000)
        }
        guard !disk.isDown, let fleet, fleet.openConnections > 0 else { return }
        throw Violation(.leak, "\(fleet.openConnections) connections are open after the stop")
    }

    // MARK: Steps

    private func step() throws(Violation) {
        switch random.below(100) {
        case ..<25: make(random.below(places.count))
        case ..<40: if clients.count < 8 { connect(random.pick(roles)) }
        case ..<55: commit()
        case ..<60: breakOff()
        default: break
        }
        for _ in 0..<random.within(1...6) where !disk.isDown { try tick(random.pick([1_000, 100_000, 5_000_000, 200_000_000])) }
    }

    private var roles: [SimulatedKafkaClient.Role] {
        let ones = places.all.map { SimulatedKafkaClient.Role.producer($0) } + places.all.map { .reader([$0]) } + [.committer]
        return profile.shards == 1...1 ? ones : ones + [.reader(places.all)]
    }

    private func tick(_ nanoseconds: UInt64) throws(Violation) {
        guard let fleet else { return }
        for client in clients {
            produce(client)
            fetch(client)
            client.write(random.chance(0.2) ? random.within(1...40) : .max)
        }
        fleet.tick(nanoseconds)
        if let violation = fleet.violation { throw violation }
        if disk.isDown { return }
        for client in clients {
            for (what, body) in try client.read(random.chance(0.3) ? random.within(1...200) : .max) { try heard(what, body, by: client) }
            if client.peer.isOver { clients.removeAll { $0 === client } }
        }
    }

    @discardableResult private func connect(_ role: SimulatedKafkaClient.Role) -> SimulatedKafkaClient? {
        // A producer has one connection at a time; what was under way on an old one may still arrive.
        guard !clients.contains(where: { $0.role == role }), let peer = fleet?.connect() else { return nil }
        clientCount += 1
        let client = SimulatedKafkaClient(clientCount, role, peer)
        clients.append(client)
        switch role {
        case .control:
            client.ask(19, version: 2, .made) { body in
                body.append(big: Int32(places.topics.count))
                for (topic, partitions) in places.topics {
                    body.append(text: topic)
                    body.append(big: Int32(partitions))
                    body.append(big: Int16(1))
                    body.append(big: Int32(0))
                    body.append(big: Int32(0))
                }
                body.append(big: Int32(10_000))
                body.append(UInt8(0))
            }
        case .producer(let partition) where producers[partition].id < 0:
            client.ask(22, version: 0, .producer(partition)) { body in
                body.append(big: Int16(-1))
                body.append(big: Int32(60_000))
            }
        case .producer, .committer: break
        case .reader: client.follow(places.count)
        }
        return client
    }

    private func breakOff() {
        guard let client = clients.last, client.role != .control else { return }
        client.write(random.below(60))
        if random.chance(0.3) { client.peer.finish() } else { client.peer.reset() }
        clients.removeAll { $0 === client }
    }

    // MARK: Producing

    /// A batch that is to be sent.
    private func make(_ partition: Int) {
        guard producers[partition].id >= 0, producers[partition].unanswered.count < 20 else { return }
        let count = random.mostlySmall(20)
        let messages = (0..<UInt64(count)).map { nextMessage + $0 }
        nextMessage += UInt64(count)
        report.appended += count
        producers[partition].unanswered.append((messages, producers[partition].sequence, (fleet?.now ?? now).time.rawValue))
        producers[partition].sequence += Int32(count)
    }

    /// Up to five batches are under way on a connection; what an older connection was not answered comes first.
    private func produce(_ client: SimulatedKafkaClient) {
        guard case .producer(let partition) = client.role, areTopicsKnown, !isStopping, producers[partition].id >= 0 else { return }
        while client.inFlight < min(5, producers[partition].unanswered.count) {
            let (messages, sequence, time) = producers[partition].unanswered[client.inFlight]
            let stamp = ReferenceBatch.Producer(id: producers[partition].id, epoch: producers[partition].epoch, sequence: sequence)
            let batch = ReferenceBatch.encode(messages, timestamps: messages.map { _ in time }, producer: stamp)
            client.inFlight += 1
            client.ask(0, version: 3, .produced(partition: partition, sequence: sequence)) { body in
                body.append(big: Int16(-1))
                body.append(big: Int16(-1))
                body.append(big: Int32(10_000))
                places.name([partition], in: &body) { _, body in
                    body.append(big: Int32(batch.count))
                    body.append(batch)
                }
            }
        }
    }

    private func acknowledged(_ partition: Int, _ sequence: Int32, _ error: Int16, _ base: Int64, _ client: SimulatedKafkaClient) throws(Violation) {
        client.inFlight -= 1
        // 46: stored so long ago that its place is forgotten.
        if isStopping, error != 0 { return client.peer.reset() }
        guard error == 0 || error == 46 else {
            throw Violation(.contract, "producer \(partition) was refused sequence \(sequence) with code \(error)")
        }
        guard let first = producers[partition].unanswered.first, first.sequence == sequence else {
            throw Violation(.disorder, "sequence \(sequence) was answered, \(producers[partition].unanswered.first?.sequence ?? -1) is the oldest")
        }
        producers[partition].unanswered.removeFirst()
        guard error == 0, base >= 0 else { return }
        guard base > producers[partition].lastAcknowledged else {
            throw Violation(.disorder, "sequence \(sequence) is at \(base), the one before it at \(producers[partition].lastAcknowledged)")
        }
        disk.trace.note("acknowledged", partition, Int(base), first.messages.count)
        for (index, message) in first.messages.enumerated() { try place(message, partition, base + Int64(index)) }
        producers[partition].lastAcknowledged = base + Int64(first.messages.count) - 1
    }

    private func place(_ message: UInt64, _ partition: Int, _ offset: Int64) throws(Violation) {
        if let known = partitions[partition].values[offset], known != message {
            throw Violation(.inconsistentOffset, "offset \(offset) of partition \(partition) held message \(known) and holds \(message)")
        }
        if let known = partitions[partition].places[message], known != offset {
            throw Violation(.duplicate, "message \(message) is at \(known) and at \(offset)")
        }
        partitions[partition].values[offset] = message
        partitions[partition].places[message] = offset
    }

    // MARK: Reading

    private func fetch(_ client: SimulatedKafkaClient) {
        guard case .reader(let numbers) = client.role, areTopicsKnown, !isStopping, !client.isWaiting else { return }
        let (wait, least) = (Int32(random.pick([0, 10, 500])), Int32(random.pick([1, 1, 5_000])))
        let most = Int32(random.pick([1, 400, 100_000]))
        client.ask(1, version: 4, .fetched) { body in
            body.append(big: Int32(-1))
            body.append(big: wait)
            body.append(big: least)
            body.append(big: Int32(1 << 20))
            body.append(UInt8(0))
            places.name(numbers, in: &body) { number, body in
                body.append(big: client.next[number])
                body.append(big: most)
            }
        }
    }

    private func fetched(_ partition: Int, _ error: Int16, _ high: Int64, _ bytes: [UInt8], _ client: SimulatedKafkaClient) throws(Violation) {
        if isStopping, error != 0 { return }
        let next = client.next[partition]
        guard error == 0 else { throw Violation(.pollSkip, "a fetch at \(next) of partition \(partition) is refused with code \(error)") }
        guard high >= client.highWatermark[partition] else {
            throw Violation(.disorder, "the high watermark went from \(client.highWatermark[partition]) to \(high)")
        }
        client.highWatermark[partition] = high
        disk.trace.note("fetched", partition, Int(next), Int(high))
        for record in try ReferenceBatch.decode(bytes) where record.offset >= client.next[partition] {
            guard record.offset == client.next[partition] else {
                throw Violation(.pollSkip, "reader \(client.number) got \(record.offset) where \(client.next[partition]) was due")
            }
            guard record.offset < high else { throw Violation(.visibleTooEarly, "offset \(record.offset) came with a high watermark of \(high)") }
            try place(record.message, partition, record.offset)
            client.next[partition] += 1
        }
    }

    // MARK: Committing

    private func commit() {
        guard let client = clients.first(where: { $0.role == .committer }), areTopicsKnown, !isStopping else { return }
        if random.chance(0.5) {
            let partition = random.below(places.count)
            let offset = nextCommit
            nextCommit += 1
            partitions[partition].tried.insert(offset)
            client.ask(8, version: 2, .committed(partition: partition, offset)) { body in
                body.append(text: "group")
                body.append(big: Int32(-1))
                body.append(text: "")
                body.append(big: Int64(-1))
                places.name([partition], in: &body) { _, body in
                    body.append(big: offset)
                    body.append(text: "at \(offset)")
                }
            }
        } else {
            askForOffsets(client)
        }
    }

    private func askForOffsets(_ client: SimulatedKafkaClient) {
        client.ask(9, version: 1, .offsets(floors: partitions.map(\.committed))) { body in
            body.append(text: "group")
            places.name(places.all, in: &body) { _, _ in }
        }
    }

    private func shown(_ partition: Int, _ offset: Int64, _ metadata: String, _ floor: Int64) throws(Violation) {
        guard offset >= floor else { throw Violation(.lostSettlement, "partition \(partition) is at \(offset) and was committed at \(floor)") }
        guard offset < 0 || (partitions[partition].tried.contains(offset) && metadata == "at \(offset)") else {
            throw Violation(.phantom, "partition \(partition) is at \(offset), '\(metadata)', which nobody committed")
        }
        partitions[partition].committed = max(partitions[partition].committed, offset)
    }

    // MARK: What the clients hear

    private func heard(_ what: SimulatedKafkaClient.Pending, _ body: [UInt8], by client: SimulatedKafkaClient) throws(Violation) {
        do throws(ByteError) {
            var reader = ByteReader(body.rawSpan)
            switch what {
            case .made:
                _ = try reader.take(4)
                for _ in 0..<max(0, try reader.big(Int32.self)) {
                    _ = try reader.shortText()
                    let error = try reader.big(Int16.self)
                    // 36: it is there.
                    guard error == 0 || error == 36 || isStopping else { throw .outOfRange }
                    if error != 0, error != 36 { return }
                    _ = try reader.take(max(0, Int(try reader.big(Int16.self))))
                }
                areTopicsKnown = true
            case .producer(let partition):
                _ = try reader.take(4)
                guard try reader.big(Int16.self) == 0 else {
                    if isStopping { return }
                    throw .outOfRange
                }
                guard producers[partition].id < 0 else { return }
                let id = try reader.big(Int64.self)
                guard !producers.contains(where: { $0.id == id }) else {
                    return try judge { () throws(Violation) in throw Violation(.contract, "two producers have the id \(id)") }
                }
                producers[partition].id = id
                producers[partition].epoch = try reader.big()
            case .produced(let partition, let sequence):
                _ = try reader.take(4)
                let topic = try reader.shortText()
                guard try reader.big(Int32.self) == 1, places.number(topic, try reader.big()) == partition else { throw .outOfRange }
                let error = try reader.big(Int16.self)
                let base = try reader.big(Int64.self)
                return try judge { () throws(Violation) in try acknowledged(partition, sequence, error, base, client) }
            case .fetched:
                guard case .reader(let numbers) = client.role else { throw .outOfRange }
                var answered: [Int] = []
                _ = try reader.take(4)
                for _ in 0..<max(0, try reader.big(Int32.self)) {
                    let topic = try reader.shortText()
                    for _ in 0..<max(0, try reader.big(Int32.self)) {
                        guard let partition = places.number(topic, try reader.big()) else { throw .outOfRange }
                        let error = try reader.big(Int16.self)
                        let high = try reader.big(Int64.self)
                        _ = try reader.take(8)
                        guard try reader.big(Int32.self) <= 0 else { throw .outOfRange }
                        let records = [UInt8](try reader.take(max(0, Int(try reader.big(Int32.self)))))
                        answered.append(partition)
                        try judge { () throws(Violation) in try fetched(partition, error, high, records, client) }
                    }
                }
                guard answered.sorted() == numbers else { throw .outOfRange }
            case .committed(let partition, let offset):
                _ = try reader.take(4)
                _ = try reader.shortText()
                _ = try reader.take(4 + 4)
                let error = try reader.big(Int16.self)
                if error == 0 { partitions[partition].committed = max(partitions[partition].committed, offset) } else if !isStopping { throw .outOfRange }
            case .offsets(let floors):
                var answered: [Int] = []
                for _ in 0..<max(0, try reader.big(Int32.self)) {
                    let topic = try reader.shortText()
                    for _ in 0..<max(0, try reader.big(Int32.self)) {
                        guard let partition = places.number(topic, try reader.big()) else { throw .outOfRange }
                        let offset = try reader.big(Int64.self)
                        let metadata = try reader.shortText()
                        let error = try reader.big(Int16.self)
                        if isStopping, error != 0 { return }
                        guard error == 0 else { throw .outOfRange }
                        answered.append(partition)
                        try judge { () throws(Violation) in try shown(partition, offset, metadata, floors[partition]) }
                    }
                }
                guard answered.sorted() == places.all else { throw .outOfRange }
            }
        } catch {
            if let found { throw found }
            throw Violation(.contract, "client \(client.number) cannot read, or was refused by, an answer to \(what): \(body.prefix(80))")
        }
    }

    /// A broken promise that was found while an answer was read.
    private var found: Violation?

    private func judge(_ body: () throws(Violation) -> Void) throws(ByteError) {
        do throws(Violation) { try body() } catch {
            found = error
            throw .outOfRange
        }
    }

    // MARK: The last drain

    private func drain() throws(Violation) {
        for partition in places.all { connect(.producer(partition)) }
        try wait("what was not answered is not taken") { self.areTopicsKnown && self.producers.allSatisfy(\.unanswered.isEmpty) }
        let readers = places.all.compactMap { connect(.reader([$0])) }
        guard readers.count == places.count, let committer = connect(.committer) else { throw Violation(.noProgress, "no more connections") }
        askForOffsets(committer)
        for (partition, reader) in readers.enumerated() {
            let end = (partitions[partition].values.keys.max() ?? -1) + 1
            try wait("the reader of partition \(partition) does not get to the end, \(end)") { reader.next[partition] >= end }
            let known = partitions[partition].values.count
            guard Int64(known) == (partitions[partition].values.keys.max() ?? -1) + 1 else {
                throw Violation(.lostWrite, "partition \(partition) ends at \(reader.next[partition]) and shows \(known) records")
            }
        }
        try wait("offsets are not shown") { !committer.isWaiting }
        for client in clients { client.peer.finish() }
        try wait("connections stay open") { self.fleet?.openConnections == 0 }
        try stop()
        guard disk.openFiles == 0 || disk.pendingOperations > 0 else { throw Violation(.leak, "\(disk.openFiles) files are open after the stop") }
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
