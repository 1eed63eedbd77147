import Bytes
import LinuxSystem
import SegmentLog
import Testing

@testable import ShardRuntime

/// One script of operations, drawn from a seed, told by every driver: what each of them answers must be the same, word for word. The
/// conformance tests say what is right; this says that there is no difference where nobody thought of one.
@Suite struct DriverHistoryTests {
    @Test(arguments: 0..<6) func everyDriverTellsTheSameOfFiles(_ seed: Int) throws {
        let histories = try DriverKind.allCases.map { try FileScript(seed, $0).tell() }
        for (kind, history) in zip(DriverKind.allCases, histories) { expectSame(history, histories[0], "\(kind) differs from \(DriverKind.allCases[0])") }
    }

    @Test(arguments: 0..<6) func everyDriverTellsTheSameOfConnections(_ seed: Int) throws {
        let histories = try DriverKind.allCases.map { try SocketScript(seed, $0).tell() }
        for (kind, history) in zip(DriverKind.allCases, histories) { expectSame(history, histories[0], "\(kind) differs from \(DriverKind.allCases[0])") }
    }

    private func expectSame(_ history: [String], _ other: [String], _ text: String) {
        #expect(history.count == other.count, "\(text)")
        for (index, (one, second)) in zip(history, other).enumerated() where one != second {
            Issue.record("\(text) at step \(index): \(one) — \(second)")
            return
        }
    }
}

private struct Dice {
    private var state: UInt64
    init(_ seed: Int) { state = UInt64(seed) &* 0x9E37_79B9_7F4A_7C15 &+ 1 }

    mutating func below(_ bound: Int) -> Int {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return Int(state >> 16) % bound
    }
}

/// Files that are made, written, read, cut, flushed, renamed and removed, a good part of it wrongly.
private final class FileScript {
    private let fixture: LinuxStorageTests.Fixture
    private var dice: Dice
    private var history: [String] = []
    private var open: [(name: String, file: FileHandle)] = []

    init(_ seed: Int, _ kind: DriverKind) throws {
        fixture = try LinuxStorageTests.Fixture(kind)
        dice = Dice(seed + 1)
    }

    func tell() throws -> [String] {
        for _ in 0..<250 { try step() }
        for (_, file) in open { try fixture.storage.close(file) }
        return history
    }

    private func name() -> String { "f\(dice.below(6))" }
    private func path(_ name: String) -> String { fixture.path(name) }

    private func note(_ what: String, _ body: () throws -> String) {
        let answer: String
        do { answer = try body() } catch let error as StorageError {
            answer = "\(error.operation) fails with \(error.code): \(error.reason)"
        } catch { answer = "\(error)" }
        history.append("\(what): \(answer.replacing(fixture.directory.path, with: ""))")
    }

    private func note(_ what: String, _ operation: StorageOperation) throws {
        let result = try fixture.run(operation)
        note(what) {
            switch result {
            case .done: return "done"
            case .prepared(let file):
                open.append((what, file))
                return "prepared, \(try fixture.storage.size(of: file)) bytes"
            case .compacted: return "compacted"
            case .failed(let error): throw error
            }
        }
    }

    private func step() throws {
        let storage = fixture.storage
        let choice = dice.below(14)
        let name = name()
        if choice < 2 {
            let mode: OpenMode = [.create, .readWrite, .read][dice.below(3)]
            note("open \(name) \(mode)") {
                open.append((name, try storage.open(path(name), mode)))
                return "open"
            }
            return
        }
        guard !open.isEmpty || choice > 8 else { return }
        let index = open.isEmpty ? 0 : dice.below(open.count)
        switch choice {
        case 2, 3, 4:
            let content = Outgoing((0..<dice.below(9_000)).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) })
            let (at, sizes) = (dice.below(20_000), [1 + dice.below(50), 1 + dice.below(3_000)])
            note("write \(content.region.count) to \(open[index].name) at \(at)") {
                try storage.write(open[index].file, content.pieces(of: sizes), at: at)
                return "written, \(try storage.size(of: open[index].file)) bytes"
            }
        case 5:
            let (at, count) = (dice.below(25_000), dice.below(30_000))
            note("read \(count) of \(open[index].name) at \(at)") {
                var buffer = ByteBuffer()
                try storage.read(open[index].file, at: at, count: count, into: &buffer)
                return "\(buffer.count) bytes, \(CRC32C.checksum(buffer.bytes))"
            }
        case 6:
            let length = dice.below(30_000)
            note("cut \(open[index].name) to \(length)") {
                try storage.truncate(open[index].file, to: length)
                let memory = try storage.map(open[index].file, length: length)
                return "cut, \(CRC32C.checksum(memory.bytes(0..<length)))"
            }
        case 7:
            let (closed, file) = open.remove(at: index)
            note("close \(closed)") {
                try storage.close(file)
                return "closed"
            }
        case 8: try note("flush \(open[index].name)", .flush(files: [open[index].file], directories: [fixture.directory.path]))
        case 9:
            let other = self.name()
            note("rename \(name) to \(other)") {
                try storage.rename(path(name), to: path(other))
                return "renamed"
            }
        case 10:
            note("remove \(name)") {
                try storage.remove(path(name))
                return "removed"
            }
        case 11: try note("prepare \(name)", .prepare(path: path(name), size: dice.below(60_000)))
        case 12: try note("replace \(name)", .replace(path: path(name), content: [UInt8](repeating: 7, count: dice.below(5_000))))
        default:
            note("list") { try storage.list(fixture.directory.path).map { "\($0.name) \($0.size)" }.sorted().joined(separator: ", ") }
        }
    }
}

