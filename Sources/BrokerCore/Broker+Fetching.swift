internal import Containers
internal import Mutants
internal import SegmentLog

// Reading without a subscription.
extension Broker {
    func fetch(_ fetch: Fetch, _ id: RequestID, _ session: Session) {
        counters.fetches &+= 1
        var isLoading = false
        let found = read(fetch, &isLoading)
        if !isLoading, isDue(found, fetch) { return deliver(found, session.id, id) }
        guard parkedFetches &+ fetch.parts.count <= options.limits.parkedFetches else {
            counters.parkedFetches &+= 1
            return deliver(found, session.id, id)
        }
        park(fetch, found, id, session, isLoading: isLoading)
    }

    /// What each part has now. A part that cannot be read says why; the others are read all the same.
    /// - Parameter isLoading: set where nothing is there but what is on its way from the disk.
    private func read(_ fetch: Fetch, _ isLoading: inout Bool) -> [Fetched] {
        var found: [Fetched] = []
        found.reserveCapacity(fetch.parts.count)
        var left = max(0, min(fetch.maxBytes, 64 << 20))
        var isFirst = true
        isLoading = false
        for part in fetch.parts {
            do throws(BrokerError) {
                let fetched = try read(part, openLog(partition(part.topic, part.partition)), atMost: left, whole: isFirst, &isLoading)
                if let slice = fetched.slice {
                    left = max(0, left &- slice.range.count)
                    isFirst = false
                }
                found.append(fetched)
            } catch {
                // Reading may be what finds that the disk has failed.
                if let partition = try? partition(part.topic, part.partition), partition.log?.fault != nil { touch(partition) }
                found.append(Fetched(topic: part.topic, partition: part.partition, start: .zero, visibleEnd: .zero, slice: nil, failure: error))
            }
        }
        // What is there is not held back for what is not.
        if !isFirst || found.contains(where: { $0.failure != nil }) { isLoading = false }
        return found
    }

    /// - Parameter whole: the first batch is taken even where it is larger than the limits.
    private func read(_ part: Fetch.Part, _ log: Log, atMost limit: Int, whole: Bool, _ isLoading: inout Bool) throws(BrokerError) -> Fetched {
        let visible = log.visibleEnd
        guard part.from >= log.watermarks.start, part.from <= log.watermarks.end else {
            throw BrokerError(.offsetOutOfRange, "the log has \(log.watermarks.start) up to \(log.watermarks.end)")
        }
        var fetched = Fetched(topic: part.topic, partition: part.partition, start: log.watermarks.start, visibleEnd: visible, slice: nil)
        let budget = max(0, min(part.maxBytes, limit))
        guard budget > 0 || whole else { return fetched }
        do throws(LogError) {
            let found = try log.read(from: part.from, maxBytes: max(1, budget), below: visible, cold: .comeBack(now.instant))
            if let found, whole || found.slice.range.count <= budget {
                fetched.slice = found.slice
                fetched.next = found.next
            }
        } catch .loading {
            isLoading = true
        } catch { throw BrokerError(error) }
        return fetched
    }

    /// Whether there is nothing to wait for: enough is there, something failed, or nothing can come.
    private func isDue(_ found: [Fetched], _ fetch: Fetch) -> Bool {
        if fetch.waitMilliseconds == 0 || found.isEmpty { return true }
        var sum = 0
        for fetched in found {
            if fetched.failure != nil { return true }
            sum &+= fetched.slice?.range.count ?? 0
        }
        return sum >= min(fetch.minBytes, fetch.maxBytes)
    }

    private func deliver(_ found: [Fetched], _ session: SessionID, _ id: RequestID) {
        for fetched in found { counters.bytesOut &+= UInt64(fetched.slice?.range.count ?? 0) }
        if isTracing { traceFetched(found) }
        respond(session, id, .fetched(found))
    }

    // MARK: Waiting

    /// How long a fetch waits for the disk that would not wait for new messages.
    private static let loadMilliseconds: UInt32 = 30_000
    private static let waitMillisecondsMax: UInt32 = 300_000

