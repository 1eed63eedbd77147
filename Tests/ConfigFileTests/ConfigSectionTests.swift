import Testing

@testable import ConfigFile

/// Goal: one report names every fault with its place, and a value never arrives outside its range.
@Suite struct ConfigSectionTests {
    private enum Mode: String, CaseIterable { case none, group, each }

    private func document(_ text: String, environment: [String: String] = [:], flags: [ConfigOverlay.Flag] = []) -> ConfigDocument {
        ConfigDocument(Array(text.utf8), path: "n.yaml", overlay: ConfigOverlay(environment: environment, flags: flags))
    }

    private func faults(_ section: ConfigSection) -> [String] {
        do {
            try section.finish()
            return []
        } catch {
            return error.faults.map(\.description)
        }
    }

    @Test func everyKindOfValueIsRead() {
        let root = document("a: text\nb: 7\nc: true\nd: each\ne: 64 KiB\nf: 50 ms\ng: [x, y]\nh: unlimited\ns:\n  t: 1\n").root
        #expect(root.text("a", default: "") == "text")
        #expect(root.integer("b", default: 0, in: 0...9) == 7)
        #expect(root.flag("c", default: false))
        #expect(root.choice("d", default: Mode.none) == .each)
        #expect(root.size("e", default: .kibibytes(1), in: .kibibytes(1)...(.mebibytes(1))) == .kibibytes(64))
        #expect(root.duration("f", default: .seconds(1), in: .zero ... .seconds(1)) == .milliseconds(50))
        #expect(root.list("g", default: []) == ["x", "y"])
        #expect(root.duration("h", default: .seconds(1), in: .zero ... .seconds(1), or: "unlimited") == nil)
        #expect(root.section("s").integer("t", default: 0, in: 0...9) == 1)
        #expect(faults(root).isEmpty)
    }

    @Test func whatIsNotSaidHasItsDefault() {
        let root = document("s:\n").root
        #expect(root.text("a", default: "x") == "x")
        #expect(root.section("s").integer("t", default: 3, in: 0...9) == 3)
        #expect(root.section("u").flag("v", default: true))
        #expect(faults(root).isEmpty)
    }

    @Test func allFaultsComeInOneReport() {
        let text = """
            shards: 99
            segmnet_size: 1 GiB
            mode: grup
            wait: 50
            deep:
              flag: yes
              nothing:
            size: [1, 2]
            """
        let root = document(text).root
        _ = root.integer("shards", default: 1, in: 1...64)
        _ = root.size("segment_size", default: .gibibytes(1), in: .mebibytes(1)...(.gibibytes(2)))
        _ = root.choice("mode", default: Mode.group)
        _ = root.duration("wait", default: .seconds(1), in: .zero ... .seconds(9))
        let deep = root.section("deep")
        _ = deep.flag("flag", default: true)
        _ = deep.integer("nothing", default: 1, in: 0...9)
        _ = root.integer("size", default: 1, in: 0...9)
        #expect(
            faults(root) == [
                "n.yaml:1:9: shards: '99' is out of range; allowed: 1 to 64",
                "n.yaml:2:1: segmnet_size: unknown key; did you mean segment_size?",
                "n.yaml:3:7: mode: 'grup' is none of them (did you mean group?); allowed: none, group, each",
                "n.yaml:4:7: wait: '50' is no time (a number and one of ns, us, ms, s, min, h, days); allowed: 0 s to 9 s",
                "n.yaml:6:9: deep.flag: 'yes' is neither; allowed: true, false",
                "n.yaml:7:11: deep.nothing: expected one value, not nothing, a list or a section; allowed: 0 to 9",
                "n.yaml:8:7: size: expected one value, not nothing, a list or a section; allowed: 0 to 9",
            ])
    }

    @Test func aFaultThatItsOwnerThrewIsNotThrownAgain() {
        let root = document("a:\n  x: 1\nb: 2\n").root
        #expect(faults(root.section("a")).count == 1)
        #expect(faults(root) == ["n.yaml:3:1: b: unknown key; did you mean a?"])
    }

    @Test func flagsWinOverVariablesOverTheFileOverDefaults() {
        let flags = [ConfigOverlay.Flag(name: "--d", path: "t.d", values: ["4"])]
        let environment = ["NEEDLETAIL_T_D": "3", "NEEDLETAIL_T_C": "3"]
        let section = document("t: {b: 2, c: 2, d: 2}", environment: environment, flags: flags).root.section("t")
        let read = ["a", "b", "c", "d"].map { section.integer($0, default: 1, in: 0...9) }
        #expect(read == [1, 2, 3, 4])
        #expect(section.values.map(\.source.description) == ["default", "n.yaml:1:8", "NEEDLETAIL_T_C", "--d"])
    }

    @Test func aFaultInAVariableNamesTheVariable() {
        let root = document("", environment: ["NEEDLETAIL_A": "x", "NEEDLETAIL_AA": "1", "NEEDLETAIL_SERVER": "h"])
        _ = root.root.integer("a", default: 1, in: 0...9)
        #expect(faults(root.root) == ["NEEDLETAIL_A: a: 'x' is no whole number; allowed: 0 to 9"])
        #expect(
            root.overlay.unknownVariables(others: ["NEEDLETAIL_SERVER"]) == ["NEEDLETAIL_AA is not a setting and is ignored; did you mean NEEDLETAIL_A?"])
    }

    @Test func listsOfSectionsTakeTheShortForm() {
        let root = document("l:\n  - {p: a, q: 1}\n  - b=2\n  - nonsense\n", flags: []).root
        let sections = root.sections("l", default: []) { text in
            let parts = text.split(separator: "=").map(String.init)
            return parts.count == 2 ? .value([("p", parts[0]), ("q", parts[1])]) : .wrong("is no pair; allowed: P=Q")
        }
        let read = sections.map { $0.text("p", default: "") + $0.text("q", default: "") }
        #expect(read == ["a1", "b2"])
        #expect(faults(root) == ["n.yaml:4:5: l: 'nonsense' is no pair; allowed: P=Q"])
    }

    @Test func whatAMessageQuotesCannotDriveATerminal() {
        let root = document("a: \"x\\e[31m\\n\\u202e\"\n").root
        _ = root.text("a", default: "")
        #expect(faults(root) == ["n.yaml:1:4: a: 'x\u{FFFD}[31m\u{FFFD}\u{FFFD}' contains control characters; allowed: printable text"])
    }
}

