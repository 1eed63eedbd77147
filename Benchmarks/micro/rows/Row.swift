import CGoogleBenchmark

/// One thing that is measured: what one iteration does, and what it must come to.
///
/// Each iteration answers a number that follows from all that it did, and every run is held against `expected`: work that was left out,
/// or done wrong, ends the program.
///
/// Why `@unchecked Sendable` holds: the program has one thread.
final class Row: @unchecked Sendable {
    let name: String
    /// What one iteration goes through; 0: the row has no such figure.
    let items: Int
    let bytes: Int
    private let prepare: () -> Prepared
    private var prepared: Prepared?

    struct Prepared {
        var expected: Int
        var once: () -> Int
    }

    init(_ name: String, items: Int = 0, bytes: Int = 0, _ prepare: @escaping () -> Prepared) {
        self.name = name
        self.items = items
        self.bytes = bytes
        self.prepare = prepare
    }

    func run(_ iterations: Int64) {
        if prepared == nil { prepared = prepare() }
        guard let prepared else { return }
        var sum = 0
        var rest = iterations
        while rest > 0 {
            // The compiler does not see through a stored closure: nothing is moved out of the loop.
            sum &+= prepared.once()
            rest -= 1
        }
        precondition(sum == prepared.expected &* Int(iterations), "\(name): \(sum) in \(iterations) iterations, not \(prepared.expected) in each")
    }
}

let rows: [Row] = batchRows + checksumRows + frameRows + walkRows + settlementRows + routingRows + ringRows + lookupRows

/// What the shim calls.
func run(_ row: Int32, _ iterations: Int64) { rows[Int(row)].run(iterations) }
