import LinuxSystem
import Synchronization
import Testing

@testable import RingBuffers

/// The queue's promises, first on one thread, then under load from two; the latter also runs under the thread sanitizer.
@Suite struct RingBufferTests {
    /// What a queue holds alive is counted by its tokens.
    final class Token: Sendable {
        let number: Int
        private let living: Counter
        init(_ number: Int, _ living: Counter) {
            self.number = number
            self.living = living
            living.value.add(1, ordering: .relaxed)
        }
        deinit { living.value.subtract(1, ordering: .relaxed) }
    }

    final class Counter: Sendable {
        let value = Atomic<Int>(0)
    }

    @Test(arguments: [1, 2, 3, 8, 1000])
    func aFullRingRefusesAndAnEmptyOneHasNothing(_ wanted: Int) {
        let ring = SPSCRingBuffer<Int>(capacity: wanted)
        #expect(ring.capacity >= wanted)
        for lap in 0..<3 {
            #expect(ring.isEmpty && ring.pop() == nil)
            for number in 0..<ring.capacity { #expect(ring.push(lap * 10_000 + number)) }
            #expect(!ring.push(-1))
            #expect(ring.count == ring.capacity)
            for number in 0..<ring.capacity { #expect(ring.pop() == lap * 10_000 + number) }
        }
    }

    @Test func whatIsLeftGoesWithTheRing() {
        let living = Counter()
        do {
            let ring = SPSCRingBuffer<Token>(capacity: 8)
            for number in 0..<5 { #expect(ring.push(Token(number, living))) }
            #expect(ring.pop()?.number == 0)
            #expect(living.value.load(ordering: .relaxed) == 4)
        }
        #expect(living.value.load(ordering: .relaxed) == 0)
    }

    @Test(arguments: [1, 2, 64])
    func betweenTwoThreadsNothingIsLostOrReordered(_ capacity: Int) throws {
        let ring = SPSCRingBuffer<Token>(capacity: capacity)
        let living = Counter()
        let count = 20_000
        let writer = try Thread.spawn("writer") {
            for number in 0..<count {
                let token = Token(number, living)
                while !ring.push(token) { Thread.yield() }
            }
        }
        var expected = 0
        while expected < count {
            guard let token = ring.pop() else {
                Thread.yield()
                continue
            }
            guard token.number == expected else {
                Issue.record("\(token.number) came instead of \(expected)")
                break
            }
            expected += 1
        }
        writer.join()
        #expect(living.value.load(ordering: .relaxed) == 0)
    }
}
