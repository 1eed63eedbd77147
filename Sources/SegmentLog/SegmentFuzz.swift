internal import Bytes

/// Gives arbitrary bytes to every decoder of stored data: as a segment, as a batch from a client, as records, as index files and as
/// a checkpoint. Nothing may trap; what comes out is of no interest. A fuzzer calls this once per input.
package func fuzzSegment(_ bytes: RawSpan) {
    fuzzSegmentDecoders(bytes)
    _ = OffsetIndex(decoding: bytes, segmentLength: bytes.byteCount)
    _ = TimeIndex(decoding: bytes)
    _ = try? Checkpoint(decoding: bytes)
    fuzzDirectory(bytes)
}

/// Puts the bytes into a log directory under each of its names, then verifies, opens and reads it.
private func fuzzDirectory(_ bytes: RawSpan) {
    let content = [UInt8](bytes)
    let now = Now(instant: Instant(nanoseconds: 1), time: Timestamp(milliseconds: 1))
    for name in [LogFiles.name(.zero, .log), LogFiles.checkpoint, LogFiles.name(.zero, .index)] {
        let storage = MemoryStorage(isVolatile: false)
        do {
            try storage.makeDirectory("log")
            let file = try storage.open("log/" + name, .create)
            try storage.write(file, content)
            _ = try LogVerification(directory: "log", storage: storage)
            let log = try Log(directory: "log", number: 1, options: Log.Options(), storage: storage, now: now)
            var at = log.watermarks.start
            while let result = try log.read(from: at, maxBytes: 1 << 16, below: log.visibleEnd) { at = result.next }
            _ = try log.offset(at: Timestamp(milliseconds: 0))
        } catch {}
    }
}
