internal import Bytes
internal import Containers
internal import Mutants
internal import SegmentLog

/// Copies on their way: one lane's old survivors, or what still lives in the log of survivors, to its end.
///
///     copy (budgeted, over ticks) -> flush -> the cursors name the copies -> flush -> the originals may go
///
/// A crash before the last step leaves the originals, and copies that no cursor names.
final class AsideJob {
    let goal: Goal
    /// Where the copies go.
    let store: Partition
    /// Which of a compaction's parts is next.
    var index = 0
    /// The next offset of the lane to be looked at.
    var next = Offset.zero
    var copies: [Copy] = []

    enum Goal {
        /// Everything unsettled of the lane below this offset.
        case free(Lane, below: Offset)
        /// These copies are written once more.
        case compact([(lane: Lane, copy: Cursor.Aside)])
    }

    struct Copy {
        var lane: Lane
        var copy: Cursor.Aside
        /// Where a compaction found it.
        var oldPlace: Int64 = -1
    }

    init(_ goal: Goal, store: Partition) {
        self.goal = goal
        self.store = store
    }
}

/// One log of survivors, with who has copies in it.
struct AsideState {
    var lanes: [Lane] = []
    var jobs = 0
    var isCompacting = false
}

// One unsettled message does not keep segments for ever: where more than `segmentsBeforeAside` follow the oldest ones, its copy goes to
// a log of the broker's own (`__aside`; for topics in memory one in memory), and its segment may go. The entries of that log are whole
// record batches with their original offsets, as values of messages; which of them live is said by the cursors alone.
extension Broker {
    /// Starts to set aside what alone keeps old segments.
    func considerAside(_ topic: Topic, _ partition: Partition, _ log: Log) {
        guard topic.options.untilAcknowledged, options.segmentsBeforeAside > 0, !isShuttingDown else { return }
        guard var end = log.base(ofLast: options.segmentsBeforeAside) else { return }
        let lanes = partition.lanes.filter(\.subscription.isDurable)
        // What was never delivered is a backlog, not a survivor.
        for lane in lanes { end = min(end, lane.cursor.next) }
        guard let base = log.segmentBase(atOrBefore: end), base > log.watermarks.start else { return }
        end = base
        for lane in lanes where lane.cursor.retentionFloor < end && lane.settingAside == nil && now.instant >= lane.asideRetry {
            let count = lane.cursor.unsettledCount(from: lane.cursor.retentionFloor, below: end)
            // Few of many: otherwise the segments are what is needed.
            guard count <= (end - log.watermarks.start) / 2 else { continue }
            guard Int(count) + lane.cursor.aside.count <= options.limits.setAside else {
                counters.setAsideLimit &+= 1
                lane.asideRetry = now.instant.advanced(byNanoseconds: options.moveRetryMilliseconds * 1_000_000)
                continue
            }
            let job = AsideJob(.free(lane, below: end), store: store(of: partition))
            job.next = lane.cursor.retentionFloor
            lane.settingAside = job
            begin(job)
        }
    }

    func store(of partition: Partition) -> Partition { partition.isMemory ? memorySurvivors : survivors }

    private func begin(_ job: AsideJob) {
        change(job.store) { $0.jobs += 1 }
        asideJobs.append(job)
    }

    private func change(_ store: Partition, _ body: (inout AsideState) -> Void) {
        if store === survivors { body(&asideState) } else { body(&memoryAsideState) }
    }

    private func state(_ store: Partition) -> AsideState { store === survivors ? asideState : memoryAsideState }

    // MARK: Copying

    func runAsideJobs() {
        var budget = options.asideBytesPerTick
        while budget > 0, let job = asideJobs.popFirst() {
            do throws(LogError) {
                guard let log = job.store.log, log.fault == nil, cursors.log?.fault == nil else { throw .closed }
                switch job.goal {
                case .free(let lane, let end): try copyOut(job, lane, end, log, &budget)
                case .compact(let parts): try copyOn(job, parts, log, &budget)
                }
            } catch .loading {
                // What it has copied stays; it goes on where it was.
                switch job.goal {
                case .free(let lane, _): lane.partition.resumed.append(.aside(job))
                case .compact: job.store.resumed.append(.aside(job))
                }
            } catch {
                if let log = job.store.log { failed(job.store, log) }
                abandon(job)
            }
        }
    }

