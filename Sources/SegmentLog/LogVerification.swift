internal import Bytes

/// Checks a whole log directory without changing anything: every batch of every segment, the order of offsets, the indexes and the
/// checkpoint. What `needletail log verify` prints.
package struct LogVerification: Sendable {
    package struct Segment: Sendable {
        package var name: String
        package var fileBytes = 0
        /// Bytes of batches; what follows is prepared space.
        package var bytes = 0
        package var batches = 0
        package var records: Int64 = 0
        package var first: Offset
        package var next: Offset
    }

    package struct Finding: Sendable, CustomStringConvertible {
        package enum Weight: String, Sendable {
            /// Worth knowing; opening the log deals with it.
            case note
            /// Stored batches are lost or altered.
            case damage
        }
        package var weight: Weight
        package var file: String
        package var position: Int
        package var text: String
        package var description: String { "\(weight.rawValue): \(file) at \(position): \(text)" }
    }

    package let directory: String
    package private(set) var segments: [Segment] = []
    package private(set) var findings: [Finding] = []
    package private(set) var checkpoint: Checkpoint?
    package var isSound: Bool { !findings.contains { $0.weight == .damage } }

    package init(directory: String, storage: any LogStorage) throws(StorageError) {
        self.directory = directory
        let entries = try storage.list(directory)
        if entries.contains(where: { $0.name == LogFiles.checkpoint }) { try readCheckpoint(storage) }
        var bases = entries.compactMap { LogFiles.parse($0.name) }.filter { $0.kind == .log }.map(\.base).sorted()
        let names = Set(entries.map(\.name))
        while let start = checkpoint?.start, bases.count > 1, bases[1] <= start {
            note(.note, LogFiles.name(bases.removeFirst(), .log), 0, "lies below the log's start, \(start); it is removed when the log is next appended to")
        }
        for (index, base) in bases.enumerated() {
            if let checkpoint, let last = checkpoint.segments.last?.base, base < min(last, checkpoint.holesBelow),
                !checkpoint.segments.contains(where: { $0.base == base })
            {
                note(.note, LogFiles.name(base, .log), 0, "was compacted away; it is removed when the log is next appended to")
                continue
            }
            if let last = segments.last, last.next != base, !isHole(last.next, base) {
                // Behind a torn tail lie segments of which nothing was durable: opening the log drops them.
                note(
                    base > last.next ? weight(at: last.next) : .damage, LogFiles.name(base, .log), 0,
                    "begins at \(base), the segment before ends at \(last.next)")
            }
            let starts = try check(base, isLast: index == bases.count - 1, storage)
            for kind in [LogFiles.Kind.index, .timeIndex] where names.contains(LogFiles.name(base, kind)) {
                try checkIndex(base, kind, starts, storage)
            }
        }
        if let checkpoint, let last = segments.last, last.next < checkpoint.durable {
            note(.damage, last.name, last.bytes, "ends at offset \(last.next), below the durable watermark \(checkpoint.durable)")
        }
        if let checkpoint, segments.isEmpty, checkpoint.durable > checkpoint.start {
            note(.damage, LogFiles.checkpoint, 0, "knows durable batches, and there is no segment")
        }
    }

    private mutating func note(_ weight: Finding.Weight, _ file: String, _ position: Int, _ text: String) {
        findings.append(Finding(weight: weight, file: file, position: position, text: text))
    }

    private mutating func readCheckpoint(_ storage: any LogStorage) throws(StorageError) {
        let content = try read(LogFiles.checkpoint, storage)
        let names = Set(try storage.list(directory).map(\.name))
        do throws(ByteError) {
            var found = try Checkpoint(decoding: content.rawSpan)
            _ = found.resolveReplacement(isWaiting: names.contains)
            checkpoint = found
        } catch {
            note(.damage, LogFiles.checkpoint, 0, "cannot be read: \(error)")
        }
    }

    private func read(_ name: String, _ storage: any LogStorage) throws(StorageError) -> [UInt8] {
        var content = ByteBuffer()
        let file = try storage.open(directory + "/" + name, .read)
        let size = try storage.size(of: file)
        if size <= Checkpoint.byteCountMax { try storage.read(file, at: 0, count: size, into: &content) }
        try storage.close(file)
        return [UInt8](content.bytes)
    }

    /// Walks one segment; answers where its batches begin, by their last offset.
    private mutating func check(_ base: Offset, isLast: Bool, _ storage: any LogStorage) throws(StorageError) -> [Offset: (position: Int, latest: Timestamp)] {
        let name = LogFiles.name(base, .log)
        var inspector = try SegmentInspector(path: directory + "/" + name, storage: storage)
        var segment = Segment(name: name, first: base, next: base)
        var starts: [Offset: (position: Int, latest: Timestamp)] = [:]
        segment.fileBytes = inspector.fileBytes
        // Opening the log cuts at the first batch above the watermark that is none: what is read behind it says nothing.
        var isCut = false
        while let batch = try inspector.next() {
            let header = batch.header
            var faults: [String] = []
            if !batch.isIntact { faults.append("the checksum of the batch at offset \(header.baseOffset) does not hold") }
            if header.baseOffset != segment.next, !isHole(segment.next, header.baseOffset) {
                faults.append("base offset \(header.baseOffset) where \(segment.next) follows")
            }
            for fault in faults { note(weight(at: segment.next), name, batch.position, fault) }
            isCut = !faults.isEmpty && weight(at: segment.next) == .note
            if isCut { break }
            if let (_, isComplete) = batch.records(), !isComplete {
                note(.note, name, batch.position, "the records of the batch at offset \(header.baseOffset) cannot all be read")
            }
            segment.batches += 1
            segment.records += Int64(header.recordCount)
            segment.next = header.nextOffset
            segment.bytes = batch.position + header.totalByteCount
            starts[header.lastOffset] = (batch.position, header.maxTimestamp)
        }
        if !isCut, let fault = inspector.end.fault {
            let isTorn = isLast && weight(at: segment.next) == .note
            note(weight(at: segment.next), name, inspector.end.position, isTorn ? "torn tail: \(fault)" : "no batch: \(fault)")
        }
        segments.append(segment)
        return starts
    }

    /// Whether compaction may have taken what is missing.
    private func isHole(_ expected: Offset, _ found: Offset) -> Bool { found > expected && found <= checkpoint?.holesBelow ?? .zero }

    /// What is below the durable watermark was acknowledged; what is above may be a torn tail.
    private func weight(at offset: Offset) -> Finding.Weight {
        guard let checkpoint else { return .damage }
        return offset < checkpoint.durable ? .damage : .note
    }

    private mutating func checkIndex(
        _ base: Offset, _ kind: LogFiles.Kind, _ starts: [Offset: (position: Int, latest: Timestamp)], _ storage: any LogStorage
    ) throws(StorageError) {
        let name = LogFiles.name(base, kind)
        let content = try read(name, storage)
        guard let length = segments.last?.bytes else { return }
        if kind == .index {
            guard let index = OffsetIndex(decoding: content.rawSpan, segmentLength: max(length, 1)) else {
                note(.note, name, 0, "is no offset index of this segment; it is rebuilt when it is needed")
                return
            }
            for (number, entry) in index.entries.enumerated() where starts[base + Int64(entry.relativeOffset)]?.position != Int(entry.position) {
                note(.note, name, number * OffsetIndex.entryByteCount, "no batch with last offset \(base + Int64(entry.relativeOffset)) at \(entry.position)")
            }
        } else {
            guard let index = TimeIndex(decoding: content.rawSpan) else {
                note(.note, name, 0, "is no time index; it is rebuilt when it is needed")
                return
            }
            for (number, entry) in index.entries.enumerated()
            where starts[base + Int64(entry.relativeOffset)].map({ $0.latest.rawValue != entry.timestamp }) ?? true {
                note(.note, name, number * TimeIndex.entryByteCount, "no batch with last offset \(base + Int64(entry.relativeOffset)) and this timestamp")
            }
        }
    }
}
