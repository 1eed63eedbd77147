internal import Bytes
internal import SegmentLog

/// What goes to a dead-letter topic, and comes back by a redrive: `bytes` are messages, each behind two bytes of length; the first byte
/// of one says what it is, the rest is its headers as producers send them, or a whole batch whose checksum is made to fit.
///
/// A message that was taken is either accepted once or still somewhere: none may be lost, none may come twice.
package func fuzzDeaths(_ bytes: RawSpan) {
    let storage = MemoryStorage(isVolatile: false)
    guard let broker = FuzzedBroker(storage) else { preconditionFailure("a new broker does not start") }
    broker.ask(.createTopic(name: "dead", .queue(SubscriptionOptions(deliveryLimit: 0))))
    broker.ask(.createTopic(name: "jobs", .queue(SubscriptionOptions(deliveryLimit: 2, deadLetterTopic: "dead"))))
    broker.ask(.listTopics)
    broker.tick()
    guard let jobs = broker.topics.first(where: { $0.name == "jobs" })?.id else { preconditionFailure("a topic that was made is not there") }
    var isCounted = true
    for record in FuzzedBroker.records(in: bytes).prefix(16) {
        guard let kind = record.first else { continue }
        let rest = Array(record.dropFirst())
        if kind & 3 == 3, let batch = batchWithItsChecksum(rest) {
            isCounted = false
            broker.append(.batch(ByteRange(start: 0, count: batch.count)), to: jobs, input: batch)
        } else {
            let headers = ByteRange(start: 0, count: rest.count)
            broker.append(
                .message(
                    MessageRanges(
                        key: nil, payload: headers, headers: headers, headerCount: Int32(kind >> 2), timestamp: nil, producer: nil)), to: jobs, input: rest)
        }
        broker.tick()
    }
    broker.subscribe(1, "jobs")
    broker.outcome = .reject
    for _ in 0..<12 { broker.tick() }
    broker.ask(.redrive(topic: "dead", limit: 0))
    for _ in 0..<12 { broker.tick() }
    // Once more in another way: by the limit of deliveries.
    broker.outcome = .requeue
    broker.ask(.redrive(topic: "dead", limit: 3))
    for _ in 0..<12 { broker.tick() }
    broker.outcome = .accept
    broker.subscribe(2, "dead")
    for _ in 0..<20 { broker.tick() }
    if isCounted { precondition(broker.accepted == broker.appended, "\(broker.appended) messages were taken, \(broker.accepted) accepted in the end") }
    broker.stop()
}
