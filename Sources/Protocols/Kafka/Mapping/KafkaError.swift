internal import BrokerCore

/// Kafka's error codes, as far as they are given here.
enum KafkaError: Int16 {
    case unknownServerError = -1
    case none = 0
    case offsetOutOfRange = 1
    case corruptMessage = 2
    case unknownTopicOrPartition = 3
    case notLeaderOrFollower = 6
    case messageTooLarge = 10
    case offsetMetadataTooLarge = 12
    case coordinatorNotAvailable = 15
    case invalidTopic = 17
    case invalidRequiredAcks = 21
    case illegalGeneration = 22
    case inconsistentGroupProtocol = 23
    case invalidGroupID = 24
    case unknownMemberID = 25
    case invalidSessionTimeout = 26
    case rebalanceInProgress = 27
    case topicAuthorizationFailed = 29
    case invalidTimestamp = 32
    case unsupportedVersion = 35
    case topicAlreadyExists = 36
    case invalidPartitions = 37
    case invalidReplicationFactor = 38
    case invalidReplicaAssignment = 39
    case invalidConfig = 40
    case invalidRequest = 42
    case unsupportedForMessageFormat = 43
    case policyViolation = 44
    case outOfOrderSequence = 45
    case duplicateSequence = 46
    case invalidProducerEpoch = 47
    case transactionalIDAuthorizationFailed = 53
    case securityDisabled = 54
    case kafkaStorageError = 56
    case nonEmptyGroup = 68
    case groupIDNotFound = 69
    case fetchSessionIDNotFound = 70
    case memberIDRequired = 79
    case groupMaxSizeReached = 81
    case fencedInstanceID = 82
    case groupSubscribedToTopic = 86
    case invalidRecord = 87
    case resourceNotFound = 91
    case unknownTopicID = 100
    case mismatchedEndpointType = 114
    case unsupportedEndpointType = 115

    init(_ error: BrokerError) {
        self =
            switch error.code {
            case .invalidName: .invalidTopic
            case .unknownTopic, .unknownPartition: .unknownTopicOrPartition
            case .alreadyExists: .topicAlreadyExists
            case .corruptBatch: .corruptMessage
            case .unsupportedBatch: .unsupportedForMessageFormat
            case .invalidRecord: .invalidRecord
            case .invalidTimestamp: .invalidTimestamp
            case .messageTooLarge: .messageTooLarge
            case .offsetOutOfRange: .offsetOutOfRange
            case .outOfOrderSequence: .outOfOrderSequence
            case .producerFenced: .invalidProducerEpoch
            case .limitReached: .policyViolation
            case .notPermitted: .topicAuthorizationFailed
            case .storageFailed: .kafkaStorageError
            // Clients look for another broker, and come back.
            case .shuttingDown: .notLeaderOrFollower
            case .invalidRequest, .conflict, .inUse: .invalidRequest
            default: .unknownServerError
            }
    }
}
