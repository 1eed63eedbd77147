/// Completion scripts for bash, zsh and fish, made from the tables.
///
/// Each script first finds the command among the words before the cursor (`topic create`), then offers that command's options,
/// what may follow the option before the cursor, or the next words.
extension CommandList {
    enum Shell: String, CaseIterable, Sendable { case bash, zsh, fish }

    func completion(for shell: Shell) -> String {
        switch shell {
        case .bash: bash()
        case .zsh: zsh()
        case .fish: fish()
        }
    }

    /// Every path that exists, groups included: ``, `topic`, `topic create`.
    private var paths: [[String]] {
        var found: [[String]] = [[]]
        for command in commands {
            for length in 1...command.path.count {
                let path = Array(command.path.prefix(length))
                if !found.contains(path) { found.append(path) }
            }
        }
        return found
    }

    private func command(at path: [String]) -> Command? { commands.first { $0.path == path } }

    // MARK: bash

    private func bash() -> String {
        var values = ""
        var offers = ""
        for path in paths {
            let name = path.joined(separator: " ")
            guard let command = command(at: path) else {
                let words = words(after: path).map(\.name) + (path.isEmpty ? ["help", "--help", "--version"] : ["--help"])
                offers += "        \"\(name)\") offered=\"\(words.joined(separator: " "))\" ;;\n"
                continue
            }
            for option in command.allOptions {
                guard let kind = option.kind else { continue }
                let names = ([option.flag] + (option.short.map { ["-\($0)"] } ?? [])).map { "\"\(name)|\($0)\"" }.joined(separator: "|")
                values += "        \(names)) \(bashValues(kind)) return ;;\n"
            }
            let options = command.allOptions.map(\.flag).joined(separator: " ")
            let kind = command.arguments.last?.kind ?? command.arguments.first?.kind
            let words = kind?.choices ?? []
            let files = kind?.isPath == true ? " files=1" : ""
            offers += "        \"\(name)\") offered=\"\((words + [options]).joined(separator: " "))\"\(files) ;;\n"
        }
        let known = paths.filter { !$0.isEmpty }.map { "\" \($0.joined(separator: " "))\"" }.joined(separator: "|")
        return """
            # bash completion for \(program). Load it with: source <(\(program) completion bash)
            _\(program)() {
                local current="${COMP_WORDS[COMP_CWORD]}" previous="${COMP_WORDS[COMP_CWORD-1]}" found="" offered="" files="" word
                if [[ $current == "=" ]]; then
                    current=""
                elif [[ $previous == "=" ]]; then
                    previous="${COMP_WORDS[COMP_CWORD-2]}"
                fi
                for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
                    case "$found $word" in
                    \(known)) found="$found $word" ;;
                    esac
                done
                found="${found# }"
                COMPREPLY=()
                case "$found|$previous" in
            \(values)    esac
                case "$found" in
            \(offers)    esac
                if [[ -n $files && $current != -* ]]; then
                    COMPREPLY=($(compgen -f -- "$current"))
                    return
                fi
                COMPREPLY=($(compgen -W "$offered" -- "$current"))
            }
            complete -o filenames -F _\(program) \(program)

            """
    }

    private func bashValues(_ kind: ValueKind) -> String {
        if let choices = kind.choices { return "COMPREPLY=($(compgen -W \"\(choices.joined(separator: " "))\" -- \"$current\"));" }
        if case .directory = kind { return "COMPREPLY=($(compgen -d -- \"$current\"));" }
        return kind.isPath ? "COMPREPLY=($(compgen -f -- \"$current\"));" : ""
    }

    // MARK: zsh

