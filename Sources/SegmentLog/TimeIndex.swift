internal import Bytes

/// From when on offsets lie in a segment: Kafka's `.timeindex`, entries of 8 bytes timestamp and 4 bytes relative offset, big-endian.
///
/// An entry says: up to this offset (the last one of its batch) no record is later than this timestamp.
/// Invariant: timestamps increase, offsets do not decrease.
package struct TimeIndex: Equatable, Sendable {
    package struct Entry: Equatable, Sendable {
        package var timestamp: Int64
        package var relativeOffset: UInt32
        package init(timestamp: Int64, relativeOffset: UInt32) {
            self.timestamp = timestamp
            self.relativeOffset = relativeOffset
        }
    }

    package static let entryByteCount = 12
    package private(set) var entries: [Entry] = []

    package init() {}

    /// Adds an entry unless it says nothing new.
    package mutating func note(timestamp: Timestamp, relativeOffset: UInt32) {
        if let last = entries.last, timestamp.rawValue <= last.timestamp { return }
        guard timestamp.rawValue >= 0 else { return }
        entries.append(Entry(timestamp: timestamp.rawValue, relativeOffset: relativeOffset))
    }

    /// A relative offset at or before the first record that is at or after `time`.
    package func relativeOffset(before time: Timestamp) -> Int64 {
        let index = partitionPoint(entries.count) { entries[$0].timestamp < time.rawValue }
        return index == 0 ? 0 : Int64(entries[index - 1].relativeOffset)
    }

    /// A relative offset that is no earlier than the first record at or after `time`; nil when the index knows of none.
    package func relativeOffset(notBefore time: Timestamp) -> Int64? {
        let index = partitionPoint(entries.count) { entries[$0].timestamp < time.rawValue }
        return index < entries.count ? Int64(entries[index].relativeOffset) : nil
    }

    /// What it takes in memory.
    package var bytes: Int { entries.capacity &* MemoryLayout<Entry>.stride }

    /// Gives back the room for more entries.
    mutating func shrink() { entries.shrink() }

    package func encoded() -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(entries.count * Self.entryByteCount)
        for entry in entries {
            bytes.appendBig(entry.timestamp)
            bytes.appendBig(entry.relativeOffset)
        }
        return bytes
    }

    /// Takes a file's content apart; nil when it is no time index.
    package init?(decoding bytes: RawSpan) {
        guard bytes.byteCount % Self.entryByteCount == 0 else { return nil }
        var reader = ByteReader(bytes)
        entries.reserveCapacity(bytes.byteCount / Self.entryByteCount)
        while let timestamp = try? reader.big(Int64.self), let relativeOffset = try? reader.big(UInt32.self) {
            let entry = Entry(timestamp: timestamp, relativeOffset: relativeOffset)
            if timestamp == 0 && relativeOffset == 0 { break }
            guard timestamp >= 0 else { return nil }
            if let last = entries.last, timestamp <= last.timestamp || relativeOffset < last.relativeOffset { return nil }
            entries.append(entry)
        }
    }
}
