internal import Bytes
internal import Containers
internal import Mutants
internal import SegmentLog

/// Why a record was given up.
enum DeathReason: String {
    case rejected
    case deliveryLimit = "delivery-limit"
    case leaseExpired = "lease-expired"
    case consumerGone = "consumer-gone"
    /// Its records cannot be told apart: the letter's payload is the batch as it was stored.
    case unreadable
}

/// Records of one lane on their way to another topic; in flight with the broker meanwhile.
final class Move {
    let lane: Lane
    var first: Offset
    let last: Offset
    let kind: Kind
    var confirmation: MoveConfirmation?

    enum Kind {
        case deadLetter(DeathReason)
        case redrive(Redrive)
    }

    init(lane: Lane, first: Offset, last: Offset, kind: Kind) {
        self.lane = lane
        self.first = first
        self.last = last
        self.kind = kind
    }
}

/// Who rejected records waits until all of them are durable where they went, and settled here.
final class MoveConfirmation {
    let confirmation: Broker.Confirmation
    /// Records still to come; 0 when it was answered.
    var remaining: Int64

    init(_ confirmation: Broker.Confirmation, _ moves: [Move]) {
        self.confirmation = confirmation
        remaining = moves.reduce(0) { $0 + ($1.last - $1.first + 1) }
    }
}

/// Records `first … last` are stored elsewhere, and settled here once that is durable.
struct MovedRecord {
    var move: Move
    var first: Offset
    var last: Offset
}

/// One request to bring dead letters back; answered when the last has arrived.
final class Redrive {
    let session: SessionID
    let request: RequestID
    var remaining: Int64 = 0
    var moved: Int64 = 0

    init(session: SessionID, request: RequestID) {
        self.session = session
        self.request = request
    }
}

// Dead letters and their way back. A record is durable where it goes before it is settled where it was, so it is never in neither
// place; a crash in between leaves it in both.
extension Broker {
    static let deathHeaders = ["x-death-reason", "x-origin-topic", "x-origin-partition", "x-origin-offset", "x-delivery-count", "x-death-time"]

    func runMoves() {
        var budget = options.movesPerTick
        while budget > 0, let move = moves.popFirst() { run(move, &budget) }
    }

    private func run(_ move: Move, _ budget: inout Int) {
        let lane = move.lane
        guard !lane.hasLeft, let log = lane.partition.log else { return finish(move, move.first, move.last) }
        var destination: Topic?
        if case .deadLetter = move.kind {
            guard let name = deadLetterTopic(lane.subscription) else { return drop(move) }
            do throws(BrokerError) {
                if destinationsAsked[name] != nil {
                    destinationsAsked[name]?.append(move)
                    return
                } else if let existing = topicsByName[name] {
                    destination = existing
                } else if isAuthority {
                    destination = try makeTopic(name, .queue())
                } else {
                    destinationsAsked[name] = [move]
                    return ask(0, .createTopic(name: name, .queue()), RawSpan(), .resume(topic: name))
                }
            } catch { return retry(move) }
            // A topic that a crash could still forget, or that another shard does not know yet, takes no letters. Members know no such.
            if let known = catalog.log, known.fault == nil, !isCatalogSettled { return waitForCatalog(.resume(move)) }
        }
        while move.first <= move.last, budget > 0 {
            do throws(LogError) {
                if move.first < log.watermarks.start, lane.cursor.copy(of: move.first) == nil {
                    // Retention was faster.
                    let last = min(move.last, log.watermarks.start - 1)
                    finish(move, move.first, last)
                    move.first = last + 1
                    continue
                }
                guard let batch = try batch(lane, log, at: move.first, below: log.visibleEnd, cold: .comeBack(now.instant)),
                    batch.baseOffset <= move.last
                else {
                    // Nothing is there (any more).
                    finish(move, move.first, move.last)
                    return
                }
                // A moved record gets a new checksum: this is the last place where damage shows.
                try log.check(batch)
                if batch.baseOffset > move.first {
                    finish(move, move.first, batch.baseOffset - 1)
                    move.first = batch.baseOffset
                }
                let last = min(move.last, batch.lastOffset)
                if batch.isCompressed, let destination {
                    try moveWhole(move, batch, last, to: destination, &budget)
                } else if batch.isCompressed {
                    giveBack(move, move.first, last)
                    move.first = last + 1
                } else {
                    try moveRecords(move, batch, last, to: destination, &budget)
                }
            } catch .loading {
                return place(of: move.first, lane, log).resumed.append(.move(move))
            } catch {
                if case .damaged = error { counters.unreadable &+= 1 }
                return retry(move)
            }
        }
        if move.first <= move.last { moves.append(move) }
    }