    private func zsh() -> String {
        var cases = ""
        for path in paths {
            let name = path.joined(separator: " ")
            guard let command = command(at: path) else {
                let words = words(after: path).map { "'\(zshText($0.name, colons: true)):\(zshText($0.summary))'" }.joined(separator: " ")
                cases += "        \"\(name)\")\n            offered=(\(words))\n            _describe command offered ;;\n"
                continue
            }
            cases += "        \"\(name)\")\n            _arguments -s : \\\n"
            for option in command.allOptions {
                let spec = "[\(zshText(option.help, brackets: true))]" + (option.kind.map { ":\(option.placeholder.lowercased()):\(zshValues($0))" } ?? "")
                let repeated = option.isRepeated ? "*" : ""
                cases += "                '\(repeated)\(option.flag)\(option.kind == nil ? "" : "=")\(spec)' \\\n"
                if let short = option.short { cases += "                '\(repeated)-\(short)\(option.kind == nil ? "" : "+")\(spec)' \\\n" }
            }
            for argument in command.arguments {
                let place = argument.isRepeated ? "*" : argument.isRequired ? "" : ":"
                cases += "                '\(place):\(zshText(argument.name, colons: true)):\(zshValues(argument.kind))' \\\n"
            }
            cases = String(cases.dropLast(3)) + " ;;\n"
        }
        let known = paths.filter { !$0.isEmpty }.map { "\" \($0.joined(separator: " "))\"" }.joined(separator: "|")
        return """
            #compdef \(program)
            # zsh completion for \(program). Put it into a directory of $fpath as _\(program).
            _\(program)() {
                local found="" word count=0
                local -a offered
                for word in "${(@)words[2,CURRENT-1]}"; do
                    case "$found $word" in
                    \(known)) found="$found $word"; (( count += 1 )) ;;
                    esac
                done
                found="${found# }"
                (( count > 0 )) && shift $count words && (( CURRENT -= count ))
                case "$found" in
            \(cases)    esac
            }
            compdef _\(program) \(program)

            """
    }

    private func zshText(_ text: String, colons: Bool = false, brackets: Bool = false) -> String {
        var result = ""
        for character in text {
            switch character {
            case "'": result += "'\\''"
            case ":" where colons, "[" where brackets, "]" where brackets: result += "\\\(character)"
            default: result.append(character)
            }
        }
        return result
    }

    private func zshValues(_ kind: ValueKind) -> String {
        if let choices = kind.choices { return "(\(choices.joined(separator: " ")))" }
        if case .directory = kind { return "_files -/" }
        return kind.isPath ? "_files" : " "
    }

    // MARK: fish

    private func fish() -> String {
        var lines = ""
        for path in paths {
            let place = "-n '__\(program)_at \"\(path.joined(separator: " "))\"'"
            guard let command = command(at: path) else {
                for word in words(after: path) { lines += "complete -c \(program) \(place) -a \(word.name) -d '\(fishText(word.summary))'\n" }
                continue
            }
            for option in command.allOptions {
                let short = option.short.map { " -s \($0)" } ?? ""
                let value = option.kind.map { $0.choices.map { " -x -a '\($0.joined(separator: " "))'" } ?? ($0.isPath ? " -r -F" : " -x") } ?? ""
                lines += "complete -c \(program) \(place) -l \(option.name)\(short)\(value) -d '\(fishText(option.help))'\n"
            }
            for kind in command.arguments.map(\.kind) {
                if let choices = kind.choices { lines += "complete -c \(program) \(place) -a '\(choices.joined(separator: " "))'\n" }
                if kind.isPath { lines += "complete -c \(program) \(place) -F\n" }
            }
        }
        let known = paths.filter { !$0.isEmpty }.map { "'\($0.joined(separator: " "))'" }.joined(separator: " ")
        return """
            # fish completion for \(program). Put it into ~/.config/fish/completions/\(program).fish
            set -g __\(program)_paths \(known)
            function __\(program)_at
                set -l found ''
                for word in (commandline -opc)[2..]
                    set -l next (string trim -- "$found $word")
                    contains -- "$next" $__\(program)_paths; and set found $next
                end
                test "$found" = "$argv[1]"
            end
            complete -c \(program) -f
            complete -c \(program) -n '__\(program)_at ""' -l version -d 'Show the version.'
            \(lines)
            """
    }

    private func fishText(_ text: String) -> String {
        text.reduce(into: "") { result, character in result += character == "'" || character == "\\" ? "\\\(character)" : String(character) }
    }
}

extension ValueKind {
    fileprivate var choices: [String]? {
        if case .choice(let names) = self { names } else { nil }
    }

    fileprivate var isPath: Bool {
        switch self {
        case .file, .directory: true
        default: false
        }
    }
}
