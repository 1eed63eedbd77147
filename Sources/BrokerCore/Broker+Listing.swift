internal import Containers
internal import SegmentLog

/// A list of subscriptions with their cursors that is being told: in pieces, each in a tick, so that a long one keeps nobody waiting, and
/// no faster than the session takes them.
struct Listing {
    let session: Session
    let request: RequestID
    let topic: String
    /// As they were when somebody asked; those that have gone since are left out.
    let subscriptions: [Subscription]
    var next = 0
}

extension Broker {
    /// Cursors that are told in one tick.
    static let listingCursors = 4_096

    func listSubscriptions(_ topicName: String, _ id: RequestID, _ session: Session) throws(BrokerError) {
        let topic = try ownTopic(named: topicName)
        var listing = Listing(session: session, request: id, topic: topic.name, subscriptions: topic.sortedSubscriptions + topic.transient)
        var budget = Broker.listingCursors
        if !tell(&listing, &budget) { listings.append(listing) }
    }

    /// Goes on with the lists that are not told to their end.
    func runListings() {
        guard !listings.isEmpty else { return }
        var running: [Listing] = []
        swap(&running, &listings)
        var budget = Broker.listingCursors
        for var listing in running where sessions[listing.session.id] === listing.session {
            if budget > 0, listing.session.isWritable, tell(&listing, &budget) { continue }
            listings.append(listing)
        }
    }

    var hasListingToTell: Bool { listings.contains { $0.session.isWritable } }

    /// The next piece; true when it was the last.
    private func tell(_ listing: inout Listing, _ budget: inout Int) -> Bool {
        var described: [SubscriptionDescription] = []
        while listing.next < listing.subscriptions.count {
            guard budget > 0 else {
                respond(listing.session.id, listing.request, .someSubscriptions(described))
                return false
            }
            let subscription = listing.subscriptions[listing.next]
            listing.next += 1
            guard !subscription.hasLeft else { continue }
            budget -= 1 + subscription.lanes.count
            described.append(describe(subscription, of: listing.topic))
        }
        respond(listing.session.id, listing.request, .subscriptions(described))
        return true
    }

    private func describe(_ subscription: Subscription, of topic: String) -> SubscriptionDescription {
        let cursors = subscription.lanes.map { lane in
            let log = try? openLog(lane.partition)
            return CursorDescription(
                partition: lane.partition.id.index, floor: lane.cursor.floor, next: lane.cursor.next, end: log?.visibleEnd ?? lane.cursor.next,
                inFlight: lane.cursor.inFlightCount, redeliver: lane.cursor.redeliveryCount)
        }
        return SubscriptionDescription(
            id: subscription.id, topic: topic, name: subscription.name, mode: subscription.mode, consumers: Int32(subscription.consumers.count),
            cursors: cursors)
    }
}
