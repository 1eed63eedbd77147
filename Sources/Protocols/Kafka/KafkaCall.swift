internal import BrokerCore
internal import Wire

/// One request of a client: what the broker was asked for its sake, and the response that is written once all of that is answered.
///
/// A handler asks and says how to respond; the answers' handlers may ask further. They are given the call: one that kept it would
/// keep it alive behind the end of its connection.
final class KafkaCall {
    typealias AnswerHandler = (KafkaCall, Response) -> Void

    let key: KafkaAPIKey
    let version: Int16
    let correlationID: Int32
    let clientID: String
    /// Whom the session speaks with, and what it may do.
    let context: KafkaContext

    /// What is to be asked, by the number of its handler; nil: nobody waits for an answer.
    private(set) var questions: [(part: Int?, request: Request)] = []
    private var handlers: [AnswerHandler?] = []
    private var unanswered = 0
    /// Topics that the answers said do not exist any more.
    private var vanished: [TopicID] = []
    private var write: ((inout SessionOutput) -> Void)?
    /// The connection ends in place of a response.
    private(set) var hangsUp = false

    init(_ key: KafkaAPIKey, version: Int16, correlationID: Int32, clientID: String, context: KafkaContext) {
        self.key = key
        self.version = version
        self.correlationID = correlationID
        self.clientID = clientID
        self.context = context
    }

    /// Asks the broker; `then` is called with its answer, in the order of the answers. What is beyond the questions that one connection may
    /// have unanswered is refused at once: a request of some megabytes can name a million things.
    func ask(_ request: consuming Request, then: @escaping AnswerHandler) {
        guard handlers.count < context.peer.limits.unansweredRequests else {
            return then(self, .failed(BrokerError(.limitReached, "one request asks for too much at once (limits.unanswered_requests)")))
        }
        questions.append((handlers.count, request))
        handlers.append(then)
        unanswered += 1
    }

    /// Asks for something that has no answer.
    func tell(_ request: consuming Request) { questions.append((nil, request)) }

    /// What is sent when everything is answered. Not called: the client expects no response.
    func respond<R: KafkaMessage>(_ response: @escaping () -> R) {
        write = { [key, version, correlationID] output in
            let frame = ResponseFrame(key, version: version, correlationID: correlationID, to: &output.bytes)
            response().encode(to: &output.bytes, version: version)
            frame.end(in: &output.bytes)
        }
    }

    /// The same for a response that references stored bytes: `write` writes all of it behind its header and answers how many bytes
    /// it referenced.
    func respond(writing body: @escaping (inout SessionOutput) -> Int) {
        write = { [key, version, correlationID] output in
            let frame = ResponseFrame(key, version: version, correlationID: correlationID, to: &output.bytes)
            let referenced = body(&output)
            frame.end(in: &output.bytes, referencedBytes: referenced)
        }
    }

    func hangUp() { hangsUp = true }

    func note(vanished topic: TopicID) { vanished.append(topic) }

    // MARK: For the session

    func takeVanished() -> [TopicID] {
        var taken: [TopicID] = []
        swap(&taken, &vanished)
        return taken
    }

    var isDone: Bool { unanswered == 0 && questions.isEmpty }

    func takeQuestions() -> [(part: Int?, request: Request)] {
        var taken: [(part: Int?, request: Request)] = []
        swap(&taken, &questions)
        return taken
    }

    func answered(_ part: Int, _ response: Response) {
        guard part < handlers.count, let handler = handlers[part] else { return }
        handlers[part] = nil
        unanswered -= 1
        handler(self, response)
    }

    func writeResponse(_ output: inout SessionOutput) {
        write?(&output)
        write = nil
    }
}
