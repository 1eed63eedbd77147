import Bytes
import LinuxSystem
import SegmentLog
import Testing

@testable import ShardRuntime

/// What every driver promises, checked alike on each of them, against plain sockets of the same thread.
@Suite struct DriverConformanceTests {
    @Test(arguments: DriverKind.allCases)
    func whatIsSentComesBack(_ kind: DriverKind) throws {
        let harness = try DriverHarness(kind)
        let (peer, socket) = try harness.connected()
        try peer.sendAll("hello")
        try harness.run("receive") { harness.received[socket]?.count == 5 }
        let reply = Outgoing("world")
        harness.send(socket, memory: [reply.region])
        try harness.run("sent") { harness.sent[socket] == 1 }
        #expect(try peer.readExactly(5) == [UInt8]("world".utf8))
        #expect(harness.received[socket] == [UInt8]("hello".utf8))
        try harness.close(socket)
        #expect(try peer.readToEnd() == [])
        peer.close()
    }

    @Test(arguments: DriverKind.allCases)
    func whoSaysLittleDoesNotStandBehindAllThatOthersPour(_ kind: DriverKind) throws {
        var options = DriverOptions()
        options.receiveBuffers = 16
        options.receiveBufferBytes = 1_024
        let harness = try DriverHarness(kind, options)
        harness.startsReceiving = false
        let address = try harness.listen()
        let pouring = try (0..<8).map { _ in try harness.connect(to: address) }
        let bytes = 32 * options.receiveBufferBytes
        for (peer, _) in pouring { try peer.sendAll([UInt8](repeating: 1, count: bytes).rawSpan) }
        let quiet = try harness.connect(to: address)
        try quiet.peer.sendAll("?")
        for (_, socket) in pouring { harness.driver.startReceiving(socket) }
        harness.driver.startReceiving(quiet.socket)
        var polls = 0
        try harness.run("the question") {
            polls += 1
            return harness.received[quiet.socket] != nil
        }
        // One that pours may fill the ring once, then each has its turn; else it is eight of them.
        #expect(polls <= 5)
        for (_, socket) in pouring { try harness.run("all of it") { harness.received[socket]?.count == bytes } }
        for (peer, _) in pouring + [quiet] { peer.close() }
    }

    @Test(arguments: DriverKind.allCases)
    func anEmptySendIsAnswered(_ kind: DriverKind) throws {
        let harness = try DriverHarness(kind)
        let (peer, socket) = try harness.connected()
        harness.send(socket, memory: [])
        try harness.run("sent") { harness.sent[socket] == 1 }
        peer.close()
    }

    @Test(arguments: DriverKind.allCases)
    func afterAHalfCloseTheReplyStillArrives(_ kind: DriverKind) throws {
        let harness = try DriverHarness(kind)
        let (peer, socket) = try harness.connected()
        try peer.sendAll("last words")
        peer.shutDown(.write)
        try harness.run("end") { harness.ended[socket] == 1 }
        #expect(harness.received[socket]?.count == 10)
        let reply = Outgoing("answer")
        harness.send(socket, memory: [reply.region])
        try harness.run("sent") { harness.sent[socket] == 1 }
        harness.settle()
        #expect(harness.ended[socket] == 1)
        try harness.close(socket)
        #expect(try peer.readToEnd() == [UInt8]("answer".utf8))
        peer.close()
    }

    @Test(arguments: DriverKind.allCases)
    func aResetIsReportedOnce(_ kind: DriverKind) throws {
        let harness = try DriverHarness(kind)
        let (peer, socket) = try harness.connected()
        try peer.setResetOnClose()
        peer.close()
        try harness.run("failure") { harness.failed[socket] == 1 }
        harness.settle()
        #expect(harness.failed[socket] == 1)
        #expect(harness.ended[socket] == nil)
        try harness.close(socket)
        harness.settle()
        #expect(harness.closed[socket] == 1)
    }

    @Test(arguments: DriverKind.allCases)
    func sendingToAPeerThatIsGoneFails(_ kind: DriverKind) throws {
        let harness = try DriverHarness(kind)
        harness.startsReceiving = false
        let (peer, socket) = try harness.connected()
        try peer.setResetOnClose()
        peer.close()
        let block = Outgoing([UInt8](repeating: 1, count: 1 << 16))
        harness.send(socket, memory: [block.region])
        try harness.run("failure") { harness.failed[socket] == 1 }
        #expect(harness.sent[socket] == nil)
        harness.send(socket, memory: [block.region])
        harness.settle()
        #expect(harness.failed[socket] == 1)
        try harness.close(socket)
    }

