import BrokerCore
import ConfigFile
import Observability
import SegmentLog
import ShardRuntime
import Testing
import Wire

@testable import needletail

/// Goal: every key is read, every mistake is named, and the example file and the documentation say what the types say.
@Suite struct ServerConfigTests {
    /// A protocol with a key of its own.
    private struct Echo: WireProtocol {
        static let name = "echo"
        let greeting: String
        init(_ options: ConfigSection) throws(ConfigError) {
            greeting = options.text("greeting", default: "hello")
            try options.finish()
        }
        func makeSession(_ peer: Peer) -> any WireSession { fatalError("no session is made here") }
    }

    private func document(_ text: String, environment: [String: String] = [:], flags: [ConfigOverlay.Flag] = []) -> ConfigDocument {
        ConfigDocument(Array(text.utf8), path: "n.yaml", overlay: ConfigOverlay(environment: environment, flags: flags))
    }

    private func config(_ text: String) throws -> ServerConfig { try ServerConfig(document(text), protocols: Protocols.all + [Echo.self]) }

    private func faults(_ text: String) -> [String] {
        do throws(ConfigError) {
            _ = try ServerConfig(document(text), protocols: Protocols.all + [Echo.self])
            return []
        } catch {
            return error.faults.map(\.description)
        }
    }

    @Test func nothingSaidIsAWorkingBroker() throws {
        let config = try ServerConfig(ConfigDocument())
        #expect(config.listeners.map(\.protocolName) == ["native", "kafka"])
        #expect(config.listeners.map(\.address) == [.tcp(host: "127.0.0.1", port: 7227), .tcp(host: "127.0.0.1", port: 9092)])
        #expect(config.topics == Log.Options())
        #expect(config.limits == Limits())
        #expect(config.effective.allSatisfy { $0.source == .builtIn })
    }

    @Test func aListenersOwnKeysGoToItsProtocol() throws {
        let text = "listeners:\n  - {protocol: echo, address: 'unix:/run/e', greeting: hi}\n  - native=localhost:1\n  - {address: '[::1]:2'}\n"
        let config = try config(text)
        #expect((config.listeners[0].wire as? Echo)?.greeting == "hi")
        #expect(config.listeners.map(\.address) == [.unix(path: "/run/e"), .tcp(host: "127.0.0.1", port: 1), .tcp(host: "::1", port: 2)])
    }

    @Test(arguments: [
        ("listeners: [{protocol: echo, address: '[::1]:1', greting: x}]", "n.yaml:1:50: listeners[0].greting: unknown key; did you mean greeting?"),
        ("listeners: [{adress: '[::1]:1'}]", "n.yaml:1:14: listeners[0].adress: unknown key; did you mean address?"),
        ("listeners: [native=broker:1]", "n.yaml:1:13: listeners[0].address: 'broker:1' names no numeric address"),
        ("listeners: [echo=127.0.0.1:1, native=127.0.0.1:1]", "n.yaml:1:31: listeners[1].address: 127.0.0.1:1 has a listener already"),
        ("listeners: []", "n.yaml:1:12: listeners: there is none"),
        ("listeners: [nonsense]", "n.yaml:1:13: listeners: 'nonsense' is no listener"),
        ("listeners: [htpp=127.0.0.1:1]", "n.yaml:1:13: listeners[0].protocol: 'htpp' is none of them"),
        ("data: ''", "n.yaml:1:7: data: '' is empty"),
        ("driver: iouring", "n.yaml:1:9: driver: 'iouring' is none of them (did you mean io_uring?)"),
        ("limits: {frame_size: 1 KiB}", "n.yaml:1:22: limits.frame_size: '1 KiB' is out of range"),
        ("topics: group", "n.yaml:1:9: topics: expected `key: value` pairs"),
    ])
    func mistakesAreNamed(_ text: String, _ fault: String) {
        let found = faults(text)
        #expect(found.contains { $0.hasPrefix(fault) }, "\(found)")
    }

    @Test(arguments: ["0.0.0.0:7227", "10.0.0.7:7227", "[::]:7227", "[2001:db8::1]:7227", "[::ffff:8.8.8.8]:7227"])
    func remoteListenersMustBeAskedFor(_ address: String) throws {
        #expect(faults("listeners: ['native=\(address)']").first?.hasPrefix("n.yaml:1:13: listeners[0].address: ") == true)
        #expect(try config("listeners: ['native=\(address)']\ninsecure_allow_anonymous_remote: true").listeners[0].isRemote)
    }

