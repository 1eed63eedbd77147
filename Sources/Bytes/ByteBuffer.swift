internal import Glibc

/// Growable memory that is written at its end and read from its front: frames being built, input being joined.
///
/// It owns its memory alone. An empty buffer owns none, so that ten thousand idle connections cost nothing.
/// Memory that was named by `region(_:)` stays valid until the next verb that writes, clears or drops.
@safe
@usableFromInline
package struct ByteBuffer: ~Copyable {
    @usableFromInline var memory: UnsafeMutableRawPointer?
    @usableFromInline package private(set) var capacity: Int
    @usableFromInline package private(set) var count: Int

    @inlinable package init() {
        unsafe memory = nil
        capacity = 0
        count = 0
    }

    package init(capacity: Int) {
        self.init()
        reserve(capacity)
    }

    deinit {
        // Safety: `memory` came from realloc and nothing else frees it.
        if let memory = unsafe memory { unsafe free(memory) }
    }

    @inlinable package var isEmpty: Bool { count == 0 }

    /// The bytes written so far.
    @inlinable package var bytes: RawSpan {
        @_lifetime(borrow self) get {
            // Safety: `count` bytes are initialised, and the span borrows the buffer.
            let span = unsafe RawSpan(_unsafeStart: UnsafeRawPointer(memory ?? emptyMemory), byteCount: count)
            return unsafe _overrideLifetime(span, borrowing: self)
        }
    }

    /// Where `range` of the bytes lies, for an operation that outlives this call; see `MemoryRegion`.
    package func region(_ range: ByteRange) -> MemoryRegion {
        precondition(range.start >= 0 && range.count >= 0 && range.end <= count)
        // Safety: within the initialised bytes, checked above.
        return unsafe MemoryRegion(address: UInt(bitPattern: memory ?? emptyMemory) &+ UInt(range.start), count: range.count)
    }

    /// Makes room for `more` bytes.
    @inlinable package mutating func reserve(_ more: Int) {
        if capacity &- count < more { grow(more) }
    }

    @usableFromInline mutating func grow(_ more: Int) {
        let wanted = max(count + more, capacity * 2, 64)
        // Every bound on what a peer can ask for is checked before; a machine without memory for that is beyond help.
        // Safety: realloc keeps the first `count` bytes; the old pointer is not used again.
        guard let bigger = unsafe realloc(memory, wanted) else { fatalError("out of memory: \(wanted) bytes") }
        unsafe memory = bigger
        capacity = wanted
    }

    @inlinable package mutating func append<T: FixedWidthInteger & BitwiseCopyable>(little value: T) { append(raw: value.littleEndian) }
    @inlinable package mutating func append<T: FixedWidthInteger & BitwiseCopyable>(big value: T) { append(raw: value.bigEndian) }
    @inlinable package mutating func append(_ byte: UInt8) { append(raw: byte) }

    @inlinable mutating func append<T: BitwiseCopyable>(raw value: T) {
        let size = MemoryLayout<T>.size
        reserve(size)
        // Safety: `reserve` left room for `size` bytes behind `count`.
        unsafe (memory.unsafelyUnwrapped + count).storeBytes(of: value, as: T.self)
        count &+= size
    }

    @inlinable package mutating func append(_ bytes: RawSpan) {
        let more = bytes.byteCount
        guard more > 0 else { return }
        reserve(more)
        // Safety: room was reserved; a span cannot lie in memory that this buffer is about to write, it borrows what it shows.
        unsafe bytes.withUnsafeBytes { source in
            unsafe (memory.unsafelyUnwrapped + count).copyMemory(from: source.baseAddress.unsafelyUnwrapped, byteCount: more)
        }
        count &+= more
    }

    package mutating func append(_ bytes: [UInt8]) { append(bytes.rawSpan) }

    package mutating func append(_ text: String) {
        var text = text
        let more = text.utf8.count
        reserve(more)
        text.withUTF8 { source in
            guard let base = source.baseAddress else { return }
            // Safety: room was reserved; `source` lives through this closure.
            unsafe (memory.unsafelyUnwrapped + count).copyMemory(from: base, byteCount: more)
        }
        count &+= more
    }

    /// Unsigned LEB128.
    @inlinable package mutating func append(unsignedVarInt value: UInt64) {
        // Most are lengths, counts and differences.
        if value < 0x80 { return append(UInt8(truncatingIfNeeded: value)) }
        reserve(10)
        var rest = value
        while rest >= 0x80 {
            append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest &>>= 7
        }
        append(UInt8(truncatingIfNeeded: rest))
    }

    /// Zig-zag LEB128.
    @inlinable package mutating func append(varInt value: Int64) {
        append(unsignedVarInt: zigZag(value))
    }

    package mutating func appendZeros(_ more: Int) {
        guard more > 0 else { return }
        reserve(more)
        // Safety: room was reserved.
        unsafe memset(memory.unsafelyUnwrapped + count, 0, more)
        count &+= more
    }

    /// Overwrites what stands at `offset`; the bytes must have been written before.
    @inlinable package mutating func patch<T: FixedWidthInteger & BitwiseCopyable>(little value: T, at offset: Int) {
        patch(raw: value.littleEndian, at: offset)
    }

    @inlinable package mutating func patch<T: FixedWidthInteger & BitwiseCopyable>(big value: T, at offset: Int) {
        patch(raw: value.bigEndian, at: offset)
    }

    @inlinable mutating func patch<T: BitwiseCopyable>(raw value: T, at offset: Int) {
        precondition(offset >= 0 && offset &+ MemoryLayout<T>.size <= count)
        // Safety: inside the initialised bytes, checked above.
        unsafe (memory.unsafelyUnwrapped + offset).storeBytes(of: value, as: T.self)
    }

    /// Forgets the first `dropped` bytes and moves the rest to the front.
    package mutating func removeFirst(_ dropped: Int) {
        precondition(dropped >= 0 && dropped <= count)
        guard dropped > 0 else { return }
        count &-= dropped
        // Safety: source and destination lie inside the initialised bytes; memmove allows overlap.
        if count > 0 { unsafe memmove(memory.unsafelyUnwrapped, memory.unsafelyUnwrapped + dropped, count) }
    }

    /// Forgets what was written behind `length`.
    package mutating func truncate(to length: Int) {
        precondition(length >= 0 && length <= count)
        count = length
    }

    /// Forgets the bytes and keeps the memory.
    @inlinable package mutating func clear() { count = 0 }

    /// Forgets the bytes and gives the memory back.
    package mutating func release() {
        // Safety: see deinit.
        if let memory = unsafe memory { unsafe free(memory) }
        unsafe memory = nil
        capacity = 0
        count = 0
    }

    /// Lets `fill` write up to `room` bytes behind the end; it answers how many it wrote.
    package mutating func appendUninitialized<E: Error>(_ room: Int, _ fill: (UnsafeMutableRawBufferPointer) throws(E) -> Int) throws(E) {
        reserve(room)
        guard room > 0 else { return }
        // Safety: room was reserved; the callee promises to write what it counts.
        let written = unsafe try fill(UnsafeMutableRawBufferPointer(start: memory.unsafelyUnwrapped + count, count: room))
        precondition(written >= 0 && written <= room)
        count &+= written
    }
}

/// Where empty spans point; never read.
// Safety: one byte of static memory, never written after the first use, never freed.
@usableFromInline nonisolated(unsafe) let emptyMemory: UnsafeMutableRawPointer = .allocate(byteCount: 1, alignment: 1)

@inlinable package func zigZag(_ value: Int64) -> UInt64 { UInt64(bitPattern: (value &<< 1) ^ (value &>> 63)) }

/// How many bytes the unsigned LEB128 form of `value` takes.
@inlinable package func varIntSize(unsigned value: UInt64) -> Int {
    let bits = 64 &- value.leadingZeroBitCount
    return max(1, (bits &+ 6) / 7)
}

/// How many bytes the zig-zag LEB128 form of `value` takes.
@inlinable package func varIntSize(_ value: Int64) -> Int { varIntSize(unsigned: zigZag(value)) }
