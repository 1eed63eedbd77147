internal import Bytes
internal import Containers
internal import Mutants
internal import Routing
internal import SegmentLog

// The catalog and the cursors: logs like any other, written with every change, replayed at start, and kept short by writing what
// lives once more and forgetting what lies before.
extension Broker {
    /// How much of one of the broker's own logs is obsolete by now.
    struct SnapshotState {
        var entries = 0
        var bytes = 0
        var isRunning = false
    }

    /// What a member asks the authority to record counts as its catalog.
    var catalogEnd: Offset { catalog.log?.watermarks.end ?? Offset(requested.sent) }

    // MARK: Writing the catalog

    /// Appends entries; the tick's end writes and flushes them together.
    func record(_ records: [CatalogRecord]) {
        guard !isRestoring else { return }
        guard isAuthority else {
            requested.sent += Int64(records.count)
            return mail[0].events.append(.record(records, through: requested.sent))
        }
        for record in records {
            scratch.clear()
            record.encode(into: &scratch)
            appendScratch(to: catalog)
            if map.shards > 1 { sharing.waiting.append((record, catalogEnd)) }
        }
        catalogState.entries += records.count
    }

    /// Writes the catalog anew when most of it is obsolete. Only between requests: within one, tables and catalog may differ.
    func compactCatalog() {
        guard !catalogState.isRunning, catalogState.entries > 1_000 else { return }
        let living = topics.count + exchanges.count + routes.bindingCount + subscriptions.count + foreignSubscriptions.count + 1
        if catalogState.entries > 1_000 + 4 * living { snapshotCatalog() }
    }

    /// The log that takes one entry of its own; what goes wrong poisons that log, and its waiters learn it.
    func appendScratch(to partition: Partition) {
        guard let log = partition.log, log.fault == nil else { return }
        let range = ByteRange(start: 0, count: scratch.count)
        do throws(LogError) {
            _ = try log.append(MessageParts(key: nil, payload: range), input: scratch.bytes, now: now)
        } catch { counters.logsFailed &+= 1 }
        touch(partition)
    }

    /// Goes on when everything that the catalog was told so far is on disk, and known to all shards.
    func waitForCatalog(_ kind: Waiter.Kind) {
        if !isAuthority, isCatalogSettled { return complete(Waiter(needed: catalogEnd, kind: kind), nil) }
        catalog.waits.untilFlushed.append(Waiter(needed: catalogEnd, kind: kind))
        touch(catalog)
    }

    /// Answers when everything that the catalog was told so far is on disk, and known to all shards.
    func respondWhenDurable(_ session: Session, _ id: RequestID, _ response: Response) {
        if isCatalogSettled || Mutant.isActive("answersChangesBeforeDurable") { return respond(session.id, id, response) }
        waitForCatalog(.answer(session.id, id, Waiter.Reply(response)))
    }

    /// Descriptions wait as well: nobody learns the id of a topic that a crash could still forget.
    func respondWhenKnown(_ session: Session, _ id: RequestID, _ response: Response) { respondWhenDurable(session, id, response) }

    var marks: CatalogRecord { .marks(topic: nextTopic, exchange: nextExchange, subscription: nextSubscription, producer: producers.mark) }

    func describe(record subscription: Subscription) -> CatalogRecord {
        .subscription(
            id: subscription.id, topic: subscription.topic.id, name: subscription.name, mode: subscription.mode, options: subscription.options,
            starts: subscription.lanes.map(\.cursor.floor))
    }

    private func snapshotCatalog() {
        guard let log = catalog.log else { return }
        catalogState.isRunning = true
        catalogState.entries = 0
        let begin = log.watermarks.end
        for record in livingRecords {
            scratch.clear()
            record.encode(into: &scratch)
            appendScratch(to: catalog)
        }
        waitForCatalog(.snapshot(catalog, before: begin))
    }

