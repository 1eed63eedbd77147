internal import BrokerCore
internal import Bytes
internal import SegmentLog
internal import Wire

// Records out: whole stored batches, sent from the segments.
extension KafkaAPI {
    static func fetch(_ input: RawSpan, _ body: ByteRange, _ call: KafkaCall, _ names: inout TopicNames) throws(ByteError) -> Bool {
        var reader = KafkaReader(input, frame: body)
        let request = try FetchRequest(from: &reader, version: call.version)
        guard let topics = names.resolve(request.topics.map(\.topic)) else { return false }
        var parts: [Fetch.Part] = []
        var isUnknown = false
        for (asked, topic) in zip(request.topics, topics) {
            guard let topic else {
                isUnknown = true
                continue
            }
            for partition in asked.partitions {
                parts.append(
                    Fetch.Part(
                        topic: topic, partition: partition.partition, from: Offset(partition.fetchOffset), maxBytes: Int(partition.partitionMaxBytes)))
            }
        }
        // Fetch sessions are declined: every request says all of what it wants, and the session is always 0.
        var response = FetchResponse()
        if request.sessionID != 0 {
            response.errorCode = KafkaError.fetchSessionIDNotFound.rawValue
            call.respond { output in
                response.encodeHead(to: &output.bytes, version: call.version, count: 0)
                response.encodeTail(to: &output.bytes, version: call.version)
                return 0
            }
            return true
        }
        let fetch = Fetch(
            parts: parts, maxBytes: Int(request.maxBytes), minBytes: Int(request.minBytes),
            waitMilliseconds: isUnknown ? 0 : UInt32(max(0, request.maxWaitMs)))
        var found: [Fetched] = []
        var failure: BrokerError?
        call.ask(.fetch(fetch)) { call, answer in
            switch answer {
            case .fetched(let parts): found = parts
            case .failed(let error): failure = error
            default: break
            }
            for part in found where part.failure?.code == .unknownTopic { call.note(vanished: part.topic) }
        }
        let version = call.version
        call.respond { output in
            let before = output.pendingBytes - output.bytes.count
            response.encodeHead(to: &output.bytes, version: version, count: request.topics.count)
            var next = found.makeIterator()
            for (asked, topic) in zip(request.topics, topics) {
                let answered = FetchResponse.Topic(topic: asked.topic)
                answered.encodeHead(to: &output.bytes, version: version, count: asked.partitions.count)
                for partition in asked.partitions {
                    let part = topic == nil ? nil : next.next()
                    FetchResponse.Partition(partition.partition, part, failure).write(part?.slice, version, &output)
                }
                answered.encodeTail(to: &output.bytes, version: version)
            }
            response.encodeTail(to: &output.bytes, version: version)
            return output.pendingBytes - output.bytes.count - before
        }
        return true
    }
}

extension FetchResponse.Partition {
    fileprivate init(_ index: Int32, _ fetched: Fetched?, _ failure: BrokerError?) {
        self.init(partitionIndex: index)
        if let error = fetched?.failure ?? failure {
            errorCode = KafkaError(error).rawValue
        } else if fetched == nil {
            errorCode = KafkaError.unknownTopicOrPartition.rawValue
        }
        guard errorCode == 0, let fetched else {
            highWatermark = -1
            return
        }
        highWatermark = fetched.visibleEnd.rawValue
        // Without transactions everything visible is stable.
        lastStableOffset = fetched.visibleEnd.rawValue
        logStartOffset = fetched.start.rawValue
    }

    fileprivate func write(_ slice: LogSlice?, _ version: Int16, _ output: inout SessionOutput) {
        encodeHead(to: &output.bytes, version: version, recordsByteCount: slice?.range.count ?? 0)
        if let slice { output.reference(slice) }
        encodeTail(to: &output.bytes, version: version)
    }
}
