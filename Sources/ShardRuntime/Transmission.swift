internal import Bytes
internal import Containers
internal import LinuxSystem
internal import Wire

/// One send of a driver, and how far it is: runs of memory, each gathered into one operation, and between them stored bytes that go
/// from their file. Used again by its driver; whoever asked for the send keeps memory and files until it has ended.
final class Transmission {
    /// The run of memory that is next; empty where stored bytes are.
    let gather = GatherList()
    /// The stored bytes that are next.
    private(set) var stored: Stored?
    private var pieces: [OutputPiece] = []
    /// The first piece that is neither in `gather` nor in `stored`.
    private var next = 0
    private var run: [MemoryRegion] = []

    struct Stored {
        let file: File
        var position: Int
        var left: Int
    }

    var isEmpty: Bool { gather.isEmpty && stored == nil }
    /// Whether stored bytes follow the run of memory.
    var isFollowed: Bool { next < pieces.count }

    func load(_ pieces: [OutputPiece]) {
        self.pieces = pieces
        next = 0
        stored = nil
        step()
    }

    /// Forgets the pieces of a send that has ended.
    func clear() {
        pieces = []
        next = 0
        stored = nil
        run.empty()
        gather.load(run)
    }

    func advance(by bytes: Int) {
        if var rest = stored {
            precondition(bytes <= rest.left)
            rest.position += bytes
            rest.left -= bytes
            stored = rest.left > 0 ? rest : nil
        } else {
            gather.advance(by: bytes)
        }
        if isEmpty { step() }
    }

    private func step() {
        run.empty()
        while next < pieces.count {
            let piece = pieces[next]
            if piece.region.count > 0 {
                if let (handle, position) = piece.file {
                    if !run.isEmpty { break }
                    stored = Stored(file: File(handle), position: position, left: piece.region.count)
                    next += 1
                    break
                }
                run.append(piece.region)
            }
            next += 1
        }
        gather.load(run)
    }
}

extension Socket {
    /// Sends what it can of `pieces` without a transmission, which is the way of most of what is small: answers how many bytes.
    func sendAtOnce(_ pieces: [OutputPiece]) throws(Errno) -> Int {
        guard pieces.count == 1, pieces[0].file == nil, pieces[0].region.count > 0 else { return 0 }
        do throws(Errno) { return try send(pieces[0].region) } catch .wouldBlock { return 0 }
    }

    /// Sends what it can of what is next in `transmission`, without waiting; answers how many bytes.
    func sendNext(of transmission: Transmission) throws(Errno) -> Int {
        guard let stored = transmission.stored else { return try send(transmission.gather, isFollowed: transmission.isFollowed) }
        let sent: Int
        // As what cannot be read through a mapping.
        do throws(Errno) { sent = try send(stored.file, at: stored.position, count: stored.left) } catch .inputOutput { throw .badAddress }
        // The file is shorter than what was stored in it: nothing sensible can follow on this connection.
        if sent == 0 { throw .badAddress }
        return sent
    }
}
