import BrokerCore
import Bytes
import LinuxSystem
import Observability
import SegmentLog
import Wire

// Connections that go on through shared memory (docs/formats/lane.md). To their session nothing changes: bytes come, bytes go. The socket
// stays for two things: a byte on it wakes a shard that sleeps, and its end is the end of the connection.
extension Shard {
    /// Taken from a ring at a time.
    private static let pieceBytes = 256 << 10

    /// Opens what the peer asked for, as soon as everything said before has left through the socket.
    func answerLaneRequest(of connection: Connection) {
        guard connection.state == .open, connection.isDrained, let request = connection.output.laneRequest else { return }
        connection.output.laneRequest = nil
        if let reason = openLane(request, for: connection) {
            counters.lanesRefused += 1
            connection.session.laneAnswered(request.id, .refused(reason), &connection.output)
            afterSession(connection)
        } else {
            counters.lanesOpened += 1
            lanes.append(connection)
        }
    }

    /// Answers why not.
    private func openLane(_ request: LaneRequest, for connection: Connection) -> BrokerError? {
        guard connection.peer.reached == nil, connection.input.isEmpty else {
            return BrokerError(.unsupported, "shared memory is for peers on a unix socket, in front of everything else")
        }
        guard lanes.count < limits.lanes else {
            counters.lanes += 1
            return BrokerError(.limitReached, "there are \(limits.lanes) lanes already (limits.lanes)")
        }
        let most = limits.laneBytes
        if max(request.toServerBytes, request.toClientBytes) > most { counters.laneBytes += 1 }
        let toServer = Lane.ringBytes(min(request.toServerBytes == 0 ? 1 << 20 : request.toServerBytes, most))
        let toClient = Lane.ringBytes(min(request.toClientBytes == 0 ? 4 << 20 : request.toClientBytes, most))
        do throws(Errno) {
            let (lane, file) = try Lane.make(toServer: toServer, toClient: toClient)
            defer { try? file.close() }
            var answer = SessionOutput()
            connection.session.laneAnswered(request.id, .opens(toServerBytes: toServer, toClientBytes: toClient), &answer)
            guard driver.send(connection.socket, answer.bytes.bytes, carrying: file.descriptor) else {
                return BrokerError(.unsupported, "this connection cannot hand over shared memory")
            }
            connection.lane = LaneEnd(lane)
            driver.startReceiving(connection.socket)
            return nil
        } catch {
            return BrokerError(.limitReached, "no shared memory: \(error)")
        }
    }

    /// Gives every session what has come through its lane, and goes on with what did not fit.
    func serveLanes() {
        for connection in lanes {
            guard let end = connection.lane, connection.state != .closing else { continue }
            if connection.isSending {
                pushLane(connection, end)
                afterSending(connection, driver.now)
            }
            if connection.isReceiving { _ = readLane(connection, end) }
        }
    }

    /// False when there was nothing.
    private func readLane(_ connection: Connection, _ end: LaneEnd) -> Bool {
        guard end.lane.hasInput else { return false }
        var piece = ByteBuffer()
        swap(&piece, &lanePiece)
        defer { swap(&piece, &lanePiece) }
        piece.clear()
        do throws(Errno) {
            guard try end.lane.read(upTo: Shard.pieceBytes, into: &piece) > 0 else { return false }
        } catch {
            fail(connection, ProtocolError("brokenLane", "the counters of its shared memory are impossible"))
            abort(connection)
            return false
        }
        take(piece.bytes, of: connection)
        end.lane.wakeClient(.room)
        return true
    }

    /// Writes on. What a disk could not show is not shown to anybody.
    func pushLane(_ connection: Connection, _ end: LaneEnd) {
        let isDone: Bool
        do throws(Errno) {
            isDone = try end.push()
        } catch {
            return disconnected(connection.socket, .failed("the counters of its shared memory are impossible"))
        }
        guard !connection.hasUnreadableInFlight else { return disconnected(connection.socket, .unreadable) }
        end.lane.show()
        end.lane.wakeClient(.input)
        if isDone { noteSent(connection, driver.now.instant) }
    }

    /// The client has gone. What it wrote before is carried out, as it would be from a socket.
    func leaveLane(_ connection: Connection, _ end: LaneEnd) {
        var left = Lane.mostBytes
        while left > 0, connection.state == .open, readLane(connection, end) { left -= Shard.pieceBytes }
        if connection.isHeld, connection.goesOnAlone, connection.state == .open {
            connection.hasEnded = true
            return
        }
        endSession(of: connection, reason: nil)
        abort(connection)
    }

    func removeLane(of connection: Connection) {
        guard connection.lane != nil else { return }
        lanes.removeAll { $0 === connection }
        connection.lane = nil
    }

    // MARK: Sleeping

    /// Tells every client that it has to knock from now on. False when one has come first.
    func lanesFallAsleep() -> Bool {
        var isQuiet = true
        for connection in lanes {
            // What is not received for now does not keep the shard awake, nor wake it.
            var need: Lane.Need = connection.isReceiving ? .input : []
            if connection.isSending { need.insert(.room) }
            if let lane = connection.lane?.lane, !need.isEmpty, !lane.serverSleeps(until: need) { isQuiet = false }
        }
        return isQuiet
    }

    func lanesWakeUp() {
        for connection in lanes { connection.lane?.lane.serverWakes() }
    }
}
