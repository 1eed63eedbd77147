import Containers
import Testing

/// Method: random operations from a seed on the structure and on a naive model, compared after each step.
struct RunListTests {
    struct Tagged: Run, Equatable {
        var first: Int64
        var last: Int64
        var tag: Int
    }

    struct Random: RandomNumberGenerator {
        var state: UInt64
        mutating func next() -> UInt64 {
            state &+= 0x9e37_79b9_7f4a_7c15
            var z = state
            z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
            z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
            return z ^ (z >> 31)
        }
    }

    @Test(arguments: [1, 2, 3, 4, 5, 6] as [UInt64])
    func agreesWithAMapOfNumbers(seed: UInt64) {
        var random = Random(state: seed)
        var list = RunList<Tagged>()
        var model: [Int64: Int] = [:]
        for _ in 0..<3_000 {
            let first = Int64.random(in: 0..<3_000, using: &random)
            let last = first + Int64.random(in: 0..<(seed < 4 ? 4 : 60), using: &random)
            let tag = Int.random(in: 0..<3, using: &random)
            if Bool.random(using: &random) {
                if (first...last).allSatisfy({ model[$0] == nil }) {
                    list.insert(Tagged(first: first, last: last, tag: tag), mergingWhere: { $0.tag == $1.tag })
                    for number in first...last { model[number] = tag }
                }
            } else {
                var removed: [Int64] = []
                list.cut(first, last, where: { $0.tag == tag }) { part in removed += Array(part.first...part.last) }
                let expected = (first...last).filter { model[$0] == tag }
                #expect(removed == expected)
                for number in expected { model[number] = nil }
            }
            #expect(list.isSound)
            #expect(list.covered == Int64(model.count))
        }
        var seen: [Int64: Int] = [:]
        list.forEach { run in for number in run.first...run.last { seen[number] = run.tag } }
        #expect(seen == model)
        for number in Int64(0)..<3_100 { #expect(list.run(containing: number)?.tag == model[number]) }
    }

    @Test(arguments: [11, 12, 13] as [UInt64])
    func aRangeSetIsASet(seed: UInt64) {
        var random = Random(state: seed)
        var set = RangeSet()
        var model: Set<Int64> = []
        for _ in 0..<3_000 {
            let first = Int64.random(in: 0..<2_000, using: &random)
            let last = first + Int64.random(in: 0..<12, using: &random)
            switch Int.random(in: 0..<10, using: &random) {
            case 0..<6:
                let before = model.count
                model.formUnion(first...last)
                #expect(set.insert(first, last) == Int64(model.count - before))
            case 6..<9:
                set.remove(first, last)
                model.subtract(first...last)
            default:
                set.removeAll(below: first / 8)
                model = model.filter { $0 >= first / 8 }
            }
            #expect(set.isSound)
            #expect(set.covered == Int64(model.count))
        }
        for number in Int64(0)..<2_100 { #expect(set.contains(number) == model.contains(number)) }
    }

    @Test func aMillionSingleRunsSettleFromBothEndsAndTheMiddle() {
        var list = RunList<Tagged>()
        let count: Int64 = 100_000
        for number in 0..<count { list.insert(Tagged(first: number, last: number, tag: 0)) }
        #expect(list.count == Int(count))
        var taken = 0
        for number in 0..<count {
            let one = (number &* 48_271) % count
            list.cut(one, one) { _ in taken += 1 }
        }
        #expect(taken == Int(count))
        #expect(list.isEmpty)
    }
}
