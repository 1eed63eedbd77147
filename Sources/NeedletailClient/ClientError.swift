/// What can go wrong when talking to the broker. Every case says what to do next in its `description`.
///
/// ```swift
/// do {
///     try await producer.send(Array("hello".utf8))
/// } catch .refused(let refusal) where refusal.code == .unknownTopic {
///     try await client.createTopic("greetings")
/// } catch {
///     print(error)    // one sentence: what happened, and what to do
/// }
/// ```
public enum ClientError: Error, Equatable, Sendable {
    /// The address is not of the form `HOST:PORT` or `unix:PATH`.
    case badAddress(String)
    /// Nobody answered there, or not in our protocol.
    case cannotConnect(address: String, reason: String)
    /// The connection ended while a request was waiting and the request was certainly not carried out, or can be repeated safely.
    case connectionLost(String)
    /// The connection ended after a request that must not be repeated blindly had been sent: it may or may not have been carried out.
    case outcomeUnknown
    /// No answer within the time that was given for it.
    case timedOut(String)
    /// The broker said no.
    case refused(Refusal)
    /// The other side sent what the protocol does not allow; the connection was ended.
    case protocolViolation(String)
    /// Stored data does not have the checksum that it was stored with: nothing of it is handed out.
    case damaged(String)
    /// A message is larger than what can be sent in one frame.
    case tooLarge(bytes: Int, limit: Int)
    /// An argument cannot be right, whatever the broker says.
    case invalid(String)
    /// The task that waited was cancelled.
    case cancelled
    /// The client was closed.
    case closed
}

/// Why the broker refused a request: a code for programs and a sentence for people.
///
/// ```swift
/// catch .refused(let refusal) { log("\(refusal.code): \(refusal.text)") }
/// ```
public struct Refusal: Error, Equatable, Sendable {
    /// What kind of refusal this is.
    public let code: Code
    /// The broker's own sentence.
    public let text: String

    /// The kinds of refusals. New brokers may know more: these arrive as `other`.
    ///
    /// ```swift
    /// if refusal.code == .alreadyExists { return }
    /// ```
    public enum Code: Equatable, Sendable {
        case invalidRequest, invalidName, unknownTopic, unknownPartition, unknownExchange, unknownSubscription, unknownConsumer
        case alreadyExists, conflict, inUse, corruptBatch, unsupportedBatch, messageTooLarge, offsetOutOfRange
        case outOfOrderSequence, producerFenced, notInFlight, limitReached, notPermitted, storageFailed
        case unsupported, shuttingDown, unroutable, timedOut, invalidRecord, invalidTimestamp
        case other(UInt16)
    }

    init(code: Code, text: String) {
        self.code = code
        self.text = text
    }

    init(number: UInt16, text: String) {
        let known = Refusal.codes
        let index = Int(number) - 1
        let later: [UInt16: Code] = [36: .invalidRecord, 37: .invalidTimestamp]
        self.init(code: known.indices.contains(index) ? known[index] : later[number] ?? .other(number), text: text)
    }

    /// In the order of their numbers on the wire, from 1 on.
    private static let codes: [Code] = [
        .invalidRequest, .invalidName, .unknownTopic, .unknownPartition, .unknownExchange, .unknownSubscription, .unknownConsumer,
        .alreadyExists, .conflict, .inUse, .corruptBatch, .unsupportedBatch, .messageTooLarge, .offsetOutOfRange,
        .outOfOrderSequence, .producerFenced, .notInFlight, .limitReached, .notPermitted, .storageFailed,
        .unsupported, .shuttingDown, .unroutable, .timedOut,
    ]
}

extension ClientError: CustomStringConvertible {
    /// What happened, and what to do about it.
    public var description: String {
        switch self {
        case .badAddress(let text): "\"\(text)\" is no server address: write HOST:PORT with a numeric IPv4 or IPv6 host, or unix:PATH"
        case .cannotConnect(let address, let reason): "cannot connect to \(address): \(reason); is the broker running there (needletail serve)?"
        case .connectionLost(let reason): "the connection was lost (\(reason)); nothing was changed by this request, ask again"
        case .outcomeUnknown:
            "the connection was lost after the request had been sent: it may have been carried out; look before repeating it, or publish with an idempotent producer"
        case .timedOut(let what): "\(what) took longer than its time-out; raise the time-out or look at the broker's load (needletail stats)"
        case .refused(let refusal): "the broker refused: \(refusal.text) (\(refusal.code))\(refusal.advice)"
        case .protocolViolation(let text): "the server broke the protocol: \(text); is it a Needletail broker of a matching version?"
        case .damaged(let text): "\(text): the stored bytes were changed; look at the log with needletail log verify, and read on behind it"
        case .tooLarge(let bytes, let limit): "a message of \(bytes) bytes is above the limit of \(limit): split it, or store it elsewhere and send a reference"
        case .invalid(let text): text
        case .cancelled: "the waiting task was cancelled"
        case .closed: "the client is closed: connect a new one"
        }
    }
}

extension Refusal {
    /// What to do, for the codes where that is not in the broker's sentence.
    fileprivate var advice: String {
        switch code {
        case .unknownTopic: "; create it first (needletail topic create)"
        case .unknownExchange: "; create it first (needletail exchange create)"
        case .messageTooLarge: "; send less at once or raise the topic's max_message_size"
        case .producerFenced: "; another producer took over this identity: make a new Producer"
        case .storageFailed: "; the broker's disk failed for this log: see its log lines"
        case .limitReached: "; wait, or raise the limit in the broker's configuration"
        case .unroutable: "; bind a queue or topic to the exchange for this routing key"
        case .shuttingDown: "; the client reconnects by itself, ask again"
        default: ""
        }
    }
}