    private func moveRecords(_ move: Move, _ batch: BatchView, _ last: Offset, to destination: Topic?, _ budget: inout Int) throws(LogError) {
        let bytes = batch.slice.memory.bytes(batch.slice.range)
        var refusal: BrokerError?
        do throws(ByteError) {
            var reader = try RecordReader(bytes, records: Broker.relative(batch))
            if !batch.hasHoles { try reader.skip(Int(move.first - batch.baseOffset)) }
            while move.first <= last, budget > 0 {
                guard let record = try reader.next() else {
                    guard batch.hasHoles else { throw .truncated }
                    finish(move, move.first, last)
                    move.first = last + 1
                    return
                }
                if batch.hasHoles {
                    let own = batch.baseOffset + Int64(record.offsetDelta)
                    if own < move.first { continue }
                    if own > move.first {
                        finish(move, move.first, min(own - 1, last))
                        move.first = min(own, last + 1)
                        if own > last { return }
                    }
                }
                budget -= 1
                // By its place: what it says of itself may be a lie.
                let offset = move.first
                do throws(BrokerError) {
                    let target: Topic
                    var index: Int32 = -1
                    if let destination {
                        target = destination
                    } else if let origin = origin(of: record, bytes, among: move.lane.subscription.topic) {
                        (target, index) = origin
                    } else {
                        giveBack(move, offset, offset)
                        move.first = offset + 1
                        continue
                    }
                    try store(move, record, bytes, offset, batch, in: target, index)
                } catch {
                    refusal = error
                    throw .outOfRange
                }
                move.first = offset + 1
            }
        } catch {
            if let refusal, refusal.code != .corruptBatch { throw .corruptBatch(refusal.text) }
            try moveUnreadable(move, batch, last, to: destination, &budget)
        }
    }

    /// What cannot be told apart goes as one letter with the batch's bytes as its payload.
    private func moveUnreadable(_ move: Move, _ batch: BatchView, _ last: Offset, to target: Topic?, _ budget: inout Int) throws(LogError) {
        defer { move.first = last + 1 }
        guard let target, case .deadLetter(let reason) = move.kind else { return giveBack(move, move.first, last) }
        budget -= 1
        scratch.clear()
        var message = MessageRanges(key: nil, payload: nil, headers: .empty, headerCount: 0, timestamp: nil, producer: nil)
        message.headerCount = addHistory(move, reason, move.first)
        message.headers = ByteRange(start: 0, count: scratch.count)
        message.payload = ByteRange(start: scratch.count, count: batch.slice.range.count)
        scratch.append(batch.slice.memory.bytes(batch.slice.range))
        do throws(BrokerError) { try send(message, move, move.first, last, to: target, -1) } catch { throw .corruptBatch(error.text) }
    }

    /// Writes what led to a death as headers; answers how many.
    private func addHistory(_ move: Move, _ reason: DeathReason, _ offset: Offset) -> Int32 {
        let attempts = move.lane.cursor.inFlight.run(containing: offset.rawValue)?.attempt ?? 0
        let values = [
            reason.rawValue, move.lane.subscription.topic.name, String(move.lane.partition.id.index), String(offset.rawValue), String(attempts),
            String(now.time.rawValue),
        ]
        for (name, value) in zip(Broker.deathHeaders, values) { RecordHeaderReader.encode(name: name, value: Array(value.utf8), into: &scratch) }
        return Int32(values.count)
    }

    /// Appends the record to its destination, with its history as headers or, on the way back, without.
    private func store(
        _ move: Move, _ record: Record, _ bytes: RawSpan, _ offset: Offset, _ batch: BatchView, in target: Topic, _ index: Int32
    ) throws(BrokerError) {
        var message = MessageRanges(
            key: nil, payload: nil, headers: .empty, headerCount: 0, timestamp: batch.timestamp(of: record),
            producer: nil)
        scratch.clear()
        do throws(ByteError) {
            message.headerCount = try copyHeaders(of: record, bytes)
        } catch { throw BrokerError(.corruptBatch, "headers of the record at \(offset)") }
        if case .deadLetter(let reason) = move.kind {
            message.headerCount += addHistory(move, reason, offset)
        }
        message.headers = ByteRange(start: 0, count: scratch.count)
        if let key = record.key {
            message.key = ByteRange(start: scratch.count, count: key.count)
            scratch.append(bytes.extracting(key.indices))
        }
        if let value = record.value {
            message.payload = ByteRange(start: scratch.count, count: value.count)
            scratch.append(bytes.extracting(value.indices))
        }
        try send(message, move, offset, offset, to: target, index)
    }

