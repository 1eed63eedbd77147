import Synchronization
import Testing

@testable import Observability

/// Goal: a line stays one line, fields stay fields, and a flood is counted instead of written.
@Suite struct LogLineTests {
    private func text(_ value: LogLine.Value, _ format: LogLine.Format = .logfmt) -> String {
        LogLine(.warn, "odd", [("value", value)]).text(format, at: 0, priorityPrefix: false)
    }

    @Test func aLineHasTimeLevelEventAndFields() {
        let line = LogLine(.info, "listener_open", [("address", "127.0.0.1:7227"), ("shards", 2), ("tls", false), ("load", .real(0.5))])
        #expect(
            line.text(.logfmt, at: 1_795_262_688_250, priorityPrefix: true)
                == "<6>time=2026-11-21T12:04:48.250Z level=info event=listener_open address=127.0.0.1:7227 shards=2 tls=false load=0.5\n")
        #expect(
            line.text(.json, at: 1_795_262_688_250, priorityPrefix: false)
                == #"{"time":"2026-11-21T12:04:48.250Z","level":"info","event":"listener_open","address":"127.0.0.1:7227","shards":2,"tls":false,"load":0.5}"#
                + "\n")
    }

    @Test(arguments: [
        ("a b", #""a b""#), ("", #""""#), ("a=b", #""a=b""#), ("x\nlevel=error event=forged", #""x\nlevel=error event=forged""#),
        ("\u{1B}[31mred", #""\u001b[31mred""#), ("say \"hi\"\\", #""say \"hi\"\\""#), ("\u{202E}txt", #""\u202etxt""#), ("é", #""é""#),
        ("\u{E0001}", #""\udb40\udc01""#), ("\u{85}\u{2028}", #""\u0085\u2028""#),
    ])
    func noValueCanForgeALine(_ value: String, _ shown: String) {
        #expect(text(.text(value)) == "time=1970-01-01T00:00:00.000Z level=warn event=odd value=\(shown)\n")
        #expect(text(.text(value), .json).hasSuffix(#","value":"# + (shown.first == "\"" ? shown : "\"\(shown)\"") + "}\n"))
    }

    @Test func longValuesAreCut() {
        let line = text(.text(String(repeating: "x", count: 100_000)))
        #expect(line.utf8.count < 400)
    }

    @Test func aFloodIsCountedAndReported() {
        let lines = Mutex<[String]>([])
        let time = Atomic<Int64>(0)
        let clock: @Sendable () -> Int64 = { time.load(ordering: .relaxed) }
        var options = LogWriter.Options()
        options.burst = 2
        options.windowMilliseconds = 1_000
        let log = LogWriter(options, clock: clock, sink: { bytes in lines.withLock { $0.append(String(decoding: bytes, as: UTF8.self)) } })
        for _ in 0..<1_000 { log.warn("refused") }
        log.error("other")
        log.debug("below the level")
        #expect(lines.withLock { $0.count } == 3)
        time.store(1_000, ordering: .relaxed)
        log.warn("refused")
        let last = lines.withLock { Array($0.suffix(2)) }
        #expect(last[0] == "time=1970-01-01T00:00:01.000Z level=warn event=log_suppressed of=refused lines=998 since=1970-01-01T00:00:00.000Z\n")
        #expect(last[1] == "time=1970-01-01T00:00:01.000Z level=warn event=refused\n")
        for _ in 0..<3 { log.warn("refused") }
        log.reportSuppressed(all: true)
        #expect(lines.withLock { $0.last }?.contains("of=refused lines=2 ") == true)
    }
}

@Suite struct UTCTimeTests {
    @Test(arguments: [
        (0, "1970-01-01T00:00:00.000Z"), (951_782_400_000, "2000-02-29T00:00:00.000Z"), (1_795_262_688_250, "2026-11-21T12:04:48.250Z"),
        (-1, "1969-12-31T23:59:59.999Z"), (4_107_542_399_999, "2100-02-28T23:59:59.999Z"), (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
        (-62_167_219_200_000, "0000-01-01T00:00:00.000Z"),
    ])
    func timesAreWrittenAndReadBack(_ milliseconds: Int64, _ text: String) {
        #expect(UTCTime(milliseconds: milliseconds).description == text)
        #expect(UTCTime(text)?.milliseconds == milliseconds)
    }

    @Test(arguments: [
        ("2026-11-21", 1_795_219_200_000), ("2026-11-21T12:04", 1_795_262_640_000), ("2026-11-21 12:04:48", 1_795_262_688_000),
        ("2026-11-21T13:04:48.2504+01:00", 1_795_262_688_250), ("2026-11-21T02:04:48-10:00", 1_795_262_688_000),
    ])
    func shorterFormsAndZonesAreRead(_ text: String, _ milliseconds: Int64) { #expect(UTCTime(text)?.milliseconds == milliseconds) }

    @Test(arguments: [
        "", "yesterday", "2026-13-01", "2026-02-29", "2026-11-21T25:00", "2026-11-21T12:04:48.", "2026-11-21T12:04:48+1", "26-11-21", "2026-11-21x",
    ])
    func noTimeIsNone(_ text: String) { #expect(UTCTime(text) == nil) }

    @Test func timesBeyondFourDigitsOfYearDoNotTrap() {
        #expect(UTCTime(milliseconds: .max).description == "9999-12-31T23:59:59.999Z")
        #expect(UTCTime(milliseconds: .min).description == "0000-01-01T00:00:00.000Z")
    }
}

@Suite struct JSONTests {
    @Test func valuesAreWritten() {
        let value = JSON.object([("a", 1), ("b", .list([.null, true, "x\u{0}\"", .real(1.5), .real(.infinity), .real(3)])), ("é", .object([]))])
        #expect(value.description == #"{"a":1,"b":[null,true,"x\u0000\"",1.5,null,3],"é":{}}"#)
    }
}
