import Bytes

/// Inputs near one: shortened to every length; with every single bit turned, bytes and numbers at their edges, or a few bytes taken out, put
/// in twice or copied from elsewhere, at every place. Always the same ones in the same order for the same input.
///
/// Of a long input a stretch is taken whose place the content chooses: changing one byte of thousands costs much and shows little. Each neighbour lies in memory of its own length, so that the address
/// sanitizer sees a read behind its end.
struct Neighbours {
    private let base: [UInt8]
    private let start: Int
    private let places: Int

    /// Places times bytes.
    private static let workMax = 1 << 17

    init(of input: RawSpan) {
        base = [UInt8](input)
        places = base.isEmpty ? 0 : min(base.count, max(4, Neighbours.workMax / base.count))
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in base { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        start = base.isEmpty ? 0 : Int(hash % UInt64(base.count))
    }

    /// Gives each to `body`, until `goesOn`, asked at every place, says no.
    func each(while goesOn: () -> Bool, _ body: ([UInt8]) -> Void) {
        var changed = base
        for number in 0..<places {
            guard goesOn() else { return }
            let at = (start + number) % base.count
            body(joined(0..<at, 0..<0))
            bytes(at, &changed, body)
            numbers(at, &changed, UInt16.self, body)
            numbers(at, &changed, UInt32.self, body)
            numbers(at, &changed, UInt64.self, body)
            for count in [1, 2, 4, 8, 16] where at + count <= base.count {
                body(joined(0..<at, at + count..<base.count))
                body(joined(0..<at + count, at..<base.count))
            }
            for count in [4, 8] where base.count >= 2 * count && at + count <= base.count {
                let from = (at &* 7 &+ count &* 13 &+ start) % (base.count - count + 1)
                for index in 0..<count { changed[at + index] = base[from + index] }
                if from != at { body(changed) }
                restore(at, count, &changed)
            }
        }
    }

    /// Two stretches of the input, in an array that has no room for more.
    private func joined(_ first: Range<Int>, _ second: Range<Int>) -> [UInt8] {
        // Safety: both lie within the input, and all of the room is filled.
        unsafe [UInt8](unsafeUninitializedCapacity: first.count + second.count) { room, count in
            unsafe base.withUnsafeBytes { bytes in
                let room = unsafe UnsafeMutableRawBufferPointer(room)
                unsafe room.copyBytes(from: bytes[first])
                unsafe UnsafeMutableRawBufferPointer(rebasing: room[first.count...]).copyBytes(from: bytes[second])
            }
            count = first.count + second.count
        }
    }

    private func bytes(_ at: Int, _ changed: inout [UInt8], _ body: ([UInt8]) -> Void) {
        let old = base[at]
        for bit in 0..<8 {
            changed[at] = old ^ 1 << UInt8(bit)
            body(changed)
        }
        for value in [0, 1, 0x7f, 0x80, 0xff, old &+ 1, old &- 1] as [UInt8] where (value ^ old).nonzeroBitCount > 1 {
            changed[at] = value
            body(changed)
        }
        changed[at] = old
    }

    /// In both orders of bytes, where they differ.
    private func numbers<T: FixedWidthInteger & UnsignedInteger>(_ at: Int, _ changed: inout [UInt8], _: T.Type, _ body: ([UInt8]) -> Void) {
        let size = T.bitWidth / 8
        let rest = base.count - at - size
        guard rest >= 0 else { return }
        for value in [0, .max, .max >> 1, (.max >> 1) + 1, T(truncatingIfNeeded: rest), T(truncatingIfNeeded: rest + 1), T(truncatingIfNeeded: base.count)] {
            for order in [value.bigEndian, value.littleEndian] {
                for index in 0..<size { changed[at + index] = UInt8(truncatingIfNeeded: order >> T(8 * index)) }
                body(changed)
                if value.bigEndian == value.littleEndian { break }
            }
        }
        restore(at, size, &changed)
    }

    private func restore(_ at: Int, _ count: Int, _ changed: inout [UInt8]) { for index in at..<at + count { changed[index] = base[index] } }
}