    private func park(_ fetch: Fetch, _ found: [Fetched], _ id: RequestID, _ session: Session, isLoading: Bool) {
        let parked = ParkedFetch(
            session: session.id, request: id, fetch: fetch, partitions: fetch.parts.compactMap { try? partition($0.topic, $0.partition) },
            available: found.map { $0.slice?.range.count ?? 0 },
            deadline: now.instant.advanced(byNanoseconds: UInt64(min(fetch.waitMilliseconds, Broker.waitMillisecondsMax)) * 1_000_000))
        parked.isLoading = isLoading
        for partition in parked.places { partition.parked.append(parked) }
        session.parked.append(parked)
        parkedFetches += fetch.parts.count
        counters.fetchesParked &+= 1
        let wait = isLoading ? max(fetch.waitMilliseconds, Broker.loadMilliseconds) : fetch.waitMilliseconds
        later(.fetch(parked), milliseconds: UInt64(min(wait, Broker.waitMillisecondsMax)))
        fetchTimers += 1
        if fetchTimers > 4_096 + 4 * parkedFetches {
            // Most of them were answered long before their time.
            timers.filter { if case .fetch(let parked) = $0 { !parked.hasLeft } else { true } }
            fetchTimers = parkedFetches
        }
    }

    /// Answers a parked fetch with what there is, once: a fetch may name a partition twice.
    func answer(_ parked: ParkedFetch) {
        guard !parked.hasLeft else { return }
        drop(parked)
        var isLoading = false
        deliver(read(parked.fetch, &isLoading), parked.session, parked.request)
    }

    func drop(_ parked: ParkedFetch) {
        guard !parked.hasLeft else { return }
        parked.hasLeft = true
        parkedFetches -= parked.fetch.parts.count
        for partition in parked.places { partition.parked.oneHasLeft() }
        sessions[parked.session]?.parked.oneHasLeft()
    }

    /// What was on the disk is in memory: who wants it comes back.
    func loaded(_ partition: Partition) {
        for lane in partition.lanes { makeReady(lane) }
        // Copies are delivered, too.
        if partition === survivors { for lane in asideState.lanes { makeReady(lane) } }
        resume(partition)
        for parked in partition.parked where parked.isLoading {
            var isLoading = false
            let found = read(parked.fetch, &isLoading)
            if isLoading { continue }
            parked.isLoading = false
            guard isDue(found, parked.fetch) || now.instant >= parked.deadline else {
                if Mutant.isActive("waitsForMoreAsForTheDisk") { continue }
                // From now on it waits for more, as long as it was to; its other timer is that of the disk.
                parked.available = found.map { $0.slice?.range.count ?? 0 }
                parked.total = parked.available.reduce(0, +)
                timers.insert(.fetch(parked), deadline: parked.deadline.rawValue)
                fetchTimers += 1
                continue
            }
            drop(parked)
            deliver(found, parked.session, parked.request)
        }
    }

    /// What was on the disk is in memory, or the partition is gone: what waited for it goes on.
    func resume(_ partition: Partition) {
        var resumed: [Partition.Resumed] = []
        swap(&resumed, &partition.resumed)
        for one in resumed {
            switch one {
            // None of these has anything in its input.
            case .request(let request, let id, let session):
                guard let session = self.session(session) else { continue }
                guard case .subscribe(let subscribe) = request, let waited = session.subscribing[subscribe.consumer], waited.request == id else {
                    carryOut(request, id, session, RawSpan())
                    continue
                }
                session.subscribing[subscribe.consumer] = nil
                carryOut(request, id, session, RawSpan())
                // Or it waits again, with the credit.
                addCredit(subscribe.consumer, waited.credit, session)
            case .move(let move): moves.append(move)
            case .aside(let job): asideJobs.append(job)
            }
        }
    }