    /// Appends a message that lies in the scratch buffer; once it is durable, `first … last` are settled where they were.
    private func send(
        _ message: MessageRanges, _ move: Move, _ first: Offset, _ last: Offset, to target: Topic, _ index: Int32
    ) throws(BrokerError) {
        if Mutant.isActive("settlesBeforeLetterIsDurable") { move.lane.cursor.settle(first, last, by: Cursor.broker) }
        var input = ByteBuffer()
        swap(&input, &scratch)
        defer { swap(&input, &scratch) }
        guard isHere(target) else {
            var append = Append(target: .topic(target.id, partition: index), content: .message(message), durability: .group, answer: .whenReached)
            // Whose letters go where, its owner alone knows.
            if case .redrive = move.kind { append.redrivenFrom = move.lane.subscription.topic.id }
            return ask(target.owner, .append(append), input.bytes, .moved(MovedRecord(move: move, first: first, last: last)))
        }
        let partition = try choosePartition(target, index, .message(message), input.bytes)
        let log = try openLog(partition)
        if partition.isMemory, !move.lane.partition.isMemory { try checkMemory(for: message.payload?.count ?? 0) }
        let result: AppendResult
        do throws(LogError) { result = try log.append(MessageParts(message), input: input.bytes, now: now) } catch {
            failed(partition, log)
            throw BrokerError(error)
        }
        let waiter = Waiter(needed: result.baseOffset + 1, kind: .moved(MovedRecord(move: move, first: first, last: last)))
        wait(partition, log, waiter, partition.isMemory ? .none : .group)
    }

    /// Copies the record's headers but for those that tell of an earlier death; answers how many.
    private func copyHeaders(of record: Record, _ bytes: RawSpan) throws(ByteError) -> Int32 {
        var count: Int32 = 0
        var reader = try RecordHeaderReader(bytes, headers: record.headers)
        while let (name, value) = try reader.next() {
            if Broker.isDeathHeader(bytes.extracting(name.indices)) { continue }
            scratch.append(varInt: Int64(name.count))
            scratch.append(bytes.extracting(name.indices))
            scratch.append(varInt: Int64(value?.count ?? -1))
            if let value { scratch.append(bytes.extracting(value.indices)) }
            count += 1
        }
        return count
    }

    private static func isDeathHeader(_ name: RawSpan) -> Bool {
        guard name.byteCount >= 12 else { return false }
        return deathHeaders.contains(String(decodingBytes: name))
    }

    /// A compressed batch is not opened: it goes as it is, with whoever else is in it.
    private func moveWhole(_ move: Move, _ batch: BatchView, _ last: Offset, to target: Topic, _ budget: inout Int) throws(LogError) {
        budget -= Int(batch.recordCount)
        var copy = ByteBuffer()
        copy.append(batch.slice.memory.bytes(batch.slice.range))
        // Without its producer: the sequence belongs to the other log.
        copy.patch(big: Int64(-1), at: 43)
        copy.patch(big: Int16(-1), at: 51)
        copy.patch(big: Int32(-1), at: 53)
        let crc = CRC32C.checksum(copy.bytes.extracting(RecordBatchHeader.checkedStart..<copy.count))
        copy.patch(big: crc, at: 17)
        let record = MovedRecord(move: move, first: move.first, last: last)
        guard isHere(target) else {
            let content = Append.Content.batch(ByteRange(start: 0, count: copy.count))
            ask(
                target.owner, .append(Append(target: .topic(target.id, partition: 0), content: content, durability: .group, answer: .whenReached)), copy.bytes,
                .moved(record))
            move.first = last + 1
            return
        }
        let partition = target.partitions[0]
        let log: Log
        do throws(BrokerError) { log = try openLog(partition) } catch { throw .closed }
        let result: AppendResult
        do throws(LogError) { result = try log.append(batch: copy.bytes, now: now) } catch {
            failed(partition, log)
            throw error
        }
        wait(partition, log, Waiter(needed: result.baseOffset + Int64(result.count), kind: .moved(record)), partition.isMemory ? .none : .group)
        move.first = last + 1
    }

    // MARK: Outcomes

    /// The record is durable where it went, or it is not.
    func moved(_ record: MovedRecord, _ failure: BrokerError?) {
        guard failure == nil else {
            counters.movesFailed &+= 1
            if case .redrive = record.move.kind { return giveBack(record.move, record.first, record.last) }
            failConfirmation(of: record.move)
            return retry(Move(lane: record.move.lane, first: record.first, last: record.last, kind: record.move.kind))
        }
        let count = record.last - record.first + 1
        switch record.move.kind {
        case .deadLetter: counters.deadLettered &+= UInt64(count)
        case .redrive(let job):
            counters.redriven &+= UInt64(count)
            job.moved += count
        }
        finish(record.move, record.first, record.last)
    }

