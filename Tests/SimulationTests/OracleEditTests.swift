import SegmentLog
import Testing

@testable import Simulation

/// Histories made by chance: each passes as it was made, and none passes with one thing in it made wrong.
@Suite struct OracleEditTests {
    // MARK: Logs

    private struct LogHistory {
        var count: Int
        var flushed: Int
        /// What a recovery after power loss found.
        var found: [ReferenceBatch.Record]

        init(_ random: inout RandomStream) {
            count = random.within(3...40)
            flushed = random.within(2...count)
            let end = random.within(flushed...count)
            found = (0..<end).map { LogHistory.record($0) }
        }

        static func record(_ offset: Int) -> ReferenceBatch.Record {
            ReferenceBatch.Record(offset: Int64(offset), message: UInt64(offset) + 100, timestamp: 1_000 + Int64(offset))
        }

        func judge() throws {
            var oracle = LogOracle(durability: .group)
            for offset in 0..<count {
                try oracle.appended([UInt64(offset) + 100], timestamps: [1_000 + Int64(offset)], base: Int64(offset), count: 1)
                try oracle.ticked(end: Int64(offset + 1), written: Int64(offset + 1), at: UInt64(offset))
            }
            let marks = Watermarks(start: .zero, flushed: Offset(Int64(flushed)), end: Offset(Int64(count)))
            try oracle.saw(marks, visibleEnd: Int64(flushed), waitsForFlush: true)
            try oracle.recovered(found, start: 0, end: Int64(found.count), after: .powerLost)
            if let last = found.last { try oracle.read(found, from: 0, below: last.offset + 1) }
        }

        /// Makes one thing wrong.
        mutating func spoil(_ random: inout RandomStream) -> String {
            let place = random.below(found.count)
            switch random.below(6) {
            case 0:
                found.removeLast(found.count - random.below(flushed))
                return "cut below what was flushed"
            case 1:
                found[place].message = UInt64(random.below(1_000)) + 1_000
                return "another message at \(place)"
            case 2:
                let other = (place + 1 + random.below(found.count - 1)) % found.count
                found.swapAt(place, other)
                return "\(place) and \(other) have changed places"
            case 3:
                while found.count < count { found.append(LogHistory.record(found.count)) }
                found.append(LogHistory.record(found.count))
                return "one more than was ever appended"
            case 4:
                found[place].offset += 1 + Int64(random.below(5))
                return "another offset at \(place)"
            default:
                found[place].timestamp += 1
                return "another time at \(place)"
            }
        }
    }

    @Test func aLogHistoryPassesAndNoneWithOneThingWrong() throws {
        for seed in 0..<1_000 {
            var random = Seed(UInt64(seed)).stream("edits")
            var history = LogHistory(&random)
            try history.judge()
            let what = history.spoil(&random)
            #expect(throws: Violation.self, "seed \(seed): \(what)") { try history.judge() }
        }
    }

    // MARK: Queues

    private struct Delivery {
        var message: UInt64
        var offset: Int64
        var attempt: Int
        var isRedelivery: Bool
    }

    private enum Event {
        case published(UInt64, Int64)
        case delivered(Delivery)
        case settled(UInt64, QueueOracle.Outcome)
        case confirmed(UInt64)
        case restarted(cleanly: Bool)
        case drained
    }

    /// One consumer that takes everything in order, several times over, with restarts in between.
    private func queueHistory(_ random: inout RandomStream) -> [Event] {
        var events: [Event] = []
        let count = random.within(2...12)
        for number in 0..<count { events.append(.published(UInt64(number), Int64(number))) }
        var tries = [Int](repeating: 0, count: count)
        var triesInLife = tries
        var isDone = [Bool](repeating: false, count: count)
        var isSafe = isDone
        var next = 0
        while isDone.contains(false) || next < count {
            if random.chance(0.1) {
                let cleanly = random.chance(0.5)
                events.append(.restarted(cleanly: cleanly))
                triesInLife = [Int](repeating: 0, count: count)
                if !cleanly { for number in 0..<count where !isSafe[number] { isDone[number] = false } }
            }
            guard let number = (0..<count).first(where: { !isDone[$0] }) else { break }
            next = max(next, number + 1)
            // The count of attempts is a lower bound after a crash.
            events.append(
                .delivered(
                    Delivery(message: UInt64(number), offset: Int64(number), attempt: triesInLife[number] + 1, isRedelivery: tries[number] > 0)))
            tries[number] += 1
            triesInLife[number] += 1
            if random.chance(0.3) {
                events.append(.settled(UInt64(number), .requeued))
            } else {
                events.append(.settled(UInt64(number), .accepted))
                isDone[number] = true
                if random.chance(0.5) {
                    events.append(.confirmed(UInt64(number)))
                    isSafe[number] = true
                }
            }
        }
        return events + [.drained]
    }

    private func judge(_ events: [Event]) throws {
        var oracle = QueueOracle(deliveryLimit: 3)
        for event in events {
            switch event {
            case .published(let message, let offset):
                oracle.attempted(message)
                try oracle.published(message, at: offset)
            case .delivered(let one):
                try oracle.delivered(one.message, at: one.offset, attempt: one.attempt, isRedelivery: one.isRedelivery, now: 0, leaseEnd: 1_000)
            case .settled(let message, let outcome): oracle.settled(message, outcome)
            case .confirmed(let message): oracle.confirmed(message)
            case .restarted(let cleanly): oracle.restarted(cleanly: cleanly)
            case .drained: try oracle.drained()
            }
        }
    }

    /// Makes one thing wrong; nil where there was nothing of the kind.
    private func spoil(_ events: inout [Event], _ random: inout RandomStream) -> String? {
        let deliveries = events.indices.filter { if case .delivered = events[$0] { true } else { false } }
        let place = random.pick(deliveries)
        guard case .delivered(var one) = events[place] else { return nil }
        switch random.below(7) {
        case 0:
            one.message = 999
            events[place] = .delivered(one)
            return "a message that nobody published"
        case 1:
            one.offset += 1
            events[place] = .delivered(one)
            return "another offset"
        case 2:
            guard one.isRedelivery else { return nil }
            one.isRedelivery = false
            events[place] = .delivered(one)
            return "a redelivery without its flag"
        case 3:
            one.attempt += 20
            events[place] = .delivered(one)
            return "more attempts than there were"
        case 4:
            one.attempt = 0
            events[place] = .delivered(one)
            return "an attempt too few"
        case 5:
            one.attempt += 1
            one.isRedelivery = true
            events.insert(.delivered(one), at: place + 1)
            return "a second consumer has it at the same time"
        default:
            // All that is said of its end.
            events.removeAll {
                switch $0 {
                case .settled(one.message, .accepted), .confirmed(one.message): true
                case .delivered(let other): other.message == one.message
                default: false
                }
            }
            return "a message without an end"
        }
    }

    @Test func aQueueHistoryPassesAndNoneWithOneThingWrong() throws {
        var spoiled = 0
        for seed in 0..<1_000 {
            var random = Seed(UInt64(seed)).stream("edits")
            var events = queueHistory(&random)
            try judge(events)
            guard let what = spoil(&events, &random) else { continue }
            spoiled += 1
            #expect(throws: Violation.self, "seed \(seed): \(what)") { try judge(events) }
        }
        #expect(spoiled > 800)
    }
}
