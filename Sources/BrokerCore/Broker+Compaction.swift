internal import SegmentLog

// Topics of which the newest record of each key is kept. One log of a shard is compacted at a time, the one whose pass is most due; its
// steps run on a thread of their own, at a bounded rate.
extension Broker {
    /// Begins a pass where one is due and none is under way.
    func considerCompaction() {
        if let running = compacting {
            guard running.isDeleted || running.log.map({ $0.fault != nil || !$0.isCompacting }) ?? true else { return }
            compacting = nil
        }
        var best: (partition: Partition, share: Double)?
        for topic in topics.values where topic.options.cleanup?.compacts == true {
            for partition in topic.partitions {
                guard !partition.isDeleted, let log = partition.log, let share = log.compactionDue(now: now) else { continue }
                if let found = best, found.share > share || found.share == share && found.partition.number < partition.number { continue }
                best = (partition, share)
            }
        }
        guard let (partition, _) = best, let log = partition.log else { return }
        do throws(LogError) {
            try log.compact(compactionLimits, now: now)
            if log.isCompacting { compacting = partition }
        } catch { logMoved(partition) }
        schedule(partition)
    }

    private var compactionLimits: CompactionLimits {
        CompactionLimits(
            memoryBytes: options.limits.compactionBytes, seed: options.compactionSeed, bytesPerSecond: options.limits.compactionBytesPerSecond)
    }

    /// A step of the pass may have been its last.
    func noteCompaction(_ partition: Partition) {
        guard let log = partition.log, let report = log.takeCompactionReport() else { return }
        counters.compactions &+= 1
        counters.compactedRecords &+= UInt64(max(0, report.removedRecords))
        counters.compactedBytes &+= UInt64(max(0, report.removedBytes))
        counters.compactionNanoseconds = report.nanoseconds
        if report.isCut { counters.compactionBytes &+= 1 }
        if let failure = report.failure {
            counters.compactionsFailed &+= 1
            notices.append(.compactionFailed(log: shownName(partition), reason: failure))
        }
        considerCompaction()
    }
}
