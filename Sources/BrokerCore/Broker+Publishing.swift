internal import Bytes
internal import Containers
internal import Mutants
internal import Observability
internal import Routing
internal import SegmentLog

// Messages in: choosing logs, appending, and waiting for what was promised.
extension Broker {
    func append(_ append: Append, _ id: RequestID, _ session: Session, _ input: RawSpan) throws(BrokerError) {
        if isTracing { traceRequest(append) }
        switch append.target {
        case .topic(let topicID, let partition):
            guard let topic = topic(topicID), isHere(topic) else { throw BrokerError(.unknownTopic, "no topic with id \(topicID.rawValue)") }
            if let letters = append.redrivenFrom, !sendsLetters(topic, to: letters) {
                throw BrokerError(.invalidRequest, "the dead letters of '\(topic.name)' go elsewhere")
            }
            if partition < 0, topic.partitions.count > 1, case .batch(let range) = append.content {
                return try appendByKey(append, range, to: topic, id, session, input)
            }
            // Exchanges choose by the key, whatever the producer: so do they on another shard.
            if partition < 0, topic.partitions.count > 1, !session.id.isBroker, case .message(let message) = append.content, message.producer != nil {
                throw BrokerError(.unsupported, "a sequence counts within one partition: name it ('\(topic.name)' has \(topic.partitions.count))")
            }
            let target = try choosePartition(topic, partition, append.content, input)
            let (result, log) = try self.append(append.content, to: target, input)
            guard append.answer == .whenReached else { return }
            let reached = promise(append.durability, target, log)
            let appended = Appended(
                topic: topicID, partition: target.id.index, baseOffset: result.baseOffset, count: result.count, reached: reached, logs: 1,
                duplicate: result.isDuplicate, stampedAt: log.options.timestampType == .append ? now.time : nil, logStart: log.watermarks.start)
            wait(target, log, Waiter(needed: result.baseOffset + Int64(result.count), kind: .append(session.id, id, appended)), reached)
        case .exchange(let exchange, let routingKey):
            try publish(append, through: exchange, routingKey, id, session, input)
        }
    }

    /// What an acknowledgement will say: the topic's durability, strengthened by the publish where the storage can.
    private func promise(_ asked: Durability, _ partition: Partition, _ log: Log) -> Durability {
        if partition.isMemory { return .none }
        let own = log.options.durability
        if asked == .none { return own }
        // `each` is a way of flushing that a log has or has not; its guarantee is that of `group`.
        return max(own, asked == .each && own != .each ? .group : asked)
    }

    func wait(_ partition: Partition, _ log: Log, _ waiter: consuming Waiter, _ durability: Durability) {
        waiter.since = now.instant
        if durability.waitsForFlush {
            if !log.options.durability.waitsForFlush { log.requestFlush(through: waiter.needed) }
            partition.waits.untilFlushed.append(waiter)
        } else {
            partition.waits.untilWritten.append(waiter)
        }
        touch(partition)
    }

    private func append(_ content: Append.Content, to partition: Partition, _ input: RawSpan) throws(BrokerError) -> (AppendResult, Log) {
        let routedAt = traceRouted
        let log = try openLog(partition)
        if let fault = log.fault { throw BrokerError(.storageFailed, "the log takes no more writes: \(fault)") }
        let isOpening = log.isClosedOnDisk
        try checkMemory(for: partition.isMemory ? content.byteCount : 0)
        if !partition.isMemory { try checkRoom(for: content.byteCount) }
        if isOpening { try checkDescriptors() }
        let result: AppendResult
        let bytes: Int
        do throws(LogError) {
            switch content {
            case .batch(let range):
                bytes = range.count
                if let topic = topic(partition.id.topic), topic.handsOutRecords, let fault = Broker.recordFault(input.extracting(range.indices)) {
                    counters.unreadableRefused &+= 1
                    // Damage on the way is another matter, and said first.
                    _ = try RecordBatchHeader(checking: input.extracting(range.indices), limit: .max)
                    throw LogError.invalidRecord(fault)
                }
                result = try log.append(batch: input.extracting(range.indices), now: now)
            case .message(let message):
                bytes = (message.payload?.count ?? 0) &+ (message.key?.count ?? 0)
                result = try log.append(MessageParts(message), input: input, now: now)
            }
        } catch {
            // Nobody may be waiting for it, and still its failure has to be told.
            failed(partition, log)
            throw BrokerError(error)
        }
        if isOpening, log.isReadying { logsOpening += 1 }
        touch(partition)
        if isTracing { traceAppended(partition, result, routed: routedAt) }
        if result.isDuplicate {
            counters.duplicates &+= 1
        } else {
            counters.messagesIn &+= UInt64(result.count)
            counters.bytesIn &+= UInt64(bytes)
        }
        return (result, log)
    }

