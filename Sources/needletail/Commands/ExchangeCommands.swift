import ConfigFile
import NeedletailClient
import Observability

/// `needletail exchange …`.
extension Command {
    private static let pattern = Option.value(
        "pattern", short: "p", "PATTERN", .text, "Which routing keys: exact for direct, words with * and # for topic, none for fanout.")
    private static let toExchange = Option.flag("exchange", "DESTINATION names another exchange.")

    static let exchangeCreate = Command(
        path: ["exchange", "create"],
        summary: "Create an exchange: it takes messages and hands each to the topics, queues and exchanges bound to it.",
        arguments: [.required("EXCHANGE", "Its name.")],
        options: [
            .value("kind", short: "t", "KIND", .choice(ExchangeKind.names), "How it chooses.", fallback: "topic"),
            .flag("if-missing", "Be content when it exists already."),
        ] + ClientFlags.common,
        examples: [Example("needletail exchange create orders --kind topic", "chooses by patterns such as order.*.eu")],
        run: .inTask { invocation in
            let name = invocation.argument("EXCHANGE") ?? ""
            let kind = invocation.text("kind").flatMap { ExchangeKind(name: $0) } ?? .topic
            return try await invocation.withClient { client in
                try await invocation.create("exchange", name) { () async throws(ClientError) in try await client.createExchange(name, kind) }
            }
        })

    static let exchangeList = Command(
        path: ["exchange", "list"],
        summary: "List exchanges and what is bound to them.",
        options: ClientFlags.common,
        examples: [Example("needletail exchange list", "who gets what?")],
        run: .inTask { invocation in
            let exchanges = try await invocation.withClient { client in try await client.exchanges() }.sorted { $0.name < $1.name }
            var table = TextTable(["EXCHANGE", "KIND", "PATTERN", "DESTINATION"])
            for exchange in exchanges {
                if exchange.bindings.isEmpty { table.add([exchange.name, exchange.kind.name, "", "nothing is bound"]) }
                for binding in exchange.bindings {
                    table.add([exchange.name, exchange.kind.name, TerminalText.shown(binding.pattern), binding.destination.text])
                }
            }
            invocation.report(table, exchanges.map(\.json))
            return .ok
        })

    static let exchangeBind = Command(
        path: ["exchange", "bind"],
        summary: "Bind a topic, a queue or another exchange to an exchange.",
        arguments: [.required("EXCHANGE", "From here."), .required("DESTINATION", "To there.")],
        options: [pattern, toExchange] + ClientFlags.common,
        examples: [
            Example("needletail exchange bind orders payment --pattern 'order.placed.#'", "messages whose routing key begins so"),
            Example("needletail exchange bind orders audit --exchange --pattern '#'", "all of them, to another exchange"),
        ],
        run: .inTask { invocation in
            let binding = invocation.binding
            try await invocation.withClient { client in try await client.bind(binding) }
            invocation.report("\(binding.destination.text) is bound to \(binding.exchange)", binding.json + [("bound", true)])
            return .ok
        })

    static let exchangeUnbind = Command(
        path: ["exchange", "unbind"],
        summary: "Take a binding away.",
        arguments: [.required("EXCHANGE", "From here."), .required("DESTINATION", "To there.")],
        options: [pattern, toExchange] + ClientFlags.common,
        examples: [Example("needletail exchange unbind orders payment --pattern 'order.placed.#'", "the same words as for bind")],
        run: .inTask { invocation in
            let binding = invocation.binding
            try await invocation.withClient { client in try await client.unbind(binding) }
            invocation.report("\(binding.destination.text) is no longer bound to \(binding.exchange)", binding.json + [("bound", false)])
            return .ok
        })

    static let exchangeDelete = Command(
        path: ["exchange", "delete"],
        summary: "Delete exchanges with their bindings. Topics and queues stay.",
        arguments: [.repeated("EXCHANGE", "Their names.", isRequired: true)],
        options: ClientFlags.common,
        examples: [Example("needletail exchange delete orders", "nothing is routed there any more")],
        run: .inTask { invocation in
            try await invocation.withClient { client in
                for name in invocation.arguments("EXCHANGE") {
                    try await client.deleteExchange(name)
                    invocation.report("exchange \(name) was deleted", [("exchange", .text(name)), ("deleted", true)])
                }
            }
            return .ok
        })
}

extension Invocation {
    fileprivate var binding: Binding {
        let name = argument("DESTINATION") ?? ""
        return Binding(from: argument("EXCHANGE") ?? "", to: has("exchange") ? .exchange(name) : .topic(name), matching: text("pattern") ?? "")
    }
}

extension ExchangeKind {
    static let names = ["direct", "topic", "fanout"]
    init?(name: String) {
        guard let number = ExchangeKind.names.firstIndex(of: name) else { return nil }
        self.init(rawValue: UInt8(number))
    }
    var name: String { ExchangeKind.names[Int(rawValue)] }
}

extension Binding.Destination {
    fileprivate var text: String {
        switch self {
        case .topic(let name): name
        case .exchange(let name): "exchange \(name)"
        }
    }
}

extension Binding {
    fileprivate var json: [(String, JSON)] {
        let place: (String, JSON) =
            switch destination {
            case .topic(let name): ("topic", .text(name))
            case .exchange(let name): ("destination_exchange", .text(name))
            }
        return [("exchange", .text(exchange)), place, ("pattern", .text(pattern))]
    }
}

extension ExchangeDescription {
    fileprivate var json: [(String, JSON)] {
        [("exchange", .text(name)), ("kind", .text(kind.name)), ("bindings", .list(bindings.map { .object($0.json) }))]
    }
}
