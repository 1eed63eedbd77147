internal import Bytes

/// Where offsets lie in a segment: Kafka's `.index`, entries of 4 bytes relative offset and 4 bytes position, big-endian.
///
/// An entry names a batch by its *last* offset and the position where it begins, as Kafka writes it; one entry for every
/// `indexIntervalBytes` of log. Invariant: both columns increase.
package struct OffsetIndex: Equatable, Sendable {
    package struct Entry: Equatable, Sendable {
        package var relativeOffset: UInt32
        package var position: UInt32
        package init(relativeOffset: UInt32, position: UInt32) {
            self.relativeOffset = relativeOffset
            self.position = position
        }
    }

    package static let entryByteCount = 8
    package private(set) var entries: [Entry] = []

    package init() {}

    package mutating func append(relativeOffset: UInt32, position: UInt32) {
        entries.append(Entry(relativeOffset: relativeOffset, position: position))
    }

    /// A position at or before the batch that contains `relativeOffset`, where a batch begins.
    package func position(atOrBefore relativeOffset: Int64) -> Int {
        let index = partitionPoint(entries.count) { Int64(entries[$0].relativeOffset) <= relativeOffset }
        return index == 0 ? 0 : Int(entries[index - 1].position)
    }

    /// What the index knows of where the batch that contains an offset lies, or the next one.
    struct Place: Equatable {
        /// It begins here or behind; a batch begins here.
        var from: Int
        /// It begins here or before; a batch begins here. nil: no entry says so.
        var latest: Int?
        /// It ends here or before. nil: no entry says so.
        var end: Int?
    }

    func place(of relativeOffset: Int64) -> Place {
        let next = partitionPoint(entries.count) { Int64(entries[$0].relativeOffset) <= relativeOffset }
        let before = next == 0 ? nil : entries[next - 1]
        let from = Int(before?.position ?? 0)
        let behind = next < entries.count ? Int(entries[next].position) : nil
        // Of an entry's batch the last offset is known, not the first.
        if let before, Int64(before.relativeOffset) == relativeOffset { return Place(from: from, latest: from, end: behind) }
        return Place(from: from, latest: behind, end: next + 1 < entries.count ? Int(entries[next + 1].position) : nil)
    }

    /// The last indexed batch that begins at or before `position`: where it begins.
    package func position(atOrBeforePosition position: Int) -> Int {
        let index = partitionPoint(entries.count) { Int(entries[$0].position) <= position }
        return index == 0 ? 0 : Int(entries[index - 1].position)
    }

    /// Forgets the entries of batches that begin at or behind `position`.
    package mutating func truncate(toPosition position: Int) {
        let index = partitionPoint(entries.count) { Int(entries[$0].position) < position }
        entries.removeLast(entries.count - index)
    }

    /// What it takes in memory.
    package var bytes: Int { entries.capacity &* MemoryLayout<Entry>.stride }

    /// Gives back the room for more entries.
    mutating func shrink() { entries.shrink() }

    package func encoded() -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(entries.count * Self.entryByteCount)
        for entry in entries {
            bytes.appendBig(entry.relativeOffset)
            bytes.appendBig(entry.position)
        }
        return bytes
    }

    /// Takes a file's content apart; nil when it is no index for a segment of `length` bytes. Kafka's own files may be preallocated:
    /// zero entries at the end are ignored.
    package init?(decoding bytes: RawSpan, segmentLength length: Int) {
        guard bytes.byteCount % Self.entryByteCount == 0 else { return nil }
        var reader = ByteReader(bytes)
        var last = Entry(relativeOffset: 0, position: 0)
        entries.reserveCapacity(bytes.byteCount / Self.entryByteCount)
        while let both = try? reader.big(UInt64.self) {
            let entry = Entry(relativeOffset: UInt32(truncatingIfNeeded: both >> 32), position: UInt32(truncatingIfNeeded: both))
            if entry.position == 0 { break }
            guard Int(entry.position) < length, entry.position > last.position else { return nil }
            guard entries.isEmpty || entry.relativeOffset > last.relativeOffset else { return nil }
            entries.append(entry)
            last = entry
        }
    }
}

/// The first index of `0 ..< count` for which `belongs` is false, when it is true for a prefix only.
func partitionPoint(_ count: Int, _ belongs: (Int) -> Bool) -> Int {
    var low = 0
    var high = count
    while low < high {
        let middle = low &+ (high &- low) / 2
        if belongs(middle) { low = middle &+ 1 } else { high = middle }
    }
    return low
}

extension Array {
    /// Gives back the room for more elements, where that is worth a copy.
    mutating func shrink() {
        guard capacity > count &+ count / 8 else { return }
        var copy: [Element] = []
        copy.reserveCapacity(count)
        copy.append(contentsOf: self)
        self = copy
    }
}

extension Array where Element == UInt8 {
    mutating func appendBig<T: FixedWidthInteger>(_ value: T) {
        var shift = T.bitWidth
        while shift > 0 {
            shift -= 8
            append(UInt8(truncatingIfNeeded: value >> T(shift)))
        }
    }
}