    private func finish(_ move: Move, _ first: Offset, _ last: Offset) {
        if !move.lane.hasLeft {
            move.lane.cursor.settle(first, last, by: Cursor.broker)
            changed(move.lane)
        }
        progress(move, last - first + 1)
    }

    private func drop(_ move: Move) {
        counters.dropped &+= UInt64(move.last - move.first + 1)
        finish(move, move.first, move.last)
    }

    private func giveBack(_ move: Move, _ first: Offset, _ last: Offset) {
        if !move.lane.hasLeft {
            _ = move.lane.cursor.requeue(first, last, by: Cursor.broker, counted: false, limit: 0)
            changed(move.lane)
            makeReady(move.lane)
        }
        progress(move, last - first + 1)
    }

    private func progress(_ move: Move, _ count: Int64) {
        if let waiting = move.confirmation, waiting.remaining > 0 {
            waiting.remaining -= count
            // Durable there; the cursor that says so is written for whoever waits.
            if waiting.remaining == 0 { confirmations.append(waiting.confirmation) }
        }
        guard case .redrive(let job) = move.kind else { return }
        job.remaining -= count
        if job.remaining == 0 { respond(job.session, job.request, .count(job.moved)) }
    }

    /// Tries again later; meanwhile the records stay in flight with the broker.
    func retry(_ move: Move) {
        if case .redrive = move.kind { return giveBack(move, move.first, move.last) }
        failConfirmation(of: move)
        counters.movesFailed &+= 1
        later(.move(move), milliseconds: options.moveRetryMilliseconds)
    }

    /// The move goes on, but nobody knows for how long.
    private func failConfirmation(of move: Move) {
        guard let waiting = move.confirmation, waiting.remaining > 0 else { return }
        waiting.remaining = 0
        let failure = BrokerError(.storageFailed, "the dead letter cannot be stored at present; until it is, the message is neither settled nor delivered")
        respond(waiting.confirmation.session, waiting.confirmation.request, .failed(failure))
    }

    // MARK: The way back

    func redrive(_ topicName: String, _ limit: Int64, _ id: RequestID, _ session: Session) throws(BrokerError) {
        let topic = try ownTopic(named: topicName)
        guard let lane = topic.subscriptions[TopicOptions.queueSubscription]?.lanes.first else {
            throw BrokerError(.invalidRequest, "'\(topicName)' is no queue")
        }
        let log = try openLog(lane.partition)
        let job = Redrive(session: session.id, request: id)
        var left = limit <= 0 ? Int64.max : limit
        var started: [Move] = []
        while left > 0, let pending = lane.cursor.pending(below: log.visibleEnd) {
            let last = left > pending.last - pending.first ? pending.last : pending.first + (left - 1)
            lane.cursor.take(pending, through: last, by: Cursor.broker, until: .distantFuture)
            let count = last - pending.first + 1
            left -= count
            job.remaining += count
            started.append(Move(lane: lane, first: pending.first, last: last, kind: .redrive(job)))
        }
        if started.isEmpty { return respond(session.id, id, .count(0)) }
        changed(lane)
        for move in started { moves.append(move) }
    }

    /// Whether dead letters of this topic, which is on this shard, go to that one.
    func sendsLetters(_ topic: Topic, to letters: TopicID) -> Bool {
        guard let name = topics[letters]?.name else { return false }
        if topic.options.subscription.deadLetterTopic == name || Mutant.isActive("believesEveryOrigin") { return true }
        return topic.subscriptions.values.contains { deadLetterTopic($0) == name } || topic.transient.contains { deadLetterTopic($0) == name }
    }

    /// Where a dead letter came from; nil when it does not say, or that is gone. What it says anybody may have written who may publish among
    /// the letters, so it is believed only of a topic whose letters go there.
    private func origin(of record: Record, _ bytes: RawSpan, among letters: Topic) -> (Topic, Int32)? {
        var topic: Topic?
        var index: Int32 = -1
        do throws(ByteError) {
            var reader = try RecordHeaderReader(bytes, headers: record.headers)
            while let (name, value) = try reader.next() {
                guard let value, name.count >= 12 else { continue }
                switch String(decodingBytes: bytes.extracting(name.indices)) {
                case "x-origin-topic": topic = topicsByName[String(decodingBytes: bytes.extracting(value.indices))]
                case "x-origin-partition": index = Int32(String(decodingBytes: bytes.extracting(value.indices))) ?? -1
                default: break
                }
            }
        } catch { return nil }
        guard let topic, !isHere(topic) || sendsLetters(topic, to: letters.id) else { return nil }
        return (topic, index >= 0 && index < topic.options.partitions ? index : -1)
    }
}
