// Sends that mix memory with stored bytes, which go from their file.
import Bytes
import LinuxSystem
import SegmentLog
import Testing
import Wire

@testable import ShardRuntime

@Suite struct StoredSendTests {
    /// A file of pseudo-random bytes, shown as a segment.
    private final class Stored {
        let directory: TemporaryDirectory
        let content: [UInt8]
        let memory: SegmentMemory

        init(_ count: Int) throws {
            directory = try TemporaryDirectory()
            var seed: UInt32 = 1
            // A prime number of bytes, so that no page looks like the next.
            let block = (0..<4_093).map { _ in
                seed = seed &* 1_664_525 &+ 1_013_904_223
                return UInt8(truncatingIfNeeded: seed >> 24)
            }
            var content: [UInt8] = []
            content.reserveCapacity(count + block.count)
            while content.count < count { content += block }
            content.removeLast(content.count - count)
            self.content = content
            let storage = try LinuxStorage()
            let file = try storage.open(directory.path + "/segment", .create)
            let written = Outgoing(content)
            try storage.write(file, [written.region], at: 0)
            memory = try storage.map(file, length: count)
            // The mapping does without it.
            try storage.close(file)
        }

        func slice(_ range: Range<Int>) -> LogSlice { LogSlice(memory: memory, range: range) }
    }

    /// What a session says: texts, and ranges of the stored bytes.
    private func output(_ parts: [(text: String, range: Range<Int>)], _ stored: Stored) -> (pieces: [OutputPiece], kept: Outgoing, expected: [UInt8]) {
        let texts = Outgoing(parts.map(\.text).joined())
        var pieces: [OutputPiece] = []
        var expected: [UInt8] = []
        var rest = texts.region
        for (text, range) in parts {
            let count = text.utf8.count
            if count > 0 { pieces.append(OutputPiece(MemoryRegion(address: rest.address, count: count))) }
            rest = rest.dropping(count)
            if !range.isEmpty { pieces.append(OutputPiece(stored.slice(range))) }
            expected += Array(text.utf8) + stored.content[range]
        }
        return (pieces, texts, expected)
    }

    @Test(arguments: DriverKind.allCases)
    func storedBytesArriveInOrderBetweenTheOthers(_ kind: DriverKind) throws {
        let size = 9 << 20
        let stored = try Stored(size)
        let cases: [[(text: String, range: Range<Int>)]] = [
            [("", 0..<1 << 20)],
            [("head", 5..<(1 << 20)), ("tail", 0..<0)],
            // Larger than the socket's buffers; two files in a row; a slice that is copied into the gathering between two that are not.
            [("a", 1..<size), ("", 0..<(64 << 10)), ("b", 4_000..<(7 << 20)), ("c", 100..<200), ("d", 3..<(100 << 10)), ("", 0..<0)],
            [("", (64 << 10)..<(128 << 10)), ("", 0..<(8 << 20)), ("end", 0..<0)],
        ]
        for parts in cases {
            let harness = try DriverHarness(kind)
            let (peer, socket) = try harness.connected()
            let (pieces, kept, expected) = output(parts, stored)
            // Twice, so that what one send leaves is not in the way of the next.
            for round in 1...2 {
                harness.send(socket, pieces)
                var arrived = ByteBuffer(capacity: expected.count)
                try harness.run("arrival") {
                    while arrived.count < expected.count, (try? peer.receive(upTo: 1 << 18, into: &arrived, .nonblocking)) != nil {}
                    return arrived.count == expected.count && harness.sent[socket] == round
                }
                let same = arrived.bytes.equals(expected.rawSpan)
                #expect(same)
                // Receiving goes on beside it.
                try peer.sendAll("x")
                try harness.run("answer") { harness.received[socket]?.count == round }
            }
            withExtendedLifetime(kept) {}
            peer.close()
        }
    }

    @Test(arguments: DriverKind.allCases)
    func closingLetsGoOfStoredBytesThatNobodyReads(_ kind: DriverKind) throws {
        let stored = try Stored(32 << 20)
        let harness = try DriverHarness(kind)
        let (peer, socket) = try harness.connected()
        harness.send(socket, [OutputPiece(stored.slice(0..<(32 << 20)))])
        harness.settle()
        #expect(harness.sent[socket] == nil)
        try harness.close(socket)
        harness.settle()
        #expect(harness.closed[socket] == 1)
        #expect(harness.sent[socket] == nil && harness.failed[socket] == nil)
        peer.close()
    }

    @Test(arguments: DriverKind.allCases)
    func aPeerThatBreaksOffFailsTheSendOnce(_ kind: DriverKind) throws {
        try Signal.block([])
        let stored = try Stored(32 << 20)
        let harness = try DriverHarness(kind)
        let (peer, socket) = try harness.connected()
        harness.send(socket, [OutputPiece(stored.slice(0..<(32 << 20)))])
        harness.settle()
        try peer.setResetOnClose()
        peer.close()
        try harness.run("failure") { harness.failed[socket] == 1 }
        harness.settle()
        #expect(harness.failed[socket] == 1 && harness.sent[socket] == nil)
        try harness.close(socket)
    }

    @Test func onlyLongRunsGoFromTheirFile() throws {
        let stored = try Stored(SessionOutput.fileLimit + 1)
        #expect(OutputPiece(stored.slice(1..<SessionOutput.fileLimit)).file == nil)
        #expect(OutputPiece(stored.slice(1..<SessionOutput.fileLimit + 1)).file?.position == 1)
    }
}
