import Bytes
import LinuxSystem
import Testing

/// Both ends of a lane in one process; what another program could do to the memory is done through its file.
@Suite struct LaneTests {
    static func pair(toServer: Int = Lane.leastBytes, toClient: Int = Lane.leastBytes) throws -> (server: Lane, client: Lane, file: File) {
        let (server, file) = try Lane.make(toServer: toServer, toClient: toClient)
        return (server, try Lane.attach(file), file)
    }

    static func write(_ value: UInt64, at position: Int, of file: File) throws {
        var buffer = ByteBuffer()
        buffer.append(little: value)
        try file.write(buffer.bytes.region, at: position)
    }

    static func send(_ bytes: [UInt8], on lane: Lane) throws -> Int {
        let written = try lane.write(bytes.rawSpan)
        lane.show()
        return written
    }

    @Test func bytesArriveInOrderHoweverTheyAreCut() throws {
        let (server, client, file) = try LaneTests.pair()
        defer { try? file.close() }
        var state: UInt64 = 7
        func random(_ most: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % most + 1
        }
        for (from, to) in [(client, server), (server, client)] {
            var (sent, seen) = (0, 0)
            var input = ByteBuffer()
            while seen < 2_000_000 {
                let piece = (0..<random(30_000)).map { UInt8(truncatingIfNeeded: (sent + $0) &* 31) }
                sent += try LaneTests.send(piece, on: from)
                for _ in 0..<random(3) {
                    input.clear()
                    _ = try to.read(upTo: random(20_000), into: &input)
                    let bytes = [UInt8](input.bytes)
                    let isRight = bytes.indices.allSatisfy { bytes[$0] == UInt8(truncatingIfNeeded: (seen + $0) &* 31) }
                    #expect(isRight)
                    seen += bytes.count
                }
            }
            #expect(seen <= sent && sent - seen <= Lane.leastBytes)
        }
    }

    @Test func aFullRingTakesNoMoreAndGoesOnWhenThereIsRoom() throws {
        let (server, client, file) = try LaneTests.pair()
        defer { try? file.close() }
        let all = [UInt8](repeating: 1, count: Lane.leastBytes + 10)
        #expect(try LaneTests.send(all, on: client) == Lane.leastBytes)
        #expect(try LaneTests.send(all, on: client) == 0)
        var input = ByteBuffer()
        #expect(try server.read(upTo: 7, into: &input) == 7)
        #expect(try LaneTests.send(all, on: client) == 7)
    }

    /// What was written but not shown is not there.
    @Test func nothingIsSeenBeforeItIsShown() throws {
        let (server, client, file) = try LaneTests.pair()
        defer { try? file.close() }
        _ = try client.write([1, 2, 3].rawSpan)
        #expect(!server.hasInput)
        client.show()
        #expect(server.hasInput)
    }

    @Test(arguments: [UInt64(Lane.leastBytes) + 1, 1 << 40, .max, .max - 100])
    func aCounterThatCannotBeIsAnError(_ value: UInt64) throws {
        let (server, client, file) = try LaneTests.pair()
        defer { try? file.close() }
        try LaneTests.write(value, at: 128, of: file)
        #expect(server.hasInput, "so that the reader looks")
        var input = ByteBuffer()
        #expect(throws: Errno.protocolError) { try server.read(upTo: 100, into: &input) }
        let count = input.count
        #expect(count == 0)
        try LaneTests.write(value, at: 512, of: file)
        #expect(throws: Errno.protocolError) { try server.write([UInt8](repeating: 0, count: Lane.leastBytes + 1).rawSpan) }
        withExtendedLifetime(client) {}
    }

    /// The server's own counters in the page are for the client; what a client writes there changes nothing for the server.
    @Test func aSideDoesNotReadItsOwnCountersBack() throws {
        let (server, client, file) = try LaneTests.pair()
        defer { try? file.close() }
        _ = try LaneTests.send([1, 2, 3], on: client)
        try LaneTests.write(1 << 50, at: 256, of: file)
        try LaneTests.write(1 << 50, at: 384, of: file)
        try LaneTests.write(1 << 50, at: 16, of: file)
        var input = ByteBuffer()
        #expect(try server.read(upTo: 100, into: &input) == 3)
        #expect(try LaneTests.send([4, 5], on: server) == 2)
        input.clear()
        #expect(try client.read(upTo: 100, into: &input) == 2)
        #expect([UInt8](input.bytes) == [4, 5])
    }