/// Peers that talk, fall silent, end and break off; what the driver says of each connection, and what each peer hears.
private final class SocketScript {
    private let harness: DriverHarness
    private var dice: Dice
    private var history: [String] = []
    private var pairs: [(peer: Socket, socket: SocketID, said: Int, heard: Int)] = []
    private var kept: [Outgoing] = []

    init(_ seed: Int, _ kind: DriverKind) throws {
        harness = try DriverHarness(kind)
        dice = Dice(seed + 100)
    }

    func tell() throws -> [String] {
        let address = try harness.listen()
        for step in 0..<60 {
            let choice = pairs.isEmpty ? 0 : dice.below(10)
            if choice < 2 {
                let (peer, socket) = try harness.connect(to: address)
                pairs.append((peer, socket, 0, 0))
                history.append("\(step) connected")
                continue
            }
            let index = dice.below(pairs.count)
            let socket = pairs[index].socket
            switch choice {
            case 2...4:
                let content = [UInt8](repeating: UInt8(step), count: 1 + dice.below(100_000))
                pairs[index].said += content.count
                let said = pairs[index].said
                try pairs[index].peer.sendAll(content.rawSpan)
                try harness.run("arrival") { self.harness.received[socket]?.count == said }
                let received = harness.received[socket] ?? []
                history.append("\(step) received \(said), \(CRC32C.checksum(received.rawSpan))")
            case 5...7:
                // As much as the peer's socket takes without reading.
                let content = Outgoing((0..<dice.below(60_000)).map { UInt8(truncatingIfNeeded: $0 &* step) })
                kept.append(content)
                let before = harness.sent[socket] ?? 0
                harness.send(socket, memory: content.pieces(of: [1 + dice.below(700), 1 + dice.below(9_000)]))
                try harness.run("sent") { (self.harness.sent[socket] ?? 0) > before }
                let heard = try pairs[index].peer.readExactly(content.region.count)
                pairs[index].heard += heard.count
                history.append("\(step) heard \(heard.count), \(CRC32C.checksum(heard.rawSpan))")
            case 8:
                let (peer, socket, _, _) = pairs.remove(at: index)
                let isBroken = dice.below(2) == 0
                if isBroken {
                    try peer.setResetOnClose()
                    peer.close()
                    try harness.run("break") { self.harness.failed[socket] != nil }
                } else {
                    peer.shutDown(.write)
                    try harness.run("end") { self.harness.ended[socket] != nil }
                }
                try harness.close(socket)
                if !isBroken { peer.close() }
                harness.settle()
                history.append(
                    "\(step) over: ended \(harness.ended[socket] ?? 0), failed \(harness.failed[socket] ?? 0), closed \(harness.closed[socket] ?? 0), "
                        + "sent \(harness.sent[socket] ?? 0)")
            default:
                let (peer, socket, _, _) = pairs.remove(at: index)
                try harness.close(socket)
                let rest = try peer.readToEnd()
                peer.close()
                history.append("\(step) closed: \(rest.count) bytes left, ended \(harness.ended[socket] ?? 0), failed \(harness.failed[socket] ?? 0)")
            }
        }
        for (peer, socket, _, _) in pairs {
            try harness.close(socket)
            peer.close()
        }
        return history
    }
}
