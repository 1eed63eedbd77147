/// Keeps what one thread writes apart from what another writes: two lines, because processors fetch them in pairs.
@usableFromInline
struct CacheLinePadding {
    private let bytes = InlineArray<16, UInt64>(repeating: 0)
    @usableFromInline init() {}
}

/// The smallest power of two that is at least `count`.
@usableFromInline
func ringCapacity(_ count: Int) -> Int {
    precondition(count > 0 && count <= 1 << 30)
    return 1 << (Int.bitWidth - (count - 1).leadingZeroBitCount)
}