    /// What a request fails with. Where what it asks for is read from the disk first, it does not fail, but is carried out again after that:
    /// it must have changed nothing yet.
    func failure(_ error: LogError, in partition: Partition) -> BrokerError {
        if case .loading = error { awaited = partition }
        return BrokerError(error)
    }

    /// The log shows more than before.
    func retryFetches(_ partition: Partition) {
        guard let log = partition.log else { return }
        var due: [ParkedFetch] = []
        for parked in partition.parked where !parked.isLoading && isDue(parked, partition, log) { due.append(parked) }
        for parked in due { answer(parked) }
    }

    /// Looks again at the parts that read this partition.
    private func isDue(_ parked: ParkedFetch, _ partition: Partition, _ log: Log) -> Bool {
        let fetch = parked.fetch
        for (index, part) in fetch.parts.enumerated() where parked.partitions[index] === partition {
            var isLoading = false
            guard let fetched = try? read(part, log, atMost: fetch.maxBytes, whole: true, &isLoading) else { return true }
            if isLoading { parked.isLoading = true }
            let count = fetched.slice?.range.count ?? 0
            parked.total += count - parked.available[index]
            parked.available[index] = count
        }
        return parked.total >= min(fetch.minBytes, fetch.maxBytes)
    }

    func findOffset(_ name: String, _ index: Int32, _ position: StartPosition, _ id: RequestID, _ session: Session) throws(BrokerError) {
        let topic = try ownTopic(named: name)
        guard index >= 0, index < Int32(topic.partitions.count) else { throw BrokerError(.unknownPartition, "'\(name)' has no partition \(index)") }
        let partition = topic.partitions[Int(index)]
        let log = try openLog(partition)
        var timestamp = Timestamp(milliseconds: -1)
        var offset = log.visibleEnd
        var epoch = log.incarnation
        let cold = ColdReads.comeBack(now.instant)
        do throws(LogError) {
            switch position {
            case .earliest: offset = log.watermarks.start
            case .latest: break
            case .offset(let asked): offset = asked
            case .time(let time): if let found = try log.offset(at: time, cold: cold), found.0 < log.visibleEnd { (offset, timestamp) = found }
            case .maxTimestamp: if let found = try log.latestRecord(below: log.visibleEnd, cold: cold) { (offset, timestamp) = found }
            }
            if offset >= log.watermarks.start, offset < log.visibleEnd, let found = try log.epoch(at: offset, below: log.visibleEnd, cold: cold) {
                epoch = found
            }
        } catch { throw failure(error, in: partition) }
        respond(session.id, id, .offset(offset, timestamp, epoch: epoch))
    }

    func endOfEpoch(_ topic: TopicID, _ index: Int32, _ epoch: Int32, _ id: RequestID, _ session: Session) throws(BrokerError) {
        let log = try openLog(try partition(topic, index))
        do throws(LogError) {
            let found = try log.end(ofEpoch: epoch)
            respond(session.id, id, .epochEnd(epoch: found?.epoch ?? -1, found?.end ?? Offset(-1)))
        } catch { throw BrokerError(error) }
    }

    /// The offset that a start position means in one log.
    func resolve(_ position: StartPosition, in partition: Partition) throws(BrokerError) -> Offset {
        let log = try openLog(partition)
        let cold = ColdReads.comeBack(now.instant)
        switch position {
        case .earliest: return log.watermarks.start
        case .latest: return log.watermarks.end
        case .offset(let offset):
            guard offset <= log.watermarks.end else { throw BrokerError(.offsetOutOfRange, "the log has \(log.watermarks.start) up to \(log.watermarks.end)") }
            return max(offset, log.watermarks.start)
        case .time(let time):
            do throws(LogError) { return try log.offset(at: time, cold: cold)?.0 ?? log.watermarks.end } catch { throw failure(error, in: partition) }
        case .maxTimestamp:
            do throws(LogError) { return try log.latestRecord(below: log.visibleEnd, cold: cold)?.0 ?? log.watermarks.end } catch {
                throw failure(error, in: partition)
            }
        }
    }
}
