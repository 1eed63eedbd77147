/// Everything that a run did, as one running hash: the same seed must give the same hash. The injected faults are kept as text
/// for the report of a failing seed.
package final class Trace {
    package private(set) var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    package private(set) var events = 0
    package private(set) var faults: [String] = []
    /// The last events as text, when asked for.
    package private(set) var lines: [String] = []
    package var keepsLines = false

    package init() {}

    package func note(_ name: StaticString, _ first: Int = 0, _ second: Int = 0, _ third: Int = 0) {
        events &+= 1
        mix(UInt64(name.utf8CodeUnitCount))
        for byte in name.description.utf8 { mix(UInt64(byte)) }
        mix(UInt64(truncatingIfNeeded: first))
        mix(UInt64(truncatingIfNeeded: second))
        mix(UInt64(truncatingIfNeeded: third))
        if keepsLines { lines.append("\(events) \(name) \(first) \(second) \(third)") }
    }

    package func fault(_ name: StaticString, _ detail: @autoclosure () -> String, _ first: Int = 0) {
        note(name, first)
        if faults.count < 200 { faults.append("\(events) \(name) \(detail())") }
        if keepsLines { lines.append("    FAULT \(detail())") }
    }

    private func mix(_ value: UInt64) { hash = Seed.mix(hash ^ value) }
}
