internal import BrokerCore
internal import Bytes
internal import SegmentLog

// Records in: each partition's batch is one append, stored as it came.
extension KafkaAPI {
    static func produce(_ input: RawSpan, _ body: ByteRange, _ call: KafkaCall, _ names: inout TopicNames) throws(ByteError) -> Bool {
        var reader = KafkaReader(input, frame: body)
        let request = try ProduceRequest(from: &reader, version: call.version)
        guard let topics = names.resolve(request.topicData.map(\.name)) else { return false }
        var response = ProduceResponse()
        for (place, (asked, topic)) in zip(request.topicData, topics).enumerated() {
            response.responses.append(ProduceResponse.Topic(name: asked.name))
            for (index, partition) in asked.partitionData.enumerated() {
                response.responses[place].partitionResponses.append(ProduceResponse.Partition(index: partition.index))
                func refuse(_ error: KafkaError, _ text: String) {
                    if request.acks == 0 { call.hangUp() }
                    response.responses[place].partitionResponses[index].refuse(error, text)
                }
                if let (error, text) = fault(of: request, call.version) {
                    refuse(error, text)
                } else if let topic, let records = partition.records, records.count > 0 {
                    let append = Append(
                        target: .topic(topic, partition: max(partition.index, 0)), content: .batch(records), durability: .none, answer: .whenReached)
                    if partition.index < 0 {
                        refuse(.unknownTopicOrPartition, "partition \(partition.index)")
                    } else {
                        call.ask(.append(append)) { call, answer in
                            // Without responses the end of the connection is all that can be said: the client looks for the topic anew.
                            if case .failed = answer, request.acks == 0 { call.hangUp() }
                            if case .failed(let error) = answer, error.code == .unknownTopic { call.note(vanished: topic) }
                            response.responses[place].partitionResponses[index].take(answer)
                        }
                    }
                } else if topic == nil {
                    refuse(.unknownTopicOrPartition, "there is no topic '\(asked.name)'")
                } else {
                    refuse(.invalidRecord, "no records")
                }
            }
        }
        if request.acks != 0 { call.respond { response } }
        return true
    }

    /// What is wrong with all of a request.
    private static func fault(of request: ProduceRequest, _ version: Int16) -> (KafkaError, String)? {
        // Advertised all the same: librdkafka up to 1.x does not compress for a broker without them.
        if version < 3 { return (.unsupportedForMessageFormat, "message formats 0 and 1 are not stored; clients from 0.11 on use format 2") }
        if request.transactionalID != nil { return (.invalidRequest, "transactions are not supported yet") }
        if !(-1...1).contains(request.acks) { return (.invalidRequiredAcks, "acks is 0, 1 or -1 (all)") }
        return nil
    }
}

extension ProduceResponse.Partition {
    fileprivate mutating func refuse(_ error: KafkaError, _ text: String) {
        errorCode = error.rawValue
        errorMessage = text
        baseOffset = -1
    }

    fileprivate mutating func take(_ answer: Response) {
        switch answer {
        case .appended(let appended):
            baseOffset = appended.baseOffset.rawValue
            logStartOffset = appended.logStart.rawValue
            if let time = appended.stampedAt { logAppendTimeMs = time.rawValue }
            // Stored so long ago that its place is forgotten; clients take it for a success.
            if appended.duplicate, appended.baseOffset.rawValue < 0 { errorCode = KafkaError.duplicateSequence.rawValue }
        case .failed(let error):
            // A disk that is nearly full may have room again: unlike other limits that is worth another attempt.
            refuse(error.code == .limitReached ? .kafkaStorageError : KafkaError(error), error.text)
        default: refuse(.unknownServerError, "")
        }
    }
}
