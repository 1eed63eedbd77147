// Reads of what is not in memory: they come back, and what they want is read meanwhile. And of what the disk cannot read.
import Bytes
import Synchronization
import Testing

@testable import SegmentLog

@Suite struct ColdReadTests {
    /// One segment's pages, cold until they are loaded.
    final class Pages: MemoryPages {
        struct State {
            var resident: Set<Int> = []
            var asked = 0
            /// Bytes that were asked about, and that were loaded.
            var askedBytes = 0
            var loadedBytes = 0
            var hasFailed = false
            var comesBetweenLooks = false
        }
        let state = Mutex(State())

        var hasFailed: Bool { state.withLock { $0.hasFailed } }
        func touch(_ range: Range<Int>) {}
        func load(_ range: Range<Int>) {
            state.withLock { state in
                state.resident.formUnion(Residency.windows(range))
                state.loadedBytes += range.count
            }
        }
        func isResident(_ range: Range<Int>) -> Bool {
            state.withLock { state in
                state.asked += 1
                state.askedBytes += range.count
                defer { if state.comesBetweenLooks { state.resident.formUnion(Residency.windows(range)) } }
                return state.resident.isSuperset(of: Residency.windows(range))
            }
        }
    }

    private let pages = Pages()

    /// A log of so many messages in one segment.
    private func bench(_ count: Int, bytes: Int = 200_000) throws -> Bench {
        var options = small(.none)
        options.segmentBytes = 64 << 20
        options.maxMessageBytes = 1 << 20
        let disk = MemoryStorage(isVolatile: false)
        disk.pages = pages
        let bench = try Bench(options, disk: disk)
        for _ in 0..<count {
            try bench.append(batch: batch(zeros: bytes))
            bench.log.endTick(now: bench.now)
        }
        bench.settle()
        return bench
    }

    private func cold(_ bench: Bench) -> ColdReads { .comeBack(bench.now.instant) }

    private func answer(_ bench: Bench, _ at: Offset, _ maxBytes: Int) -> Result<ReadResult?, LogError> {
        do throws(LogError) {
            return .success(try bench.log.read(from: at, maxBytes: maxBytes, below: bench.log.visibleEnd, cold: cold(bench)))
        } catch { return .failure(error) }
    }

    /// Reads on until the end, handing in completions where it is told to come back; answers how often that was.
    private func readAll(_ bench: Bench, from start: Offset = .zero, maxBytes: Int = 100_000) throws -> Int {
        var at = start
        var told = 0
        while at < bench.log.visibleEnd {
            switch answer(bench, at, maxBytes) {
            case .success(let found): at = try #require(found).next
            case .failure(.loading):
                told += 1
                bench.settle()
                let hasLoaded = bench.log.takeLoaded()
                #expect(hasLoaded, "what it waits for was under way")
                try #require(told < 1_000)
            case .failure(let error): throw error
            }
        }
        #expect(at == bench.log.visibleEnd)
        return told
    }

    @Test func whatWasJustWrittenIsReadWithoutAsking() throws {
        let bench = try bench(60)
        #expect(try readAll(bench) == 0)
        #expect(pages.state.withLock { $0.asked } == 0)
    }

    /// For at least half of the five seconds, however it was written; then it is asked for.
    @Test(arguments: [0, 40, 400, 3_000]) func whatWasWrittenIsKnownForAWhile(_ pause: Int64) throws {
        let bench = try bench(0)
        for _ in 0..<50 {
            try bench.append(batch: batch(zeros: 50_000))
            bench.settle()
            bench.pass(milliseconds: pause)
        }
        bench.pass(milliseconds: 2_400 - min(pause, 2_400))
        _ = answer(bench, Offset(49), 1)
        #expect(pages.state.withLock { $0.asked } == 0)
        bench.pass(milliseconds: 3_000)
        _ = answer(bench, Offset(49), 1)
        #expect(pages.state.withLock { $0.asked } > 0)
    }

