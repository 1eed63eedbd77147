internal import Bytes
internal import Containers
internal import Mutants

// Taking batches and messages, and writing them. A batch's place is fixed when it is taken: its offset, its segment and its
// position; what is staged lies right behind the active segment's `end`.
extension Log {
    /// Batches of this size are written straight from the input.
    static let directBytes = 16 << 10
    /// Staged bytes beyond which they are written without waiting for the tick's end.
    static let stagingBytes = 64 << 10

    /// Checks one whole record batch (length, magic, CRC, counts, producer sequence), gives it the next offsets and takes it.
    /// `batch` is only read during the call.
    package func append(batch: RawSpan, now: Now) throws(LogError) -> AppendResult {
        try checkWritable()
        var header = try RecordBatchHeader(checking: batch, limit: options.maxMessageBytes)
        try check(recordsOf: header, in: batch, now: now)
        let count = header.recordCount
        if header.producerID >= 0, !Mutant.isActive("storesRetriesAgain"),
            let known = try judge(id: header.producerID, epoch: header.producerEpoch, sequence: header.baseSequence, count: count)
        {
            return known
        }
        closeOpenBatch()
        let segment = try makeRoom(batch.byteCount, records: count, now: now)
        let base = watermarks.end
        if header.producerID >= 0 {
            producers.record(id: header.producerID, epoch: header.producerEpoch, first: header.baseSequence, count: count, base: base)
        }
        let position = segment.end &+ staging.count
        staging.append(big: base.rawValue)
        staging.append(big: header.batchLength)
        staging.append(big: incarnation)
        var copied = RecordBatchHeader.patchedByteCount
        if options.timestampType == .append {
            header.stamp(with: now.time, batch, into: &staging)
            copied = RecordBatchHeader.stampedByteCount
        }
        segment.note(header, baseOffset: base, position: position, bytes: batch.byteCount, indexInterval: options.indexIntervalBytes)
        watermarks.end = segment.next
        let rest = batch.extracting(copied..<batch.byteCount)
        if batch.byteCount >= Self.directBytes, background.readying == nil {
            try writeStaged(then: rest.region)
        } else {
            staging.append(rest)
            if staging.count >= Self.stagingBytes { try writeStaged(then: nil) }
        }
        if options.durability == .each { noteRequest() }
        return AppendResult(baseOffset: base, count: count, isDuplicate: false)
    }

    /// Takes one message; those that arrive in one tick become one batch. Ranges lie in `input`, which is only read during the call.
    package func append(_ message: MessageParts, input: RawSpan, now: Now) throws(LogError) -> AppendResult {
        try checkWritable()
        try check(message, input: input)
        try check(key: message.key, of: 0)
        if let timestamp = message.timestamp { try check(timestamp, now: now) }
        if message.producerID >= 0,
            let known = try judge(id: message.producerID, epoch: message.producerEpoch, sequence: message.sequence, count: 1)
        {
            return known
        }
        let bound =
            RecordBatchBuilder.recordBound(key: message.key?.count ?? 0, value: message.payload?.count ?? 0, headers: message.headers.count)
            &+ RecordBatchHeader.byteCount
        if let builder = open?.builder, !joins(message, builder) { closeOpenBatch() }
        _ = try makeRoom(bound, records: 1, now: now)
        if open == nil {
            var builder = RecordBatchBuilder(
                into: &staging, producerID: message.producerID, producerEpoch: message.producerEpoch, baseSequence: message.sequence)
            builder.isStamped = options.timestampType == .append
            open = OpenBatch(builder: builder, base: watermarks.end)
        }
        let offset = watermarks.end
        // A batch holds the messages of one tick, so that one time is right for all of them.
        let timestamp = open?.builder.isStamped == true ? now.time : message.timestamp ?? now.time
        open?.builder.append(
            key: message.key, value: message.payload, headers: message.headers, headerCount: message.headerCount,
            timestamp: timestamp, input: input, into: &staging)
        watermarks.end = offset.next
        if message.producerID >= 0 {
            producers.record(id: message.producerID, epoch: message.producerEpoch, first: message.sequence, count: 1, base: offset)
        }
        if options.durability == .each {
            closeOpenBatch()
            noteRequest()
        }
        if staging.count >= Self.stagingBytes { try writeStaged(then: nil) }
        return AppendResult(baseOffset: offset, count: 1, isDuplicate: false)
    }