    private func copyOut(_ job: AsideJob, _ lane: Lane, _ end: Offset, _ store: Log, _ budget: inout Int) throws(LogError) {
        guard lane.settingAside === job, !lane.hasLeft, let log = lane.partition.log else { throw .closed }
        let cold = ColdReads.comeBack(now.instant)
        while let stretch = lane.cursor.uncopied(from: job.next.rawValue, below: end.rawValue) {
            guard budget > 0 else { return asideJobs.append(job) }
            let first = max(Offset(stretch.lowerBound), log.watermarks.start)
            guard first.rawValue <= stretch.upperBound, let batch = try log.batch(at: first, below: log.visibleEnd, cold: cold) else {
                job.next = Offset(stretch.upperBound + 1)
                continue
            }
            guard batch.baseOffset <= first else {
                // A hole; nothing is there to be kept.
                job.next = batch.baseOffset
                continue
            }
            let range = copy(batch, first, min(Offset(stretch.upperBound), batch.lastOffset))
            job.next = range.upperBound + 1
            budget -= scratch.count + 256
            let size = Int64(scratch.count)
            let place = try appendCopy(to: store)
            job.copies.append(
                AsideJob.Copy(
                    lane: lane,
                    copy: Cursor.Aside(
                        first: range.lowerBound.rawValue, last: range.upperBound.rawValue, place: place.rawValue, bytes: size, time: now.time.rawValue)))
        }
        hasCopied(job, store)
    }

    private func copyOn(_ job: AsideJob, _ parts: [(lane: Lane, copy: Cursor.Aside)], _ store: Log, _ budget: inout Int) throws(LogError) {
        while job.index < parts.count {
            guard budget > 0 else { return asideJobs.append(job) }
            let (lane, copy) = parts[job.index]
            guard !lane.hasLeft, lane.cursor.aside.run(containing: copy.first) == copy else {
                job.index += 1
                continue
            }
            let batch = try read(copy, store, .comeBack(now.instant))
            job.index += 1
            scratch.clear()
            scratch.append(batch.slice.memory.bytes(batch.slice.range))
            budget -= scratch.count + 256
            var moved = copy
            moved.place = try appendCopy(to: store).rawValue
            job.copies.append(AsideJob.Copy(lane: lane, copy: moved, oldPlace: copy.place))
        }
        hasCopied(job, store)
    }

    func appendCopy(to store: Log) throws(LogError) -> Offset {
        let range = ByteRange(start: 0, count: scratch.count)
        var input = ByteBuffer()
        swap(&input, &scratch)
        defer { swap(&input, &scratch) }
        let result = try store.append(MessageParts(key: nil, payload: range), input: input.bytes, now: now)
        return result.baseOffset
    }

    private func hasCopied(_ job: AsideJob, _ store: Log) {
        if Mutant.isActive("namesCopiesBeforeDurable") { return copied(job, nil) }
        wait(job.store, store, Waiter(needed: store.watermarks.end, kind: .copied(job)), job.store.isMemory ? .none : .group)
    }

    /// Puts `first … last` of the batch into the scratch buffer as a batch of their own. A batch that cannot be taken apart is copied
    /// whole. Answers what the copy holds.
    private func copy(_ batch: BatchView, _ first: Offset, _ last: Offset) -> (lowerBound: Offset, upperBound: Offset) {
        let bytes = batch.slice.memory.bytes(batch.slice.range)
        scratch.clear()
        if !batch.isCompressed {
            do throws(ByteError) {
                var reader = try RecordReader(bytes, records: Broker.relative(batch))
                try reader.skip(Int(first - batch.baseOffset))
                var builder = RecordBatchBuilder(into: &scratch)
                for _ in 0...Int(last - first) {
                    guard let record = try reader.next() else { throw .truncated }
                    let isWhole = RecordHeaderReader.check(bytes, headers: record.headers, count: record.headerCount)
                    guard isWhole else { throw .outOfRange }
                    builder.append(
                        key: record.key, value: record.value, headers: record.headers, headerCount: record.headerCount,
                        timestamp: batch.timestamp(of: record), input: bytes, into: &scratch)
                }
                builder.finish(into: &scratch, baseOffset: first)
                return (first, last)
            } catch { scratch.clear() }
        }
        scratch.append(bytes)
        return (batch.baseOffset, batch.lastOffset)
    }

