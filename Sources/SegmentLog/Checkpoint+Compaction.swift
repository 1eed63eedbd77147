internal import Bytes

// What compaction adds to a checkpoint: behind the producers, and only where there is something to say.
//
//     cleaned 8 | holes below 8 | count of old segments 4 (0: no replacement) | base of each 8 | the new segment's record 40
extension Checkpoint {
    func encodeCompaction(into buffer: inout ByteBuffer) {
        if cleaned == .zero, holesBelow == .zero, replacement == nil { return }
        buffer.append(little: cleaned.rawValue)
        buffer.append(little: holesBelow.rawValue)
        buffer.append(little: UInt32(truncatingIfNeeded: replacement?.old.count ?? 0))
        guard let replacement else { return }
        for base in replacement.old { buffer.append(little: base.rawValue) }
        replacement.new.encode(into: &buffer)
    }

    mutating func readCompaction(_ reader: inout ByteReader) throws(ByteError) {
        cleaned = Offset(try reader.little(Int64.self))
        holesBelow = Offset(try reader.little(Int64.self))
        let count = Int(try reader.little(UInt32.self))
        guard cleaned.rawValue >= 0, cleaned <= end, holesBelow.rawValue >= 0, holesBelow <= end, count <= reader.remaining / 8 else { throw .outOfRange }
        guard count > 0 else { return }
        var old: [Offset] = []
        for _ in 0..<count { old.append(Offset(try reader.little(Int64.self))) }
        let new = try SegmentRecord(from: &reader)
        let known = Set(segments.map(\.base))
        guard new.base == old[0], old.allSatisfy(known.contains) else { throw .outOfRange }
        replacement = Replacement(old: old, new: new)
    }

    /// Decides whether the replacement took place: the new file waits beside the old ones, or it has the first one's name. Answers whether
    /// it took place. From here on the segments are those that count.
    mutating func resolveReplacement(isWaiting: (String) -> Bool) -> Bool {
        guard let pending = replacement else { return false }
        replacement = nil
        if isWaiting(LogFiles.name(pending.new.base, .log) + LogFiles.cleaned) { return false }
        let gone = Set(pending.old.dropFirst())
        segments = segments.compactMap { $0.base == pending.new.base ? pending.new : gone.contains($0.base) ? nil : $0 }
        return true
    }
}

extension Checkpoint.SegmentRecord {
    func encode(into buffer: inout ByteBuffer) {
        buffer.append(little: base.rawValue)
        buffer.append(little: length)
        buffer.append(little: firstAppend.rawValue)
        buffer.append(little: lastAppend.rawValue)
        buffer.append(little: maxTimestamp.rawValue)
    }

    init(from reader: inout ByteReader) throws(ByteError) {
        base = Offset(try reader.little(Int64.self))
        length = try reader.little()
        firstAppend = Timestamp(milliseconds: try reader.little())
        lastAppend = Timestamp(milliseconds: try reader.little())
        maxTimestamp = Timestamp(milliseconds: try reader.little())
        guard length >= 0, length <= Int64(Int32.max) else { throw .outOfRange }
    }
}
