internal import Bytes
internal import Containers
internal import Mutants
internal import SegmentLog

// Who gets what, and when. Lanes that may have something for somebody stand in the ready list; a visit gives each one turn, so no
// fast topic keeps the others waiting. A lane that has something and finds nobody is noted as blocked with its subscription, and
// comes back when one of the consumers can take more.
extension Broker {
    func makeReady(_ lane: Lane) {
        guard !lane.isReady, !lane.hasLeft else { return }
        lane.isReady = true
        ready.append(lane)
    }

    /// Hands out at most `dispatchBytes`.
    func dispatch() {
        var budget = options.dispatchBytes
        while budget > 0, let lane = ready.popFirst() {
            lane.isReady = false
            guard !lane.hasLeft else { continue }
            switch visit(lane, &budget) {
            case .more: makeReady(lane)
            case .empty: if lane.batch != nil { lane.batch = nil }
            case .nobody:
                lane.batch = nil
                if !lane.isBlocked {
                    lane.isBlocked = true
                    lane.subscription.blocked.append(lane)
                }
            }
        }
    }

    private enum Visit { case more, empty, nobody }

    /// One delivery at most.
    private func visit(_ lane: Lane, _ budget: inout Int) -> Visit {
        let (partition, subscription) = (lane.partition, lane.subscription)
        guard let log = partition.log, !partition.isDeleted else { return .empty }
        let end = log.visibleEnd
        if log.watermarks.start > lane.cursor.retentionFloor { loseBelowStart(lane, log.watermarks.start) }
        guard let pending = lane.cursor.pending(below: end), pending.first < end else { return .empty }
        if lane.cursor.settledRangeCount >= options.limits.settledRanges, !pending.isRedelivery {
            counters.settledRanges &+= 1
            lane.isStalled = true
            return .empty
        }
        guard let consumer = subscription.nextConsumer() else { return .nobody }
        do throws(LogError) {
            switch consumer.form {
            case .batches: try deliverBatches(lane, log, pending, end, consumer, &budget)
            case .records: try deliverRecords(lane, log, pending, end, consumer, &budget)
            }
        } catch .loading {
            // It is on its way from the disk; its arrival makes the lane ready again.
            subscription.offerTurn(consumer)
            return .empty
        } catch {
            // A damaged copy is given up. What the log cannot show is nobody's to guess: who reads it is told, and goes.
            counters.unreadable &+= 1
            if log.fault != nil { logMoved(partition) }
            if case .damaged = error, pending.first < log.watermarks.start {
                counters.dropped &+= UInt64(dropAside(lane) { $0.first <= pending.first.rawValue && pending.first.rawValue <= $0.last })
                return .more
            }
            endReading(lane, consumer, at: pending.first, error)
            return .empty
        }
        subscription.offerTurn(consumer)
        return lane.cursor.pending(below: end) != nil ? .more : .empty
    }

    /// The log has forgotten what lies below `start`; who had it in flight owes nothing for it any more.
    func loseBelowStart(_ lane: Lane, _ start: Offset) {
        var lost: [(UInt32, Int64)] = []
        lane.cursor.logStarts(at: start) { lost.append(($0, $1)) }
        for (number, count) in lost {
            guard let consumer = consumers[number] else { continue }
            consumer.unsettled -= count
            becameEligible(consumer)
        }
        lane.batch = nil
        changed(lane)
    }

