internal import Bytes
internal import BrokerCore
internal import SegmentLog

/// The fuzz entry of every protocol's session: one connection that receives `bytes` in two parts, and whose requests are answered in
/// any order with what `answers` choose. Answers what was sent to the peer.
///
/// It keeps to what a connection does: unread input is shown again, and none while the session holds.
package func fuzzSession(_ session: any WireSession, _ bytes: RawSpan, answers: RawSpan) -> [UInt8] {
    var answers = ArbitraryAnswers(answers)
    var output = SessionOutput()
    var sent: [UInt8] = []
    var asked: [(id: RequestID, request: Request)] = []
    let half = bytes.byteCount / 2
    var input = [UInt8](bytes.extracting(first: half))
    var later = [UInt8](bytes.extracting(droppingFirst: half))
    for round in 0..<200 {
        var isStuck = true
        if !session.isHolding, !input.isEmpty {
            do throws(ProtocolError) {
                let given = input
                let used = try session.receive(given.rawSpan, &output)
                precondition(used >= 0 && used <= given.count, "more was read than there is")
                input.removeFirst(used)
                isStuck = used == 0
            } catch {
                take(&output, &sent)
                return sent
            }
        }
        var requests: [(id: RequestID, request: Request)] = []
        output.takeRequests(into: &requests)
        for (_, request) in requests {
            if let range = request.batch { precondition(range.start >= 0 && range.end <= bytes.byteCount) }
        }
        asked += requests.filter { $0.request.isAnswered }
        if !asked.isEmpty, answers.choose(4) != 0 || isStuck {
            let (id, request) = asked.remove(at: answers.choose(asked.count))
            session.complete(id, answers.answer(to: request), &output)
            isStuck = false
        }
        if round % 50 == 1 { do throws(ProtocolError) { try session.advance(to: now(round), &output) } catch { return sent } }
        take(&output, &sent)
        if isStuck, !later.isEmpty {
            input += later
            later = []
            isStuck = false
        }
        if isStuck { break }
    }
    session.shutDown(&output)
    for (id, request) in asked { session.complete(id, answers.answer(to: request), &output) }
    take(&output, &sent)
    return sent
}

/// What a session makes of bytes must not depend on how they arrive: `bytes` at once and byte by byte, every request answered as soon as
/// it is made, must lead to the same requests and the same answers. Sessions that answer out of order send the same frames, in any order;
/// `frames` takes apart what was sent.
package func fuzzSplits(_ make: () -> any WireSession, _ bytes: RawSpan, frames: ([UInt8]) -> [[UInt8]]) {
    // What is shown again and again is copied again and again: long inputs come in larger pieces.
    let whole = play(make(), bytes, piece: max(1, bytes.byteCount))
    let pieces = play(make(), bytes, piece: max(1, bytes.byteCount / 256))
    guard whole.fault == pieces.fault else {
        preconditionFailure("at once: \(whole.fault ?? "no fault"); in pieces: \(pieces.fault ?? "no fault")")
    }
    // A fault ends everything, and what came before it at once was not answered yet.
    guard whole.fault == nil else { return }
    precondition(whole.batches == pieces.batches, "batches depend on how they arrive")
    precondition(whole.requests == pieces.requests, "\(whole.requests) requests at once, \(pieces.requests) in pieces")
    let (first, second) = (frames(whole.sent), frames(pieces.sent))
    precondition(first == second, "what is sent depends on how requests arrive")
}

private struct Played {
    var sent: [UInt8] = []
    var requests = 0
    /// What was to be stored.
    var batches: [[UInt8]] = []
    var fault: String?
}

private func play(_ session: any WireSession, _ bytes: RawSpan, piece: Int) -> Played {
    // Every answer is made from its number alone, whatever was asked meanwhile.
    let seed = [UInt8](bytes.extracting(first: min(64, bytes.byteCount)))
    var played = Played()
    var output = SessionOutput()
    var input: [UInt8] = []
    var at = 0
    var rounds = 0
    while rounds < 20_000 {
        rounds += 1
        var isStuck = true
        if !session.isHolding, !input.isEmpty {
            do throws(ProtocolError) {
                let given = input
                let used = try session.receive(given.rawSpan, &output)
                isStuck = used == 0
                note(&output, given, &played)
                input.removeFirst(used)
            } catch {
                played.fault = error.kind
                return played
            }
        }
        var requests: [(id: RequestID, request: Request)] = []
        output.takeRequests(into: &requests)
        for (id, request) in requests {
            played.requests += 1
            guard request.isAnswered else { continue }
            let chosen = seed + [UInt8(truncatingIfNeeded: played.requests)]
            var answers = ArbitraryAnswers(chosen.rawSpan)
            session.complete(id, answers.answer(to: request), &output)
            isStuck = false
        }
        if output.closes {
            played.fault = "closed"
            return played
        }
        take(&output, &played.sent)
        guard isStuck else { continue }
        guard at < bytes.byteCount else { return played }
        let end = min(at + piece, bytes.byteCount)
        input += [UInt8](bytes.extracting(at..<end))
        at = end
    }
    return played
}

/// Batches lie in the input, which moves on.
private func note(_ output: inout SessionOutput, _ input: [UInt8], _ played: inout Played) {
    for (_, request) in output.requests { if let range = request.batch { played.batches.append(Array(input[range.indices])) } }
}

extension Request {
    /// Where a batch lies that is to be stored.
    fileprivate var batch: ByteRange? {
        if case .append(let append) = self, case .batch(let range) = append.content { range } else { nil }
    }
}

private func now(_ round: Int) -> Now {
    Now(instant: Instant(nanoseconds: 1_000_000_000 * UInt64(round)), time: Timestamp(milliseconds: 1_700_000_000_000))
}

private func take(_ output: inout SessionOutput, _ sent: inout [UInt8]) {
    output.closePiece()
    var count = 0
    for piece in output.pieces {
        switch piece {
        case .bytes(let range):
            count += range.count
            sent += [UInt8](output.bytes.bytes.extracting(range.indices))
        case .slice(let slice):
            count += slice.range.count
            sent += [UInt8](slice.memory.bytes(slice.range))
        }
    }
    precondition(count == output.pendingBytes, "what is to be sent is not what is counted")
    output.clear()
}
