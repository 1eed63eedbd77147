/// What a simulated run is made of: one number. Each authority (disk, network, clock, workload …) draws from a stream of its own,
/// so that one more draw in one of them does not reshuffle the others.
package struct Seed: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    package var rawValue: UInt64
    package init(rawValue: UInt64) { self.rawValue = rawValue }
    package init(_ value: UInt64) { rawValue = value }

    package func stream(_ authority: StaticString) -> RandomStream {
        var name: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in authority.description.utf8 { name = (name ^ UInt64(byte)) &* 0x100_0000_01b3 }
        return RandomStream(state: Seed.mix(rawValue) ^ Seed.mix(name))
    }

    /// The seed of the `index`-th part of a run.
    package func part(_ index: Int) -> Seed { Seed(Seed.mix(rawValue ^ Seed.mix(UInt64(truncatingIfNeeded: index) &+ 1))) }

    /// The finaliser of splitmix64.
    static func mix(_ value: UInt64) -> UInt64 {
        var mixed = value &+ 0x9e37_79b9_7f4a_7c15
        mixed = (mixed ^ (mixed &>> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed &>> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed &>> 31)
    }

    package var description: String { String(rawValue) }
}

/// A splitmix64 generator.
package struct RandomStream: Sendable {
    private var state: UInt64

    init(state: UInt64) { self.state = state }

    package mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        return Seed.mix(state)
    }

    /// A number in `0 ..< bound`; 0 when there is no other.
    package mutating func below(_ bound: Int) -> Int {
        guard bound > 1 else { return 0 }
        return Int(truncatingIfNeeded: next().multipliedFullWidth(by: UInt64(bound)).high)
    }

    package mutating func within(_ range: ClosedRange<Int>) -> Int { range.lowerBound + below(range.count) }

    package mutating func chance(_ probability: Double) -> Bool {
        guard probability > 0 else { return false }
        return Double(next() &>> 11) * 0x1p-53 < probability
    }

    package mutating func pick<Element>(_ choices: [Element]) -> Element { choices[below(choices.count)] }

    /// A number in `1 ... limit` that is often small.
    package mutating func mostlySmall(_ limit: Int) -> Int {
        guard limit > 1 else { return limit }
        let bits = below(Int.bitWidth - limit.leadingZeroBitCount)
        return min(limit, 1 + below(2 << bits))
    }

    package mutating func shuffle<Element>(_ elements: inout [Element]) {
        var last = elements.count - 1
        while last > 0 {
            elements.swapAt(last, below(last + 1))
            last -= 1
        }
    }
}
