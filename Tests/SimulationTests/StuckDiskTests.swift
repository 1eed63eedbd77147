import BrokerCore
import Bytes
import SegmentLog
import Testing

@testable import Simulation

/// A disk that answers nothing any more (rule E4): whoever waits for it is told so in half a minute, the operator sooner.
@Suite struct StuckDiskTests {
    @Test func whoeverWaitsForAStuckDiskIsAnswered() throws {
        for seed in 0..<20 {
            let disk = SimulatedDisk(seed: Seed(UInt64(seed)))
            var instant: UInt64 = 1_000_000_000
            var now: Now { Now(instant: Instant(nanoseconds: instant), time: Timestamp(milliseconds: 1_700_000_000_000)) }
            let session = SessionID(place: 1, on: 0)
            let broker = try Broker(options: Broker.Options(directory: "data"), storage: disk, now: now)
            broker.open(session)
            var answers: [RequestID: Response] = [:]
            var told: [Notice] = []
            func pass(_ milliseconds: UInt64) {
                let end = instant + milliseconds * 1_000_000
                while instant < end {
                    broker.endTick(now: now)
                    for case .respond(_, let id, let response) in broker.takeEffects() { answers[id] = response }
                    told += broker.takeNotices()
                    instant = min(max(min(disk.nextCompletion.rawValue, broker.nextDeadline.rawValue), instant + 1_000), end)
                    for (ticket, result) in disk.completions(at: now.instant) { broker.storageCompleted(ticket, result, now: now) }
                }
            }
            func ask(_ number: UInt64, _ request: Request, _ input: [UInt8] = []) -> RequestID {
                broker.perform(request, RequestID(rawValue: number), from: session, input: input.rawSpan, now: now)
                return RequestID(rawValue: number)
            }
            func publish(_ number: UInt64, to topic: TopicID) -> RequestID {
                let message = MessageRanges(
                    key: nil, payload: ByteRange(start: 0, count: 1), headers: .empty, headerCount: 0, timestamp: nil, producer: nil)
                let append = Append(target: .topic(topic, partition: 0), content: .message(message), durability: .none, answer: .whenReached)
                return ask(number, .append(append), [7])
            }
            func reached(_ id: RequestID) -> Bool { if case .appended? = answers[id] { true } else { false } }
            func isRefused(_ id: RequestID) -> Bool { if case .failed(let error)? = answers[id] { error.code == .storageFailed } else { false } }

            var topics: [TopicID] = []
            for (number, name) in ["a", "memory"].enumerated() {
                var options = TopicOptions()
                if name == "memory" { options.storage = .memory }
                let made = ask(UInt64(number), .createTopic(name: name, options))
                pass(1_000)
                guard case .topics(let found)? = answers[made], let topic = found.first else { throw Violation(.noProgress, "no topic") }
                topics.append(topic.id)
            }
            // A log that is at work, or one that is not ready yet.
            let warm = seed % 2 == 0 ? publish(10, to: topics[0]) : nil
            pass(1_000)
            if let warm { #expect(reached(warm)) }
            disk.faults.stuck = 1
            let waiting = publish(11, to: topics[0])
            pass(900)
            #expect(answers[waiting] == nil && told.isEmpty, "seed \(seed)")
            pass(20_000)
            #expect(answers[waiting] == nil, "seed \(seed)")
            #expect(told.contains { if case .flushSlow = $0 { true } else { false } }, "seed \(seed)")
            // Who needs no disk goes on.
            let beside = publish(12, to: topics[1])
            pass(100)
            #expect(reached(beside), "seed \(seed)")
            pass(11_000)
            #expect(isRefused(waiting), "seed \(seed): \(String(describing: answers[waiting]))")
            #expect(told.contains { if case .logFailed = $0 { true } else { false } }, "seed \(seed)")
            let later = publish(13, to: topics[0])
            pass(10)
            #expect(isRefused(later), "seed \(seed)")
        }
    }
}
