import LinuxSystem
import Synchronization
import Testing

@testable import ShardRuntime

@Suite struct WorkQueueTests {
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
}
