internal import Containers
internal import SegmentLog

/// One message on its way, stamped for somebody who asked where its time goes: the next that is appended to a topic after the request.
///
///     tick began – receive – begun – route – routed – append – written – durable – flushed
///                                                                      \ acknowledge – the tick ended in which it was answered
///                                                                      \ deliver – the tick ended in which it was handed to the first reader
///
/// Nanoseconds of the stopwatch, which is the clock of the ticks; nil until it has happened.
final class Trace {
    let session: SessionID
    let request: RequestID
    let topic: TopicID
    /// When it is answered at the latest.
    let deadline: Instant

    var partition: Partition?
    var first = Offset.zero
    var count: Int32 = 0
    var isAnswered = false
    var began: UInt64 = 0
    var begun: UInt64 = 0
    var routed: UInt64 = 0
    var written: UInt64?
    var flushed: UInt64?
    var acknowledged: UInt64?
    var delivered: UInt64?
    /// What happened in this tick: its end is the time.
    var isAcknowledging = false
    var isDelivering = false
    /// It was answered, or nobody waits for it any more.
    var isOver = false

    init(_ session: SessionID, _ request: RequestID, _ topic: TopicID, deadline: Instant) {
        self.session = session
        self.request = request
        self.topic = topic
        self.deadline = deadline
    }

    var end: Offset { first + Int64(count) }

    /// What is told, in the order in which it happens.
    var figures: [Statistic] {
        var figures: [Statistic] = []
        func add(_ name: String, _ value: Double) { figures.append(Statistic(name: name, value: value)) }
        func add(_ stage: String, _ from: UInt64, _ to: UInt64?) {
            if let to { add(stage + "_microseconds", Double(to > from ? to - from : 0) / 1_000) }
        }
        add("partition", Double(partition?.id.index ?? -1))
        add("offset", Double(first.rawValue))
        add("messages", Double(count))
        add("receive", began, begun)
        add("route", begun, routed)
        add("append", routed, written)
        guard let written else { return figures }
        // What came before the flush did not wait for it.
        func stored(before end: UInt64?) -> UInt64 { if let flushed, let end, flushed <= end { flushed } else { written } }
        if let flushed, stored(before: acknowledged ?? delivered) == flushed { add("durable", written, flushed) }
        add("acknowledge", stored(before: acknowledged), acknowledged)
        add("deliver", stored(before: delivered), delivered)
        add("acknowledged", began, acknowledged)
        add("delivered", began, delivered)
        return figures
    }
}

/// Whom the broker follows a message for. Empty but for the few seconds in which somebody does, and then one test a publish, a write
/// and a delivery is all that it costs.
struct Tracing {
    var all: [Trace] = []
    /// The request being carried out: when it was begun, and whether it is answered.
    var begun: UInt64 = 0
    var isAnswered = false
    /// Timers that were set and have not run out.
    var timers = 0
}

extension Broker {
    /// Traces at a time.
    private static let tracesMost = 64
    private static let traceMillisecondsMax: UInt32 = 60_000
    /// How long a message that is acknowledged is waited for to be delivered.
    private static let deliveryMilliseconds: UInt64 = 1_000

    /// Whether somebody follows a message.
    package var isTracing: Bool { !tracing.all.isEmpty }

    private var traceClock: UInt64 { options.stopwatch?() ?? now.instant.rawValue }

    func trace(_ name: String, _ milliseconds: UInt32, _ id: RequestID, _ session: Session) throws(BrokerError) {
        let topic = try ownTopic(named: name)
        guard tracing.all.count < Broker.tracesMost else { throw BrokerError(.limitReached, "\(Broker.tracesMost) messages are being followed already") }
        let wait = UInt64(min(milliseconds, Broker.traceMillisecondsMax))
        let trace = Trace(session.id, id, topic.id, deadline: now.instant.advanced(byNanoseconds: wait * 1_000_000))
        tracing.all.append(trace)
        wake(trace, milliseconds: wait)
    }