    /// An append failed: where the log has failed with it, whoever waits for what was appended before is to be told.
    func failed(_ partition: Partition, _ log: Log) {
        if log.fault != nil, !Mutant.isActive("leavesWaitersOfFailedLogs") { touch(partition) }
    }

    // MARK: Which partition

    func choosePartition(_ topic: Topic, _ asked: Int32, _ content: Append.Content, _ input: RawSpan) throws(BrokerError) -> Partition {
        if asked >= 0 {
            guard asked < Int32(topic.partitions.count) else { throw BrokerError(.unknownPartition, "'\(topic.name)' has no partition \(asked)") }
            return topic.partitions[Int(asked)]
        }
        guard topic.partitions.count > 1 else { return topic.partitions[0] }
        if case .message(let message) = content, let key = message.key {
            return topic.partitions[Int(Bytes.partition(forKey: input.extracting(key.indices), among: Int32(topic.partitions.count)))]
        }
        return stickyPartition(topic)
    }

    /// Messages without a key go to one partition for a tick, so that they share a batch, and to the next in the next tick.
    private func stickyPartition(_ topic: Topic) -> Partition {
        if topic.stickyTick != tick {
            topic.stickyTick = tick
            topic.sticky = (topic.sticky + 1) % Int32(topic.partitions.count)
        }
        return topic.partitions[Int(topic.sticky)]
    }

    /// Splits an uncompressed batch by the records' keys.
    private func appendByKey(
        _ append: Append, _ range: ByteRange, to topic: Topic, _ id: RequestID, _ session: Session, _ input: RawSpan
    ) throws(BrokerError) {
        let batch = input.extracting(range.indices)
        let header: RecordBatchHeader
        do throws(LogError) {
            header = try RecordBatchHeader(checking: batch, limit: topic.options.maxMessageBytes ?? options.log.maxMessageBytes)
        } catch { throw BrokerError(error) }
        guard !header.isCompressed else {
            throw BrokerError(.unsupportedBatch, "a compressed batch cannot be split by key: name the partition (the topic has \(topic.partitions.count))")
        }
        guard header.producerID < 0 else {
            throw BrokerError(.unsupportedBatch, "a batch with producer sequence cannot be split by key: name the partition")
        }
        // All records are looked at before the first is stored.
        var messages: [(MessageRanges, Int)] = []
        do throws(ByteError) {
            var reader = try RecordReader(batch, records: RecordBatchHeader.byteCount..<batch.byteCount)
            while let record = try reader.next() {
                let timestamp = header.timestamp(of: record)
                messages.append(
                    (
                        MessageRanges(
                            key: record.key, payload: record.value, headers: record.headers, headerCount: record.headerCount, timestamp: timestamp,
                            producer: nil), record.range.count
                    ))
            }
        } catch { throw BrokerError(.corruptBatch, "a record is malformed") }
        let fanout = Fanout(
            session: session.id, request: id,
            appended: Appended(topic: topic.id, partition: -1, baseOffset: .zero, count: 0, reached: .each, logs: 0, duplicate: false))
        var needed: [Int32: Offset] = [:]
        for (message, _) in messages {
            let target = try choosePartition(topic, -1, .message(message), batch)
            let (result, _) = try self.append(.message(message), to: target, batch)
            if fanout.appended.count == 0 {
                fanout.appended.partition = target.id.index
                fanout.appended.baseOffset = result.baseOffset
            }
            fanout.appended.count += result.count
            needed[target.id.index] = result.baseOffset + Int64(result.count)
        }
        try finish(fanout, append, needed.sorted { $0.key < $1.key }.map { (topic.partitions[Int($0.key)], $0.value) })
    }

