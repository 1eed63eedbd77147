internal import Bytes
internal import Glibc
internal import SegmentLog

/// Zero-filled memory that simulated disks and sockets keep bytes in: page caches, durable images, mappings. The one file of this
/// module that touches addresses.
@safe
final class SimulatedMemory {
    // Safety: `capacity` bytes from calloc, owned by this object alone and freed with it.
    private var base: UnsafeMutableRawPointer
    private(set) var capacity: Int

    init(capacity: Int) {
        let room = max(capacity, 1)
        guard let memory = unsafe calloc(room, 1) else { fatalError("out of memory: \(room) bytes") }
        unsafe base = memory
        self.capacity = room
    }

    deinit { unsafe free(base) }

    /// Makes room for `wanted` bytes; moves the memory, so only for memory that nobody maps.
    func grow(to wanted: Int) {
        guard wanted > capacity else { return }
        let room = max(wanted, capacity * 2, 1_024)
        // Safety: realloc keeps the old bytes; the new ones are zeroed before anybody sees them.
        guard let bigger = unsafe realloc(base, room) else { fatalError("out of memory: \(room) bytes") }
        unsafe memset(bigger + capacity, 0, room - capacity)
        unsafe base = bigger
        capacity = room
    }

    /// A copy of the bytes of `range`, which must lie inside the capacity.
    func copied(_ range: Range<Int>) -> [UInt8] {
        precondition(range.lowerBound >= 0 && range.upperBound <= capacity)
        // Safety: inside the memory, checked above; copied at once.
        return unsafe [UInt8](UnsafeRawBufferPointer(start: base + range.lowerBound, count: range.count))
    }

    /// Shows the bytes of `range` for the duration of a call.
    func lend(_ range: Range<Int>, _ body: (RawSpan) -> Void) {
        precondition(range.lowerBound >= 0 && range.upperBound <= capacity)
        // Safety: inside the memory, checked above; the span cannot leave the closure.
        body(unsafe RawSpan(_unsafeStart: UnsafeRawPointer(base + range.lowerBound), byteCount: range.count))
    }

    func append(_ range: Range<Int>, to buffer: inout ByteBuffer) {
        precondition(range.lowerBound >= 0 && range.upperBound <= capacity)
        // Safety: inside the memory, checked above; copied at once.
        unsafe buffer.append(RawSpan(_unsafeStart: UnsafeRawPointer(base + range.lowerBound), byteCount: range.count))
    }

    func fill(_ range: Range<Int>, with byte: UInt8 = 0) {
        let end = min(range.upperBound, capacity)
        guard range.lowerBound < end else { return }
        // Safety: inside the memory, clamped above.
        unsafe memset(base + range.lowerBound, Int32(byte), end - range.lowerBound)
    }

    /// Copies the bytes of `range` from the same place of `source`; zeros where the source has none.
    func copy(_ range: Range<Int>, from source: SimulatedMemory) {
        let end = min(range.upperBound, capacity)
        guard range.lowerBound < end else { return }
        let there = min(end, source.capacity)
        // Safety: both ranges are inside their memories, clamped above; the memories are distinct.
        if range.lowerBound < there { unsafe memcpy(base + range.lowerBound, source.base + range.lowerBound, there - range.lowerBound) }
        fill(max(range.lowerBound, there)..<end)
    }

    /// Copies what `region` names to `position`. Its owner keeps it alive during the call.
    func write(_ region: MemoryRegion, at position: Int) {
        guard region.count > 0 else { return }
        precondition(position >= 0 && position + region.count <= capacity)
        guard let source = unsafe UnsafeRawPointer(bitPattern: region.address) else { fatalError("a region without memory") }
        // Safety: the region is valid for the call by contract of `MemoryRegion`; the destination was checked.
        unsafe memcpy(base + position, source, region.count)
    }

    func write(_ bytes: [UInt8], at position: Int) { write(bytes.rawSpan.region, at: position) }

    func flip(bit: Int, at position: Int) {
        precondition(position >= 0 && position < capacity)
        // Safety: checked above.
        unsafe (base + position).storeBytes(of: (base + position).load(as: UInt8.self) ^ (1 << UInt8(bit & 7)), as: UInt8.self)
    }

    func isZero(_ range: Range<Int>) -> Bool {
        let end = min(range.upperBound, capacity)
        guard range.lowerBound < end else { return true }
        // Safety: inside the memory; the first byte is zero and each equals its successor.
        return unsafe base.load(fromByteOffset: range.lowerBound, as: UInt8.self) == 0
            && (end - range.lowerBound == 1 || memcmp(base + range.lowerBound, base + range.lowerBound + 1, end - range.lowerBound - 1) == 0)
    }

    /// This memory as a mapping that lives as long as somebody holds it.
    func asMapping(count: Int, _ pages: any MemoryPages) -> SegmentMemory {
        precondition(count <= capacity)
        // Safety: the mapping holds this object, which owns the memory; mapped memory is never grown.
        return unsafe SegmentMemory(base: UnsafeRawPointer(base), count: count, owner: self, pages: pages)
    }
}

/// What a mapping's memory knows of its pages: in memory or not, as the seed says. Used on the simulation's thread.
final class SimulatedPages: MemoryPages, Sendable {
    // Safety: a simulation is one thread.
    private nonisolated(unsafe) weak let disk: SimulatedDisk?

    init(_ disk: SimulatedDisk) { unsafe self.disk = disk }

    var hasFailed: Bool { false }
    func touch(_ range: Range<Int>) {}
    func load(_ range: Range<Int>) {}
    func isResident(_ range: Range<Int>) -> Bool {
        guard let disk = unsafe disk, !disk.isDown else { return true }
        return !disk.draw { $0.chance(disk.faults.cold) }
    }
}

extension MemoryRegion {
    /// The bytes as they are now. Whoever started the operation keeps them alive until it has ended.
    func copied() -> [UInt8] {
        guard count > 0 else { return [] }
        guard let source = unsafe UnsafeRawPointer(bitPattern: address) else { fatalError("a region without memory") }
        // Safety: valid by contract of `MemoryRegion`.
        return unsafe [UInt8](UnsafeRawBufferPointer(start: source, count: count))
    }

    var checksum: UInt32 {
        guard count > 0, let source = unsafe UnsafeRawPointer(bitPattern: address) else { return 0 }
        // Safety: valid by contract of `MemoryRegion`; read during the call only.
        return unsafe CRC32C.checksum(RawSpan(_unsafeStart: source, byteCount: count))
    }
}
