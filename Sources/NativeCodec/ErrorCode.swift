/// Why a request was refused or a connection ended. Below 100 the codes are the broker's own (`BrokerError.Code`), above they are
/// the protocol's. A code that this side does not know is kept as its number.
package struct ErrorCode: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    package var rawValue: UInt16
    package init(rawValue: UInt16) { self.rawValue = rawValue }

    package static let invalidRequest = ErrorCode(rawValue: 1)
    package static let invalidName = ErrorCode(rawValue: 2)
    package static let unknownTopic = ErrorCode(rawValue: 3)
    package static let unknownPartition = ErrorCode(rawValue: 4)
    package static let unknownExchange = ErrorCode(rawValue: 5)
    package static let unknownSubscription = ErrorCode(rawValue: 6)
    package static let unknownConsumer = ErrorCode(rawValue: 7)
    package static let alreadyExists = ErrorCode(rawValue: 8)
    package static let conflict = ErrorCode(rawValue: 9)
    package static let inUse = ErrorCode(rawValue: 10)
    package static let corruptBatch = ErrorCode(rawValue: 11)
    package static let unsupportedBatch = ErrorCode(rawValue: 12)
    package static let messageTooLarge = ErrorCode(rawValue: 13)
    package static let offsetOutOfRange = ErrorCode(rawValue: 14)
    package static let outOfOrderSequence = ErrorCode(rawValue: 15)
    package static let producerFenced = ErrorCode(rawValue: 16)
    package static let notInFlight = ErrorCode(rawValue: 17)
    package static let limitReached = ErrorCode(rawValue: 18)
    package static let notPermitted = ErrorCode(rawValue: 19)
    package static let storageFailed = ErrorCode(rawValue: 20)
    package static let unsupported = ErrorCode(rawValue: 21)
    package static let shuttingDown = ErrorCode(rawValue: 22)
    package static let unroutable = ErrorCode(rawValue: 23)
    package static let timedOut = ErrorCode(rawValue: 24)
    package static let unknownMember = ErrorCode(rawValue: 25)
    package static let illegalGeneration = ErrorCode(rawValue: 26)
    package static let rebalanceInProgress = ErrorCode(rawValue: 27)
    package static let fencedInstance = ErrorCode(rawValue: 28)
    package static let inconsistentProtocol = ErrorCode(rawValue: 29)
    package static let invalidSessionTimeout = ErrorCode(rawValue: 30)
    package static let groupNotEmpty = ErrorCode(rawValue: 31)
    package static let groupNotFound = ErrorCode(rawValue: 32)
    package static let groupSubscribedToTopic = ErrorCode(rawValue: 33)
    package static let groupFull = ErrorCode(rawValue: 34)
    package static let offsetMetadataTooLarge = ErrorCode(rawValue: 35)
    package static let invalidRecord = ErrorCode(rawValue: 36)
    package static let invalidTimestamp = ErrorCode(rawValue: 37)

    /// The connection does not begin with a HELLO that says the magic bytes.
    package static let notNative = ErrorCode(rawValue: 100)
    package static let unsupportedVersion = ErrorCode(rawValue: 101)
    package static let malformedFrame = ErrorCode(rawValue: 102)
    package static let frameTooLarge = ErrorCode(rawValue: 103)
    /// A type that this version does not have.
    package static let unknownFrame = ErrorCode(rawValue: 104)
    /// A frame that is not allowed now, or not from this side.
    package static let unexpectedFrame = ErrorCode(rawValue: 105)
    package static let handshakeTimeout = ErrorCode(rawValue: 106)

    /// All that this version names, in order.
    package static let named: [(code: ErrorCode, name: String)] = [
        (.invalidRequest, "invalidRequest"), (.invalidName, "invalidName"), (.unknownTopic, "unknownTopic"),
        (.unknownPartition, "unknownPartition"), (.unknownExchange, "unknownExchange"), (.unknownSubscription, "unknownSubscription"),
        (.unknownConsumer, "unknownConsumer"), (.alreadyExists, "alreadyExists"), (.conflict, "conflict"), (.inUse, "inUse"),
        (.corruptBatch, "corruptBatch"), (.unsupportedBatch, "unsupportedBatch"), (.messageTooLarge, "messageTooLarge"),
        (.offsetOutOfRange, "offsetOutOfRange"), (.outOfOrderSequence, "outOfOrderSequence"), (.producerFenced, "producerFenced"),
        (.notInFlight, "notInFlight"), (.limitReached, "limitReached"), (.notPermitted, "notPermitted"), (.storageFailed, "storageFailed"),
        (.unsupported, "unsupported"), (.shuttingDown, "shuttingDown"), (.unroutable, "unroutable"), (.timedOut, "timedOut"),
        (.unknownMember, "unknownMember"), (.illegalGeneration, "illegalGeneration"), (.rebalanceInProgress, "rebalanceInProgress"),
        (.fencedInstance, "fencedInstance"), (.inconsistentProtocol, "inconsistentProtocol"), (.invalidSessionTimeout, "invalidSessionTimeout"),
        (.groupNotEmpty, "groupNotEmpty"), (.groupNotFound, "groupNotFound"), (.groupSubscribedToTopic, "groupSubscribedToTopic"),
        (.groupFull, "groupFull"), (.offsetMetadataTooLarge, "offsetMetadataTooLarge"),
        (.invalidRecord, "invalidRecord"), (.invalidTimestamp, "invalidTimestamp"),
        (.notNative, "notNative"), (.unsupportedVersion, "unsupportedVersion"), (.malformedFrame, "malformedFrame"),
        (.frameTooLarge, "frameTooLarge"), (.unknownFrame, "unknownFrame"), (.unexpectedFrame, "unexpectedFrame"),
        (.handshakeTimeout, "handshakeTimeout"),
    ]

    package var description: String { ErrorCode.named.first { $0.code == self }?.name ?? "error \(rawValue)" }
}
