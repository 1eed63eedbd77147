import Testing

@testable import needletail

/// Goal: help and completion are made from the tables and miss nothing that is in them; the product's own tables are well made.
@Suite struct HelpTests {
    @Test func helpShowsTheWholeTable() {
        let expected = """
            Create a topic.

            Usage:
              sample topic create TOPIC [OPTION…]

            Arguments:
              TOPIC  Its name.

            Options:
              -s, --size SIZE       How large.
                  --mode MODE       How safe. One of none, group. Default: group.
              -H, --header K=V      A header. May be given more than once.
              -j, --json            As JSON.
              -q, --quiet           Less.
                  --server ADDRESS  The broker. Default: 127.0.0.1:7227. Also by NEEDLETAIL_SERVER.
              -h, --help            Show this help.

            Examples:
              # the least
              sample topic create a

            """
        #expect(Sample.list.help(["topic", "create"], style: .plain) == expected)
    }

    @Test func groupsListTheirCommands() {
        let text = Sample.list.help(["topic"], style: .plain)
        #expect(text.hasPrefix("Work with topics.\n"))
        #expect(text.contains("sample topic create  Create a topic.\n"))
    }

    @Test func colourIsForTerminalsOnly() {
        for path in [[], ["topic"], ["topic", "create"]] {
            #expect(!Sample.list.help(path, style: .plain).contains("\u{1B}"))
            #expect(Sample.list.help(path, style: TextStyle(width: 80, hasColour: true)).contains("\u{1B}[1m"))
        }
    }

    @Test func textIsWrappedToTheWidth() {
        let text = CommandList.needletail.commands.map { CommandList.needletail.help($0.path, style: TextStyle(width: 60, hasColour: false)) }.joined()
        let prose = text.split(separator: "\n").filter { !$0.contains("needletail ") && !$0.contains("unix:") }
        #expect(prose.allSatisfy { $0.count <= 76 }, "\(prose.filter { $0.count > 76 })")
    }

    @Test(arguments: CommandList.Shell.allCases)
    func completionKnowsEveryCommandOptionAndChoice(_ shell: CommandList.Shell) {
        let script = Sample.list.completion(for: shell)
        for word in ["topic", "create", "list", "send", "size", "mode", "header", "json", "none group", "max"] {
            #expect(script.contains(word), "\(shell): \(word)")
        }
    }

    @Test func theProductsTablesAreWellMade() {
        let list = CommandList.needletail
        for command in list.commands {
            let names = command.allOptions.map(\.name)
            #expect(Set(names).count == names.count, "\(command.name): an option twice")
            let letters = command.allOptions.compactMap(\.short)
            #expect(Set(letters).count == letters.count, "\(command.name): a letter twice")
            #expect(command.summary.hasSuffix("."), "\(command.name)")
            #expect(command.allOptions.allSatisfy { $0.help.hasSuffix(".") }, "\(command.name)")
            #expect(!command.examples.isEmpty, "\(command.name) has no example")
            let firstOptional = command.arguments.firstIndex { !$0.isRequired } ?? command.arguments.count
            #expect(command.arguments[firstOptional...].allSatisfy { !$0.isRequired }, "\(command.name): a required word behind an optional one")
            #expect(command.arguments.dropLast().allSatisfy { !$0.isRepeated }, "\(command.name)")
            if command.path.count > 1 { #expect(list.groups.contains { $0.name == command.path[0] }, "\(command.name) is in no group") }
        }
        #expect(Set(list.commands.map(\.name)).count == list.commands.count)
    }

    @Test func everyExampleIsAcceptedByItsOwnCommand() {
        for command in CommandList.needletail.commands {
            for example in command.examples {
                guard let words = shellWords(example.line) else { continue }
                #expect(throws: Never.self, "\(example.line)") { try CommandList.needletail.parse(words) }
            }
        }
    }

    /// The words behind `needletail` up to a pipe or a redirection, by the simplest of a shell's rules.
    private func shellWords(_ line: String) -> [String]? {
        var words: [String] = []
        var word = ""
        var quote: Character?
        var hasWord = false
        for character in line + " " {
            if let open = quote {
                if character == open { quote = nil } else { word.append(character) }
            } else if character == "'" || character == "\"" {
                quote = character
                hasWord = true
            } else if character == " " {
                if hasWord || !word.isEmpty { words.append(word) }
                word = ""
                hasWord = false
            } else {
                word.append(character)
            }
        }
        guard let start = words.firstIndex(where: { $0.hasSuffix("needletail") && !$0.contains("/.") }) else { return nil }
        return Array(words[(start + 1)...].prefix { !["|", ">", "<", "&", ">>", "&&"].contains($0) }).map { $0.hasSuffix(")") ? String($0.dropLast()) : $0 }
    }
}
