import BrokerCore
import Bytes
import Observability
import SegmentLog
import Wire

// What slow and hostile peers may take of a shard: deadlines, and memory for what they have begun.
extension Shard {
    /// Visits a tenth of the connections every tenth of a second: deadlines, keep-alive, and memory that idle ones hold.
    func sweepSome(_ now: Now) {
        for listener in sweep.listenersToResume(now.instant) { driver.resume(listener) }
        for slot in sweep.slots(of: connections.capacity, now.instant) {
            guard let connection = connections.connection(inSlot: slot), connection.state != .closing else { continue }
            if takesNothing(connection, now.instant) {
                counters.writeTimeouts += 1
                end(connection, "slow_peer", "limits.write_timeout", connection.pendingBytes)
                continue
            }
            connection.hasPublished = false
            if connection.state == .open {
                if sendsTooSlowly(connection, now.instant) {
                    counters.frameTimeouts += 1
                    end(connection, "slow_frame", "limits.frame_timeout", connection.unreadBytes)
                    continue
                }
                do throws(ProtocolError) {
                    try connection.session.advance(to: now, &connection.output)
                } catch {
                    fail(connection, error)
                }
                afterSession(connection)
            }
            if now.instant.nanoseconds(since: connection.lastActive) > 1_000_000_000 { connection.releaseMemory() }
        }
    }

    /// Whether the peer has taken nothing for `limits.write_timeout` of what waits for it. The kernel is asked only about those that are slow.
    private func takesNothing(_ connection: Connection, _ now: Instant) -> Bool {
        let patience = UInt64(options.limits.writeMilliseconds) * 1_000_000
        guard connection.isSending, now.nanoseconds(since: connection.lastTaken) > patience / 2 else { return false }
        if let taken = connection.lane?.taken ?? driver.bytesTaken(connection.socket), taken != connection.taken {
            connection.taken = taken
            connection.lastTaken = now
        }
        return now.nanoseconds(since: connection.lastTaken) > patience
    }

    /// Whether a frame that has begun does not get on. Where the shard does not receive, that is not the peer's fault.
    private func sendsTooSlowly(_ connection: Connection, _ now: Instant) -> Bool {
        guard !connection.input.isEmpty, !connection.isHeld, connection.isReceiving else {
            connection.inputGrown = now
            connection.inputGrownTo = connection.unreadBytes
            return false
        }
        return now.nanoseconds(since: connection.inputGrown) > UInt64(options.limits.frameMilliseconds) * 1_000_000
    }

    private func end(_ connection: Connection, _ event: StaticString, _ limit: StaticString, _ bytes: Int) {
        log.warn(event, [("peer", .text(connection.peer.address)), ("limit", .text(limit.description)), ("waiting_bytes", .init(bytes))])
        endSession(of: connection, reason: nil)
        abort(connection)
    }

    // MARK: Handshakes

    /// Where too many have not said hello, who has had the most time for it goes: honest peers need a round trip.
    func admit(_ newcomer: Connection) {
        newcomers.enter(newcomer)
        while newcomers.count > options.limits.handshakes, let oldest = newcomers.oldest {
            counters.handshakes += 1
            newcomers.leave(oldest)
            end(oldest, "handshake_dropped", "limits.handshakes", oldest.unreadBytes)
        }
    }

    // MARK: Memory for input

    /// Counts what sessions have left unread. Beyond the limit, what has been there for the longest time goes with its connection.
    func count(inputOf connection: Connection) {
        let length = connection.state == .open ? connection.unreadBytes : 0
        inputBytes += length - connection.countedInput
        connection.countedInput = length
        while inputBytes > options.limits.inputBytes, let oldest = oldestInput() {
            counters.inputBytes += 1
            end(oldest, "input_dropped", "limits.input_memory", oldest.unreadBytes)
            oldest.forgetInput()
            inputBytes -= oldest.countedInput
            oldest.countedInput = 0
        }
    }

    /// Of those that matter.
    private func oldestInput() -> Connection? {
        var oldest: Connection?
        for slot in 0..<connections.capacity {
            guard let connection = connections.connection(inSlot: slot), connection.countedInput > 16 << 10 else { continue }
            if oldest.map({ connection.inputSince < $0.inputSince }) ?? true { oldest = connection }
        }
        return oldest
    }

    func note(limitsOf connection: Connection) {
        for limit in connection.output.reached { counters.sessions[limit, default: 0] += 1 }
        connection.output.clearReached()
    }
}

extension Connection {
    /// The session has read `used` bytes off the front, and `length` are left.
    func note(input used: Int, length: Int, at now: Instant) {
        if used > 0 || inputGrownTo == 0 { inputSince = now }
        guard used > 0 || inputGrownTo == 0 || length >= inputGrownTo + Limits.frameProgressBytes else { return }
        inputGrown = now
        inputGrownTo = length
    }
}
