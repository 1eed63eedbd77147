import ConfigFile
import NeedletailClient
import Observability

/// What all commands that talk to a broker share.
enum ClientFlags {
    static let server = Option.value(
        "server", short: "s", "ADDRESS", .address, "The broker: HOST:PORT or unix:PATH.", fallback: Client.defaultAddress, variable: "NEEDLETAIL_SERVER")
    static let json = Option.flag("json", short: "j", "Print JSON, one object a line.")
    /// For commands that publish.
    static let durability = Option.value(
        "durability", "MODE", .choice(Durability.names), "What an acknowledgement must promise at least.", fallback: "what the topic promises")
    static let key = Option.value("key", short: "k", "KEY", .text, "The key: messages with the same key keep their order.")
    static let header = Option.value("header", short: "H", "NAME=VALUE", .pair, "A header of the message.", isRepeated: true)
    static let common = [server, json]
}

extension Durability {
    static let names = ["none", "interval", "group", "each"]
    init?(name: String) {
        guard let number = Durability.names.firstIndex(of: name) else { return nil }
        self.init(rawValue: UInt8(number))
    }
    var name: String { Durability.names[Int(rawValue)] }
}

extension Invocation {
    var server: String { text("server") ?? Client.defaultAddress }
    var durability: Durability? { text("durability").flatMap { Durability(name: $0) } }
    var headers: [Header] { pairs("header").map { Header($0.name, $0.value) } }

    /// Connects, works, and closes whatever happens.
    /// - Parameter giveUpAfter: how long to go on without a connection; nil: for ever, for commands that follow something.
    func withClient<T>(giveUpAfter: Duration? = .seconds(10), _ work: (Client) async throws -> T) async throws -> T {
        var options = ClientOptions()
        options.name = "needletail \(command.name)"
        options.giveUpAfter = giveUpAfter
        let client = try await Client.connect(to: server, options)
        do {
            let result = try await work(client)
            await client.close()
            return result
        } catch {
            await client.close()
            throw error
        }
    }

    /// One sentence for people, or an object for programs.
    func report(_ sentence: String, _ object: [(String, JSON)]) {
        console.print(has("json") ? JSON.object(object).description : sentence)
    }

    /// A table for people, or an object a row for programs.
    func report(_ table: TextTable, _ objects: [[(String, JSON)]]) {
        if has("json") {
            for object in objects { console.print(JSON.object(object).description) }
        } else {
            console.print(table.text(console.style), terminator: "")
        }
    }
}

extension CommandFailure {
    /// The client's errors with the codes that scripts know.
    init(_ error: ClientError) {
        switch error {
        case .badAddress: self.init(.usage, error.description)
        case .cannotConnect(let address, let reason):
            self.init(.cannotConnect, "cannot connect to \(address): \(reason); is the broker running? Start it with `needletail serve`")
        case .damaged: self.init(.damaged, error.description)
        case .refused(let refusal): self.init(.refused, ClientError.refused(refusal).description)
        default: self.init(.failure, error.description)
        }
    }
}

extension ClientError {
    /// What was to be created exists.
    var isAlreadyThere: Bool { if case .refused(let refusal) = self { refusal.code == .alreadyExists } else { false } }
}

/// Where to begin, as written: `earliest`, `latest`, an offset, or a time.
extension StartPosition {
    static let allowed = "earliest, latest, an offset, or a time such as 2026-11-21T12:00:00Z"

    init(text: String) throws(CommandFailure) {
        switch text {
        case "earliest": self = .earliest
        case "latest": self = .latest
        default:
            if let offset = Int64(text), offset >= 0 {
                self = .offset(offset)
            } else if let time = UTCTime(text) {
                self = .time(time.milliseconds)
            } else {
                throw CommandFailure(.usage, "\(quoted(text)) is no place to begin; allowed: \(StartPosition.allowed)")
            }
        }
    }
}
