internal import Bytes
internal import SegmentLog

/// What one shard's broker says to another's, in order; carried in one envelope for each tick.
///
/// Events are carried out before effects are passed on. What must be seen in order across more than two shards goes by the answer: a
/// request's answer is given when everybody has what it changed.
package struct BrokerMail: Sendable {
    enum Event: Sendable {
        case opened(SessionID)
        case closed(SessionID)
        case writable(SessionID, Bool)
        /// `input` is where the bytes that the request's ranges count from lie in the mail's own.
        case request(SessionID, RequestID, Request, input: Range<Int>)
        /// Authority to member: changes that are on disk, and how far the catalog is known with them.
        case catalog([CatalogRecord], through: Offset)
        /// Member to authority: applied.
        case catalogKnown(through: Offset)
        /// Member to authority: changes of its own making, and how many it has sent with them.
        case record([CatalogRecord], through: Int64)
        /// Authority to member: so many of them are on disk.
        case recorded(through: Int64)
        /// The disk has become full, or has room again.
        case diskChanged
        /// Member to authority: its logs are closed.
        case closedLogs
    }

    var events: [Event] = []
    /// Copies of what requests name.
    var input: [UInt8] = []
    var effects: [Effect] = []
    /// What it will hold by the look of those before.
    private var expected = (events: 0, bytes: 0, effects: 0)

    package init() {}

    /// Half of the last room is kept, so that one large tick is forgotten after a few small ones.
    init(after mail: BrokerMail) {
        expected.events = max(mail.events.count, mail.expected.events / 2)
        expected.bytes = max(mail.input.count, mail.expected.bytes / 2)
        expected.effects = max(mail.effects.count, mail.expected.effects / 2)
    }

    package var isEmpty: Bool { events.isEmpty && effects.isEmpty }

    mutating func add(_ effect: Effect) {
        if effects.isEmpty { effects.reserveCapacity(expected.effects) }
        effects.append(effect)
    }

    /// Adds a request with the bytes that it names.
    mutating func add(_ request: Request, _ id: RequestID, from session: SessionID, input bytes: RawSpan) {
        if events.isEmpty {
            events.reserveCapacity(expected.events)
            input.reserveCapacity(expected.bytes)
        }
        let start = input.count
        guard case .append(let append) = request else {
            events.append(.request(session, id, request, input: start..<start))
            return
        }
        let extent = append.extent
        if !extent.isEmpty { input.append(bytes.extracting(extent)) }
        events.append(.request(session, id, .append(append.moved(by: -extent.lowerBound)), input: start..<input.count))
    }
}

extension Append {
    private var ranges: [ByteRange] {
        var found: [ByteRange] = []
        if case .exchange(_, let key) = target { found.append(key) }
        switch content {
        case .batch(let range): found.append(range)
        case .message(let message):
            found.append(message.headers)
            if let key = message.key { found.append(key) }
            if let payload = message.payload { found.append(payload) }
        }
        return found
    }

    /// The smallest stretch of the input that has everything it names.
    var extent: Range<Int> {
        var low = Int.max
        var high = 0
        for range in ranges where range.count > 0 {
            low = min(low, range.start)
            high = max(high, range.start + range.count)
        }
        return low < high ? low..<high : 0..<0
    }

    /// The same for an input that begins elsewhere.
    func moved(by distance: Int) -> Append {
        func moved(_ range: ByteRange) -> ByteRange { range.count > 0 ? ByteRange(start: range.start + distance, count: range.count) : .empty }
        var append = self
        if case .exchange(let exchange, let key) = target { append.target = .exchange(exchange, routingKey: moved(key)) }
        switch content {
        case .batch(let range): append.content = .batch(moved(range))
        case .message(var message):
            message.headers = moved(message.headers)
            message.key = message.key.map(moved)
            message.payload = message.payload.map(moved)
            append.content = .message(message)
        }
        return append
    }
}
