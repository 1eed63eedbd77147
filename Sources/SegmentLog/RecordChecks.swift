internal import Bytes

// What is asked of the records of a batch before it is stored. The header was checked before, the checksum with it.
extension Log {
    /// An uncompressed batch has the records that its header says, to its last byte. Where records are compacted by key each has one;
    /// where the producers' time is bounded each is within the bounds. A compressed batch is opened only for its keys; of its times those
    /// in the header are judged.
    func check(recordsOf header: RecordBatchHeader, in batch: RawSpan, now: Now) throws(LogError) {
        if header.isStamped { throw .invalidTimestamp("the timestamp type of a batch is the broker's to say") }
        if header.isCompressed {
            try check(header.baseTimestamp, now: now)
            try check(header.maxTimestamp, now: now)
            if options.cleanup.compacts { try check(keysOf: header, in: batch) }
            return
        }
        if !options.cleanup.compacts && !boundsTime {
            guard !options.countsRecords || Log.hasRecords(header, in: batch) else { throw Log.lies(header) }
            return
        }
        var position = RecordBatchHeader.byteCount
        var seen: Int32 = 0
        while position < batch.byteCount {
            guard let record = Log.record(in: batch, at: position), record.offsetDelta == seen, seen < header.recordCount else { throw Log.lies(header) }
            try check(key: record.key, of: seen)
            try check(header.timestamp(of: record), now: now)
            position = record.range.end
            seen &+= 1
        }
        guard seen == header.recordCount else { throw Log.lies(header) }
    }

    /// What the records of one batch may take when they are opened on the log's thread.
    static let openedBytesMax = 32 << 20

    private func check(keysOf header: RecordBatchHeader, in batch: RawSpan) throws(LogError) {
        var plain = ByteBuffer()
        guard let codec = BatchCodec.of(header), codec.expand(batch, atMost: Self.openedBytesMax, into: &plain) else {
            throw .corruptBatch("its compressed records cannot be opened, or take more than \(Self.openedBytesMax) bytes")
        }
        var position = 0
        var seen: Int32 = 0
        while position < plain.count {
            guard let record = Log.record(in: plain.bytes, at: position), record.offsetDelta == seen, seen < header.recordCount else { throw Log.lies(header) }
            try check(key: record.key, of: seen)
            position = record.range.end
            seen &+= 1
        }
        guard seen == header.recordCount else { throw Log.lies(header) }
    }

    func check(key: ByteRange?, of index: Int32) throws(LogError) {
        guard key == nil, options.cleanup.compacts else { return }
        throw .invalidRecord("record \(index) has no key, and the topic keeps the newest record of each key")
    }

    func check(_ timestamp: Timestamp, now: Now) throws(LogError) {
        // -1 stands for no time at all.
        guard boundsTime, timestamp.rawValue >= 0 else { return }
        let ahead = timestamp.rawValue &- now.time.rawValue
        if ahead > options.timestampAfterMaxMilliseconds {
            throw .invalidTimestamp("a record's time is \(ahead) ms ahead of the broker's, where \(options.timestampAfterMaxMilliseconds) are allowed")
        }
        if -ahead > options.timestampBeforeMaxMilliseconds {
            throw .invalidTimestamp("a record's time is \(-ahead) ms behind the broker's, where \(options.timestampBeforeMaxMilliseconds) are allowed")
        }
    }

    private var boundsTime: Bool {
        options.timestampType == .create && (options.timestampBeforeMaxMilliseconds < .max || options.timestampAfterMaxMilliseconds < .max)
    }

    /// Counts by hopping over the lengths, which touches what the checksum has just read.
    private static func hasRecords(_ header: RecordBatchHeader, in batch: RawSpan) -> Bool {
        do throws(ByteError) {
            var reader = try RecordReader(batch, records: RecordBatchHeader.byteCount..<batch.byteCount)
            try reader.skip(Int(header.recordCount))
            return reader.position == batch.byteCount
        } catch { return false }
    }

    private static func record(in batch: RawSpan, at position: Int) -> Record? {
        do throws(ByteError) {
            var reader = try RecordReader(batch, records: position..<batch.byteCount)
            return try reader.next()
        } catch { return nil }
    }

    private static func lies(_ header: RecordBatchHeader) -> LogError { .invalidRecord("its records are not the \(header.recordCount) that it says") }
}
