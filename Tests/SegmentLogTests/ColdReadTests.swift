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
            var hasFailed = false
            var comesBetweenLooks = false
        }
        let state = Mutex(State())

        var hasFailed: Bool { state.withLock { $0.hasFailed } }
        func touch(_ range: Range<Int>) {}
        func load(_ range: Range<Int>) { state.withLock { $0.resident.formUnion(Residency.windows(range)) } }
        func isResident(_ range: Range<Int>) -> Bool {
            state.withLock { state in
                state.asked += 1
                defer { if state.comesBetweenLooks { state.resident.formUnion(Residency.windows(range)) } }
                return state.resident.isSuperset(of: Residency.windows(range))
            }
        }
    }

    private let pages = Pages()

    /// A log of `count` messages of 200 KB in one segment.
    private func bench(_ count: Int) throws -> Bench {
        var options = small(.none)
        options.segmentBytes = 64 << 20
        options.maxMessageBytes = 1 << 20
        let disk = MemoryStorage(isVolatile: false)
        disk.pages = pages
        let bench = try Bench(options, disk: disk)
        for _ in 0..<count {
            try bench.append(batch: batch(zeros: 200_000))
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
    private func readAll(_ bench: Bench, maxBytes: Int = 100_000) throws -> Int {
        var at = Offset.zero
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
