internal import Bytes
internal import Simulation

/// A Kafka client's end of one connection: requests out in the layouts of Kafka's definition, written here once more by hand, and what it
/// waits for, in order.
final class SimulatedKafkaClient {
    enum Role: Equatable { case control, producer(Int), reader([Int]), committer }

    enum Pending {
        case made, producer(Int)
        case produced(partition: Int, sequence: Int32)
        case fetched
        case committed(partition: Int, Int64)
        case offsets(floors: [Int64])
    }

    let number: Int
    let role: Role
    let peer: SimulatedPeer
    private var pending: [(correlation: Int32, what: Pending)] = []
    private var unsent: [UInt8] = []
    private var received: [UInt8] = []
    private var nextCorrelation: Int32 = 1

    /// How many of its producer's batches were sent on this connection and are not answered.
    var inFlight = 0
    /// What a reader wants next of each partition.
    var next: [Int64] = []
    var highWatermark: [Int64] = []

    init(_ number: Int, _ role: Role, _ peer: SimulatedPeer) {
        self.number = number
        self.role = role
        self.peer = peer
    }

    var isWaiting: Bool { !pending.isEmpty }

    /// Begins at the front of all partitions.
    func follow(_ partitions: Int) {
        next = [Int64](repeating: 0, count: partitions)
        highWatermark = next
    }

    func ask(_ key: Int16, version: Int16, _ what: Pending, _ body: (inout ByteBuffer) -> Void) {
        var buffer = ByteBuffer()
        buffer.append(big: Int32(0))
        buffer.append(big: key)
        buffer.append(big: version)
        buffer.append(big: nextCorrelation)
        buffer.append(text: "client \(number)")
        body(&buffer)
        buffer.patch(big: Int32(buffer.count - 4), at: 0)
        pending.append((nextCorrelation, what))
        nextCorrelation += 1
        unsent += [UInt8](buffer.bytes)
    }

    /// Gives the connection what fits, `limit` bytes at most.
    func write(_ limit: Int = .max) {
        if unsent.isEmpty { return }
        unsent.removeFirst(peer.send(Array(unsent.prefix(limit))))
    }

    /// The answers that have arrived whole, each to the oldest question.
    func read(_ limit: Int) throws(Violation) -> [(what: Pending, body: [UInt8])] {
        received += peer.take(limit)
        var answers: [(what: Pending, body: [UInt8])] = []
        while received.count >= 8 {
            let size = received[..<4].reduce(0) { $0 << 8 | Int($1) }
            guard size >= 4, size < 64 << 20 else { throw Violation(.contract, "client \(number) got an answer of \(size) bytes") }
            guard received.count >= 4 + size else { break }
            let correlation = received[4..<8].reduce(Int32(0)) { $0 << 8 | Int32($1) }
            guard let first = pending.first, first.correlation == correlation else {
                throw Violation(.disorder, "client \(number) got the answer to \(correlation), waiting for \(pending.first?.correlation ?? 0)")
            }
            pending.removeFirst()
            answers.append((first.what, Array(received[8..<4 + size])))
            received.removeFirst(4 + size)
        }
        return answers
    }
}

/// The partitions of some topics, by their numbers among all of them.
struct KafkaPlaces {
    let topics: KeyValuePairs<String, Int>
    private let places: [(topic: String, partition: Int32)]

    init(_ topics: KeyValuePairs<String, Int>) {
        self.topics = topics
        places = topics.flatMap { topic, partitions in (0..<Int32(partitions)).map { (topic, $0) } }
    }

    var count: Int { places.count }
    var all: [Int] { Array(places.indices) }

    func number(_ topic: String, _ partition: Int32) -> Int? { places.firstIndex { $0.topic == topic && $0.partition == partition } }

    /// Kafka's array of topics, with an array of their partitions each.
    func name(_ numbers: [Int], in body: inout ByteBuffer, _ each: (Int, inout ByteBuffer) -> Void) {
        let named = topics.map(\.key).filter { topic in numbers.contains { places[$0].topic == topic } }
        body.append(big: Int32(named.count))
        for topic in named {
            let own = numbers.filter { places[$0].topic == topic }
            body.append(text: topic)
            body.append(big: Int32(own.count))
            for number in own {
                body.append(big: places[number].partition)
                each(number, &body)
            }
        }
    }
}

extension ByteBuffer {
    /// Kafka's old form: a length of 16 bits.
    mutating func append(text: String) {
        append(big: Int16(text.utf8.count))
        append(Array(text.utf8))
    }
}

extension ByteReader {
    @_lifetime(self: copy self)
    mutating func shortText() throws(ByteError) -> String { try text(Int(try big(Int16.self))) }
}