    private func checkWritable() throws(LogError) {
        if let fault { throw .storage(fault) }
        if isClosed { throw .closed }
    }

    private func check(_ message: MessageParts, input: RawSpan) throws(LogError) {
        let limit = input.byteCount
        func lies(_ range: ByteRange) -> Bool { range.start >= 0 && range.count >= 0 && range.start <= limit && range.count <= limit - range.start }
        guard message.key.map(lies) ?? true, message.payload.map(lies) ?? true, lies(message.headers) else {
            throw .corruptBatch("a part lies outside the input")
        }
        let size = (message.key?.count ?? 0) &+ (message.payload?.count ?? 0) &+ message.headers.count
        guard size <= options.maxMessageBytes else { throw .tooLarge(bytes: size, limit: options.maxMessageBytes) }
        guard message.producerID < 0 || (message.producerEpoch >= 0 && message.sequence >= 0) else {
            throw .corruptBatch("producer without epoch or sequence")
        }
        if message.headers.count == 0 && message.headerCount == 0 { return }
        guard RecordHeaderReader.check(input, headers: message.headers, count: message.headerCount) else { throw .corruptBatch("headers") }
    }

    /// What the producer state says; nil: it is new.
    private func judge(id: Int64, epoch: Int16, sequence: Int32, count: Int32) throws(LogError) -> AppendResult? {
        switch producers.check(id: id, epoch: epoch, first: sequence, count: count) {
        case .new: return nil
        case .duplicate(let offset): return AppendResult(baseOffset: offset ?? Offset(-1), count: count, isDuplicate: true)
        case .outOfOrder(let expected): throw .outOfOrderSequence(expected: expected, got: sequence)
        case .fenced(let current): throw .producerFenced(current: current, got: epoch)
        }
    }

    /// Whether a message can become the open batch's next record: of the same producer, with the sequence that follows.
    private func joins(_ message: MessageParts, _ builder: RecordBatchBuilder) -> Bool {
        guard message.producerID == builder.producerID, message.producerEpoch == builder.producerEpoch else { return false }
        return message.producerID < 0 || message.sequence == ProducerState.sequence(builder.baseSequence, plus: builder.count)
    }

    /// Finishes the batch that single messages were joined into, and notes it in the active segment.
    func closeOpenBatch() {
        guard let done = open, let segment = active else { return }
        let header = done.builder.finish(into: &staging, baseOffset: done.base, leaderEpoch: incarnation)
        open = nil
        segment.note(
            header, baseOffset: done.base, position: segment.end &+ done.builder.start, bytes: header.totalByteCount,
            indexInterval: options.indexIntervalBytes)
    }

    /// Writes what is staged, then `tail`, behind the active segment's end.
    func writeStaged(then tail: MemoryRegion?) throws(LogError) {
        closeOpenBatch()
        // Not before the checkpoint is durable that says the log is in use.
        guard background.readying == nil else { return }
        guard staging.count > 0, let segment = active, let file = segment.file else { return }
        writing.empty()
        writing.append(staging.region(ByteRange(start: 0, count: staging.count)))
        if let tail { writing.append(tail) }
        do {
            try storage.write(file, writing, at: segment.end)
        } catch {
            fail(error)
            throw .storage(error)
        }
        let start = segment.end
        newest = LogPlace(offset: written, segment: segment, position: start)
        segment.end &+= staging.count &+ (tail?.count ?? 0)
        segment.residency.noteWritten(Residency.windows(start..<segment.end), lastInstant)
        written = segment.next
        staging.clear()
    }
}
