import Bytes
import CFuzzWatch

/// Inputs near one: shortened to every length; with every single bit turned, bytes and numbers at their edges, or a few bytes taken out, put
/// in twice or copied from elsewhere, at every place. Always the same ones in the same order for the same input.
///
/// Of a long input a stretch is taken whose place the content chooses: changing one byte of thousands costs much and shows little. Each
/// neighbour ends where a page begins that may not be read: a read behind its end traps, with the address sanitizer and without.
@safe
struct Neighbours {
    private let base: [UInt8]
    private let start: Int
    private let places: Int
    private let changed: UnsafeMutableRawBufferPointer
    private let joined: Room

    /// Where neighbours lie, one at a time.
    struct Rooms {
        fileprivate let changed = Room()
        fileprivate let joined = Room()
    }

    @safe
    fileprivate final class Room {
        private var size = 0
        private var end: UnsafeMutableRawPointer?

        /// The last `count` bytes of it.
        func bytes(_ count: Int) -> UnsafeMutableRawBufferPointer {
            if count > size || size == 0 {
                size = max(count, 2 * size, 1 << 17)
                unsafe end = watch_room_end(size)
            }
            guard let end = unsafe end else { fatalError("out of memory: \(size) bytes") }
            // Safety: no more than the room has, which is never given back.
            return unsafe UnsafeMutableRawBufferPointer(start: end - count, count: count)
        }
    }

    /// Places times bytes.
    private static let workMax = 1 << 17

    /// - Parameter rooms: used by nothing else while these are.
    init(of input: RawSpan, in rooms: Rooms) {
        base = [UInt8](input)
        places = base.isEmpty ? 0 : min(base.count, max(4, Neighbours.workMax / base.count))
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in base { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        start = base.isEmpty ? 0 : Int(hash % UInt64(base.count))
        unsafe changed = rooms.changed.bytes(base.count)
        joined = rooms.joined
    }

    /// Gives each to `body`, until `goesOn`, asked before every one, says no.
    func each(while goesOn: () -> Bool, _ body: (RawSpan) -> Void) {
        func give(_ bytes: UnsafeMutableRawBufferPointer) {
            // Safety: within one of the rooms, and not written to during the call.
            if goesOn() { unsafe body(RawSpan(_unsafeBytes: UnsafeRawBufferPointer(bytes))) }
        }
        func give(_ first: Range<Int>, _ second: Range<Int>) { unsafe give(together(first, second)) }
        func giveChanged() { unsafe give(changed) }
        restore(0, base.count)
        for number in 0..<places {
            guard goesOn() else { return }
            let at = (start + number) % base.count
            give(0..<at, 0..<0)
            bytes(at, giveChanged)
            numbers(at, UInt16.self, giveChanged)
            numbers(at, UInt32.self, giveChanged)
            numbers(at, UInt64.self, giveChanged)
            for count in [1, 2, 4, 8, 16] where at + count <= base.count {
                give(0..<at, at + count..<base.count)
                give(0..<at + count, at..<base.count)
            }
            for count in [4, 8] where base.count >= 2 * count && at + count <= base.count {
                let from = (at &* 7 &+ count &* 13 &+ start) % (base.count - count + 1)
                for index in 0..<count { unsafe changed[at + index] = base[from + index] }
                if from != at { giveChanged() }
                restore(at, count)
            }
        }
    }

    /// Two stretches of the input.
    private func together(_ first: Range<Int>, _ second: Range<Int>) -> UnsafeMutableRawBufferPointer {
        let room = unsafe joined.bytes(first.count + second.count)
        // Safety: both lie within the input, and are as long as the room.
        unsafe base.withUnsafeBytes { bytes in
            unsafe room.copyBytes(from: bytes[first])
            unsafe UnsafeMutableRawBufferPointer(rebasing: room[first.count...]).copyBytes(from: bytes[second])
        }
        return unsafe room
    }

    private func bytes(_ at: Int, _ give: () -> Void) {
        let old = base[at]
        for bit in 0..<8 {
            unsafe changed[at] = old ^ 1 << UInt8(bit)
            give()
        }
        for value in [0, 1, 0x7f, 0x80, 0xff, old &+ 1, old &- 1] as [UInt8] where (value ^ old).nonzeroBitCount > 1 {
            unsafe changed[at] = value
            give()
        }
        unsafe changed[at] = old
    }

    /// In both orders of bytes, where they differ.
    private func numbers<T: FixedWidthInteger & UnsignedInteger>(_ at: Int, _: T.Type, _ give: () -> Void) {
        let size = T.bitWidth / 8
        let rest = base.count - at - size
        guard rest >= 0 else { return }
        for value in [0, .max, .max >> 1, (.max >> 1) + 1, T(truncatingIfNeeded: rest), T(truncatingIfNeeded: rest + 1), T(truncatingIfNeeded: base.count)] {
            for order in [value.bigEndian, value.littleEndian] {
                for index in 0..<size { unsafe changed[at + index] = UInt8(truncatingIfNeeded: order >> T(8 * index)) }
                give()
                if value.bigEndian == value.littleEndian { break }
            }
        }
        restore(at, size)
    }

    private func restore(_ at: Int, _ count: Int) { for index in at..<at + count { unsafe changed[index] = base[index] } }
}
