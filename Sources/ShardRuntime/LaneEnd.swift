internal import LinuxSystem
internal import SegmentLog
internal import Wire
import Bytes

/// The server's end of one connection's lane, and what is being written to it. Memory of the pieces belongs to the connection.
///
/// Invariant: everything in front of byte `written` of piece `next` is in the ring, nothing behind it is; without a send under way there are no
/// pieces.
final class LaneEnd {
    let lane: Lane
    private var pieces: [OutputPiece] = []
    private var next = 0
    /// What of the next piece is written.
    private var written = 0
    /// Bytes that the ring has taken, ever: a client that reads, however slowly, makes it grow.
    private(set) var taken: UInt64 = 0

    init(_ lane: Lane) { self.lane = lane }

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
                taken += UInt64(took)
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
