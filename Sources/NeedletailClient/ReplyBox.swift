internal import NativeCodec
internal import Synchronization

/// Where the replies to this client's requests arrive: one reply topic for each connection, made at the first request, and a table of
/// who waits for which.
final class ReplyBox: Sendable {
    static let replyToHeader = "reply-to"
    static let correlationHeader = "correlation-id"
    /// Topics whose number is remembered; beyond, the memory starts over.
    private static let namesMost = 1_024

    private struct State {
        var topic: String?
        var waiting: [[UInt8]: Promise<Message>] = [:]
        var next: UInt64 = 1
        var names: [String: UInt32] = [:]
    }

    private let connection: Connection
    private let state = Mutex(State())
    /// One task at a time makes the reply topic.
    private let making = Budget(limit: 1)

    init(_ connection: Connection) { self.connection = connection }

    func topicID(_ name: String) async throws(ClientError) -> UInt32 {
        if let known = state.withLock({ $0.names[name] }) { return known }
        let answer = try await connection.call(Frame.DescribeTopic(name: name), "describing the topic \(name)", repeats: true)
        let topic = try answer.expect { if case .topics(let list) = $0 { list.first } else { nil } }
        state.withLock { state in
            if state.names.count >= ReplyBox.namesMost { state.names = [:] }
            state.names[name] = topic.id
        }
        return topic.id
    }

    /// A new place in the table.
    func expect() async throws(ClientError) -> (correlation: [UInt8], topic: String, promise: Promise<Message>) {
        let topic = try await replyTopic()
        let promise = Promise<Message>()
        let correlation = state.withLock { state -> [UInt8] in
            let correlation = Array(String(state.next, radix: 16).utf8)
            state.next += 1
            state.waiting[correlation] = promise
            return correlation
        }
        return (correlation, topic, promise)
    }

    func forget(_ correlation: [UInt8]) { state.withLock { $0.waiting[correlation] = nil } }

    private func replyTopic() async throws(ClientError) -> String {
        if let topic = state.withLock({ $0.topic }) { return topic }
        try await making.acquire(1)
        defer { making.release(1) }
        if let topic = state.withLock({ $0.topic }) { return topic }
        let answer = try await connection.call(Frame.CreateReplyTopic(), "making a reply topic", repeats: false)
        let topic = try answer.expect { if case .topics(let list) = $0 { list.first?.name } else { nil } }
        let inbox = Inbox(mode: .stream, window: ConsumerOptions().window)
        let subscription = Connection.Subscription(topic: topic, name: "", isShared: false, start: .earliest, takesBatches: true)
        let id = try await connection.attach(subscription, inbox)
        state.withLock { $0.topic = topic }
        let consumer = Consumer(topic: topic, connection: connection, id: id, inbox: inbox)
        Task { [weak self] in
            var failure = ClientError.closed
            do throws(ClientError) {
                for try await reply in consumer { self?.arrived(reply) }
            } catch {
                // The topic went with its connection, and with it the replies.
                failure = error == .closed ? .closed : .outcomeUnknown
            }
            self?.gone(failure)
        }
        return topic
    }

    private func arrived(_ reply: Message) {
        guard let correlation = reply.header(ReplyBox.correlationHeader) else { return }
        state.withLock { $0.waiting.removeValue(forKey: correlation) }?.succeed(reply)
    }

    private func gone(_ failure: ClientError) {
        let waiting = state.withLock { state -> [Promise<Message>] in
            state.topic = nil
            defer { state.waiting = [:] }
            return Array(state.waiting.values)
        }
        for promise in waiting { promise.fail(failure) }
    }
}
