internal import Containers
internal import SegmentLog

/// All groups of this broker, what they take together, and when to look at them again. Not here: what is written of them.
struct GroupTable {
    private(set) var all: [String: ConsumerGroup] = [:]
    private(set) var bytes = 0
    private(set) var memberCount = 0
    private(set) var offsetCount = 0
    /// What each group was counted with.
    private var counted: [String: Counted] = [:]
    private var alarms = DeadlineHeap<Alarm>()
    /// Makes member ids unique over all starts.
    private var idEpoch: UInt64 = 0
    private var idCount: UInt64 = 0

    private struct Counted {
        var bytes = 0
        var members = 0
        var offsets = 0
    }

    private struct Alarm {
        var group: ConsumerGroup
        var deadline: Instant
    }

    subscript(_ name: String) -> ConsumerGroup? { all[name] }
    var count: Int { all.count }
    var isEmpty: Bool { all.isEmpty }
    var sorted: [ConsumerGroup] { all.values.sorted { $0.name < $1.name } }
    /// When `due` has something.
    var earliest: Instant { Instant(rawValue: alarms.earliest) }

    mutating func insert(_ group: ConsumerGroup) {
        all[group.name] = group
        note(group)
    }

    mutating func remove(_ group: ConsumerGroup) {
        all[group.name] = nil
        uncount(group.name)
        // An alarm may hold it for a while.
        group.state = .dead
        group.members = [:]
        group.offsets = [:]
        group.scheduled = .distantFuture
    }

    /// Counts the group as it is now, and remembers when it wants to be looked at.
    mutating func note(_ group: ConsumerGroup) {
        uncount(group.name)
        let now = Counted(bytes: group.bytes, members: group.members.count, offsets: group.offsetCount)
        counted[group.name] = now
        bytes += now.bytes
        memberCount += now.members
        offsetCount += now.offsets
        guard group.wake < group.scheduled else { return }
        group.scheduled = group.wake
        alarms.insert(Alarm(group: group, deadline: group.wake), deadline: group.wake.rawValue)
        // Most alarms are overtaken by earlier ones.
        if alarms.count > 1_024 + 4 * all.count { alarms.filter { $0.group.scheduled == $0.deadline } }
    }

    private mutating func uncount(_ name: String) {
        guard let before = counted.removeValue(forKey: name) else { return }
        bytes -= before.bytes
        memberCount -= before.members
        offsetCount -= before.offsets
    }

    /// The next group whose time has come.
    mutating func popDue(_ now: Instant) -> ConsumerGroup? {
        while let alarm = alarms.popDue(now.rawValue) {
            guard alarm.group.scheduled == alarm.deadline else { continue }
            alarm.group.scheduled = .distantFuture
            return alarm.group
        }
        return nil
    }

    // MARK: Member ids

    /// A start is known by its time and by how much was written before it.
    mutating func beginIDs(_ now: Timestamp, _ written: Offset) {
        idEpoch = GroupTable.mix(UInt64(bitPattern: now.rawValue) &* 0x1_0000 &+ UInt64(bitPattern: written.rawValue))
    }

    /// `prefix`, and a number that looks like those of other brokers; no two are the same.
    mutating func makeID(_ prefix: String) -> String {
        idCount &+= 1
        let high = GroupTable.hex(idEpoch)
        let low = GroupTable.hex(GroupTable.mix(idCount ^ idEpoch))
        return "\(GroupTable.short(prefix))-\(high.prefix(8))-\(high.dropFirst(8).prefix(4))-\(high.suffix(4))-\(low.prefix(4))-\(low.suffix(12))"
    }

    /// What is kept of a client's own description of itself.
    static func short(_ text: String) -> String { text.utf8.count <= 255 ? text : String(decoding: text.utf8.prefix(255), as: UTF8.self) }

    /// A permutation: different numbers stay different.
    private static func mix(_ value: UInt64) -> UInt64 {
        var mixed = value &+ 0x9e37_79b9_7f4a_7c15
        mixed = (mixed ^ (mixed &>> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed &>> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed &>> 31)
    }

    private static func hex(_ value: UInt64) -> String {
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}
