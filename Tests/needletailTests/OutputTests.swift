import ConfigFile
@testable import NeedletailClient
import Testing

@testable import needletail

/// Goal: what is printed is exact for programs, safe for terminals, and readable for people.
@Suite struct OutputTests {
    @Test(
        arguments: [
            (.text, false, "a\u{1B}b\n\u{FFFD}\n"), (.text, true, "a\u{FFFD}b\n\u{FFFD}\n"), (.raw, true, "a\u{1B}b\n\u{FFFD}\n"),
            (
                .json, true,
                #"{"partition":1,"offset":2,"time":"1970-01-01T00:00:00.003Z","key":"k","payload":"a\u001bb","headers":[{"name":"h","value":null}],"attempt":2}"#
                    + "\n" + #"{"partition":0,"offset":0,"time":"1970-01-01T00:00:00.000Z","key":null,"payload_base64":"/w=="}"# + "\n"
            ),
        ] as [(MessageFormat.Kind, Bool, String)])
    func messagesArePrintedAsAsked(_ kind: MessageFormat.Kind, _ isForTerminal: Bool, _ expected: String) {
        let first = Message(
            partition: 1, offset: 2, timestamp: 3, key: Array("k".utf8), payload: Array("a\u{1B}b".utf8), isTombstone: false, headers: [Header("h", nil)],
            attempt: 2)
        let second = Message(partition: 0, offset: 0, timestamp: 0, key: nil, payload: [0xff], isTombstone: false, headers: [], attempt: 1)
        let bytes = MessageFormat(kind, isForTerminal: isForTerminal).bytes([first, second])
        #expect(String(decoding: bytes, as: UTF8.self) == expected)
    }

    @Test(arguments: [("", ""), ("\\n", "\n"), ("a\\t\\0b", "a\t\0b"), ("\\\\n", "\\n"), ("\\x", "\\x"), ("x\\", "x\\"), ("é", "é")])
    func delimitersMayBeEscaped(_ text: String, _ meant: String) { #expect(MessageFormat.unescaped(text) == Array(meant.utf8)) }

    @Test(arguments: [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="), ("foobar", "Zm9vYmFy")])
    func base64IsThatOfTheRFC(_ text: String, _ encoded: String) { #expect(TerminalText.base64(Array(text.utf8)) == encoded) }

    @Test(arguments: [(0, "0"), (999, "999"), (1_000, "1,000"), (-1_234_567, "-1,234,567"), (.min, "-9,223,372,036,854,775,808")] as [(Int64, String)])
    func countsAreGrouped(_ number: Int64, _ text: String) { #expect(Figures.count(number) == text) }

    @Test(arguments: [(0, "0 B"), (1_023, "1023 B"), (1_024, "1 KiB"), (1_536, "1.5 KiB"), (1 << 30, "1 GiB"), (.max, "8388608 TiB")] as [(Int64, String)])
    func sizesAreShort(_ number: Int64, _ text: String) { #expect(Figures.bytes(number) == text) }

    @Test func numbersStandAtTheRight() {
        var table = TextTable(["NAME", "COUNT", "STATE"])
        table.add(["a", "5", "ok"])
        table.add(["long", "1,000", "failed"])
        #expect(table.text(.plain) == "NAME  COUNT  STATE\na         5  ok\nlong  1,000  failed\n")
    }

    @Test func ratesAreOfTotalsOnly() {
        func figures(_ values: [(String, Double)]) -> [Statistic] { values.map { Statistic(name: "needletail_" + $0.0, value: $0.1) } }
        let before = figures([("in_total", 100), ("connections", 1), ("restarted_total", 50)])
        let now = figures([("in_total", 300), ("connections", 3), ("restarted_total", 5), ("zero_total", 0)])
        let rows = StatsRow.rows(now, before: (before, 2), showsZero: false)
        #expect(rows.map(\.name) == ["in_total", "connections", "restarted_total"])
        #expect(rows.map(\.perSecond) == [100, nil, nil])
        #expect(StatsRow.rows(now, before: nil, showsZero: true).count == 4)
    }

    @Test(
        arguments: [
            ("earliest", .earliest), ("latest", .latest), ("0", .offset(0)), ("42", .offset(42)), ("1970-01-01T00:00:01Z", .time(1_000)),
        ] as [(String, StartPosition)])
    func placesToBeginAreRead(_ text: String, _ place: StartPosition) throws { #expect(try StartPosition(text: text) == place) }

    @Test(arguments: ["", "-1", "first", "1970-13-01"])
    func noPlaceIsNone(_ text: String) { #expect(throws: CommandFailure.self) { try StartPosition(text: text) } }

    @Test(arguments: [
        (ClientError.badAddress("x"), ExitCode.usage), (.cannotConnect(address: "127.0.0.1:7227", reason: "refused"), .cannotConnect),
        (.timedOut("a request"), .failure), (.closed, .failure),
    ])
    func errorsHaveTheirExitCodes(_ error: ClientError, _ code: ExitCode) { #expect(CommandFailure(error).code == code) }

    @Test func aBrokerThatIsNotThereIsSaidWithWhatToDo() {
        let failure = CommandFailure(.cannotConnect(address: "127.0.0.1:7227", reason: "Connection refused"))
        #expect(failure.message == "cannot connect to 127.0.0.1:7227: Connection refused; is the broker running? Start it with `needletail serve`")
    }
}
