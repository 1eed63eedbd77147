internal import Mutants

/// What is kept of sealed segments so that reading them again is cheap: mappings and indexes, of all logs of one broker.
///
/// Both are bounded. What goes is what was read longest ago, of sixteen that are looked at: reading only takes a number. Nothing stays that
/// had no reader for a minute or two (`release`), so a broker at rest keeps none. What deliveries hold of a mapping stays mapped until they
/// are sent.
///
/// Belongs to the thread of its logs. Invariant: a segment is in it only while it is sealed, in its log, and mapped or indexed; who takes
/// one out of its log says so (`forget`), who lets go of its mapping or its indexes otherwise notes it anew.
package final class SegmentCache {
    package struct Bounds: Sendable, Equatable {
        /// Each has a descriptor, and a place in the process's memory map: Linux admits 65,530 by default.
        package var mappings = 1_024
        /// Of what was read the page tables take a 512th.
        package var mappedBytes = 32 << 30
        /// An index has at most 24 bytes for every 4 KiB of log.
        package var indexBytes = 32 << 20

        package init() {}

        /// For simulations: room for so little that something goes with almost every read.
        package static var tight: Bounds {
            var bounds = Bounds()
            bounds.mappings = 2
            bounds.indexBytes = 256
            return bounds
        }

        /// What one of so many brokers may keep.
        package func share(of count: Int) -> Bounds {
            if count == 1 { return self }
            var share = self
            share.mappings = max(16, mappings / count)
            share.mappedBytes = max(1 << 30, mappedBytes / count)
            share.indexBytes = max(1 << 20, indexBytes / count)
            return share
        }
    }

    /// What it knows of a segment.
    struct Entry {
        /// Where it is in `segments`; nil when it is not.
        var slot: Int?
        var mappedBytes: Int?
        var indexBytes = 0
        /// When it was last read: the number of that read.
        var lastRead: UInt64 = 0
    }

    private enum Part { case mapping, indexes }

    package let bounds: Bounds
    package private(set) var mappings = 0
    package private(set) var mappedBytes = 0
    package private(set) var indexBytes = 0
    private(set) var segments: [Segment] = []
    /// Where the next look for one to let go begins.
    private var hand = 0
    private var reads: UInt64 = 0
    private var lastRelease = (at: Instant(rawValue: 0), reads: UInt64(0))

    package init(_ bounds: Bounds = Bounds()) { self.bounds = bounds }

    func noteRead(_ segment: Segment) {
        reads &+= 1
        segment.cached.lastRead = reads
    }

    /// Counts what the segment has now, and lets go of others where that is too much.
    ///
    /// - Parameter isShort: descriptors are short, so that another mapping takes the place of two.
    func note(_ segment: Segment, isShort: Bool = false) {
        count(segment)
        if Mutant.isActive("keepsMoreThanTheBoundsSay") { return }
        if isShort { for _ in 0..<2 { _ = letOneGo(.mapping, but: segment) } }
        while mappings > bounds.mappings || mappedBytes > bounds.mappedBytes, letOneGo(.mapping, but: segment) {}
        while indexBytes > bounds.indexBytes, letOneGo(.indexes, but: segment) {}
    }

    /// The segment leaves its log, or the log is closed. Its mapping and indexes are its own affair from now on.
    func forget(_ segment: Segment) {
        if Mutant.isActive("keepsWhatLeftTheLog") { return }
        count(segment, nil, 0)
        leave(segment)
    }

    /// Lets go of what nobody has read for a minute, or two: nothing, unless a minute has passed since the last time.
    package func release(now: Instant) {
        guard now.nanoseconds(since: lastRelease.at) >= 60_000_000_000 else { return }
        for segment in segments where segment.cached.lastRead <= lastRelease.reads {
            letGo(.mapping, of: segment)
            letGo(.indexes, of: segment)
        }
        lastRelease = (now, reads)
    }

    /// Lets go of all mappings. False: there were none.
    func releaseMappings() -> Bool {
        let hadSome = mappings > 0
        for segment in segments { letGo(.mapping, of: segment) }
        return hadSome
    }

    // MARK: Private parts

    private static let sample = 16

    /// Answers false where there is nothing to let go of but what `kept` has.
    private func letOneGo(_ part: Part, but kept: Segment) -> Bool {
        var oldest: Segment?
        var looked = 0
        for _ in segments.indices where looked < Self.sample {
            if hand >= segments.count { hand = 0 }
            let segment = segments[hand]
            hand += 1
            guard segment !== kept, part == .mapping ? segment.cached.mappedBytes != nil : segment.cached.indexBytes > 0 else { continue }
            looked += 1
            if let found = oldest, found.cached.lastRead <= segment.cached.lastRead { continue }
            oldest = segment
        }
        guard let oldest else { return false }
        letGo(part, of: oldest)
        return true
    }

    private func letGo(_ part: Part, of segment: Segment) {
        switch part {
        case .mapping:
            segment.memory = nil
            segment.residency.forget()
        case .indexes: segment.indexes = nil
        }
        count(segment)
    }

    private func count(_ segment: Segment) {
        count(segment, segment.memory?.count, segment.indexes?.bytes ?? 0)
        let isKept = segment.memory != nil || segment.indexes != nil
        if !isKept {
            leave(segment)
        } else if segment.cached.slot == nil {
            segment.cached.slot = segments.count
            segments.append(segment)
        }
    }

    private func count(_ segment: Segment, _ mapped: Int?, _ index: Int) {
        if let before = segment.cached.mappedBytes {
            mappings -= 1
            mappedBytes -= before
        }
        if let mapped {
            mappings += 1
            mappedBytes += mapped
        }
        indexBytes += index - segment.cached.indexBytes
        segment.cached.mappedBytes = mapped
        segment.cached.indexBytes = index
    }

    /// The last takes its place.
    private func leave(_ segment: Segment) {
        guard let slot = segment.cached.slot else { return }
        segment.cached.slot = nil
        let last = segments.removeLast()
        guard last !== segment else { return }
        segments[slot] = last
        last.cached.slot = slot
    }
}
