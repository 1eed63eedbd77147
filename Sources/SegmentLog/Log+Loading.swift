internal import Bytes

/// Which parts of a segment are known to be in memory: windows of one size, each with the time of the last look or write.
struct Residency {
    static let windowBytes = 1 << 20
    /// For so long it is believed that a window that was in memory still is. The system drops what was not used for long, first.
    static let nanoseconds: UInt64 = 5_000_000_000
    /// A reader that goes on from one window to the next finds so many behind it in memory, and so many more are read at once.
    static let ahead = 4
    static let stretch = 8

    /// 0: never.
    private var seen: [Instant] = []
    private var loading: Set<Int> = []
    /// The indexes, and the segment's first and last batches, which the indexes are checked by.
    var ends = Instant(rawValue: 0)
    var isLoadingEnds = false

    static func windows(_ range: Range<Int>) -> Range<Int> {
        range.isEmpty ? 0..<0 : range.lowerBound / windowBytes..<(range.upperBound - 1) / windowBytes + 1
    }

    static func isRecent(_ seen: Instant, _ now: Instant) -> Bool { seen.rawValue > 0 && now.nanoseconds(since: seen) < nanoseconds }

    func isKnown(_ window: Int, _ now: Instant) -> Bool { window < seen.count && Residency.isRecent(seen[window], now) }
    func isLoading(_ window: Int) -> Bool { !loading.isEmpty && loading.contains(window) }

    mutating func note(_ windows: Range<Int>, _ now: Instant) {
        guard !windows.isEmpty else { return }
        while seen.count < windows.upperBound { seen.append(Instant(rawValue: 0)) }
        for window in windows { seen[window] = now }
    }

    mutating func began(_ windows: Range<Int>) { loading.formUnion(windows) }

    mutating func ended(_ windows: Range<Int>, _ now: Instant) {
        loading.subtract(windows)
        note(windows, now)
    }
}

/// One load that is under way.
struct SegmentLoad {
    let segment: Segment
    let windows: Range<Int>
    let isOfEnds: Bool
}

// Reads that wait for no disk (S5). Before bytes of a mapping are looked at, it is known that they are in memory: written or looked at
// a moment ago, or the system says so. Otherwise they are read in by a helper thread, and whoever wanted them comes back. A reader
// that goes on steadily finds the next windows on their way.
extension Log {
    /// Whether something was read in since this was asked last: who was told `loading` may come back.
    package func takeLoaded() -> Bool {
        defer { background.hasLoaded = false }
        return background.hasLoaded
    }

    /// Sees to it that the segment's indexes can be loaded without waiting.
    func residentEnds(of segment: Segment, _ cold: ColdReads) throws(LogError) {
        guard case .comeBack(let now) = cold, !storage.isVolatile, segment.indexes == nil else { return }
        if Residency.isRecent(segment.residency.ends, now) { return }
        if segment.residency.isLoadingEnds { throw .loading }
        try loadEnds(of: segment)
        throw .loading
    }

    private func loadEnds(of segment: Segment) throws(LogError) {
        let memory: SegmentMemory
        do throws(StorageError) { memory = try map(segment) } catch { throw .storage(error) }
        segment.residency.isLoadingEnds = true
        let parts = [0..<min(segment.end, RecordBatchHeader.byteCount), max(0, segment.end - slack)..<segment.end]
        let ticket = start(
            .load(memory, parts: parts, files: [path(segment.base, .index), path(segment.base, .timeIndex)], all: 0..<segment.end), .load)
        background.loads[ticket] = SegmentLoad(segment: segment, windows: 0..<0, isOfEnds: true)
    }

    /// Sees to it that `count` bytes from `position` on, as far as there are, can be read without waiting.
    func resident(_ segment: Segment, _ memory: SegmentMemory, from position: Int, count: Int, _ cold: ColdReads) throws(LogError) {
        guard case .comeBack(let now) = cold, !storage.isVolatile else { return }
        let end = min(segment.end, memory.count)
        guard position < end else { return }
        let wanted = Residency.windows(position..<min(end, position &+ count))
        var isMissing = false
        for window in wanted where !segment.residency.isKnown(window, now) {
            if segment.residency.isLoading(window) || !look(at: window, segment, memory, now) { isMissing = true }
        }
        let first = wanted.lowerBound
        // Who comes from the window before, or from the front, will go on.
        if isMissing || first == 0 || segment.residency.isKnown(first - 1, now) { readAhead(of: wanted, segment, memory, now) }
        // Asked twice, the system may say that a page has come by itself: only who can be called back is sent away.
        if isMissing, wanted.contains(where: segment.residency.isLoading) { throw .loading }
    }

    private func bytes(of windows: Range<Int>, _ segment: Segment, _ memory: SegmentMemory) -> Range<Int> {
        let end = min(segment.end, memory.count)
        return windows.lowerBound * Residency.windowBytes..<min(end, windows.upperBound * Residency.windowBytes)
    }

    /// Asks the system about one window.
    private func look(at window: Int, _ segment: Segment, _ memory: SegmentMemory, _ now: Instant) -> Bool {
        guard memory.isResident(bytes(of: window..<window + 1, segment, memory)) else { return false }
        segment.residency.note(window..<window + 1, now)
        return true
    }

    private func readAhead(of wanted: Range<Int>, _ segment: Segment, _ memory: SegmentMemory, _ now: Instant) {
        let count = Residency.windows(0..<min(segment.end, memory.count)).upperBound
        func isMissing(_ window: Int) -> Bool {
            !segment.residency.isKnown(window, now) && !segment.residency.isLoading(window) && !look(at: window, segment, memory, now)
        }
        var first = wanted.lowerBound
        let stop = min(count, wanted.upperBound + Residency.ahead)
        while first < stop, !isMissing(first) { first += 1 }
        if first < stop {
            // One stretch, so that the disk is asked for much at once.
            var end = first + 1
            while end < min(count, first + max(Residency.stretch, wanted.count)), isMissing(end) { end += 1 }
            segment.residency.began(first..<end)
            let ticket = start(.load(memory, parts: [bytes(of: first..<end, segment, memory)], files: [], all: 0..<0), .load)
            background.loads[ticket] = SegmentLoad(segment: segment, windows: first..<end, isOfEnds: false)
        } else if stop == count, let next = segment.isSealed ? following(segment) : nil, next.indexes == nil, !next.residency.isLoadingEnds,
            !Residency.isRecent(next.residency.ends, now)
        {
            // Failing to map it now shows when it is read.
            try? loadEnds(of: next)
        }
    }

    private func following(_ segment: Segment) -> Segment? {
        let index = partitionPoint(segments.count) { segments[$0].base <= segment.base }
        return index < segments.count ? segments[index] : nil
    }

    /// What cannot be read shows when it is read.
    func loadCompleted(_ ticket: StorageTicket, now: Now) {
        guard let load = background.loads.removeValue(forKey: ticket) else { return }
        if load.isOfEnds {
            load.segment.residency.isLoadingEnds = false
            load.segment.residency.ends = now.instant
        } else {
            load.segment.residency.ended(load.windows, now.instant)
        }
        background.hasLoaded = true
    }
}
