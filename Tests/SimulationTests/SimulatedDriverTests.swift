import Bytes
import SegmentLog
import ShardRuntime
import Testing

@testable import Simulation

/// An echo on the simulated driver: whatever the network does to it, what arrives is what was sent, in order, or the connection is
/// broken and both sides know.
@Suite struct SimulatedDriverTests {
    @Test func everyByteArrivesOnceAndInOrderOrTheConnectionIsBroken() {
        var broken = 0
        var whole = 0
        for seed in 0..<100 {
            let run = Echo(Seed(UInt64(seed)))
            run.exchange(bytes: 1_000, peers: 3)
            #expect(run.driver.violations == [])
            for (peer, received) in zip(run.peers, run.received) {
                #expect(received.elementsEqual(run.text.prefix(received.count)))
                if peer.state == .broken { broken += 1 } else if received.count == 1_000 { whole += 1 }
                #expect(peer.isOver || received.count == 1_000, "seed \(seed)")
            }
        }
        #expect(broken > 5)
        #expect(whole > 60)
    }

    @Test func theSameSeedGivesTheSameTrace() {
        var hashes: Set<UInt64> = []
        for seed in 0..<20 {
            let runs = [Echo(Seed(UInt64(seed))), Echo(Seed(UInt64(seed)))]
            for run in runs { run.exchange(bytes: 500, peers: 2) }
            #expect(runs[0].driver.trace.hash == runs[1].driver.trace.hash)
            hashes.insert(runs[0].driver.trace.hash)
        }
        #expect(hashes.count == 20)
    }

    @Test func misuseIsNoticed() {
        let run = Echo(Seed(1))
        run.exchange(bytes: 10, peers: 1)
        let gone = SocketID(rawValue: 99)
        run.driver.close(gone)
        #expect(run.driver.violations.count == 1)
        run.driver.faults.takesAtOnce = 0
        run.sendsTwice = true
        run.exchange(bytes: 10, peers: 1)
        #expect(run.driver.violations.count > 1)
    }

    @Test func memoryThatChangesDuringASendIsNoticed() {
        let run = Echo(Seed(2))
        run.driver.faults = .none
        run.driver.faults.window = 4
        run.spoilsMemory = true
        run.exchange(bytes: 200, peers: 1)
        #expect(run.driver.violations.contains { $0.text.contains("memory changed") })
    }

    @Test func theMonotonicClockNeverGoesBack() {
        var jumps = 0
        for seed in 0..<30 {
            let run = Echo(Seed(UInt64(seed)))
            run.driver.faults.clockJump = 0.3
            run.driver.faults.jumpMilliseconds = 100_000
            var last = run.driver.now
            for _ in 0..<100 {
                run.driver.poll(until: run.driver.now.instant.advanced(byNanoseconds: 1_000_000), run)
                #expect(last.instant < run.driver.now.instant)
                if run.driver.now.time < last.time { jumps += 1 }
                last = run.driver.now
            }
        }
        #expect(jumps > 10)
    }
}

/// Sends back what it receives; one send at a time, closes when the peer ends.
private final class Echo: DriverHandler {
    let driver: SimulatedDriver
    var peers: [SimulatedPeer] = []
    var received: [[UInt8]] = []
    let text: [UInt8]
    var sendsTwice = false
    var spoilsMemory = false
    private var waiting: [SocketID: [UInt8]] = [:]
    private var inFlight: [SocketID: ByteBox] = [:]
    private var ending: Set<SocketID> = []
    private let listener = ListenerID(rawValue: 0)

    final class ByteBox {
        var buffer = ByteBuffer()
        func put(_ bytes: [UInt8]) -> MemoryRegion {
            buffer.clear()
            buffer.append(bytes)
            return buffer.region(ByteRange(start: 0, count: buffer.count))
        }
    }

    init(_ seed: Seed) {
        var random = seed.stream("test")
        let disk = SimulatedDisk(seed: seed)
        let start = Now(instant: Instant(nanoseconds: 1_000), time: Timestamp(milliseconds: 1_700_000_000_000))
        driver = SimulatedDriver(seed: seed, disk: disk, faults: .swarm(&random), now: start)
        _ = try? driver.listen(.tcp(host: "127.0.0.1", port: 0), listener)
        text = (0..<3_000).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ $0 / 251) }
    }

    func exchange(bytes: Int, peers count: Int) {
        var sent = [Int](repeating: 0, count: count)
        peers = (0..<count).compactMap { _ in driver.connect(to: listener) }
        received = [[UInt8]](repeating: [], count: count)
        for round in 0..<20_000 {
            for (index, peer) in peers.enumerated() {
                if sent[index] < bytes { sent[index] += peer.send(Array(text[sent[index]..<bytes].prefix(100))) }
                // A slow reader takes little, and seldom.
                if index != 0 || round % 10 == 0 { received[index] += peer.take(index == 0 ? 50 : .max) }
                if received[index].count == bytes { peer.finish() }
            }
            if peers.allSatisfy({ $0.isOver }) { return }
            driver.poll(until: driver.now.instant.advanced(byNanoseconds: 10_000_000), self)
            driver.resume(listener)
        }
    }

    private func pump(_ socket: SocketID) {
        guard inFlight[socket] == nil, let bytes = waiting[socket], !bytes.isEmpty else { return }
        let box = ByteBox()
        let region = box.put(bytes)
        waiting[socket] = []
        inFlight[socket] = box
        let isTaken = driver.send(socket, memory: [region])
        if sendsTwice { _ = driver.send(socket, memory: [region]) }
        if spoilsMemory, bytes.count > 8 { box.buffer.patch(little: UInt64(0), at: 0) }
        if isTaken { sent(socket) }
    }

    func accepted(_ socket: SocketID, from peer: PeerAddress, at reached: ListenAddress, on listener: ListenerID) {
        waiting[socket] = []
        driver.startReceiving(socket)
    }
    func acceptFailed(_ listener: ListenerID, _ reason: String) {}
    func received(_ socket: SocketID, _ bytes: RawSpan) {
        waiting[socket]?.append(contentsOf: [UInt8](bytes))
        pump(socket)
    }
    func disconnected(_ socket: SocketID, _ reason: DisconnectReason) {
        if case .ended = reason, inFlight[socket] != nil {
            ending.insert(socket)
        } else {
            driver.close(socket)
        }
    }
    func sent(_ socket: SocketID) {
        inFlight[socket] = nil
        pump(socket)
        if inFlight[socket] == nil, ending.remove(socket) != nil { driver.close(socket) }
    }
    func closed(_ socket: SocketID) {
        inFlight[socket] = nil
        waiting[socket] = nil
    }
    func storageCompleted(_ ticket: StorageTicket, _ result: StorageResult) {}
    func woken() {}
}
