import Bytes
import LinuxSystem
import SegmentLog
import Synchronization
import Testing

@testable import BrokerCore
@testable import ShardRuntime

/// Mailboxes and doorbells: nothing is lost, nobody sleeps through it, and nobody is woken who is awake. Also run under the thread
/// sanitizer.
@Suite(.timeLimit(.minutes(20))) struct MailboxTests {
    /// Sleeps and wakes as a driver does.
    final class Sleeper: Waker {
        let counter: EventCounter
        private let count = Atomic<Int>(0)
        init() throws { counter = try EventCounter(.blocking) }
        deinit { counter.close() }
        func wake() {
            count.add(1, ordering: .relaxed)
            counter.raise()
        }
        var wakes: Int { count.load(ordering: .relaxed) }
    }

    /// One shard of a test: what it sleeps on.
    struct Place: Sendable {
        let sleeper: Sleeper
        let bell: Doorbell
        init() throws {
            sleeper = try Sleeper()
            bell = Doorbell(sleeper)
        }

        func sleep(unless hasWork: () -> Bool) {
            bell.fallAsleep()
            if !hasWork() { sleeper.counter.take() }
            bell.wakeUp()
        }
    }

    @Test func onlyASleeperIsWokenAndOnlyOnce() throws {
        let (from, to) = (try Place(), try Place())
        let box = Mailbox<Int>(capacity: 8, from: from.bell, to: to.bell)
        #expect(box.put(1))
        #expect(to.sleeper.wakes == 0)
        to.bell.fallAsleep()
        #expect(box.put(2) && box.put(3))
        #expect(to.sleeper.wakes == 1)
        to.bell.wakeUp()
        #expect(box.put(4))
        #expect(to.sleeper.wakes == 1 && from.sleeper.wakes == 0)
    }

    @Test(arguments: [1, 2, 16])
    func aFullMailboxRefusesAndWakesTheSenderWhenThereIsRoom(_ capacity: Int) throws {
        let (from, to) = (try Place(), try Place())
        let box = Mailbox<Int>(capacity: capacity, from: from.bell, to: to.bell)
        for number in 0..<capacity { #expect(box.put(number)) }
        #expect(!box.put(capacity) && !box.hasRoom)
        from.bell.fallAsleep()
        #expect(box.take() == 0)
        #expect(from.sleeper.wakes == 1 && box.hasRoom)
        #expect(box.put(capacity))
        for number in 1...capacity { #expect(box.take() == number) }
        #expect(box.isEmpty && box.take() == nil)
        // Nobody waits any more.
        from.bell.fallAsleep()
        #expect(box.put(0) && box.take() == 0)
        #expect(from.sleeper.wakes == 1)
    }

    /// Both sides sleep whenever they have nothing to do; one lost wake and this test never ends.
    @Test(arguments: [1, 2, 16], [1, 2, 16])
    func whatTwoSleepyThreadsSayArrivesInOrder(_ there: Int, _ back: Int) throws {
        let (asker, echo) = (try Place(), try Place())
        let requests = Mailbox<[UInt64]>(capacity: there, from: asker.bell, to: echo.bell)
        let answers = Mailbox<[UInt64]>(capacity: back, from: echo.bell, to: asker.bell)
        let count: UInt64 = 10_000
        let thread = try Thread.spawn("echo") {
            var waiting: [[UInt64]] = []
            var next: UInt64 = 0
            while next < count || !waiting.isEmpty {
                while waiting.count < 64, let mail = requests.take() {
                    waiting.append(mail)
                    next += 1
                }
                var posted = 0
                while posted < waiting.count, answers.put(waiting[posted]) { posted += 1 }
                waiting.removeFirst(posted)
                if next < count || !waiting.isEmpty {
                    let (isBlocked, mayTake) = (!waiting.isEmpty, waiting.count < 64)
                    echo.sleep { (mayTake && !requests.isEmpty) || (isBlocked && answers.hasRoom) }
                }
            }
        }
        var asked: UInt64 = 0
        var answered: UInt64 = 0
        while answered < count {
            while asked < count, requests.put([asked, asked &* 7]) { asked += 1 }
            while let mail = answers.take() {
                guard mail == [answered, answered &* 7] else {
                    Issue.record("\(mail) instead of \(answered)")
                    return
                }
                answered += 1
            }
            if answered < count {
                let isBlocked = asked < count
                asker.sleep { !answers.isEmpty || (isBlocked && requests.hasRoom) }
            }
        }
        thread.join()
    }

    @Test func whatAFullMailboxDoesNotTakeIsKeptInOrder() throws {
        let places = [try Place(), try Place()]
        let links = ShardLink.all(places.map(\.bell), capacity: 2)
        let now = Now(instant: Instant(rawValue: 1), time: Timestamp(milliseconds: 1))
        let broker = try Broker(options: Broker.Options(directory: "/data"), storage: MemoryStorage(), now: now, place: .authority(of: 2))
        let neighbours = Neighbours(Switchboard(broker), links[0])
        var changes: [Bool] = []
        for number in 0..<10 {
            let session = SessionID(place: UInt64(number), on: 0)
            neighbours.board.open(session)
            let input = [UInt8(number)]
            neighbours.board.perform(.append(append), RequestID(rawValue: UInt64(number)), from: session, input: input.rawSpan, now: now)
            changes.append(neighbours.post())
        }
        #expect(changes == [false, false, true] + Array(repeating: false, count: 7))
        #expect(neighbours.isCongested && !neighbours.hasWork && neighbours.mailboxFull == 1)
        var seen: [UInt64] = []
        var bytes: [UInt8] = []
        func takeAll() {
            while let mail = links[1][0].arriving.take() {
                for event in mail.broker.events {
                    switch event {
                    case .opened(let session): seen.append(session.rawValue)
                    case .request(let session, _, _, let input):
                        #expect(seen.last == session.rawValue)
                        bytes += mail.broker.input[input]
                    default: Issue.record("unexpected")
                    }
                }
            }
        }
        takeAll()
        #expect(seen == [0, 1] && neighbours.hasWork)
        let isFree = neighbours.post()
        #expect(isFree && !neighbours.isCongested && neighbours.isSilent)
        takeAll()
        #expect(seen == Array(0..<10) && bytes == Array(0..<10))
    }

    /// To a topic of shard 1.
    private var append: Append {
        Append(
            target: .topic(TopicID(rawValue: 1), partition: 0), content: .batch(ByteRange(start: 0, count: 1)), durability: .none, answer: .whenReached)
    }

    @Test func aSessionsIdSaysItsShardAndItsSlot() {
        let socket = SocketID(rawValue: 0xab_cdef << 32 | 17)
        let first = SessionID(socket, on: 0)
        let last = SessionID(socket, on: 255)
        #expect(first.rawValue == socket.rawValue && first.shard == 0 && first.slot == 17)
        #expect(last != first && last.shard == 255 && last.slot == 17)
    }
}
