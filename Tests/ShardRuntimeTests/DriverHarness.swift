import Bytes
import LinuxSystem
import SegmentLog
import Testing
import Wire

@testable import ShardRuntime

/// The drivers that must behave alike.
enum DriverKind: String, CaseIterable, Sendable, CustomTestStringConvertible {
    case ioUring, plainRing, epoll

    var testDescription: String { rawValue }

    func make(_ options: DriverOptions = DriverOptions()) throws -> any Driver {
        switch self {
        case .ioUring: return try IOUringDriver(options)
        case .plainRing:
            var options = options
            options.plainRing = true
            return try IOUringDriver(options)
        case .epoll: return try EpollDriver(options)
        }
    }
}

/// One driver, and everything it has said. Peers are plain sockets of the same thread.
final class DriverHarness: DriverHandler {
    let driver: any Driver
    var accepted: [(socket: SocketID, peer: PeerAddress, reached: ListenAddress)] = []
    var acceptFailures: [String] = []
    var received: [SocketID: [UInt8]] = [:]
    var receivedCalls = 0
    var ended: [SocketID: Int] = [:]
    var failed: [SocketID: Int] = [:]
    var sent: [SocketID: Int] = [:]
    var closed: [SocketID: Int] = [:]
    var storage: [StorageTicket: StorageResult] = [:]
    var wakes = 0
    /// Called after each arrival.
    var onReceived: ((SocketID) -> Void)?
    /// Whether new connections receive at once.
    var startsReceiving = true

    init(_ kind: DriverKind, _ options: DriverOptions = DriverOptions()) throws { driver = try kind.make(options) }

    func accepted(_ socket: SocketID, from peer: PeerAddress, at reached: ListenAddress, on listener: ListenerID) {
        accepted.append((socket, peer, reached))
        if startsReceiving { driver.startReceiving(socket) }
    }

    func acceptFailed(_ listener: ListenerID, _ reason: String) { acceptFailures.append(reason) }

    func received(_ socket: SocketID, _ bytes: RawSpan) {
        receivedCalls += 1
        received[socket, default: []].append(contentsOf: [UInt8](bytes))
        onReceived?(socket)
    }

    func disconnected(_ socket: SocketID, _ reason: DisconnectReason) {
        switch reason {
        case .ended: ended[socket, default: 0] += 1
        case .failed, .unreadable: failed[socket, default: 0] += 1
        }
    }

    func sent(_ socket: SocketID) { sent[socket, default: 0] += 1 }
    func closed(_ socket: SocketID) { closed[socket, default: 0] += 1 }
    func storageCompleted(_ ticket: StorageTicket, _ result: StorageResult) { storage[ticket] = result }
    func woken() { wakes += 1 }

    /// What is taken at once counts as sent, as what is told of later does.
    func send(_ socket: SocketID, _ pieces: [OutputPiece]) {
        if driver.send(socket, pieces) { sent(socket) }
    }

    func send(_ socket: SocketID, memory regions: [MemoryRegion]) { send(socket, regions.map { OutputPiece($0) }) }

    // MARK: Driving

    /// Polls until `condition` holds; a condition that never does is a failure of the test, after a long time.
    func run(_ what: String, until condition: () throws -> Bool) throws {
        let end = driver.readClock().advanced(byNanoseconds: 120_000_000_000)
        while try !condition() {
            guard driver.readClock() < end else { throw HarnessError(what: "never: " + what) }
            driver.poll(until: driver.readClock().advanced(byNanoseconds: 2_000_000), self)
        }
    }

    /// Gives everything that is under way the time to arrive.
    func settle() {
        for _ in 0..<20 { driver.poll(until: driver.readClock().advanced(byNanoseconds: 500_000), self) }
    }

    func listen(_ address: ListenAddress = .tcp(host: "127.0.0.1", port: 0), id: UInt32 = 1, use: PortUse = .alone) throws -> SocketAddress {
        switch try driver.listen(address, ListenerID(rawValue: id), use) {
        case .tcp(let host, let port): try #require(SocketAddress(host: host, port: port))
        case .unix(let path): .unix(path: path)
        }
    }

    /// A connected peer, and its connection in the driver.
    func connect(to address: SocketAddress) throws -> (peer: Socket, socket: SocketID) {
        let before = accepted.count
        let peer = try Socket.make(for: address, .blocking)
        try peer.connect(to: address)
        try run("accept") { accepted.count > before }
        return (peer, accepted[before].socket)
    }

    /// Listens and connects once.
    func connected(_ address: ListenAddress = .tcp(host: "127.0.0.1", port: 0)) throws -> (peer: Socket, socket: SocketID) {
        try connect(to: listen(address))
    }

    func close(_ socket: SocketID) throws {
        driver.close(socket)
        try run("closed") { closed[socket] != nil }
    }
}

struct HarnessError: Error { var what: String }

extension Socket {
    func sendAll(_ text: String) throws { try sendAll([UInt8](text.utf8).rawSpan) }

    /// Everything until the peer ends.
    func readToEnd() throws -> [UInt8] {
        var buffer = ByteBuffer()
        while try receive(upTo: 1 << 16, into: &buffer) > 0 {}
        return [UInt8](buffer.bytes)
    }

    /// Exactly `count` bytes.
    func readExactly(_ count: Int) throws -> [UInt8] {
        var buffer = ByteBuffer()
        while buffer.count < count {
            let got = try receive(upTo: count - buffer.count, into: &buffer)
            if got == 0 { break }
        }
        return [UInt8](buffer.bytes)
    }
}

/// Memory that outlives a send.
final class Outgoing {
    private var buffer = ByteBuffer()
    var region: MemoryRegion { buffer.region(ByteRange(start: 0, count: buffer.count)) }

    init(_ bytes: [UInt8]) { buffer.append(bytes) }
    convenience init(_ text: String) { self.init([UInt8](text.utf8)) }

    /// The bytes cut into pieces of the given sizes, over and over.
    func pieces(of sizes: [Int]) -> [MemoryRegion] {
        var pieces: [MemoryRegion] = []
        var rest = region
        var turn = 0
        while rest.count > 0 {
            let count = min(sizes[turn % sizes.count], rest.count)
            pieces.append(MemoryRegion(address: rest.address, count: count))
            rest = rest.dropping(count)
            turn += 1
        }
        return pieces
    }
}

/// A directory that goes with the test.
final class TemporaryDirectory {
    let path: String

    init() throws {
        path = "/tmp/needletail-test-\(SystemLimits.processID)-\(UInt64.random(in: 0 ... .max))"
        try FileSystem.makeDirectory(path)
    }

    deinit { TemporaryDirectory.remove(path) }

    private static func remove(_ path: String) {
        for entry in (try? FileSystem.list(path)) ?? [] {
            if entry.isDirectory { remove(path + "/" + entry.name) } else { try? FileSystem.remove(path + "/" + entry.name) }
        }
        try? FileSystem.removeDirectory(path)
    }
}
