internal import NativeCodec

/// Topics, exchanges, bindings, subscriptions and figures.
extension Client {
    // MARK: Topics

    /// Creates a topic; refused as `alreadyExists` where there is one of this name.
    ///
    /// ```swift
    /// try await client.createTopic("events")
    /// ```
    public func createTopic(_ name: String, _ options: TopicOptions = TopicOptions()) async throws(ClientError) {
        _ = try await connection.call(Frame.CreateTopic(name: name, options: options.frame), "creating the topic \(name)", repeats: false)
    }

    /// Changes what may change on a living topic.
    ///
    /// ```swift
    /// try await client.alterTopic("events", change)
    /// ```
    public func alterTopic(_ name: String, _ change: TopicChange) async throws(ClientError) {
        _ = try await connection.call(Frame.AlterTopic(name: name, change: change.frame), "changing the topic \(name)", repeats: false)
    }

    /// Deletes a topic with everything in it.
    ///
    /// ```swift
    /// try await client.deleteTopic("events")
    /// ```
    public func deleteTopic(_ name: String) async throws(ClientError) {
        _ = try await connection.call(Frame.DeleteTopic(name: name), "deleting the topic \(name)", repeats: false)
    }

    /// Describes one topic.
    ///
    /// ```swift
    /// let partitions = try await client.topic("events").partitions.count
    /// ```
    public func topic(_ name: String) async throws(ClientError) -> TopicDescription {
        let answer = try await connection.call(Frame.DescribeTopic(name: name), "describing the topic \(name)", repeats: true)
        return try answer.expect { if case .topics(let list) = $0 { list.first } else { nil } }
    }

    /// Lists all topics.
    ///
    /// ```swift
    /// for topic in try await client.topics() { print(topic.name) }
    /// ```
    public func topics() async throws(ClientError) -> [TopicDescription] {
        let answer = try await connection.call(Frame.ListTopics(), "listing the topics", repeats: true)
        return try answer.expect { if case .topics(let list) = $0 { list } else { nil } }
    }

    /// The first offset of a partition at or behind a position, with its time in milliseconds since 1970-01-01 UTC.
    ///
    /// ```swift
    /// let (offset, _) = try await client.findOffset(topic: "events", partition: 0, at: .time(yesterday))
    /// ```
    public func findOffset(topic: String, partition: Int32, at position: StartPosition) async throws(ClientError) -> (offset: Int64, timestamp: Int64) {
        let answer = try await connection.call(
            Frame.FindOffset(topic: topic, partition: partition, position: position.frame), "finding an offset of \(topic)", repeats: true)
        return try answer.expect { if case .offset(let offset, let timestamp) = $0 { (offset, timestamp) } else { nil } }
    }

    /// Drops what a queue holds, or a topic's messages before an offset; answers how many.
    ///
    /// ```swift
    /// let dropped = try await client.purge("tasks")
    /// ```
    @discardableResult
    public func purge(_ topic: String, partition: Int32? = nil, before offset: Int64? = nil) async throws(ClientError) -> Int64 {
        let answer = try await connection.call(Frame.Purge(topic: topic, partition: partition, before: offset), "purging \(topic)", repeats: false)
        return try answer.expect { if case .count(let count) = $0 { count } else { nil } }
    }

    /// Moves dead letters back to where they came from; answers how many. A letter whose topic is gone, or sends its dead letters elsewhere
    /// by now, stays: what it says of itself anybody may have written.
    ///
    /// ```swift
    /// let moved = try await client.redrive("tasks.dead", limit: 100)
    /// ```
    @discardableResult
    public func redrive(_ deadLetterTopic: String, limit: Int64 = .max) async throws(ClientError) -> Int64 {
        let answer = try await connection.call(Frame.Redrive(topic: deadLetterTopic, limit: limit), "redriving \(deadLetterTopic)", repeats: false)
        return try answer.expect { if case .count(let count) = $0 { count } else { nil } }
    }

    // MARK: Exchanges

    /// Creates an exchange.
    ///
    /// ```swift
    /// try await client.createExchange("orders", .topic)
    /// ```
    public func createExchange(_ name: String, _ kind: ExchangeKind) async throws(ClientError) {
        _ = try await connection.call(Frame.CreateExchange(name: name, kind: kind.frame), "creating the exchange \(name)", repeats: false)
    }

