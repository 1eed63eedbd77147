internal import Bytes
internal import Mutants

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
        if segment.residency.knowsEnds(now) { return }
        if segment.residency.isLoadingEnds { throw .loading }
        try loadEnds(of: segment)
        throw .loading
    }

    private func loadEnds(of segment: Segment) throws(LogError) {
        let memory: SegmentMemory
        do throws(StorageError) { memory = try map(segment) } catch { throw .storage(error) }
        segment.residency.isLoadingEnds = true
        // The batches that the first and the last entry of an index speak of begin there.
        let parts = segment.end <= 2 * slack ? [0..<segment.end] : [0..<slack, segment.end - slack..<segment.end]
        let ticket = start(
            .load(memory, parts: parts, files: [path(segment.base, .index), path(segment.base, .timeIndex)], all: 0..<segment.end), .load)
        background.loads[ticket] = SegmentLoad(segment: segment, windows: 0..<0, isOfEnds: true)
    }

    /// Sees to it that the bytes of `range`, as far as there are, can be read without waiting.
    func resident(_ segment: Segment, _ memory: SegmentMemory, _ range: Range<Int>, _ cold: ColdReads) throws(LogError) {
        guard case .comeBack(let now) = cold, !storage.isVolatile else { return }
        let end = min(segment.end, memory.count)
        guard range.lowerBound < min(end, range.upperBound) else { return }
        let range = range.lowerBound..<min(end, range.upperBound)
        let wanted = Residency.windows(Mutant.isActive("asksAboutBeginningsOnly") ? range.lowerBound..<range.lowerBound + 1 : range)
        let isMissing = !segment.residency.isKnown(wanted, now) && !look(atUnknownOf: wanted, segment, memory, now)
        // Who comes from the windows before, or from the front, will go on. Windows ahead are looked at once in a stride.
        let stride = Residency.windowBytes * Residency.stride
        if isMissing || range.lowerBound / stride != range.upperBound / stride || range.lowerBound == 0 {
            let behind = max(0, wanted.lowerBound - Residency.behind)..<wanted.lowerBound
            if segment.residency.isKnown(behind, now) {
                readAhead(of: wanted, segment, memory, now)
            } else if isMissing, let missing = segment.residency.unknown(wanted, now) {
                load(missing.lowerBound..<wanted.upperBound, segment, memory)
            }
        }
        // Asked twice, the system may say that a page has come by itself: only who can be called back is sent away.
        if isMissing, segment.residency.awaits(wanted, now) { throw .loading }
    }

    private func bytes(of windows: Range<Int>, _ segment: Segment, _ memory: SegmentMemory) -> Range<Int> {
        let end = min(segment.end, memory.count)
        return windows.lowerBound * Residency.windowBytes..<min(end, windows.upperBound * Residency.windowBytes)
    }

    /// Whether those of `windows` that are not known are in memory: none is on its way, and the system says so.
    private func look(atUnknownOf windows: Range<Int>, _ segment: Segment, _ memory: SegmentMemory, _ now: Instant) -> Bool {
        var rest = windows
        while let unknown = segment.residency.unknown(rest, now) {
            guard look(at: unknown, segment, memory, now) else { return false }
            rest = unknown.upperBound..<windows.upperBound
        }
        return !segment.residency.awaits(windows, now)
    }

    /// Asks the system about windows, all at once.
    private func look(at windows: Range<Int>, _ segment: Segment, _ memory: SegmentMemory, _ now: Instant) -> Bool {
        guard memory.isResident(bytes(of: windows, segment, memory)) else { return false }
        segment.residency.note(windows, now)
        return true
    }

    private func load(_ windows: Range<Int>, _ segment: Segment, _ memory: SegmentMemory) {
        segment.residency.began(windows)
        let ticket = start(.load(memory, parts: [bytes(of: windows, segment, memory)], files: [], all: 0..<0), .load)
        background.loads[ticket] = SegmentLoad(segment: segment, windows: windows, isOfEnds: false)
    }

    private func readAhead(of wanted: Range<Int>, _ segment: Segment, _ memory: SegmentMemory, _ now: Instant) {
        let count = Residency.windows(0..<min(segment.end, memory.count)).upperBound
        let stop = min(count, wanted.upperBound + Residency.ahead)
        var rest = wanted.lowerBound..<stop
        while let missing = segment.residency.unknown(rest, most: Residency.stride, now) {
            if look(at: missing, segment, memory, now) {
                rest = missing.upperBound..<stop
                continue
            }
            // One stretch, so that the disk is asked for much at once.
            let most = min(count, missing.lowerBound + max(Residency.stretch, wanted.count))
            var end = missing.upperBound
            while end < most, let more = segment.residency.unknown(end..<most, most: Residency.stride, now), more.lowerBound == end,
                !look(at: more, segment, memory, now)
            {
                end = more.upperBound
            }
            return load(missing.lowerBound..<end, segment, memory)
        }
        if stop == count, segment.isSealed, let next = following(segment), next.indexes == nil, !next.residency.isLoadingEnds,
            !next.residency.knowsEnds(now)
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
            load.segment.residency.endedEnds(now.instant)
        } else {
            load.segment.residency.ended(load.windows, now.instant)
        }
        background.hasLoaded = true
    }
}
