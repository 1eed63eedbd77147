internal import Bytes
internal import SegmentLog

/// One file of the simulated disk: what the process sees (the page cache) over what is on the device, in sectors of 512 bytes.
///
/// Invariants: bytes behind `size` are zero in `cache`, those behind `durableSize` are zero in `durable`; a sector that is not dirty
/// and not lost is the same in both, save while a truncation waits for its flush.
final class DiskFile {
    static let sector = 512

    let number: Int
    /// The name it was made with, for people.
    var path: String
    let cache = SimulatedMemory(capacity: 0)
    private(set) var size = 0
    let durable = SimulatedMemory(capacity: 0)
    private(set) var durableSize = 0

    /// How far the file was cut since its last flush.
    private var cut: Int?
    private var isDirty: [Bool] = []
    /// Whether the process has written into the sector, and whether that has reached the device: no garbage there.
    private var isWritten: [Bool] = []
    private var isOnDevice: [Bool] = []
    private(set) var dirtySectors: [Int] = []
    private var mappings: [Mapping] = []

    /// A write-back in the background failed; the next flush says so, once.
    var owesError = false
    var failsWrites = false
    var failsFlushes = false
    var failsReads = false

    private struct Mapping { weak var memory: SimulatedMemory? }

    init(number: Int, path: String) {
        self.number = number
        self.path = path
    }

    /// Whether a flush would change what a crash leaves.
    var isClean: Bool { dirtySectors.isEmpty && size == durableSize && cut == nil }

    // MARK: What the process does

    func write(_ region: MemoryRegion, at position: Int) {
        guard region.count > 0 else { return }
        let end = position + region.count
        cache.grow(to: end)
        cache.write(region, at: position)
        size = max(size, end)
        changed(position..<end)
        for sector in position / DiskFile.sector...(end - 1) / DiskFile.sector { isWritten[sector] = true }
    }

    func appendZeros(to length: Int) {
        guard length > size else { return }
        let old = size
        cache.grow(to: length)
        size = length
        changed(old..<length)
    }

    func truncate(to length: Int) {
        guard length != size else { return }
        guard length < size else {
            appendZeros(to: length)
            return
        }
        let old = size
        cache.fill(length..<old)
        size = length
        if length < durableSize { cut = min(cut ?? length, length) }
        changed(length..<old, isTruncation: true)
    }

    func map(length: Int, _ pages: any MemoryPages) -> SegmentMemory {
        let memory = SimulatedMemory(capacity: length)
        memory.copy(0..<length, from: cache)
        memory.fill(min(size, length)..<length, with: DiskFile.behindTheEnd)
        mappings.append(Mapping(memory: memory))
        return memory.asMapping(count: length, pages)
    }

    /// Clean pages that nobody maps are read from the device again.
    func dropCache() {
        mappings.removeAll { $0.memory == nil }
        guard mappings.isEmpty else { return }
        forgetCleanPages()
    }

    /// The process went, the machine stays: its mappings are gone, the page cache is not.
    func processEnded() { mappings = [] }

    // MARK: What the device does

    /// Everything written so far reaches the device.
    func flush() {
        applyCut()
        for sector in dirtySectors { writeSector(sector) }
        clean()
        setDurableSize(size)
    }

    /// The flush fails: some sectors have been written, and all count as clean from now on, so that the next flush succeeds
    /// without writing them.
    func failFlush(_ random: inout RandomStream) {
        if random.chance(0.5) { applyCut() }
        let share = random.pick([0, 0.5, 0.9])
        for sector in dirtySectors where cut == nil && random.chance(share) { writeSector(sector) }
        clean()
    }

    /// One page goes to the device without having been asked to.
    func writeBack(_ random: inout RandomStream) {
        guard !dirtySectors.isEmpty else { return }
        applyCut()
        let index = random.below(dirtySectors.count)
        let sector = dirtySectors[index]
        dirtySectors.swapAt(index, dirtySectors.count - 1)
        dirtySectors.removeLast()
        isDirty[sector] = false
        writeSector(sector)
        if random.chance(0.3) { setDurableSize(size) }
    }

    /// As `writeBack`, but the device refuses: the page is clean and not on the device.
    func failWriteBack(_ random: inout RandomStream) {
        guard let sector = dirtySectors.popLast() else { return }
        isDirty[sector] = false
        owesError = true
    }

