import Bytes
import LinuxSystem
import Testing

@testable import IOUring

@Suite(.enabled(if: KernelFeatures.current.reasonAgainstRing == nil)) struct RingTests {
    @Test(arguments: Ring.Setup.allCases)
    func moreSubmissionsThanEntriesAllComplete(_ setup: Ring.Setup) throws {
        var options = Ring.Options()
        options.entries = 8
        options.completions = 16
        options.setup = setup
        let ring = try Ring(options)
        let count: UInt32 = 500
        for slot in 0..<count { ring.nothing(id: OperationID(kind: 3, generation: 9, slot: slot)) }
        var seen = Set<UInt32>()
        while seen.count < Int(count) {
            try ring.wait(nanoseconds: 1_000_000_000)
            while let completion = ring.take() {
                #expect(completion.id.kind == 3 && completion.id.generation == 9 && completion.result == 0)
                seen.insert(completion.id.slot)
            }
        }
        #expect(ring.inFlight == 0)
    }

    @Test func aLookWithoutWorkAndAnExpiredWaitTakeNothing() throws {
        let ring = try Ring()
        try ring.look()
        try ring.wait(nanoseconds: 1_000_000)
        let taken = ring.take()
        #expect(taken == nil)
    }

    /// The second runs only behind the first, and is cancelled when the first fails (S12).
    @Test func aLinkedSyncFollowsItsWrite() throws {
        let ring = try Ring()
        let file = try File.open("/dev/null", .readWrite)
        defer { try? file.close() }
        let content: [UInt8] = [1, 2, 3, 4]
        for (descriptor, expected) in [(file, [Int32(4)]), (File(descriptor: -1), [-9, -125])] {
            ring.write(descriptor, content.rawSpan.region, at: 0, id: OperationID(kind: 1, generation: 0, slot: 0), link: .thenNext)
            ring.nothing(id: OperationID(kind: 1, generation: 0, slot: 1))
            var results: [UInt32: Int32] = [:]
            while results.count < 2 {
                try ring.wait(nanoseconds: 1_000_000_000)
                while let completion = ring.take() { results[completion.id.slot] = completion.result }
            }
            #expect(results[0] == expected[0])
            #expect(results[1] == (expected.count > 1 ? expected[1] : 0))
        }
    }

    @Test func idsKeepTheirParts() {
        let id = OperationID(kind: 0x7f, generation: 0xff_ffff, slot: .max)
        #expect(id.kind == 0x7f && id.generation == 0xff_ffff && id.slot == .max)
        #expect(OperationID(kind: 1, generation: 0x1ff_ffff, slot: 0).kind == 1, "a generation never reaches into the kind")
    }

    /// More arrivals than buffers: the kernel says that it ran out, nothing is lost.
    @Test func aStarvedBufferRingLosesNothing() throws {
        let ring = try Ring()
        let buffers = try BufferRing(ring, group: 3, count: 2, bytesEach: 16)
        let (near, far) = try Socket.pair()
        let id = OperationID(kind: 1, generation: 0, slot: 0)
        let content = [UInt8]((0..<200).map { UInt8($0) })
        try far.sendAll(content.rawSpan)
        ring.receive(near, buffers, multishot: true, id: id)
        var arrived: [UInt8] = []
        var starved = 0
        while arrived.count < content.count {
            try ring.wait(nanoseconds: 1_000_000_000)
            while let completion = ring.take() {
                if let buffer = completion.buffer {
                    let bytes = [UInt8](buffers.bytes(buffer, Int(completion.result)))
                    arrived += bytes
                    buffers.recycle(buffer)
                }
                if completion.error == .noBuffers { starved += 1 }
                if !completion.hasMore { ring.receive(near, buffers, multishot: true, id: id) }
            }
        }
        #expect(arrived == content)
        #expect(starved > 0)
        let drained = ring.drain(nanoseconds: 1_000_000_000) { _ in }
        #expect(drained)
        near.close()
        far.close()
    }
}
