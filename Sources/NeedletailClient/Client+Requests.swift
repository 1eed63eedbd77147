internal import Bytes
internal import NativeCodec

/// Request and reply: a message to a topic, and the one message that answers it.
extension Client {
    /// Sends a request to a topic and waits for the reply.
    ///
    /// When the connection is lost meanwhile this fails with `outcomeUnknown`: the request may have been served.
    ///
    /// ```swift
    /// let price = try await client.request(topic: "prices", payload: Array("AAPL".utf8), timeout: .seconds(2))
    /// print(price.text)
    /// ```
    public func request(
        topic: String, payload: [UInt8], key: [UInt8]? = nil, headers: [Header] = [], timeout: Duration = .seconds(10)
    ) async throws(ClientError) -> Message {
        let id = try await requests.topicID(topic)
        let (correlation, replyTopic, promise) = try await requests.expect()
        defer { requests.forget(correlation) }
        let all = headers + [Header(ReplyBox.replyToHeader, replyTopic), Header(ReplyBox.correlationHeader, correlation)]
        try await connection.publishOne(topic: id, payload: payload, key: key, headers: all)
        let alarm = Task {
            try? await Task.sleep(for: timeout)
            if !Task.isCancelled { promise.fail(.timedOut("the reply from \(topic)")) }
        }
        defer { alarm.cancel() }
        return try await promise.value()
    }

    /// Answers a request that came as a message.
    ///
    /// ```swift
    /// for try await request in try await client.worker(queue: "prices") {
    ///     try await client.reply(to: request, payload: price(of: request.text))
    /// }
    /// ```
    public func reply(to request: Message, payload: [UInt8], headers: [Header] = []) async throws(ClientError) {
        guard let topic = request.header(ReplyBox.replyToHeader) else {
            throw .invalid("the message wants no reply: it has no header \(ReplyBox.replyToHeader)")
        }
        let id = try await requests.topicID(String(decoding: topic, as: UTF8.self))
        let correlation = request.headers.filter { $0.name == ReplyBox.correlationHeader }
        try await connection.publishOne(topic: id, payload: payload, key: nil, headers: headers + correlation)
    }
}
