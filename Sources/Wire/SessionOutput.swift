package import BrokerCore
package import Bytes
internal import Containers
package import SegmentLog

/// What a session has to say: bytes and stored slices for its peer, requests for the broker, and whether to close.
///
/// Small slices are copied in between the bytes; larger ones are referenced and sent from the segment (measured: an extra piece
/// costs more than copying it below about 1 KiB).
package struct SessionOutput: ~Copyable {
    /// Frame heads and everything small, in the order of writing.
    package var bytes = ByteBuffer()
    /// What is to be sent, in order.
    package private(set) var pieces: [Piece] = []
    package private(set) var requests: [(id: RequestID, request: Request)] = []
    /// How many of them will be answered, and how much those publish.
    package private(set) var asked = (count: 0, bytes: 0)
    /// The peer wants to go on through shared memory; answered by `laneAnswered`, and taken away then.
    package var laneRequest: LaneRequest?
    /// Limits that the peer has met; the shard counts them.
    package private(set) var reached: [SessionLimit] = []
    /// Requests that may take long are to be left unread for now: others have waited long enough.
    package var defersLongRequests = false
    /// The connection ends once everything before is sent.
    package private(set) var closes = false
    /// Bytes waiting to be sent, slices included.
    package var pendingBytes: Int { referencedBytes + bytes.count }

    private var referencedBytes = 0
    /// Where the bytes begin that no piece names yet.
    private var pieceStart = 0

    package enum Piece {
        /// A range of `bytes`.
        case bytes(ByteRange)
        case slice(LogSlice)
    }

    package static let copyLimit = 1024
    /// Slices from here on are sent from their file.
    package static let fileLimit = 32 << 10

    package init() {}

    /// Sends stored bytes, behind what was written to `bytes` so far.
    package mutating func reference(_ slice: LogSlice) {
        guard slice.range.count > SessionOutput.copyLimit else {
            bytes.append(slice.memory.bytes(slice.range))
            return
        }
        closePiece()
        pieces.append(.slice(slice))
        referencedBytes += slice.range.count
    }

    package mutating func request(_ request: consuming Request, id: RequestID) {
        if request.isAnswered {
            asked.count += 1
            if case .append(let append) = request { asked.bytes += append.content.byteCount }
        }
        requests.append((id, request))
    }

    /// As `request`, of what comes with every message: moved fewer times.
    package mutating func request(_ append: consuming Append, id: RequestID) {
        if append.answer == .whenReached {
            asked.count += 1
            asked.bytes += append.content.byteCount
        }
        requests.append((id, .append(append)))
    }

    package mutating func reach(_ limit: SessionLimit) { reached.append(limit) }
    package mutating func clearReached() { reached.removeAll() }

    /// The peer is to be disconnected once everything said before has been sent.
    package mutating func close() { closes = true }

    /// Moves the requests to `taken`, which is empty; both arrays keep their memory.
    package mutating func takeRequests(into taken: inout [(id: RequestID, request: Request)]) {
        swap(&taken, &requests)
        asked = (0, 0)
    }

    /// Names the bytes written since the last piece.
    package mutating func closePiece() {
        guard bytes.count > pieceStart else { return }
        pieces.append(.bytes(ByteRange(start: pieceStart, count: bytes.count - pieceStart)))
        pieceStart = bytes.count
    }

    /// Where the pieces lie, and what was written behind them. They stay valid until `clear`; nothing may be written meanwhile.
    package func appendPieces(to list: inout [OutputPiece]) {
        for piece in pieces {
            switch piece {
            case .bytes(let range): list.append(OutputPiece(bytes.region(range)))
            case .slice(let slice): list.append(OutputPiece(slice))
            }
        }
        guard bytes.count > pieceStart else { return }
        list.append(OutputPiece(bytes.region(ByteRange(start: pieceStart, count: bytes.count - pieceStart))))
    }

    /// Gives the memory of an empty output back.
    package mutating func release() {
        precondition(pendingBytes == 0)
        bytes.release()
        pieces = []
        requests = []
    }

    /// Forgets everything that was sent and keeps the memory.
    package mutating func clear() {
        bytes.clear()
        pieces.empty()
        pieceStart = 0
        referencedBytes = 0
    }
}
