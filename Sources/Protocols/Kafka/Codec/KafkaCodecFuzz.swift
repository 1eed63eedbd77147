internal import Bytes

/// The fuzz entry of the codec: the first three bytes choose an API, a version and a direction, the rest is read as that message, and
/// what was understood is written again. Answers whether it was understood.
package func decodeAnyKafkaMessage(_ bytes: RawSpan) -> Bool {
    guard bytes.byteCount >= 3 else { return false }
    var choice = ByteReader(bytes)
    guard let api = try? choice.byte(), let version = try? choice.byte(), let side = try? choice.byte() else { return false }
    let key = KafkaAPIKey.allCases[Int(api) % KafkaAPIKey.allCases.count]
    let chosen = key.validVersions.lowerBound + Int16(version) % Int16(key.validVersions.count)
    var written = ByteBuffer()
    do throws(ByteError) {
        if side & 1 == 0 {
            try key.recode(request: bytes.extracting(droppingFirst: 3), version: chosen, to: &written)
        } else {
            try key.recode(response: bytes.extracting(droppingFirst: 3), version: chosen, to: &written)
        }
        return true
    } catch {
        return false
    }
}

/// The fuzz entry of the header: `bytes` as what follows a frame's size. Answers whether a request of ours could follow.
package func decodeAnyKafkaHeader(_ bytes: RawSpan) -> Bool {
    var reader = KafkaReader(bytes)
    guard let header = try? RequestHeader(from: &reader), case .supported = header.api else { return false }
    return true
}

extension ByteBuffer {
    /// Reads a message that fills `input` and writes it again.
    mutating func recode<M: KafkaMessage>(_: M.Type, _ input: RawSpan, _ version: Int16) throws(ByteError) {
        var reader = KafkaReader(input)
        let message = try M(from: &reader, version: version)
        guard reader.isAtEnd else { throw .outOfRange }
        message.encode(to: &self, version: version)
    }

    mutating func recode<M: KafkaMessageWithRecords>(_: M.Type, _ input: RawSpan, _ version: Int16) throws(ByteError) {
        var reader = KafkaReader(input)
        let message = try M(from: &reader, version: version)
        guard reader.isAtEnd else { throw .outOfRange }
        message.encode(to: &self, version: version, recordsIn: input)
    }
}
