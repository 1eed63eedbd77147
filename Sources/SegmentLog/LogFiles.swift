/// The names of a log's files. Segment files are named as Kafka names them: the base offset with twenty digits.
package enum LogFiles {
    package static let checkpoint = "checkpoint"
    package static let checkpointTemporary = "checkpoint.tmp"
    /// How the name of a segment ends that compaction has written and not yet put in its place.
    package static let cleaned = ".cleaned"

    package enum Kind: String, Sendable {
        case log
        case index
        case timeIndex = "timeindex"
    }

    package static func name(_ base: Offset, _ kind: Kind) -> String {
        let digits = String(base.rawValue)
        return String(repeating: "0", count: max(0, 20 - digits.utf8.count)) + digits + "." + kind.rawValue
    }

    package static func spareName(_ number: UInt32) -> String { "spare-\(number).tmp" }

    /// What a name says; nil for a name that is not a segment's.
    package static func parse(_ name: String) -> (base: Offset, kind: Kind)? {
        guard let dot = name.firstIndex(of: "."), let kind = Kind(rawValue: String(name[name.index(after: dot)...])) else { return nil }
        let digits = name[..<dot]
        guard digits.utf8.count == 20, digits.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }), let base = Int64(digits) else { return nil }
        return (Offset(base), kind)
    }
}
