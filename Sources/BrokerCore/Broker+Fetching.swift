internal import Containers
internal import SegmentLog

// Reading without a subscription.
extension Broker {
    func fetch(_ fetch: Fetch, _ id: RequestID, _ session: Session) throws(BrokerError) {
        let partition = try partition(fetch.topic, fetch.partition)
        let log = try openLog(partition)
        let fetched = try read(fetch, log)
        counters.fetches &+= 1
        if isEnough(fetched, fetch) {
            deliver(fetched, session.id, id)
            return
        }
        guard parkedFetches < options.limits.parkedFetches else {
            counters.parkedFetches &+= 1
            deliver(fetched, session.id, id)
            return
        }
        let parked = ParkedFetch(session: session.id, request: id, fetch: fetch, partition: partition)
        partition.parked.append(parked)
        if session.parked.count > 64 { session.parked.removeAll { $0.isAnswered } }
        session.parked.append(parked)
        parkedFetches += 1
        counters.fetchesParked &+= 1
        later(.fetch(parked), milliseconds: UInt64(min(fetch.waitMilliseconds, 300_000)))
        fetchTimers += 1
        if fetchTimers > 4_096 + 4 * parkedFetches {
            // Most of them were answered long before their time.
            timers.filter { if case .fetch(let parked) = $0 { !parked.isAnswered } else { true } }
            fetchTimers = parkedFetches
        }
    }

    private func isEnough(_ fetched: Fetched, _ fetch: Fetch) -> Bool {
        if fetch.waitMilliseconds == 0 { return true }
        guard let slice = fetched.slice else { return fetch.minBytes <= 0 }
        return slice.range.count >= min(fetch.minBytes, fetch.maxBytes)
    }

    private func read(_ fetch: Fetch, _ log: Log) throws(BrokerError) -> Fetched {
        let visible = log.visibleEnd
        var fetched = Fetched(topic: fetch.topic, partition: fetch.partition, start: log.watermarks.start, visibleEnd: visible, slice: nil)
        guard fetch.from >= log.watermarks.start, fetch.from <= log.watermarks.end else {
            throw BrokerError(.offsetOutOfRange, "the log has \(log.watermarks.start) up to \(log.watermarks.end)")
        }
        do throws(LogError) {
            fetched.slice = try log.read(from: fetch.from, maxBytes: max(1, min(fetch.maxBytes, 64 << 20)), below: visible)?.slice
        } catch { throw BrokerError(error) }
        return fetched
    }

    private func deliver(_ fetched: Fetched, _ session: SessionID, _ id: RequestID) {
        counters.bytesOut &+= UInt64(fetched.slice?.range.count ?? 0)
        respond(session, id, .fetched(fetched))
    }

    /// Answers a parked fetch with what there is.
    func answer(_ parked: ParkedFetch) {
        drop(parked)
        guard let log = parked.partition.log else { return respond(parked.session, parked.request, .failed(BrokerError(.storageFailed, "the log is closed"))) }
        do throws(BrokerError) {
            deliver(try read(parked.fetch, log), parked.session, parked.request)
        } catch { respond(parked.session, parked.request, .failed(error)) }
    }

    func drop(_ parked: ParkedFetch) {
        guard !parked.isAnswered else { return }
        parked.isAnswered = true
        parkedFetches -= 1
        parked.partition.parked.removeAll { $0 === parked }
    }

    /// The log shows more than before.
    func retryFetches(_ partition: Partition) {
        guard let log = partition.log else { return }
        var done: [ParkedFetch] = []
        for parked in partition.parked {
            do throws(BrokerError) {
                let fetched = try read(parked.fetch, log)
                guard isEnough(fetched, parked.fetch) else { continue }
                deliver(fetched, parked.session, parked.request)
            } catch { respond(parked.session, parked.request, .failed(error)) }
            done.append(parked)
        }
        guard !done.isEmpty else { return }
        for parked in done { parked.isAnswered = true }
        parkedFetches -= done.count
        partition.parked.removeAll { $0.isAnswered }
    }

    func findOffset(_ name: String, _ index: Int32, _ position: StartPosition, _ id: RequestID, _ session: Session) throws(BrokerError) {
        let topic = try topic(named: name)
        guard index >= 0, index < Int32(topic.partitions.count) else { throw BrokerError(.unknownPartition, "'\(name)' has no partition \(index)") }
        let log = try openLog(topic.partitions[Int(index)])
        var timestamp = Timestamp(milliseconds: -1)
        var offset = log.visibleEnd
        switch position {
        case .earliest: offset = log.watermarks.start
        case .latest: break
        case .offset(let asked): offset = asked
        case .time(let time):
            do throws(LogError) {
                if let found = try log.offset(at: time), found.0 < log.visibleEnd { (offset, timestamp) = found }
            } catch { throw BrokerError(error) }
        }
        respond(session.id, id, .offset(offset, timestamp))
    }

    /// The offset that a start position means in one log.
    func resolve(_ position: StartPosition, _ log: Log) throws(BrokerError) -> Offset {
        switch position {
        case .earliest: return log.watermarks.start
        case .latest: return log.watermarks.end
        case .offset(let offset):
            guard offset <= log.watermarks.end else { throw BrokerError(.offsetOutOfRange, "the log has \(log.watermarks.start) up to \(log.watermarks.end)") }
            return max(offset, log.watermarks.start)
        case .time(let time):
            do throws(LogError) { return try log.offset(at: time)?.0 ?? log.watermarks.end } catch { throw BrokerError(error) }
        }
    }
}
