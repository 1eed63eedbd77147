import BrokerCore
import SegmentLog
import Testing

/// Method: the cursor and a naive model with one state per offset take the same random steps; after each they must say the same, and
/// the cursor's own invariant must hold.
struct CursorTests {
    enum State: Equatable {
        case settled
        case flying(consumer: UInt32, attempt: Int32, deadline: UInt64)
        case again(attempts: Int32)
    }

    struct Model {
        var states: [State] = []
        var start = 0
        var floor: Int { (start..<max(start, states.count)).first { states[$0] != .settled } ?? states.count }
    }

    struct Random {
        var state: UInt64
        mutating func below(_ bound: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % bound
        }
    }

    @Test(arguments: Array(1...24) as [UInt64])
    func agreesWithOneStatePerOffset(seed: UInt64) {
        var random = Random(state: seed)
        var cursor = Cursor(at: .zero)
        var model = Model()
        var end = 0
        var now: UInt64 = 1_000
        let limit: Int32 = seed % 2 == 0 ? 3 : 0

        func give(_ index: Int, counted: Bool, _ exhausted: inout Set<Int>) {
            guard case .flying(_, let attempt, _) = model.states[index] else { return }
            if counted, limit > 0, attempt >= limit {
                model.states[index] = .flying(consumer: 0, attempt: attempt, deadline: .max)
                exhausted.insert(index)
            } else {
                model.states[index] = .again(attempts: counted ? attempt : attempt - 1)
            }
        }
        func numbers(_ ranges: [ClosedRange<Int64>]) -> Set<Int> { Set(ranges.flatMap { $0 }.map { Int($0) }) }

        for _ in 0..<1_500 {
            let consumer = UInt32(1 + random.below(3))
            let first = model.start + random.below(max(1, model.states.count - model.start))
            let last = first + random.below(8)
            func mine() -> [Int] {
                (first...last).filter { index in
                    guard index < model.states.count, case .flying(let owner, _, _) = model.states[index] else { return false }
                    return owner == consumer
                }
            }
            switch random.below(14) {
            case 0, 1:
                end += random.below(12)
            case 2, 3, 4, 5:
                let pending = cursor.pending(below: Offset(Int64(end)))
                let again = model.states.indices.first { index in
                    if case .again = model.states[index] { return index >= model.start }
                    return false
                }
                if let again {
                    #expect(pending?.first == Offset(Int64(again)))
                    #expect(pending?.isRedelivery == true)
                } else {
                    #expect((pending?.first.rawValue ?? Int64(end)) == Int64(min(end, model.states.count)))
                }
                guard let pending else { break }
                let through = min(pending.last, pending.first + Int64(random.below(6)))
                let deadline = random.below(3) == 0 ? UInt64.max : now + UInt64(1 + random.below(20)) * 10
                // Consumers that settle by reading; in some runs almost all of them, so that nothing is unsettled most of the time.
                let passes = random.below(16) < (seed % 3 == 2 ? 15 : 2)
                if passes {
                    let count = cursor.pass(pending, through: through, by: consumer)
                    #expect(count == through - pending.first + 1)
                } else {
                    cursor.take(pending, through: through, by: consumer, until: Instant(rawValue: deadline))
                }
                for offset in pending.first.rawValue...through.rawValue {
                    let index = Int(offset)
                    if passes {
                        if index == model.states.count { model.states.append(.settled) } else { model.states[index] = .settled }
                        continue
                    }
                    if index == model.states.count {
                        model.states.append(.flying(consumer: consumer, attempt: 1, deadline: deadline))
                    } else if case .again(let attempts) = model.states[index] {
                        #expect(pending.attempt == attempts + 1)
                        model.states[index] = .flying(consumer: consumer, attempt: attempts + 1, deadline: deadline)
                    } else {
                        Issue.record("offset \(index) was handed out while \(model.states[index])")
                    }
                }
            case 6, 7, 8:
                let expected = mine()
                let count = cursor.settle(Offset(Int64(first)), Offset(Int64(last)), by: consumer)
                #expect(count == Int64(expected.count))
                for index in expected { model.states[index] = .settled }
            case 9:
                let counted = random.below(2) == 0
                let expected = mine()
                var exhausted: Set<Int> = []
                let returned = cursor.requeue(Offset(Int64(first)), Offset(Int64(last)), by: consumer, counted: counted, limit: limit)
                for index in expected { give(index, counted: counted, &exhausted) }
                #expect(returned.count == Int64(expected.count))
                #expect(numbers(returned.exhausted) == exhausted)
            case 10:
                let expected = mine()
                let deadline = now + UInt64(random.below(40)) * 10 + 10
                let count = cursor.extend(Offset(Int64(first)), Offset(Int64(last)), by: consumer, until: Instant(rawValue: deadline))
                #expect(count == Int64(expected.count))
                for index in expected {
                    if case .flying(let owner, let attempt, _) = model.states[index] {
                        model.states[index] = .flying(consumer: owner, attempt: attempt, deadline: deadline)
                    }
                }
            case 11:
                now += UInt64(random.below(8)) * 10
                var lost: Int64 = 0
                let returned = cursor.expire(Instant(rawValue: now), limit: limit) { lost += $1 }
                var expected = 0
                var exhausted: Set<Int> = []
                for index in model.states.indices where index >= model.start {
                    if case .flying(_, _, let deadline) = model.states[index], deadline <= now {
                        expected += 1
                        give(index, counted: true, &exhausted)
                    }
                }
                #expect(returned.count == Int64(expected))
                #expect(lost == Int64(expected))
                #expect(numbers(returned.exhausted) == exhausted)
            case 12:
                switch random.below(6) {
                case 0:
                    var exhausted: Set<Int> = []
                    let returned = cursor.release(consumer: consumer, counted: true, limit: limit)
                    for index in model.states.indices where index >= model.start {
                        if case .flying(let owner, _, _) = model.states[index], owner == consumer { give(index, counted: true, &exhausted) }
                    }
                    #expect(numbers(returned.exhausted) == exhausted)
                case 1:
                    let start = model.floor + random.below(10)
                    guard start <= end else { break }
                    cursor.logStarts(at: Offset(Int64(start)))
                    while model.states.count < start { model.states.append(.settled) }
                    for index in model.states.indices where index < start { model.states[index] = .settled }
                    model.start = max(model.start, start)
                case 2:
                    let count = cursor.purge(below: Offset(Int64(end)))
                    var expected = Int64(end - model.states.count)
                    for index in model.states.indices {
                        if case .again = model.states[index] {
                            model.states[index] = .settled
                            expected += 1
                        }
                    }
                    while model.states.count < end { model.states.append(.settled) }
                    #expect(count == expected)
                default: break
                }
            default:
                // The broker has moved what was exhausted.
                let expected = (first...last).filter { index in
                    guard index < model.states.count, case .flying(0, _, _) = model.states[index] else { return false }
                    return true
                }
                #expect(cursor.settle(Offset(Int64(first)), Offset(Int64(last)), by: Cursor.broker) == Int64(expected.count))
                for index in expected { model.states[index] = .settled }
            }
            #expect(cursor.isSound)
            #expect(cursor.floor.rawValue == Int64(model.floor))
            #expect(cursor.next.rawValue == Int64(model.states.count))
            let flying = model.states.count { if case .flying = $0 { true } else { false } }
            #expect(cursor.inFlightCount == Int64(flying))
        }
    }

