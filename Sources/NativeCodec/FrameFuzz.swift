internal import Bytes

/// The fuzz entry of the codec: cuts `bytes` into frames and decodes each as what its type says; what was understood is written again,
/// and must be read as the same. Answers how many were understood.
package func decodeAnything(_ bytes: RawSpan, limit: Int = 1 << 20) -> Int {
    var at = 0
    var understood = 0
    while case .frame(let header) = try? FrameSplitter.next(in: bytes, at: at, limit: limit) {
        if let type = FrameType(rawValue: header.type), decodes(type, header, bytes.extracting(at..<(at &+ header.size))) { understood &+= 1 }
        at &+= header.size
    }
    return understood
}

private func decodes(_ type: FrameType, _ header: FrameHeader, _ frame: RawSpan) -> Bool {
    do throws(ByteError) {
        switch type {
        case .hello: try recode(Frame.Hello.self, header, frame)
        case .welcome: try recode(Frame.Welcome.self, header, frame)
        case .ping: try recode(Frame.Ping.self, header, frame)
        case .pong: try recode(Frame.Pong.self, header, frame)
        case .error: try recode(Frame.Failure.self, header, frame)
        case .ok: try recode(Frame.OK.self, header, frame)
        case .count: try recode(Frame.Count.self, header, frame)
        case .openLane: try recode(Frame.OpenLane.self, header, frame)
        case .laneOpened: try recode(Frame.LaneOpened.self, header, frame)
        case .publish: try recode(Frame.Publish.self, header, frame)
        case .publishBatch: try recode(Frame.PublishBatch.self, header, frame)
        case .published: try recode(Frame.Published.self, header, frame)
        case .startProducer: try recode(Frame.StartProducer.self, header, frame)
        case .producer: try recode(Frame.Producer.self, header, frame)
        case .fetch: try recode(Frame.Fetch.self, header, frame)
        case .fetched: try recode(Frame.Fetched.self, header, frame)
        case .findOffset: try recode(Frame.FindOffset.self, header, frame)
        case .offset: try recode(Frame.FoundOffset.self, header, frame)
        case .subscribe: try recode(Frame.Subscribe.self, header, frame)
        case .subscribed: try recode(Frame.Subscribed.self, header, frame)
        case .unsubscribe: try recode(Frame.Unsubscribe.self, header, frame)
        case .credit: try recode(Frame.Credit.self, header, frame)
        case .deliverBatches: try recode(Frame.DeliverBatches.self, header, frame)
        case .deliverRecords: try recode(Frame.DeliverRecords.self, header, frame)
        case .settle: try recode(Frame.Settle.self, header, frame)
        case .extendLease: try recode(Frame.ExtendLease.self, header, frame)
        case .consumerEvent: try recode(Frame.ConsumerEvent.self, header, frame)
        case .seek: try recode(Frame.Seek.self, header, frame)
        case .deleteSubscription: try recode(Frame.DeleteSubscription.self, header, frame)
        case .listSubscriptions: try recode(Frame.ListSubscriptions.self, header, frame)
        case .subscriptions: try recode(Frame.Subscriptions.self, header, frame)
        case .createTopic: try recode(Frame.CreateTopic.self, header, frame)
        case .alterTopic: try recode(Frame.AlterTopic.self, header, frame)
        case .deleteTopic: try recode(Frame.DeleteTopic.self, header, frame)
        case .describeTopic: try recode(Frame.DescribeTopic.self, header, frame)
        case .listTopics: try recode(Frame.ListTopics.self, header, frame)
        case .topics: try recode(Frame.Topics.self, header, frame)
        case .createReplyTopic: try recode(Frame.CreateReplyTopic.self, header, frame)
        case .createExchange: try recode(Frame.CreateExchange.self, header, frame)
        case .deleteExchange: try recode(Frame.DeleteExchange.self, header, frame)
        case .bind: try recode(Frame.Bind.self, header, frame)
        case .unbind: try recode(Frame.Unbind.self, header, frame)
        case .listExchanges: try recode(Frame.ListExchanges.self, header, frame)
        case .findExchange: try recode(Frame.FindExchange.self, header, frame)
        case .exchanges: try recode(Frame.Exchanges.self, header, frame)
        case .purge: try recode(Frame.Purge.self, header, frame)
        case .redrive: try recode(Frame.Redrive.self, header, frame)
        case .statistics: try recode(Frame.Statistics.self, header, frame)
        case .trace: try recode(Frame.Trace.self, header, frame)
        case .figures: try recode(Frame.Figures.self, header, frame)
        }
        return true
    } catch {
        return false
    }
}

/// Compared as bytes, not as values: a figure may be no number, which is not equal to itself.
private func recode<F: FrameBody>(_: F.Type, _ header: FrameHeader, _ bytes: RawSpan) throws(ByteError) {
    let frame = try F.decode(header, in: bytes, at: 0)
    let tail = bytes.extracting((bytes.byteCount &- frame.tailCount)..<bytes.byteCount)
    var written = ByteBuffer()
    frame.encode(to: &written, correlation: header.correlation)
    written.append(tail)
    guard case .frame(let again)? = try? FrameSplitter.next(in: written.bytes, at: 0, limit: .max), again.size == written.count,
        let second = try? F.decode(again, in: written.bytes, at: 0)
    else { preconditionFailure("a \(F.type) frame that we wrote cannot be read") }
    var twice = ByteBuffer()
    second.encode(to: &twice, correlation: again.correlation)
    twice.append(tail)
    let isSame = again.correlation == header.correlation && [UInt8](twice.bytes) == [UInt8](written.bytes)
    precondition(isSame, "a \(F.type) frame changes by being written and read")
}
