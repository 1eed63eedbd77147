internal import Mutants
internal import Routing
internal import SegmentLog

/// Whether the process has memory for publishes (rule P12): those are slowed down while it gets tight, and refused while it is full. What
/// makes room, delivering and settling, is never refused.
struct MemoryRoom {
    private(set) var used = 0
    private(set) var limit = Int.max
    private(set) var isFull = false
    /// A publish was refused since it is full, and the operator was told.
    var isTold = false

    /// Back only well below the limit, so that it is not crossed with every message.
    private var mark: Int { isFull ? limit - limit / 8 : limit }
    var isTight: Bool { isFull || used >= limit - limit / 4 }

    /// What all shards use now.
    mutating func look(_ used: Int, of limit: Int) {
        self.used = used
        self.limit = limit
        isFull = used >= mark
    }

    /// Takes a little more, before anybody has looked again.
    mutating func note(_ bytes: Int) {
        guard !isFull else { return }
        used &+= bytes
        isFull = used >= mark
    }
}

extension Broker {
    /// What this broker holds beside the sessions: topics in memory, groups, bindings, the subscriptions' places in their
    /// partitions, what logs stage until they are ready, and a compaction's tables.
    package var memoryBytes: Int {
        memoryStorage.bytes + max(0, groups.bytes) + routes.bytes + laneCount * Lane.bytes + stagedBytes
            + (compacting == nil ? 0 : options.limits.compactionBytes)
    }

    /// What all shards of the process use, and may use. Called once a tick.
    package func setMemory(used: Int, limit: Int) {
        let wasTight = room.memory.isTight
        room.memory.look(used, of: limit)
        if room.memory.isTold, !room.memory.isFull {
            room.memory.isTold = false
            notices.append(.memoryRoomAgain(used: used))
        }
        if logsOpening > 0, now.instant.nanoseconds(since: lastStagedLook) > 100_000_000 { lookAtStaged() }
        if logsOpening == 0, stagedBytes > 0 { lookAtStaged() }
        // Segments that consumers have done with go at once, the last ones included.
        if room.memory.isTight, !wasTight { applyRetention() }
    }

    /// Whether publishers are to be slowed down.
    package var isMemoryTight: Bool { room.memory.isTight }

    /// Refuses what takes memory while it is full.
    func checkMemory(for bytes: Int) throws(BrokerError) {
        room.memory.note(bytes)
        guard room.memory.isFull, !Mutant.isActive("takesPublishesWithoutMemory") else { return }
        counters.memory &+= 1
        if !room.memory.isTold {
            // Each shard for itself: the one that refuses knows it.
            room.memory.isTold = true
            notices.append(.memoryFull(used: room.memory.used, limit: room.memory.limit))
        }
        throw BrokerError(
            .limitReached,
            "the broker's memory is full: \(room.memory.used) of \(room.memory.limit) bytes (limits.memory) are taken, by topics in memory, by what "
                + "consumers do not read, by groups, by bindings and subscriptions; it goes on when some of it is gone")
    }

    /// Refuses bindings, and the subscriptions' places in partitions, where memory is full or they would have more than a quarter of it: what
    /// takes no messages must not keep all others from publishing. Each shard has its part of that.
    func checkPlaces(for bytes: Int) throws(BrokerError) {
        let taken = routes.bytes + (laneCount + lanesComing) * Lane.bytes
        guard taken + bytes <= room.memory.limit / 4 / map.shards else {
            counters.memory &+= 1
            throw BrokerError(
                .limitReached,
                "bindings and subscriptions have at most a quarter of limits.memory, which is \(room.memory.limit); here they take \(taken) bytes"
                    + (bytes > 0 ? ", and \(bytes) more were wanted" : ""))
        }
        try checkMemory(for: bytes)
    }

    private func lookAtStaged() {
        lastStagedLook = now.instant
        stagedBytes = partitions.values.reduce(into: 0) { $0 += $1.log?.isReadying == true ? $1.log?.stagedBytes ?? 0 : 0 }
    }
}