@Suite struct UnitsTests {
    @Test(arguments: [
        ("0", 0), ("512", 512), ("1 B", 1), ("64 KiB", 65_536), ("64KiB", 65_536), ("1 gib", 1 << 30), ("2 MB", 2_000_000), ("1_000 B", 1_000),
    ])
    func sizesAreRead(_ text: String, _ bytes: Int64) {
        #expect(ByteCount(text)?.rawValue == bytes)
    }

    @Test(arguments: ["", "x", "-1", "1 G", "1.5 GiB", "9999999999 TiB", "1 KiB 2", "_1", "٣ KiB", "99999999999999999999"])
    func noSizeIsNone(_ text: String) { #expect(ByteCount(text) == nil) }

    @Test(arguments: [("0", 0), ("50 ms", 50_000_000), ("50ms", 50_000_000), ("1 day", 86_400_000_000_000), ("7 days", 604_800_000_000_000), ("3 us", 3_000)])
    func timesAreRead(_ text: String, _ nanoseconds: Int64) {
        #expect(Duration(text: text)?.nanoseconds == nanoseconds)
    }

    @Test(arguments: ["", "50", "5 lightyears", "-1 s", "999999999999 days", "1 s s"])
    func noTimeIsNone(_ text: String) { #expect(Duration(text: text) == nil) }

    @Test(arguments: [Int64(0), 1, 1_023, 1_024, 1_500, 1 << 20, 3 << 30, 1 << 40, .max >> 8])
    func whatIsShownReadsBack(_ number: Int64) {
        #expect(ByteCount(ByteCount(rawValue: number).description)?.rawValue == number)
        #expect(Duration(text: Duration.nanoseconds(number).text)?.nanoseconds == number)
    }
}

@Suite struct NearestNameTests {
    private let names = ["durability", "segment_size", "retention_time", "shards", "driver"]

    @Test(arguments: [
        ("durabilty", "durability"), ("shard", "shards"), ("drvier", "driver"), ("Segment-Size", "segment_size"), ("retention", "retention_time"),
    ])
    func aSlipIsUnderstood(_ written: String, _ meant: String) { #expect(nearestName(to: written, among: names) == meant) }

    @Test(arguments: ["", "zebra", "x", "listeners"])
    func aStrangerIsNot(_ written: String) { #expect(nearestName(to: written, among: names) == nil) }
}
