import Testing

@testable import ConfigFile

/// Goal: the part of YAML that is allowed comes out with its places; everything else is a fault with a place, and nothing traps.
@Suite struct YAMLTreeTests {
    private func faults(_ text: String) -> [String] { YAMLTree(Array(text.utf8), path: "f").faults.map(\.description) }

    @Test func nodesKnowTheirPlaces() throws {
        let tree = YAMLTree(Array("a: 1\nb:\n  - x\n  - é: y\n".utf8), path: "f")
        #expect(tree.faults.isEmpty)
        guard case .mapping(let entries) = tree.root.content, case .list(let list) = entries[1].value.content, case .mapping(let inner) = list[1].content
        else {
            Issue.record("wrong shape: \(tree.root)")
            return
        }
        #expect(entries[0].value == YAMLNode(.scalar("1"), .file(path: "f", line: 1, column: 4)))
        #expect(list[0].source == .file(path: "f", line: 3, column: 5))
        #expect(inner[0].value.source == .file(path: "f", line: 4, column: 8))
    }

    @Test(arguments: ["", "\n", "# nothing\n", "---\n", "~"])
    func nothingIsNothing(_ text: String) {
        let tree = YAMLTree(Array(text.utf8), path: "f")
        #expect(tree.root.content == .null)
        #expect(tree.faults.isEmpty)
    }

    @Test(arguments: [
        ("a: 1\na: 2\n", "f:2:1: a: said twice; the first is at f:1:1"),
        ("a: &x 1\n", "f:1:4: anchors (&name) are not supported"),
        ("a: *x\n", "f:1:4: aliases (*name) are not supported"),
        ("a: !!int 1\n", "f:1:4: tags (!name) are not supported"),
        ("[a]: 1\n", "f:1:1: a key must be plain text"),
        ("a: 1\n---\nb: 2\n", "f:2:1: a second document begins here; allowed: one"),
        ("a: 1\n b: 2\n", "f:2:3: mapping values are not allowed in this context"),
        ("a: [1\n", "f:2:1: did not find expected ',' or ']'"),
        ("a:\n\tb: 1\n", "f:2:1: found character that cannot start any token"),
    ])
    func whatIsNotAllowedIsNamed(_ text: String, _ fault: String) { #expect(faults(text).first == fault) }

    @Test func depthAndSizeAreBounded() {
        #expect(faults(String(repeating: "[", count: 100_000)).first?.contains("nested deeper than 32 levels") == true)
        #expect(faults(String(repeating: "a:\n", count: 400_000)).first?.contains("allowed: at most") == true)
        #expect(faults("[" + String(repeating: "a,", count: 60_000) + "]").first?.contains("more than 50000 values") == true)
        #expect(faults(String(repeating: "{a: ", count: 32) + "1" + String(repeating: "}", count: 32)).isEmpty)
    }

    @Test func encodingsThatAreNoneAreFaults() {
        for bytes in [[0xff], [0xc0, 0x80], [0x61, 0x3a, 0x20, 0xed, 0xa0, 0x80], [0], [0xff, 0xfe, 0x00, 0xd8]] as [[UInt8]] {
            #expect(YAMLTree(bytes, path: "f").faults.count == 1, "\(bytes)")
        }
    }

    /// Method: a valid text with bytes replaced, cut and doubled by a fixed generator. Ends, or the test run does.
    @Test func noBytesTrap() {
        let seed = Array("a: [1, {b: *c}]\n? - x\n: &d |\n  text\n\"q\\u0041\": 'it''s'\n--- !t\n- %\n... # end\n".utf8)
        var state: UInt64 = 42
        func random(_ below: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % below
        }
        for _ in 0..<3_000 {
            var bytes = seed
            for _ in 0...random(6) {
                switch random(3) {
                case 0: bytes[random(bytes.count)] = UInt8(random(256))
                case 1: bytes.removeSubrange(random(bytes.count)..<bytes.count)
                default: bytes.insert(contentsOf: bytes.prefix(random(bytes.count + 1)), at: random(bytes.count + 1))
                }
                if bytes.isEmpty { bytes = [0x2d] }
            }
            let section = ConfigDocument(bytes, path: "f").root
            _ = section.list("a", default: [])
            #expect(throws: ConfigError.self) {
                section.fault("a", "always")
                try section.finish()
            }
        }
    }
}
