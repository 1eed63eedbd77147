import ConfigFile
import Testing

@testable import needletail

/// A small program of its own, so that these tests say what the frame does and not what the product's commands are.
enum Sample {
    static let create = Command(
        path: ["topic", "create"], summary: "Create a topic.", arguments: [.required("TOPIC", "Its name.")],
        options: [
            .value("size", short: "s", "SIZE", .size, "How large."), .value("mode", "MODE", .choice(["none", "group"]), "How safe.", fallback: "group"),
            .value("header", short: "H", "K=V", .pair, "A header.", isRepeated: true), .flag("json", short: "j", "As JSON."),
            .flag("quiet", short: "q", "Less."),
            .value("server", "ADDRESS", .address, "The broker.", fallback: "127.0.0.1:7227", variable: "NEEDLETAIL_SERVER"),
        ],
        examples: [Command.Example("sample topic create a", "the least")], run: .onMainThread { _ in .ok })
    static let send = Command(
        path: ["send"], summary: "Send files.", arguments: [.required("TOPIC", "Where to."), .repeated("FILE", "What.", .file)],
        options: [.value("max", short: "n", "COUNT", .integer(1...100), "At most.")], run: .onMainThread { _ in .ok })
    static let list = CommandList(
        program: "sample", summary: "a sample", version: "1.2.3", groups: [CommandList.Group(name: "topic", summary: "Work with topics.")],
        commands: [create, Command(path: ["topic", "list"], summary: "List topics.", run: .onMainThread { _ in .ok }), send])

    static func invocation(_ line: String, environment: [String: String] = [:]) throws -> Invocation? {
        guard case .run(let command, let values, let words) = try list.parse(split(line), environment: environment) else { return nil }
        return Invocation(command, values: values, words: words, environment: environment)
    }

    static func split(_ line: String) -> [String] { line.split(separator: " ").map { $0 == "''" ? "" : String($0) } }
}

@Suite struct ParsingTests {
    @Test(arguments: [
        "topic create a --size=64KiB --json", "topic create --size 64KiB a --json", "topic create -js64KiB a", "topic create -j -s 64KiB a",
        "topic create --json --size 1 --size=64KiB -- a", "topic create -jjs 64KiB a",
    ])
    func everyWayOfWritingMeansTheSame(_ line: String) throws {
        let invocation = try #require(try Sample.invocation(line))
        #expect(invocation.size("size") == .kibibytes(64))
        #expect(invocation.has("json"))
        #expect(!invocation.has("quiet"))
        #expect(invocation.argument("TOPIC") == "a")
    }

    @Test func repeatedOptionsAndWordsAreKeptInOrder() throws {
        let create = try #require(try Sample.invocation("topic create -H a=1 a -Hb= --header c=x=y"))
        #expect(create.pairs("header").map { "\($0.name):\($0.value)" } == ["a:1", "b:", "c:x=y"])
        let send = try #require(try Sample.invocation("send t - x -- -y --max"))
        #expect(send.arguments("FILE") == ["-", "x", "-y", "--max"])
        #expect(send.integer("max") == nil)
    }

    @Test func aVariableStandsInForItsOption() throws {
        let environment = ["NEEDLETAIL_SERVER": "h:1"]
        #expect(try Sample.invocation("topic create a", environment: environment)?.text("server") == "h:1")
        #expect(try Sample.invocation("topic create a --server=g:2", environment: environment)?.text("server") == "g:2")
        #expect(try Sample.invocation("topic create a", environment: ["NEEDLETAIL_SERVER": ""])?.text("server") == nil)
    }

    @Test(arguments: [
        ("tpoic", "unknown command 'tpoic'; did you mean topic?"), ("zzz", "unknown command 'zzz'; known: topic, send"),
        ("topic craete a", "topic: unknown command 'craete'; did you mean create?"), ("topic", "topic needs one of: create, list"),
        ("--jsn", "unknown option '--jsn' before the command"), ("topic create", "topic create: TOPIC is missing: Its name."),
        ("topic create a b", "topic create: 'b' is one word too many"),
        ("topic create a --sise=1", "topic create: unknown option '--sise'; did you mean --size?"),
        ("topic create a --json=yes", "topic create: --json takes no value"), ("topic create a --size", "topic create: --size needs a value: SIZE"),
        ("topic create a -js", "topic create: -s needs a value: SIZE"),
        ("topic create a -x", "topic create: unknown option '-x'; known: -s (--size), -H (--header), -j (--json), -q (--quiet), -h (--help)"),
        ("topic create a --size=1.5", "topic create: --size: '1.5' is no size; allowed: a number and one of B, KiB, MiB, GiB, TiB, or kB, MB, GB, TB of 1000"),
        ("topic create a --mode=grop", "topic create: --mode: 'grop' is none of them (did you mean group?); allowed: none, group"),
        ("topic create a -H x", "topic create: -H: 'x' is no pair; allowed: NAME=VALUE"),
        ("topic create a --server=nowhere", "topic create: --server: 'nowhere' is no address; allowed: HOST:PORT, [IPV6]:PORT, unix:PATH or shm:PATH"),
        ("send t --max=0", "send: --max: '0' is no number in range; allowed: 1 to 100"), ("send t ''", "send: FILE: '' is empty; allowed: a path"),
    ])
    func whatIsWrongIsSaidWithWhatIsAllowed(_ line: String, _ message: String) {
        #expect(throws: UsageError.self) { try Sample.list.parse(Sample.split(line)) }
        do throws(UsageError) { _ = try Sample.list.parse(Sample.split(line)) } catch { #expect(error.message == message) }
    }

    @Test func aMalformedVariableIsNamed() {
        do throws(UsageError) {
            _ = try Sample.list.parse(["topic", "create", "a"], environment: ["NEEDLETAIL_SERVER": "x"])
            Issue.record("accepted")
        } catch {
            #expect(error.message.hasPrefix("topic create: NEEDLETAIL_SERVER: 'x' is no address"))
        }
    }

    @Test(
        arguments: [
            ("", []), ("--help", []), ("help", []), ("topic --help", ["topic"]), ("--help topic create", ["topic", "create"]),
            ("help topic create", ["topic", "create"]), ("topic create --help", ["topic", "create"]), ("topic create --size 1 -h", ["topic", "create"]),
            ("topic create -x --help", nil), ("help tpoic", nil),
        ] as [(String, [String]?)])
    func helpIsFoundFromEverywhere(_ line: String, _ path: [String]?) {
        guard case .help(let found)? = try? Sample.list.parse(Sample.split(line)) else {
            #expect(path == nil)
            return
        }
        #expect(found == path)
    }

    @Test(arguments: ["--version", "-V", "version"])
    func theVersionIsAnswered(_ word: String) throws {
        guard case .version = try Sample.list.parse([word]) else {
            Issue.record("no version")
            return
        }
    }

    @Test(arguments: [
        ("127.0.0.1:7227", "127.0.0.1:7227"), ("[::1]:1", "[::1]:1"), ("broker:80", "broker:80"), ("unix:/run/n.sock", "unix:/run/n.sock"),
    ])
    func addressesAreRead(_ text: String, _ shown: String) { #expect(ServerAddress(text)?.description == shown) }

    @Test(arguments: [
        "", ":1", "h", "h:", "h:65536", "h:-1", "h:+1", "::1:5", "[h]:1", "unix:", "a b:1", "unix:/\u{0}", "unix:" + String(repeating: "x", count: 108),
    ])
    func noAddressIsNone(_ text: String) { #expect(ServerAddress(text) == nil) }
}
