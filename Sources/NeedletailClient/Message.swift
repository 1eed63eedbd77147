/// A named value beside a message's payload.
///
/// ```swift
/// try await producer.send(order, headers: [Header("content-type", "application/json")])
/// ```
public struct Header: Equatable, Sendable {
    /// The header's name.
    public var name: String
    /// Its value; nil is Kafka's null.
    public var value: [UInt8]?

    /// A header whose value is bytes.
    public init(_ name: String, _ value: [UInt8]?) {
        self.name = name
        self.value = value
    }

    /// A header whose value is text.
    public init(_ name: String, _ value: String) {
        self.init(name, Array(value.utf8))
    }
}

/// One message as a consumer gets it.
///
/// ```swift
/// for try await message in consumer {
///     print(message.partition, message.offset, message.text)
/// }
/// ```
public struct Message: Equatable, Sendable {
    /// Which partition of the topic holds it.
    public var partition: Int32
    /// Its place there.
    public var offset: Int64
    /// When it was published: milliseconds since 1970-01-01 UTC.
    public var timestamp: Int64
    /// The key, by which the partition was chosen.
    public var key: [UInt8]?
    /// What the application sent. Empty as well where the message has Kafka's null for payload; see `isTombstone`.
    public var payload: [UInt8]
    /// Whether the payload is null and not merely empty.
    public var isTombstone: Bool
    /// In the order in which the publisher gave them.
    public var headers: [Header]
    /// 1 at the first delivery, one more at each that follows.
    public var attempt: Int
    /// It was, or may have been, delivered to somebody before.
    public var isRedelivery = false

    /// The payload as text, with U+FFFD for what is not UTF-8.
    ///
    /// ```swift
    /// print(message.text)
    /// ```
    public var text: String { String(decoding: payload, as: UTF8.self) }

    /// The value of the first header of this name.
    ///
    /// ```swift
    /// if let type = message.header("content-type") { … }
    /// ```
    public func header(_ name: String) -> [UInt8]? { headers.first { $0.name == name }?.value }
}

/// What the broker promises by acknowledging a publish, from nothing to most. A publish can only strengthen what its topic asks for.
///
/// ```swift
/// let producer = try await client.producer(topic: "payments", .init(durability: .group))
/// ```
public enum Durability: UInt8, Comparable, CaseIterable, Sendable {
    /// In the broker's log, in memory of the operating system: survives a crash of the broker, not one of the machine.
    case none = 0
    /// As `none`; flushed to disk in regular intervals.
    case interval = 1
    /// On disk; publishes that arrive together share a flush.
    case group = 2
    /// On disk, by a flush of its own.
    case each = 3

    /// Weaker promises come first.
    public static func < (left: Durability, right: Durability) -> Bool { left.rawValue < right.rawValue }
}

/// The broker's acknowledgement of one message.
///
/// ```swift
/// let receipt = try await producer.send(order)
/// print("stored at \(receipt.partition)/\(receipt.offset), durability \(receipt.durability)")
/// ```
public struct Receipt: Equatable, Sendable {
    /// The partition that took the message; through an exchange that of the first log it reached.
    public var partition: Int32
    /// Its place there.
    public var offset: Int64
    /// What was reached before the broker answered.
    public var durability: Durability
    /// How many logs took the message: 1 for a topic; 0 when an exchange had no binding for it.
    public var logs: Int
    /// The broker had stored it before, from an attempt whose answer was lost; it was not stored again.
    public var isDuplicate: Bool
}
