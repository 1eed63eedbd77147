/// Paths of the simulated disk: components between slashes; leading and doubled slashes mean nothing.
enum Path {
    static func normal(_ path: String) -> String { path.split(separator: "/").joined(separator: "/") }

    static func split(_ path: String) -> (directory: String, name: String) {
        var components = path.split(separator: "/")
        let name = components.popLast().map(String.init) ?? ""
        return (components.joined(separator: "/"), name)
    }
}
