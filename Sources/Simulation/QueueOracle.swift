/// What a queue and a stream promised their publishers and consumers (Q1 to Q7, L3, L5, L7 of the reliability manual).
///
/// A message is published once, delivered to one consumer at a time, and ends settled or dead. Several lives of the broker are one
/// history; a crash may undo settlements that were not confirmed, nothing else.
package struct QueueOracle {
    private struct Message {
        var isPublished = false
        var offset: Int64?
        var deliveries = 0
        var deliveriesInLife = 0
        var isInFlight = false
        var leaseEnd: UInt64 = 0
        /// Accepted in this life, or confirmed in any.
        var isSettled = false
        var isConfirmed = false
        var wasAccepted = false
        var wasRejected = false
        var isDead = false
    }

    private var messages: [UInt64: Message] = [:]
    private var order: [UInt64] = []
    private var atOffset: [Int64: UInt64] = [:]
    private var lastFirst: Int64 = -1
    private let deliveryLimit: Int
    /// Not everything that is delivered is seen, nor at once: connections break, and consumers read at different times.
    package var missesDeliveries = false

    package init(deliveryLimit: Int) { self.deliveryLimit = deliveryLimit }

    // MARK: Publishing

    package mutating func attempted(_ message: UInt64) {
        messages[message] = Message()
        order.append(message)
    }

    package mutating func published(_ message: UInt64, at offset: Int64) throws(Violation) {
        messages[message]?.isPublished = true
        try place(message, offset)
    }

    private mutating func place(_ message: UInt64, _ offset: Int64) throws(Violation) {
        if let known = atOffset[offset], known != message {
            throw Violation(.inconsistentOffset, "offset \(offset) held message \(known) and holds \(message)")
        }
        if let known = messages[message]?.offset, known != offset {
            throw Violation(.duplicate, "message \(message) is at \(known) and at \(offset)")
        }
        atOffset[offset] = message
        messages[message]?.offset = offset
    }

    // MARK: Delivering

    package mutating func delivered(
        _ number: UInt64, at offset: Int64, attempt: Int, isRedelivery: Bool, now: UInt64, leaseEnd: UInt64
    ) throws(Violation) {
        guard var message = messages[number] else { throw Violation(.phantom, "message \(number) was delivered and never published") }
        try place(number, offset)
        message.offset = offset
        if message.isInFlight, now < message.leaseEnd {
            throw Violation(.overlappingDelivery, "message \(number) was delivered while another consumer has it")
        }
        if message.isConfirmed { throw Violation(.deliveredAfterSettling, "message \(number) was delivered after its settlement was confirmed") }
        if message.isSettled { throw Violation(.deliveredAfterSettling, "message \(number) was delivered after it was settled") }
        if message.deliveries > 0, !isRedelivery {
            throw Violation(.wrongAttempt, "message \(number) was delivered before and is not flagged")
        }
        if attempt > message.deliveries + 1, !missesDeliveries {
            throw Violation(.wrongAttempt, "message \(number) is said to be at attempt \(attempt) and was delivered \(message.deliveries) times")
        }
        if attempt <= message.deliveriesInLife {
            throw Violation(.wrongAttempt, "message \(number) is said to be at attempt \(attempt) after \(message.deliveriesInLife) in this life")
        }
        if !isRedelivery, !missesDeliveries {
            guard offset > lastFirst else { throw Violation(.queueDisorder, "the first delivery of \(offset) came after that of \(lastFirst)") }
            lastFirst = offset
        }
        message.deliveries += 1
        message.deliveriesInLife += 1
        message.isInFlight = true
        message.leaseEnd = leaseEnd
        messages[number] = message
    }

    package enum Outcome: Sendable { case accepted, requeued, released, rejected }

    /// The broker took the settlement.
    package mutating func settled(_ number: UInt64, _ outcome: Outcome) {
        messages[number]?.isInFlight = false
        switch outcome {
        case .accepted:
            messages[number]?.isSettled = true
            messages[number]?.wasAccepted = true
        case .rejected:
            messages[number]?.isSettled = true
            messages[number]?.wasRejected = true
        case .released:
            // The attempt does not count; the truth is then a range.
            messages[number]?.deliveriesInLife -= 1
        case .requeued: break
        }
    }

    /// A settlement was asked for; whether the broker took it is not known (yet).
    package mutating func perhapsAccepted(_ number: UInt64) {
        messages[number]?.wasAccepted = true
        messages[number]?.isInFlight = false
    }

    /// Given back, whether or not the attempt counts.
    package mutating func gaveBack(_ number: UInt64) {
        messages[number]?.isInFlight = false
        messages[number]?.deliveriesInLife = 0
    }

    package mutating func confirmed(_ number: UInt64) {
        if messages[number]?.isSettled == true { messages[number]?.isConfirmed = true }
    }

    package mutating func consumerGone(_ numbers: [UInt64]) { for number in numbers { messages[number]?.isInFlight = false } }

    package mutating func deadLettered(_ number: UInt64) throws(Violation) {
        guard let message = messages[number] else { throw Violation(.phantom, "message \(number) is dead and was never published") }
        guard message.wasRejected || message.deliveries >= deliveryLimit else {
            throw Violation(.wrongAttempt, "message \(number) is dead after \(message.deliveries) of \(deliveryLimit) deliveries")
        }
        messages[number]?.isDead = true
    }

    // MARK: The end of a life

    /// - Parameter cleanly: the broker was stopped and left everything in order: nothing that was accepted is forgotten. What was rejected
    ///   and is not dead yet may come once more.
    package mutating func restarted(cleanly: Bool = false) {
        lastFirst = -1
        for number in order {
            messages[number]?.isInFlight = false
            messages[number]?.deliveriesInLife = 0
            guard let message = messages[number], !message.isConfirmed, !cleanly || message.wasRejected else { continue }
            messages[number]?.isSettled = false
        }
    }

    /// After the last drain: every publish that was acknowledged has an end.
    package func drained() throws(Violation) {
        for number in order {
            guard let message = messages[number], message.isPublished else { continue }
            guard message.wasAccepted || message.isDead else {
                throw Violation(
                    .lostWrite,
                    "message \(number) at \(message.offset ?? -1) was acknowledged; it was delivered \(message.deliveries) times and has no end"
                        + (message.wasRejected ? " (rejected)" : ""))
            }
        }
    }
}
