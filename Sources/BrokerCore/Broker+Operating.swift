internal import Containers
internal import Mutants
internal import Routing
package import SegmentLog

// What operators ask: lists, figures, purging, the end.
extension Broker {
    /// A queue: everything that is not in flight is taken as settled, for every subscription. A log, or with `before`: the start moves up.
    func purge(_ topicName: String, _ index: Int32?, _ before: Offset?, _ id: RequestID, _ session: Session) throws(BrokerError) {
        let topic = try ownTopic(named: topicName)
        if let index, index < 0 || Int(index) >= topic.partitions.count { throw BrokerError(.unknownPartition, "'\(topicName)' has no partition \(index)") }
        var count: Int64 = 0
        var newStart = Offset.zero
        for partition in topic.partitions where index == nil || partition.id.index == index {
            let log = try openLog(partition)
            if topic.options.isQueue, before == nil {
                for lane in partition.lanes where lane.subscription.isDurable {
                    // What is in flight stays, with its copies; those of the rest go.
                    let dropped = lane.cursor.purge(below: log.visibleEnd)
                    if lane.subscription.name == TopicOptions.queueSubscription { count += dropped }
                    lane.batch = nil
                    changed(lane)
                }
            } else {
                var target = log.visibleEnd
                if let before, before.rawValue >= 0 {
                    guard index == nil || before <= target else {
                        throw BrokerError(.offsetOutOfRange, "the log has \(log.watermarks.start) up to \(target)")
                    }
                    target = min(before, target)
                }
                let start = log.watermarks.start
                for lane in partition.lanes { dropAside(lane) { $0.last < target.rawValue } }
                if target > start {
                    do throws(LogError) { try log.trim(before: target) } catch { throw BrokerError(error) }
                    count += log.watermarks.start - start
                    for lane in partition.lanes { loseBelowStart(lane, log.watermarks.start) }
                }
            }
            newStart = log.watermarks.start
            touch(partition)
        }
        counters.purged &+= UInt64(max(0, count))
        respond(session.id, id, .purged(count, start: newStart))
    }

    // MARK: Retention

    /// Lets every open log forget what it need not keep.
    func applyRetention() {
        for topic in topics.values.sorted(by: { $0.id < $1.id }) {
            for partition in topic.partitions { applyRetention(topic, partition) }
        }
        for store in [survivors, memorySurvivors] { trimSurvivors(store) }
    }

    private func applyRetention(_ topic: Topic, _ partition: Partition) {
        guard let log = partition.log, log.fault == nil else { return }
        partition.isFloorMoved = false
        let floor = topic.options.untilAcknowledged ? partition.acknowledgedFloor : nil
        let start = log.watermarks.start
        log.applyRetention(floor: floor, now: now, emptiesActive: room.memory.isTight)
        considerAside(topic, partition, log)
        guard log.watermarks.start > start else { return }
        for lane in partition.lanes where lane.cursor.retentionFloor < log.watermarks.start { loseBelowStart(lane, log.watermarks.start) }
    }

    // MARK: Figures

