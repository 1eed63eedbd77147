import Containers
import Testing

struct SmallContainersTests {
    @Test func deadlinesComeInOrderAndEqualOnesInTheOrderOfAdding() {
        var heap = DeadlineHeap<Int>()
        let deadlines: [UInt64] = [50, 10, 40, 10, 30, 20, 10]
        for (index, deadline) in deadlines.enumerated() { heap.insert(index, deadline: deadline) }
        #expect(heap.earliest == 10)
        #expect(heap.popDue(9) == nil)
        var order: [Int] = []
        while let next = heap.popDue(45) { order.append(next) }
        #expect(order == [1, 3, 6, 5, 4, 2])
        #expect(heap.count == 1)
    }

    @Test func aRingQueueKeepsItsOrderWhileItGrowsAndTurns() {
        var queue = RingQueue<Int>()
        var expected = 0
        var added = 0
        for round in 0..<200 {
            for _ in 0..<(round % 7) {
                queue.append(added)
                added += 1
            }
            for _ in 0..<(round % 5) {
                if let next = queue.popFirst() {
                    #expect(next == expected)
                    expected += 1
                }
            }
        }
        #expect(queue.count == added - expected)
        queue.filter { $0 % 2 == 0 }
        #expect(queue.count == (expected..<added).count(where: { $0 % 2 == 0 }))
    }
}
