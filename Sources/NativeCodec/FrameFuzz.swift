internal import Bytes

/// The fuzz entry of the codec: cuts `bytes` into frames and decodes each as what its type says. Answers how many were understood.
package func decodeAnything(_ bytes: RawSpan, limit: Int = 1 << 20) -> Int {
    var at = 0
    var understood = 0
    while case .frame(let header) = try? FrameSplitter.next(in: bytes, at: at, limit: limit) {
        if let type = FrameType(rawValue: header.type), decodes(type, header, bytes, at) { understood &+= 1 }
        at &+= header.size
    }
    return understood
}

private func decodes(_ type: FrameType, _ header: FrameHeader, _ bytes: RawSpan, _ at: Int) -> Bool {
    do throws(ByteError) {
        switch type {
        case .hello: _ = try Frame.Hello.decode(header, in: bytes, at: at)
        case .welcome: _ = try Frame.Welcome.decode(header, in: bytes, at: at)
        case .ping: _ = try Frame.Ping.decode(header, in: bytes, at: at)
        case .pong: _ = try Frame.Pong.decode(header, in: bytes, at: at)
        case .error: _ = try Frame.Failure.decode(header, in: bytes, at: at)
        case .ok: _ = try Frame.OK.decode(header, in: bytes, at: at)
        case .count: _ = try Frame.Count.decode(header, in: bytes, at: at)
        case .openLane: _ = try Frame.OpenLane.decode(header, in: bytes, at: at)
        case .laneOpened: _ = try Frame.LaneOpened.decode(header, in: bytes, at: at)
        case .publish: _ = try Frame.Publish.decode(header, in: bytes, at: at)
        case .publishBatch: _ = try Frame.PublishBatch.decode(header, in: bytes, at: at)
        case .published: _ = try Frame.Published.decode(header, in: bytes, at: at)
        case .startProducer: _ = try Frame.StartProducer.decode(header, in: bytes, at: at)
        case .producer: _ = try Frame.Producer.decode(header, in: bytes, at: at)
        case .fetch: _ = try Frame.Fetch.decode(header, in: bytes, at: at)
        case .fetched: _ = try Frame.Fetched.decode(header, in: bytes, at: at)
        case .findOffset: _ = try Frame.FindOffset.decode(header, in: bytes, at: at)
        case .offset: _ = try Frame.FoundOffset.decode(header, in: bytes, at: at)
        case .subscribe: _ = try Frame.Subscribe.decode(header, in: bytes, at: at)
        case .subscribed: _ = try Frame.Subscribed.decode(header, in: bytes, at: at)
        case .unsubscribe: _ = try Frame.Unsubscribe.decode(header, in: bytes, at: at)
        case .credit: _ = try Frame.Credit.decode(header, in: bytes, at: at)
        case .deliverBatches: _ = try Frame.DeliverBatches.decode(header, in: bytes, at: at)
        case .deliverRecords: _ = try Frame.DeliverRecords.decode(header, in: bytes, at: at)
        case .settle: _ = try Frame.Settle.decode(header, in: bytes, at: at)
        case .extendLease: _ = try Frame.ExtendLease.decode(header, in: bytes, at: at)
        case .consumerEvent: _ = try Frame.ConsumerEvent.decode(header, in: bytes, at: at)
        case .seek: _ = try Frame.Seek.decode(header, in: bytes, at: at)
        case .deleteSubscription: _ = try Frame.DeleteSubscription.decode(header, in: bytes, at: at)
        case .listSubscriptions: _ = try Frame.ListSubscriptions.decode(header, in: bytes, at: at)
        case .subscriptions: _ = try Frame.Subscriptions.decode(header, in: bytes, at: at)
        case .createTopic: _ = try Frame.CreateTopic.decode(header, in: bytes, at: at)
        case .alterTopic: _ = try Frame.AlterTopic.decode(header, in: bytes, at: at)
        case .deleteTopic: _ = try Frame.DeleteTopic.decode(header, in: bytes, at: at)
        case .describeTopic: _ = try Frame.DescribeTopic.decode(header, in: bytes, at: at)
        case .listTopics: _ = try Frame.ListTopics.decode(header, in: bytes, at: at)
        case .topics: _ = try Frame.Topics.decode(header, in: bytes, at: at)
        case .createReplyTopic: _ = try Frame.CreateReplyTopic.decode(header, in: bytes, at: at)
        case .createExchange: _ = try Frame.CreateExchange.decode(header, in: bytes, at: at)
        case .deleteExchange: _ = try Frame.DeleteExchange.decode(header, in: bytes, at: at)
        case .bind: _ = try Frame.Bind.decode(header, in: bytes, at: at)
        case .unbind: _ = try Frame.Unbind.decode(header, in: bytes, at: at)
        case .listExchanges: _ = try Frame.ListExchanges.decode(header, in: bytes, at: at)
        case .findExchange: _ = try Frame.FindExchange.decode(header, in: bytes, at: at)
        case .exchanges: _ = try Frame.Exchanges.decode(header, in: bytes, at: at)
        case .purge: _ = try Frame.Purge.decode(header, in: bytes, at: at)
        case .redrive: _ = try Frame.Redrive.decode(header, in: bytes, at: at)
        case .statistics: _ = try Frame.Statistics.decode(header, in: bytes, at: at)
        case .figures: _ = try Frame.Figures.decode(header, in: bytes, at: at)
        }
        return true
    } catch {
        return false
    }
}