    @Test func whatWasInFlightWhenItWasWrittenComesAgain() {
        var cursor = Cursor(restored: Offset(10), next: Offset(30))
        cursor.restore(settled: 12, 14)
        cursor.restore(settled: 20, 24)
        cursor.restore(redelivery: 16, 17, attempts: 2)
        cursor.restored(start: Offset(5), end: Offset(40), clean: true)
        #expect(cursor.isSound)
        var seen: [String] = []
        while let pending = cursor.pending(below: Offset(40)), pending.isRedelivery {
            seen.append("\(pending.first)-\(pending.last) \(pending.attempt)")
            cursor.take(pending, through: pending.last, by: 1, until: .distantFuture)
        }
        #expect(seen == ["10-11 1", "15-15 1", "16-17 3", "18-19 1", "25-29 1"])
        #expect(cursor.pending(below: Offset(40))?.first == Offset(30))
    }

    @Test func afterAnUncleanStopEverythingThereMayHaveBeenDelivered() {
        var cursor = Cursor(restored: Offset(10), next: Offset(12))
        cursor.restored(start: .zero, end: Offset(20), clean: false)
        #expect(cursor.isSound)
        let pending = cursor.pending(below: Offset(25))
        #expect(pending == Cursor.Pending(first: Offset(10), last: Offset(19), attempt: 1, isRedelivery: true))
    }

    @Test func aPlaceBehindAShortenedLogGoesBackToItsEnd() {
        var cursor = Cursor(restored: Offset(50), next: Offset(60))
        cursor.restore(settled: 55, 58)
        cursor.restored(start: .zero, end: Offset(40), clean: false)
        #expect(cursor.isSound)
        #expect(cursor.floor == Offset(40))
        #expect(cursor.pending(below: Offset(40)) == nil)
    }

    @Test func restoringHostileRangesKeepsTheInvariant() {
        var cursor = Cursor(restored: Offset(10), next: Offset(20))
        cursor.restore(settled: 5, 12)
        cursor.restore(settled: 12, 11)
        cursor.restore(settled: 10, 13)
        cursor.restore(settled: 19, 25)
        cursor.restore(redelivery: 14, 16, attempts: -5)
        cursor.restore(redelivery: 15, 17, attempts: 1)
        cursor.restored(start: .zero, end: Offset(100), clean: true)
        #expect(cursor.isSound)
        #expect(cursor.floor == Offset(14))
    }
}
