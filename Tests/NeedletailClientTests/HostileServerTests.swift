import Bytes
import NativeCodec
import Synchronization
import Testing

@testable import NeedletailClient

/// Whatever a server sends, the client neither traps nor hangs: the connection ends, and the next one is as good as its server.
@Suite(.timeLimit(.minutes(20))) struct HostileServerTests {
    struct Attack: Sendable, CustomTestStringConvertible {
        var name: String
        /// Sent in answer to a LIST_TOPICS with this correlation, with consumer 1 subscribed.
        var bytes: @Sendable (UInt64) -> [UInt8]
        var testDescription: String { name }
    }

    static func frame(_ type: UInt8, flags: UInt8 = 0, reserved: UInt8 = 0, _ correlation: UInt64 = 0, size: UInt32? = nil, _ body: [UInt8] = []) -> [UInt8] {
        var buffer = ByteBuffer()
        buffer.append(little: size ?? UInt32(16 + body.count))
        buffer.append([type, flags, reserved, 0])
        buffer.append(little: correlation)
        buffer.append(body)
        return [UInt8](buffer.bytes)
    }

    static func delivery(partition: Int32 = 0, attempt: Int32 = 1, first: Int64, last: Int64, tail: [UInt8]) -> [UInt8] {
        var buffer = ByteBuffer()
        let head = Frame.DeliveryHead(consumer: 1, topic: 7, partition: partition, attempt: attempt, first: first, last: last)
        Frame.DeliverBatches(head: head, batches: ByteRange(start: 0, count: tail.count)).encode(to: &buffer)
        buffer.append(tail)
        return [UInt8](buffer.bytes)
    }

    static let attacks: [Attack] = [
        Attack(name: "a size below a header's") { _ in frame(0x45, size: 3) },
        Attack(name: "a size of four gigabytes") { _ in frame(0x45, size: .max) },
        Attack(name: "reserved bytes") { _ in frame(0x45, reserved: 1) },
        Attack(name: "no such type") { frame(0xEE, $0) },
        Attack(name: "a request") { frame(0x44, $0) },
        Attack(name: "a second welcome") { frame(0x02, $0) },
        Attack(name: "a list with a lying count") { frame(0x45, $0, [0xff, 0xff, 0xff, 0xff]) },
        Attack(name: "unknown flags") { frame(0x06, flags: 0x80, $0) },
        Attack(name: "trailing bytes") { frame(0x06, $0, [0]) },
        Attack(name: "a fatal error") { frame(0x05, $0, [1, 0, 1, 0, 0, 0]) },
        Attack(name: "negative offsets") { _ in delivery(first: -1, last: 5, tail: []) },
        Attack(name: "offsets that overflow") { _ in delivery(first: 0, last: .max, tail: []) },
        Attack(name: "offsets in the wrong order") { _ in delivery(first: 5, last: 4, tail: []) },
        Attack(name: "attempt zero") { _ in delivery(attempt: 0, first: 0, last: 0, tail: []) },
        Attack(name: "a negative partition") { _ in delivery(partition: -1, first: 0, last: 0, tail: []) },
        Attack(name: "more than there is credit for") { _ in
            let tail = [UInt8](repeating: 0, count: 6 << 20)
            return delivery(first: 0, last: 0, tail: tail) + delivery(first: 0, last: 0, tail: tail) + delivery(first: 0, last: 0, tail: tail)
                + delivery(first: 0, last: 0, tail: tail)
        },
        Attack(name: "half a frame and the end") { Array(frame(0x45, $0, [0, 0, 0, 0]).prefix(17)) },
    ]

    @Test(arguments: attacks)
    func theConnectionEndsAndTheQuestionIsAskedAgain(_ attack: Attack) async throws {
        let server = try FakeServer([
            { peer in
                try peer.welcome()
                let (_, subscribe) = try peer.expect(Frame.Subscribe.self)
                try peer.send(Frame.Subscribed(subscription: 1, isActive: true), correlation: subscribe)
                let (_, correlation) = try peer.expect(Frame.ListTopics.self)
                try peer.send(raw: attack.bytes(correlation))
            },
            { peer in
                try peer.welcome()
                _ = try peer.expect(Frame.Subscribe.self)
                let (_, correlation) = try peer.expect(Frame.ListTopics.self)
                try peer.send(Frame.Topics(hasMore: false, elements: []), correlation: correlation)
                while true { _ = try peer.next() }
            },
        ])
        let client = try await Client.connect(to: server.address, ClientTests.quickly())
        let consumer = try await client.consumer(topic: "t", group: "g")
        #expect(try await client.topics().isEmpty)
        _ = consumer
        await client.close()
    }

    @Test func anAnswerOfTheWrongKindFailsTheQuestion() async throws {
        let server = try FakeServer([
            { peer in
                try peer.welcome()
                let (_, correlation) = try peer.expect(Frame.ListTopics.self)
                try peer.send(Frame.OK(), correlation: correlation)
                while true { _ = try peer.next() }
            }
        ])
        let client = try await Client.connect(to: server.address, ClientTests.quickly())
        await #expect(throws: ClientError.protocolViolation("an answer of the wrong kind")) { try await client.topics() }
        await client.close()
    }

    /// Every byte of a delivered batch and of a run of records turned, and every length cut.
    @Test func damagedRecordsAreAnErrorOrMessages() throws {
        var builder = RecordBatchBuilder()
        for number in 0..<3 { builder.add(key: [1], payload: [UInt8(number)], headers: [Header("h", "v")], timestamp: Int64(number)) }
        let batch = builder.seal(producer: nil, sequence: 0)
        let whole = try RecordDecoding.messages(inBatches: batch.rawSpan, partition: 0, first: 0, last: 2, attempt: 1)
        #expect(whole.map(\.payload) == [[0], [1], [2]])
        var refused = 0
        for position in batch.indices {
            for value: UInt8 in [0x00, 0x7f, 0x80, 0xff, batch[position] ^ 1] {
                var damaged = batch
                damaged[position] = value
                if (try? RecordDecoding.messages(inBatches: damaged.rawSpan, partition: 0, first: 0, last: 2, attempt: 1)) == nil { refused += 1 }
                let run = Array(damaged[61...])
                _ = try? RecordDecoding.messages(
                    inRun: run.rawSpan, base: RecordBase(offset: .max, timestamp: .max), partition: 0, first: 0, last: .max, attempt: 1)
            }
            let cut = try? RecordDecoding.messages(inBatches: batch.rawSpan.extracting(0..<position), partition: 0, first: 0, last: 2, attempt: 1)
            #expect(cut == nil || position == 0)
        }
        #expect(refused > batch.count)
    }

    @Test(arguments: 1...8 as ClosedRange<UInt64>)
    func noiseIsSurvived(_ seed: UInt64) async throws {
        let server = try FakeServer([
            { peer in
                try peer.welcome()
                _ = try peer.next()
                // Plausible headers around noise, so that it gets past the splitter.
                var state = seed
                for _ in 0..<200 {
                    let body = (0..<Int(Self.random(&state) % 96)).map { _ in UInt8(truncatingIfNeeded: Self.random(&state) >> 13) }
                    let type = FrameType.allCases[Int(Self.random(&state) % UInt64(FrameType.allCases.count))].rawValue
                    try peer.send(raw: Self.frame(type, Self.random(&state) % 4, body))
                }
            },
            { peer in
                try peer.welcome()
                while true {
                    let (header, _) = try peer.next()
                    try peer.send(Frame.Topics(hasMore: false, elements: []), correlation: header.correlation)
                }
            },
        ])
        let client = try await Client.connect(to: server.address, ClientTests.quickly())
        // By luck the noise may answer; what counts is that an answer or an error comes.
        _ = try? await client.topics()
        #expect(try await client.topics().isEmpty)
        await client.close()
    }

    /// xorshift64*: the same noise for the same seed.
    static func random(_ state: inout UInt64) -> UInt64 {
        state ^= state >> 12
        state ^= state << 25
        state ^= state >> 27
        return state &* 0x2545_F491_4F6C_DD1D
    }
}