    /// The send is in flight for ever; closing lets go of its memory, says so once, and the send is never called done.
    @Test(arguments: DriverKind.allCases)
    func aPeerThatNeverReadsHoldsASendUntilItIsClosed(_ kind: DriverKind) throws {
        let harness = try DriverHarness(kind)
        let (peer, socket) = try harness.connected()
        let block = Outgoing([UInt8](repeating: 7, count: 64 << 20))
        harness.send(socket, memory: [block.region])
        harness.settle()
        #expect(harness.sent[socket] == nil)
        try harness.close(socket)
        harness.settle()
        #expect(harness.closed[socket] == 1)
        #expect(harness.sent[socket] == nil)
        #expect(harness.failed[socket] == nil && harness.ended[socket] == nil)
        peer.close()
    }

    @Test(arguments: DriverKind.allCases)
    func nothingArrivesWhileReceivingIsStopped(_ kind: DriverKind) throws {
        let harness = try DriverHarness(kind)
        let (peer, socket) = try harness.connected()
        try peer.sendAll("a")
        try harness.run("receive") { harness.received[socket]?.count == 1 }
        harness.driver.stopReceiving(socket)
        harness.settle()
        try peer.sendAll("bcd")
        harness.settle()
        #expect(harness.received[socket]?.count == 1)
        harness.driver.startReceiving(socket)
        try harness.run("the rest") { harness.received[socket]?.count == 4 }
        // Stopping and starting without a poll between them leaves it started.
        harness.driver.stopReceiving(socket)
        harness.driver.startReceiving(socket)
        try peer.sendAll("ef")
        try harness.run("once more") { harness.received[socket]?.count == 6 }
        #expect(harness.received[socket] == [UInt8]("abcdef".utf8))
        peer.close()
    }

    @Test(arguments: DriverKind.allCases)
    func aNewConnectionStartsStopped(_ kind: DriverKind) throws {
        let harness = try DriverHarness(kind)
        harness.startsReceiving = false
        let (peer, socket) = try harness.connected()
        try peer.sendAll("x")
        harness.settle()
        #expect(harness.receivedCalls == 0)
        harness.driver.startReceiving(socket)
        try harness.run("receive") { harness.received[socket]?.count == 1 }
        peer.close()
    }

    @Test(arguments: DriverKind.allCases)
    func stoppingFromWithinAnArrivalHolds(_ kind: DriverKind) throws {
        let harness = try DriverHarness(kind)
        let (peer, socket) = try harness.connected()
        harness.onReceived = { harness.driver.stopReceiving($0) }
        try peer.sendAll("x")
        try harness.run("receive") { harness.received[socket] != nil }
        harness.settle()
        let before = harness.receivedCalls
        try peer.sendAll("y")
        harness.settle()
        #expect(harness.receivedCalls == before)
        peer.close()
    }

    @Test(arguments: DriverKind.allCases)
    func closingFromWithinAnArrivalIsTheLastThingSaid(_ kind: DriverKind) throws {
        let harness = try DriverHarness(kind)
        let (peer, socket) = try harness.connected()
        harness.onReceived = { harness.driver.close($0) }
        try peer.sendAll("x")
        peer.shutDown(.write)
        try harness.run("closed") { harness.closed[socket] == 1 }
        harness.settle()
        #expect(harness.ended[socket] == nil && harness.failed[socket] == nil)
        #expect(harness.closed[socket] == 1)
        #expect(harness.receivedCalls == 1)
        peer.close()
    }

    /// A reply that was sent before the close arrives although input was left unread (TCP would answer that with a reset).
    @Test(arguments: DriverKind.allCases)
    func unreadInputDoesNotCostTheLastReply(_ kind: DriverKind) throws {
        let harness = try DriverHarness(kind)
        harness.startsReceiving = false
        let (peer, socket) = try harness.connected()
        try peer.sendAll(String(repeating: "unread", count: 1000))
        let reply = Outgoing("sorry")
        harness.send(socket, memory: [reply.region])
        try harness.run("sent") { harness.sent[socket] == 1 }
        try harness.close(socket)
        #expect(try peer.readToEnd() == [UInt8]("sorry".utf8))
        peer.close()
    }