    /// Whole batches, as many as the credit covers; the first one whole even where it does not.
    private func deliverBatches(
        _ lane: Lane, _ log: Log, _ pending: Cursor.Pending, _ end: Offset, _ consumer: Consumer, _ budget: inout Int
    ) throws(LogError) {
        let room = min(consumer.credit.messages, consumer.unsettledLimit - consumer.unsettled)
        let limit = min(pending.last + 1, min(end, pending.first + room))
        let maxBytes = Int(min(Int64(min(options.deliveryBytes, max(budget, 1))), consumer.credit.bytes))
        var slice: LogSlice
        var first: Offset
        var next: Offset
        if pending.first >= log.watermarks.start,
            let found = try log.read(from: pending.first, maxBytes: maxBytes, below: limit, cold: .comeBack(now.instant)), found.next > pending.first
        {
            (slice, first, next) = (found.slice, found.first, found.next)
        } else if let batch = try batch(lane, log, at: pending.first, below: end, cold: .comeBack(now.instant)) {
            (slice, first, next) = (batch.slice, batch.baseOffset, batch.lastOffset + 1)
        } else {
            return
        }
        if skipHole(lane, pending, upTo: first) { return }
        first = max(first, pending.first)
        next = min(next, pending.last + 1)
        let holes = first < log.holesBelow ? slice.holes(first, next - 1) : []
        if holes.first == first.rawValue...(next.rawValue - 1) {
            _ = skipHole(lane, pending, upTo: next)
            return
        }
        deliver(lane, pending, first, next - 1, consumer, slice.range.count, .batches(slice))
        for hole in holes { settle(hole, lane, consumer) }
        budget -= slice.range.count
    }

    /// A run of records of one batch, never more than the credit.
    private func deliverRecords(
        _ lane: Lane, _ log: Log, _ pending: Cursor.Pending, _ end: Offset, _ consumer: Consumer, _ budget: inout Int
    ) throws(LogError) {
        if let batch = lane.batch, batch.baseOffset <= pending.first, pending.first <= batch.lastOffset {
            // Still the batch of the last run.
        } else {
            lane.batch = try batch(lane, log, at: pending.first, below: end, cold: .comeBack(now.instant))
            lane.place = nil
            lane.runs = nil
        }
        guard let batch = lane.batch else { return }
        if lane.checked != batch.baseOffset {
            do throws(LogError) { try log.check(batch) } catch {
                lane.batch = nil
                throw error
            }
            lane.checked = batch.baseOffset
        }
        if skipHole(lane, pending, upTo: batch.baseOffset) { return }
        var available = min(pending.last, batch.lastOffset) - pending.first + 1
        var index = Int(pending.first - batch.baseOffset)
        if batch.hasHoles, let runs = runs(batch, lane) {
            let run = runs.first { $0.upperBound >= pending.first.rawValue }
            if skipHole(lane, pending, upTo: run.map { Offset($0.lowerBound) } ?? batch.lastOffset + 1) { return }
            guard let run else { return }
            // Among records, not offsets.
            index = Int(pending.first.rawValue - run.lowerBound)
            for before in runs where before.upperBound < run.lowerBound { index += before.count }
            available = min(available, run.upperBound - pending.first.rawValue + 1)
        }
        let credit = consumer.credit.messages + (Mutant.isActive("deliversOneTooMany") ? 1 : 0)
        var count = min(available, credit, consumer.unsettledLimit - consumer.unsettled, options.deliveryRecords)
        // Fair shares: nobody takes all of a small backlog while others wait for their turn.
        if lane.subscription.isShared, lane.subscription.consumers.count > 1 {
            let backlog = lane.cursor.redeliveryCount + max(0, end - lane.cursor.next)
            count = min(count, max(1, backlog / Int64(lane.subscription.consumers.count)))
        }
        if batch.isCompressed {
            deliver(lane, pending, pending.first, pending.first + (count - 1), consumer, batch.slice.range.count, .batches(batch.slice))
            budget -= batch.slice.range.count
            return
        }
        let memory = batch.slice.memory
        let base = batch.slice.range.lowerBound
        let bytes = memory.bytes(batch.slice.range)
        let maxBytes = Int(min(Int64(options.deliveryBytes), consumer.credit.bytes))
        let range: Range<Int>
        do throws(ByteError) {
            let records = Broker.relative(batch)
            var found = try RecordReader.range(of: index, through: index + Int(count) - 1, in: bytes, records: records, from: lane.place)
            // Above the bytes' limit: as many records as fit, one at least.
            while found.count > maxBytes, count > 1 {
                count = max(1, min(count - 1, count * Int64(maxBytes) / Int64(found.count)))
                found = try RecordReader.range(of: index, through: index + Int(count) - 1, in: bytes, records: records, from: lane.place)
            }
            range = found
        } catch {
            try log.checkMemory(of: batch)
            count = Int64(Broker.readableCount(batch, from: index, limit: Int(count)))
            guard count > 0 else {
                passOver(lane, pending, batch)
                return
            }
            do throws(ByteError) {
                range = try RecordReader.range(of: index, through: index + Int(count) - 1, in: bytes, records: Broker.relative(batch))
            } catch { throw .corruptBatch("records of the batch at \(batch.baseOffset)") }
        }
        lane.place = RecordPlace(index: index + Int(count), position: range.upperBound)
        let slice = LogSlice(memory: memory, range: (base + range.lowerBound)..<(base + range.upperBound))
        deliver(
            lane, pending, pending.first, pending.first + (count - 1), consumer, range.count,
            .records(slice, base: RecordBase(offset: batch.baseOffset, timestamp: batch.baseTimestamp)))
        budget -= range.count + 64
    }

