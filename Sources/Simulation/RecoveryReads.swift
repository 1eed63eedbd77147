internal import SegmentLog

/// S-d: recovery takes a second for each GiB of log that is unchecked, at most. A simulated disk has no speed, but it knows what is read of
/// it: after a clean stop nothing of any segment; else nothing of what had been durable for longer than a checkpoint may lag behind; each
/// byte of what stays once, of a torn tail twice (to check it, and to say how much is cut).
struct RecoveryReads {
    /// What became durable in this life, and when.
    private var flushes: [(offset: Int64, at: UInt64)] = []
    private var flushed: Int64 = 0
    /// Below it nothing has to be read again.
    private var vouched: Int64 = 0

    /// A checkpoint is written every second while something becomes durable.
    static let checkpointNanoseconds: UInt64 = 1_000_000_000

    mutating func opened(flushed: Int64) {
        self.flushed = flushed
        flushes = []
    }

    mutating func saw(flushed offset: Int64, at instant: UInt64) {
        guard offset > flushed else { return }
        flushed = offset
        flushes.append((offset, instant))
    }

    /// The life has ended; a checkpoint takes at most `slack` to be durable.
    mutating func ended(at instant: UInt64, slack: UInt64) {
        if let last = flushes.last(where: { $0.at + RecoveryReads.checkpointNanoseconds + slack <= instant }) { vouched = max(vouched, last.offset) }
    }

    /// - Parameter end: where the recovered log ends.
    func check(_ notes: [SimulatedDisk.ReadNote], of directory: String, on disk: SimulatedDisk, wasClean: Bool, end: Int64) throws(Violation) {
        let bases = disk.paths.filter { $0.hasPrefix(directory + "/") }.compactMap(base).sorted()
        for (index, start) in bases.enumerated() {
            let reads = notes.filter { base($0.path) == start && !$0.range.isEmpty }
            guard let path = reads.first?.path else { continue }
            if wasClean { throw Violation(.slowRecovery, "\(path) is read after a clean stop") }
            guard let content = disk.content(path) else { continue }
            let next = index + 1 < bases.count ? bases[index + 1] : .max
            let kept = next <= vouched ? content.count : start < vouched ? ReferenceBatch.position(of: vouched, in: content, from: start) ?? 0 : 0
            // A segment that others follow may have a tail, too: it is cut only when nobody writes it any more.
            let torn = start <= end ? ReferenceBatch.position(of: min(end, next), in: content, from: start) ?? content.count : 0
            var times = [UInt8](repeating: 0, count: content.count)
            for read in reads { for position in read.range where position < times.count { times[position] &+= 1 } }
            for (position, count) in times.enumerated() where count > 0 {
                if position < kept {
                    throw Violation(.slowRecovery, "\(path) is read at \(position); everything below \(vouched), at \(kept), was vouched for")
                }
                if count > (position < torn ? 1 : 2) { throw Violation(.slowRecovery, "\(path) is read \(count) times at \(position); sound up to \(torn)") }
            }
        }
    }

    /// The first offset of a segment, by its file's name.
    private func base(_ path: String) -> Int64? {
        guard path.hasSuffix(".log") else { return nil }
        return Int64(Path.split(path).name.dropLast(4))
    }
}
