import Bytes

/// Writes random but valid bytes of a message by interpreting its facts: an encoder that shares nothing with the generated one but
/// the buffer. Tagged fields are left out or filled with what is certainly no default.
struct MessageMaker {
    var random: Seeded
    private(set) var buffer: [UInt8] = []
    private let message: MessageFacts
    private let version: Int16
    private let isFlexible: Bool

    init(_ message: MessageFacts, version: Int16, seed: UInt64) {
        self.message = message
        self.version = version
        isFlexible = message.isFlexible(version)
        random = Seeded(seed: seed)
    }

    static func bytes(_ message: MessageFacts, version: Int16, seed: UInt64) -> [UInt8] {
        var maker = MessageMaker(message, version: version, seed: seed)
        maker.put(message.fields, depth: 0)
        return maker.buffer
    }

    private mutating func put(_ fields: [MessageFacts.Field], depth: Int) {
        let there = fields.filter { $0.versions.contains(version) }
        for field in there where field.tag == nil { put(field, depth: depth) }
        guard isFlexible else { return }
        let tagged = there.filter { $0.tag != nil && random.next(below: 2) == 0 }.sorted { ($0.tag ?? 0) < ($1.tag ?? 0) }
        put(varInt: UInt64(tagged.count))
        for field in tagged {
            put(varInt: field.tag ?? 0)
            let start = buffer.count
            put(field, depth: depth, neverDefault: true)
            let value = Array(buffer[start...])
            buffer.removeSubrange(start...)
            put(varInt: UInt64(value.count))
            buffer += value
        }
    }

    private mutating func put(_ field: MessageFacts.Field, depth: Int, neverDefault: Bool = false) {
        let isNull = field.nullable?.contains(version) == true && !neverDefault && random.next(below: 4) == 0
        let fewest = neverDefault ? 1 : 0
        if field.isArray {
            guard !isNull else { return put(length: nil, width: 4) }
            let count = fewest + random.next(below: depth == 0 ? 4 : 3)
            put(length: count, width: 4)
            for _ in 0..<count { element(field, depth: depth, fewest: fewest) }
        } else if field.isStruct, field.nullable?.contains(version) == true {
            buffer.append(isNull ? 0xFF : 1)
            if !isNull { put(field.fields, depth: depth + 1) }
        } else if isNull {
            put(length: nil, width: field.type == "string" ? 2 : 4)
        } else {
            element(field, depth: depth, fewest: fewest)
        }
    }

    private mutating func element(_ field: MessageFacts.Field, depth: Int, fewest: Int) {
        switch field.type {
        case "bool": buffer.append(fewest == 1 ? 1 : UInt8(random.next(below: 2)))
        case "int8": number(1)
        case "int16", "uint16": number(2)
        case "int32", "uint32": number(4)
        case "int64", "float64": number(8)
        case "uuid": number(16)
        case "string":
            let count = fewest + random.next(below: 20)
            put(length: count, width: 2)
            for _ in 0..<count { buffer.append(UInt8(0x20 + random.next(below: 95))) }
        case "bytes", "records":
            let count = fewest + random.next(below: 40)
            put(length: count, width: 4)
            number(count)
        default: put(field.fields, depth: depth + 1)
        }
    }

    /// Random bytes; the first is never what -1, 0 or a default begins with.
    private mutating func number(_ count: Int) {
        for at in 0..<count { buffer.append(at == 0 ? UInt8(2 + random.next(below: 100)) : UInt8(random.next(below: 256))) }
    }

    private mutating func put(length: Int?, width: Int) {
        if isFlexible { return put(varInt: UInt64(length.map { $0 + 1 } ?? 0)) }
        let value = UInt64(bitPattern: Int64(length ?? -1))
        for at in (0..<width).reversed() { buffer.append(UInt8(truncatingIfNeeded: value >> UInt64(at * 8))) }
    }

    private mutating func put(varInt value: UInt64) {
        var rest = value
        while rest > 127 {
            buffer.append(UInt8(rest % 128) + 128)
            rest /= 128
        }
        buffer.append(UInt8(rest))
    }
}

/// Numbers from a seed (SplitMix64).
struct Seeded {
    private var state: UInt64
    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    mutating func next(below bound: Int) -> Int { Int(next() % UInt64(bound)) }
}
