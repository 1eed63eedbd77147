/// One directory of the simulated disk: the names that the process sees, those on the device, and the changes between the two,
/// in the order in which they were made.
final class DiskDirectory {
    enum Node {
        case file(DiskFile)
        case directory
    }

    private enum Change {
        case add(String, Node)
        case drop(String)
        case move(String, to: String, Node)
    }

    let path: String
    private var visible: [String: Node] = [:]
    private var durable: [String: Node] = [:]
    private var changes: [Change] = []

    init(path: String) { self.path = path }

    /// The names in order. (Dictionaries have one of their own per process; it must not reach behaviour.)
    var names: [String] { visible.keys.sorted() }
    var isEmpty: Bool { visible.isEmpty }
    var hasChanges: Bool { !changes.isEmpty }

    subscript(name: String) -> Node? { visible[name] }

    func add(_ name: String, _ node: Node) {
        visible[name] = node
        changes.append(.add(name, node))
    }

    /// As `add`, and durable at once.
    func addDurably(_ name: String, _ node: Node) {
        visible[name] = node
        durable[name] = node
    }

    func drop(_ name: String) {
        visible[name] = nil
        changes.append(.drop(name))
    }

    func move(_ name: String, to newName: String) {
        guard let node = visible[name] else { return }
        visible[name] = nil
        visible[newName] = node
        changes.append(.move(name, to: newName, node))
    }

    func flush() {
        for change in changes { apply(change) }
        changes.removeAll(keepingCapacity: true)
    }

    func losePower(_ random: inout RandomStream, isJournaled: Bool, newShare: Double) {
        if isJournaled {
            let kept = random.chance(newShare) ? changes.count : random.below(changes.count + 1)
            for change in changes.prefix(kept) { apply(change) }
        } else {
            for change in changes where random.chance(newShare) { apply(change) }
        }
        changes = []
        visible = durable
    }

    private func apply(_ change: Change) {
        switch change {
        case .add(let name, let node): durable[name] = node
        case .drop(let name): durable[name] = nil
        case .move(let name, let newName, let node):
            durable[name] = nil
            durable[newName] = node
        }
    }
}