    /// All that the catalog has to say.
    var livingRecords: [CatalogRecord] {
        var living: [CatalogRecord] = [marks]
        var foreign: [TopicID: [(id: SubscriptionID, record: CatalogRecord)]] = [:]
        for (id, record) in foreignSubscriptions { if let topic = record.topic { foreign[topic, default: []].append((id, record)) } }
        for topic in topics.values.sorted(by: { $0.id < $1.id }) where topic.isPersistent {
            living.append(.topic(id: topic.id, name: topic.name, options: topic.options))
            for subscription in topic.sortedSubscriptions where subscription.isPersistent { living.append(describe(record: subscription)) }
            living += (foreign[topic.id] ?? []).sorted { $0.id < $1.id }.map(\.record)
        }
        for exchange in exchanges.values.sorted(by: { $0.id < $1.id }) { living.append(.exchange(id: exchange.id, name: exchange.name, kind: exchange.kind)) }
        for exchange in exchanges.values.sorted(by: { $0.id < $1.id }) {
            for binding in routes.bindings(of: exchange.id.rawValue) {
                let (toExchange, target) = parts(binding.destination)
                living.append(.bound(exchange: exchange.id, toExchange: toExchange, target: target, pattern: binding.pattern))
            }
        }
        return living
    }

    func trimSnapshot(_ partition: Partition, _ before: Offset) {
        switch partition {
        case _ where partition === catalog: catalogState.isRunning = false
        case _ where partition === cursors: cursorState.isRunning = false
        default: groupState.isRunning = false
        }
        if isShuttingDown { return }
        do throws(LogError) { try partition.log?.trim(before: before) } catch { counters.logsFailed &+= 1 }
    }

    // MARK: Writing cursors

    /// Writes every cursor that moved; those somebody waits for are flushed, the others go with the log's own interval.
    func writeCursors() {
        isCursorWriteDue = false
        var lanes: [Lane] = []
        swap(&lanes, &dirtyLanes)
        for lane in lanes where !lane.hasLeft { writeCursor(lane) }
        for lane in lanes { lane.isDirty = false }
        for topic in retainedTopics(lanes) { for partition in topic.partitions where partition.isFloorMoved { applyRetention(toFloorOf: partition, topic) } }
        var waiting: [Confirmation] = []
        swap(&waiting, &confirmations)
        guard let log = cursors.log else { return }
        for confirmation in waiting {
            // A confirmed settlement is on disk with its cursor, and the cursor with its message: consumers only see what is durable.
            let waiter = Waiter(
                needed: log.watermarks.end, kind: .answer(confirmation.session, confirmation.request, Waiter.Reply(.done)))
            if let fault = log.fault {
                // What could not be written counts as nowhere, whatever the watermarks say.
                complete(waiter, BrokerError(.storageFailed, "the cursors' log takes no more writes: \(fault)"))
            } else if log.watermarks.flushed >= waiter.needed {
                complete(waiter, nil)
            } else {
                wait(cursors, log, waiter, .group)
            }
        }
        let living = subscriptions.values.reduce(into: 0) { $0 += $1.isPersistent ? $1.lanes.count : 0 }
        if !cursorState.isRunning, cursorState.entries > options.cursorEntries + 4 * living { snapshotCursors() }
    }

    private func retainedTopics(_ lanes: [Lane]) -> [Topic] {
        var found: [Topic] = []
        var seen: Set<TopicID> = []
        for lane in lanes where !lane.hasLeft {
            let topic = lane.subscription.topic
            if topic.options.untilAcknowledged, seen.insert(topic.id).inserted { found.append(topic) }
        }
        return found
    }

    private func applyRetention(toFloorOf partition: Partition, _ topic: Topic) {
        partition.isFloorMoved = false
        guard let log = partition.log, log.fault == nil, let floor = partition.acknowledgedFloor else { return }
        let emptiesActive = partition.isMemory && room.memory.isTight
        guard log.segmentCount > 1 || emptiesActive else { return }
        log.applyRetention(floor: floor, now: now, emptiesActive: emptiesActive)
        considerAside(topic, partition, log)
    }

    func writeCursor(_ lane: Lane) {
        scratch.clear()
        CursorRecord.encode(lane.cursor, subscription: lane.subscription.id, partition: lane.partition.id.index, into: &scratch)
        appendScratch(to: cursors)
        cursorState.entries += 1
        counters.cursorWrites &+= 1
    }

    private func snapshotCursors() {
        guard let log = cursors.log else { return }
        cursorState.isRunning = true
        cursorState.entries = 0
        let begin = log.watermarks.end
        for subscription in subscriptions.values.sorted(by: { $0.id < $1.id }) where subscription.isPersistent {
            for lane in subscription.lanes {
                // A cursor whose topic was not used since the start is still what was read then.
                if lane.partition.log == nil, let kept = restoredCursors[subscription.id]?[lane.partition.id.index] {
                    scratch.clear()
                    CursorRecord.encode(kept, subscription: subscription.id, partition: lane.partition.id.index, into: &scratch)
                    appendScratch(to: cursors)
                } else {
                    writeCursor(lane)
                }
            }
        }
        wait(cursors, log, Waiter(needed: log.watermarks.end, kind: .snapshot(cursors, before: begin)), .group)
    }

