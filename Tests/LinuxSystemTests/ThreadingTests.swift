import LinuxSystem
import Synchronization
import Testing

@Suite struct ThreadingTests {
    final class Record: Sendable {
        let numbers = Mutex<[Int]>([])
        var values: [Int] { numbers.withLock { $0 } }
        func add(_ number: Int) { numbers.withLock { $0.append(number) } }
    }

    @Test func oneHelperThreadKeepsTheOrder() throws {
        let record = Record()
        let queue = try WorkQueue<Int>("test") { record.add($0) }
        for number in 0..<1000 { queue.add(number) }
        queue.stop()
        #expect(record.values == Array(0..<1000))
    }

    @Test func severalHelperThreadsDoEverythingOnce() throws {
        let record = Record()
        let queue = try WorkQueue<Int>("test", threadsMax: 4) { record.add($0) }
        for number in 0..<1000 { queue.add(number) }
        queue.stop()
        #expect(record.values.sorted() == Array(0..<1000))
        queue.add(1)
        #expect(record.values.count == 1000, "a stopped queue takes nothing")
    }

    /// A job that waits for another needs a second thread.
    @Test func jobsThatWaitRunBesideEachOther() throws {
        let gate = try EventCounter(.semaphore)
        let record = Record()
        let queue = try WorkQueue<Int>("test", threadsMax: 2) { number in
            if number == 0 { gate.take() } else { gate.raise() }
            record.add(number)
        }
        queue.add(0)
        queue.add(1)
        queue.stop()
        #expect(record.values.sorted() == [0, 1])
        gate.close()
    }

    @Test func aThreadHasTheStackItWasGiven() throws {
        let record = Record()
        let thread = try Thread.spawn("deep", stackBytes: 64 << 20) { record.add(depth(100_000)) }
        thread.join()
        #expect(record.values == [100_000])
    }

    @Test func aThreadCanBePinnedWhereACoreIs() throws {
        let record = Record()
        let thread = try Thread.spawn("pinned") {
            record.add((try? Thread.pin(toCore: 0)) == nil ? 0 : 1)
            record.add((try? Thread.pin(toCore: 5000)) == nil ? 0 : 1)
        }
        thread.join()
        #expect(record.values == [1, 0])
    }

    @Test func blockedSignalsAreWaitedForAsValues() async {
        await #expect(processExitsWith: .success) {
            try Signal.block([.terminate, .hangUp])
            #expect(Signal.wait(for: [.terminate, .hangUp], atMost: 0) == nil)
            try Signal.raise(.hangUp)
            #expect(Signal.wait(for: [.terminate, .hangUp]) == .hangUp)
            try Signal.raise(.terminate)
            #expect(Signal.wait(for: [.terminate, .hangUp], atMost: 10_000_000_000) == .terminate)
        }
    }
}

/// Recursion that the optimiser cannot turn into a loop.
@inline(never)
private func depth(_ left: Int) -> Int {
    if left == 0 { return 0 }
    let below = depth(left - 1)
    return withExtendedLifetime(left) { below + 1 }
}
