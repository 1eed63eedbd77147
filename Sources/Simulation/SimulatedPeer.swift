/// The client's end of a simulated connection. What it writes arrives in pieces of the simulation's choice; what it does not take
/// fills the window and holds the server's send up.
package final class SimulatedPeer {
    /// Bytes on their way to the server.
    var outgoing: [UInt8] = []
    var outgoingTaken = 0
    /// Bytes that have arrived from the server and were not taken yet.
    private(set) var incoming: [UInt8] = []
    var state = State.open
    let window: Int

    enum State {
        case open
        /// The client writes no more; what it wrote still arrives.
        case finished
        /// Broken, from whichever side.
        case broken
    }

    init(window: Int) { self.window = window }

    /// Nothing more will arrive.
    package var isOver: Bool { serverEnded || state == .broken }
    var serverEnded = false

    /// Writes as much as the connection takes; answers how much that was.
    package func send(_ bytes: [UInt8]) -> Int {
        guard state == .open, !serverEnded else { return 0 }
        let room = max(0, window - (outgoing.count - outgoingTaken))
        let count = min(room, bytes.count)
        outgoing.append(contentsOf: bytes.prefix(count))
        return count
    }

    /// Takes up to `limit` of what has arrived.
    package func take(_ limit: Int = .max) -> [UInt8] {
        let taken = Array(incoming.prefix(limit))
        incoming.removeFirst(taken.count)
        return taken
    }

    package func finish() { if state == .open { state = .finished } }
    package func reset() { state = .broken }

    var waiting: Int { outgoing.count - outgoingTaken }
    var room: Int { state == .broken ? 0 : max(0, window - incoming.count) }

    func arrive(_ bytes: [UInt8]) { incoming.append(contentsOf: bytes) }

    func leave(_ count: Int) -> [UInt8] {
        let left = Array(outgoing[outgoingTaken..<outgoingTaken + count])
        outgoingTaken += count
        if outgoingTaken == outgoing.count {
            outgoing.removeAll(keepingCapacity: true)
            outgoingTaken = 0
        }
        return left
    }
}