    /// What the device holds after the power went: every sector that was not flushed is old, new, or garbage.
    func losePower(_ random: inout RandomStream, newShare: Double, garbage: Double) {
        let isCut = cut != nil
        let cutCommits = !isCut || random.chance(newShare)
        if cutCommits { applyCut() }
        let end = cutCommits ? Int.max : (cut ?? 0)
        dirtySectors.sort()
        let keepsOrder = random.chance(0.2)
        for sector in dirtySectors where sector * DiskFile.sector < end {
            if random.chance(newShare) {
                if random.chance(garbage) { writeGarbage(sector, &random) } else { writeSector(sector) }
            } else if keepsOrder {
                break
            }
        }
        if cutCommits && size != durableSize {
            let low = min(size, durableSize)
            let high = max(size, durableSize)
            switch random.below(4) {
            case 0: break
            case 1: setDurableSize(low + random.below(high - low + 1))
            default: setDurableSize(size)
            }
        }
        // What was written behind the size that the device knows is not part of the file.
        durable.fill(durableSize..<max(durableSize, durable.capacity))
        cut = nil
        owesError = false
        mappings = []
        clean()
        reload()
    }

    /// Damages what is durable, as a device that rots does.
    func damage(_ change: (SimulatedMemory) -> Void) {
        change(durable)
        for sector in 0..<((durableSize + DiskFile.sector - 1) / DiskFile.sector) where sector >= isDirty.count || !isDirty[sector] {
            refresh(sector)
        }
    }

    // MARK: Inside

    /// What a mapping shows where the file has no bytes: a real one would be killed by SIGBUS there.
    static let behindTheEnd: UInt8 = 0xde

    private func changed(_ range: Range<Int>, isTruncation: Bool = false) {
        let last = (range.upperBound - 1) / DiskFile.sector
        if isDirty.count <= last { isDirty.append(contentsOf: repeatElement(false, count: last + 1 - isDirty.count)) }
        if isWritten.count < isDirty.count { isWritten.append(contentsOf: repeatElement(false, count: isDirty.count - isWritten.count)) }
        if isOnDevice.count < isDirty.count { isOnDevice.append(contentsOf: repeatElement(false, count: isDirty.count - isOnDevice.count)) }
        var sector = range.lowerBound / DiskFile.sector
        while sector <= last {
            if !isDirty[sector] {
                isDirty[sector] = true
                dirtySectors.append(sector)
            }
            sector += 1
        }
        guard !mappings.isEmpty else { return }
        for mapping in mappings {
            guard let memory = mapping.memory else { continue }
            if isTruncation { memory.fill(range, with: DiskFile.behindTheEnd) } else { memory.copy(range, from: cache) }
        }
    }

    private func applyCut() {
        guard let length = cut else { return }
        cut = nil
        setDurableSize(min(durableSize, length))
    }

    private func setDurableSize(_ length: Int) {
        if length < durableSize { durable.fill(length..<durable.capacity) }
        durable.grow(to: length)
        durableSize = length
    }

    private func writeSector(_ sector: Int) {
        let range = sector * DiskFile.sector..<(sector + 1) * DiskFile.sector
        durable.grow(to: range.upperBound)
        durable.copy(range, from: cache)
        if isWritten[sector] { isOnDevice[sector] = true }
    }

    private func writeGarbage(_ sector: Int, _ random: inout RandomStream) {
        let range = sector * DiskFile.sector..<(sector + 1) * DiskFile.sector
        guard !isOnDevice[sector], durable.isZero(range) else { return }
        durable.grow(to: range.upperBound)
        var bytes: [UInt8] = []
        if random.chance(0.5), sector > 0 {
            bytes = cache.copied(from(random.below(sector)))
        } else {
            for _ in 0..<DiskFile.sector / 8 {
                let word = random.next()
                for shift in 0..<8 { bytes.append(UInt8(truncatingIfNeeded: word &>> UInt64(shift * 8))) }
            }
        }
        durable.write(bytes, at: range.lowerBound)
    }

    private func from(_ sector: Int) -> Range<Int> {
        let end = min((sector + 1) * DiskFile.sector, cache.capacity)
        return min(sector * DiskFile.sector, end)..<end
    }

    private func clean() {
        for sector in dirtySectors { isDirty[sector] = false }
        dirtySectors.removeAll(keepingCapacity: true)
    }

    private func forgetCleanPages() {
        for sector in 0..<((size + DiskFile.sector - 1) / DiskFile.sector) where sector >= isDirty.count || !isDirty[sector] { refresh(sector) }
    }

    private func refresh(_ sector: Int) {
        let start = sector * DiskFile.sector
        let end = min(start + DiskFile.sector, size)
        guard start < end else { return }
        cache.copy(start..<end, from: durable)
    }

    private func reload() {
        cache.fill(0..<size)
        size = durableSize
        cache.grow(to: size)
        cache.copy(0..<size, from: durable)
    }
}
