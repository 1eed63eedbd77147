extension Command {
    static let completion: Command = Command(
        path: ["completion"],
        summary: "Print a completion script for a shell.",
        arguments: [.required("SHELL", "bash, zsh or fish.", .choice(CommandList.Shell.allCases.map(\.rawValue)))],
        examples: [
            Example("source <(needletail completion bash)", "in ~/.bashrc"),
            Example("needletail completion zsh > ~/.zfunc/_needletail", "a directory of $fpath"),
            Example("needletail completion fish > ~/.config/fish/completions/needletail.fish", "read by fish by itself"),
        ],
        run: .onMainThread { invocation in
            guard let shell = invocation.argument("SHELL").flatMap(CommandList.Shell.init) else { return .usage }
            invocation.console.print(CommandList.needletail.completion(for: shell), terminator: "")
            return .ok
        })
}