    @Test func theMemoryCannotBeTakenAway() throws {
        let (server, client, file) = try LaneTests.pair()
        defer { try? file.close() }
        #expect(throws: Errno.self) { try file.truncate(to: 4_096) }
        #expect(throws: Errno.self) { try file.truncate(to: 1 << 30) }
        withExtendedLifetime((server, client)) {}
    }

    @Test(arguments: [(0, UInt64(1)), (8, 2), (16, 1 << 62), (16, 0), (24, 12_345), (24, 1 << 20)])
    func whatIsNoLaneIsNotAttached(_ place: Int, _ value: UInt64) throws {
        let (server, file) = try Lane.make(toServer: Lane.leastBytes, toClient: Lane.leastBytes)
        defer { try? file.close() }
        try LaneTests.write(value, at: place, of: file)
        #expect(throws: Errno.protocolError) { _ = try Lane.attach(file) }
        withExtendedLifetime(server) {}
    }

    @Test func sizesAreRoundedToWhatARingCanHave() {
        #expect(Lane.ringBytes(0) == Lane.leastBytes)
        #expect(Lane.ringBytes(Lane.leastBytes + 1) == 2 * Lane.leastBytes)
        #expect(Lane.ringBytes(.max) == Lane.mostBytes)
        #expect(throws: Errno.invalid) { _ = try Lane.make(toServer: 100_000, toClient: Lane.leastBytes) }
    }

    // MARK: Sleeping

    @Test func aSleepingServerIsKnockedForOnceAndForWhatItWants() throws {
        let (server, client, file) = try LaneTests.pair()
        defer { try? file.close() }
        #expect(!client.mustKnock(.input), "it does not sleep")
        #expect(server.serverSleeps(until: .input))
        #expect(!client.mustKnock(.room), "room is not what it sleeps for")
        _ = try LaneTests.send([1], on: client)
        #expect(client.mustKnock(.input))
        #expect(!client.mustKnock(.input))
        #expect(!server.serverSleeps(until: .input), "there is something to do")
        server.serverWakes()
        var input = ByteBuffer()
        _ = try server.read(upTo: 10, into: &input)
        #expect(server.serverSleeps(until: .input))
        server.serverWakes()
        #expect(!client.mustKnock(.input))
        // A server that waits for room only is not kept awake by input that it does not take for now.
        _ = try LaneTests.send([1], on: client)
        while try LaneTests.send([UInt8](repeating: 0, count: 4_096), on: server) > 0 {}
        #expect(server.serverSleeps(until: .room))
        input.clear()
        _ = try client.read(upTo: 100, into: &input)
        #expect(client.mustKnock(.room))
    }

    /// Whoever wakes the client, and however often for nothing, it waits until there is something or its time is over.
    @Test func aSleepingClientIsWokenByInput() throws {
        let (server, client, file) = try LaneTests.pair()
        defer { try? file.close() }
        let thread = try Thread.spawn("server") {
            for number in 0..<50 {
                Clock.sleep(nanoseconds: 200_000)
                server.wakeClient(.input)
                server.wakeClient(.room)
                _ = try? LaneTests.send([UInt8(number)], on: server)
                server.wakeClient(.input)
            }
        }
        var input = ByteBuffer()
        while input.count < 50 {
            let isThere = try client.clientWaits(spin: 0, sleep: 30_000_000_000)
            #expect(isThere)
            if !isThere { break }
            _ = try client.read(upTo: 100, into: &input)
        }
        thread.join()
        #expect([UInt8](input.bytes) == (0..<50).map { UInt8($0) })
        #expect(try !client.clientWaits(spin: 1_000, sleep: 1_000_000), "nothing more comes")
    }

    @Test func anInterruptionEndsTheWaitThatIsOrTheNext() throws {
        let (server, client, file) = try LaneTests.pair()
        defer { try? file.close() }
        client.interrupt()
        #expect(try !client.clientWaits(spin: 0, sleep: 60_000_000_000))
        let thread = try Thread.spawn("interrupt") {
            Clock.sleep(nanoseconds: 5_000_000)
            client.interrupt()
        }
        #expect(try !client.clientWaits(spin: 0, sleep: 60_000_000_000))
        thread.join()
        withExtendedLifetime(server) {}
    }
}
