internal import Bytes
internal import Containers
internal import Mutants
internal import SegmentLog

// The groups' log: written with every change, replayed at start, and kept short as the catalog is. Groups and their log are the
// authority's alone: a group spans topics of several shards, and all topics are in its catalog.
extension Broker {
    /// What is the most of one commit's entry in a snapshot.
    private static let storedOffsets = 1_000

    /// Nothing is promised any more once the log takes no more writes.
    func checkGroupLog() throws(BrokerError) {
        if let fault = groupLog.log?.fault { throw BrokerError(.storageFailed, "the groups' log takes no more writes: \(fault)") }
    }

    func record(_ record: GroupRecord) {
        scratch.clear()
        record.encode(into: &scratch)
        groupState.bytes += scratch.count
        appendScratch(to: groupLog)
        counters.groupWrites &+= 1
    }

    func store(_ group: ConsumerGroup) {
        group.isChanged = false
        group.isStored = true
        let stored = group.stored
        group.lastStored = stored
        record(.group(stored))
    }

    /// Answers when everything that was recorded so far is on disk.
    func respondWhenGroupsDurable(_ caller: ConsumerGroup.Caller, _ response: Response) {
        waitForGroups(.answer(caller.session, caller.request, Waiter.Reply(response)))
    }

    func waitForGroups(_ kind: Waiter.Kind) {
        guard let log = groupLog.log else { return }
        let waiter = Waiter(needed: log.watermarks.end, kind: kind)
        if let fault = log.fault {
            // What could not be written counts as nowhere, whatever the watermarks say.
            complete(waiter, BrokerError(.storageFailed, "the groups' log takes no more writes: \(fault)"))
        } else if log.watermarks.flushed >= waiter.needed {
            complete(waiter, nil)
        } else {
            groupLog.waits.untilFlushed.append(waiter)
            touch(groupLog)
        }
    }

    /// Writes the log anew when most of it is obsolete.
    func compactGroups() {
        guard !groupState.isRunning, groupState.bytes > options.groupLogBytes + 4 * groups.bytes, let log = groupLog.log, log.fault == nil else { return }
        groupState.isRunning = true
        let begin = log.watermarks.end
        for group in groups.sorted where group.isStored {
            // A group between two generations is still what its last record says; without one there are only offsets.
            if let kept = group.lastStored { record(.group(kept)) }
            let offsets = group.storedOffsets
            for first in stride(from: 0, to: offsets.count, by: Broker.storedOffsets) {
                record(.offsets(group: group.name, Array(offsets[first..<min(first + Broker.storedOffsets, offsets.count)])))
            }
        }
        groupState.bytes = 0
        waitForGroups(.snapshot(groupLog, before: begin))
    }

    // MARK: Start

    func restoreGroups() throws(StartError) {
        var own = Log.Options()
        own.segmentBytes = 4 << 20
        // No group takes more: all groups together are bound to half of it.
        own.maxMessageBytes = 1 << 30
        let log = try openOwn(groupLog, own)
        groupLog.log = log
        groups.beginIDs(now.time, log.watermarks.end)
        _ = try replay(log) { bytes throws(ByteError) in
            self.groupState.bytes += bytes.byteCount
            self.apply(try GroupRecord(decoding: bytes))
        }
        groupLog.shown = log.visibleEnd
        // A deletion of a topic may have reached the catalog alone; one of the same name may have been made since.
        for group in groups.sorted {
            for (topic, partitions) in group.offsets {
                if Mutant.isActive("keepsOffsetsOfDeletedTopics") { continue }
                let id = topicsByName[topic]?.id
                for (partition, committed) in partitions where id == nil || committed.topic ?? id != id { group.forget(topic, partition) }
            }
            groups.note(group)
        }
    }

    private func apply(_ record: GroupRecord) {
        switch record {
        case .group(let stored): restored(stored.name).restore(stored, now)
        case .groupDeleted(let name): if let group = groups[name] { groups.remove(group) }
        case .offsets(let name, let offsets):
            let group = restored(name)
            for stored in offsets { group.commit(stored.topic, stored.partition, stored.committed) }
        case .offsetsDeleted(let name, let topics):
            guard let group = groups[name] else { return }
            for topic in topics { for partition in topic.partitions { group.forget(topic.name, partition) } }
        case .topicDeleted(let name): for group in groups.all.values { group.forget(name) }
        }
    }

    private func restored(_ name: String) -> ConsumerGroup {
        if let group = groups[name] { return group }
        let group = ConsumerGroup(name: name, options: options.groups, now: now)
        group.isStored = true
        groups.insert(group)
        return group
    }
}
