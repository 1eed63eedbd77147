import Containers

/// The connections of a shard that are in their handshake, in the order in which they came.
///
/// Connections that have left stay in the queue until they are its first, or until the queue is much longer than it has to be.
struct Newcomers: ~Copyable {
    private var queue = RingQueue<Connection>()
    /// Those in their handshake.
    private(set) var count = 0

    mutating func enter(_ connection: Connection) {
        queue.append(connection)
        count += 1
        dropLeft()
    }

    /// The handshake is over, or the connection.
    mutating func leave(_ connection: Connection) {
        precondition(connection.isNewcomer)
        connection.isNewcomer = false
        count -= 1
        dropLeft()
    }

    /// Who has been in it for the longest time.
    var oldest: Connection? { queue.first }

    private mutating func dropLeft() {
        while let first = queue.first, !first.isNewcomer { _ = queue.popFirst() }
        if queue.count > 64 + 2 * count { queue.filter { $0.isNewcomer } }
    }
}