    // MARK: Durable, step by step

    /// The copies are on disk: the cursors are to name them.
    func copied(_ job: AsideJob, _ failure: BrokerError?) {
        guard failure == nil, let log = cursors.log else { return abandon(job) }
        var lanes: [Lane] = []
        switch job.goal {
        case .free(let lane, let end):
            guard lane.settingAside === job, !lane.hasLeft else { return abandon(job) }
            let before = lane.cursor.aside.covered
            lane.cursor.setAside(job.copies.map(\.copy), below: end)
            counters.setAside &+= UInt64(max(0, lane.cursor.aside.covered - before))
            noteAside(lane)
            lanes = [lane]
        case .compact:
            for part in job.copies where !part.lane.hasLeft {
                guard part.lane.cursor.moveAside(part.copy, from: part.oldPlace) else { continue }
                if lanes.last !== part.lane { lanes.append(part.lane) }
            }
        }
        let written = lanes.filter(\.subscription.isPersistent)
        if written.isEmpty { return asideNoted(job, nil) }
        for lane in written { writeCursor(lane) }
        if Mutant.isActive("forgetsBeforeCopiesAreNamed") { return asideNoted(job, nil) }
        wait(cursors, log, Waiter(needed: log.watermarks.end, kind: .asideNoted(job)), .group)
    }

    /// The cursors that name the copies are on disk: the originals may go.
    func asideNoted(_ job: AsideJob, _ failure: BrokerError?) {
        guard failure == nil else { return abandon(job) }
        switch job.goal {
        case .free(let lane, let end):
            guard lane.settingAside === job, !lane.hasLeft else { return abandon(job) }
            lane.cursor.keepAside(below: end)
            lane.settingAside = nil
            change(job.store) { $0.jobs -= 1 }
            if let log = lane.partition.log, !isShuttingDown { log.applyRetention(floor: lane.partition.acknowledgedFloor, now: now) }
        case .compact:
            change(job.store) {
                $0.jobs -= 1
                $0.isCompacting = false
            }
            trimSurvivors(job.store)
        }
    }

    /// What was copied so far is named by nobody, or was already; the originals stay.
    private func abandon(_ job: AsideJob) {
        change(job.store) { $0.jobs -= 1 }
        switch job.goal {
        case .free(let lane, _):
            guard lane.settingAside === job else { return }
            lane.settingAside = nil
            lane.asideRetry = now.instant.advanced(byNanoseconds: options.moveRetryMilliseconds * 1_000_000)
        case .compact: change(job.store) { $0.isCompacting = false }
        }
    }

    func noteAside(_ lane: Lane) {
        guard !lane.hasAside, !lane.cursor.aside.isEmpty else { return }
        lane.hasAside = true
        change(store(of: lane.partition)) { $0.lanes.append(lane) }
    }

    // MARK: Reading

    /// The batch that holds `offset`: in the partition's log, or the copy of it once the log has forgotten it.
    func batch(_ lane: Lane, _ log: Log, at offset: Offset, below end: Offset, cold: ColdReads = .wait) throws(LogError) -> BatchView? {
        guard offset < log.watermarks.start, let copy = lane.cursor.copy(of: offset) else { return try log.batch(at: offset, below: end, cold: cold) }
        guard let store = store(of: lane.partition).log else { throw .closed }
        return try read(copy, store, cold)
    }