    // MARK: Exchanges

    private func publish(
        _ append: Append, through exchange: ExchangeID, _ routingKey: ByteRange, _ id: RequestID, _ session: Session, _ input: RawSpan
    ) throws(BrokerError) {
        guard routingKey.count <= options.limits.routingKeyBytes else {
            counters.routingKeyBytes &+= 1
            throw BrokerError(.limitReached, "a routing key has at most \(options.limits.routingKeyBytes) bytes")
        }
        guard let destinations = resolve(exchange, input.extracting(routingKey.indices)) else {
            throw BrokerError(.unknownExchange, "no exchange with id \(exchange.rawValue)")
        }
        let fanout = Fanout(
            session: session.id, request: id,
            appended: Appended(topic: TopicID(rawValue: 0), partition: -1, baseOffset: .zero, count: 0, reached: .each, logs: 0, duplicate: false))
        if destinations.isEmpty {
            counters.unroutable &+= 1
            fanout.appended.reached = append.durability
            if append.answer == .whenReached { respond(session.id, id, .appended(fanout.appended)) }
            return
        }
        // Each destination once. What fails at one does not undo the others: the publisher learns that it failed and may repeat.
        var failure: BrokerError?
        var needed: [(Partition, Offset)] = []
        var elsewhere: [Topic] = []
        for destination in destinations {
            guard let topic = topic(TopicID(rawValue: destination)) else { continue }
            do throws(BrokerError) {
                if topic.options.partitions > 1, case .batch = append.content {
                    throw BrokerError(.unsupportedBatch, "whole batches do not go through exchanges to topics with several partitions ('\(topic.name)')")
                }
                if !isHere(topic) {
                    elsewhere.append(topic)
                    continue
                }
                let target = try choosePartition(topic, -1, append.content, input)
                let (result, _) = try self.append(append.content, to: target, input)
                if needed.isEmpty {
                    fanout.appended.topic = topic.id
                    fanout.appended.partition = target.id.index
                    fanout.appended.baseOffset = result.baseOffset
                    fanout.appended.count = result.count
                    fanout.appended.duplicate = result.isDuplicate
                }
                needed.append((target, result.baseOffset + Int64(result.count)))
            } catch { failure = failure ?? error }
        }
        for topic in elsewhere {
            var part = append
            part.target = .topic(topic.id, partition: -1)
            ask(topic.owner, .append(part), input, append.answer == .whenReached ? .part(fanout) : nil)
        }
        fanout.remaining = elsewhere.count
        if let failure {
            guard !needed.isEmpty || !elsewhere.isEmpty, append.answer == .whenReached else { throw failure }
            fanout.failure = failure
        }
        try finish(fanout, append, needed)
    }

    private func resolve(_ exchange: ExchangeID, _ routingKey: RawSpan) -> [UInt32]? {
        routed &+= 1
        guard let stopwatch = options.stopwatch, routed % StageHistograms.sampling == 1 else { return routes.resolve(exchange.rawValue, routingKey) }
        let start = stopwatch()
        let found = routes.resolve(exchange.rawValue, routingKey)
        stages.route.record(stopwatch() &- start)
        return found
    }

    private func finish(_ fanout: Fanout, _ append: Append, _ needed: [(Partition, Offset)]) throws(BrokerError) {
        guard append.answer == .whenReached else { return }
        fanout.remaining += needed.count
        fanout.appended.logs = Int32(needed.count)
        var waits: [(Partition, Log, Offset, Durability)] = []
        for (partition, offset) in needed {
            let log = try openLog(partition)
            let reached = promise(append.durability, partition, log)
            fanout.appended.reached = min(fanout.appended.reached, reached)
            waits.append((partition, log, offset, reached))
        }
        for (partition, log, offset, reached) in waits { wait(partition, log, Waiter(needed: offset, kind: .part(fanout)), reached) }
    }

    // MARK: Producers