    // MARK: Opening logs

    func logOptions(_ topic: Topic) -> Log.Options {
        var log = options.log
        if let durability = topic.options.durability { log.durability = durability }
        if let bytes = topic.options.segmentBytes { log.segmentBytes = bytes }
        if let age = topic.options.segmentMilliseconds { log.segmentMilliseconds = age }
        if let age = topic.options.retentionMilliseconds { log.retentionMilliseconds = age }
        if let bytes = topic.options.retentionBytes { log.retentionBytes = bytes }
        if let bytes = topic.options.maxMessageBytes { log.maxMessageBytes = bytes }
        if let interval = topic.options.flushIntervalMilliseconds { log.flushIntervalMilliseconds = interval }
        if let type = topic.options.timestampType { log.timestampType = type }
        if let most = topic.options.timestampBeforeMaxMilliseconds { log.timestampBeforeMaxMilliseconds = most }
        if let most = topic.options.timestampAfterMaxMilliseconds { log.timestampAfterMaxMilliseconds = most }
        if let cleanup = topic.options.cleanup { log.cleanup = cleanup }
        if let age = topic.options.deleteRetentionMilliseconds { log.compaction.deleteRetentionMilliseconds = age }
        if let lag = topic.options.minCompactionLagMilliseconds { log.compaction.minLagMilliseconds = lag }
        if let lag = topic.options.maxCompactionLagMilliseconds { log.compaction.maxLagMilliseconds = lag }
        if let ratio = topic.options.minCleanableDirtyRatio { log.compaction.minDirtyRatio = ratio }
        return log
    }

    /// The partition's log; opened, recovered and joined with its cursors at the first use.
    func openLog(_ partition: Partition) throws(BrokerError) -> Log {
        if let log = partition.log { return log }
        if let failure = partition.failure { throw failure }
        guard !partition.isDeleted, let topic = topics[partition.id.topic], isHere(topic) else { throw BrokerError(.unknownTopic, "the topic was deleted") }
        do throws(LogError) {
            let log = try Log(
                directory: partition.directory, number: partition.number, options: logOptions(topic), storage: partition.isMemory ? memoryStorage : storage,
                now: now, cache: segmentCache)
            partition.log = log
            noteRecovery(partition, log)
            partition.shown = log.visibleEnd
            joinCursors(partition, log)
            schedule(partition)
            return log
        } catch {
            // Nothing is wrong with the log: the next use tries again.
            if case .storage(let problem) = error, problem.isShortage { throw BrokerError(.storageFailed, problem.description) }
            // Quarantined: this log alone is out of service, until an operator has looked at it.
            let failure = BrokerError(.storageFailed, "the log is not usable: \(BrokerError(error).text)")
            partition.failure = failure
            counters.logsFailed &+= 1
            notices.append(.logRefused(log: shownName(partition), reason: BrokerError(error).text))
            throw failure
        }
    }

    private func joinCursors(_ partition: Partition, _ log: Log) {
        for lane in partition.lanes {
            let id = lane.subscription.id
            if var cursor = restoredCursors[id]?.removeValue(forKey: partition.id.index) {
                // A copy that its log has forgotten was settled after the cursor was written.
                if let store = survivors.log, !cursor.aside.isEmpty {
                    _ = cursor.dropAside { $0.place < store.watermarks.start.rawValue || $0.place >= store.visibleEnd.rawValue }
                }
                cursor.restored(start: log.watermarks.start, end: log.visibleEnd, clean: wasStoppedCleanly)
                lane.cursor = cursor
                // What may have been delivered stays so, whatever the next stop is like.
                if !wasStoppedCleanly, cursor.floor < cursor.next { changed(lane) }
                for range in lane.cursor.exhaust(limit: deliveryLimit(lane.subscription)) {
                    moves.append(Move(lane: lane, first: Offset(range.lowerBound), last: Offset(range.upperBound), kind: .deadLetter(.deliveryLimit)))
                }
            } else if lane.cursor.floor < log.watermarks.start {
                lane.cursor.logStarts(at: log.watermarks.start)
            }
            if restoredCursors[id]?.isEmpty == true { restoredCursors[id] = nil }
        }
    }

