internal import Bytes
internal import SegmentLog

// A topic's options as its catalog entry has them. New ones are appended, and an entry may end before them.
extension TopicOptions {
    func encode(into buffer: inout ByteBuffer) {
        buffer.append(varInt: Int64(partitions))
        buffer.append(storage.rawValue)
        buffer.append(optional: durability.map { Int64($0.rawValue) })
        buffer.append(optional: segmentBytes.map(Int64.init))
        buffer.append(optional: segmentMilliseconds)
        buffer.append(optional: retentionMilliseconds)
        buffer.append(optional: retentionBytes)
        buffer.append(UInt8(untilAcknowledged ? 1 : 0))
        buffer.append(optional: maxMessageBytes.map(Int64.init))
        subscription.encode(into: &buffer)
        buffer.append(UInt8(isQueue ? 1 : 0))
        encodeLater(into: &buffer)
    }

    /// What was added to topics later. Written where something of it is set: an entry without is one of the first version.
    private func encodeLater(into buffer: inout ByteBuffer) {
        var plain = self
        plain.clearLater()
        if plain == self { return }
        buffer.append(optional: cleanup.map { Int64($0.rawValue) })
        buffer.append(optional: timestampType.map { Int64($0.rawValue) })
        buffer.append(optional: minInsyncReplicas.map(Int64.init))
        buffer.append(optional: deleteRetentionMilliseconds)
        buffer.append(optional: minCompactionLagMilliseconds)
        buffer.append(optional: maxCompactionLagMilliseconds)
        buffer.append(optional: minCleanableDirtyRatio.map { Int64(bitPattern: $0.bitPattern) })
        buffer.append(optional: timestampBeforeMaxMilliseconds)
        buffer.append(optional: timestampAfterMaxMilliseconds)
        buffer.append(optional: flushIntervalMilliseconds)
        buffer.append(varInt: Int64(annotations.count))
        for (name, value) in annotations.sorted(by: { $0.key < $1.key }) {
            buffer.appendText(name)
            buffer.appendText(value)
        }
    }

    private mutating func clearLater() {
        cleanup = nil
        timestampType = nil
        minInsyncReplicas = nil
        deleteRetentionMilliseconds = nil
        minCompactionLagMilliseconds = nil
        maxCompactionLagMilliseconds = nil
        minCleanableDirtyRatio = nil
        timestampBeforeMaxMilliseconds = nil
        timestampAfterMaxMilliseconds = nil
        flushIntervalMilliseconds = nil
        annotations = [:]
    }

    private mutating func readLater(_ reader: inout ByteReader) throws(ByteError) {
        if let value = try reader.optional() {
            guard let raw = UInt8(exactly: value), let cleanup = Cleanup(rawValue: raw) else { throw .outOfRange }
            self.cleanup = cleanup
        }
        if let value = try reader.optional() {
            guard let raw = UInt8(exactly: value), let type = TimestampType(rawValue: raw) else { throw .outOfRange }
            timestampType = type
        }
        minInsyncReplicas = try reader.optional().map { Int32(truncatingIfNeeded: $0) }
        deleteRetentionMilliseconds = try reader.optional()
        minCompactionLagMilliseconds = try reader.optional()
        maxCompactionLagMilliseconds = try reader.optional()
        if let value = try reader.optional() {
            let ratio = Double(bitPattern: UInt64(bitPattern: value))
            // No topic has such a one, and it would be equal to nothing, not even to itself.
            guard !ratio.isNaN else { throw .outOfRange }
            minCleanableDirtyRatio = ratio
        }
        timestampBeforeMaxMilliseconds = try reader.optional()
        timestampAfterMaxMilliseconds = try reader.optional()
        flushIntervalMilliseconds = try reader.optional()
        let count = try reader.varCount()
        for _ in 0..<max(0, count) {
            let name = try reader.shortText()
            annotations[name] = try reader.shortText()
        }
    }

    init(from reader: inout ByteReader) throws(ByteError) {
        self.init()
        let count = try reader.varInt()
        guard count >= 1, count <= 1 << 20 else { throw .outOfRange }
        partitions = Int32(count)
        guard let storage = Storage(rawValue: try reader.byte()) else { throw .outOfRange }
        self.storage = storage
        if let value = try reader.optional() {
            guard let raw = UInt8(exactly: value), let durability = Durability(rawValue: raw) else { throw .outOfRange }
            self.durability = durability
        }
        segmentBytes = try reader.optional().map { Int(truncatingIfNeeded: $0) }
        segmentMilliseconds = try reader.optional()
        retentionMilliseconds = try reader.optional()
        retentionBytes = try reader.optional()
        untilAcknowledged = try reader.byte() != 0
        maxMessageBytes = try reader.optional().map { Int(truncatingIfNeeded: $0) }
        subscription = try SubscriptionOptions(from: &reader)
        isQueue = try reader.byte() != 0
        if reader.remaining > 0 { try readLater(&reader) }
    }
}