    func startProducer(_ id: Int64, _ epoch: Int16, _ request: RequestID, _ session: Session) throws(BrokerError) {
        let started: (id: Int64, epoch: Int16)
        started = try producers.start(id, epoch, limit: options.limits.producers, forgotten: &counters.producers)
        let reply = Response.producer(id: started.id, epoch: started.epoch)
        // Ids are unique across restarts: none is given out that lies above the mark that the catalog has on disk.
        if let log = catalog.log, log.watermarks.flushed >= producers.markOffset { producers.durableMark = producers.mark }
        if producers.wantsMark {
            producers.mark += ProducerTable.block
            record([marks])
            producers.markOffset = catalogEnd
        }
        if started.id >= producers.durableMark {
            respondWhenDurable(session, request, reply)
        } else {
            respond(session.id, request, reply)
        }
    }
}

extension MessageParts {
    init(_ message: MessageRanges) {
        self.init(
            key: message.key, payload: message.payload, headers: message.headers, headerCount: message.headerCount, timestamp: message.timestamp,
            producerID: message.producer?.id ?? -1, producerEpoch: message.producer?.epoch ?? -1, sequence: message.producer?.sequence ?? -1)
    }
}

extension BrokerError {
    init(_ error: LogError) {
        switch error {
        case .corruptBatch(let what): self.init(.corruptBatch, "the batch is damaged: \(what)")
        case .unsupportedBatch(let what): self.init(.unsupportedBatch, "not stored here: \(what)")
        case .invalidRecord(let what): self.init(.invalidRecord, what)
        case .invalidTimestamp(let what): self.init(.invalidTimestamp, what)
        case .tooLarge(let bytes, let limit): self.init(.messageTooLarge, "\(bytes) bytes where the topic takes \(limit)")
        case .offsetOutOfRange(let start, let end): self.init(.offsetOutOfRange, "the log has \(start) up to \(end)")
        case .outOfOrderSequence(let expected, let got): self.init(.outOfOrderSequence, "sequence \(got) where \(expected) follows")
        case .producerFenced(let current, let got): self.init(.producerFenced, "epoch \(got) where \(current) is current")
        case .storage(let error): self.init(.storageFailed, error.description)
        case .damaged(let path, let position, let reason): self.init(.storageFailed, "\(path) is damaged at \(position): \(reason)")
        case .closed: self.init(.shuttingDown, "the log is closed")
        case .loading: self.init(.storageFailed, "it is being read from the disk")
        }
    }
}

/// Ids and epochs of idempotent producers. Only the high mark is persistent: epochs are fenced by the logs themselves.
struct ProducerTable {
    static let block: Int64 = 1_000
    private var epochs: [Int64: Int16] = [:]
    private var order: [Int64] = []
    private var oldest = 0
    var next: Int64 = 0
    /// Ids below may be used once the catalog has it on disk.
    var mark: Int64 = 0
    var durableMark: Int64 = 0
    /// Where the catalog has the newest mark.
    var markOffset = Offset.zero

    /// Half a block is left.
    var wantsMark: Bool { next + ProducerTable.block / 2 > mark }

    mutating func start(_ id: Int64, _ epoch: Int16, limit: Int, forgotten: inout UInt64) throws(BrokerError) -> (id: Int64, epoch: Int16) {
        if id >= 0 {
            guard id < next else { throw BrokerError(.producerFenced, "producer \(id) was never started") }
            // A newer epoch than the one remembered was given out before a restart, or before it was forgotten.
            let current = max(epochs[id] ?? epoch, epoch)
            guard epoch == current else { throw BrokerError(.producerFenced, "epoch \(epoch) where \(current) is current") }
            if current < .max - 1 {
                if epochs[id] == nil { note(id, limit, &forgotten) }
                epochs[id] = current + 1
                return (id, current + 1)
            }
            // Epochs are used up: go on under a new id.
        }
        let made = next
        next += 1
        note(made, limit, &forgotten)
        epochs[made] = 0
        return (made, 0)
    }

    /// Beyond the limit the one started longest ago is forgotten: its epoch is believed when it comes again.
    private mutating func note(_ id: Int64, _ limit: Int, _ forgotten: inout UInt64) {
        if epochs.count >= limit, oldest < order.count {
            epochs[order[oldest]] = nil
            oldest += 1
            forgotten &+= 1
            if oldest > 1_024, oldest * 2 > order.count {
                order.removeFirst(oldest)
                oldest = 0
            }
        }
        order.append(id)
    }
}
