import SegmentLog

/// Bytes as a log would show them.
func slice(_ bytes: [UInt8]) -> LogSlice {
    let owner = StoredBytes(bytes)
    // Safety: `owner` is held by the memory and frees its bytes when it goes.
    let memory = unsafe SegmentMemory(base: UnsafeRawPointer(owner.memory), count: bytes.count, owner: owner)
    return LogSlice(memory: memory, range: 0..<bytes.count)
}

@safe
private final class StoredBytes {
    // Safety: allocated and freed by this object.
    let memory: UnsafeMutableRawPointer
    init(_ bytes: [UInt8]) {
        unsafe memory = .allocate(byteCount: max(1, bytes.count), alignment: 8)
        // Safety: as many bytes were allocated.
        for (index, byte) in bytes.enumerated() { unsafe memory.storeBytes(of: byte, toByteOffset: index, as: UInt8.self) }
    }
    deinit { unsafe memory.deallocate() }
}