    @Test(arguments: ["127.0.0.1:7227", "127.1.2.3:7227", "[::1]:7227", "localhost:7227", "unix:/run/n"])
    func localListenersNeedNothing(_ address: String) { #expect(faults("listeners: ['native=\(address)']").isEmpty) }

    @Test func everyLimitHasAKey() throws {
        var text = "limits:\n"
        for value in try config("").effective where value.path.hasPrefix("limits.") {
            let key = value.path.dropFirst(7)
            let other = value.text == "auto" ? "77 MiB" : value.text.hasSuffix("B") ? "128 KiB" : value.text.hasSuffix("s") ? "77 ms" : "7"
            text += "  \(key): \(other)\n"
        }
        let changed = Mirror(reflecting: try config(text).limits).children
        for (before, after) in zip(Mirror(reflecting: Limits()).children, changed) {
            #expect("\(before.value)" != "\(after.value)", "no key changes \(before.label ?? "")")
        }
    }

    @Test func everyOptionOfALogHasAKey() throws {
        let text = """
            topics: {durability: each, flush_interval: 7 ms, flush_timeout: 7 s, segment_size: 7 MiB, segment_time: 8 days,
              retention_time: 8 h, retention_size: 9 GiB, max_message_size: 7 KiB, index_interval: 8 KiB}
            """
        let changed = Mirror(reflecting: try config(text).topics).children
        // What a topic alone says of itself.
        let own: Set = [
            "countsRecords", "timestampType", "timestampBeforeMaxMilliseconds", "timestampAfterMaxMilliseconds", "cleanup", "compaction",
        ]
        for (before, after) in zip(Mirror(reflecting: Log.Options()).children, changed) where !own.contains(before.label ?? "") {
            #expect("\(before.value)" != "\(after.value)", "no key changes \(before.label ?? "")")
        }
    }

    @Test func whatIsPrintedReadsBackAsTheSame() throws {
        let text = "data: '/a b: #c'\nlisteners: [{protocol: echo, address: 'unix:/e-f', greeting: 'null'}]\nlog: {format: json}\nshards: 3\n"
        let document = document(text)
        let config = try ServerConfig(document, protocols: [Echo.self])
        let printed = ServerConfig.yaml(document.root)
        let again = try ServerConfig(self.document(printed), protocols: [Echo.self])
        #expect(again.effective.map(\.path) == config.effective.map(\.path))
        #expect(again.effective.map(\.text) == config.effective.map(\.text))
        #expect(again.effective.allSatisfy { $0.source != .builtIn })
    }

    @Test func aReloadNamesWhatNeedsARestart() throws {
        let text = "log: {level: debug}\nshards: 2\ntopics: {durability: each}\nlimits: {topics: 5, route_depth: 3}\ndisk_reserve: 1 MiB\npin: true"
        let change = try config(text).changes(from: config("shards: 1"))
        #expect(change.live == ["disk_reserve", "limits.topics", "log.level", "topics.durability"])
        #expect(change.needsRestart == ["limits.route_depth", "pin", "shards"])
    }

    @Test(
        arguments: [
            (true, [:], "/var/lib/needletail"), (false, ["HOME": "/home/u"], "/home/u/.local/share/needletail"),
            (false, ["HOME": "/home/u", "XDG_DATA_HOME": "/d"], "/d/needletail"), (false, [:], "needletail-data"),
            (true, ["STATE_DIRECTORY": "/var/lib/nt"], "/var/lib/nt"),
        ] as [(Bool, [String: String], String)])
    func theDataDirectoryIsWhereUsersExpectIt(_ isRoot: Bool, _ environment: [String: String], _ directory: String) {
        #expect(ServerConfig.defaultDirectory(ServerConfig.Surroundings(isRoot: isRoot, environment: environment)) == directory)
    }

    @Test(arguments: [(1, 1), (2, 1), (3, 3), (16, 16)])
    func smallMachinesHaveOneShard(_ cores: Int, _ shards: Int) throws {
        #expect(try config("").shardCount(cores: cores) == shards)
        #expect(try config("shards: 5").shardCount(cores: cores) == 5)
    }
}
