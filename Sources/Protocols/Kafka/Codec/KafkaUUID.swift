/// The id of a topic, 128 bits. Zero means that there is none.
struct KafkaUUID: Hashable, Sendable {
    var high: UInt64
    var low: UInt64

    static let zero = KafkaUUID(high: 0, low: 0)
}

extension KafkaUUID: CustomStringConvertible {
    /// As Kafka's tools print it: base64 for URLs, without padding.
    var description: String {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)
        let bits = UInt128(high) << 64 | UInt128(low)
        var text: [UInt8] = []
        // 21 digits of six bits, then the last two bits at the top of one more.
        for shift in stride(from: 122, through: 2, by: -6) { text.append(alphabet[Int(truncatingIfNeeded: bits >> UInt128(shift)) & 63]) }
        text.append(alphabet[Int(truncatingIfNeeded: bits << 4) & 63])
        return String(decoding: text, as: UTF8.self)
    }
}