    /// Whose log shows the batch that holds `offset`.
    func place(of offset: Offset, _ lane: Lane, _ log: Log) -> Partition { offset < log.watermarks.start ? store(of: lane.partition) : lane.partition }

    func read(_ copy: Cursor.Aside, _ store: Log, _ cold: ColdReads = .wait) throws(LogError) -> BatchView {
        let place = Offset(copy.place)
        guard let outer = try store.batch(at: place, below: store.visibleEnd, cold: cold), outer.baseOffset <= place else { throw Broker.damaged(store, copy) }
        let bytes = outer.slice.memory.bytes(outer.slice.range)
        do throws(ByteError) {
            var reader = try RecordReader(bytes, records: Broker.relative(outer))
            try reader.skip(Int(place - outer.baseOffset))
            guard let value = try reader.next()?.value else { throw .truncated }
            let header = try RecordBatchHeader(decoding: bytes.extracting(value.indices))
            guard header.structuralFault == nil, header.totalByteCount == value.count, header.baseOffset.rawValue == copy.first,
                header.lastOffset.rawValue == copy.last
            else { throw .outOfRange }
            let start = outer.slice.range.lowerBound + value.start
            return BatchView(header, slice: LogSlice(memory: outer.slice.memory, range: start..<(start + value.count)))
        } catch { throw Broker.damaged(store, copy) }
    }

    private static func damaged(_ store: Log, _ copy: Cursor.Aside) -> LogError {
        .damaged(path: store.directory, position: Int(copy.place), reason: "no copy of the records \(copy.first) to \(copy.last)")
    }

    // MARK: Forgetting

    /// Gives up copies of the lane; who held some of them owes nothing any more.
    @discardableResult func dropAside(_ lane: Lane, where isLost: (Cursor.Aside) -> Bool) -> Int64 {
        if lane.cursor.aside.isEmpty { return 0 }
        var lost: [(UInt32, Int64)] = []
        let count = lane.cursor.dropAside(where: isLost) { lost.append(($0, $1)) }
        guard count > 0 else { return 0 }
        for (number, records) in lost {
            guard let consumer = consumers[number] else { continue }
            consumer.unsettled -= records
            becameEligible(consumer)
        }
        lane.batch = nil
        changed(lane)
        return count
    }

    /// Retention by age holds for copies as well, counted from when they were made.
    private func expireAside(_ lane: Lane) {
        guard let log = lane.partition.log, log.options.retentionMilliseconds >= 0 else { return }
        let oldest = now.time.rawValue - log.options.retentionMilliseconds
        counters.dropped &+= UInt64(dropAside(lane) { $0.time < oldest })
    }

    /// Lets the log of survivors forget what no cursor names, and writes the rest once more where most of it is dead.
    func trimSurvivors(_ store: Partition) {
        guard let log = store.log, log.fault == nil, !isShuttingDown, log.watermarks.end > log.watermarks.start, state(store).jobs == 0 else { return }
        // A deletion that a crash could undo has not happened yet.
        guard isCatalogSettled else { return }
        change(store) { state in
            for lane in state.lanes where lane.hasLeft || lane.cursor.aside.isEmpty { lane.hasAside = false }
            state.lanes.removeAll { !$0.hasAside }
        }
        var low = log.visibleEnd
        var living: Int64 = 0
        var parts: [(lane: Lane, copy: Cursor.Aside)] = []
        var isComplete = true
        for lane in state(store).lanes {
            expireAside(lane)
            if lane.partition.log == nil { isComplete = false }
            lane.cursor.aside.forEach { copy in
                low = min(low, Offset(copy.place))
                living += copy.bytes
                parts.append((lane, copy))
            }
        }
        if low > log.watermarks.start { do throws(LogError) { try log.trim(before: low) } catch { counters.logsFailed &+= 1 } }
        touch(store)
        guard isComplete, !parts.isEmpty, log.segmentCount > 1, log.bytes > 2 * living + Int64(2 * log.options.segmentBytes) else { return }
        change(store) { $0.isCompacting = true }
        begin(AsideJob(.compact(parts), store: store))
    }
}
