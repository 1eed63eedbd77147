package import SegmentLog

/// What the broker wants done for its sessions. Plain values: a trace of them is a test.
package enum Effect: Sendable {
    case respond(SessionID, RequestID, Response)
    case deliver(SessionID, Delivery)
    case notify(SessionID, ConsumerID, ConsumerEvent)

    /// Whom it is for.
    package var session: SessionID {
        switch self {
        case .respond(let session, _, _), .deliver(let session, _), .notify(let session, _, _): session
        }
    }
}

/// Records on their way to one consumer.
package struct Delivery: Sendable {
    package var consumer: ConsumerID
    package var topic: TopicID
    package var partition: Int32
    /// What this delivery hands over; the slice may show more (a whole batch where the batch is compressed or begins earlier).
    package var first: Offset
    package var last: Offset
    /// 1 at the first attempt.
    package var attempt: Int32
    /// It was, or may have been, delivered before.
    package var isRedelivery: Bool
    package var content: Content

    package enum Content: Sendable {
        /// Whole record batches.
        case batches(LogSlice)
        /// The records `first … last`, without batch header; their deltas count from `base`.
        case records(LogSlice, base: RecordBase)
    }

    package init(
        consumer: ConsumerID, topic: TopicID, partition: Int32, first: Offset, last: Offset, attempt: Int32, isRedelivery: Bool = false, content: Content
    ) {
        self.consumer = consumer
        self.topic = topic
        self.partition = partition
        self.first = first
        self.last = last
        self.attempt = attempt
        self.isRedelivery = isRedelivery
        self.content = content
    }
}

/// What the deltas of a run of records count from.
package struct RecordBase: Equatable, Sendable {
    package var offset: Offset
    package var timestamp: Timestamp
    package init(offset: Offset, timestamp: Timestamp) {
        self.offset = offset
        self.timestamp = timestamp
    }
}

package enum ConsumerEvent: Sendable {
    /// A stand-by consumer became the active one.
    case activated
    /// The consumer was detached by the broker, with the reason.
    case ended(BrokerError)
    /// A settle without `confirm` could not be carried out.
    case settleFailed(BrokerError)
}
