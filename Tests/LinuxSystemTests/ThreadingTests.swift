import LinuxSystem
import Synchronization
import Testing

@Suite struct ThreadingTests {
    final class Record: Sendable {
        let numbers = Mutex<[Int]>([])
        var values: [Int] { numbers.withLock { $0 } }
        func add(_ number: Int) { numbers.withLock { $0.append(number) } }
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
