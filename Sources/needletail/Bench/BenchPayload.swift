import Bytes
import LinuxSystem
import SegmentLog

/// A message of the load generator: who sent it, which one it is, and when it should have been sent.
///
///     | producer u32 | 0 u32 | sequence u64 | intended send time u64, monotonic ns | filler … |       little-endian
struct BenchPayload: ~Copyable {
    static let headSize = 24

    private var bytes = ByteBuffer()
    private let range: ByteRange

    init(producer: Int, size: Int) {
        bytes.append(little: UInt32(producer))
        bytes.append(little: UInt32(0))
        bytes.appendZeros(16)
        // Not all zeros, so that nothing on the way has it easier than with real data.
        var filler: UInt32 = 0x9E37_79B9 ^ UInt32(producer)
        while bytes.count < size {
            filler = filler &* 1_664_525 &+ 1_013_904_223
            bytes.append(UInt8(truncatingIfNeeded: filler >> 24))
        }
        range = ByteRange(start: 0, count: bytes.count)
    }

    mutating func set(sequence: UInt64, intended: UInt64) {
        bytes.patch(little: sequence, at: 8)
        bytes.patch(little: intended, at: 16)
    }

    /// Adds the message to a batch.
    func add(to builder: inout RecordBatchBuilder, timestamp: Timestamp, into buffer: inout ByteBuffer) {
        builder.append(key: nil, value: range, headers: .empty, headerCount: 0, timestamp: timestamp, input: bytes.bytes, into: &buffer)
    }

    /// Adds the message as it is.
    func add(into buffer: inout ByteBuffer) { buffer.append(bytes.bytes) }
}

/// What one consumer has seen of each producer: every sequence exactly once and in order, or else counted.
struct BenchVerifier: Sendable {
    private struct Seen: Sendable {
        /// Bit n: sequence n came.
        var bits: [UInt64] = []
        var next: UInt64 = 0
    }

    private var producers: [Seen]
    private(set) var received = 0
    private(set) var duplicated = 0
    private(set) var outOfOrder = 0
    private(set) var alien = 0

    /// How many messages both have seen: what competing consumers may not.
    func shared(with other: BenchVerifier) -> Int {
        var count = 0
        for producer in producers.indices {
            for (mine, its) in zip(producers[producer].bits, other.producers[producer].bits) { count += (mine & its).nonzeroBitCount }
        }
        return count
    }

    /// Takes over what the other has seen.
    mutating func merge(_ other: BenchVerifier) {
        let both = shared(with: other)
        received += other.received - both
        duplicated += other.duplicated + both
        alien += other.alien
        outOfOrder += other.outOfOrder
        for producer in producers.indices {
            let missing = other.producers[producer].bits.count - producers[producer].bits.count
            if missing > 0 { producers[producer].bits.append(contentsOf: repeatElement(0, count: missing)) }
            for word in other.producers[producer].bits.indices { producers[producer].bits[word] |= other.producers[producer].bits[word] }
        }
    }

    init(producers count: Int) { producers = Array(repeating: Seen(), count: count) }

    mutating func see(producer: UInt32, sequence: UInt64) {
        guard producer < producers.count, sequence < 1 << 36 else {
            alien += 1
            return
        }
        let index = Int(producer)
        let word = Int(sequence >> 6)
        // Grows by a megabyte at a time: eight million messages.
        if word >= producers[index].bits.count {
            producers[index].bits.append(contentsOf: repeatElement(0, count: word - producers[index].bits.count + (1 << 17)))
        }
        let bit: UInt64 = 1 << (sequence & 63)
        if producers[index].bits[word] & bit != 0 {
            duplicated += 1
            return
        }
        producers[index].bits[word] |= bit
        received += 1
        if sequence < producers[index].next { outOfOrder += 1 } else { producers[index].next = sequence + 1 }
    }
}