    // MARK: Start

    /// Reads catalog and cursors, and opens logs as far as the options say.
    func restore(_ image: CatalogImage?) throws(StartError) {
        lookAtDisk()
        do throws(StorageError) { try storage.makeDirectory(options.directory + "/logs") } catch {
            throw StartError(path: options.directory, reason: error.description)
        }
        let own = ownOptions
        isRestoring = true
        var wasClean = true
        if let image {
            for record in image.records { apply(record) }
            wasClean = image.wasStoppedCleanly
        } else {
            catalog.log = try openOwn(catalog, own.catalog)
            catalogState.entries = try replay(catalog) { bytes throws(ByteError) in self.apply(try CatalogRecord(decoding: bytes)) }
            wasClean = try regroupCursors() && catalog.log?.recovery.wasClean ?? true
        }
        if isAuthority { try restoreGroups() }
        cursors.log = try openOwn(cursors, own.cursors)
        survivors.log = try openOwn(survivors, own.survivors)
        memorySurvivors.log = try openOwn(memorySurvivors, own.survivors)
        for own in [catalog, cursors, survivors, memorySurvivors, groupLog] { if let log = own.log { noteRecovery(own, log) } }
        wasStoppedCleanly = wasClean && (cursors.log?.recovery.wasClean ?? true)
        cursorState.entries = try replay(cursors) { bytes throws(ByteError) in
            let record = try CursorRecord(decoding: bytes)
            if self.subscriptions[record.subscription] != nil { self.restoredCursors[record.subscription, default: [:]][record.partition] = record.cursor }
        }
        isRestoring = false
        // Subscriptions of memory queues are not in the catalog.
        for topic in topics.values.sorted(by: { $0.id < $1.id }) { installQueue(topic) }
        producers.next = producers.mark
        producers.durableMark = producers.mark
        for subscription in subscriptions.values.sorted(by: { $0.id < $1.id }) where subscription.isPersistent {
            for lane in subscription.lanes {
                // Without an entry of its own the cursor is where the subscription began, and may have been ahead of that.
                let index = lane.partition.id.index
                let kept = restoredCursors[subscription.id]?[index] ?? Cursor(restored: lane.cursor.floor, next: lane.cursor.floor)
                restoredCursors[subscription.id, default: [:]][index] = kept
                lane.cursor = kept
                noteAside(lane)
            }
        }
        // From the first delivery on the next start must not take this one's end for a clean one: appending makes the log say so.
        if isAuthority, wasStoppedCleanly, !subscriptions.isEmpty || !foreignSubscriptions.isEmpty { record([marks]) }
        if isAuthority { removeOrphans() }
        let all = topics.values.sorted { $0.id < $1.id }.flatMap(\.partitions)
        // What has copies is opened in any case, so that the log of survivors can be written anew.
        let opened = all.count <= options.logsOpenedAtStart ? all : asideState.lanes.map(\.partition)
        for partition in opened {
            do throws(BrokerError) { _ = try openLog(partition) } catch { continue }  // kept as the partition's failure, and counted
        }
    }

    func openOwn(_ partition: Partition, _ options: Log.Options) throws(StartError) -> Log {
        do throws(LogError) {
            return try Log(
                directory: partition.directory, number: partition.number, options: options, storage: partition.isMemory ? memoryStorage : storage, now: now,
                cache: segmentCache)
        } catch { throw StartError(log: partition.directory, error) }
    }

    private func replay(_ partition: Partition, _ apply: (RawSpan) throws(ByteError) -> Void) throws(StartError) -> Int {
        guard let log = partition.log else { return 0 }
        defer { partition.shown = log.visibleEnd }
        return try replay(log, apply)
    }

