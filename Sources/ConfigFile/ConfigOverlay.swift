/// What stands above the file: variables of the environment, and above them flags of the command line. A path of keys such as
/// `topics.durability` is answered from here before the file is asked.
///
/// It remembers which variables were asked for, so that a mistyped one can be named.
package final class ConfigOverlay {
    package struct Flag: Sendable {
        /// As typed, for messages: `--durability`.
        package var name: String
        package var path: String
        /// More than one for a list.
        package var values: [String]
        package init(name: String, path: String, values: [String]) {
            self.name = name
            self.path = path
            self.values = values
        }
    }

    package static let prefix = "NEEDLETAIL_"

    private let environment: [String: String]
    private let flags: [Flag]
    private var asked: [String] = []

    package init(environment: [String: String] = [:], flags: [Flag] = []) {
        self.environment = environment
        self.flags = flags
    }

    /// The variable that stands for a path: `NEEDLETAIL_TOPICS_DURABILITY`.
    package static func variable(of path: String) -> String {
        prefix + String(path.uppercased().map { $0 == "." ? "_" : $0 })
    }

    /// What was said for `path` above the file. Elements of lists have no variables of their own.
    func values(at path: String) -> (values: [String], source: ConfigSource)? {
        let variable = ConfigOverlay.variable(of: path)
        asked.append(variable)
        if let flag = flags.last(where: { $0.path == path }) { return (flag.values, .flag(flag.name)) }
        guard !path.contains("["), let value = environment[variable] else { return nil }
        return ([value], .environment(variable))
    }

    /// One sentence for each variable that begins as ours do and means nothing. They are no faults: orchestrators set such names
    /// for a service called needletail. `others` are variables that somebody else reads.
    package func unknownVariables(others: [String]) -> [String] {
        let known = Set(asked + others)
        return environment.keys.filter { $0.hasPrefix(ConfigOverlay.prefix) && !known.contains($0) }.sorted().map { name in
            let nearest = nearestName(to: name, among: known.sorted())
            return "\(name) is not a setting and is ignored" + (nearest.map { "; did you mean \($0)?" } ?? "")
        }
    }
}
