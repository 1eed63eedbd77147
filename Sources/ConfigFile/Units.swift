/// A number of bytes as people write it: `64 KiB`, `1 GiB`, `1500000`.
package struct ByteCount: RawRepresentable, Comparable, Hashable, Sendable, CustomStringConvertible {
    package var rawValue: Int64
    package init(rawValue: Int64) { self.rawValue = rawValue }
    package init(bytes: Int) { rawValue = Int64(bytes) }
    package var bytes: Int { Int(rawValue) }

    package static func kibibytes(_ count: Int64) -> ByteCount { ByteCount(rawValue: count << 10) }
    package static func mebibytes(_ count: Int64) -> ByteCount { ByteCount(rawValue: count << 20) }
    package static func gibibytes(_ count: Int64) -> ByteCount { ByteCount(rawValue: count << 30) }
    package static func < (left: ByteCount, right: ByteCount) -> Bool { left.rawValue < right.rawValue }

    package static let units = "B, KiB, MiB, GiB, TiB, or kB, MB, GB, TB of 1000"
    private static let names: [(String, Int64)] = [
        ("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1),
    ]

    /// nil when it is no size. A number without a unit counts bytes.
    package init?(_ text: String) {
        guard let (count, unit) = splitQuantity(text), let factor = ByteCount.factor(unit) else { return nil }
        let (bytes, overflow) = count.multipliedReportingOverflow(by: factor)
        if overflow { return nil }
        rawValue = bytes
    }

    private static func factor(_ unit: String) -> Int64? {
        switch unit.lowercased() {
        case "", "b", "byte", "bytes": 1
        case "kib": 1 << 10
        case "mib": 1 << 20
        case "gib": 1 << 30
        case "tib": 1 << 40
        case "kb": 1_000
        case "mb": 1_000_000
        case "gb": 1_000_000_000
        case "tb": 1_000_000_000_000
        default: nil
        }
    }

    /// In the largest unit that leaves no rest, so that reading it back gives the same.
    package var description: String {
        for (name, factor) in ByteCount.names where rawValue >= factor && rawValue % factor == 0 { return "\(rawValue / factor) \(name)" }
        return "\(rawValue) B"
    }
}

extension Duration {
    package static let textUnits = "ns, us, ms, s, min, h, days"

    /// `50 ms`, `1 h`, `7 days`; nil when it is none. Only zero needs no unit.
    package init?(text: String) {
        guard let (count, unit) = splitQuantity(text), let factor = Duration.factor(unit) ?? (count == 0 && unit.isEmpty ? 1 : nil) else { return nil }
        let (nanoseconds, overflow) = count.multipliedReportingOverflow(by: factor)
        if overflow { return nil }
        self = .nanoseconds(nanoseconds)
    }

    private static func factor(_ unit: String) -> Int64? {
        switch unit {
        case "ns": 1
        case "us", "µs", "μs": 1_000
        case "ms": 1_000_000
        case "s", "sec", "second", "seconds": 1_000_000_000
        case "min", "minute", "minutes": 60_000_000_000
        case "h", "hour", "hours": 3_600_000_000_000
        case "d", "day", "days": 86_400_000_000_000
        default: nil
        }
    }

    /// Whole nanoseconds; at either end of what 64 bits hold where there are more.
    package var nanoseconds: Int64 {
        let (seconds, attoseconds) = components
        let (product, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        let (sum, carry) = product.addingReportingOverflow(attoseconds / 1_000_000_000)
        return overflow || carry ? (seconds < 0 ? .min : .max) : sum
    }

    package var milliseconds: Int64 { nanoseconds / 1_000_000 }

    /// In the largest unit that leaves no rest, so that reading it back gives the same.
    package var text: String {
        let count = nanoseconds
        let names: [(String, Int64)] = [
            ("days", 86_400_000_000_000), ("h", 3_600_000_000_000), ("min", 60_000_000_000), ("s", 1_000_000_000), ("ms", 1_000_000), ("us", 1_000),
        ]
        for (name, factor) in names where count >= factor && count % factor == 0 {
            let number = count / factor
            return number == 1 && name == "days" ? "1 day" : "\(number) \(name)"
        }
        return count == 0 ? "0 s" : "\(count) ns"
    }
}

/// A whole number of at most 18 digits and the letters behind it.
private func splitQuantity(_ text: String) -> (Int64, String)? {
    let digits = text.prefix { $0.isASCII && $0.isNumber || $0 == "_" }
    guard digits.count <= 18, let first = digits.first, first != "_", let count = Int64(digits.filter { $0 != "_" }) else { return nil }
    let unit = text[digits.endIndex...].drop { $0 == " " }
    return (count, String(unit))
}
