import CGoogleBenchmark

// micro [--benchmark_…]                   measures by the clock
// micro --count ITERATIONS [PART …]       has callgrind count the rows whose name contains one of the parts, twice: so many iterations, and twice as many
// micro --names                           lists the rows
let words = CommandLine.arguments.dropFirst()
switch words.first {
case "--names":
    for row in rows { print("\(row.name)\t\(row.items)\t\(row.bytes)") }
case "--count":
    guard let iterations = words.dropFirst().first.flatMap({ Int64($0) }) else { fatalError("--count ITERATIONS [PART …]") }
    let parts = words.dropFirst(2)
    for (index, row) in rows.enumerated() where parts.isEmpty || parts.contains(where: row.name.contains) {
        // Memory that grows has grown before.
        row.run(iterations)
        // Safety: the names live through the calls.
        unsafe micro_count("\(row.name)/1", Int32(index), iterations, run)
        unsafe micro_count("\(row.name)/2", Int32(index), 2 * iterations, run)
    }
default:
    for (index, row) in rows.enumerated() {
        row.run(1)
        // Safety: the shim copies the name.
        unsafe micro_add(row.name, Int32(index), Int64(row.bytes), Int64(row.items), run)
    }
    // Safety: the process's own arguments.
    let status = unsafe micro_measure(CommandLine.argc, CommandLine.unsafeArgv)
    if status != 0 { fatalError("see --help") }
}
