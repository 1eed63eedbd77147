package import Bytes
internal import Glibc

/// The bytes of one segment as memory, for reading only. Whoever holds a reference keeps the mapping alive, so a send in flight
/// pins the segment by holding this object; a removed segment's mapping goes with the last reference.
///
/// Why `@unchecked Sendable` holds: nothing in here changes after `init`, reference counts are atomic, and of `owner` nothing is used
/// but its `deinit`, which only gives the memory back, and `MemoryPages`, which may be asked anywhere. Bytes that a holder was shown are not written again; those behind them are
/// written by the log's thread alone, and who is shown them later is shown them by a message from that thread.
@safe
package final class SegmentMemory: @unchecked Sendable {
    // Safety: valid for `count` bytes as long as `owner` lives, which this object holds. Written by the storage beyond what the log
    // calls its end, never below; readers stay below.
    private let base: UnsafeRawPointer
    package let count: Int
    private let owner: AnyObject
    /// The file whose first bytes these are, open as long as this object lives; nil where there is none.
    package let file: FileHandle?
    fileprivate let pages: (any MemoryPages)?

    /// - Parameters:
    ///   - file: is closed by `owner` when it goes.
    ///   - owner: unmaps or frees the memory when it goes.
    ///   - pages: what is behind it, where that is a disk.
    package init(base: UnsafeRawPointer, count: Int, file: FileHandle? = nil, owner: AnyObject, pages: (any MemoryPages)? = nil) {
        unsafe self.base = base
        self.count = count
        self.file = file
        self.owner = owner
        self.pages = pages
    }

    /// A part of it could not be read from the disk and shows zeros: nothing that was read is to be believed. Looked at after reading.
    package var hasFailed: Bool { pages?.hasFailed ?? false }

    /// Reads all of `range`, so that what cannot be read shows in `hasFailed`. Waits for the disk.
    package func touch(_ range: Range<Int>) {
        precondition(range.lowerBound >= 0 && range.upperBound <= count)
        pages?.touch(range)
    }

    /// The bytes of `range`; they stay valid while this object is borrowed.
    @_lifetime(borrow self)
    package func bytes(_ range: Range<Int>) -> RawSpan {
        precondition(range.lowerBound >= 0 && range.upperBound <= count)
        // Safety: inside the mapping, checked above; the span borrows self, which holds the mapping.
        let span = unsafe RawSpan(_unsafeStart: base + range.lowerBound, byteCount: range.count)
        return unsafe _overrideLifetime(span, borrowing: self)
    }

    /// Where `range` lies, for an operation whose owner holds this object until the operation ends.
    package func region(_ range: Range<Int>) -> MemoryRegion {
        precondition(range.lowerBound >= 0 && range.upperBound <= count)
        // Safety: only the address is taken.
        return unsafe MemoryRegion(address: UInt(bitPattern: base) &+ UInt(range.lowerBound), count: range.count)
    }
}

extension SegmentMemory {
    /// Whether reading `range` waits for no disk. Asks the system: not for every read.
    package func isResident(_ range: Range<Int>) -> Bool {
        precondition(range.lowerBound >= 0 && range.upperBound <= count)
        return pages?.isResident(range) ?? true
    }

    /// Brings `range` into memory, and waits for the disk. What cannot be read shows in `hasFailed`.
    package func load(_ range: Range<Int>) {
        precondition(range.lowerBound >= 0 && range.upperBound <= count)
        pages?.load(range)
    }
}

/// What is behind memory that is read from a disk.
package protocol MemoryPages: AnyObject, Sendable {
    var hasFailed: Bool { get }
    func touch(_ range: Range<Int>)
    func isResident(_ range: Range<Int>) -> Bool
    func load(_ range: Range<Int>)
}

/// Stored bytes of one segment: whole record batches, or a run of records within one batch.
package struct LogSlice: Sendable {
    package let memory: SegmentMemory
    package let range: Range<Int>

    package init(memory: SegmentMemory, range: Range<Int>) {
        self.memory = memory
        self.range = range
    }
}

/// Zeroed anonymous memory, resident only where it was touched: what a file of `MemoryStorage` consists of.
@safe
final class AnonymousMemory {
    // Safety: `capacity` bytes from mmap, unmapped in deinit only; views hold this object.
    private let base: UnsafeMutableRawPointer
    let capacity: Int

    /// nil when the system has no more memory.
    init?(capacity: Int) {
        let pages = (max(capacity, 1) + 4_095) & ~4_095
        // Safety: a fresh private mapping that belongs to this object alone.
        let memory = unsafe mmap(nil, pages, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
        guard let memory = unsafe memory, unsafe memory != MAP_FAILED else { return nil }
        unsafe base = memory
        self.capacity = pages
    }

    deinit {
        // Safety: see init; nobody else unmaps it.
        unsafe munmap(base, capacity)
    }

    /// A view of the first `count` bytes.
    func view(_ count: Int, _ pages: (any MemoryPages)? = nil) -> SegmentMemory {
        precondition(count <= capacity)
        return unsafe SegmentMemory(base: UnsafeRawPointer(base), count: count, owner: self, pages: pages)
    }

    /// Copies `piece` to `position`.
    func write(_ piece: MemoryRegion, at position: Int) {
        precondition(position >= 0 && piece.count <= capacity && position <= capacity - piece.count)
        guard piece.count > 0, let source = unsafe UnsafeRawPointer(bitPattern: piece.address) else { return }
        // Safety: the target is inside the mapping, checked above; whoever called `LogStorage.write` holds the source during the call.
        unsafe (base + position).copyMemory(from: source, byteCount: piece.count)
    }

    func copy(to other: AnonymousMemory, count: Int) {
        precondition(count <= capacity && count <= other.capacity)
        // Safety: both mappings are at least `count` bytes long.
        unsafe other.base.copyMemory(from: base, byteCount: count)
    }

    func zero(_ range: Range<Int>) {
        precondition(range.lowerBound >= 0 && range.upperBound <= capacity)
        // Safety: inside the mapping.
        unsafe memset(base + range.lowerBound, 0, range.count)
    }
}
