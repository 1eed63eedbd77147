internal import Bytes
internal import SegmentLog

/// `bytes` are records of the groups' log, each behind two bytes of length. What was understood must be the same after being written
/// again; a broker that starts with it must answer everything that can be asked of groups, or say why it does not start.
package func fuzzGroups(_ bytes: RawSpan) {
    let storage = FuzzedBroker.storage()
    FuzzedBroker.write(groupRecords(bytes), to: "__groups", storage)
    for _ in 0..<2 {
        guard let started = FuzzedBroker(storage) else { return }
        started.useGroups()
        started.stop()
        storage.closeAll()
    }
}

package func fuzzGroupDecoder(_ bytes: RawSpan) { _ = groupRecords(bytes) }

private func groupRecords(_ bytes: RawSpan) -> [[UInt8]] {
    var known: [[UInt8]] = []
    for record in FuzzedBroker.records(in: bytes) {
        guard let decoded = try? GroupRecord(decoding: record.rawSpan) else { continue }
        var written = ByteBuffer()
        decoded.encode(into: &written)
        guard let again = try? GroupRecord(decoding: written.bytes) else { preconditionFailure("a record that we wrote cannot be read") }
        var twice = ByteBuffer()
        again.encode(into: &twice)
        precondition([UInt8](twice.bytes) == [UInt8](written.bytes), "a record changes by being written and read")
        known.append(record)
    }
    return known
}

/// `bytes` as what a member of a group says of itself.
package func fuzzSubscriptionMetadata(_ bytes: RawSpan) { _ = ConsumerGroup.topics(ofSubscription: [UInt8](bytes)) }

extension FuzzedBroker {
    /// Everything that a session can ask of groups, of those that are there and of a new one.
    fileprivate func useGroups() {
        ask(.group(.list(states: nil, kinds: nil)))
        let names = Array(groups.prefix(6)) + ["new"]
        for name in names {
            ask(.group(.describe([name, "absent"])))
            ask(.group(.fetchOffsets([OffsetQuery(group: name, topics: nil)])))
            let member = GroupMember(group: name, generation: -1, memberID: "", instanceID: nil)
            let offset = PartitionOffset(partition: 0, offset: 5, leaderEpoch: 0, metadata: "m")
            ask(.group(.commitOffsets(CommitOffsets(member: member, topics: [TopicOffsets(name: "log", partitions: [offset])]))))
            ask(.group(.heartbeat(member)))
            ask(
                .group(
                    .join(
                        JoinGroup(
                            group: name, memberID: "", instanceID: "static", clientID: "fuzz", clientHost: "host", sessionTimeoutMilliseconds: 6_000,
                            rebalanceTimeoutMilliseconds: 6_000, protocolType: "consumer",
                            protocols: [GroupProtocol(name: "range", metadata: [0, 0, 0, 0, 0, 0])], requiresKnownMemberID: false, reason: nil))))
        }
        tick()
        // Session and rebalance timeouts, then everything that is forgotten by age.
        for seconds in [1, 10, 400, 3_600, 30 * 24 * 3_600] as [UInt64] {
            pass(seconds)
            if let joined {
                let member = GroupMember(group: "new", generation: joined.generation, memberID: joined.memberID, instanceID: "static")
                let assignment = GroupAssignment(memberID: joined.memberID, assignment: [1])
                ask(.group(.sync(SyncGroup(member: member, protocolType: nil, protocolName: nil, assignments: [assignment]))))
                ask(.group(.heartbeat(member)))
            }
        }
        for name in names {
            ask(.group(.deleteOffsets(group: name, [TopicPartitions(name: "log", partitions: [0, -1])])))
            ask(.group(.leave(group: name, [LeavingMember(memberID: "", instanceID: "static", reason: nil)])))
        }
        tick()
        ask(.deleteTopic(name: "jobs"))
        ask(.group(.delete(Array(names.prefix(3)))))
        ask(.group(.describe(names)))
        for _ in 0..<4 { tick() }
    }
}
