internal import BrokerCore
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

    static func initProducerID(_ request: InitProducerIdRequest, _ call: KafkaCall) {
        var response = InitProducerIdResponse()
        response.producerID = -1
        response.producerEpoch = -1
        call.respond { response }
        guard request.transactionalID == nil else {
            response.errorCode = KafkaError.invalidRequest.rawValue
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
