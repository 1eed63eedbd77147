internal import Bytes

/// What a client reads, whoever the server is: `bytes`, behind one that chooses, as a run of records, as batches, or as batches whose
/// checksum is made to fit; as the parts of a message of our own, which must be read as it was written; or as a server's address.
package func fuzzDeliveries(_ bytes: RawSpan) {
    var reader = ByteReader(bytes)
    guard let choice = try? reader.byte() else { return }
    var content = [UInt8](bytes.extracting(droppingFirst: 1))
    guard choice & 0x80 == 0 else {
        _ = try? ServerAddress(String(decoding: content, as: UTF8.self))
        return
    }
    let last = choice & 4 == 0 ? Int64.max : Int64(choice)
    switch choice % 4 {
    case 0:
        let base = RecordBase(offset: choice & 8 == 0 ? .max : 0, timestamp: .max, appendTime: choice & 16 == 0 ? nil : 1)
        _ = try? RecordDecoding.messages(inRun: content.rawSpan, base: base, partition: 0, first: 0, last: last, attempt: 1)
    case 1: _ = try? RecordDecoding.messages(inBatches: content.rawSpan, partition: 0, first: 0, last: last, attempt: 1)
    case 2:
        guard content.count >= RecordBatchBuilder.headerSize else { return }
        let length = UInt32(content.count - 12)
        for index in 0..<4 { content[8 + index] = UInt8(truncatingIfNeeded: length >> UInt32(24 - 8 * index)) }
        content[16] = 2
        let found = CRC32C.checksum(content.rawSpan.extracting(21..<content.count))
        for index in 0..<4 { content[17 + index] = UInt8(truncatingIfNeeded: found >> UInt32(24 - 8 * index)) }
        _ = try? RecordDecoding.messages(inBatches: content.rawSpan, partition: 0, first: .min, last: last, attempt: 1)
    default: roundTrip(content)
    }
}

private func roundTrip(_ content: [UInt8]) {
    let third = content.count / 3
    let (key, value) = (Array(content[..<third]), Array(content[third..<2 * third]))
    let headers = [Header(String(decoding: content[(2 * third)...], as: UTF8.self), third % 2 == 0 ? nil : key)]
    var builder = RecordBatchBuilder()
    let times: [Int64] = [5, .max, .min, 0]
    for time in times { builder.add(key: time == 0 ? nil : key, payload: time == 5 ? nil : value, headers: headers, timestamp: time) }
    let batch = builder.seal(producer: nil, sequence: -1)
    do throws(ClientError) {
        let read = try messages(batch)
        precondition(read.count == times.count, "a message is lost by being written and read")
        for (index, message) in read.enumerated() {
            precondition(message.timestamp == times[index] && message.offset == Int64(index) && message.partition == 3)
            precondition(message.key == (times[index] == 0 ? nil : key) && message.payload == (times[index] == 5 ? [] : value))
            precondition(message.isTombstone == (times[index] == 5) && message.headers == headers, "a message changes by being written and read")
        }
    } catch { preconditionFailure("what we wrote cannot be read: \(error)") }
}

private func messages(_ batch: [UInt8]) throws(ClientError) -> [Message] {
    try RecordDecoding.messages(inBatches: batch.rawSpan, partition: 3, first: 0, last: .max, attempt: 1)
}
