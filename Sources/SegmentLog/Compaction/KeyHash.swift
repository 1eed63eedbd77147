internal import Bytes

/// 128 bits that stand for a key: SipHash-2-4 under a secret seed, so that nobody who chooses keys can make two of them collide and have
/// one taken for the other.
struct KeyHash: Equatable {
    var high: UInt64
    var low: UInt64

    /// - Parameter key: where in `bytes` the key lies; it must lie within.
    init(_ bytes: RawSpan, _ key: ByteRange, seed: CompactionSeed) {
        var v0 = seed.first ^ 0x736f_6d65_7073_6575
        var v1 = seed.second ^ 0x646f_7261_6e64_6f6d ^ 0xee
        var v2 = seed.first ^ 0x6c79_6765_6e65_7261
        var v3 = seed.second ^ 0x7465_6462_7974_6573
        func round() {
            v0 &+= v1
            v1 = v1 &<< 13 | v1 &>> 51
            v1 ^= v0
            v0 = v0 &<< 32 | v0 &>> 32
            v2 &+= v3
            v3 = v3 &<< 16 | v3 &>> 48
            v3 ^= v2
            v0 &+= v3
            v3 = v3 &<< 21 | v3 &>> 43
            v3 ^= v0
            v2 &+= v1
            v1 = v1 &<< 17 | v1 &>> 47
            v1 ^= v2
            v2 = v2 &<< 32 | v2 &>> 32
        }
        func take(_ word: UInt64) {
            v3 ^= word
            round()
            round()
            v0 ^= word
        }
        var reader = ByteReader(bytes.extracting(key.indices))
        while let word = try? reader.little(UInt64.self) { take(word) }
        var last = UInt64(truncatingIfNeeded: key.count) &<< 56
        var shift: UInt64 = 0
        while let byte = try? reader.byte() {
            last |= UInt64(byte) &<< shift
            shift &+= 8
        }
        take(last)
        v2 ^= 0xee
        for _ in 0..<4 { round() }
        high = v0 ^ v1 ^ v2 ^ v3
        v1 ^= 0xdd
        for _ in 0..<4 { round() }
        low = v0 ^ v1 ^ v2 ^ v3
    }
}

/// What makes hashes of keys unpredictable to who chooses the keys.
package struct CompactionSeed: Equatable, Sendable {
    package var first: UInt64
    package var second: UInt64
    package init(_ first: UInt64, _ second: UInt64) {
        self.first = first
        self.second = second
    }
}

/// Where the newest record of each key lies, for one stretch of a log. Open addressing in one array, at most three quarters full.
package struct KeyMap: Sendable {
    static let slotByteCount = 24
    private let seed: CompactionSeed
    /// Three words a slot: both halves of the hash, and the offset plus one (0: free).
    private var words: [UInt64]
    private let slots: Int
    package private(set) var count = 0

    /// Room for `keys`, or for as many as fit into `bytes`.
    init(keys: Int, bytes: Int, seed: CompactionSeed) {
        self.seed = seed
        slots = max(16, min(keys / 3 * 4 + 16, bytes / Self.slotByteCount))
        words = [UInt64](repeating: 0, count: slots * 3)
    }

    /// How many keys fit besides those that are there.
    var room: Int { slots / 4 * 3 - count }

    /// Takes down that the key has a record at `offset`, the newest so far. There must be room.
    mutating func note(_ bytes: RawSpan, _ key: ByteRange, at offset: Offset) {
        let hash = KeyHash(bytes, key, seed: seed)
        let slot = slot(of: hash)
        if words[slot &+ 2] == 0 { count &+= 1 }
        words[slot] = hash.high
        words[slot &+ 1] = hash.low
        words[slot &+ 2] = UInt64(bitPattern: offset.rawValue) &+ 1
    }

    /// The key's newest record; nil where the stretch has none.
    func newest(_ bytes: RawSpan, _ key: ByteRange) -> Offset? {
        let value = words[slot(of: KeyHash(bytes, key, seed: seed)) &+ 2]
        return value == 0 ? nil : Offset(Int64(bitPattern: value &- 1))
    }

    /// Where the key stands, or where it would.
    private func slot(of hash: KeyHash) -> Int {
        var place = Int(truncatingIfNeeded: hash.low.multipliedFullWidth(by: UInt64(slots)).high)
        while true {
            let at = place &* 3
            if words[at &+ 2] == 0 || (words[at] == hash.high && words[at &+ 1] == hash.low) { return at }
            place &+= 1
            if place == slots { place = 0 }
        }
    }
}
