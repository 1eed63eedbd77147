/// What a fuzzer's bytes choose: one byte, or a few, for each decision; the first choice of everything once they are used up.
package struct Choices {
    private let bytes: [UInt8]
    private var at = 0

    package init(_ bytes: [UInt8]) { self.bytes = bytes }
    package init(_ bytes: RawSpan) { self.bytes = [UInt8](bytes) }

    package var isUsedUp: Bool { at >= bytes.count }

    package mutating func byte() -> UInt8 {
        guard at < bytes.count else { return 0 }
        at &+= 1
        return bytes[at &- 1]
    }

    /// From 0 to `count` - 1; at most 256 things can be chosen from.
    package mutating func choose(_ count: Int) -> Int { Int(byte()) % count }
    package mutating func pick<Element>(_ list: [Element]) -> Element { list[choose(list.count)] }
    /// In one of `count` cases.
    package mutating func oneIn(_ count: Int) -> Bool { choose(count) == count &- 1 }

    /// Small, or at an edge.
    package mutating func number() -> Int64 {
        switch choose(16) {
        case 0: 0
        case 1: 1
        case 2: -1
        case 3: .max
        case 4: .min
        case 5: Int64(Int32.max)
        case 6: Int64(Int32.min)
        case 7: Int64(Int16.max)
        case 8: Int64(byte()) << Int64(choose(56))
        case 9: -Int64(byte())
        default: Int64(byte())
        }
    }

    package mutating func int32() -> Int32 { Int32(truncatingIfNeeded: number()) }

    package mutating func take(_ count: Int) -> [UInt8] {
        var taken: [UInt8] = []
        for _ in 0..<count { taken.append(byte()) }
        return taken
    }
}