    /// Deletes an exchange with its bindings.
    ///
    /// ```swift
    /// try await client.deleteExchange("orders")
    /// ```
    public func deleteExchange(_ name: String) async throws(ClientError) {
        _ = try await connection.call(Frame.DeleteExchange(name: name), "deleting the exchange \(name)", repeats: false)
    }

    /// Adds a binding; one that is there already stays.
    ///
    /// ```swift
    /// try await client.bind(Binding(from: "orders", to: .topic("billing"), matching: "order.*"))
    /// ```
    public func bind(_ binding: Binding) async throws(ClientError) {
        _ = try await connection.call(Frame.Bind(binding: binding.frame), "binding to \(binding.exchange)", repeats: true)
    }

    /// Removes a binding.
    ///
    /// ```swift
    /// try await client.unbind(binding)
    /// ```
    public func unbind(_ binding: Binding) async throws(ClientError) {
        _ = try await connection.call(Frame.Unbind(binding: binding.frame), "unbinding from \(binding.exchange)", repeats: false)
    }

    /// Lists all exchanges with their bindings.
    ///
    /// ```swift
    /// for exchange in try await client.exchanges() { print(exchange.name) }
    /// ```
    public func exchanges() async throws(ClientError) -> [ExchangeDescription] {
        let answer = try await connection.call(Frame.ListExchanges(), "listing the exchanges", repeats: true)
        return try answer.expect { if case .exchanges(let list) = $0 { list } else { nil } }
    }

    // MARK: Subscriptions

    /// Lists a topic's subscriptions.
    ///
    /// ```swift
    /// for group in try await client.subscriptions(of: "events") { print(group.name, group.consumers) }
    /// ```
    public func subscriptions(of topic: String) async throws(ClientError) -> [SubscriptionDescription] {
        let answer = try await connection.call(Frame.ListSubscriptions(name: topic), "listing the subscriptions of \(topic)", repeats: true)
        return try answer.expect { if case .subscriptions(let list) = $0 { list } else { nil } }
    }

    /// Moves a subscription to another place: back, to read again, or forward.
    ///
    /// ```swift
    /// try await client.seek(topic: "events", subscription: "billing", to: .earliest)
    /// ```
    public func seek(topic: String, subscription: String, to position: StartPosition) async throws(ClientError) {
        _ = try await connection.call(
            Frame.Seek(topic: topic, subscription: subscription, position: position.frame), "moving \(subscription)", repeats: false)
    }

    /// Deletes a subscription and its place.
    ///
    /// ```swift
    /// try await client.deleteSubscription(topic: "events", name: "billing")
    /// ```
    public func deleteSubscription(topic: String, name: String) async throws(ClientError) {
        _ = try await connection.call(Frame.DeleteSubscription(topic: topic, name: name), "deleting the subscription \(name)", repeats: false)
    }

    // MARK: Figures

    /// The broker's figures.
    ///
    /// ```swift
    /// for figure in try await client.statistics() { print(figure.name, figure.value) }
    /// ```
    public func statistics() async throws(ClientError) -> [Statistic] {
        let answer = try await connection.call(Frame.Statistics(), "reading the statistics", repeats: true)
        return try answer.expect { if case .statistics(let list) = $0 { list } else { nil } }
    }

    /// Follows the next message that anybody publishes to a topic: where its microseconds went in the broker. docs/metrics.md says what
    /// each figure is. Fails with `timedOut` when nothing was published meanwhile.
    ///
    /// ```swift
    /// for figure in try await client.trace("orders", for: .seconds(10)) { print(figure.name, figure.value) }
    /// ```
    public func trace(_ topic: String, for time: Duration = .seconds(10)) async throws(ClientError) -> [Statistic] {
        if let server, server.features & Frame.Hello.traces == 0 {
            throw .refused(Refusal(number: ErrorCode.unsupported.rawValue, text: "\(server.name) \(server.version) cannot follow messages"))
        }
        let milliseconds = UInt32(clamping: time.components.seconds * 1_000 + time.components.attoseconds / 1_000_000_000_000_000)
        let answer = try await connection.call(
            Frame.Trace(topic: topic, waitMilliseconds: milliseconds), "following a message of \(topic)", repeats: true)
        return try answer.expect { if case .statistics(let list) = $0 { list } else { nil } }
    }
}