    private func wake(_ trace: Trace, milliseconds: UInt64) {
        tracing.timers += 1
        if tracing.timers > 8 * Broker.tracesMost {
            // Most of them were answered long before their time.
            timers.filter { if case .trace(let trace) = $0 { !trace.isOver } else { true } }
            tracing.timers = 2 * tracing.all.count
        }
        later(.trace(trace), milliseconds: milliseconds)
    }

    /// A publish is about to be carried out.
    func traceRequest(_ append: Append) {
        tracing.begun = traceClock
        tracing.isAnswered = append.answer == .whenReached
    }

    /// The log has taken it; it was chosen at `routed`.
    func traceAppended(_ partition: Partition, _ result: AppendResult, routed: UInt64) {
        guard !result.isDuplicate, let trace = tracing.all.first(where: { $0.partition == nil && $0.topic == partition.id.topic }) else { return }
        trace.partition = partition
        (trace.first, trace.count) = (result.baseOffset, result.count)
        trace.isAnswered = tracing.isAnswered
        trace.began = now.instant.rawValue
        // A message that moves, such as a dead letter, was not received.
        trace.begun = max(trace.began, min(tracing.begun, routed))
        trace.routed = routed
    }

    /// For `traceAppended`; 0 when nobody follows anything.
    var traceRouted: UInt64 { tracing.all.isEmpty ? 0 : traceClock }

    /// The log has written or flushed, and answered whom it could.
    func traceMoved(_ partition: Partition, _ log: Log) {
        for trace in tracing.all where trace.partition === partition {
            if trace.written == nil, log.written >= trace.end { trace.written = traceClock }
            if trace.flushed == nil, log.watermarks.flushed >= trace.end { trace.flushed = traceClock }
            guard trace.isAnswered, trace.acknowledged == nil, !trace.isAcknowledging else { continue }
            let waiting = [partition.waits.untilWritten.first?.needed, partition.waits.untilFlushed.first?.needed]
            trace.isAcknowledging = waiting.allSatisfy { $0.map { $0 > trace.end } ?? true }
        }
    }

    func traceDelivered(_ partition: Partition, _ first: Offset, _ last: Offset) {
        for trace in tracing.all where trace.partition === partition && first <= trace.first && trace.first <= last { trace.isDelivering = true }
    }

    /// Fetches begin where their reader is, which is not behind what nobody could see before.
    func traceFetched(_ found: [Fetched]) {
        for fetched in found where fetched.slice != nil {
            for trace in tracing.all where trace.topic == fetched.topic && trace.partition?.id.index == fetched.partition && trace.first < fetched.next {
                trace.isDelivering = true
            }
        }
    }

    /// What the tick did has been handed to the sockets, or to the other shards' mail.
    package func traceTickEnded() {
        let clock = traceClock
        for trace in tracing.all {
            if trace.isAcknowledging {
                trace.isAcknowledging = false
                trace.acknowledged = clock
                if trace.delivered == nil { wake(trace, milliseconds: Broker.deliveryMilliseconds) }
            }
            if trace.isDelivering, trace.delivered == nil { trace.delivered = clock }
        }
        for trace in tracing.all where trace.delivered != nil && (!trace.isAnswered || trace.acknowledged != nil) { answer(trace) }
    }

    /// One of its times is over: nobody reads, or nothing came.
    func traceTimedOut(_ trace: Trace) {
        tracing.timers -= 1
        guard trace.acknowledged != nil || now.instant >= trace.deadline else { return }
        answer(trace)
    }

    private func answer(_ trace: Trace) {
        guard let index = tracing.all.firstIndex(where: { $0 === trace }) else { return }
        tracing.all.remove(at: index).isOver = true
        guard trace.partition != nil else {
            return respond(trace.session, trace.request, .failed(BrokerError(.timedOut, "nothing was published there meanwhile")))
        }
        respond(trace.session, trace.request, .traced(trace.figures))
    }

    /// The session is gone.
    func dropTraces(of session: SessionID) {
        for trace in tracing.all where trace.session == session { trace.isOver = true }
        tracing.all.removeAll(where: \.isOver)
    }
}
