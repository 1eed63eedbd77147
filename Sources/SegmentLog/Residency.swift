/// Which parts of a segment are known to be in memory: windows of one size, each with the time of the last look, load or write.
///
/// A window is about what a read wants, so that who reads here and there asks the system about that, and has no more read in.
/// Belongs to its segment; goes with the segment's mapping, except for what is under way.
struct Residency {
    static let windowBytes = 32 << 10
    /// So many windows of a stretch are asked about at once, and who goes on beyond them looks ahead.
    static let stride = (1 << 20) / windowBytes
    /// A reader that goes on steadily finds so many windows before it in memory, and so many more are read at once.
    static let ahead = 4 * stride
    static let stretch = 8 * stride
    /// Who has so many windows behind it in memory came from there.
    static let behind = 8

    /// Times are kept in units of 2^28 ns, which go round in 36 years. For 18 of them, 5 s, it is believed that a window that was in
    /// memory still is. The system drops what was not used for long, first.
    private static let unit: UInt64 = 28
    private static let believed: UInt32 = 18

    /// Windows that were written within half of that time, which began `since`; 0: none.
    private struct Written {
        var start: UInt32 = 0
        var end: UInt32 = 0
        var since: UInt32 = 0
    }

    /// When each was looked at or read in; 0: never. Who only appends takes no memory for it: there may be very many logs.
    private var seen: [UInt32] = []
    private var written = Written()
    private var writtenBefore = Written()
    private var loading: [Range<Int>] = []
    /// The indexes, and the segment's first and last batches, which the indexes are checked by.
    private var ends: UInt32 = 0
    var isLoadingEnds = false

    static func windows(_ range: Range<Int>) -> Range<Int> {
        range.isEmpty ? 0..<0 : range.lowerBound / windowBytes..<(range.upperBound - 1) / windowBytes + 1
    }

    private static func time(_ now: Instant) -> UInt32 { UInt32(truncatingIfNeeded: now.rawValue >> unit) &+ 1 }

    private static func isRecent(_ time: UInt32, _ now: Instant) -> Bool { time != 0 && Residency.time(now) &- time <= Residency.believed }

    func isKnown(_ window: Int, _ now: Instant) -> Bool {
        if window < seen.count, Residency.isRecent(seen[window], now) { return true }
        return wasWritten(window, written, now) || wasWritten(window, writtenBefore, now)
    }

    private func wasWritten(_ window: Int, _ written: Written, _ now: Instant) -> Bool {
        window >= Int(written.start) && window < Int(written.end) && Residency.isRecent(written.since, now)
    }

    func isKnown(_ windows: Range<Int>, _ now: Instant) -> Bool { windows.allSatisfy { isKnown($0, now) } }

    private func isLoading(_ window: Int) -> Bool { loading.contains { $0.contains(window) } }

    /// Whether some of them have to be awaited.
    func awaits(_ windows: Range<Int>, _ now: Instant) -> Bool {
        !loading.isEmpty && windows.contains { !isKnown($0, now) && isLoading($0) }
    }

    /// The first windows of `windows` in a row that are neither known nor on their way, at most `most`; nil when there is none.
    func unknown(_ windows: Range<Int>, most: Int = .max, _ now: Instant) -> Range<Int>? {
        guard let first = windows.first(where: { !isKnown($0, now) && !isLoading($0) }) else { return nil }
        var end = first + 1
        while end < windows.upperBound, end - first < most, !isKnown(end, now), !isLoading(end) { end += 1 }
        return first..<end
    }

    mutating func note(_ windows: Range<Int>, _ now: Instant) {
        guard !windows.isEmpty else { return }
        while seen.count < windows.upperBound { seen.append(0) }
        for window in windows { seen[window] = Residency.time(now) }
    }

    /// What was written last, and goes on there.
    mutating func noteWritten(_ windows: Range<Int>, _ now: Instant) {
        let time = Residency.time(now)
        if written.since == 0 || time &- written.since > Residency.believed / 2 || windows.lowerBound > Int(written.end) {
            writtenBefore = written
            written = Written(start: UInt32(windows.lowerBound), end: 0, since: time)
        }
        written.end = UInt32(windows.upperBound)
    }

    mutating func began(_ windows: Range<Int>) { loading.append(windows) }

    mutating func ended(_ windows: Range<Int>, _ now: Instant) {
        if let index = loading.firstIndex(of: windows) { loading.remove(at: index) }
        note(windows, now)
    }

    func knowsEnds(_ now: Instant) -> Bool { Residency.isRecent(ends, now) }

    mutating func endedEnds(_ now: Instant) {
        isLoadingEnds = false
        ends = Residency.time(now)
    }

    /// What was seen is asked for again by the next who reads.
    mutating func forget() { seen = [] }
}
