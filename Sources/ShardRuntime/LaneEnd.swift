internal import LinuxSystem
internal import SegmentLog
internal import Wire
import Bytes

/// The server's end of one connection's lane, and what is being written to it. Memory of the pieces belongs to the connection.
final class LaneEnd {
    let lane: Lane
    private var pieces: [OutputPiece] = []
    private var next = 0
    /// What of the next piece is written.
    private var written = 0

    init(_ lane: Lane) { self.lane = lane }

    /// Whether the ring took less than was to be sent.
    var isStuck: Bool { next < pieces.count }

    func load(_ pieces: [OutputPiece]) {
        self.pieces = pieces
        next = 0
        written = 0
    }

    /// Writes what there is room for, not yet shown to the client. True when that is all.
    func push() throws(Errno) -> Bool {
        while next < pieces.count {
            let region = pieces[next].region
            if written < region.count {
                let took = try lane.write(MemoryRegion(address: region.address + UInt(written), count: region.count - written))
                if took == 0 { return false }
                written += took
            }
            guard written == region.count else { continue }
            next += 1
            written = 0
        }
        pieces = []
        next = 0
        return true
    }
}
