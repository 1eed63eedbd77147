internal import CLane
internal import Glibc

/// A client that writes whatever it likes into the memory of a lane, at any place; for the fuzz entry of the server's end.
@safe
package final class HostileClient {
    package let server: Lane
    // Safety: made by init and attached to the same memory; undone by deinit only.
    private let mapped: UnsafeMutablePointer<lane>

    /// The numbers in the first page (docs/formats/lane.md).
    package enum Place: Int, CaseIterable, Sendable {
        case magic = 0
        case version = 8
        case toServerBytes = 16
        case toClientBytes = 24
        case toServerWritten = 128
        case toServerRead = 256
        case toClientWritten = 384
        case toClientRead = 512
        case serverSleeps = 640
        case clientSleeps = 768
    }

    package init() throws(Errno) {
        let (server, file) = try Lane.make(toServer: Lane.leastBytes, toClient: Lane.leastBytes)
        unsafe mapped = .allocate(capacity: 1)
        // Safety: a structure of numbers and addresses, filled in by the call.
        let attached = unsafe lane_attach(mapped, file.descriptor)
        try? file.close()
        self.server = server
        guard attached == 0 else { throw Errno(-attached) }
    }

    deinit {
        unsafe lane_unmap(mapped)
        unsafe mapped.deallocate()
    }

    /// As on the first day: both ends, and the whole page.
    package func begin() {
        for place in Place.allCases where place.rawValue >= Place.toServerWritten.rawValue { self[place] = 0 }
        self[.toServerBytes] = UInt64(Lane.leastBytes)
        self[.toClientBytes] = UInt64(Lane.leastBytes)
        // Safety: the structure is the server's own, and its end is not in use meanwhile.
        unsafe server.lane.pointee.in_head = 0
        unsafe server.lane.pointee.in_tail_seen = 0
        unsafe server.lane.pointee.out_tail = 0
        unsafe server.lane.pointee.out_head_seen = 0
    }

    package subscript(_ place: Place) -> UInt64 {
        // Safety: every place lies in the page, which is mapped, aligned for it.
        get { unsafe UnsafeRawPointer(mapped.pointee.page).load(fromByteOffset: place.rawValue, as: UInt64.self) }
        set { unsafe UnsafeMutableRawPointer(mapped.pointee.page).storeBytes(of: newValue, toByteOffset: place.rawValue, as: UInt64.self) }
    }

    /// Fills the ring to the server from byte `start` of the direction on.
    package func fill(from start: UInt64, count: Int, _ byte: UInt8) {
        // Safety: a place within the ring, which is mapped twice, one mapping behind the other; at most the ring's size is written.
        unsafe (mapped.pointee.out + place(start)).update(repeating: byte, count: min(count, Lane.leastBytes))
    }

    package enum Ring { case toServer, toClient }

    /// Whether `bytes`, at most as many as it holds, stand in a ring from byte `start` of the direction on.
    package func has(_ bytes: RawSpan, in ring: Ring, from start: UInt64) -> Bool {
        guard bytes.byteCount <= Lane.leastBytes else { return false }
        return unsafe bytes.withUnsafeBytes { bytes in
            // Safety: as in `fill`.
            guard let expected = bytes.baseAddress, let memory = unsafe ring == .toServer ? mapped.pointee.out : mapped.pointee.in else { return true }
            return unsafe memcmp(memory + place(start), expected, bytes.count) == 0
        }
    }

    private func place(_ start: UInt64) -> Int { Int(start % UInt64(Lane.leastBytes)) }
}