    func statistics() -> [Statistic] {
        var list: [Statistic] = []
        func add(_ name: String, _ value: UInt64) { list.append(Statistic(name: "needletail_" + name, value: Double(value))) }
        add("messages_in_total", counters.messagesIn)
        add("bytes_in_total", counters.bytesIn)
        add("deliveries_total", counters.deliveries)
        add("bytes_out_total", counters.bytesOut)
        add("redeliveries_total", counters.redeliveries)
        add("settled_total", counters.settled)
        add("requeued_total", counters.requeued)
        add("leases_expired_total", counters.leasesExpired)
        add("dead_lettered_total", counters.deadLettered)
        add("dropped_total", counters.dropped)
        add("moves_failed_total", counters.movesFailed)
        add("redriven_total", counters.redriven)
        add("purged_total", counters.purged)
        add("duplicates_total", counters.duplicates)
        add("unroutable_total", counters.unroutable)
        add("requests_total", counters.requests)
        add("requests_failed_total", counters.requestsFailed)
        add("fetches_total", counters.fetches)
        add("fetches_parked_total", counters.fetchesParked)
        add("flushes_total", counters.flushes)
        add("flushes_slow_total", counters.flushesSlow)
        for work in LogWork.allCases { add("\(work.rawValue)_failures_total", counters.workFailed[work, default: 0]) }
        add("cursor_writes_total", counters.cursorWrites)
        add("set_aside_total", counters.setAside)
        add("group_rebalances_total", counters.rebalances)
        add("group_members_expired_total", counters.membersExpired)
        add("offsets_committed_total", counters.offsetsCommitted)
        add("offsets_expired_total", counters.offsetsExpired)
        add("group_writes_total", counters.groupWrites)
        add("unreadable_batches_total", counters.unreadable)
        add("unreadable_refused_total", counters.unreadableRefused)
        add("logs_failed_total", counters.logsFailed)
        add("disk_low_total", counters.diskLow)
        add("descriptors_low_total", counters.descriptorsLow)
        add("compactions_total", counters.compactions)
        add("compactions_failed_total", counters.compactionsFailed)
        add("compacted_records_total", counters.compactedRecords)
        add("compacted_bytes_total", counters.compactedBytes)
        list.append(Statistic(name: "needletail_compaction_last_seconds", value: Double(counters.compactionNanoseconds) / 1e9))
        for (name, value) in counters.limits { add("limit_\(name)_total", value) }
        var inFlight: UInt64 = 0
        var waiting: UInt64 = 0
        var logs: UInt64 = 0
        var bytes: UInt64 = 0
        for topic in topics.values {
            for partition in topic.partitions {
                logs += 1
                guard let log = partition.log else { continue }
                bytes += UInt64(max(0, log.bytes))
                for lane in partition.lanes where lane.subscription.isDurable {
                    inFlight += UInt64(lane.cursor.inFlightCount)
                    waiting += UInt64(lane.cursor.redeliveryCount + max(0, log.visibleEnd - lane.cursor.next))
                }
            }
        }
        // Of what all shards have, each shard counts its own.
        add("topics", UInt64(topics.values.reduce(into: 0) { $0 += isHere($1) ? 1 : 0 }))
        add("partitions", logs)
        add("exchanges", isAuthority ? UInt64(exchanges.count) : 0)
        add("bindings", isAuthority ? UInt64(routes.bindingCount) : 0)
        add("subscriptions", UInt64(subscriptions.count))
        add("consumers", UInt64(consumers.count))
        add("groups", UInt64(groups.count))
        add("group_members", UInt64(groups.memberCount))
        add("group_offsets", UInt64(groups.offsetCount))
        add("group_bytes", UInt64(max(0, groups.bytes)))
        add("sessions", UInt64(sessions.keys.reduce(into: 0) { $0 += $1.shard == shard && !$1.isBroker ? 1 : 0 }))
        add("logs_stalled", UInt64(partitions.values.reduce(into: 0) { $0 += $1.log?.isStalled == true ? 1 : 0 }))
        add("in_flight", inFlight)
        add("ready", waiting)
        add("log_bytes", bytes)
        add("segments_mapped", UInt64(segmentCache.mappings))
        add("index_bytes", UInt64(segmentCache.indexBytes))
        // Quantiles cannot be added up: with several shards, their histograms are.
        return map.shards == 1 ? list + StageHistograms.statistics([stages]) : list
    }

    // MARK: The end

    /// Set when the catalog's log failed: nothing can be promised any more, and the process should end.
    package var fatalFault: StorageError? { catalog.log?.fault }

    /// Whether no operation of any log is under way. After `shutDown`, once this holds, every log is closed and left clean.
    package var isQuiet: Bool {
        touched.isEmpty && (!isShuttingDown || isCatalogClosed) && partitions.values.allSatisfy { $0.log?.isQuiet ?? true }
    }

    /// Writes, flushes and closes everything; waits for it, and starts nothing new. A log with an operation still under way closes when
    /// its completion is handed in, so who wants a clean stop goes on handing them in until `isQuiet`; who does not leaves such logs as
    /// after a crash. Answers what could not be closed cleanly.
    /// - Parameter alone: no other broker was ever asked to serve.
    @discardableResult package func shutDown(now: Now, alone: Bool = false) -> [StartError] {
        guard !isShuttingDown else { return [] }
        self.now = now
        if alone { sharing.open = 0 }
        isShuttingDown = true
        // What is unsettled is unsettled when the next start reads the cursors.
        for session in sessions.keys.sorted(by: { $0.rawValue < $1.rawValue }) where !session.isBroker { close(session, now: now) }
        for lane in subscriptions.values.sorted(by: { $0.id < $1.id }).flatMap(\.lanes) where lane.cursor.inFlightCount > 0 { changed(lane) }
        if !Mutant.isActive("stopsWithoutCursors") { writeCursors() }
        touched = []
        var problems: [StartError] = []
        // Those of a topic whose deletion is not on disk yet as well: the next start removes them, or has them after all.
        for partition in partitions.values.sorted(by: { $0.number > $1.number }) where partition !== catalog { close(partition, &problems) }
        closeCatalogLast(&problems)
        return problems
    }

    private func close(_ partition: Partition, _ problems: inout [StartError]) {
        guard let log = partition.log else { return }
        do throws(LogError) { try log.close(now: now) } catch { problems.append(StartError(path: partition.directory, reason: BrokerError(error).text)) }
        partition.shown = log.watermarks.flushed
        logMoved(partition)
    }

    /// As long as the catalog is not closed cleanly, nothing counts as clean: it waits for all others.
    func closeCatalogLast(_ problems: inout [StartError]) {
        guard !isCatalogClosed, sharing.open == 0, partitions.values.allSatisfy({ $0 === catalog || $0.log?.isQuiet ?? true }) else { return }
        isCatalogClosed = true
        close(catalog, &problems)
        if !isAuthority { mail[0].events.append(.closedLogs) }
    }
}
