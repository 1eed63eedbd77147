internal import LinuxSystem
internal import Synchronization
internal import Wire
internal import Bytes

/// The fuzz entry of the shared-memory lane: `bytes` choose what a client does to the memory that it shares with the broker, and what the
/// broker's end does in between. The broker reads only what the counters can say, exactly that, and never more than the ring holds; it
/// writes nothing over what the client may not have read; a counter that cannot be is `protocolError`, and nothing else is.
package func fuzzLane(_ bytes: RawSpan) {
    var choices = Choices(bytes)
    shared.withLock { client in
        if client == nil { client = try? HostileClient() }
        guard let client else { preconditionFailure("no memory for a lane") }
        client.begin()
        var game = LaneGame(client)
        var moves = 0
        while !choices.isUsedUp, moves < 128, game.move(&choices) { moves += 1 }
    }
}

/// Mapping memory takes far longer than everything that is done to it.
private let shared = Mutex<HostileClient?>(nil)
private let ring = UInt64(Lane.leastBytes)
private let source = (0..<2 * Lane.leastBytes).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ $0 >> 8) }

/// Both sides, and what the server's end must be doing.
private struct LaneGame {
    private let client: HostileClient
    private let end: LaneEnd
    // The server's own: what it has read and written, and the client's counters as it saw them last.
    private var read: UInt64 = 0
    private var written: UInt64 = 0
    private var writtenByClient: UInt64 = 0
    private var readByClient: UInt64 = 0
    /// What is left of the pieces of a send, and how much of it went.
    private var unsent: [Int] = []
    private var sent = 0

    init(_ client: HostileClient) {
        self.client = client
        end = LaneEnd(client.server)
    }

    /// False when the server would have ended the connection.
    mutating func move(_ choices: inout Choices) -> Bool {
        switch choices.choose(14) {
        case 0, 1: write(count(&choices), choices.byte())
        case 2: client[.toServerWritten] = counter(&choices, near: read)
        case 3: client[.toClientRead] = counter(&choices, near: written)
        case 4: client[.toClientRead] = written
        case 5: client[choices.pick(HostileClient.Place.allCases)] = counter(&choices, near: 0)
        case 6: client.fill(from: UInt64(choices.byte()) << 8, count: count(&choices), choices.byte())
        case 7:
            let hasInput = client.server.hasInput
            precondition(hasInput == (looks() != 0), "it finds something where there is nothing, or the other way round")
        case 8, 9: return receive(upTo: choices.oneIn(2) ? 256 << 10 : count(&choices))
        case 10, 11: return push(count(&choices))
        case 12: sleep(Lane.Need(rawValue: Int32(choices.choose(4))))
        default:
            client.server.serverWakes()
            client.server.wakeClient(choices.oneIn(2) ? .input : .room)
        }
        return true
    }

    private func count(_ choices: inout Choices) -> Int {
        let most = Lane.leastBytes
        return choices.oneIn(16) ? [0, 1, most - 1, most, most + 1, 2 * most][choices.choose(6)] : Int(choices.byte()) + 1
    }

    private func counter(_ choices: inout Choices, near: UInt64) -> UInt64 {
        switch choices.choose(5) {
        case 0: near &+ UInt64(bitPattern: choices.number())
        case 1: near &+ ring &+ UInt64(bitPattern: choices.number())
        case 2: near &- UInt64(choices.byte())
        case 3: choices.take(8).reduce(0) { $0 << 8 | UInt64($1) }
        default: UInt64(bitPattern: choices.number())
        }
    }

    /// Honest: as much as there is room for.
    private func write(_ count: Int, _ byte: UInt8) {
        let at = client[.toServerWritten]
        guard at >= read, at <= read + ring else { return }
        let count = min(UInt64(count), read + ring - at)
        client.fill(from: at, count: Int(count), byte)
        client[.toServerWritten] = at + count
    }

    // MARK: What the server must find

    /// What is there to read; nil: the counter cannot be.
    private mutating func looks() -> UInt64? {
        let found = client[.toServerWritten]
        guard found >= writtenByClient, found <= read + ring else { return nil }
        writtenByClient = found
        return found - read
    }

    /// The room, asked for anew when less than `wanted` is known of.
    private mutating func room(_ wanted: UInt64) -> UInt64? {
        let known = ring - (written - readByClient)
        if known >= wanted { return known }
        let found = client[.toClientRead]
        guard found >= readByClient, found <= written else { return nil }
        readByClient = found
        return ring - (written - found)
    }

    // MARK: What the server does

    private mutating func receive(upTo count: Int) -> Bool {
        var buffer = ByteBuffer()
        do throws(Errno) {
            let got = try client.server.read(upTo: count, into: &buffer)
            guard let there = looks() else { preconditionFailure("an impossible counter was believed") }
            precondition(got == min(count, Int(there)) && buffer.count == got, "\(got) bytes were read of \(there)")
            precondition(client.has(buffer.bytes, in: .toServer, from: read), "other bytes were read than were there")
            read += UInt64(got)
            if got > 0 { precondition(client[.toServerRead] == read, "the client is told something else than was read") }
            return true
        } catch {
            precondition(looks() == nil && error == .protocolError && buffer.count == 0, "reading failed: \(error)")
            return false
        }
    }

    /// A send of `count` bytes in two pieces, or more of the one before.
    private mutating func push(_ count: Int) -> Bool {
        if unsent.isEmpty {
            unsent = [count / 2, count - count / 2]
            sent = 0
            end.load([OutputPiece(source.rawSpan.extracting(0..<count / 2).region), OutputPiece(source.rawSpan.extracting(count / 2..<count).region)])
        }
        let (from, taken) = (written, end.taken)
        do throws(Errno) {
            let isDone = try end.push()
            precondition(expectPush(), "an impossible counter was believed")
            precondition(isDone == unsent.isEmpty && end.taken - taken == written - from, "the ring took \(end.taken - taken) bytes of \(count)")
            precondition(written - readByClient <= ring, "more is under way than the ring holds")
        } catch {
            precondition(!expectPush() && error == .protocolError, "writing failed: \(error)")
            return false
        }
        client.server.show()
        let moved = Int(written - from)
        precondition(client[.toClientWritten] == written, "the client is told something else than was written")
        // A client that says it has read what it was not shown yet makes room within one send, and harms itself.
        let there = min(moved, Lane.leastBytes)
        let bytes = source.rawSpan.extracting(sent + moved - there..<sent + moved)
        precondition(client.has(bytes, in: .toClient, from: written - UInt64(there)), "other bytes were written than were to be sent")
        sent += moved
        return true
    }

    /// What becomes of it: each piece until it is in, or there is no room; false: a counter cannot be.
    private mutating func expectPush() -> Bool {
        while let piece = unsent.first {
            if piece > 0 {
                guard let room = room(UInt64(piece)) else { return false }
                let took = min(piece, Int(room))
                if took == 0 { return true }
                written += UInt64(took)
                unsent[0] -= took
            }
            if unsent[0] == 0 { unsent.removeFirst() }
        }
        return true
    }

    /// It must not sleep where there is something, nor where a counter cannot be: it finds that out by going on.
    private mutating func sleep(_ need: Lane.Need) {
        let sleeps = client.server.serverSleeps(until: need)
        var isAwake = false
        if need.contains(.input) { isAwake = looks() != 0 }
        if !isAwake, need.contains(.room) { isAwake = room(ring) != 0 }
        precondition(sleeps != isAwake, "it sleeps although there is something, or does not although there is nothing")
    }
}
