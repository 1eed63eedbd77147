/// Names of things on the data path. Strings are control plane; ids are data plane.
package struct TopicID: RawRepresentable, Hashable, Comparable, Sendable {
    package var rawValue: UInt32
    package init(rawValue: UInt32) { self.rawValue = rawValue }
    package static func < (left: TopicID, right: TopicID) -> Bool { left.rawValue < right.rawValue }
}

package struct PartitionID: Hashable, Comparable, Sendable {
    package var topic: TopicID
    package var index: Int32
    package init(topic: TopicID, index: Int32) {
        self.topic = topic
        self.index = index
    }
    package static func < (left: PartitionID, right: PartitionID) -> Bool { (left.topic, left.index) < (right.topic, right.index) }
}

package struct ExchangeID: RawRepresentable, Hashable, Comparable, Sendable {
    package var rawValue: UInt32
    package init(rawValue: UInt32) { self.rawValue = rawValue }
    package static func < (left: ExchangeID, right: ExchangeID) -> Bool { left.rawValue < right.rawValue }
}

package struct SubscriptionID: RawRepresentable, Hashable, Comparable, Sendable {
    package var rawValue: UInt32
    package init(rawValue: UInt32) { self.rawValue = rawValue }
    package static func < (left: SubscriptionID, right: SubscriptionID) -> Bool { left.rawValue < right.rawValue }
}

/// One connection's session: slot and generation, so that a late answer for a closed one hits nothing, and the shard in the highest
/// eight bits, so that it is unique in the process.
package struct SessionID: RawRepresentable, Hashable, Sendable {
    package var rawValue: UInt64
    package init(rawValue: UInt64) { self.rawValue = rawValue }
}

/// Chosen by the session; the broker only hands it back.
package struct RequestID: RawRepresentable, Hashable, Sendable {
    package var rawValue: UInt64
    package init(rawValue: UInt64) { self.rawValue = rawValue }
}

/// One attached reader; chosen by its session, unique within it.
package struct ConsumerID: RawRepresentable, Hashable, Sendable {
    package var rawValue: UInt32
    package init(rawValue: UInt32) { self.rawValue = rawValue }
}