    @Test(arguments: DriverKind.allCases, [[1], [1, 2, 3, 5, 7], [4096, 1]])
    func manyPiecesArriveInOrder(_ kind: DriverKind, _ sizes: [Int]) throws {
        let harness = try DriverHarness(kind)
        let (peer, socket) = try harness.connected()
        // More pieces than one system call takes.
        let content = (0..<20_000).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) }
        let block = Outgoing(content)
        harness.send(socket, memory: block.pieces(of: sizes))
        var arrived = ByteBuffer()
        try harness.run("arrival") {
            _ = try? peer.receive(upTo: 1 << 16, into: &arrived, .nonblocking)
            return arrived.count == content.count && harness.sent[socket] == 1
        }
        let bytes = [UInt8](arrived.bytes)
        #expect(bytes == content)
        peer.close()
    }

    @Test(arguments: DriverKind.allCases)
    func aSendLargerThanEveryBufferArrivesWhole(_ kind: DriverKind) throws {
        let harness = try DriverHarness(kind)
        let (peer, socket) = try harness.connected()
        let size = 64 << 20
        var content = [UInt8](repeating: 0, count: size)
        for place in stride(from: 0, to: size, by: 4093) { content[place] = UInt8(truncatingIfNeeded: place &* 7 >> 5) }
        let block = Outgoing(content)
        harness.send(socket, memory: block.pieces(of: [10 << 20, 1, 20 << 20, 3]))
        var arrived = ByteBuffer(capacity: size)
        try harness.run("arrival") {
            while (try? peer.receive(upTo: 1 << 20, into: &arrived, .nonblocking)) != nil, arrived.count < size {}
            return arrived.count == size && harness.sent[socket] == 1
        }
        let same = arrived.bytes.equals(content.rawSpan)
        #expect(same)
        peer.close()
    }

    @Test(arguments: DriverKind.allCases)
    func aThousandConnectionsEachGetTheirOwn(_ kind: DriverKind) throws {
        let harness = try DriverHarness(kind)
        let address = try harness.listen()
        var peers: [Socket] = []
        for round in 0..<10 {
            for _ in 0..<100 {
                let peer = try Socket.make(for: address, .blocking)
                try peer.connect(to: address)
                peers.append(peer)
            }
            try harness.run("accept") { harness.accepted.count == (round + 1) * 100 }
        }
        for (number, peer) in peers.enumerated() { try peer.sendAll("\(1000 + number)") }
        try harness.run("receive") { harness.received.count == 1000 && harness.received.values.allSatisfy { $0.count == 4 } }
        let replies = harness.received.map { (socket: $0.key, bytes: Outgoing($0.value)) }
        for reply in replies { harness.send(reply.socket, memory: [reply.bytes.region]) }
        try harness.run("sent") { harness.sent.count == 1000 }
        for (number, peer) in peers.enumerated() { #expect(try peer.readExactly(4) == [UInt8]("\(1000 + number)".utf8)) }
        for (socket, _, _) in harness.accepted { harness.driver.close(socket) }
        try harness.run("closed") { harness.closed.count == 1000 }
        #expect(harness.closed.values.allSatisfy { $0 == 1 })
        for peer in peers { peer.close() }
    }

    /// Connections that come and go, each in another way; every one is closed once, and places are used again under new names.
    @Test(arguments: DriverKind.allCases)
    func aStormOfConnectionsLeavesNothingBehind(_ kind: DriverKind) throws {
        let harness = try DriverHarness(kind)
        let address = try harness.listen()
        var made = 0
        for round in 0..<30 {
            for number in 0..<20 {
                let peer = try Socket.make(for: address, .blocking)
                try peer.connect(to: address)
                switch number % 4 {
                case 0: try peer.setResetOnClose()
                case 1: try peer.sendAll("x")
                case 2: peer.shutDown(.write)
                default: break
                }
                peer.close()
                made += 1
            }
            // A reset connection may vanish before it is accepted (round by round it does not: the listener is quick).
            try harness.run("accept \(round)") { harness.accepted.count == made }
            try harness.run("ends") { harness.accepted.allSatisfy { harness.ended[$0.socket] != nil || harness.failed[$0.socket] != nil } }
            for (socket, _, _) in harness.accepted { harness.driver.close(socket) }
            try harness.run("closed") { harness.closed.count == made }
        }
        #expect(harness.closed.values.allSatisfy { $0 == 1 })
        #expect(Set(harness.accepted.map(\.socket)).count == made)
        let places = Set(harness.accepted.map { UInt32(truncatingIfNeeded: $0.socket.rawValue) })
        #expect(places.count <= 20)
    }

    @Test(arguments: DriverKind.allCases)
    func aNameOfTheDeadHitsNothing(_ kind: DriverKind) throws {
        let harness = try DriverHarness(kind)
        let address = try harness.listen()
        let (first, dead) = try harness.connect(to: address)
        try harness.close(dead)
        first.close()
        let (second, living) = try harness.connect(to: address)
        #expect(UInt32(truncatingIfNeeded: living.rawValue) == UInt32(truncatingIfNeeded: dead.rawValue))
        let block = Outgoing("to the dead")
        harness.send(dead, memory: [block.region])
        harness.driver.stopReceiving(dead)
        harness.driver.close(dead)
        harness.settle()
        try second.sendAll("alive")
        try harness.run("receive") { harness.received[living]?.count == 5 }
        #expect(harness.closed[dead] == 1)
        #expect(harness.sent[dead] == nil)
        #expect(harness.closed[living] == nil)
        second.close()
    }

    @Test(arguments: DriverKind.allCases)
    func anotherThreadWakesThePoll(_ kind: DriverKind) throws {
        let harness = try DriverHarness(kind)
        for round in 1...50 {
            let waker = harness.driver.waker
            let thread = try Thread.spawn("waker") { for _ in 0..<10 { waker.wake() } }
            while harness.wakes < round { harness.driver.poll(until: .distantFuture, harness) }
            thread.join()
            harness.settle()
            harness.wakes = round
        }
    }

    @Test(arguments: DriverKind.allCases)
    func aWakeBeforeThePollIsNotLost(_ kind: DriverKind) throws {
        let harness = try DriverHarness(kind)
        harness.driver.waker.wake()
        harness.driver.waker.wake()
        while harness.wakes == 0 { harness.driver.poll(until: .distantFuture, harness) }
        harness.settle()
        #expect(harness.wakes == 1)
    }

    @Test(arguments: DriverKind.allCases)
    func thePollEndsAtItsDeadline(_ kind: DriverKind) throws {
        let harness = try DriverHarness(kind)
        harness.driver.poll(until: Instant(nanoseconds: 0), harness)
        let deadline = harness.driver.readClock().advanced(byNanoseconds: 3_000_000)
        var polls = 0
        while harness.driver.now.instant < deadline {
            harness.driver.poll(until: deadline, harness)
            polls += 1
        }
        #expect(polls < 20, "it waits instead of spinning")
    }

    /// Gathering completions for a minimum time delays and batches them, and changes nothing else.
    @Test(arguments: DriverKind.allCases)
    func aMinimumWaitLosesNothing(_ kind: DriverKind) throws {
        var options = DriverOptions()
        options.minimumWaitMicroseconds = 200
        let harness = try DriverHarness(kind, options)
        let (peer, socket) = try harness.connected()
        let reply = Outgoing("y")
        for round in 1...50 {
            try peer.sendAll("x")
            try harness.run("receive") { harness.received[socket]?.count == round }
            harness.send(socket, memory: [reply.region])
            try harness.run("sent") { harness.sent[socket] == round }
            #expect(try peer.readExactly(1).count == 1)
        }
        peer.close()
    }

    /// More arrivals at once than there are receive buffers: the driver runs out for a moment and loses nothing.
    @Test(arguments: DriverKind.allCases)
    func fewReceiveBuffersAreEnoughForEveryone(_ kind: DriverKind) throws {
        var options = DriverOptions()
        options.receiveBuffers = 2
        options.receiveBufferBytes = 64
        let harness = try DriverHarness(kind, options)
        let address = try harness.listen()
        let ends = try (0..<20).map { _ in try harness.connect(to: address) }
        let content = (0..<1000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        for end in ends { try end.peer.sendAll(content.rawSpan) }
        try harness.run("receive") { ends.allSatisfy { harness.received[$0.socket]?.count == content.count } }
        for end in ends {
            #expect(harness.received[end.socket] == content)
            end.peer.close()
        }
    }
}
