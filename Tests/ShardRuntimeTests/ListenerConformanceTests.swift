import Bytes
import LinuxSystem
import SegmentLog
import Testing

@testable import ShardRuntime

/// Listening, alike on every driver.
@Suite struct ListenerConformanceTests {
    @Test(arguments: DriverKind.allCases, ["127.0.0.1", "::1"])
    func theBoundAddressIsAnswered(_ kind: DriverKind, _ host: String) throws {
        let harness = try DriverHarness(kind)
        let bound = try harness.driver.listen(.tcp(host: host, port: 0), ListenerID(rawValue: 1))
        guard case .tcp(host, let port) = bound else { throw HarnessError(what: "\(bound)") }
        #expect(port != 0)
        let address = try #require(SocketAddress(host: host, port: port))
        let (peer, _) = try harness.connect(to: address)
        #expect(harness.accepted[0].peer.isLocal && harness.accepted[0].reached == bound)
        #expect(harness.accepted[0].peer.name == peer.localAddress?.description)
        #expect(harness.accepted[0].peer.host == SocketAddress(host: host, port: 1).flatMap(PeerHost.init))
        peer.close()
    }

    /// Reno is what every kernel has.
    @Test(arguments: ["reno", "no-such", nil])
    func connectionsShareTheLineAsTheyAreTold(_ asked: String?) throws {
        var options = DriverOptions()
        options.congestionControl = asked
        let listener = try ListeningSocket(.tcp(host: "127.0.0.1", port: 0), ListenerID(rawValue: 1), index: 0, .alone, options: options)
        defer { listener.close() }
        let plain = try Socket.make(for: try #require(SocketAddress(host: "127.0.0.1", port: 0)), .blocking)
        defer { plain.close() }
        #expect(listener.socket.congestionControl == (asked == "reno" ? asked : plain.congestionControl))
    }

    @Test(arguments: DriverKind.allCases)
    func whoListensEverywhereSaysWhereAPeerHasArrived(_ kind: DriverKind) throws {
        let harness = try DriverHarness(kind)
        let port = try #require(harness.listen(.tcp(host: "0.0.0.0", port: 0)).port)
        let (peer, _) = try harness.connect(to: try #require(SocketAddress(host: "127.0.0.2", port: port)))
        #expect(harness.accepted[0].reached == .tcp(host: "127.0.0.2", port: port))
        peer.close()
    }

    @Test(arguments: DriverKind.allCases)
    func acceptedSocketsSendAtOnce(_ kind: DriverKind) throws {
        // TCP_NODELAY and the congestion control are set on the listener; this holds because Linux lets them be inherited.
        let harness = try DriverHarness(kind)
        let (peer, socket) = try harness.connected()
        var pieces: [Outgoing] = []
        for _ in 0..<100 {
            let piece = Outgoing("x")
            pieces.append(piece)
            let before = harness.sent[socket] ?? 0
            harness.send(socket, memory: [piece.region])
            try harness.run("sent") { harness.sent[socket] == before + 1 }
            #expect(try peer.readExactly(1).count == 1)
        }
        peer.close()
    }

    /// What is set on the listener holds on its connections, because Linux lets it be inherited.
    @Test func connectionsAskForSignsOfLife() throws {
        let listener = try ListeningSocket(.tcp(host: "127.0.0.1", port: 0), ListenerID(rawValue: 1), index: 0, .alone, options: DriverOptions())
        defer { listener.close() }
        guard case .tcp(let host, let port) = listener.address, let address = SocketAddress(host: host, port: port) else {
            throw HarnessError(what: "\(listener.address)")
        }
        let peer = try Socket.make(for: address, .blocking)
        try peer.connect(to: address)
        let accepted = try listener.socket.accept(.nonblocking)
        #expect(accepted.keepAliveSeconds == 60 && peer.keepAliveSeconds == 0)
        accepted.close()
        peer.close()
    }

    @Test(arguments: DriverKind.allCases)
    func anAddressInUseAndAnUnreadableOneAreRefused(_ kind: DriverKind) throws {
        let harness = try DriverHarness(kind)
        let address = try harness.listen()
        let port = try #require(address.port)
        #expect(throws: DriverError.self) { try harness.driver.listen(.tcp(host: "127.0.0.1", port: port), ListenerID(rawValue: 2)) }
        #expect(throws: DriverError.self) { try harness.driver.listen(.tcp(host: "localhost", port: 0), ListenerID(rawValue: 3)) }
        let long = String(repeating: "x", count: 200)
        #expect(throws: DriverError.self) { try harness.driver.listen(.unix(path: "/tmp/\(long)"), ListenerID(rawValue: 4)) }
    }

    @Test(arguments: DriverKind.allCases)
    func aSharedPortIsSharedAmongThoseWhoJoinOnly(_ kind: DriverKind) throws {
        let first = try DriverHarness(kind)
        let address = try first.listen(use: .share)
        let port = try #require(address.port)
        for use in [PortUse.alone, .share] {
            let stranger = try DriverHarness(kind)
            #expect(throws: DriverError.self) { try stranger.driver.listen(.tcp(host: "127.0.0.1", port: port), ListenerID(rawValue: 1), use) }
        }
        let second = try DriverHarness(kind)
        _ = try second.driver.listen(.tcp(host: "127.0.0.1", port: port), ListenerID(rawValue: 1), .join)
        // The system deals connections out by a hash of their addresses: that one of two gets none of 64 is as good as impossible.
        let peers = try (0..<64).map { _ in
            let peer = try Socket.make(for: address, .blocking)
            try peer.connect(to: address)
            return peer
        }
        for _ in 0..<1_000 where first.accepted.count + second.accepted.count < peers.count {
            first.settle()
            second.settle()
        }
        #expect(first.accepted.count + second.accepted.count == peers.count)
        #expect(!first.accepted.isEmpty && !second.accepted.isEmpty)
        for peer in peers { peer.close() }
    }

    @Test(arguments: DriverKind.allCases)
    func aPausedListenerAcceptsNothingUntilItIsResumed(_ kind: DriverKind) throws {
        let harness = try DriverHarness(kind)
        let address = try harness.listen()
        harness.driver.pause(ListenerID(rawValue: 1))
        harness.settle()
        let peer = try Socket.make(for: address, .blocking)
        try peer.connect(to: address)
        harness.settle()
        #expect(harness.accepted.isEmpty)
        harness.driver.resume(ListenerID(rawValue: 1))
        try harness.run("accept") { harness.accepted.count == 1 }
        harness.driver.pause(ListenerID(rawValue: 1))
        harness.driver.resume(ListenerID(rawValue: 1))
        let other = try harness.connect(to: address)
        other.peer.close()
        peer.close()
    }

    @Test(arguments: DriverKind.allCases)
    func aClosedListenerRefusesConnections(_ kind: DriverKind) throws {
        let harness = try DriverHarness(kind)
        let address = try harness.listen()
        harness.driver.closeListener(ListenerID(rawValue: 1))
        harness.settle()
        let peer = try Socket.make(for: address, .blocking)
        #expect(throws: Errno.connectionRefused) { try peer.connect(to: address) }
        peer.close()
    }

    @Test(arguments: DriverKind.allCases)
    func unixSocketsWorkAlike(_ kind: DriverKind) throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/broker.sock"
        let harness = try DriverHarness(kind)
        let (peer, socket) = try harness.connected(.unix(path: path))
        #expect(harness.accepted[0].peer.isLocal && harness.accepted[0].peer.host == nil && harness.accepted[0].reached == .unix(path: path))
        try peer.sendAll("hello")
        try harness.run("receive") { harness.received[socket]?.count == 5 }
        let reply = Outgoing([UInt8](repeating: 3, count: 1 << 20))
        harness.send(socket, memory: reply.pieces(of: [1000, 24]))
        var arrived = ByteBuffer()
        try harness.run("arrival") {
            _ = try? peer.receive(upTo: 1 << 20, into: &arrived, .nonblocking)
            return arrived.count == 1 << 20 && harness.sent[socket] == 1
        }
        peer.close()
        try harness.run("end") { harness.ended[socket] == 1 || harness.failed[socket] == 1 }
        try harness.close(socket)
        harness.driver.closeListener(ListenerID(rawValue: 1))
        harness.settle()
        #expect(!FileSystem.exists(path), "the socket file goes with its listener")
    }

    @Test(arguments: DriverKind.allCases)
    func onlyASocketFileThatNobodyAnswersOnIsReplaced(_ kind: DriverKind) throws {
        let directory = try TemporaryDirectory()
        let harness = try DriverHarness(kind)

        let stale = directory.path + "/stale.sock"
        let left = try Socket.make(for: .unix(path: stale), .blocking)
        try left.bind(to: .unix(path: stale))
        left.close()
        _ = try harness.listen(.unix(path: stale))

        #expect(throws: DriverError.self) { try harness.driver.listen(.unix(path: stale), ListenerID(rawValue: 2)) }
        #expect(FileSystem.exists(stale), "a living listener keeps its file")

        let file = directory.path + "/notes.txt"
        try File.open(file, [.readWrite, .exclusive]).close()
        #expect(throws: DriverError.self) { try harness.driver.listen(.unix(path: file), ListenerID(rawValue: 3)) }
        #expect(try FileSystem.status(of: file).isRegular)
    }

    /// In a process of its own, because the limit is the process's.
    @Test func withoutDescriptorsTheListenerPausesUntilThereAreSome() async {
        await #expect(processExitsWith: .success) {
            for kind in DriverKind.allCases {
                let harness = try DriverHarness(kind)
                let address = try harness.listen()
                let peers = try (0..<3).map { _ in try Socket.make(for: address, .blocking) }
                let before = SystemLimits.openFiles.soft
                try SystemLimits.setFileLimit(UInt64(peers[2].descriptor) + 1)
                for peer in peers { try peer.connect(to: address) }
                try harness.run("refusal") { !harness.acceptFailures.isEmpty }
                harness.settle()
                #expect(harness.acceptFailures.count == 1, "it pauses instead of failing over and over")
                #expect(harness.acceptFailures[0].contains("ulimit -n"))
                try SystemLimits.setFileLimit(before)
                harness.driver.resume(ListenerID(rawValue: 1))
                try harness.run("accept") { harness.accepted.count == 3 }
                for peer in peers { peer.close() }
            }
        }
    }
}
