internal import Bytes
package import BrokerCore
internal import SegmentLog

/// The fuzz entry of every protocol's session: one connection that receives `bytes` in two parts, and whose requests are answered in
/// any order with what `bytes` choose. Answers what was sent to the peer.
///
/// It keeps to what a connection does: unread input is shown again, and none while the session holds.
package func fuzzSession(_ session: any WireSession, _ bytes: RawSpan) -> [UInt8] {
    var answers = ArbitraryAnswers(bytes)
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
            if case .append(let append) = request, case .batch(let range) = append.content { precondition(range.start >= 0 && range.end <= bytes.byteCount) }
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
