internal import Bytes
internal import Containers
internal import SegmentLog

// Fuzz entries of the broker's own records. Nothing may trap; what was understood must be the same after being written again; a broker
// that starts with it must work, or say why it does not start.

/// `bytes` are records of the catalog, each behind two bytes of length.
package func fuzzCatalog(_ bytes: RawSpan) {
    let storage = MemoryStorage(isVolatile: false)
    FuzzedBroker.write(catalogRecords(bytes), to: "__catalog", storage)
    FuzzedBroker.use(storage)
}

package func fuzzCatalogDecoder(_ bytes: RawSpan) { _ = catalogRecords(bytes) }

/// Those that are understood, and that a broker can start with.
private func catalogRecords(_ bytes: RawSpan) -> [[UInt8]] {
    var known: [[UInt8]] = []
    for record in FuzzedBroker.records(in: bytes) {
        guard let decoded = try? CatalogRecord(decoding: record.rawSpan) else { continue }
        var written = ByteBuffer()
        decoded.encode(into: &written)
        let again = try? CatalogRecord(decoding: written.bytes)
        precondition(again == decoded, "a record changes by being written and read")
        // A million partitions are legal, and take their time.
        if case .topic(_, _, let options) = decoded, options.partitions > 16 { continue }
        known.append(record)
    }
    return known
}

/// `bytes` are records of the cursors, each behind two bytes of length; the topics that they speak of are there.
package func fuzzCursors(_ bytes: RawSpan) {
    let storage = FuzzedBroker.storage()
    FuzzedBroker.write(cursorRecords(bytes), to: "__cursors", storage)
    FuzzedBroker.use(storage)
}

package func fuzzCursorDecoder(_ bytes: RawSpan) { _ = cursorRecords(bytes) }

private func cursorRecords(_ bytes: RawSpan) -> [[UInt8]] {
    var known: [[UInt8]] = []
    for record in FuzzedBroker.records(in: bytes) {
        guard let decoded = try? CursorRecord(decoding: record.rawSpan) else { continue }
        var written = ByteBuffer()
        CursorRecord.encode(decoded.cursor, subscription: decoded.subscription, partition: decoded.partition, into: &written)
        guard let again = try? CursorRecord(decoding: written.bytes) else { preconditionFailure("a record that we wrote cannot be read") }
        let (before, after) = (decoded.cursor, again.cursor)
        precondition(before.floor == after.floor && before.next == after.next, "a cursor moves by being written and read")
        precondition(before.settled.count == after.settled.count && before.aside.count == after.aside.count)
        known.append(record)
    }
    return known
}

/// `bytes` are what stands in the log of messages that were set aside, each behind two bytes of length; the cursors name the first ones.
package func fuzzAside(_ bytes: RawSpan) {
    let storage = FuzzedBroker.storage()
    FuzzedBroker.write(FuzzedBroker.records(in: bytes), to: "__aside", storage)
    FuzzedBroker.use(storage)
}