    /// Hands out every entry of one of the brokers' own logs; answers how many there are.
    func replay(_ log: Log, _ apply: (RawSpan) throws(ByteError) -> Void) throws(StartError) -> Int {
        var count = 0
        var at = log.watermarks.start
        do throws(LogError) {
            while at < log.watermarks.end, let batch = try log.batch(at: at, below: log.watermarks.end) {
                let bytes = batch.slice.memory.bytes(batch.slice.range)
                // Checked again although recovery may have: a checkpoint vouches for bytes that may have changed since.
                _ = try RecordBatchHeader(checking: bytes, limit: bytes.byteCount)
                do throws(ByteError) {
                    var reader = try RecordReader(bytes, records: Broker.relative(batch))
                    while let record = try reader.next() {
                        guard batch.baseOffset + Int64(record.offsetDelta) >= at, let value = record.value else { continue }
                        try apply(bytes.extracting(value.indices))
                        count += 1
                    }
                } catch { throw .corruptBatch("an entry of the batch at \(batch.baseOffset) cannot be read (\(error)): written by a newer version?") }
                at = batch.lastOffset + 1
            }
        } catch { throw StartError(log: log.directory, error) }
        return count
    }

    /// Takes over a change as it was recorded, at a start or from another shard. What lives elsewhere is known by its name.
    func apply(_ record: CatalogRecord) {
        switch record {
        case .topic(let id, let name, let options):
            nextTopic = max(nextTopic, id.rawValue + 1)
            if let existing = topics[id] {
                partitionCount += Int(options.partitions - existing.options.partitions)
                existing.options = options
                addPartitions(existing)
                if !isRestoring { applyOptions(of: existing) }
            } else {
                install(id, name, options, isPersistent: true)
            }
        case .topicDeleted(let id): if let topic = topics[id] { remove(topic) }
        case .exchange(let id, let name, let kind):
            nextExchange = max(nextExchange, id.rawValue + 1)
            if exchanges[id] == nil { install(id, name, kind) }
        case .exchangeDeleted(let id): if let exchange = exchanges[id] { remove(exchange) }
        case .bound(let exchange, let toExchange, let target, let pattern):
            // What was accepted once is accepted again; a binding that is there already stays.
            do throws(RouteTable.Refusal) { try routes.bind(route(exchange, toExchange, target, pattern)) } catch { return }
        case .unbound(let exchange, let toExchange, let target, let pattern):
            do throws(RouteTable.Refusal) { try routes.unbind(route(exchange, toExchange, target, pattern)) } catch { return }
        case .subscription(let id, let topicID, let name, let mode, let options, let starts):
            nextSubscription = max(nextSubscription, id.rawValue + 1)
            if let topic = topics[topicID], !isHere(topic) {
                if isAuthority { foreignSubscriptions[id] = record }
                return
            }
            guard subscriptions[id] == nil, let topic = topics[topicID], topic.subscriptions[name] == nil else { return }
            topic.subscriptions[name] = install(topic, id: id, name: name, mode: mode, options: options, starts: starts, isPersistent: true)
        case .subscriptionDeleted(let id):
            foreignSubscriptions[id] = nil
            if let subscription = subscriptions[id] { remove(subscription) }
        case .marks(let topic, let exchange, let subscription, let producer):
            nextTopic = max(nextTopic, topic)
            nextExchange = max(nextExchange, exchange)
            nextSubscription = max(nextSubscription, subscription)
            producers.mark = max(producers.mark, producer)
        }
    }

    private func route(_ exchange: ExchangeID, _ toExchange: Bool, _ target: UInt32, _ pattern: String) -> RouteBinding {
        RouteBinding(exchange: exchange.rawValue, destination: toExchange ? .exchange(target) : .topic(target), pattern: pattern)
    }

    /// Directories of topics whose deletion was interrupted: the catalog has used up their ids and knows them no more.
    private func removeOrphans() {
        let entries: [DirectoryEntry]
        do throws(StorageError) { entries = try storage.list(options.directory + "/logs") } catch { return }
        for entry in entries where entry.isDirectory {
            let parts = entry.name.split(separator: "-")
            guard parts.count == 2, let id = UInt32(parts[0]), UInt32(parts[1]) != nil else { continue }
            // So far ahead no broker was: somebody else's directory, and no reason to use up the ids.
            guard id <= nextTopic &+ 1_000_000 else { continue }
            if id >= nextTopic {
                // Never in the catalog, so nobody was told of it; its id is not given out again.
                nextTopic = id + 1
            } else if topics[TopicID(rawValue: id)] == nil {
                removeDirectory(options.directory + "/logs/" + entry.name)
            }
        }
    }

    func removeDirectory(_ path: String) {
        do throws(StorageError) {
            for entry in try storage.list(path) where !entry.isDirectory { try storage.remove(path + "/" + entry.name) }
            if try !storage.list(path).isEmpty { return }
            try storage.remove(path)
        } catch { counters.logsFailed &+= 1 }
    }
}