    /// It is led to the last write, without a search; that may be long ago.
    @Test func whoFollowsTheLogAndComesBackLateDoesNotWaitForTheDisk() throws {
        let bench = try bench(3)
        #expect(try readAll(bench) == 0)
        try bench.append(batch: batch(zeros: 1_000))
        bench.settle()
        bench.pass(milliseconds: 60_000)
        guard case .failure(.loading) = answer(bench, Offset(3), 1 << 20) else {
            Issue.record("read where it may not be in memory")
            return
        }
        bench.settle()
        let hasLoaded = bench.log.takeLoaded()
        #expect(hasLoaded)
        #expect(try readAll(bench, from: Offset(3), maxBytes: 1 << 20) == 0)
    }

    @Test func aColdReaderComesBackAndFindsTheNextOnTheirWay() throws {
        let bench = try bench(100)
        bench.pass(milliseconds: 60_000)
        let told = try readAll(bench)
        // 20 MB in stretches of 8 MiB; and the windows that begin while those behind them are still awaited.
        #expect(told > 0 && told < 8)
        // Once in memory it is not asked for again.
        let asked = pages.state.withLock { $0.asked }
        #expect(try readAll(bench) == 0)
        #expect(pages.state.withLock { $0.asked } == asked)
    }

    /// Whole windows round the batch itself: no more is asked about, nor read in for whoever will not go on from there.
    @Test(arguments: [500, 6_000, 50_000, 200_000]) func aReaderHereAndThereAsksForWhatItWants(_ size: Int) throws {
        let bench = try bench(20_000_000 / (size + 100), bytes: size)
        bench.pass(milliseconds: 60_000)
        var random = Seeded(3)
        var reads = 0
        // Loaded once and never known for long: each read asks again.
        while reads < 50 {
            let at = Offset(Int64.random(in: 0..<bench.log.visibleEnd.rawValue, using: &random))
            let before = pages.state.withLock { ($0.askedBytes, $0.loadedBytes) }
            var found: ReadResult?
            while found == nil {
                switch answer(bench, at, 1) {
                case .success(let read): found = try #require(read)
                case .failure(.loading): bench.settle()
                case .failure(let error): throw error
                }
            }
            let range = try #require(found).slice.range
            bench.settle()
            bench.pass(milliseconds: 60_000)
            // Whoever begins at the front will go on.
            guard range.lowerBound >= Residency.windowBytes else { continue }
            // Of small batches some lie between two entries of the index.
            let most = 4 * Residency.windowBytes + max(2 * size, 3 * 4_096)
            let after = pages.state.withLock { ($0.askedBytes, $0.loadedBytes) }
            #expect(after.0 - before.0 <= most && after.1 - before.1 <= most, "\(after.0 - before.0), \(after.1 - before.1) of \(range)")
            #expect(pages.state.withLock { $0.resident.isSuperset(of: Residency.windows(range)) }, "all that is handed out is in memory")
            reads += 1
        }
    }

    /// Reads of many batches, of batches of all sizes, from everywhere, below limits that lie anywhere: what is handed out is in memory.
    @Test(arguments: 1...8) func whatIsHandedOutIsInMemory(_ seed: Int) throws {
        var random = Seeded(seed)
        let bench = try bench(0)
        for _ in 0..<300 {
            try bench.append(batch: batch(zeros: [100, 1_000, 10_000, 70_000].randomElement(using: &random) ?? 1))
            if Bool.random(using: &random) { bench.log.endTick(now: bench.now) }
        }
        bench.settle()
        let end = bench.log.visibleEnd.rawValue
        for _ in 0..<200 {
            // What was read ahead has ended before it goes.
            bench.settle()
            bench.pass(milliseconds: 10_000)
            if Bool.random(using: &random) { pages.state.withLock { $0.resident = [] } }
            let at = Int64.random(in: 0..<end, using: &random)
            let limit = Offset(Int64.random(in: (at + 1)...end, using: &random))
            let maxBytes = [0, 200, 5_000, 100_000, 3_000_000].randomElement(using: &random) ?? 0
            var found: ReadResult?
            while found == nil {
                do throws(LogError) {
                    found = try bench.log.read(from: Offset(at), maxBytes: maxBytes, below: limit, cold: cold(bench))
                } catch {
                    guard case .loading = error else { throw error }
                    bench.settle()
                }
            }
            let slice = try #require(found).slice
            #expect(pages.state.withLock { $0.resident.isSuperset(of: Residency.windows(slice.range)) })
            #expect(found?.first == Offset(at) && (found?.next ?? .zero) <= limit)
            let waited = try bench.log.read(from: Offset(at), maxBytes: maxBytes, below: limit)
            #expect(waited?.slice.range == slice.range && waited?.next == found?.next)
        }
    }

