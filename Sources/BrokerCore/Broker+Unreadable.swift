internal import Bytes
internal import Containers
internal import SegmentLog

// Batches whose checksum holds and whose records lie. Where records are handed out one by one, such a batch is refused when it comes;
// one that was stored before, or as a stream, is passed over loudly: to the dead-letter topic as the bytes it is, or dropped.
extension Broker {
    /// What is wrong with the records of an uncompressed batch; nil when a reader can take them one by one. The header is the log's to judge.
    static func recordFault(_ batch: RawSpan) -> String? {
        var count: Int32 = 0
        do throws(ByteError) {
            let header = try RecordBatchHeader(decoding: batch)
            guard header.structuralFault == nil, !header.isCompressed, header.totalByteCount == batch.byteCount else { return nil }
            var reader = try RecordReader(batch, records: RecordBatchHeader.byteCount..<batch.byteCount)
            while let record = try reader.next() {
                guard count < header.recordCount else { return "there is more than its \(count) records" }
                guard record.offsetDelta == count else { return "record \(count) says that it is record \(record.offsetDelta)" }
                let areHeadersGood = RecordHeaderReader.check(batch, headers: record.headers, count: record.headerCount)
                guard areHeadersGood else { return "the headers of record \(count)" }
                count &+= 1
            }
            return count == header.recordCount ? nil : "it has \(count) records where it says \(header.recordCount)"
        } catch { return "record \(count) cannot be read" }
    }

    /// How many records of the batch can be told apart by their lengths from `index` on, `limit` at the most.
    static func readableCount(_ batch: BatchView, from index: Int, limit: Int) -> Int {
        let bytes = batch.slice.memory.bytes(batch.slice.range)
        var found = 0
        do throws(ByteError) {
            var reader = try RecordReader(bytes, records: relative(batch))
            try reader.skip(index)
            while found < limit {
                try reader.skip(1)
                found += 1
            }
            return found
        } catch { return found }
    }

    /// The log cannot show what lies at `offset`: the consumer ends with the reason, and the operator is told once.
    func endReading(_ lane: Lane, _ consumer: Consumer, at offset: Offset, _ error: LogError) {
        let reason = BrokerError(error).text
        if lane.unreadable != offset {
            lane.unreadable = offset
            notices.append(.logUnreadable(log: shownName(lane.partition), at: offset, reason: reason))
        }
        detach(consumer)
        let name = topics[lane.partition.id.topic]?.name ?? ""
        let ended = BrokerError(.storageFailed, "partition \(lane.partition.id.index) of '\(name)' cannot be read at offset \(offset): \(reason)")
        effects.append(.notify(consumer.session.id, consumer.id, .ended(ended)))
    }

    /// The rest of the batch cannot be handed out: it goes the way of dead letters.
    func passOver(_ lane: Lane, _ pending: Cursor.Pending, _ batch: BatchView) {
        counters.unreadable &+= 1
        let last = min(pending.last, batch.lastOffset)
        lane.cursor.take(pending, through: last, by: Cursor.broker, until: .distantFuture)
        lane.batch = nil
        changed(lane)
        moves.append(Move(lane: lane, first: pending.first, last: last, kind: .deadLetter(.unreadable)))
    }
}
