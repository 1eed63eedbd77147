internal import Bytes
internal import SegmentLog

/// One entry of the groups' log; the newest of its kind counts, and replaying any part twice changes nothing. docs/formats/groups.md.
///
///     version 1 | kind 1 | fields, numbers as zig-zag varints, text and bytes with their length before them
enum GroupRecord {
    case group(StoredGroup)
    /// With its offsets.
    case groupDeleted(String)
    case offsets(group: String, [StoredOffset])
    case offsetsDeleted(group: String, [TopicPartitions])
    /// Of all groups.
    case topicDeleted(String)

    /// A group without its offsets, as it is when a generation begins or when there is nobody left.
    struct StoredGroup: Equatable {
        var name: String
        var generation: Int32
        var protocolType: String?
        var protocolName: String?
        var leader: String?
        var emptySince: Timestamp
        var members: [StoredMember]
    }

    struct StoredMember: Equatable {
        var id: String
        var instanceID: String?
        var clientID: String
        var clientHost: String
        var sessionMilliseconds: Int32
        var rebalanceMilliseconds: Int32
        var protocols: [GroupProtocol]
        var assignment: [UInt8]
    }

    struct StoredOffset: Equatable {
        var topic: String
        var partition: Int32
        var committed: CommittedOffset
    }

    static let version: UInt8 = 1

    func encode(into buffer: inout ByteBuffer) {
        buffer.append(GroupRecord.version)
        switch self {
        case .group(let group):
            buffer.append(UInt8(1))
            buffer.appendText(group.name)
            buffer.append(varInt: Int64(group.generation))
            buffer.append(optionalText: group.protocolType)
            buffer.append(optionalText: group.protocolName)
            buffer.append(optionalText: group.leader)
            buffer.append(varInt: group.emptySince.rawValue)
            buffer.append(varInt: Int64(group.members.count))
            for member in group.members { encode(member, &buffer) }
        case .groupDeleted(let name):
            buffer.append(UInt8(2))
            buffer.appendText(name)
        case .offsets(let group, let offsets):
            buffer.append(UInt8(3))
            buffer.appendText(group)
            buffer.append(varInt: Int64(offsets.count))
            var topic = ""
            for stored in offsets {
                // Only the first of several in a row names the topic.
                buffer.appendText(stored.topic == topic ? "" : stored.topic)
                topic = stored.topic
                buffer.append(varInt: Int64(stored.partition))
                buffer.append(varInt: stored.committed.offset)
                buffer.append(varInt: Int64(stored.committed.leaderEpoch))
                buffer.append(varInt: stored.committed.time.rawValue)
                buffer.appendText(stored.committed.metadata)
            }
            topic = ""
            for stored in offsets where stored.topic != topic {
                topic = stored.topic
                buffer.append(varInt: stored.committed.topic.map { Int64($0.rawValue) } ?? -1)
            }
        case .offsetsDeleted(let group, let topics):
            buffer.append(UInt8(4))
            buffer.appendText(group)
            buffer.append(varInt: Int64(topics.count))
            for topic in topics {
                buffer.appendText(topic.name)
                buffer.append(varInt: Int64(topic.partitions.count))
                for partition in topic.partitions { buffer.append(varInt: Int64(partition)) }
            }
        case .topicDeleted(let name):
            buffer.append(UInt8(5))
            buffer.appendText(name)
        }
    }

    private func encode(_ member: StoredMember, _ buffer: inout ByteBuffer) {
        buffer.appendText(member.id)
        buffer.append(optionalText: member.instanceID)
        buffer.appendText(member.clientID)
        buffer.appendText(member.clientHost)
        buffer.append(varInt: Int64(member.sessionMilliseconds))
        buffer.append(varInt: Int64(member.rebalanceMilliseconds))
        buffer.append(varInt: Int64(member.protocols.count))
        for one in member.protocols {
            buffer.appendText(one.name)
            buffer.append(counted: one.metadata)
        }
        buffer.append(counted: member.assignment)
    }