    /// A reader that goes on from batch to batch asks about a MiB at once, and finds it loaded.
    @Test func whoGoesOnAsksOnceInAStride() throws {
        let bench = try bench(10_000, bytes: 2_000)
        bench.pass(milliseconds: 60_000)
        let windows = 20_600_000 / Residency.windowBytes
        pages.state.withLock { $0.resident = Set(0...windows) }
        #expect(try readAll(bench, maxBytes: 4_000) == 0)
        #expect(pages.state.withLock { $0.asked } <= 6 + windows / Residency.stride)
        #expect(pages.state.withLock { $0.loadedBytes } == 0)
    }

    /// Whoever begins in the middle has little read in for the first answer, and much once it goes on.
    @Test func whoBeginsInTheMiddleAndGoesOnFindsTheNextOnTheirWay() throws {
        let bench = try bench(10_000, bytes: 2_000)
        bench.pass(milliseconds: 60_000)
        #expect(try readAll(bench, from: Offset(5_000), maxBytes: 4_000) < 16)
        #expect(pages.state.withLock { $0.loadedBytes } < 10_600_000)
    }

    @Test func afterAStartTheIndexesAreLoadedFirst() throws {
        let bench = try bench(100)
        try bench.log.close(now: bench.now)
        try bench.reopen()
        #expect(throws: LogError.self) { try bench.log.read(from: .zero, maxBytes: 1, below: bench.log.visibleEnd, cold: cold(bench)) }
        #expect(bench.log.segments.last?.indexes == nil, "nothing was read on this thread")
        bench.settle()
        #expect(try readAll(bench) < 8)
    }

    /// Pages that come in by themselves, between two looks: whoever is sent away has something under way that calls him back, which
    /// `readAll` sees to.
    @Test func nobodyIsSentAwayForWhatHasComeMeanwhile() throws {
        let bench = try bench(100)
        bench.pass(milliseconds: 60_000)
        pages.state.withLock { $0.comesBetweenLooks = true }
        #expect(try readAll(bench) < 8)
    }

    @Test func oneWhoWaitsIsNeverToldToComeBack() throws {
        let bench = try bench(20)
        bench.pass(milliseconds: 60_000)
        #expect(try bench.log.read(from: .zero, maxBytes: 1, below: bench.log.visibleEnd) != nil)
        #expect(pages.state.withLock { $0.asked } == 0)
    }

    @Test func whatTheDiskCannotReadStopsTheLogAndIsToldToEachReader() throws {
        let bench = try bench(20)
        let before = try #require(try bench.log.batch(at: Offset(3), below: bench.log.visibleEnd))
        pages.state.withLock { $0.hasFailed = true }
        #expect(throws: LogError.self) { try bench.log.checkMemory(of: before) }
        #expect(bench.log.fault?.operation == "read")
        for _ in 0..<2 {
            #expect(throws: LogError.self) { try bench.log.read(from: Offset(3), maxBytes: 1, below: bench.log.visibleEnd) }
        }
        #expect(throws: LogError.self) { try bench.append("more") }
        #expect(bench.log.visibleEnd == Offset(20), "what was visible stays so")
    }
}
