internal import BrokerCore
internal import Bytes
internal import SegmentLog

// Places in a log, and the numbers of producers.
extension KafkaAPI {
    static func listOffsets(_ request: ListOffsetsRequest, _ call: KafkaCall) {
        var response = ListOffsetsResponse()
        call.respond { response }
        for (place, topic) in request.topics.enumerated() {
            response.topics.append(ListOffsetsResponse.Topic(name: topic.name))
            let repeated = Dictionary(topic.partitions.map { ($0.partitionIndex, 1) }, uniquingKeysWith: +)
            for (index, partition) in topic.partitions.enumerated() {
                response.topics[place].partitions.append(ListOffsetsResponse.Partition(partitionIndex: partition.partitionIndex))
                guard repeated[partition.partitionIndex] == 1, let position = StartPosition(kafka: partition.timestamp) else {
                    response.topics[place].partitions[index].errorCode = KafkaError.invalidRequest.rawValue
                    continue
                }
                call.ask(.findOffset(topic: topic.name, partition: partition.partitionIndex, position: position)) { _, answer in
                    switch answer {
                    case .offset(let offset, let timestamp, let epoch):
                        // Looked for by its time and not found: no offset rather than the end.
                        let isMissing = position.isSearch && timestamp.rawValue < 0
                        response.topics[place].partitions[index].offset = isMissing ? -1 : offset.rawValue
                        response.topics[place].partitions[index].timestamp = timestamp.rawValue
                        response.topics[place].partitions[index].leaderEpoch = isMissing ? -1 : epoch
                    case .failed(let error): response.topics[place].partitions[index].errorCode = KafkaError(error).rawValue
                    default: break
                    }
                }
            }
        }
    }

    /// How far a consumer that last saw an epoch agrees with the log: an epoch ends where the log went on after an unclean stop.
    static func offsetForLeaderEpoch(_ input: RawSpan, _ body: ByteRange, _ call: KafkaCall, _ names: inout TopicNames) throws(ByteError) -> Bool {
        var reader = KafkaReader(input, frame: body)
        let request = try OffsetForLeaderEpochRequest(from: &reader, version: call.version)
        guard let topics = names.resolve(request.topics.map(\.topic)) else { return false }
        var response = OffsetForLeaderEpochResponse()
        call.respond { response }
        for (place, (asked, topic)) in zip(request.topics, topics).enumerated() {
            response.topics.append(OffsetForLeaderEpochResponse.Topic(topic: asked.topic))
            for (index, partition) in asked.partitions.enumerated() {
                response.topics[place].partitions.append(OffsetForLeaderEpochResponse.Partition(partition: partition.partition))
                guard let topic else {
                    response.topics[place].partitions[index].errorCode = KafkaError.unknownTopicOrPartition.rawValue
                    continue
                }
                call.ask(.endOfEpoch(topic, partition: partition.partition, epoch: partition.leaderEpoch)) { call, answer in
                    switch answer {
                    case .epochEnd(let epoch, let end):
                        response.topics[place].partitions[index].leaderEpoch = epoch
                        response.topics[place].partitions[index].endOffset = end.rawValue
                    case .failed(let error):
                        if error.code == .unknownTopic { call.note(vanished: topic) }
                        response.topics[place].partitions[index].errorCode = KafkaError(error).rawValue
                    default: break
                    }
                }
            }
        }
        return true
    }

    static func initProducerID(_ request: InitProducerIdRequest, _ call: KafkaCall) {
        var response = InitProducerIdResponse()
        response.producerID = -1
        response.producerEpoch = -1
        call.respond { response }
        guard request.transactionalID == nil else {
            response.errorCode = KafkaError.transactionalIDAuthorizationFailed.rawValue
            return
        }
        // A client that names itself wants its next epoch.
        call.ask(.startProducer(id: request.producerID, epoch: request.producerEpoch)) { _, answer in
            switch answer {
            case .producer(let id, let epoch):
                response.producerID = id
                response.producerEpoch = epoch
            case .failed(let error): response.errorCode = KafkaError(error).rawValue
            default: break
            }
        }
    }
}

extension StartPosition {
    /// Kafka's words for places have negative times.
    fileprivate init?(kafka timestamp: Int64) {
        switch timestamp {
        case -1: self = .latest
        case -2: self = .earliest
        case -3: self = .maxTimestamp
        case 0...: self = .time(Timestamp(milliseconds: timestamp))
        default: return nil
        }
    }

    /// Whether there may be no such record.
    fileprivate var isSearch: Bool {
        switch self {
        case .time, .maxTimestamp: true
        case .earliest, .latest, .offset: false
        }
    }
}