    /// The offsets of a batch with holes, looked up once while the lane reads it.
    private func runs(_ batch: BatchView, _ lane: Lane) -> [ClosedRange<Int64>]? {
        if let known = lane.runs, known.base == batch.baseOffset { return known.runs }
        guard let runs = batch.runs() else { return nil }
        lane.runs = (batch.baseOffset, runs)
        return runs
    }

    /// An offset without a record is done when it was passed over.
    private func settle(_ hole: ClosedRange<Int64>, _ lane: Lane, _ consumer: Consumer) {
        let count = lane.cursor.settle(Offset(hole.lowerBound), Offset(hole.upperBound), by: consumer.number)
        if !consumer.settlesItself { consumer.unsettled -= count }
        changed(lane)
    }

    /// Where a batch's records lie within its slice.
    static func relative(_ batch: BatchView) -> Range<Int> {
        let base = batch.slice.range.lowerBound
        return (batch.records.lowerBound - base)..<(batch.records.upperBound - base)
    }

    /// Passes over offsets that the log does not have.
    private func skipHole(_ lane: Lane, _ pending: Cursor.Pending, upTo offset: Offset) -> Bool {
        guard offset > pending.first else { return false }
        lane.cursor.skip(pending, through: min(pending.last, offset - 1))
        changed(lane)
        return true
    }

    private func deliver(
        _ lane: Lane, _ pending: Cursor.Pending, _ first: Offset, _ last: Offset, _ consumer: Consumer, _ bytes: Int, _ content: Delivery.Content
    ) {
        let count = last - first + 1
        let partition = lane.partition
        if consumer.settlesItself {
            counters.settled &+= UInt64(lane.cursor.pass(pending, through: last, by: consumer.number))
            changed(lane)
        } else {
            let lease = leaseMilliseconds(lane.subscription)
            let deadline = lease == 0 || Mutant.isActive("leasesWithoutEnd") ? Instant.distantFuture : leaseEnd(lease)
            lane.cursor.take(pending, through: last, by: consumer.number, until: deadline)
            if deadline < .distantFuture { schedule(lane) }
        }
        consumer.spend(records: count, bytes: bytes)
        if consumer.unsettled >= consumer.unsettledLimit { counters.unsettledPerConsumer &+= 1 }
        counters.deliveries &+= UInt64(count)
        counters.bytesOut &+= UInt64(bytes)
        if isTracing { traceDelivered(partition, first, last) }
        if pending.isRedelivery { counters.redeliveries &+= UInt64(count) }
        effects.append(
            .deliver(
                consumer.session.id,
                Delivery(
                    consumer: consumer.id, topic: partition.id.topic, partition: partition.id.index, first: first, last: last,
                    attempt: pending.attempt, isRedelivery: pending.isRedelivery && !Mutant.isActive("redeliversUnflagged"), content: content)))
    }
}
