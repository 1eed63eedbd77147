package import Bytes

/// Makes requests of every API and version that we speak, from what a fuzzer's bytes choose and the fields of `KafkaField`: valid ones,
/// with names and numbers that are often there, and ones where a count, a length, a null or a tag is a lie. Their frames are right, so
/// that what stands behind them is reached.
package struct ArbitraryRequests {
    private var choices: Choices
    private var correlation: Int32 = 0
    private var isFlexible = false
    private var version: Int16 = 0
    /// How many more primitives are written until one is a lie; negative: none.
    private var untilLie = -1
    private var liesAgain = false
    /// Record batches that a produce may carry.
    private let batches: [[UInt8]]

    package init(_ choices: Choices, batches: [[UInt8]]) {
        self.choices = choices
        self.batches = batches
    }

    package var isUsedUp: Bool { choices.isUsedUp }

    // Made once: the long ones take longer than everything else about a request.
    private static let topics = ["a", "b", "orders", "topic", "", "__groups", "a/b", String(repeating: "t", count: 260)]
    private static let groups = ["g", "group", "", String(repeating: "g", count: 1_100)]
    private static let fields = Dictionary(uniqueKeysWithValues: KafkaAPIKey.allCases.map { ($0, $0.requestFields) })

    package mutating func next(into buffer: inout ByteBuffer) {
        let start = buffer.count
        correlation &+= 1
        let key = KafkaAPIKey.allCases[choices.choose(KafkaAPIKey.allCases.count)]
        version = key.validVersions.lowerBound + Int16(choices.choose(key.validVersions.count))
        isFlexible = key.isFlexible(version)
        switch choices.choose(8) {
        case 0...3: untilLie = -1
        case 4...6:
            untilLie = choices.choose(48)
            liesAgain = false
        default:
            untilLie = choices.choose(12)
            liesAgain = true
        }
        buffer.append(big: 0 as Int32)
        buffer.append(big: choices.oneIn(64) ? Int16(choices.choose(128)) : key.rawValue)
        buffer.append(big: choices.oneIn(64) ? Int16(choices.choose(32)) : version)
        buffer.append(big: correlation)
        buffer.append(nullableString: choices.pick(["fuzz", nil, ""]), compact: false)
        if isFlexible { tags([], &buffer) }
        put(Self.fields[key] ?? [], depth: 0, &buffer)
        if choices.oneIn(32) { buffer.append(choices.byte()) }
        buffer.patch(big: Int32(truncatingIfNeeded: buffer.count - start - 4), at: start)
    }

    /// Whether what is written now is to be wrong.
    private mutating func lies() -> Bool {
        guard untilLie >= 0 else { return false }
        untilLie -= 1
        guard untilLie < 0 else { return false }
        if liesAgain { untilLie = choices.choose(12) }
        return true
    }

    // MARK: Structure

    private mutating func put(_ fields: [KafkaField], depth: Int, _ buffer: inout ByteBuffer) {
        let there = fields.filter { $0.versions.contains(version) }
        for field in there where field.tag == nil { put(field, depth: depth, &buffer) }
        if isFlexible { tags(there.filter { $0.tag != nil }, &buffer) }
    }

    private mutating func tags(_ fields: [KafkaField], _ buffer: inout ByteBuffer) {
        var written: [(tag: UInt64, value: [UInt8])] = []
        for field in fields where choices.oneIn(2) {
            var value = ByteBuffer()
            put(field, depth: 1, &value)
            written.append((field.tag ?? 0, [UInt8](value.bytes)))
        }
        if choices.oneIn(16) { written.append((UInt64(choices.byte()), choices.take(choices.choose(4)))) }
        if choices.oneIn(64), let first = written.first { written.append(first) }
        length(written.count - 1, &buffer, isPlain: true)
        for (tag, value) in written {
            buffer.append(unsignedVarInt: tag)
            length(value.count - 1, &buffer, isPlain: true)
            buffer.append(value)
        }
    }

    private mutating func put(_ field: KafkaField, depth: Int, _ buffer: inout ByteBuffer) {
        let isNull = field.nullable?.contains(version) == true ? choices.oneIn(4) : false
        if field.isArray {
            guard !isNull else { return length(nil, &buffer) }
            let count = choices.pick(depth == 0 ? [1, 1, 0, 2, 3, 1, 9] : [1, 1, 0, 2, 1, 3])
            length(count, &buffer)
            for _ in 0..<count { element(field, depth: depth, &buffer) }
        } else if field.kind == .structure, field.nullable?.contains(version) == true {
            buffer.append(isNull ? 0xFF : 1 as UInt8)
            if !isNull { put(field.fields, depth: depth + 1, &buffer) }
        } else if isNull {
            length(nil, &buffer, isText: field.kind == .string)
        } else {
            element(field, depth: depth, &buffer)
        }
    }

    private mutating func element(_ field: KafkaField, depth: Int, _ buffer: inout ByteBuffer) {
        switch field.kind {
        case .integer(let size):
            let value = integer(field.name)
            for index in (0..<size).reversed() { buffer.append(UInt8(truncatingIfNeeded: value >> Int64(8 * index))) }
        case .bool: buffer.append(lies() ? choices.byte() : UInt8(choices.choose(2)))
        case .float64: buffer.append(big: UInt64(bitPattern: choices.number()))
        case .uuid: buffer.append(choices.oneIn(4) ? choices.take(16) : [UInt8](repeating: 0, count: 16))
        case .string:
            let text = choices.oneIn(64) ? choices.take(choices.choose(8)) : Array(text(field.name).utf8)
            length(text.count, &buffer, isText: true)
            buffer.append(text)
        case .bytes:
            // What a consumer of Kafka's says of itself, and of its assignment, begins alike.
            let value = choices.pick([[], [0, 1, 0, 0, 0, 1, 0, 1, 0x61, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0], choices.take(choices.choose(8))])
            length(value.count, &buffer)
            buffer.append(value)
        case .records:
            var value = batches.isEmpty ? [] : choices.pick(batches)
            if lies(), !value.isEmpty { value[choices.choose(min(value.count, 128))] = choices.byte() }
            length(value.count, &buffer)
            buffer.append(value)
        case .structure: put(field.fields, depth: depth + 1, &buffer)
        }
    }

    // MARK: Primitives

    /// A length before bytes or elements, in the form of the version; `isPlain`: one that is never null, as those of tags.
    private mutating func length(_ count: Int?, _ buffer: inout ByteBuffer, isText: Bool = false, isPlain: Bool = false) {
        var value = Int64(count ?? -1)
        if lies() {
            let edges: [Int64] = [-1, -2, 0, 255, 1 << 20, Int64(Int16.max), Int64(Int32.max), Int64(Int32.min), .max - 1]
            value = choices.pick([value + 1, value - 1, value &* 2] + edges)
        }
        if isFlexible || isPlain {
            buffer.append(unsignedVarInt: UInt64(bitPattern: value &+ 1))
        } else if isText {
            buffer.append(big: Int16(truncatingIfNeeded: value))
        } else {
            buffer.append(big: Int32(truncatingIfNeeded: value))
        }
    }

    private mutating func integer(_ name: String) -> Int64 {
        if lies() { return choices.number() }
        switch name {
        case "Partition", "PartitionIndex", "Index", "Partitions", "PartitionIndexes": return Int64(choices.choose(3))
        case "Acks": return choices.pick([-1, 1, 1, 0])
        case "MaxWaitMs", "MinBytes", "SessionId", "ThrottleTimeMs": return Int64(choices.choose(4))
        case "MaxBytes", "PartitionMaxBytes": return choices.pick([1 << 20, 100, 1, Int64(Int32.max)])
        case "SessionTimeoutMs", "RebalanceTimeoutMs": return choices.pick([6_000, 10_000, 100, 1_800_000])
        case "FetchOffset", "Offset", "CommittedOffset": return Int64(choices.choose(16))
        case "Timestamp": return choices.pick([-1, -2, -3, 0, 1_700_000_000_000, -4, -5])
        case "GenerationId", "GenerationIdOrMemberEpoch": return choices.pick([-1, 0, 1, 2])
        case "ReplicaId", "SessionEpoch", "CurrentLeaderEpoch", "LeaderEpoch", "ProducerId", "ProducerEpoch": return choices.pick([-1, -1, 0, 1])
        case "NumPartitions", "Count", "ReplicationFactor": return choices.pick([1, -1, 3, 0, 2])
        case "ResourceType", "ConfigOperation", "KeyType", "ResourceTypeFilter": return Int64(choices.choose(6))
        default: return choices.number()
        }
    }

    private mutating func text(_ name: String) -> String {
        switch name {
        case "Topic", "TopicName", "TopicNames", "Match":
            return choices.pick(Self.topics)
        case "GroupId", "Groups", "GroupsNames", "Key", "CoordinatorKeys": return choices.pick(Self.groups)
        case "MemberId": return choices.pick(["", "", "m", "fuzz-1"])
        case "ProtocolType": return choices.pick(["consumer", "connect", ""])
        case "ProtocolName": return choices.pick(["range", "roundrobin", ""])
        case "StatesFilter": return choices.pick(["Stable", "Empty", "Nonsense"])
        case "TypesFilter": return choices.pick(["classic", "consumer", "Nonsense"])
        case "ConfigurationKeys": return setting()
        case "Value":
            return choices.pick([
                "1", "-1", "compact", "delete", "compact,delete", "100000", "1e9", "9223372036854775808", "", "true", "0.5", "LogAppendTime",
            ])
        // Of a topic, of a setting, of what a member supports.
        case "Name", "ResourceName": return choices.oneIn(2) ? setting() : choices.pick(["a", "b", "orders", "topic", "range", "0", ""])
        default: return choices.pick(["", "x", "é", "\u{0}"])
        }
    }

    private mutating func setting() -> String {
        choices.pick([
            "retention.ms", "retention.bytes", "cleanup.policy", "segment.bytes", "segment.ms", "max.message.bytes", "message.timestamp.type",
            "min.insync.replicas", "min.cleanable.dirty.ratio", "delete.retention.ms", "compression.type", "flush.ms", "no.such.setting", "",
        ])
    }
}
