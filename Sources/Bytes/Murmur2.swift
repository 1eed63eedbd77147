/// The 32-bit MurmurHash2 with the seed that Kafka's default partitioner uses, so that clients of several protocols put one key
/// into the same partition.
package func murmur2(_ bytes: RawSpan) -> UInt32 {
    let m: UInt32 = 0x5bd1_e995
    let count = bytes.byteCount
    var h: UInt32 = 0x9747_b28c ^ UInt32(truncatingIfNeeded: count)
    var at = 0
    while count &- at >= 4 {
        // Safety: four bytes remain.
        var k = UInt32(littleEndian: unsafe bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: at, as: UInt32.self))
        k = k &* m
        k ^= k &>> 24
        k = k &* m
        h = (h &* m) ^ k
        at &+= 4
    }
    let rest = count &- at
    if rest > 0 {
        // Safety: `at + i` is below `count`.
        for i in (0..<rest).reversed() { h ^= UInt32(unsafe bytes.unsafeLoad(fromByteOffset: at &+ i, as: UInt8.self)) &<< UInt32(8 &* i) }
        h = h &* m
    }
    h ^= h &>> 13
    h = h &* m
    h ^= h &>> 15
    return h
}

/// The partition of `key` among `count`, as Kafka's default partitioner chooses it: `(hash & 0x7fffffff) % count`.
package func partition(forKey key: RawSpan, among count: Int32) -> Int32 {
    precondition(count > 0)
    return Int32(truncatingIfNeeded: (murmur2(key) & 0x7fff_ffff) % UInt32(count))
}
