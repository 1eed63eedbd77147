internal import SegmentLog

/// Whether the disk has room for publishes. A write that fails for want of space ends its log until the next start; refusing
/// publishes before that keeps everything else going, and ends by itself when there is room again (rule E2).
struct DiskRoom {
    /// Of small disks no more than this part is kept free.
    private static let share = 20

    private(set) var isLow = false
    private(set) var free = 0
    private(set) var reserve = 0
    /// Bytes appended since the disk was asked.
    private var unseen = 0

    /// More than a quarter of the reserve was written since the disk was asked.
    var wantsLook: Bool { unseen > reserve / 4 }

    mutating func note(_ bytes: Int) { unseen &+= bytes }

    /// What the disk says now. Answers true when that changes whether publishes are taken.
    mutating func look(_ space: (free: Int, total: Int)?, reserve wanted: Int) -> Bool {
        unseen = 0
        guard let space else { return false }
        free = space.free
        reserve = min(wanted, space.total / DiskRoom.share)
        // Back only well above the mark, so that it is not crossed with every message.
        let wasLow = isLow
        isLow = free < (wasLow ? reserve + reserve / 4 : reserve)
        return wasLow != isLow
    }
}

extension Broker {
    /// Refuses a publish to disk while the disk is nearly full.
    func checkRoom(for bytes: Int) throws(BrokerError) {
        room.disk.note(bytes)
        if room.disk.wantsLook || room.disk.isLow { lookAtDisk() }
        guard room.disk.isLow else { return }
        counters.diskLow &+= 1
        throw BrokerError(.limitReached, "the disk is nearly full: \(room.disk.free) bytes are free where \(room.disk.reserve) are kept in reserve")
    }

    /// Refuses a publish to a log whose files are not open while the descriptors are needed for those that are.
    func checkDescriptors() throws(BrokerError) {
        guard !storage.admitsLogs(logsOpening + 1) else { return }
        counters.descriptorsLow &+= 1
        throw BrokerError(.limitReached, "there are no file descriptors for another log (ulimit -n)")
    }

    func lookAtDisk() {
        guard room.disk.look(storage.space(of: options.directory), reserve: options.diskReserveBytes) else { return }
        // One disk for all: who sees a change makes the others look, and one tells.
        for other in 0..<map.shards where other != shard { mail[other].events.append(.diskChanged) }
        if isAuthority { notices.append(room.disk.isLow ? .diskLow(free: room.disk.free, reserve: room.disk.reserve) : .diskRoomAgain(free: room.disk.free)) }
    }
}