    init(decoding bytes: RawSpan) throws(ByteError) {
        var reader = ByteReader(bytes)
        guard try reader.byte() == GroupRecord.version else { throw .outOfRange }
        switch try reader.byte() {
        case 1:
            var group = StoredGroup(
                name: try reader.countedText(), generation: try reader.small(), protocolType: try reader.optionalText(),
                protocolName: try reader.optionalText(), leader: try reader.optionalText(), emptySince: Timestamp(milliseconds: try reader.varInt()),
                members: [])
            for _ in 0..<max(0, try reader.varCount()) { group.members.append(try GroupRecord.member(&reader)) }
            self = .group(group)
        case 2: self = .groupDeleted(try reader.countedText())
        case 3:
            let group = try reader.countedText()
            var offsets: [StoredOffset] = []
            for _ in 0..<max(0, try reader.varCount()) {
                let topic = try reader.countedText()
                let partition = try reader.small()
                let (offset, epoch) = (try reader.varInt(), try reader.small())
                let time = Timestamp(milliseconds: try reader.varInt())
                offsets.append(
                    StoredOffset(
                        topic: topic.isEmpty ? offsets.last?.topic ?? "" : topic, partition: partition,
                        committed: CommittedOffset(offset: offset, leaderEpoch: epoch, metadata: try reader.countedText(), time: time)))
            }
            var topic = ""
            var id: TopicID?
            for index in offsets.indices {
                if offsets[index].topic != topic {
                    if reader.isAtEnd { break }
                    topic = offsets[index].topic
                    id = UInt32(exactly: try reader.varInt()).map(TopicID.init)
                }
                offsets[index].committed.topic = id
            }
            self = .offsets(group: group, offsets)
        case 4:
            let group = try reader.countedText()
            var topics: [TopicPartitions] = []
            for _ in 0..<max(0, try reader.varCount()) {
                var topic = TopicPartitions(name: try reader.countedText(), partitions: [])
                for _ in 0..<max(0, try reader.varCount()) { topic.partitions.append(try reader.small()) }
                topics.append(topic)
            }
            self = .offsetsDeleted(group: group, topics)
        case 5: self = .topicDeleted(try reader.countedText())
        default: throw .outOfRange
        }
    }

    private static func member(_ reader: inout ByteReader) throws(ByteError) -> StoredMember {
        var member = StoredMember(
            id: try reader.countedText(), instanceID: try reader.optionalText(), clientID: try reader.countedText(), clientHost: try reader.countedText(),
            sessionMilliseconds: try reader.small(), rebalanceMilliseconds: try reader.small(), protocols: [], assignment: [])
        for _ in 0..<max(0, try reader.varCount()) {
            member.protocols.append(GroupProtocol(name: try reader.countedText(), metadata: try reader.countedBytes()))
        }
        member.assignment = try reader.countedBytes()
        return member
    }
}

extension ConsumerGroup {
    var stored: GroupRecord.StoredGroup {
        GroupRecord.StoredGroup(
            name: name, generation: generation, protocolType: protocolType, protocolName: protocolName, leader: leader, emptySince: emptySince,
            members: sortedMembers.map { member in
                GroupRecord.StoredMember(
                    id: member.id, instanceID: member.instanceID, clientID: member.clientID, clientHost: member.clientHost,
                    sessionMilliseconds: member.sessionMilliseconds, rebalanceMilliseconds: member.rebalanceMilliseconds, protocols: member.protocols,
                    assignment: member.assignment)
            })
    }

    var storedOffsets: [GroupRecord.StoredOffset] {
        offsets.keys.sorted().flatMap { topic in
            (offsets[topic] ?? [:]).sorted { $0.key < $1.key }.map { GroupRecord.StoredOffset(topic: topic, partition: $0.key, committed: $0.value) }
        }
    }

    /// Takes over what was stored. Members go on where they were: they have their session timeout to be heard of, from `now` on.
    func restore(_ stored: GroupRecord.StoredGroup, _ now: Now) {
        for member in members.values { bytes -= member.bytes }
        members = [:]
        instances = [:]
        generation = stored.generation
        countedGeneration = generation
        protocolType = stored.protocolType
        protocolName = stored.protocolName
        leader = stored.leader
        emptySince = stored.emptySince
        state = stored.members.isEmpty ? .empty : .stable
        wake = .distantFuture
        lastStored = stored
        for kept in stored.members {
            let member = Member(
                id: kept.id, instanceID: kept.instanceID, order: nextOrder, clientID: kept.clientID, clientHost: kept.clientHost,
                sessionMilliseconds: kept.sessionMilliseconds, rebalanceMilliseconds: kept.rebalanceMilliseconds, protocols: kept.protocols, isIDKnown: true)
            nextOrder += 1
            member.assignment = kept.assignment
            member.isNew = false
            members[kept.id] = member
            if let instance = kept.instanceID { instances[instance] = kept.id }
            bytes += member.bytes
            heard(member, now)
        }
    }
}

extension ByteBuffer {
    mutating func append(optionalText text: String?) {
        append(UInt8(text == nil ? 0 : 1))
        if let text { appendText(text) }
    }

    mutating func append(counted bytes: [UInt8]) {
        append(varInt: Int64(bytes.count))
        append(bytes.rawSpan)
    }
}

extension ByteReader {
    @_lifetime(self: copy self)
    mutating func small() throws(ByteError) -> Int32 {
        guard let value = Int32(exactly: try varInt()) else { throw .outOfRange }
        return value
    }

    @_lifetime(self: copy self)
    mutating func countedText() throws(ByteError) -> String { try text(max(0, try varCount())) }

    @_lifetime(self: copy self)
    mutating func optionalText() throws(ByteError) -> String? { try byte() == 0 ? nil : try countedText() }

    @_lifetime(self: copy self)
    mutating func countedBytes() throws(ByteError) -> [UInt8] { [UInt8](try take(max(0, try varCount()))) }
}
