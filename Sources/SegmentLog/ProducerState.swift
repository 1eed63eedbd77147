internal import Bytes
internal import Mutants

/// What one log remembers of its idempotent producers: per producer its epoch and the last runs of sequences with the offsets they
/// have, so that a retry is recognised and a gap is refused, as Kafka does it.
///
/// Kafka remembers the last five batches; a run here is a batch too, but batches that continue one another in sequence and offset
/// grow into one, and ten are kept because single messages of several producers alternate within a tick.
/// Bounded: beyond `limit` the producer that appended longest ago is forgotten; an unknown producer may start with any sequence.
package struct ProducerState {
    /// Sequences `first ... last` (wrapping after Int32.max to 0) that have the offsets from `base` on.
    struct Run: Equatable {
        var first: Int32
        var count: Int32
        var base: Offset
        var last: Int32 { ProducerState.sequence(first, plus: count &- 1) }
        var end: Offset { base + Int64(count) }
    }

    struct Producer: Equatable {
        var id: Int64
        var epoch: Int16
        /// Oldest first, never empty.
        var runs: [Run]
    }

    enum Verdict: Equatable {
        case new
        /// Stored before; nil when so long ago that the offset is forgotten.
        case duplicate(Offset?)
        case outOfOrder(expected: Int32)
        case fenced(current: Int16)
    }

    static let runsKept = 10
    /// Runs stay far below half of the sequence space, so that before and after can be told apart.
    static let runCountMax: Int32 = 1 << 28

    let limit: Int
    private(set) var producers: [Producer] = []
    private var places: [Int64: Int] = [:]
    private var lastID: Int64 = -1
    private var lastPlace = -1

    init(limit: Int = 4_096) { self.limit = limit }

    package var count: Int { producers.count }

    /// Where the newest run of each producer ends.
    var lastOffsets: [Int64: Offset] {
        var found: [Int64: Offset] = [:]
        for producer in producers { if let last = producer.runs.last { found[producer.id] = last.end - 1 } }
        return found
    }

    /// Judges `count` sequences from `first` on.
    mutating func check(id: Int64, epoch: Int16, first: Int32, count: Int32) -> Verdict {
        guard let place = place(of: id) else { return .new }
        let producer = producers[place]
        if epoch < producer.epoch, !Mutant.isActive("takesFencedProducers") { return .fenced(current: producer.epoch) }
        if epoch > producer.epoch { return first == 0 ? .new : .outOfOrder(expected: 0) }
        guard let last = producer.runs.last else { return .new }
        let expected = Self.sequence(last.first, plus: last.count)
        if first == expected { return .new }
        for run in producer.runs.reversed() {
            let into = Self.distance(from: run.first, to: first)
            if into < Int64(run.count), into + Int64(count) <= Int64(run.count) { return .duplicate(run.base + into) }
        }
        // Behind the oldest that is remembered, but by less than half of the space: it was stored before.
        if Self.distance(from: first, to: producer.runs[0].first) < 1 << 30 { return .duplicate(nil) }
        return Mutant.isActive("takesGapsInSequences") ? .new : .outOfOrder(expected: expected)
    }

    /// Takes down what was appended.
    mutating func record(id: Int64, epoch: Int16, first: Int32, count: Int32, base: Offset) {
        let run = Run(first: first, count: count, base: base)
        guard let place = place(of: id) else {
            if producers.count >= limit { forgetOldest() }
            places[id] = producers.count
            producers.append(Producer(id: id, epoch: epoch, runs: [run]))
            return
        }
        if producers[place].epoch != epoch {
            producers[place] = Producer(id: id, epoch: epoch, runs: [run])
            return
        }
        let last = producers[place].runs.count - 1
        if last >= 0 {
            let previous = producers[place].runs[last]
            if previous.end == base, Self.sequence(previous.first, plus: previous.count) == first, previous.count < Self.runCountMax {
                producers[place].runs[last].count &+= count
                return
            }
        }
        if producers[place].runs.count == Self.runsKept { producers[place].runs.removeFirst() }
        producers[place].runs.append(run)
    }

    /// Forgets everything at or behind `end`: what recovery replays from there on.
    mutating func truncate(to end: Offset) {
        var kept: [Producer] = []
        for var producer in producers {
            producer.runs = producer.runs.compactMap { run in
                if run.base >= end { return nil }
                var run = run
                if run.end > end { run.count = Int32(truncatingIfNeeded: end - run.base) }
                return run
            }
            if !producer.runs.isEmpty { kept.append(producer) }
        }
        replace(with: kept)
    }

    // MARK: Stored form, within the checkpoint

    /// u32 count; per producer: id 8, epoch 2, runs 2; per run: first 4, count 4, base 8. Little-endian.
    func encode(into buffer: inout ByteBuffer) {
        buffer.append(little: UInt32(truncatingIfNeeded: producers.count))
        for producer in producers {
            buffer.append(little: producer.id)
            buffer.append(little: producer.epoch)
            buffer.append(little: UInt16(truncatingIfNeeded: producer.runs.count))
            for run in producer.runs {
                buffer.append(little: run.first)
                buffer.append(little: run.count)
                buffer.append(little: run.base.rawValue)
            }
        }
    }

    init(decoding reader: inout ByteReader, limit: Int = 4_096) throws(ByteError) {
        self.limit = limit
        let count = Int(try reader.little(UInt32.self))
        guard count <= reader.remaining / 12, count <= limit else { throw .outOfRange }
        for _ in 0..<count {
            let id = try reader.little(Int64.self)
            let epoch = try reader.little(Int16.self)
            let runCount = Int(try reader.little(UInt16.self))
            guard runCount >= 1, runCount <= Self.runsKept, places[id] == nil else { throw .outOfRange }
            var runs: [Run] = []
            for _ in 0..<runCount {
                let run = Run(first: try reader.little(), count: try reader.little(), base: Offset(try reader.little(Int64.self)))
                guard run.first >= 0, run.count >= 1, run.base.rawValue >= 0, run.base.rawValue <= Int64.max - Int64(run.count) else { throw .outOfRange }
                runs.append(run)
            }
            places[id] = producers.count
            producers.append(Producer(id: id, epoch: epoch, runs: runs))
        }
    }

    // MARK: Private parts

    private mutating func place(of id: Int64) -> Int? {
        if id == lastID, lastPlace >= 0 { return lastPlace }
        guard let place = places[id] else { return nil }
        lastID = id
        lastPlace = place
        return place
    }

    /// Forgets an eighth of the producers at once, so that the cost is shared by many new ones.
    private mutating func forgetOldest() {
        let byAge = producers.sorted { $0.runs[$0.runs.count - 1].base < $1.runs[$1.runs.count - 1].base }
        replace(with: Array(byAge.dropFirst(max(1, limit / 8))))
    }

    private mutating func replace(with list: [Producer]) {
        producers = list
        places = [:]
        for (index, producer) in list.enumerated() { places[producer.id] = index }
        lastID = -1
        lastPlace = -1
    }

    /// The sequence `count` behind `first`; after Int32.max comes 0.
    static func sequence(_ first: Int32, plus count: Int32) -> Int32 {
        Int32(truncatingIfNeeded: (Int64(first) + Int64(count)) & 0x7fff_ffff)
    }

    /// How many steps lead from `from` forward to `to`.
    static func distance(from: Int32, to: Int32) -> Int64 { (Int64(to) - Int64(from)) & 0x7fff_ffff }
}
