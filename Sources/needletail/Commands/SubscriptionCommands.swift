import NeedletailClient
import Observability

/// `needletail subscription …`.
extension Command {
    static let subscriptionList = Command(
        path: ["subscription", "list"],
        summary: "List who reads a topic, how far each is, and how much is left for it.",
        arguments: [.required("TOPIC", "A topic or queue.")],
        options: ClientFlags.common,
        examples: [Example("needletail subscription list orders", "is anybody behind?")],
        run: .inTask { invocation in
            let topic = invocation.argument("TOPIC") ?? ""
            let found = try await invocation.withClient { client in try await client.subscriptions(of: topic) }
            invocation.report(SubscriptionDescription.table(found), found.map(\.json))
            return .ok
        })

    static let subscriptionDelete = Command(
        path: ["subscription", "delete"],
        summary: "Delete a subscription: its place is forgotten, the topic keeps its messages.",
        arguments: [.required("TOPIC", "Its topic."), .required("NAME", "Its name.")],
        options: ClientFlags.common,
        examples: [Example("needletail subscription delete orders billing", "billing will begin anew")],
        run: .inTask { invocation in
            let topic = invocation.argument("TOPIC") ?? ""
            let name = invocation.argument("NAME") ?? ""
            try await invocation.withClient { client in try await client.deleteSubscription(topic: topic, name: name) }
            invocation.report("subscription \(name) of \(topic) was deleted", [("subscription", .text(name)), ("topic", .text(topic)), ("deleted", true)])
            return .ok
        })

    static let subscriptionSeek = Command(
        path: ["subscription", "seek"],
        summary: "Move a subscription: back to read again what retention has kept, or forward to skip.",
        arguments: [.required("TOPIC", "Its topic."), .required("NAME", "Its name."), .required("TO", "Where to: \(StartPosition.allowed).")],
        options: ClientFlags.common,
        examples: [
            Example("needletail subscription seek orders billing earliest", "bill everything again"),
            Example("needletail subscription seek orders billing 2026-11-21T12:00:00Z", "from noon on"),
        ],
        run: .inTask { invocation in
            let topic = invocation.argument("TOPIC") ?? ""
            let name = invocation.argument("NAME") ?? ""
            let place = try StartPosition(text: invocation.argument("TO") ?? "")
            try await invocation.withClient { client in try await client.seek(topic: topic, subscription: name, to: place) }
            invocation.report("subscription \(name) of \(topic) was moved", [("subscription", .text(name)), ("topic", .text(topic)), ("moved", true)])
            return .ok
        })
}

extension SubscriptionDescription {
    static func table(_ subscriptions: [SubscriptionDescription]) -> TextTable {
        var table = TextTable(["SUBSCRIPTION", "MODE", "CONSUMERS", "PARTITION", "FLOOR", "NEXT", "END", "BEHIND", "IN FLIGHT", "AGAIN"])
        for subscription in subscriptions.sorted(by: { $0.name < $1.name }) {
            for cursor in subscription.cursors {
                table.add([
                    subscription.name, subscription.isShared ? "shared" : "exclusive", String(subscription.consumers), String(cursor.partition),
                    String(cursor.floor), String(cursor.next), String(cursor.end), Figures.count(cursor.end - cursor.next), String(cursor.inFlight),
                    String(cursor.redeliver),
                ])
            }
        }
        return table
    }

    var json: [(String, JSON)] {
        let cursors = cursors.map { cursor in
            JSON.object([
                ("partition", .integer(Int64(cursor.partition))), ("floor", .integer(cursor.floor)), ("next", .integer(cursor.next)),
                ("end", .integer(cursor.end)), ("in_flight", .integer(cursor.inFlight)), ("redeliver", .integer(cursor.redeliver)),
            ])
        }
        return [
            ("subscription", .text(name)), ("topic", .text(topic)), ("shared", .flag(isShared)), ("consumers", .integer(Int64(consumers))),
            ("cursors", .list(cursors)),
        ]
    }
}
