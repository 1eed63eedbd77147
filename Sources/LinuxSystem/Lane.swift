package import Bytes
internal import CLane

/// One end of a same-host lane: two rings of bytes in memory that a client and a server share (docs/formats/lane.md).
///
/// Why `@unchecked Sendable` holds: reading and waiting use one half of the structure, writing the other; that each half has one thread at a time is
/// the caller's promise (the client writes under its lock and reads on its thread). `interrupt` is atomic.
///
/// The other side is another program, and not believed: impossible counters are `protocolError`, and nothing is looked at before it was
/// copied out.
@safe
package final class Lane: @unchecked Sendable {
    // Safety: made by init, its mappings are undone by deinit only; nobody else has the address, but for the fuzzer's client (LaneFuzz.swift).
    let lane: UnsafeMutablePointer<lane>

    /// The server's end, and the file that is handed to the client.
    package static func make(toServer: Int, toClient: Int) throws(Errno) -> (Lane, File) {
        let end = Lane()
        // Safety: `end.lane` is one allocated structure.
        let descriptor = try Errno.check(unsafe lane_create(end.lane, UInt64(clamping: toServer), UInt64(clamping: toClient)))
        return (end, File(descriptor: descriptor))
    }

    /// The client's end.
    package static func attach(_ file: File) throws(Errno) -> Lane {
        let end = Lane()
        // Safety: as above.
        try Errno.check(unsafe lane_attach(end.lane, file.descriptor))
        return end
    }

    private init() {
        unsafe lane = .allocate(capacity: 1)
        // Safety: plain numbers and addresses, for which zeros stand for nothing.
        unsafe UnsafeMutableRawPointer(lane).initializeMemory(as: UInt8.self, repeating: 0, count: MemoryLayout<CLane.lane>.size)
    }

    deinit {
        unsafe lane_unmap(lane)
        unsafe lane.deallocate()
    }

    package static let leastBytes = Int(LANE_LEAST_RING)
    package static let mostBytes = Int(LANE_LARGEST_RING)

    /// The nearest size that a ring can have.
    package static func ringBytes(_ wanted: Int) -> Int {
        let bounded = max(leastBytes, min(wanted, mostBytes))
        return 1 << (Int.bitWidth - (bounded - 1).leadingZeroBitCount)
    }

    // MARK: Bytes

    /// Whether something can be read, or the other side's counter is impossible, which the next read says.
    package var hasInput: Bool { unsafe lane_readable(lane) != 0 }

    /// Appends what is there, at most `count` bytes; answers how many.
    package func read(upTo count: Int, into buffer: inout ByteBuffer) throws(Errno) -> Int {
        let there = Int(try Errno.check(unsafe lane_readable(lane)))
        guard there > 0 else { return 0 }
        let before = buffer.count
        unsafe try buffer.appendUninitialized(min(count, there)) { (room: UnsafeMutableRawBufferPointer) throws(Errno) -> Int in
            // Safety: `room` has so many bytes.
            Int(try Errno.check(unsafe lane_read(lane, room.baseAddress, room.count)))
        }
        return buffer.count - before
    }

    /// Writes as much as there is room for; answers how much. It is not shown to the other side before `show`.
    package func write(_ region: MemoryRegion) throws(Errno) -> Int {
        // Safety: whoever made the region keeps it through this call.
        Int(try Errno.check(unsafe lane_write(lane, UnsafeRawPointer(bitPattern: region.address), region.count)))
    }

    package func write(_ bytes: RawSpan) throws(Errno) -> Int { try write(bytes.region) }

    package func show() { unsafe lane_show(lane) }

    // MARK: Sleeping

    /// What a side brings the other, or waits for.
    package struct Need: OptionSet, Sendable {
        package let rawValue: Int32
        package init(rawValue: Int32) { self.rawValue = rawValue }
        package static let input = Need(rawValue: Int32(LANE_INPUT))
        package static let room = Need(rawValue: Int32(LANE_ROOM))
    }

    /// The server is about to sleep until there is what it needs; false: there is.
    package func serverSleeps(until need: Need) -> Bool { unsafe lane_server_sleeps(lane, need.rawValue) == 0 }
    package func serverWakes() { unsafe lane_server_wakes(lane) }
    /// After the server has written (input for the client) or read (room for it).
    package func wakeClient(_ brought: Need) { unsafe lane_wake_client(lane, brought.rawValue) }

    /// After the client has written (input for the server) or read (room for it): whether to send a byte over the socket, so that the server wakes.
    package func mustKnock(_ brought: Need) -> Bool { unsafe lane_must_knock(lane, brought.rawValue) != 0 }

    /// The client waits for input, or room; false when there is none yet.
    package func clientWaits(wantsRoom: Bool = false, spin: UInt64, sleep: UInt64) throws(Errno) -> Bool {
        try Errno.check(unsafe lane_client_waits(lane, wantsRoom ? 1 : 0, spin, sleep)) != 0
    }

    /// Ends the client's wait from another thread.
    package func interrupt() { unsafe lane_interrupt_client(lane) }
}

extension Socket {
    /// Wakes the server behind a lane: a byte, of which nothing counts but that it comes. When the socket is full of them the server is awake anyway.
    package func knock() throws(Errno) {
        let byte: [UInt8] = [0]
        do throws(Errno) { _ = try send(byte.rawSpan, .nonblocking) } catch .wouldBlock {}
    }
}
